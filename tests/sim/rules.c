/* The rules that must hold after every event. */
#include "world.h"

/* Does the line to the party SIDE have room for one more? */
static bool
has_room(const struct talk *t, int side)
{
	const struct line *l = &t->line[side];
	size_t bytes = 0;

	if (side == 1 && t->state != CALL_ACTIVE)
		return t->party[1]->clients > 0 || (l->kept < 65 && l->kept_bytes < 128 << 10);
	for (unsigned i = l->taken; i < l->count; i++)
		bytes += l->list[i].bytes;
	return l->count - l->taken < 65 && bytes < 128 << 10;
}

static bool
must_take_signal(const struct said *s, const struct talk *t)
{
	int side = talk_side(t, s->from);

	if (talk_may_end_soon(t) || s->to != t->party[1 - side]->row.id.v || !has_room(t, 1 - side))
		return false;
	if (side == 1 && t->state == CALL_RINGING)
		return t->storing == CALL_NONE;
	return (t->state == CALL_ACTIVE || t->state == CALL_RINGING) &&
	       (t->on[side].v == 0 || conn_same(t->on[side], s->conn));
}

/* Of a call that S means. */
static bool
must_take(const struct said *s, const struct talk *t)
{
	bool callee = talk_side(t, s->from) == 1;
	bool rings = t->state == CALL_RINGING && t->storing != CALL_ACTIVE;

	switch (s->type) {
	case MESSAGE_SIGNAL:
		return must_take_signal(s, t);
	case MESSAGE_CALL_END:
		return !callee || rings ||
		       (t->state == CALL_ACTIVE &&
			   (t->on[1].v == 0 || conn_same(t->on[1], s->conn)));
	case MESSAGE_CALL_REJECT:
		return callee && rings;
	case MESSAGE_CALL_RESUME:
		return talk_can_resume(t);
	case MESSAGE_CALL_ACCEPT:
		return callee && rings && t->storing == CALL_NONE && !talk_may_end_soon(t);
	default:
		return false;
	}
}

/* May the connection of S act for a call that has been answered, or is just being? */
static bool
is_on_it(const struct said *s, const struct talk *t)
{
	int side = talk_side(t, s->from);

	if (side == 1 && t->storing == CALL_ACTIVE)
		return conn_same(t->answerer, s->conn);
	return t->on[side].v == 0 || conn_same(t->on[side], s->conn);
}

/* Of a call that S means: there are cases between this and must_take(), where there is no room. */
static bool
may_take(const struct said *s, const struct talk *t)
{
	bool callee = talk_side(t, s->from) == 1;
	bool rings = t->state == CALL_RINGING && t->storing != CALL_ACTIVE;

	switch (s->type) {
	case MESSAGE_SIGNAL:
		return !talk_may_end_soon(t) && ((rings && callee) || is_on_it(s, t)) &&
		       !(callee && t->state == CALL_NONE);
	case MESSAGE_CALL_END:
		return !callee || rings || (t->state != CALL_NONE && is_on_it(s, t));
	case MESSAGE_CALL_REJECT:
		return callee && rings;
	case MESSAGE_CALL_ACCEPT:
		return callee && t->state != CALL_NONE && !talk_may_end_soon(t) &&
		       (rings || is_on_it(s, t));
	default:
		return true;
	}
}

/* The types that are about a call, and mean nothing without it. */
static bool
is_about_call(const struct said *s)
{
	return s->type == MESSAGE_CALL_END || s->type == MESSAGE_CALL_REJECT ||
	       s->type == MESSAGE_CALL_ACCEPT;
}

/* What is not for a pending doctor. */
static bool
needs_call(const struct said *s)
{
	return s->type != MESSAGE_CHAT && s->type != MESSAGE_SIGNAL &&
	       s->type != MESSAGE_SET_STATUS;
}

