/* The relay's shell: hands events to the hub, and its effects to clients and store. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

static void
drop_all(struct world *w)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		w->client[i].id.v = 0;
}

static void
send_list(struct world *w, struct client *c)
{
	uint64_t revision;
	struct frame *f = hub_list(w->hub, c->id, &revision);

	c->lags = false;
	if (revision < c->list_revision)
		broken(w, RULE_LIST_SENT, "#%u is sent an older list", (unsigned)c->id.v);
	if (c->list_revision == revision)
		return;
	list_take(w, c, f, revision);
}

/* What has changed, but where a client has not taken what came before: it gets the list, later. */
static void
announce(struct world *w, struct client *c)
{
	struct frame *f = NULL;

	if (c->list_revision == hub_list_revision(w->hub, c->id))
		return;
	if (c->v1) {
		c->lags = c->lags || prng_chance(&w->prng, 5);
		if (c->lags)
			return;
		f = hub_presence(w->hub, c->id, c->list_revision);
	}
	if (f == NULL)
		send_list(w, c);
	else
		client_reads(w, c, f);
}

void
shell_catch_up(struct world *w, unsigned percent)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &w->client[i];

		if (c->id.v != 0 && c->lags && prng_chance(&w->prng, percent))
			send_list(w, c);
	}
}

static void
to_all(struct world *w, const struct effect *e)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &w->client[i];

		if (c->id.v == 0)
			continue;
		if (e->kind == EFFECT_ANNOUNCE)
			announce(w, c);
		else if (hub_hears(w->hub, c->id, e->conn))
			client_reads(w, c, e->frame);
	}
}

static void
carry_out(struct world *w, const struct effect *e)
{
	struct client *c = e->conn.v == 0 ? NULL : client_find(w, e->conn);

	switch (e->kind) {
	case EFFECT_SEND:
		if (c != NULL)
			client_reads(w, c, e->frame);
		else if (e->conn.v == 0 || e->conn.v > w->last_conn) /* else it is gone again */
			broken(w, RULE_THIRD_PARTY, "#%u, which never was, is sent something",
			    (unsigned)e->conn.v);
		break;
	case EFFECT_BROADCAST:
	case EFFECT_ANNOUNCE:
		to_all(w, e);
		break;
	case EFFECT_LIST:
		if (c != NULL)
			send_list(w, c);
		break;
	case EFFECT_DENIED:
		break;
	case EFFECT_PERSIST:
		model_persist(w, &e->persist);
		store_ask(w, &(struct task){ .kind = TASK_PERSIST, .persist = e->persist });
		break;
	}
}

void
shell_event(struct world *w, const struct event *ev)
{
	if (w->broken)
		return;
	w->events++;
	shell_catch_up(w, 20);
	rules_message(w);
	model_event(w, ev);
	model_stir(w);
	hub_step(w->hub, ev, w->now_ms, w->wall_ms, &w->fx);
	w->effects = w->fx.count;
	w->loading = w->loading && ev->kind != EVENT_LOADED;
	for (unsigned i = 0; i < w->fx.count; i++)
		carry_out(w, &w->fx.list[i]);
	effects_fini(&w->fx);
	if (!w->loading && w->events % 4 == 0)
		list_read(w);
	model_taken(w);
	rules_check(w);
	model_done(w);
}

static bool
store_lists(struct world *w, const struct person *p)
{
	return (p->row.role == ROLE_DOCTOR && p->row.status != STATUS_OFFLINE) || p->in_presence ||
	       store_live_call(w, p) != NULL;
}

static void
load(struct world *w)
{
	for (unsigned i = 0; i < w->people; i++) {
		if (store_lists(w, &w->person[i]))
			shell_event(
			    w, &(struct event){ .kind = EVENT_CHANGED, .user = &w->person[i].row });
	}
	for (unsigned i = 0; i < w->people; i++) {
		if (w->person[i].in_presence)
			shell_event(w, &(struct event){
					   .kind = EVENT_WAS_PRESENT, .user = &w->person[i].row });
	}
	for (unsigned i = 0; i < w->store.calls; i++) {
		const struct call_made *c = &w->store.call[i];
		struct live_call live = { .caller = c->caller->row.id,
			.callee = c->callee->row.id,
			.state = c->state,
			.answered_ms = c->answered_ms };

		if (c->state == CALL_ENDED)
			continue;
		snprintf(live.call_id, sizeof(live.call_id), "%s", c->id);
		shell_event(w, &(struct event){ .kind = EVENT_WAS_IN_CALL, .call = &live });
	}
	shell_event(w, &(struct event){ .kind = EVENT_LOADED });
}

