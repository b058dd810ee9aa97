/* telemed-admin drain: the relay that runs takes no new calls, for those that there are to come to
 * their end before it is stopped. */
#include <stdio.h>
#include <time.h>

#include "admin.h"
#include "base/clock.h"
#include "doorbell/doorbell.h"
#include "metrics/metrics.h"
#include "store/store_drain.h"

enum { TAKEN_UP_MS = 5000 }; /* the relay looks four times a second */

static enum err
order(struct store *s, bool active)
{
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = store_drain_order(s, active)) == ERR_OK)
		e = admin_note(s, active ? "drain" : "drain_end", (struct user_id){ 0 }, 0);
	return store_end(s, e);
}

/* Has the relay done as it was told? */
static bool
is_taken_up(bool active)
{
	const struct timespec nap = { .tv_nsec = 20 * 1000000 };
	int64_t deadline = clock_monotonic_ms() + TAKEN_UP_MS;

	while ((metric_get(METRIC_DRAINING, 0) != 0) != active) {
		if (clock_monotonic_ms() >= deadline)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

static enum admin_exit
report(bool active, bool json)
{
	int64_t calls = metric_get(METRIC_CALLS_LIVE, 0);
	struct answer answer;

	if (json) {
		answer_begin(&answer);
		jw_bool(&answer.w, "draining", active);
		jw_int(&answer.w, "calls", calls);
		return answer_end(&answer, ADMIN_OK);
	}
	if (active)
		printf("New calls are refused. Live calls: %lld\n", (long long)calls);
	else
		puts("New calls are taken again.");
	return ADMIN_OK;
}

enum admin_exit
drain_relay(struct admin *a, int argc, char **argv)
{
	bool stop = false;
	bool json = false;
	const struct option options[] = { { "--end", &stop, NULL }, { "--json", &json, NULL },
		{ .name = NULL } };
	bool active;
	enum err e;

	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("There is no such option.");
	active = !stop;
	if (!somebody_listens(a->paths.relay))
		return complain(ADMIN_NOT_RUNNING, "No relay runs here. Nothing was changed.");
	if (metrics_open(a->paths.metrics) != ERR_OK)
		return complain(ADMIN_BROKEN, "TELEMED_DATA_DIR/run cannot be written to.");
	if ((e = order(a->store, active)) != ERR_OK)
		return complain_of_store(e);
	doorbell_ring(a->paths.doorbell);
	if (!is_taken_up(active))
		return complain(ADMIN_NOT_RUNNING,
		    "The relay has not taken it up yet: it hangs, or has just ended.");
	return report(active, json);
}