void
rules_message(struct world *w)
{
	const struct said *s = w->current;
	const struct talk *t = s == NULL ? NULL : s->from->talk;

	if (s == NULL)
		return;
	w->must_refuse = t == NULL || !said_means(s, t) ? is_about_call(s) : !may_take(s, t);
	w->must_refuse = w->must_refuse || (s->from->pending && !needs_call(s));
	w->must_take = s->type == MESSAGE_SET_STATUS && s->from->row.role == ROLE_DOCTOR &&
		       !s->from->pending && w->statuses_asked < 256;
	if (t != NULL && said_means(s, t))
		w->must_take = must_take(s, t);
}

/* How many connections what passes without a call must reach. */
static unsigned
reached(struct world *w, const struct said *s)
{
	const struct person *to = person_of(w, (struct user_id){ s->to });
	bool needs_call = s->type == MESSAGE_SIGNAL && w->settings.visibility == VISIBILITY_SCOPED;
	unsigned n = 0;

	if (s->from->pending || needs_call)
		return 0;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];

		if (c->id.v != 0 && !conn_same(c->id, s->conn) && (s->to == 0 || c->user == to) &&
		    person_sees(w, s->from, c->user))
			n++;
	}
	return n;
}

static void
check_message(struct world *w, const struct said *s)
{
	const struct person *to = said_to(w, s);
	bool free = s->from->talk == NULL && (to == NULL || to->talk == NULL);
	unsigned number = (unsigned)(s - w->said);

	if (w->must_take && s->refused && !s->too_often)
		broken(w, RULE_REFUSAL, "message %u, a %s, is refused", number, said_name(s));
	if (w->must_refuse && !s->refused)
		broken(w, RULE_THIRD_PARTY, "message %u, a %s, is taken", number, said_name(s));
	if (w->must_take && s->type == MESSAGE_CALL_ACCEPT && s->from->talk->storing != CALL_ACTIVE)
		broken(w, RULE_REFUSAL, "message %u answers nothing", number);
	if (s->type != MESSAGE_CHAT && (s->type != MESSAGE_SIGNAL || !free))
		return;
	if (s->copies != reached(w, s) ||
	    s->refused != (s->from->pending || (s->to != 0 && s->copies == 0)))
		broken(w, RULE_REFUSAL, "message %u reaches %u", number, s->copies);
}

/* Whoever knows of the call hears of its end. */
static void
check_end(struct world *w, const struct talk *t)
{
	const struct call_made *made = store_last_call(w, t->party[0], t->id);
	bool all = made != NULL && made->reason == CALL_SERVER_RESTART;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];

		if (c->id.v == 0 || c->user->talk != t || c->heard_end == t->serial)
			continue;
		if (all || c->rung == t->serial || conn_same(c->id, t->on[talk_side(t, c->user)]))
			broken(w, RULE_END, "#%u is not told that %s is over", (unsigned)c->id.v,
			    t->id);
	}
}

/* A connection that has lost the call to another one is told. */
static void
check_ousted(struct world *w, const struct talk *t)
{
	const struct client *ousted = t->ousted.v == 0 ? NULL : client_find(w, t->ousted);

	if (ousted != NULL && ousted->heard_elsewhere != t->serial)
		broken(w, RULE_END, "#%u is not told that %s goes on elsewhere",
		    (unsigned)ousted->id.v, t->id);
}

/* All the callee's connections ring, and have had what the caller has sent. */
static void
check_ringing(struct world *w, const struct talk *t)
{
	const struct line *l = &t->line[1];

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];
		unsigned taken = c->taken;

		if (c->id.v == 0 || c->user != t->party[1])
			continue;
		if (c->rung != t->serial) {
			if (!talk_may_end_soon(t) && t->storing == CALL_NONE)
				broken(w, RULE_RESPONSE, "#%u does not ring for %s",
				    (unsigned)c->id.v, t->id);
			continue;
		}
		while (taken < c->rung_at && !l->list[taken].kept)
			taken++;
		if (taken != l->count)
			broken(w, RULE_ORDER, "#%u has not been sent signal %u of %s",
			    (unsigned)c->id.v, l->list[taken].said, t->id);
	}
}

