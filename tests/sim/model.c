/* What is true by the rules, worked out from nothing but events, their results and time. */
#include <stdio.h>
#include <string.h>

#include "world.h"

struct person *
person_of(struct world *w, struct user_id id)
{
	return id.v >= 1 && id.v <= w->people ? &w->person[id.v - 1] : NULL;
}

struct talk *
talk_find(struct world *w, unsigned serial)
{
	for (unsigned i = 0; i < PEOPLE_MAX && serial != 0; i++) {
		if (w->talk[i].serial == serial)
			return &w->talk[i];
	}
	return NULL;
}

int
talk_side(const struct talk *t, const struct person *p)
{
	return p == t->party[0] ? 0 : 1;
}

enum status
person_shown(const struct person *p)
{
	const struct talk *t = p->talk;

	return t != NULL && t->state != CALL_NONE && !t->over ? STATUS_BUSY : p->chosen;
}

bool
person_is_listed(const struct person *p)
{
	return p->present || (p->row.role == ROLE_DOCTOR && person_shown(p) != STATUS_OFFLINE);
}

bool
talk_may_end_soon(const struct talk *t)
{
	return t->over || t->asked[0] || t->asked[1] || t->absent[0] || t->absent[1] ||
	       t->storing == CALL_ENDED || t->end_failed_ms != 0;
}

bool
said_means(const struct said *s, const struct talk *t)
{
	const struct person *peer = t->party[1 - talk_side(t, s->from)];

	return (s->to == 0 || s->to == peer->row.id.v) &&
	       (!s->with_call_id || strcmp(s->call_id, t->id) == 0);
}

void
model_reset(struct world *w)
{
	for (unsigned i = 0; i < w->people; i++) {
		struct person *p = &w->person[i];

		p->chosen = STATUS_OFFLINE;
		p->present = p->unsaved = false;
		p->clients = p->writes = 0;
		p->talk = NULL;
		memcpy(p->statuses_acked, p->statuses_stored, sizeof(p->statuses_acked));
	}
	for (unsigned i = 0; i < PEOPLE_MAX; i++)
		w->talk[i].serial = 0;
	w->statuses_asked = 0;
}

static struct talk *
talk_new(struct world *w, struct person *caller, struct person *callee, const char *id)
{
	struct talk *t = w->talk;

	while (t->serial != 0)
		t++;
	memset(t, 0, offsetof(struct talk, line));
	for (int side = 0; side < 2; side++) {
		struct line *l = &t->line[side];

		l->count = l->taken = l->kept = 0;
		l->kept_bytes = 0;
	}
	t->serial = ++w->last_serial;
	t->party[0] = caller;
	t->party[1] = callee;
	snprintf(t->id, sizeof(t->id), "%s", id);
	caller->talk = callee->talk = t;
	return t;
}

static struct conn_id
newest_client(const struct world *w, const struct person *p)
{
	struct conn_id newest = { 0 };

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (w->client[i].user == p && w->client[i].id.v > newest.v)
			newest = w->client[i].id;
	}
	return newest;
}

static void
talk_set_state(struct world *w, struct talk *t, enum call_state state)
{
	int side = state == CALL_RINGING ? 0 : 1;

	t->state = state;
	t->state_ms = t->party_ms[side] = w->now_ms;
	if (side == 1)
		t->on[1] = client_find(w, t->answerer) != NULL ? t->answerer
							       : newest_client(w, t->party[1]);
	/* What came while it rang has gone to all of the callee's clients. */
	t->line[1].taken = t->line[1].count;
}

static void
on_call_persisted(struct world *w, const struct event *ev)
{
	struct talk *t = person_of(w, ev->persist->user)->talk;
	enum call_state to;

	if (t == NULL || t->seq != ev->persist->seq || t->storing == CALL_NONE) {
		broken(w, RULE_STORE, "a write to a call that is over");
		return;
	}
	to = t->storing;
	t->storing = CALL_NONE;
	if (to == CALL_RINGING)
		t->outcome = ev->outcome;
	if (ev->outcome == ERR_OK && to != CALL_ENDED)
		talk_set_state(w, t, to);
	else if (to == CALL_ENDED && ev->outcome != ERR_OK)
		t->end_failed_ms = w->now_ms;
	else if (to == CALL_ACTIVE)
		t->line[0].taken = t->line[0].count; /* the answer is dropped */
	else
		t->over = true;
	if (to == CALL_ENDED && ev->outcome == ERR_OK)
		t->state = CALL_ENDED;
}

