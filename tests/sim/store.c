/* The database and the thread that writes it, as journal.c and shared/store have them. */
#include <stdio.h>
#include <string.h>

#include "world.h"

static void
tasks_reset(struct tasks *l)
{
	l->first = l->end = 0;
}

static struct task *
tasks_add(struct world *w, struct tasks *l, const struct task *t)
{
	if (l->first == l->end)
		tasks_reset(l);
	if (l->end == TASKS_MAX) {
		broken(w, RULE_BOUNDS, "%u results wait", TASKS_MAX);
		tasks_reset(l);
	}
	l->list[l->end] = *t;
	return &l->list[l->end++];
}

void
store_reset(struct store_fake *s)
{
	tasks_reset(&s->todo);
	tasks_reset(&s->done);
	s->told = s->revision;
}

void
store_ask(struct world *w, const struct task *t)
{
	tasks_add(w, &w->store.todo, t);
}

bool
store_is_idle(const struct world *w)
{
	const struct store_fake *s = &w->store;

	return s->todo.first == s->todo.end && s->done.first == s->done.end &&
	       s->told == s->revision;
}

struct call_made *
store_live_call(struct world *w, const struct person *p)
{
	for (unsigned i = w->store.calls; i-- > 0;) {
		struct call_made *c = &w->store.call[i];

		if (c->state != CALL_ENDED && (c->caller == p || c->callee == p))
			return c;
	}
	return NULL;
}

struct call_made *
store_last_call(struct world *w, const struct person *p, const char *id)
{
	for (unsigned i = w->store.calls; i-- > 0;) {
		struct call_made *c = &w->store.call[i];

		if ((c->caller == p || c->callee == p) && strcmp(c->id, id) == 0)
			return c;
	}
	return NULL;
}

static void
put_status(struct world *w, struct person *p, enum status status)
{
	if (p->row.status == status || p->row.disabled)
		return;
	p->row.status = status;
	p->rev = ++w->store.revision;
}

void
store_set_status(struct world *w, struct person *p, enum status status)
{
	trace(w, "REST sets %s %d", status_name(status), (int)p->row.id.v);
	put_status(w, p, status);
}

void
store_approve(struct world *w, struct person *p)
{
	trace(w, "%d is approved", (int)p->row.id.v);
	p->row.pending = false;
	p->rev = ++w->store.revision;
}

void
store_disable(struct world *w, struct person *p, bool disabled)
{
	trace(w, "%d is %s", (int)p->row.id.v, disabled ? "disabled" : "enabled");
	p->row.disabled = disabled;
	if (disabled) {
		p->row.status = STATUS_OFFLINE;
		p->row.epoch++; /* her sessions are over, also if she is enabled before anybody
				   looks */
	}
	p->rev = ++w->store.revision;
}

static enum err
start_call(struct world *w, const struct persist *p, struct person *caller)
{
	struct store_fake *s = &w->store;
	struct person *callee = person_of(w, p->peer);

	if (store_live_call(w, caller) != NULL || store_live_call(w, callee) != NULL) {
		broken(w, RULE_STORE, "call %s is started while a party is in a live call",
		    p->call_id);
		return ERR_CONFLICT;
	}
	if (prng_chance(&w->prng, s->conflict_percent) || s->calls == CALLS_MAX)
		return ERR_CONFLICT;
	s->call[s->calls] = (struct call_made){
		.caller = caller, .callee = callee, .state = CALL_RINGING
	};
	snprintf(s->call[s->calls].id, sizeof(s->call[0].id), "%s", p->call_id);
	s->calls++;
	return ERR_OK;
}

static void
move_call(
    struct world *w, const struct persist *p, const struct person *caller, enum call_state from)
{
	struct call_made *c = store_live_call(w, caller);

	/* The statements find nothing then, and nobody would know. */
	if (c == NULL || c->caller != caller || (from != CALL_NONE && c->state != from)) {
		broken(w, RULE_STORE, "a write to a call of %d that is not there",
		    (int)caller->row.id.v);
		return;
	}
	c->state = from == CALL_RINGING ? CALL_ACTIVE : CALL_ENDED;
	if (c->state == CALL_ACTIVE)
		c->answered_ms = w->wall_ms;
	c->reason = p->reason;
}