void
shell_start(struct world *w)
{
	trace(w, "the relay starts");
	w->hub = hub_new(&w->settings);
	w->loading = true;
	w->life++;
	w->seq = 0;
	w->last_conn = 0;
	store_reset(&w->store);
	model_reset(w);
	load(w);
}

static void
end(struct world *w)
{
	drop_all(w);
	hub_free(w->hub);
	w->hub = NULL;
}

/* What the store has not begun is lost, and so is what it has to tell. */
void
shell_crash(struct world *w)
{
	trace(w, "the relay crashes");
	end(w);
}

void
shell_stop(struct world *w)
{
	trace(w, "the relay stops");
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (w->client[i].id.v != 0)
			shell_drop(w, &w->client[i]);
	}
	store_run(w);
	shell_results(w, TASKS_MAX);
	end(w);
}

void
shell_connect(struct world *w, struct person *p, bool v1)
{
	trace(w, "%d wants to connect", (int)p->row.id.v);
	store_ask(
	    w, &(struct task){ .kind = TASK_CONNECT, .user = p, .v1 = v1, .epoch = p->row.epoch });
}

static void
admit(struct world *w, const struct task *t)
{
	struct user row = t->user->row;
	struct client *c = w->client;
	bool newest = w->people <= w->settings.list_fresh_max;

	if (t->outcome != ERR_OK || hub_connections(w->hub, row.id) >= CLIENTS_EACH_MAX)
		return;
	while (c->id.v != 0)
		c++;
	*c = (struct client){ .id = { ++w->last_conn },
		.user = t->user,
		.epoch = t->epoch,
		.v1 = t->v1,
		.expires_ms = w->wall_ms + prng_below(&w->prng, 1U << 30) };
	row.status = t->status;
	row.pending = t->pending;
	row.disabled = t->disabled;
	c->shown_id = c->id.v * 0x9e3779b97f4a7c15;
	if (hub_deadline(w->hub) <= w->now_ms)
		newest = false; /* she has it before what is due comes about */
	trace(w, "%d connects as #%u%s", (int)row.id.v, (unsigned)c->id.v,
	    c->v1 ? ", telemed.v1" : "");
	shell_event(w, &(struct event){ .kind = EVENT_CONNECTED,
			   .conn = c->id,
			   .v1 = c->v1,
			   .shown_id = c->shown_id,
			   .expires_ms = c->expires_ms,
			   .user = &row });
	if (c->list_revision == 0 ||
	    (newest && c->list_revision != hub_list_revision(w->hub, c->id)))
		broken(w, RULE_LIST_SENT, "#%u is not sent the list on connect", (unsigned)c->id.v);
}

void
shell_drop(struct world *w, struct client *c)
{
	struct event ev = { .kind = EVENT_LOST, .conn = c->id, .user = &c->user->row };

	trace(w, "#%u of %d is lost", (unsigned)c->id.v, (int)c->user->row.id.v);
	c->id.v = 0;
	shell_event(w, &ev);
}

/* Its session was logged out; what closes it comes later. */
void
shell_revoke(struct world *w, const struct client *c)
{
	trace(w, "#%u of %d is revoked", (unsigned)c->id.v, (int)c->user->row.id.v);
	shell_event(
	    w, &(struct event){ .kind = EVENT_REVOKED, .conn = c->id, .user = &c->user->row });
}

void
shell_end_call(struct world *w, const struct talk *t)
{
	struct live_call call = { .caller = t->party[0]->row.id };

	memcpy(call.call_id, t->id, sizeof(call.call_id));
	trace(w, "an operator ends call %s of %d", call.call_id, (int)call.caller.v);
	shell_event(w, &(struct event){ .kind = EVENT_CALL_REVOKED, .call = &call });
}

static bool
is_over(const struct client *c, const struct person *p, const struct user *row)
{
	return c->id.v != 0 && c->user == p && (row->disabled || c->epoch != row->epoch);
}

/* The feed tells of P's row. Connections whose session it has ended are closed. */
static void
on_changed(struct world *w, struct person *p, const struct user *row)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &w->client[i];

		if (!is_over(c, p, row))
			continue;
		c->stirs = UINT_MAX; /* she may see others than before */
		shell_revoke(w, c);
	}
	shell_event(w, &(struct event){ .kind = EVENT_CHANGED, .user = row });
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (is_over(&w->client[i], p, row))
			shell_drop(w, &w->client[i]);
	}
}