static void
on_persisted(struct world *w, const struct event *ev)
{
	struct person *p = person_of(w, ev->persist->user);

	if (ev->persist->kind >= PERSIST_CALL_START) {
		on_call_persisted(w, ev);
		return;
	}
	if (ev->persist->kind != PERSIST_STATUS) {
		p->writes--;
		p->unsaved = p->unsaved || ev->outcome != ERR_OK;
	} else {
		w->statuses_asked--;
	}
	if (ev->outcome == ERR_OK && p->writes == 0)
		p->chosen = ev->status;
}

/* Until our own write is answered, what the store says is old. */
static void
on_row(struct person *p, const struct user *row)
{
	if (p->writes == 0)
		p->chosen = row->status;
}

static void
on_connected(struct person *p, const struct user *row)
{
	on_row(p, row);
	p->clients++;
	p->present = true;
	if (p->chosen == STATUS_OFFLINE)
		p->chosen = STATUS_ONLINE;
}

/* A call is on one connection of each party. Where that is lost, the newest that has come since has
 * it, or the next that comes or acts for it. */
static void
party_connected(struct talk *t, int side, struct conn_id conn)
{
	if (side == 1 && t->state != CALL_ACTIVE)
		return; /* it rings, at most */
	if (t->on[side].v == 0)
		t->on[side] = conn;
	else
		t->heir[side] = conn;
}

static void
party_lost(struct world *w, struct talk *t, int side, struct conn_id conn)
{
	if (conn_same(t->heir[side], conn))
		t->heir[side].v = 0;
	if (!conn_same(t->on[side], conn))
		return;
	t->on[side] = t->heir[side];
	t->heir[side].v = 0;
	t->party_ms[side] = w->now_ms;
}

/* A signal within a call is the next of its direction, unless the hub refuses it. */
static void
line_add(struct world *w, struct talk *t, const struct said *s, size_t data_len)
{
	int to = 1 - talk_side(t, s->from);
	struct line *l = &t->line[to];
	struct frame *f = frame_signal(s->from->row.id, "", 0);
	size_t bytes = f->len + data_len;
	bool kept = to == 1 && t->state != CALL_ACTIVE && l->kept < 65 &&
		    l->kept_bytes + bytes <= 256 << 10;

	frame_unref(f);
	if (l->count == SIGNALS_MAX) {
		broken(w, RULE_BOUNDS, "the simulation has no room for so many signals");
		return;
	}
	l->list[l->count].said = (unsigned)(s - w->said);
	l->list[l->count].bytes = (unsigned)bytes;
	l->list[l->count].kept = kept;
	l->count++;
	if (kept) {
		l->kept++;
		l->kept_bytes += bytes;
	}
}

static bool
is_repetition(const struct said *s, const struct talk *t)
{
	return t != NULL && t->party[0] == s->from && s->to == t->party[1]->row.id.v &&
	       s->with_call_id && strcmp(s->call_id, t->id) == 0;
}

/* S is for the call, whose connection on that side is lost: it goes on here. A device that was told
 * that another one had answered will hear of the end all the same. */
static void
come_back(struct world *w, struct talk *t, const struct said *s)
{
	struct client *c = client_find(w, s->conn);

	t->on[talk_side(t, s->from)] = s->conn;
	c->heard_end = 0;
}

static void
on_message(struct world *w, const struct message *m)
{
	struct said *s = w->current;
	struct talk *t = s->from->talk;
	int side = t == NULL ? 0 : talk_side(t, s->from);

	if (t == NULL)
		return;
	w->asked_before = t->asked[side];
	if (s->type == MESSAGE_SIGNAL && s->to == t->party[1 - side]->row.id.v) {
		if (t->on[side].v == 0 && (side == 0 || t->state == CALL_ACTIVE) &&
		    !talk_may_end_soon(t))
			come_back(w, t, s);
		line_add(w, t, s, m->data_len);
	}
	if (s->type == MESSAGE_CALL_START && is_repetition(s, t))
		s->serial = t->serial;
	if ((s->type == MESSAGE_CALL_END || s->type == MESSAGE_CALL_REJECT) && said_means(s, t)) {
		t->asked[side] = true;
		s->serial = t->serial;
	}
}

