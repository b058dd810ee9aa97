#include "hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "hub_state.h"

/* A step that runs timers stops short of filling its effects; one event alone never comes near it.
 */
enum { EFFECTS_ROOM = 300, STATUS_WRITES_MAX = 256 };

static struct effect *
effect(struct hub *h, enum effect_kind kind)
{
	struct effect *e;

	assert(h->fx->count < EFFECTS_MAX);
	e = &h->fx->list[h->fx->count++];
	*e = (struct effect){ .kind = kind };
	return e;
}

void
send_frame(struct hub *h, struct conn_id to, struct frame *frame)
{
	struct effect *e = effect(h, EFFECT_SEND);

	e->conn = to;
	e->frame = frame;
}

void
send_error(struct hub *h, const struct conn *to, const struct message *re, const char *code,
    const char *message)
{
	send_frame(h, to->id, frame_error(code, message, re->type_text, re->id));
}

struct persist *
persist(struct hub *h, enum persist_kind kind, struct user_id user)
{
	struct effect *e = effect(h, EFFECT_PERSIST);

	e->persist.kind = kind;
	e->persist.seq = ++h->seq;
	e->persist.user = user;
	return &e->persist;
}

void
timer_init(struct timer *t, enum timer_kind kind, void *owner)
{
	*t = (struct timer){ .kind = kind, .owner = owner };
}

void
timer_arm(struct hub *h, struct timer *t, int64_t length_ms)
{
	timer_disarm(h, t);
	t->due_ms = h->now_ms + length_ms;
	DL_APPEND(h->timers[t->kind], t);
}

void
timer_disarm(struct hub *h, struct timer *t)
{
	if (t->due_ms == 0)
		return;
	t->due_ms = 0;
	DL_DELETE(h->timers[t->kind], t);
}

void
asker_set(struct asker *a, const struct conn *c, const struct message *m)
{
	const char *id = m->id == NULL ? "" : m->id;
	size_t len = strnlen(id, sizeof(a->id) - 1);

	a->conn = c->id;
	a->re = message_type_name(m->type);
	memcpy(a->id, id, len);
	a->id[len] = '\0';
}

bool
askers_add(struct askers *all, const struct conn *c, const struct message *m)
{
	if (all->count == ASKERS_MAX)
		return false;
	asker_set(&all->list[all->count++], c, m);
	return true;
}

static void
run_timer(struct hub *h, struct timer *t)
{
	void *owner = t->owner;

	timer_disarm(h, t);
	switch (t->kind) {
	case TIMER_PRESENCE:
		roster_presence_over(h, owner);
		break;
	case TIMER_PRESENCE_RETRY:
		roster_presence_retry(h, owner);
		break;
	case TIMER_RING:
		calls_rung_out(h, owner);
		break;
	case TIMER_ABSENT:
		calls_party_gone(h, owner);
		break;
	case TIMER_CALL_MAX:
		calls_too_long(h, owner);
		break;
	case TIMER_END_RETRY:
		calls_end_again(h, owner);
		break;
	case TIMER__COUNT:
		break;
	}
}

static void
run_timers(struct hub *h)
{
	for (unsigned kind = 0; kind < TIMER__COUNT; kind++) {
		while (h->timers[kind] != NULL && h->timers[kind]->due_ms <= h->now_ms) {
			if (h->fx->count > EFFECTS_MAX - EFFECTS_ROOM)
				return; /* hub_deadline() says that there is more */
			run_timer(h, h->timers[kind]);
		}
	}
}

/* The first change goes out at once; those that follow closely share the next one. */
static void
announce_list(struct hub *h)
{
	if (!h->list_due || h->loading || h->now_ms < h->list_next_ms)
		return;
	effect(h, EFFECT_LIST);
	h->list_due = false;
	h->list_next_ms = h->now_ms + h->settings.list_interval_ms;
}

int64_t
hub_deadline(const struct hub *h)
{
	int64_t due = h->list_due ? h->list_next_ms : INT64_MAX;

	for (unsigned kind = 0; kind < TIMER__COUNT; kind++) {
		if (h->timers[kind] != NULL && h->timers[kind]->due_ms < due)
			due = h->timers[kind]->due_ms;
	}
	return due;
}

