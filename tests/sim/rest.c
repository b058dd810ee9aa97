/* At rest: nobody says anything more, the store takes everything, and all timers have run. */
#include "world.h"

enum { ROUNDS_MAX = 10000 };

static void
come_to_rest(struct world *w)
{
	for (unsigned i = 0; i < ROUNDS_MAX && !w->broken; i++) {
		int64_t due_ms;

		store_run(w);
		shell_results(w, TASKS_MAX);
		due_ms = hub_deadline(w->hub);
		if (due_ms == INT64_MAX && store_is_idle(w))
			return;
		if (due_ms != INT64_MAX && due_ms > w->now_ms) {
			w->wall_ms += due_ms - w->now_ms;
			w->now_ms = due_ms;
		}
		shell_tick(w);
	}
	broken(w, RULE_REST, "it never comes to rest");
}

static void
check_person(struct world *w, const struct person *p)
{
	bool there = p->clients > 0;
	enum status right = peek_knows(w, p->row.id) ? p->chosen : STATUS_OFFLINE;

	if (p->talk != NULL || store_live_call(w, p) != NULL)
		broken(w, RULE_REST, "%d is still in a call", (int)p->row.id.v);
	if (p->in_presence != there || p->present != there)
		broken(
		    w, RULE_REST, "%d is stored as present: %d", (int)p->row.id.v, p->in_presence);
	if (p->row.status != right)
		broken(w, RULE_REST, "%d is stored as %s and shown as %s", (int)p->row.id.v,
		    status_name(p->row.status), status_name(right));
	if (p->row.role == ROLE_PATIENT && (p->row.status == STATUS_ONLINE) != there)
		broken(w, RULE_REST, "patient %d is stored as %s", (int)p->row.id.v,
		    status_name(p->row.status));
	if (peek_knows(w, p->row.id) != person_is_kept(p))
		broken(w, RULE_MEMORY, "%d is kept, and nobody needs her", (int)p->row.id.v);
}

static void
check_answers(struct world *w)
{
	for (unsigned i = 0; i < w->said_count; i++) {
		const struct said *s = &w->said[i];
		bool start = s->type == MESSAGE_CALL_START;

		if (s->life != w->life || client_find(w, s->conn) == NULL || s->answers == 1)
			continue;
		if (start || s->with_id)
			broken(w, start ? RULE_RESPONSE : RULE_ANSWER,
			    "message %u, a %s, has %u answers", i, said_name(s), s->answers);
	}
}

void
rest(struct world *w)
{
	unsigned stay = prng_below(&w->prng, 3) * 50; /* percent */

	trace(w, "at rest: %u in a hundred stay", stay);
	w->store.fail_percent = w->store.conflict_percent = w->store.rest_percent = 0;
	if (w->hub == NULL)
		shell_start(w);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (w->client[i].id.v != 0 && !prng_chance(&w->prng, stay))
			shell_drop(w, &w->client[i]);
	}
	come_to_rest(w);
	shell_catch_up(w, 100);
	list_check(w);
	if (hub_calls(w->hub) != 0)
		broken(w, RULE_REST, "%u calls are left", hub_calls(w->hub));
	for (unsigned i = 0; i < w->people; i++)
		check_person(w, &w->person[i]);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct conn_id id = w->client[i].id;

		if (id.v != 0 && w->client[i].list_revision != hub_list_revision(w->hub, id))
			broken(
			    w, RULE_LIST_SENT, "#%u was not sent the newest list", (unsigned)id.v);
	}
	check_answers(w);
}
