/* What is true of a call by the rules. */
#include <stdio.h>
#include <string.h>

#include "world.h"

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
talk_may_end_soon(const struct talk *t)
{
	return t->over || t->asked[0] || t->asked[1] || t->absent[0] || t->absent[1] ||
	       t->revoked[0] || t->revoked[1] || t->storing == CALL_ENDED || t->end_failed_ms != 0;
}

bool
said_means(const struct said *s, const struct talk *t)
{
	const struct person *peer = t->party[1 - talk_side(t, s->from)];

	return (s->to == 0 || s->to == peer->row.id.v) &&
	       (!s->with_call_id || strcmp(s->call_id, t->id) == 0);
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

static void
talk_set_state(struct world *w, struct talk *t, enum call_state state)
{
	int side = state == CALL_RINGING ? 0 : 1;

	t->state = state;
	t->state_ms = t->party_ms[side] = w->now_ms;
	if (side == 1 && client_find(w, t->answerer) != NULL)
		t->on[1] = t->answerer;
	t->missing[side] = t->on[side].v == 0;
	t->states_due++;
	/* What came while it rang has gone to all of the callee's clients. */
	t->line[1].taken = t->line[1].count;
}

/* A call that a restart has ended: who is not there to hear of it is told when she comes. */
static void
leave_farewell(struct world *w, const struct talk *t)
{
	for (int side = 0; side < 2; side++) {
		struct person *p = t->party[side];

		if (p->clients > 0)
			continue;
		memcpy(p->farewell, t->id, sizeof(p->farewell));
		p->farewell_from = t->party[0]->row.id.v;
		p->farewell_ms = w->now_ms;
	}
}

static void
has_ended(struct world *w, struct talk *t, enum call_reason reason)
{
	t->state = CALL_ENDED;
	t->states_due++;
	if (reason == CALL_SERVER_RESTART)
		leave_farewell(w, t);
}

void
talk_persisted(struct world *w, const struct event *ev)
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
		has_ended(w, t, ev->persist->reason);
}

/* The party SIDE has T on CONN from now on. */
static void
attach(struct talk *t, int side, struct conn_id conn)
{
	if (t->missing[side])
		t->states_due++;
	t->on[side] = conn;
	t->heir[side].v = 0;
	t->missing[side] = false;
}

/* A call is on one connection of each party. Where that is lost, the newest that has come since has
 * it, or the next that comes or acts for it. One of telemed.v1 has to ask for it. */
void
talk_connected(struct talk *t, int side, struct client *c)
{
	if (side == 1 && t->state != CALL_ACTIVE)
		return; /* it rings, at most */
	if (c->v1)
		return;
	c->asked = t->serial;
	if (t->on[side].v == 0)
		attach(t, side, c->id);
	else
		t->heir[side] = c->id;
}

void
talk_lost(const struct world *w, struct talk *t, int side, struct conn_id conn)
{
	if (conn_same(t->heir[side], conn))
		t->heir[side].v = 0;
	if (!conn_same(t->on[side], conn))
		return;
	t->on[side] = t->heir[side];
	t->heir[side].v = 0;
	t->party_ms[side] = w->now_ms;
	if (t->on[side].v != 0 || t->state == CALL_NONE)
		return;
	t->missing[side] = true;
	t->states_due++;
}

/* The session of CONN was logged out. */
void
talk_revoked(struct talk *t, struct conn_id conn)
{
	for (int side = 0; side < 2; side++)
		t->revoked[side] = t->revoked[side] || conn_same(t->on[side], conn);
	if (t->storing == CALL_ACTIVE && conn_same(t->answerer, conn))
		t->revoked[1] = true;
}

void
talk_barred(struct talk *t, const struct person *p)
{
	t->revoked[talk_side(t, p)] = true;
}

/* It counts as the caller's. */
void
talk_ended_by_operator(struct world *w, const struct live_call *c)
{
	struct person *caller = person_of(w, c->caller);
	struct talk *t = caller->talk;

	if (t != NULL && t->party[0] == caller && strcmp(t->id, c->call_id) == 0)
		t->revoked[0] = true;
}

/* A signal within a call is the next of its direction, unless the hub refuses it. */
static void
line_add(struct world *w, struct talk *t, const struct said *s, size_t data_len)
{
	int to = 1 - talk_side(t, s->from);
	struct line *l = &t->line[to];
	struct frame *f = frame_signal(s->from->row.id, (struct json_raw){ "", 0 });
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
	int side = talk_side(t, s->from);

	attach(t, side, s->conn);
	c->asked = t->serial;
	c->heard_end = c->heard_elsewhere = 0;
	if (t->state != CALL_NONE)
		c->rung = t->serial;
}

bool
talk_can_resume(const struct talk *t)
{
	return (t->state == CALL_RINGING || t->state == CALL_ACTIVE) && !talk_may_end_soon(t);
}