static void
was_in_call(struct world *w, const struct live_call *c)
{
	struct talk *t = talk_new(w, person_of(w, c->caller), person_of(w, c->callee), c->call_id);

	t->restored = true;
	talk_set_state(w, t, c->state);
	t->party_ms[0] = t->party_ms[1] = w->now_ms;
}

static void
party_time(const struct world *w, struct talk *t, int side)
{
	bool counts = t->state == CALL_ACTIVE || (t->state == CALL_RINGING && side == 0);

	if (counts && t->on[side].v == 0 &&
	    w->now_ms - t->party_ms[side] >= w->settings.call_grace_ms)
		t->absent[side] = true;
}

static void
pass_time(struct world *w)
{
	for (unsigned i = 0; i < w->people; i++) {
		struct person *p = &w->person[i];

		if (p->present && p->clients == 0 &&
		    w->now_ms - p->gone_ms >= w->settings.presence_grace_ms) {
			p->present = false;
			p->chosen = STATUS_OFFLINE;
		}
	}
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		if (w->talk[i].serial != 0) {
			party_time(w, &w->talk[i], 0);
			party_time(w, &w->talk[i], 1);
		}
	}
}

void
model_event(struct world *w, const struct event *ev)
{
	struct person *p = ev->user == NULL ? NULL : person_of(w, ev->user->id);

	switch (ev->kind) {
	case EVENT_CONNECTED:
		on_connected(p, ev->user);
		if (p->talk != NULL)
			party_connected(p->talk, talk_side(p->talk, p), ev->conn);
		break;
	case EVENT_LOST:
		if (--p->clients == 0)
			p->gone_ms = w->now_ms;
		if (p->talk != NULL)
			party_lost(w, p->talk, talk_side(p->talk, p), ev->conn);
		break;
	case EVENT_MESSAGE:
		on_message(w, ev->message);
		break;
	case EVENT_CHANGED:
		on_row(p, ev->user);
		break;
	case EVENT_PERSISTED:
		on_persisted(w, ev);
		break;
	case EVENT_WAS_PRESENT:
		p->present = true;
		p->gone_ms = w->now_ms;
		break;
	case EVENT_WAS_IN_CALL:
		was_in_call(w, ev->call);
		break;
	case EVENT_REVOKED:
	case EVENT_TICK:
	case EVENT_LOADED:
		break;
	}
	pass_time(w);
}

bool
talk_ends_by(const struct talk *t, enum call_reason reason, int side)
{
	switch (reason) {
	case CALL_HANGUP:
		return t->asked[side];
	case CALL_CANCELLED:
		return t->asked[side] && side == 0;
	case CALL_REJECTED:
		return t->asked[side] && side == 1;
	case CALL_NO_ANSWER:
		return side == 1;
	case CALL_DISCONNECTED:
		return t->absent[side];
	case CALL_MAX_DURATION:
	case CALL_SERVER_RESTART:
		return side == 0;
	default:
		return false;
	}
}

static bool
reason_is_true(const struct world *w, const struct talk *t, enum call_reason reason)
{
	bool rings = t->state == CALL_RINGING;
	int64_t age_ms = w->now_ms - t->state_ms;

	if (!talk_ends_by(t, reason, 0) && !talk_ends_by(t, reason, 1))
		return false;
	switch (reason) {
	case CALL_HANGUP:
		return !rings;
	case CALL_CANCELLED:
	case CALL_REJECTED:
		return rings;
	case CALL_NO_ANSWER:
		return rings && age_ms >= w->settings.ring_timeout_ms;
	case CALL_MAX_DURATION:
		return !rings && age_ms >= w->settings.call_max_ms;
	case CALL_SERVER_RESTART:
		return rings && t->restored;
	default:
		return true;
	}
}

