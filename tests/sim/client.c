/* What a client is sent, and whether it may be. */
#include <stdlib.h>
#include <string.h>

#include "world.h"
#include "json/json.h"

/* One frame, read. It lives as long as ROOT. */
struct seen {
	struct json *root;
	const char *type;
	const char *id;
	const char *call_id;
	const char *reason;
	const struct json *data;
	const struct frame *frame;
	int64_t from;
};

struct client *
client_find(struct world *w, struct conn_id id)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (conn_same(w->client[i].id, id))
			return id.v == 0 ? NULL : &w->client[i];
	}
	return NULL;
}

static bool
is(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* The number that a message of ours carries, where the frame hands it on. */
static struct said *
said_of(struct world *w, const char *number)
{
	unsigned long i = number == NULL ? SAID_MAX : strtoul(number, NULL, 10);

	return i < w->said_count ? &w->said[i] : NULL;
}

/* Could what is sent to C be the answer to M, which has no id? */
static bool
may_answer(const struct world *w, const struct client *c, const struct said *m, const char *re)
{
	return m->handed && m->life == w->life && conn_same(m->conn, c->id) && !m->with_id &&
	       m->answers == 0 && is(re, said_name(m));
}

/* Which message of C's is answered. */
static struct said *
answered(struct world *w, const struct client *c, const struct seen *s, const char *re)
{
	struct said *m = said_of(w, s->id);

	if (s->id != NULL)
		return m != NULL && m->life == w->life && conn_same(m->conn, c->id) && m->with_id
			   ? m
			   : NULL;
	if (w->current != NULL && may_answer(w, c, w->current, re))
		return w->current;
	for (unsigned i = 0; i < w->said_count; i++) {
		if (may_answer(w, c, &w->said[i], re))
			return &w->said[i];
	}
	return NULL;
}

static struct said *
take_answer(struct world *w, const struct client *c, const struct seen *s, const char *re)
{
	struct said *m = answered(w, c, s, re);

	if (m == NULL)
		broken(w, RULE_ANSWER, "#%u is sent %s, and has asked for nothing",
		    (unsigned)c->id.v, s->type);
	else if (m->answers++ > 0)
		broken(w, m->type == MESSAGE_CALL_START ? RULE_RESPONSE : RULE_ANSWER,
		    "message %u is answered a second time, by %s", (unsigned)(m - w->said),
		    s->type);
	return m;
}

/* Was what S asks for one call asked for more often than the hub remembers? */
static bool
is_too_often(const struct world *w, const struct said *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->said_count && s->serial != 0; i++) {
		const struct said *other = &w->said[i];
		bool start = other->type == MESSAGE_CALL_START;

		if (other->serial == s->serial && start == (s->type == MESSAGE_CALL_START))
			n++;
	}
	return n > 8;
}

/* Is REASON a true one for refusing S? */
static bool
refusal_is_true(struct world *w, const struct said *s, const char *reason)
{
	const struct person *to = said_to(w, s);
	bool doctor = to != NULL && to->row.role == ROLE_DOCTOR;

	if (is(reason, "not_a_patient"))
		return s->from->row.role != ROLE_PATIENT;
	if (is(reason, "bad_call_id"))
		return s->bad_call_id;
	if (is(reason, "not_found"))
		return to == NULL;
	if (is(reason, "not_a_doctor"))
		return !doctor && to != NULL;
	if (is(reason, "caller_busy")) /* which comes after not_found */
		return s->from->talk != NULL && to != NULL;
	if (is(reason, "busy"))
		return doctor && (to->talk != NULL || to->chosen == STATUS_BUSY);
	if (is(reason, "rate_limited"))
		return is_too_often(w, s);
	if (is(reason, "offline"))
		return doctor && (to->pending || to->clients == 0 || to->chosen == STATUS_OFFLINE);
	return false;
}

/* C is told that it is in T, which no other connection of its user may be told of another. */
static void
is_told(struct world *w, struct client *c, const struct talk *t)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *other = &w->client[i];

		if (other->id.v != 0 && other->user == c->user && other->rung != 0 &&
		    other->rung != t->serial)
			broken(w, RULE_ONE_CALL, "%d is told of call %s, and is in another",
			    (int)c->user->row.id.v, t->id);
	}
	c->rung = t->serial;
}

static bool
is_stored(struct world *w, const struct talk *t, enum call_state state)
{
	const struct call_made *made = store_last_call(w, t->party[0], t->id);

	return made != NULL && made->callee == t->party[1] && made->state == state;
}