/* FRAME to all connections of M but EXCEPT; returns to how many. Takes over the caller's reference.
 */
static unsigned
send_to_user(struct hub *h, const struct member *m, struct conn_id except, struct frame *frame)
{
	unsigned n = 0;

	for (const struct conn *c = m->conns; c != NULL; c = c->next) {
		if (conn_same(c->id, except))
			continue;
		send_frame(h, c->id, frame_ref(frame));
		n++;
	}
	frame_unref(frame);
	return n;
}

static void
ack_delivered(struct hub *h, const struct conn *c, const struct message *m, unsigned delivered)
{
	if (m->id != NULL)
		send_frame(h, c->id, frame_ack_delivered(m->id, delivered));
}

/* Sends FRAME to m->to, wherever she is connected but on C itself. Takes over the caller's
 * reference. */
static void
send_directly(struct hub *h, struct conn *c, const struct message *m, struct frame *frame)
{
	const struct member *to = member_find(h, m->to);
	unsigned n = 0;

	if (frame == NULL) {
		send_frame(h, c->id, NULL);
		return;
	}
	if (to == NULL && m->to_role == ROLE_NONE) {
		frame_unref(frame);
		send_error(h, c, m, "not_found", "There is no user of this id");
		return;
	}
	if (to != NULL)
		n = send_to_user(h, to, c->id, frame);
	else
		frame_unref(frame);
	if (n == 0)
		send_error(h, c, m, "recipient_offline", "The user is not connected");
	else
		ack_delivered(h, c, m, n);
}

static void
on_chat(struct hub *h, struct conn *c, const struct message *m)
{
	struct frame *frame = frame_chat(c->user->id, m->to, m->text, h->wall_ms);
	struct effect *e;

	if (m->to.v != 0) {
		send_directly(h, c, m, frame);
		return;
	}
	if (frame == NULL) {
		send_frame(h, c->id, NULL);
		return;
	}
	e = effect(h, EFFECT_BROADCAST);
	e->conn = c->id;
	e->frame = frame;
	ack_delivered(h, c, m, HASH_COUNT(h->conns) - 1);
}

static void
on_signal(struct hub *h, struct conn *c, const struct message *m)
{
	const struct member *to = member_find(h, m->to);
	const struct call *call = c->user->call;

	if (call != NULL && to != NULL && to->call == call && to != c->user)
		calls_signal(h, c, m);
	else if (call != NULL || (to != NULL && to->call != NULL))
		send_error(h, c, m, "no_call", "One of the two is in a call with somebody else");
	else
		send_directly(h, c, m, frame_signal(c->user->id, m->data, m->data_len));
}

static void
on_set_status(struct hub *h, struct conn *c, const struct message *m)
{
	struct status_write *w;

	if (c->user->role != ROLE_DOCTOR) {
		send_error(h, c, m, "forbidden", "Only a doctor has a status to set");
		return;
	}
	w = h->status_write_count < STATUS_WRITES_MAX ? calloc(1, sizeof(*w)) : NULL;
	if (w == NULL) {
		send_error(h, c, m, "unavailable", "The database cannot take this now");
		return;
	}
	asker_set(&w->asker, c, m);
	persist(h, PERSIST_STATUS, c->user->id)->status = m->status;
	w->seq = h->seq;
	DL_APPEND(h->status_writes, w);
	h->status_write_count++;
}

/* Statuses are stored in the order in which they were set, so the oldest waits first. */
static void
status_persisted(struct hub *h, const struct event *ev)
{
	struct status_write *w = h->status_writes;
	struct member *m = member_find(h, ev->persist->user);

	assert(w != NULL && w->seq == ev->persist->seq);
	DL_DELETE(h->status_writes, w);
	h->status_write_count--;
	if (ev->outcome != ERR_OK)
		send_frame(h, w->asker.conn,
		    frame_error("unavailable", "The database cannot take this now", "set_status",
			w->asker.id[0] == '\0' ? NULL : w->asker.id));
	else if (w->asker.id[0] != '\0')
		send_frame(h, w->asker.conn, frame_ack_status(w->asker.id, ev->persist->status));
	free(w);
	if (ev->outcome == ERR_OK && m != NULL && m->writes == 0 && m->status != ev->status) {
		m->status = ev->status;
		roster_changed(h);
		member_settle(h, m);
	}
}