static const char *const type_names[MESSAGE__COUNT] = {
	[MESSAGE_CHAT] = "chat",
	[MESSAGE_SIGNAL] = "signal",
	[MESSAGE_CALL_START] = "call_start",
	[MESSAGE_CALL_END] = "call_end",
	[MESSAGE_CALL_ACCEPT] = "call_accept",
	[MESSAGE_CALL_REJECT] = "call_reject",
	[MESSAGE_CALL_RESUME] = "call_resume",
	[MESSAGE_SET_STATUS] = "set_status",
};

const char *
said_name(const struct said *s)
{
	return type_names[s->type];
}

static void
hand_over(struct world *w, struct said *s, enum role to_role)
{
	static char data[1 << 16];
	char id[16];
	char text[sizeof(id) + 2];
	struct message m = { .type = s->type,
		.type_text = said_name(s),
		.to = { s->to },
		.to_role = to_role,
		.signal = s->signal,
		.bad_call_id = s->bad_call_id,
		.status = s->status };

	if (s->text != NULL) {
		words_hand_over(w, s, to_role);
		return;
	}
	snprintf(id, sizeof(id), "%u", (unsigned)(s - w->said));
	m.id = s->with_id ? id : NULL;
	m.call_id = s->with_call_id ? s->call_id : NULL;
	if (s->type == MESSAGE_CHAT)
		m.text = (struct json_raw){ text,
			(size_t)snprintf(text, sizeof(text), "\"%s\"", id) };
	if (s->type == MESSAGE_SIGNAL) {
		m.data.len = (size_t)snprintf(data, sizeof(data),
		    "{\"signalType\":\"%s\",\"sdpOrIce\":\"%s\",\"pad\":\"%0*d\"}",
		    s->signal == SIGNAL_OFFER	 ? "offer"
		    : s->signal == SIGNAL_ANSWER ? "answer"
						 : "ice-candidate",
		    id, (int)s->padding, 0);
		m.data.at = data;
	}
	s->handed = true;
	w->current = s;
	shell_event(w, &(struct event){ .kind = EVENT_MESSAGE, .conn = s->conn, .message = &m });
	w->current = NULL;
}

/* A recipient whom the hub does not know, or whom the sender cannot see, is looked up first. */
void
shell_say(struct world *w, struct said *s)
{
	unsigned i = (unsigned)(s - w->said);
	struct task t = { .kind = TASK_MESSAGE, .said = i };

	t.user = person_of(w, (struct user_id){ s->to });
	trace(w, "#%u of %d says %s to %d, call %s, id %u", (unsigned)s->conn.v,
	    (int)s->from->row.id.v, said_name(s), (int)s->to, s->with_call_id ? s->call_id : "-",
	    i);
	if (t.user != NULL && !person_sees(w, s->from, t.user) &&
	    hub_reaches(w->hub, s->conn, t.user->row.id))
		broken(w, RULE_UNSEEN, "%d is not looked up for %d", (int)s->to,
		    (int)s->from->row.id.v);
	if (s->to == 0 || hub_reaches(w->hub, s->conn, (struct user_id){ s->to }))
		hand_over(w, s, ROLE_NONE);
	else
		store_ask(w, &t);
}

static void
recipient_found(struct world *w, const struct task *t)
{
	struct said *s = &w->said[t->said];

	if (client_find(w, s->conn) == NULL)
		return;
	s->to_approved = t->user != NULL && !t->pending && !t->disabled;
	s->to_nobody = t->user != NULL && !s->to_approved && !peek_knows(w, t->user->row.id);
	if (t->outcome == ERR_SYSTEM)
		s->answers++; /* the shell's own error */
	else
		hand_over(w, s, s->to_approved ? t->user->row.role : ROLE_NONE);
}

static void
on_result(struct world *w, const struct task *t)
{
	struct user row;

	switch (t->kind) {
	case TASK_PERSIST:
		shell_event(w, &(struct event){ .kind = EVENT_PERSISTED,
				   .persist = &t->persist,
				   .outcome = t->outcome,
				   .status = t->status });
		break;
	case TASK_CONNECT:
		admit(w, t);
		break;
	case TASK_MESSAGE:
		recipient_found(w, t);
		break;
	case TASK_CHANGED:
		row = t->user->row;
		row.status = t->status;
		row.pending = t->pending;
		row.disabled = t->disabled;
		row.epoch = t->epoch;
		trace(w, "the feed: %d is %s", (int)row.id.v, status_name(row.status));
		on_changed(w, t->user, &row);
		break;
	}
}

void
shell_results(struct world *w, unsigned most)
{
	struct tasks *done = &w->store.done;

	for (; most > 0 && done->first < done->end && !w->broken; most--)
		on_result(w, &done->list[done->first++]);
}

void
shell_tick(struct world *w)
{
	shell_event(w, &(struct event){ .kind = EVENT_TICK });
}