/* The answer to a start that the store was asked for. */
static void
read_outcome(struct world *w, struct client *c, const struct talk *t, const struct seen *s, bool ok)
{
	bool may = t->state == CALL_RINGING || t->state == CALL_ACTIVE;

	if (ok != may || (!ok && !t->over))
		broken(w, RULE_RESPONSE, "call %s: ok is %d", t->id, ok);
	if (ok && !is_stored(w, t, CALL_RINGING) && !is_stored(w, t, CALL_ACTIVE))
		broken(w, RULE_COMMITTED, "call %s is ok and not stored", t->id);
	if (!ok && !is(s->reason, t->outcome == ERR_CONFLICT ? "busy" : "unavailable"))
		broken(w, RULE_REFUSAL, "call %s is refused as %s", t->id, s->reason);
	if (ok)
		is_told(w, c, t);
}

static void
read_call_response(struct world *w, struct client *c, const struct seen *s)
{
	const struct said *m = take_answer(w, c, s, "call_start");
	const struct talk *t = m == NULL ? NULL : talk_find(w, m->serial);
	bool ok = s->reason == NULL;

	if (m == NULL)
		return;
	if (ok)
		ice_read(w, c, s->frame);
	else if (json_member(s->data, "iceServers") != NULL)
		broken(w, RULE_ICE, "call %s is refused with servers", s->call_id);
	if (m->type != MESSAGE_CALL_START || s->from != m->to ||
	    (m->with_call_id && !is(s->call_id, m->call_id)))
		broken(
		    w, RULE_RESPONSE, "message %u is answered as another", (unsigned)(m - w->said));
	if (t != NULL && (ok || t->over))
		read_outcome(w, c, t, s, ok);
	else if (ok)
		broken(w, RULE_COMMITTED, "call %s is ok, and no start was stored", s->call_id);
	else if (m != w->current || !refusal_is_true(w, m, s->reason))
		broken(w, RULE_REFUSAL, "message %u is refused as %s", (unsigned)(m - w->said),
		    s->reason);
	if (t != NULL && !t->over && !ok && !talk_may_end_soon(t) && !is(s->reason, "rate_limited"))
		broken(w, RULE_RESPONSE, "the repeated start of call %s is refused", t->id);
}

static void
read_incoming_call(struct world *w, struct client *c, const struct seen *s)
{
	struct talk *t = c->user->talk;
	int64_t ms = -1;

	if (t == NULL || c->user != t->party[1] || !is(s->call_id, t->id) ||
	    t->state != CALL_RINGING || s->from != t->party[0]->row.id.v || c->rung == t->serial) {
		broken(w, RULE_COMMITTED, "#%u is rung for call %s", (unsigned)c->id.v, s->call_id);
		return;
	}
	if (!is_stored(w, t, CALL_RINGING) && !is_stored(w, t, CALL_ACTIVE))
		broken(w, RULE_COMMITTED, "call %s rings and is not stored", t->id);
	if (!json_integer(
		json_member(s->data, "expiresInMs"), 0, w->settings.ring_timeout_ms, &ms) ||
	    !is(json_string(json_member(s->data, "name")), t->party[0]->row.name))
		broken(w, RULE_FRAMES, "call %s rings for how long, from whom?", t->id);
	ice_read(w, c, s->frame);
	is_told(w, c, t);
	c->rung_at = t->line[1].count;
	c->taken = 0;
}

static bool
is_ended_by(const struct talk *t, enum call_reason reason, int64_t from)
{
	for (int side = 0; side < 2; side++) {
		if (t->party[side]->row.id.v == from && talk_ends_by(t, reason, side))
			return true;
	}
	return false;
}

/* Of a call that a restart has ended, when nobody of hers was there. */
static void
read_farewell(struct world *w, struct client *c, const struct seen *s)
{
	if (s->from != c->user->farewell_from || !is(s->reason, "server_restart"))
		broken(w, RULE_FAREWELL, "call %s has ended as %s by %d", s->call_id, s->reason,
		    (int)s->from);
	if (c->farewell_state != c->v1)
		broken(w, RULE_FAREWELL, "#%u is%s told the state of %s", (unsigned)c->id.v,
		    c->v1 ? " not" : "", c->farewell);
	c->farewell[0] = '\0';
}

/* The callee's that do not have the call once it is answered, and one that has lost it to another.
 */
static bool
may_be_elsewhere(const struct talk *t, const struct client *c)
{
	return conn_same(c->id, t->ousted) || (c->user == t->party[1] && t->state == CALL_ACTIVE);
}