static enum err
apply(struct world *w, const struct persist *p)
{
	struct person *u = person_of(w, p->user);

	switch (p->kind) {
	case PERSIST_PRESENT:
		u->in_presence = true;
		if (u->row.status == STATUS_OFFLINE)
			put_status(w, u, STATUS_ONLINE);
		break;
	case PERSIST_ABSENT:
		u->in_presence = false;
		put_status(w, u, STATUS_OFFLINE);
		break;
	case PERSIST_STATUS:
		u->statuses_stored[p->status]++;
		put_status(w, u, p->status);
		break;
	case PERSIST_CALL_START:
		return start_call(w, p, u);
	case PERSIST_CALL_ANSWER:
		move_call(w, p, u, CALL_RINGING);
		break;
	case PERSIST_CALL_END:
		move_call(w, p, u, CALL_NONE);
		break;
	}
	return ERR_OK;
}

/* One transaction: all of it is there, or nothing. */
static void
do_batch(struct world *w, const struct tasks *todo)
{
	bool fails = prng_chance(&w->prng, w->store.fail_percent);

	for (unsigned i = todo->first; i < todo->end; i++) {
		struct task t = todo->list[i];

		if (t.kind != TASK_PERSIST)
			continue;
		t.outcome = fails ? ERR_SYSTEM : apply(w, &t.persist);
		t.user = person_of(w, t.persist.user);
		t.status = t.outcome == ERR_OK ? t.user->row.status : STATUS_NONE;
		tasks_add(w, &w->store.done, &t);
	}
	trace(w, fails ? "the store fails" : "the store commits");
}

static void
do_lookups(struct world *w, const struct tasks *todo)
{
	for (unsigned i = todo->first; i < todo->end; i++) {
		struct task t = todo->list[i];

		if (t.kind == TASK_PERSIST)
			continue;
		t.outcome = t.user == NULL ? ERR_NOT_FOUND : ERR_OK;
		if (t.kind == TASK_CONNECT &&
		    (t.user->row.disabled || t.user->row.epoch != t.epoch))
			t.outcome = ERR_DENIED;
		if (prng_chance(&w->prng, w->store.fail_percent))
			t.outcome = ERR_SYSTEM;
		if (t.user != NULL) {
			t.status = t.user->row.status;
			t.pending = t.user->row.pending;
			t.disabled = t.user->row.disabled;
		}
		tasks_add(w, &w->store.done, &t);
	}
}

/* The person whose row was changed first after REV. */
static struct person *
next_changed(struct world *w, int64_t rev)
{
	struct person *first = NULL;

	for (unsigned i = 0; i < w->people; i++) {
		struct person *p = &w->person[i];

		if (p->rev > rev && (first == NULL || p->rev < first->rev))
			first = p;
	}
	return first;
}

static void
read_changes(struct world *w)
{
	struct store_fake *s = &w->store;
	struct person *p;

	while ((p = next_changed(w, s->told)) != NULL) {
		s->told = p->rev;
		tasks_add(w, &s->done,
		    &(struct task){ .kind = TASK_CHANGED,
			.user = p,
			.status = p->row.status,
			.pending = p->row.pending,
			.disabled = p->row.disabled,
			.epoch = p->row.epoch });
	}
}

/* fcgi-api and telemed-admin write whenever they have the lock. */
static void
rest_writes(struct world *w)
{
	static const enum status any[] = { STATUS_ONLINE, STATUS_BUSY, STATUS_OFFLINE };
	struct person *p = &w->person[prng_below(&w->prng, w->people)];

	if (!prng_chance(&w->prng, w->store.rest_percent) || p->row.role != ROLE_DOCTOR)
		return;
	if (p->row.pending)
		store_approve(w, p);
	else
		store_set_status(w, p, any[prng_below(&w->prng, 3)]);
}

void
store_run(struct world *w)
{
	struct tasks *todo = &w->store.todo;
	bool writes = false;

	for (unsigned i = todo->first; i < todo->end; i++)
		writes = writes || todo->list[i].kind == TASK_PERSIST;
	do_lookups(w, todo);
	rest_writes(w);
	if (writes)
		do_batch(w, todo);
	tasks_reset(todo);
	rest_writes(w);
	read_changes(w);
}