/* One of the callee's connections has the call: the one that answered. */
static void
check_active(struct world *w, const struct talk *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];

		if (c->id.v == 0 || c->user != t->party[1])
			continue;
		if (c->rung == t->serial)
			n++;
		else if (conn_same(c->id, t->answerer))
			broken(w, RULE_END, "#%u has answered %s and was told of its end",
			    (unsigned)c->id.v, t->id);
	}
	if (n > 1)
		broken(w, RULE_END, "%s goes on on %u connections", t->id, n);
}

/* Nothing is withheld from a party who is there. */
static void
check_lines(struct world *w, const struct talk *t)
{
	bool held = t->state == CALL_NONE || t->storing == CALL_ACTIVE || talk_may_end_soon(t);

	for (int side = 0; side < 2 && !held; side++) {
		const struct line *l = &t->line[side];

		if (side == 1 && t->state != CALL_ACTIVE)
			continue;
		if (t->on[side].v != 0 && l->taken != l->count)
			broken(w, RULE_ORDER, "signal %u of %s is withheld", l->list[l->taken].said,
			    t->id);
	}
}

/* What is due is being stored, or is about to be tried again. */
static void
check_timers(struct world *w, const struct talk *t)
{
	int64_t age_ms = w->now_ms - t->state_ms;
	bool due = t->asked[0] || t->asked[1] || t->absent[0] || t->absent[1] || t->revoked[0] ||
		   t->revoked[1];

	if (t->storing != CALL_NONE ||
	    (t->end_failed_ms != 0 && w->now_ms - t->end_failed_ms < 1000))
		return;
	due = due || (t->state == CALL_RINGING && age_ms >= w->settings.ring_timeout_ms);
	due = due || (t->state == CALL_ACTIVE && age_ms >= w->settings.call_max_ms);
	due = due || (t->state == CALL_RINGING && t->restored);
	if (due)
		broken(w, RULE_TIMERS, "call %s should have ended", t->id);
}

static void
check_talk(struct world *w, const struct talk *t)
{
	if (t->over) {
		if (t->state == CALL_ENDED)
			check_end(w, t);
		return;
	}
	if (t->state == CALL_RINGING)
		check_ringing(w, t);
	if (t->state == CALL_ACTIVE)
		check_active(w, t);
	check_ousted(w, t);
	check_lines(w, t);
	check_timers(w, t);
}

/* The hub knows whom it must know, and nobody else. */
static void
check_known(struct world *w)
{
	for (unsigned i = 0; i < w->people; i++) {
		const struct person *p = &w->person[i];
		bool in_call = p->talk != NULL && !p->talk->over;
		bool needed = person_is_kept(p) || in_call || p->writes > 0 || p->unsaved ||
			      p->farewell[0] != '\0';

		if (!w->loading && peek_knows(w, p->row.id) != needed)
			broken(w, RULE_MEMORY, "%d is kept: %d, needed: %d", (int)p->row.id.v,
			    !needed, needed);
		if (hub_connections(w->hub, p->row.id) != p->clients)
			broken(
			    w, RULE_MEMORY, "%d has %u connections", (int)p->row.id.v, p->clients);
	}
}

void
rules_check(struct world *w)
{
	bool late = hub_deadline(w->hub) <= w->now_ms;
	unsigned calls = 0;

	if (w->current != NULL)
		check_message(w, w->current);
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		if (w->talk[i].serial == 0)
			continue;
		check_talk(w, &w->talk[i]);
		calls += w->talk[i].over ? 0 : 1;
	}
	if (hub_calls(w->hub) != calls)
		broken(w, RULE_MEMORY, "the hub has %u calls of %u", hub_calls(w->hub), calls);
	check_known(w);
	v1_check(w);
	peek_check(w);
	if (w->loading)
		return; /* nobody is there to see the list, nor to be waited for */
	list_check(w);
	if (late && w->effects <= EFFECTS_MAX - 300)
		broken(w, RULE_BOUNDS, "the deadline has passed");
}
