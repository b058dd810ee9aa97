/* telemed-admin calls. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin.h"
#include "base/clock.h"
#include "base/str.h"
#include "doorbell/doorbell.h"
#include "store/store_call.h"

enum {
	WAIT_MS = 3000, /* for the relay to end a call */
	LOOK_NS = 20 * 1000 * 1000,
};

static enum err
put_json(const struct call_entry *c)
{
	struct answer item;

	answer_begin(&item);
	jw_int(&item.w, "number", c->number);
	jw_string(&item.w, "callId", c->row.call_id);
	jw_int(&item.w, "caller", c->row.caller.v);
	jw_int(&item.w, "callee", c->row.callee.v);
	jw_string(&item.w, "state", call_state_name(c->row.state));
	write_time(&item.w, "startedAt", c->row.started_ms);
	write_time(&item.w, "answeredAt", c->row.answered_ms);
	write_time(&item.w, "endedAt", c->ended_ms);
	if (c->reason == CALL_REASON_NONE)
		jw_raw(&item.w, "reason", "null", 4);
	else
		jw_string(&item.w, "reason", call_reason_name(c->reason));
	return listing_put(&item);
}

static enum err
list_one(void *context, const struct call_entry *c)
{
	struct listing *l = context;
	char started[RFC3339_SIZE];
	bool over = c->row.state == CALL_ENDED;

	listing_item(l);
	if (l->json)
		return put_json(c);
	printf("%8" PRId64 "  %8" PRId64 "  %8" PRId64 "  %-7s  %.19sZ  %s\n", c->number,
	    c->row.caller.v, c->row.callee.v, call_state_name(c->row.state),
	    clock_rfc3339(c->row.started_ms, started), over ? call_reason_name(c->reason) : "");
	return ERR_OK;
}

enum admin_exit
calls_list(struct admin *a, int argc, char **argv)
{
	struct listing l = {
		.heading = "  NUMBER    CALLER    CALLEE  STATE    SINCE                 ENDED BY"
	};
	bool all = false;
	const struct option options[] = { { "--all", &all, NULL }, { "--json", &l.json, NULL },
		{ .name = NULL } };
	enum err e;

	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("There is no such option.");
	listing_begin(&l, "calls");
	e = store_calls(a->store, all, list_one, &l);
	listing_end(&l, all ? "There were no calls." : "There is no call.");
	return complain_of_store(e);
}

/* ERR_DENIED: it is over. */
static enum err
want_end(struct store *s, int64_t number)
{
	enum call_state state;
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = store_call_state(s, number, &state)) == ERR_OK && state == CALL_ENDED)
		e = ERR_DENIED;
	if (e == ERR_OK)
		e = store_call_want_end(s, number);
	if (e == ERR_OK)
		e = admin_note(s, "end_call", (struct user_id){ 0 }, number);
	return store_end(s, e);
}

/* Waits for the relay, which alone writes calls. *OVER: it has ended it. */
static enum err
wait_for_end(struct store *s, int64_t number, bool *over)
{
	const struct timespec nap = { .tv_nsec = LOOK_NS };
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
	enum call_state state = CALL_NONE;
	enum err e;

	while ((e = store_call_state(s, number, &state)) == ERR_OK && state != CALL_ENDED &&
	       clock_monotonic_ms() < deadline_ms)
		nanosleep(&nap, NULL);
	*over = state == CALL_ENDED;
	return e;
}

static enum admin_exit
tell(int64_t number, bool over, bool json)
{
	struct answer answer;

	if (!json) {
		printf(over ? "Call %" PRId64 " is over\n"
			    : "Call %" PRId64 " ends as soon as ws-relay looks, which does not "
			      "run, or is busy\n",
		    number);
		return ADMIN_OK;
	}
	answer_begin(&answer);
	jw_int(&answer.w, "number", number);
	jw_string(&answer.w, "act", "end_call");
	jw_bool(&answer.w, "over", over);
	return answer_end(&answer, ADMIN_OK);
}

enum admin_exit
calls_end(struct admin *a, int argc, char **argv)
{
	bool json = false;
	const struct option options[] = { { "--json", &json, NULL }, { .name = NULL } };
	const char *text = NULL;
	bool over = false;
	int64_t number;
	enum err e;

	(void)argc;
	if (options_read(argv, options, &text, 1) != 1 ||
	    !parse_int(text, strlen(text), 1, INT64_MAX, &number))
		return usage_error("Name one call, by the number that calls list says.");
	e = want_end(a->store, number);
	if (e == ERR_NOT_FOUND)
		return complain(ADMIN_NOBODY, "There is no such call.");
	if (e == ERR_DENIED)
		return complain(ADMIN_REFUSED, "The call is over.");
	if (e != ERR_OK)
		return complain_of_store(e);
	doorbell_ring(a->paths.doorbell);
	if ((e = wait_for_end(a->store, number, &over)) != ERR_OK)
		return complain_of_store(e);
	return tell(number, over, json);
}
