#include "hub.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "hub_state.h"

/* A step that runs timers stops short of filling its effects; one event alone never comes near it.
 */
enum { EFFECTS_ROOM = 300 };

/* What a v1 client is asked to wait between two tries to connect. */
enum { RECONNECT_MIN_MS = 500, RECONNECT_MAX_MS = 15000 };

struct effect *
hub_effect(struct hub *h, enum effect_kind kind)
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
	struct effect *e = hub_effect(h, EFFECT_SEND);

	e->conn = to;
	e->frame = frame;
}

void
note_denial(struct hub *h, const struct conn *c, const struct message *m, const char *code)
{
	struct effect *e = hub_effect(h, EFFECT_DENIED);

	e->conn = c->id;
	e->code = code;
	e->peer = m->to;
}

void
send_error(struct hub *h, const struct conn *to, const struct message *re, const char *code,
    const char *message)
{
	send_frame(h, to->id, frame_error(code, message, re->type_text, re->id));
	if (strcmp(code, "forbidden") == 0 || strcmp(code, "no_call") == 0)
		note_denial(h, to, re, code);
}

void
refuse_call(struct hub *h, struct conn_id to, struct user_id callee, const char *call_id,
    const char *reason, const char *id)
{
	struct effect *e = hub_effect(h, EFFECT_SEND);

	e->conn = to;
	e->frame = frame_call_refused(callee, call_id, reason, id);
	e->code = reason;
}

struct persist *
persist(struct hub *h, enum persist_kind kind, struct user_id user)
{
	struct effect *e = hub_effect(h, EFFECT_PERSIST);

	e->persist.kind = kind;
	e->persist.seq = ++h->seq;
	e->persist.user = user;
	return &e->persist;
}

struct turn_grant
turn_grant_to(const struct hub *h, struct user_id user)
{
	return (struct turn_grant){
		.settings = h->settings.turn, .user = user, .now_s = h->wall_ms / 1000
	};
}

void
timer_init(struct timer *t, enum timer_kind kind, void *owner)
{
	*t = (struct timer){ .kind = kind, .owner = owner };
}

void
timer_arm(struct hub *h, struct timer *t, int64_t length_ms)
{
	struct timer *before; /* the last that is due no later */

	timer_disarm(h, t);
	t->due_ms = h->now_ms + length_ms;
	before = h->timers[t->kind] == NULL ? NULL : h->timers[t->kind]->prev;
	while (before != NULL && before->due_ms > t->due_ms)
		before = before == h->timers[t->kind] ? NULL : before->prev;
	DL_APPEND_ELEM(h->timers[t->kind], before, t);
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

/* Who has not come back will not be told any more. */
static void
farewell_over(struct hub *h, struct member *m)
{
	roster_farewell_over(h, m);
	member_settle(h, m);
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
	case TIMER_FAREWELL:
		farewell_over(h, owner);
		break;
	case TIMER_END_RETRY:
		calls_end_again(h, owner);
		break;
	case TIMER__COUNT:
		break;
	}
}

/* The one that is due first; NULL: there is none. */
static struct timer *
first_timer(const struct hub *h)
{
	struct timer *first = NULL;

	for (unsigned kind = 0; kind < TIMER__COUNT; kind++) {
		struct timer *t = h->timers[kind];

		if (t != NULL && (first == NULL || t->due_ms < first->due_ms))
			first = t;
	}
	return first;
}

/* In order of time: after a stall, too, what has become of a call is what was due first. */
static void
run_timers(struct hub *h)
{
	struct timer *t;

	while ((t = first_timer(h)) != NULL && t->due_ms <= h->now_ms) {
		if (h->fx->count > EFFECTS_MAX - EFFECTS_ROOM)
			return; /* hub_deadline() says that there is more */
		run_timer(h, t);
	}
}

/* The first change goes out at once; those that follow closely share the next one. */
static void
announce_list(struct hub *h)
{
	if (!h->list_due || h->loading || h->now_ms < h->list_next_ms)
		return;
	view_announce(h);
	hub_effect(h, EFFECT_ANNOUNCE);
	h->list_next_ms = h->now_ms + h->settings.list_interval_ms;
}

int64_t
hub_deadline(const struct hub *h)
{
	const struct timer *t = first_timer(h);
	int64_t due = t == NULL ? INT64_MAX : t->due_ms;

	return h->list_due && h->list_next_ms < due ? h->list_next_ms : due;
}

