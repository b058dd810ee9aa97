/* Inside the hub: what no client can see, and what must hold all the same. */
#include "hub_state.h"
#include "world.h"

bool
peek_knows(const struct world *w, struct user_id user)
{
	return member_find(w->hub, user) != NULL;
}

static void
check_leg(struct world *w, const struct leg *leg)
{
	const struct client *c = client_find(w, leg->conn);
	size_t bytes = 0;

	for (unsigned i = 0; i < leg->mail.count && i < MAIL_MAX; i++)
		bytes += leg->mail.frames[i]->len;
	if (leg->mail.count > MAIL_MAX || bytes != leg->mail.bytes || bytes > MAIL_BYTES_MAX)
		broken(w, RULE_BOUNDS, "%u signals, %zu bytes are kept", leg->mail.count, bytes);
	if (leg->user->call != leg->call)
		broken(w, RULE_MEMORY, "a party of a call is not in it");
	if (leg->conn.v != 0 && (c == NULL || !user_same(c->user->row.id, leg->user->id)))
		broken(w, RULE_MEMORY, "a call is on #%u, which is gone", (unsigned)leg->conn.v);
}

/* Of a call that was answered: nobody has it who has not come, or done anything, for it. */
static void
check_asked(struct world *w, const struct talk *t, const struct leg *leg)
{
	const struct client *c = client_find(w, leg->conn);

	if (t->state == CALL_ACTIVE && c != NULL && c->asked != t->serial)
		broken(w, RULE_ASKED, "call %s is on #%u, which has not asked for it", t->id,
		    (unsigned)c->id.v);
}

static void
check_place(struct world *w, const struct member *m)
{
	const struct talk *t = person_of(w, m->id)->talk;
	const struct leg *leg = m->call->caller.user == m ? &m->call->caller : &m->call->callee;
	struct conn_id right;

	if (t == NULL)
		return; /* another rule's */
	check_asked(w, t, leg);
	right = t->on[talk_side(t, person_of(w, m->id))];
	if (leg->conn.v != right.v)
		broken(w, RULE_RESUME, "call %s is on #%u and not on #%u", t->id,
		    (unsigned)leg->conn.v, (unsigned)right.v);
}

static void
check_member(struct world *w, const struct member *m)
{
	const struct person *p = person_of(w, m->id);
	unsigned n = 0;

	for (const struct conn *c = m->conns; c != NULL; c = c->next, n++) {
		if (c->user != m || client_find(w, c->id) == NULL)
			broken(w, RULE_MEMORY, "#%u is in the hub and gone", (unsigned)c->id.v);
	}
	if (n != m->conn_count || m->writes != p->writes)
		broken(w, RULE_MEMORY, "%d: %u connections, %u writes", (int)m->id.v, n, m->writes);
	if ((m->farewell != NULL) != (p->farewell[0] != '\0'))
		broken(w, RULE_FAREWELL, "%d is to be told on connecting: %d", (int)m->id.v,
		    m->farewell != NULL);
	if (m->call != NULL) {
		check_place(w, m);
		check_leg(w, &m->call->caller);
		check_leg(w, &m->call->callee);
	}
}

/* The first of each kind is the one that is due first. */
static void
check_timers(struct world *w, const struct hub *h)
{
	for (unsigned kind = 0; kind < TIMER__COUNT; kind++) {
		for (const struct timer *t = h->timers[kind]; t != NULL; t = t->next) {
			if (t->next != NULL && t->next->due_ms < t->due_ms)
				broken(w, RULE_TIMERS, "a timer of kind %u is out of order", kind);
		}
	}
}

void
peek_check(struct world *w)
{
	const struct hub *h = w->hub;
	unsigned clients = 0;

	check_timers(w, h);
	for (const struct member *m = h->members; m != NULL; m = m->hh.next) {
		check_member(w, m);
		clients += m->conn_count;
	}
	if (HASH_COUNT(h->conns) != clients)
		broken(w, RULE_MEMORY, "%u connections of nobody",
		    (unsigned)HASH_COUNT(h->conns) - clients);
	if (h->status_write_count != w->statuses_asked)
		broken(w, RULE_MEMORY, "%u statuses wait", h->status_write_count);
}
