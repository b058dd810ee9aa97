/* What happens, by chance. */
#include <stdio.h>
#include <string.h>

#include "world.h"

static unsigned
below(struct world *w, unsigned n)
{
	return prng_below(&w->prng, n);
}

static bool
chance(struct world *w, unsigned percent)
{
	return prng_chance(&w->prng, percent);
}

static enum status
any_status(struct world *w)
{
	static const enum status all[] = { STATUS_ONLINE, STATUS_BUSY, STATUS_OFFLINE };

	return all[below(w, 3)];
}

static struct person *
any_person(struct world *w)
{
	return &w->person[below(w, w->people)];
}

static struct client *
any_client(struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->people; i++)
		n += w->person[i].clients;
	n = n == 0 ? 0 : below(w, n);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (w->client[i].id.v != 0 && n-- == 0)
			return &w->client[i];
	}
	return NULL;
}

/* Mostly a doctor, where a doctor is wanted. */
static int64_t
any_recipient(struct world *w, bool doctor)
{
	const struct person *p = any_person(w);

	for (int i = 0; i < 6 && doctor && p->row.role != ROLE_DOCTOR; i++)
		p = any_person(w);
	return chance(w, 3) ? NOBODY_ID : p->row.id.v;
}

static void
choose_call_id(struct world *w, struct said *s, const struct talk *t, unsigned right_percent)
{
	s->with_call_id = true;
	if (t != NULL && chance(w, right_percent))
		memcpy(s->call_id, t->id, sizeof(s->call_id));
	else if (chance(w, 70))
		snprintf(s->call_id, sizeof(s->call_id), "k%u", w->said_count);
	else
		snprintf(s->call_id, sizeof(s->call_id), "again%u", below(w, 3));
}

static void
choose_start(struct world *w, struct said *s, const struct talk *t)
{
	s->to = any_recipient(w, true);
	if (t != NULL && chance(w, 60)) { /* again: it has not seen the answer */
		s->to = t->party[1]->row.id.v;
		choose_call_id(w, s, t, 90);
	} else if (chance(w, 75)) {
		choose_call_id(w, s, t, 5);
	}
	if (chance(w, 3)) {
		s->bad_call_id = true;
		s->with_call_id = false;
	}
}

static void
choose_end(struct world *w, struct said *s, const struct talk *t)
{
	bool must_name = s->type == MESSAGE_CALL_ACCEPT || s->type == MESSAGE_CALL_REJECT ||
			 s->type == MESSAGE_CALL_RESUME;

	if (chance(w, 30))
		s->to = any_recipient(w, false);
	if (t != NULL && chance(w, 60))
		s->to = t->party[1 - talk_side(t, s->from)]->row.id.v;
	if (must_name || chance(w, 60))
		choose_call_id(w, s, t, 85);
}

static void
choose_signal(struct world *w, struct said *s, const struct talk *t)
{
	bool callee = t != NULL && t->party[1] == s->from;

	s->signal = chance(w, 70)	     ? SIGNAL_CANDIDATE
		    : callee || chance(w, 5) ? SIGNAL_ANSWER
					     : SIGNAL_OFFER;
	s->to = t != NULL && chance(w, 90) ? t->party[callee ? 0 : 1]->row.id.v
					   : any_recipient(w, false);
	if (chance(w, 1))
		s->padding = 40000;
}

static enum message_type
any_type(struct world *w, const struct talk *t)
{
	static const enum message_type idle[] = { MESSAGE_CALL_START, MESSAGE_CALL_START,
		MESSAGE_CALL_START, MESSAGE_CALL_START, MESSAGE_CALL_START, MESSAGE_CHAT,
		MESSAGE_SIGNAL, MESSAGE_SET_STATUS, MESSAGE_CALL_END, MESSAGE_CALL_ACCEPT,
		MESSAGE_CALL_REJECT, MESSAGE_CALL_RESUME };
	static const enum message_type in_call[] = { MESSAGE_SIGNAL, MESSAGE_SIGNAL, MESSAGE_SIGNAL,
		MESSAGE_SIGNAL, MESSAGE_SIGNAL, MESSAGE_SIGNAL, MESSAGE_CALL_ACCEPT,
		MESSAGE_CALL_ACCEPT, MESSAGE_CALL_END, MESSAGE_CALL_REJECT, MESSAGE_CALL_START,
		MESSAGE_CHAT, MESSAGE_SET_STATUS, MESSAGE_CALL_RESUME };

	return t == NULL ? idle[below(w, COUNT_OF(idle))] : in_call[below(w, COUNT_OF(in_call))];
}

static struct said *
said_new(struct world *w, const struct client *c, enum message_type type)
{
	struct said *s = &w->said[w->said_count++];

	*s = (struct said){ .type = type, .conn = c->id, .from = c->user, .life = w->life };
	s->with_id = chance(w, 70);
	return s;
}

static bool
has_room(const struct world *w, const struct talk *t)
{
	if (w->said_count + 200 > SAID_MAX)
		return false;
	return t == NULL ||
	       (t->line[0].count < SIGNALS_MAX / 2 && t->line[1].count < SIGNALS_MAX / 2);
}

static void
say(struct world *w, const struct client *c)
{
	const struct talk *t = c->user->talk;
	struct said *s;
	bool away;

	if (!has_room(w, t))
		return;
	away = t != NULL && t->on[talk_side(t, c->user)].v == 0;
	s = said_new(w, c, c->v1 && away && chance(w, 30) ? MESSAGE_CALL_RESUME : any_type(w, t));
	switch (s->type) {
	case MESSAGE_CALL_START:
		choose_start(w, s, t);
		break;
	case MESSAGE_SIGNAL:
		choose_signal(w, s, t);
		break;
	case MESSAGE_CHAT:
		s->to = chance(w, 30) ? 0 : any_recipient(w, false);
		break;
	case MESSAGE_SET_STATUS:
		s->status = any_status(w);
		break;
	default:
		choose_end(w, s, t);
		break;
	}
	shell_say(w, s);
}

