/* What is true by the rules, worked out from nothing but events, their results and time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

struct person *
person_of(struct world *w, struct user_id id)
{
	return id.v >= 1 && id.v <= w->people ? &w->person[id.v - 1] : NULL;
}

/* Of what only people of this world do. */
static struct person *
one_of(struct world *w, struct user_id id)
{
	struct person *p = person_of(w, id);

	if (p == NULL)
		abort();
	return p;
}

bool
person_is_listed(const struct person *p)
{
	return p->present || (p->row.role == ROLE_DOCTOR && person_shown(p) != STATUS_OFFLINE);
}

bool
person_is_kept(const struct person *p)
{
	return p->present || (person_is_listed(p) && !p->pending);
}

bool
person_sees_such(const struct world *w, const struct person *p, const struct person *other)
{
	return w->settings.visibility == VISIBILITY_ALL || other->row.role == ROLE_DOCTOR ||
	       (p->row.role == ROLE_DOCTOR && !p->pending);
}

bool
person_sees(const struct world *w, const struct person *p, const struct person *other)
{
	return p == other || (!other->pending && person_sees_such(w, p, other));
}

struct person *
said_to(struct world *w, const struct said *s)
{
	struct person *to = person_of(w, (struct user_id){ s->to });

	if (to == NULL || s->to_nobody)
		return NULL;
	if (person_sees(w, s->from, to))
		return to;
	return s->to_approved && person_sees_such(w, s->from, to) ? to : NULL;
}

/* After what an event makes true, and before anybody is told. */
void
model_stir(struct world *w)
{
	for (unsigned i = 0; i < w->people; i++) {
		struct person *p = &w->person[i];
		bool in_call = p->talk != NULL && p->talk->state != CALL_NONE && !p->talk->over;
		unsigned look = (unsigned)p->chosen << 3 | (p->present ? 4U : 0) |
				(p->pending ? 2U : 0) | (in_call ? 1U : 0);

		if (look != p->look)
			p->stirs++;
		if (p->pending && (p->look & 2U) == 0)
			p->stirs_seen = p->stirs;
		p->look = look;
	}
}

unsigned
model_stirs(const struct world *w, const struct person *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->people; i++) {
		const struct person *other = &w->person[i];

		if (person_sees(w, p, other))
			n += other->stirs;
		else if (person_sees_such(w, p, other))
			n += other->stirs_seen;
	}
	return n;
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
		p->pending = user_is_hidden(&p->row);
		p->farewell[0] = '\0';
		memcpy(p->statuses_acked, p->statuses_stored, sizeof(p->statuses_acked));
	}
	for (unsigned i = 0; i < PEOPLE_MAX; i++)
		w->talk[i].serial = 0;
	w->statuses_asked = 0;
}

static void
on_persisted(struct world *w, const struct event *ev)
{
	struct person *p = one_of(w, ev->persist->user);

	if (ev->persist->kind >= PERSIST_CALL_START) {
		talk_persisted(w, ev);
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
	if (p->writes == 0) {
		p->stirs += p->chosen != row->status ? 1 : 0; /* it may be back within the step */
		p->chosen = row->status;
	}
	p->pending = user_is_hidden(row);
	if (row->disabled && p->talk != NULL)
		talk_barred(p->talk, p);
}

static void
on_connected(struct person *p, const struct user *row, struct client *c)
{
	struct talk *t = p->talk;

	on_row(p, row);
	p->clients++;
	p->present = true;
	if (p->chosen == STATUS_OFFLINE)
		p->chosen = STATUS_ONLINE;
	c->resumes = t != NULL && talk_can_resume(t);
	memcpy(c->farewell, p->farewell, sizeof(c->farewell));
	p->farewell[0] = '\0';
	if (t != NULL)
		talk_connected(t, talk_side(t, p), c);
}

static void
pass_time(struct world *w)
{
	for (unsigned i = 0; i < w->people; i++) {
		struct person *p = &w->person[i];

		if (p->present && p->clients == 0 &&
		    w->now_ms - p->gone_ms >= w->settings.presence_grace_ms) {
			p->present = false;
			p->leaves = true;
			p->chosen = STATUS_OFFLINE;
		}
		if (w->now_ms - p->farewell_ms >= w->settings.call_grace_ms)
			p->farewell[0] = '\0';
	}
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		if (w->talk[i].serial != 0)
			talk_pass_time(w, &w->talk[i]);
	}
}