static void
on_message(struct hub *h, struct conn *c, const struct message *m)
{
	typedef void message_fn(struct hub * h, struct conn * c, const struct message *m);
	static message_fn *const handlers[MESSAGE__COUNT] = {
		[MESSAGE_CHAT] = on_chat,
		[MESSAGE_SIGNAL] = on_signal,
		[MESSAGE_CALL_START] = calls_start,
		[MESSAGE_CALL_END] = calls_end,
		[MESSAGE_CALL_ACCEPT] = calls_accept,
		[MESSAGE_CALL_REJECT] = calls_end,
		[MESSAGE_SET_STATUS] = on_set_status,
	};

	handlers[m->type](h, c, m);
}

static void
on_connected(struct hub *h, const struct event *ev)
{
	struct conn *c;

	roster_connected(h, ev->conn, ev->user);
	if ((c = conn_find(h, ev->conn)) == NULL)
		return;
	effect(h, EFFECT_LIST)->conn = ev->conn;
	calls_connected(h, c);
}

static void
on_lost(struct hub *h, struct conn *c)
{
	calls_lost(h, c);
	roster_lost(h, c);
}

static void
on_persisted(struct hub *h, const struct event *ev)
{
	switch (ev->persist->kind) {
	case PERSIST_PRESENT:
	case PERSIST_ABSENT:
		roster_persisted(h, ev);
		break;
	case PERSIST_STATUS:
		status_persisted(h, ev);
		break;
	case PERSIST_CALL_START:
	case PERSIST_CALL_ANSWER:
	case PERSIST_CALL_END:
		calls_persisted(h, ev);
		break;
	}
}

static void
handle(struct hub *h, const struct event *ev)
{
	struct conn *c = conn_find(h, ev->conn);

	switch (ev->kind) {
	case EVENT_CONNECTED:
		on_connected(h, ev);
		break;
	case EVENT_LOST:
		if (c != NULL)
			on_lost(h, c);
		break;
	case EVENT_MESSAGE:
		if (c != NULL)
			on_message(h, c, ev->message);
		break;
	case EVENT_CHANGED:
		roster_row(h, ev->user);
		break;
	case EVENT_PERSISTED:
		on_persisted(h, ev);
		break;
	case EVENT_WAS_PRESENT:
		roster_was_present(h, ev->user->id);
		break;
	case EVENT_WAS_IN_CALL:
		calls_restore(h, ev->call);
		break;
	case EVENT_LOADED:
		roster_loaded(h);
		break;
	case EVENT_TICK:
		break;
	}
}

void
hub_step(struct hub *h, const struct event *ev, int64_t now_ms, int64_t wall_ms, struct effects *fx)
{
	fx->count = 0;
	h->now_ms = now_ms;
	h->wall_ms = wall_ms;
	h->fx = fx;
	handle(h, ev);
	run_timers(h);
	announce_list(h);
	h->fx = NULL;
}

void
effects_fini(struct effects *fx)
{
	for (unsigned i = 0; i < fx->count; i++)
		frame_unref(fx->list[i].frame);
	fx->count = 0;
}

struct hub *
hub_new(const struct hub_settings *settings)
{
	struct hub *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->settings = *settings;
	h->loading = true;
	return h;
}

void
hub_free(struct hub *h)
{
	struct status_write *w;

	if (h == NULL)
		return;
	while ((w = h->status_writes) != NULL) {
		DL_DELETE(h->status_writes, w);
		free(w);
	}
	roster_free(h);
	frame_unref(h->list);
	free(h);
}

uint64_t
hub_list_revision(const struct hub *h)
{
	return h->list_revision;
}

bool
hub_knows(const struct hub *h, struct user_id user)
{
	struct member *m = NULL;

	HASH_FIND(hh, h->members, &user, sizeof(user), m);
	return m != NULL;
}

unsigned
hub_connections(const struct hub *h, struct user_id user)
{
	struct member *m = NULL;

	HASH_FIND(hh, h->members, &user, sizeof(user), m);
	return m == NULL ? 0 : m->conn_count;
}

unsigned
hub_calls(const struct hub *h)
{
	return h->calls;
}