/* The same again and again: a status, candidates, a start, or an end. */
static void
flood(struct world *w, const struct client *c)
{
	static const struct {
		enum message_type type;
		unsigned times;
		unsigned padding;
	} floods[] = {
		{ MESSAGE_SIGNAL, 80, 0 },
		{ MESSAGE_SIGNAL, 70, 0 },
		{ MESSAGE_SIGNAL, 66, 0 },
		{ MESSAGE_SIGNAL, 12, 40000 },
		{ MESSAGE_CALL_START, 12, 0 },
		{ MESSAGE_CALL_END, 12, 0 },
		{ MESSAGE_SET_STATUS, 260, 0 },
	};
	unsigned i = below(w, COUNT_OF(floods));
	const struct talk *t = c->user->talk;
	struct conn_id conn = c->id;

	for (unsigned n = floods[i].times; n > 0 && t != NULL && client_find(w, conn) == c; n--) {
		struct said *s;

		if (!has_room(w, t))
			break;
		s = said_new(w, c, floods[i].type);
		s->to = t->party[1 - talk_side(t, c->user)]->row.id.v;
		s->padding = floods[i].padding;
		s->signal = n == 1 ? SIGNAL_ANSWER : SIGNAL_CANDIDATE;
		s->status = any_status(w);
		if (s->type == MESSAGE_CALL_START)
			choose_call_id(w, s, t, 100);
		shell_say(w, s);
		t = c->user->talk;
	}
}

static void
move_clock(struct world *w, int64_t ms)
{
	w->now_ms += ms;
	w->wall_ms += ms;
}

static int64_t
any_time(struct world *w)
{
	int64_t due_ms = w->hub == NULL ? INT64_MAX : hub_deadline(w->hub);
	unsigned kind = below(w, 100);

	if (kind < 30 && due_ms != INT64_MAX && due_ms > w->now_ms)
		return due_ms - w->now_ms - (kind < 10 ? 1 : 0);
	if (kind < 60)
		return below(w, 20);
	if (kind < 80)
		return below(w, 400);
	if (kind < 92)
		return below(w, 15000);
	if (kind < 99)
		return below(w, 60000);
	return INT64_C(6) * 3600 * 1000;
}

/* Time passes: with every timer at its hour, or all of it at once, as after a stall. */
static void
pass_time(struct world *w)
{
	int64_t ms = any_time(w);
	bool stall = chance(w, 40);
	int64_t end_ms = w->now_ms + ms;

	trace(w, "%lld ms pass%s", (long long)ms, stall ? " at once" : "");
	while (!stall && !w->broken && hub_deadline(w->hub) < end_ms) {
		move_clock(w, hub_deadline(w->hub) - w->now_ms);
		shell_tick(w);
	}
	move_clock(w, end_ms - w->now_ms);
	if (chance(w, 70))
		shell_tick(w);
}

static void
set_by_rest(struct world *w)
{
	struct person *p = any_person(w);

	if (p->row.disabled || chance(w, 8))
		store_disable(w, p, !p->row.disabled);
	else if (p->row.pending)
		store_approve(w, p);
	else if (p->row.role == ROLE_DOCTOR)
		store_set_status(w, p, any_status(w));
}

static void
while_down(struct world *w)
{
	if (chance(w, 40))
		set_by_rest(w);
	else if (chance(w, 50))
		move_clock(w, any_time(w));
	else
		shell_start(w);
}

static void
work(struct world *w)
{
	if (chance(w, w->habits.store))
		store_run(w);
	if (chance(w, w->habits.deliver))
		shell_results(w, chance(w, 50) ? TASKS_MAX : 1 + below(w, 3));
}

static void
revoke(struct world *w, const struct client *c)
{
	struct conn_id conn = c->id;
	struct client *left;

	shell_revoke(w, c);
	if (chance(w, 50))
		work(w); /* in which she may be disabled as well */
	if (!w->broken && (left = client_find(w, conn)) != NULL)
		shell_drop(w, left);
}

static void
end_by_operator(struct world *w)
{
	const struct person *p = any_person(w);

	if (p->talk != NULL)
		shell_end_call(w, p->talk);
}

static void
come(struct world *w)
{
	struct person *p = any_person(w);

	shell_connect(w, p, chance(w, 50));
}

void
act(struct world *w)
{
	struct client *c;
	unsigned kind = below(w, 100);

	if (w->hub == NULL) {
		while_down(w);
		return;
	}
	c = any_client(w);
	if (below(w, 1000) < w->habits.crash)
		(chance(w, 70) ? shell_crash : shell_stop)(w);
	else if (c != NULL && below(w, 1000) < w->habits.flood)
		flood(w, c);
	else if (c == NULL || kind < w->habits.connect)
		come(w);
	else if (kind < w->habits.connect + 6)
		shell_drop(w, c);
	else if (kind < w->habits.connect + 7)
		revoke(w, c);
	else if (kind < w->habits.connect + 10)
		set_by_rest(w);
	else if (kind < w->habits.connect + 11)
		end_by_operator(w);
	else if (kind < w->habits.connect + 25)
		pass_time(w);
	else
		say(w, c);
	if (w->hub != NULL)
		work(w);
}