static void
read_call_end(struct world *w, struct client *c, const struct seen *s)
{
	const struct talk *t = c->user->talk;
	bool elsewhere = is(s->reason, "answered_elsewhere");
	const struct call_made *made;

	if (is(s->call_id, c->farewell)) {
		read_farewell(w, c, s);
		return;
	}
	if (t == NULL || !is(s->call_id, t->id)) {
		broken(w, RULE_END, "#%u is told of the end of call %s, which it is not in",
		    (unsigned)c->id.v, s->call_id);
		return;
	}
	made = store_last_call(w, c->user, t->id);
	if (c->heard_end == t->serial)
		broken(w, RULE_END, "#%u is told twice that %s is over", (unsigned)c->id.v, t->id);
	if (elsewhere)
		c->heard_elsewhere = t->serial;
	if (!elsewhere || c->user == t->party[1])
		c->heard_end = t->serial; /* the caller's hears of the end as well */
	c->rung = 0;
	if (elsewhere && !may_be_elsewhere(t, c))
		broken(w, RULE_END, "call %s is answered elsewhere", t->id);
	else if (!elsewhere && made != NULL && !is_ended_by(t, made->reason, s->from))
		broken(w, RULE_REASON, "call %s ends as %s by %d", t->id, s->reason, (int)s->from);
	if (made == NULL || (made->state == CALL_ENDED) == elsewhere ||
	    (!elsewhere && !is(s->reason, call_reason_name(made->reason))))
		broken(
		    w, RULE_COMMITTED, "call %s ends as %s and is not stored so", t->id, s->reason);
}

static void
read_error(struct world *w, const struct client *c, const struct seen *s)
{
	const char *re = json_string(json_member(s->root, "re"));
	const char *code = json_string(json_member(s->root, "code"));
	struct said *m = take_answer(w, c, s, re);
	const struct person *to;

	if (m == NULL || code == NULL || re == NULL)
		return;
	to = said_to(w, m);
	m->refused = true;
	if (!is(re, said_name(m)))
		broken(w, RULE_FRAMES, "the answer to a %s is one to a %s", said_name(m), re);
	m->too_often = is(code, "rate_limited");
	if (m->type == MESSAGE_CALL_START)
		broken(w, RULE_RESPONSE, "a call_start is answered by the error %s", code);
	if (m->too_often && !is_too_often(w, m))
		broken(w, RULE_REFUSAL, "message %u comes too often", (unsigned)(m - w->said));
	if (is(code, "not_found") && to != NULL)
		broken(w, RULE_REFUSAL, "%d is not found", (int)m->to);
	if (m->type == MESSAGE_CHAT && to == NULL && !m->from->pending && !is(code, "not_found"))
		broken(w, RULE_UNSEEN, "%d, whom %d cannot see, is %s", (int)m->to,
		    (int)m->from->row.id.v, code);
	if (m->type == MESSAGE_SIGNAL && to == NULL && !m->from->pending &&
	    !is(code, m->from->talk == NULL ? "not_found" : "no_call"))
		broken(w, RULE_UNSEEN, "%d, whom %d cannot see, is %s for a signal", (int)m->to,
		    (int)m->from->row.id.v, code);
	if (is(code, "forbidden") && m->from->row.role == ROLE_DOCTOR && !m->from->pending)
		broken(w, RULE_REFUSAL, "a doctor may not set her status");
}

static void
read_ack(struct world *w, struct client *c, const struct seen *s)
{
	const struct said *m = take_answer(w, c, s, NULL);
	enum status status = status_from_name(json_string(json_member(s->data, "status")));
	const struct call_made *made = m == NULL || s->call_id == NULL
					   ? NULL
					   : store_last_call(w, c->user, s->call_id);
	int64_t delivered = -1;

	if (m == NULL)
		return;
	if (json_integer(json_member(s->data, "delivered"), 0, CLIENTS_MAX, &delivered)) {
		if (delivered != m->copies)
			broken(w, RULE_ANSWER, "message %u: delivered %d of %u",
			    (unsigned)(m - w->said), (int)delivered, m->copies);
	} else if (m->type == MESSAGE_SET_STATUS) {
		if (status != m->status ||
		    c->user->statuses_acked[status]++ >= c->user->statuses_stored[status])
			broken(w, RULE_COMMITTED, "status %d is not stored", (int)status);
	} else if (m->type == MESSAGE_CALL_END || m->type == MESSAGE_CALL_REJECT) {
		if (made == NULL || made->state != CALL_ENDED)
			broken(w, RULE_COMMITTED, "call %s has not ended", s->call_id);
	} else if (m->type == MESSAGE_CALL_RESUME) {
		if (!w->must_take || m != w->current || !is(s->call_id, m->call_id))
			broken(w, RULE_RESUME, "#%u has resumed call %s", (unsigned)c->id.v,
			    s->call_id);
	} else if (made == NULL || made->state != CALL_ACTIVE) {
		broken(w, RULE_COMMITTED, "call %s is not active", s->call_id);
	}
}