/* A start may be stored for a free patient and a doctor who is free, there and ONLINE. */
static void
on_start(struct world *w, const struct persist *p)
{
	struct person *caller = person_of(w, p->user);
	struct person *callee = person_of(w, p->peer);
	struct said *s = w->current;
	struct talk *t;

	if (s == NULL || s->type != MESSAGE_CALL_START || s->from != caller || s->to != p->peer.v ||
	    s->bad_call_id || !call_id_ok(p->call_id) ||
	    (s->with_call_id && strcmp(s->call_id, p->call_id) != 0)) {
		broken(w, RULE_STORE, "a call that nobody has asked for");
		return;
	}
	if (caller->talk != NULL || callee->talk != NULL) {
		broken(w, RULE_ONE_CALL, "%d calls %d, and one of them is in a call",
		    (int)p->user.v, (int)p->peer.v);
		return;
	}
	if (caller->row.role != ROLE_PATIENT || callee->row.role != ROLE_DOCTOR ||
	    callee->clients == 0 || callee->chosen != STATUS_ONLINE)
		broken(w, RULE_REFUSAL, "%d may not call %d", (int)p->user.v, (int)p->peer.v);
	t = talk_new(w, caller, callee, p->call_id);
	t->storing = CALL_RINGING;
	t->seq = p->seq;
	t->on[0] = s->conn;
	s->serial = t->serial;
}

static void
on_move(struct world *w, const struct persist *p)
{
	struct talk *t = person_of(w, p->user)->talk;
	enum call_state to = p->kind == PERSIST_CALL_END ? CALL_ENDED : CALL_ACTIVE;

	if (t == NULL || t->over || t->party[0]->row.id.v != p->user.v || t->storing != CALL_NONE ||
	    t->state == CALL_NONE) {
		broken(w, RULE_STORE, "a write to a call that cannot be moved");
		return;
	}
	if (to == CALL_ACTIVE &&
	    (t->state != CALL_RINGING || w->current == NULL || w->current->from != t->party[1]))
		broken(w, RULE_THIRD_PARTY, "call %s is answered, and not by its callee", t->id);
	if (to == CALL_ACTIVE && w->current != NULL)
		t->answerer = w->current->conn;
	if (to == CALL_ENDED && !reason_is_true(w, t, p->reason))
		broken(w, RULE_REASON, "call %s ends as %s", t->id, call_reason_name(p->reason));
	t->storing = to;
	t->seq = p->seq;
}

void
model_persist(struct world *w, const struct persist *p)
{
	struct person *u = person_of(w, p->user);

	trace(w, "  store: kind %d of %d", (int)p->kind, (int)p->user.v);
	if (p->seq <= w->seq)
		broken(w, RULE_STORE, "write %u after %u", (unsigned)p->seq, (unsigned)w->seq);
	w->seq = p->seq;
	switch (p->kind) {
	case PERSIST_PRESENT:
	case PERSIST_ABSENT:
		u->writes++;
		u->unsaved = false;
		if (u->present != (p->kind == PERSIST_PRESENT))
			broken(w, RULE_STORE, "%d is stored as present: %d", (int)p->user.v,
			    p->kind == PERSIST_PRESENT);
		break;
	case PERSIST_STATUS:
		w->statuses_asked++;
		if (w->current == NULL || w->current->from != u || u->row.role != ROLE_DOCTOR)
			broken(w, RULE_THIRD_PARTY, "a status that %d has not set", (int)p->user.v);
		break;
	case PERSIST_CALL_START:
		on_start(w, p);
		break;
	case PERSIST_CALL_ANSWER:
	case PERSIST_CALL_END:
		on_move(w, p);
		break;
	}
}

/* What the hub has refused has not happened. */
static void
take_back(struct world *w, const struct said *s)
{
	struct talk *t = s->from->talk;
	struct line *l;

	if (t == NULL || !s->refused)
		return;
	l = &t->line[1 - talk_side(t, s->from)];
	if (s->type == MESSAGE_SIGNAL && l->count > 0 &&
	    l->list[l->count - 1].said == (unsigned)(s - w->said)) {
		l->count--;
		if (l->list[l->count].kept) {
			l->kept--;
			l->kept_bytes -= l->list[l->count].bytes;
		}
	} else if (s->type == MESSAGE_CALL_END || s->type == MESSAGE_CALL_REJECT) {
		t->asked[talk_side(t, s->from)] = w->asked_before;
	}
}

void
model_taken(struct world *w)
{
	const struct said *s = w->current;
	struct client *c = s == NULL ? NULL : client_find(w, s->conn);

	if (s == NULL)
		return;
	take_back(w, s);
	if (c != NULL && !s->refused && s->type == MESSAGE_CALL_END)
		c->heard_end = 0; /* whoever ends a call hears of it */
}

void
model_done(struct world *w)
{
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		struct talk *t = &w->talk[i];

		if (t->serial == 0 || !t->over)
			continue;
		t->party[0]->talk = t->party[1]->talk = NULL;
		t->serial = 0;
	}
}