/* The call goes on where S comes from; a connection that had it has it no more, and is told so if
 * it is a doctor's or of telemed.v1. */
static void
resume(struct world *w, struct talk *t, const struct said *s)
{
	int side = talk_side(t, s->from);

	if (!said_means(s, t) || !talk_can_resume(t))
		return;
	if (side == 1 && t->state == CALL_RINGING) {
		client_find(w, s->conn)->rung = 0; /* it rings, maybe once more */
	} else if (!conn_same(t->on[side], s->conn)) {
		const struct client *old = t->on[side].v == 0 ? NULL : client_find(w, t->on[side]);

		if (old != NULL && (side == 1 || old->v1))
			t->ousted = old->id;
		if (side == 1)
			t->answerer = s->conn;
		come_back(w, t, s);
	}
}

void
talk_message(struct world *w, const struct message *m)
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
		line_add(w, t, s, m->data.len);
	}
	if (s->type == MESSAGE_CALL_RESUME)
		resume(w, t, s);
	if (s->type == MESSAGE_CALL_START && is_repetition(s, t))
		s->serial = t->serial;
	if ((s->type == MESSAGE_CALL_END || s->type == MESSAGE_CALL_REJECT) && said_means(s, t)) {
		t->asked[side] = true;
		s->serial = t->serial;
	}
}

void
talk_restored(struct world *w, const struct live_call *c)
{
	struct talk *t = talk_new(w, person_of(w, c->caller), person_of(w, c->callee), c->call_id);

	t->restored = true;
	talk_set_state(w, t, c->state);
	if (c->answered_ms != 0)
		t->state_ms -= w->wall_ms - c->answered_ms;
	t->states_due = 0; /* nobody is there */
	t->missing[0] = t->missing[1] = c->state == CALL_ACTIVE;
	t->party_ms[0] = t->party_ms[1] = w->now_ms;
	for (int side = 0; side < 2; side++)
		t->revoked[side] = t->party[side]->row.disabled;
}

static void
party_time(const struct world *w, struct talk *t, int side)
{
	bool counts = t->state == CALL_ACTIVE || (t->state == CALL_RINGING && side == 0);

	if (counts && t->on[side].v == 0 &&
	    w->now_ms - t->party_ms[side] >= w->settings.call_grace_ms)
		t->absent[side] = true;
}

void
talk_pass_time(const struct world *w, struct talk *t)
{
	party_time(w, t, 0);
	party_time(w, t, 1);
}

/* What holds for one step only. */
void
talk_step_done(const struct world *w, struct talk *t)
{
	for (int side = 0; side < 2; side++) {
		if (w->now_ms - t->party_ms[side] >= w->settings.call_grace_ms)
			t->missing[side] = false; /* and will not be waited for any more */
	}
	t->states_due = 0;
	t->ousted.v = 0;
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
	case CALL_REVOKED:
		return t->revoked[side];
	case CALL_MAX_DURATION:
	case CALL_SERVER_RESTART:
		return side == 0;
	default:
		return false;
	}
}

/* Was the caller gone for the whole grace before the ring's end? */
static bool
caller_left_first(const struct world *w, const struct talk *t)
{
	return t->absent[0] && t->party_ms[0] + w->settings.call_grace_ms <
				   t->state_ms + w->settings.ring_timeout_ms;
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
		return rings && age_ms >= w->settings.ring_timeout_ms && !caller_left_first(w, t);
	case CALL_MAX_DURATION:
		return !rings && age_ms >= w->settings.call_max_ms;
	case CALL_SERVER_RESTART:
		return rings && t->restored;
	default:
		return true;
	}
}

/* A start may be stored for a free patient and a doctor who is free, there and ONLINE. */
void
talk_start(struct world *w, const struct persist *p)
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
	    callee->pending || callee->clients == 0 || callee->chosen != STATUS_ONLINE)
		broken(w, RULE_REFUSAL, "%d may not call %d", (int)p->user.v, (int)p->peer.v);
	t = talk_new(w, caller, callee, p->call_id);
	t->storing = CALL_RINGING;
	t->seq = p->seq;
	t->on[0] = s->conn;
	client_find(w, s->conn)->asked = t->serial;
	s->serial = t->serial;
}

void
talk_move(struct world *w, const struct persist *p)
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
	if (to == CALL_ACTIVE && w->current != NULL) {
		t->answerer = w->current->conn;
		client_find(w, t->answerer)->asked = t->serial;
	}
	if (to == CALL_ENDED && !reason_is_true(w, t, p->reason))
		broken(w, RULE_REASON, "call %s ends as %s", t->id, call_reason_name(p->reason));
	t->storing = to;
	t->seq = p->seq;
}

/* What the hub has refused has not happened. */
void
talk_take_back(struct world *w, const struct said *s)
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