static void
person_event(struct world *w, struct person *p, const struct event *ev)
{
	switch (ev->kind) {
	case EVENT_CONNECTED:
		on_connected(p, ev->user, client_find(w, ev->conn));
		break;
	case EVENT_LOST:
		if (--p->clients == 0)
			p->gone_ms = w->now_ms;
		if (p->talk != NULL)
			talk_lost(w, p->talk, talk_side(p->talk, p), ev->conn);
		break;
	case EVENT_CHANGED:
		on_row(p, ev->user);
		break;
	case EVENT_WAS_PRESENT:
		p->present = true;
		p->gone_ms = w->now_ms;
		break;
	case EVENT_REVOKED:
		if (p->talk != NULL)
			talk_revoked(p->talk, ev->conn);
		break;
	default:
		break;
	}
}

void
model_event(struct world *w, const struct event *ev)
{
	if (ev->user != NULL)
		person_event(w, one_of(w, ev->user->id), ev);
	else if (ev->kind == EVENT_MESSAGE)
		talk_message(w, ev->message);
	else if (ev->kind == EVENT_PERSISTED)
		on_persisted(w, ev);
	else if (ev->kind == EVENT_WAS_IN_CALL)
		talk_restored(w, ev->call);
	else if (ev->kind == EVENT_CALL_REVOKED)
		talk_ended_by_operator(w, ev->call);
	pass_time(w);
}

void
model_persist(struct world *w, const struct persist *p)
{
	struct person *u = one_of(w, p->user);

	trace(w, "  store: kind %d of %d", (int)p->kind, (int)p->user.v);
	if (p->seq <= w->seq)
		broken(w, RULE_STORE, "write %u after %u", (unsigned)p->seq, (unsigned)w->seq);
	w->seq = p->seq;
	switch (p->kind) {
	case PERSIST_PRESENT:
	case PERSIST_ABSENT:
		u->writes++;
		u->unsaved = false;
		if (p->kind == PERSIST_PRESENT ? !u->present && !u->leaves : u->present)
			broken(w, RULE_STORE, "%d is stored as present: %d", (int)p->user.v,
			    p->kind == PERSIST_PRESENT);
		break;
	case PERSIST_STATUS:
		w->statuses_asked++;
		if (w->current == NULL || w->current->from != u || u->row.role != ROLE_DOCTOR ||
		    u->pending)
			broken(w, RULE_THIRD_PARTY, "a status that %d has not set", (int)p->user.v);
		break;
	case PERSIST_CALL_START:
		talk_start(w, p);
		break;
	case PERSIST_CALL_ANSWER:
	case PERSIST_CALL_END:
		talk_move(w, p);
		break;
	}
}

void
model_taken(struct world *w)
{
	const struct said *s = w->current;
	struct client *c = s == NULL ? NULL : client_find(w, s->conn);

	if (s == NULL)
		return;
	talk_take_back(w, s);
	if (c != NULL && !s->refused && s->type == MESSAGE_CALL_END)
		c->heard_end = 0; /* whoever ends a call hears of it */
}

void
model_done(struct world *w)
{
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		struct talk *t = &w->talk[i];

		if (t->serial == 0)
			continue;
		talk_step_done(w, t);
		if (!t->over)
			continue;
		t->party[0]->talk = t->party[1]->talk = NULL;
		t->serial = 0;
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		w->client[i].states = 0;
	for (unsigned i = 0; i < w->people; i++)
		w->person[i].leaves = false;
}