/* The next of its call's signals, and no other. */
static void
take_signal(struct world *w, struct client *c, struct talk *t, const struct said *m)
{
	int side = talk_side(t, c->user);
	struct line *l = &t->line[side];
	bool rings = side == 1 && t->state == CALL_RINGING;
	unsigned *taken = rings ? &c->taken : &l->taken;

	if (rings ? c->rung != t->serial : !conn_same(c->id, t->on[side]))
		broken(
		    w, RULE_THIRD_PARTY, "#%u takes a signal of call %s", (unsigned)c->id.v, t->id);
	while (rings && *taken < c->rung_at && !l->list[*taken].kept)
		++*taken;
	if (*taken == l->count || l->list[*taken].said != (unsigned)(m - w->said))
		broken(w, RULE_ORDER, "signal %u of call %s is not the next",
		    (unsigned)(m - w->said), t->id);
	++*taken;
	if (m->signal == SIGNAL_ANSWER && side == 0 && is_stored(w, t, CALL_RINGING))
		broken(w, RULE_COMMITTED, "the answer to %s before it is stored", t->id);
}

/* A chat or signal of ours: M, to whom it says. */
static void
read_relayed(struct world *w, struct client *c, const struct seen *s, struct said *m)
{
	struct talk *t = c->user->talk;
	bool in_call; /* one that was being stored rings for a moment, and ends */

	if (m == NULL || s->from != m->from->row.id.v) {
		broken(w, RULE_FRAMES, "#%u is sent what nobody has said", (unsigned)c->id.v);
		return;
	}
	m->copies++;
	in_call = t != NULL && t == m->from->talk;
	if (!in_call && (!person_sees(w, c->user, m->from) || !person_sees(w, m->from, c->user)))
		broken(w, RULE_UNSEEN, "message %u of %d reaches %d", (unsigned)(m - w->said),
		    (int)m->from->row.id.v, (int)c->user->row.id.v);
	if ((m->to != 0 && c->user->row.id.v != m->to) || conn_same(c->id, m->conn))
		broken(w, RULE_THIRD_PARTY, "message %u to %d reaches %d", (unsigned)(m - w->said),
		    (int)m->to, (int)c->user->row.id.v);
	else if (m->type == MESSAGE_SIGNAL && t != NULL && t == m->from->talk)
		take_signal(w, c, t, m);
	else if (m->type == MESSAGE_SIGNAL && (t != NULL || m->from->talk != NULL))
		broken(w, RULE_THIRD_PARTY, "a signal passes between two calls");
}

static void
read_type(struct world *w, struct client *c, const struct seen *s)
{
	if (is(s->type, "chat"))
		read_relayed(w, c, s, said_of(w, json_string(json_member(s->data, "message"))));
	else if (is(s->type, "signal"))
		read_relayed(w, c, s, said_of(w, json_string(json_member(s->data, "sdpOrIce"))));
	else if (is(s->type, "incoming_call"))
		read_incoming_call(w, c, s);
	else if (is(s->type, "call_response"))
		read_call_response(w, c, s);
	else if (is(s->type, "call_end"))
		read_call_end(w, c, s);
	else if (is(s->type, "error"))
		read_error(w, c, s);
	else if (is(s->type, "ack"))
		read_ack(w, c, s);
	else
		broken(w, RULE_FRAMES, "#%u is sent a %s", (unsigned)c->id.v, s->type);
}

void
client_reads(struct world *w, struct client *c, const struct frame *f)
{
	char why[JSON_WHY_SIZE] = "no memory";
	struct seen s = { .frame = f };

	if (f == NULL || json_parse(f->text, f->len, &s.root, why) != ERR_OK) {
		broken(w, RULE_FRAMES, "#%u is sent what is not JSON: %s", (unsigned)c->id.v, why);
		return;
	}
	if (w->witness != NULL)
		w->witness(f);
	trace(w, "  #%u < %.*s", (unsigned)c->id.v, f->len > 160 ? 160 : (int)f->len, f->text);
	s.type = json_string(json_member(s.root, "type"));
	s.id = json_string(json_member(s.root, "id"));
	s.data = json_member(s.root, "data");
	s.call_id = json_string(json_member(s.data, "callId"));
	s.reason = json_string(json_member(s.data, "reason"));
	(void)json_id(json_member(s.root, "from"), &s.from);
	if (!v1_reads(w, c, f, s.root))
		read_type(w, c, &s);
	json_free(s.root);
}
