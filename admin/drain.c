/* telemed-admin drain: the relay that runs takes no new calls, for those that there are to come to
 * their end before it is stopped. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "base/clock.h"
#include "base/fd.h"
#include "doorbell/doorbell.h"
#include "metrics/metrics.h"
#include "store/store_drain.h"

enum { TAKEN_UP_MS = 5000 }; /* the relay looks four times a second */

static enum err
order(struct store *s, bool active)
{
	struct audit_entry entry = { .event = AUDIT_ADMIN,
		.outcome = active ? "drain" : "drain_end",
		.source = admin_source() };
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = store_drain_order(s, active)) == ERR_OK)
		e = store_audit_add(s, &entry, clock_wall_ms());
	return store_end(s, e);
}

/* Does somebody listen? */
static bool
relay_runs(const struct admin *a)
{
	int fd;

	if (unix_connect(a->paths.relay, SOCK_STREAM, &fd) != ERR_OK)
		return false;
	close(fd);
	return true;
}

/* Has the relay done as it was told? */
static bool
is_taken_up(bool active)
{
	const struct timespec nap = { .tv_nsec = 20 * 1000000 };
	int64_t deadline = clock_monotonic_ms() + TAKEN_UP_MS;

	while ((metric_get(METRIC_DRAINING) != 0) != active) {
		if (clock_monotonic_ms() >= deadline)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

static void
report(bool active, bool json)
{
	int64_t calls = metric_get(METRIC_CALLS_LIVE);

	if (json)
		printf("{\"draining\":%s,\"calls\":%lld}\n", active ? "true" : "false",
		    (long long)calls);
	else if (active)
		printf("New calls are refused. Live calls: %lld\n", (long long)calls);
	else
		puts("New calls are taken again.");
}

enum admin_exit
drain_relay(struct admin *a, int argc, char **argv)
{
	bool active = true;
	bool json = false;
	enum err e;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--end") == 0)
			active = false;
		else if (strcmp(argv[i], "--json") == 0)
			json = true;
		else
			return usage_error("There is no such option.");
	}
	if (!relay_runs(a))
		return complain(ADMIN_NOT_RUNNING, "No relay runs here. Nothing was changed.");
	if (metrics_open(a->paths.metrics) != ERR_OK)
		return complain(ADMIN_BROKEN, "TELEMED_DATA_DIR/run cannot be written to.");
	if ((e = order(a->store, active)) != ERR_OK)
		return complain_of_store(e);
	doorbell_ring(a->paths.doorbell);
	if (!is_taken_up(active))
		return complain(ADMIN_NOT_RUNNING,
		    "The relay has not taken it up yet: it hangs, or has just ended.");
	report(active, json);
	return ADMIN_OK;
}