/* What needs a call is answered by its own handler: a pending doctor has none. */
static bool
of_calls(enum message_type type)
{
	return type != MESSAGE_CHAT && type != MESSAGE_SIGNAL && type != MESSAGE_SET_STATUS;
}

static void
on_message(struct hub *h, struct conn *c, const struct message *m)
{
	typedef void message_fn(struct hub * h, struct conn * c, const struct message *m);
	static message_fn *const handlers[MESSAGE__COUNT] = {
		[MESSAGE_CHAT] = route_chat,
		[MESSAGE_SIGNAL] = route_signal,
		[MESSAGE_CALL_START] = calls_start,
		[MESSAGE_CALL_END] = calls_end,
		[MESSAGE_CALL_ACCEPT] = calls_accept,
		[MESSAGE_CALL_REJECT] = calls_end,
		[MESSAGE_CALL_RESUME] = calls_resume,
		[MESSAGE_SET_STATUS] = route_set_status,
	};

	if (c->user->hidden && !of_calls(m->type))
		send_error(h, c, m, "forbidden", "The account waits for approval");
	else
		handlers[m->type](h, c, m);
}

static void
write_limits(const struct hub *h, struct json_writer *w)
{
	jw_object(w, "limits");
	jw_int(w, "messageBytes", MESSAGE_BYTES_MAX);
	jw_int(w, "chatCharacters", CHAT_CHARS_MAX);
	jw_int(w, "messagesPerSecond", h->settings.messages_per_s);
	jw_int(w, "connections", h->settings.user_connections);
	jw_object_end(w);
}

/* The first message to a v1 connection. */
static struct frame *
make_welcome(const struct hub *h, const struct conn *c, const struct event *ev)
{
	const struct member *m = c->user;
	char text[RFC3339_SIZE];
	struct frame_builder b;

	frame_begin(&b, FRAME_WELCOME);
	view_write_user(m, "user", &b.w);
	snprintf(text, sizeof(text), "%llx", (unsigned long long)ev->shown_id);
	jw_string(&b.w, "connectionId", text);
	jw_string(&b.w, "version", TELEMED_VERSION);
	jw_int(&b.w, "heartbeatMs", h->settings.heartbeat_ms);
	write_limits(h, &b.w);
	jw_object(&b.w, "reconnect");
	jw_int(&b.w, "minMs", RECONNECT_MIN_MS);
	jw_int(&b.w, "maxMs", RECONNECT_MAX_MS);
	jw_object_end(&b.w);
	jw_string(&b.w, "tokenExpiresAt", clock_rfc3339(ev->expires_ms, text));
	calls_write_active(m, &b.w);
	jw_object_end(&b.w);
	return frame_end(&b);
}

static void
on_connected(struct hub *h, const struct event *ev)
{
	struct conn *c;

	roster_connected(h, ev);
	if ((c = conn_find(h, ev->conn)) == NULL)
		return;
	if (c->v1)
		send_frame(h, c->id, make_welcome(h, c, ev));
	if (HASH_COUNT(h->members) <= h->settings.list_fresh_max)
		view_forget_lists(h);
	hub_effect(h, EFFECT_LIST)->conn = ev->conn;
	if (c->user->farewell != NULL) {
		if (c->v1)
			send_frame(h, c->id, frame_ref(c->user->farewell_state));
		send_frame(h, c->id, frame_ref(c->user->farewell));
		roster_farewell_over(h, c->user);
	}
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
		route_status_persisted(h, ev);
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
	case EVENT_REVOKED:
		if (c != NULL)
			calls_revoked(h, c);
		break;
	case EVENT_CALL_REVOKED:
		calls_end_by_operator(h, ev->call);
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
	view_init(h);
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
	view_free(h);
	free(h);
}

void
hub_refuse_calls(struct hub *h, bool refuse)
{
	h->draining = refuse;
}

void
hub_set_rate(struct hub *h, int messages_per_s)
{
	h->settings.messages_per_s = messages_per_s;
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

void
hub_each_connection(const struct hub *h, struct user_id user,
    void (*fn)(void *context, struct conn_id conn), void *context)
{
	struct member *m = NULL;

	HASH_FIND(hh, h->members, &user, sizeof(user), m);
	for (const struct conn *c = m == NULL ? NULL : m->conns; c != NULL; c = c->next)
		fn(context, c->id);
}
