#include "metrics/metrics.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct {
	const char *name; /* rows of one name stand together: the first one's help and type are the
			     family's */
	const char *labels; /* "" or {key="value"} */
	const char *type;
	const char *help;
} table[METRIC__COUNT] = {
#define HTTP "telemed_http_responses_total",
	[METRIC_HTTP_2XX] = { HTTP "{class=\"2xx\"}", "counter",
	    "REST answers by class of status" },
	[METRIC_HTTP_3XX] = { HTTP "{class=\"3xx\"}", "counter", "" },
	[METRIC_HTTP_4XX] = { HTTP "{class=\"4xx\"}", "counter", "" },
	[METRIC_HTTP_5XX] = { HTTP "{class=\"5xx\"}", "counter", "" },
#undef HTTP
	[METRIC_LOGINS] = { "telemed_logins_total", "", "counter", "Logins that succeeded" },
	[METRIC_LOGINS_REFUSED] = { "telemed_logins_refused_total", "", "counter",
	    "Logins with bad credentials" },
	[METRIC_LOGINS_LIMITED] = { "telemed_auth_rate_limited_total", "", "counter",
	    "Logins and registrations answered 429" },
	[METRIC_REGISTRATIONS] = { "telemed_registrations_total", "", "counter", "Accounts made" },
	[METRIC_CONNECTIONS] = { "telemed_connections", "", "gauge", "Open WebSocket connections" },
	[METRIC_DRAINING] = { "telemed_draining", "", "gauge",
	    "1 while new calls are refused, by an operator or because the relay stops" },
	[METRIC_HANDSHAKES] = { "telemed_handshakes_total", "", "counter",
	    "WebSocket handshakes that were accepted" },
	[METRIC_HANDSHAKES_REFUSED] = { "telemed_handshakes_refused_total", "", "counter",
	    "WebSocket handshakes that were refused" },
	[METRIC_MESSAGES_IN] = { "telemed_messages_total", "", "counter",
	    "Messages received from clients" },
	[METRIC_MESSAGES_REFUSED] = { "telemed_messages_refused_total", "", "counter",
	    "Messages that break the rules" },
	[METRIC_FRAMES_OUT] = { "telemed_frames_sent_total", "", "counter",
	    "Messages written to clients" },
	[METRIC_BYTES_OUT] = { "telemed_frame_bytes_sent_total", "", "counter",
	    "Payload bytes written to clients" },
	[METRIC_CLOSED_SLOW] = { "telemed_closed_slow_total", "", "counter",
	    "Connections closed because they read too slowly" },
	[METRIC_CLOSED_UNRESPONSIVE] = { "telemed_closed_unresponsive_total", "", "counter",
	    "Connections dropped because they stopped answering pings" },
	[METRIC_CALLS_LIVE] = { "telemed_calls", "", "gauge", "Calls that are ringing or active" },
	[METRIC_CALLS_STARTED] = { "telemed_calls_started_total", "", "counter",
	    "Calls that rang" },
	[METRIC_CALLS_ANSWERED] = { "telemed_calls_answered_total", "", "counter",
	    "Calls that were answered" },
	[METRIC_CALLS_ENDED] = { "telemed_calls_ended_total", "", "counter", "Calls that ended" },
	[METRIC_BATCHES] = { "telemed_store_batches_total", "", "counter",
	    "Transactions of the relay's store thread" },
	[METRIC_BATCHES_FAILED] = { "telemed_store_batches_failed_total", "", "counter",
	    "Of these, those that failed" },
	[METRIC_LOOKUPS] = { "telemed_store_lookups_total", "", "counter",
	    "Users whom the relay's store thread has looked up" },
};

static _Atomic int64_t private_page[METRIC__COUNT];
static _Atomic int64_t *page = private_page;

enum err
metrics_open(const char *path)
{
	void *map = MAP_FAILED;
	int fd;

	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
		return ERR_SYSTEM;
	if (ftruncate(fd, sizeof(private_page)) == 0)
		map = mmap(NULL, sizeof(private_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return ERR_SYSTEM;
	page = map;
	return ERR_OK;
}

void
metric_add(enum metric m, int64_t n)
{
	atomic_fetch_add_explicit(&page[m], n, memory_order_relaxed);
}

void
metric_set(enum metric m, int64_t value)
{
	atomic_store_explicit(&page[m], value, memory_order_relaxed);
}

int64_t
metric_get(enum metric m)
{
	return atomic_load_explicit(&page[m], memory_order_relaxed);
}

void
metrics_write(struct buf *out)
{
	for (unsigned m = 0; m < METRIC__COUNT; m++) {
		if (m == 0 || strcmp(table[m].name, table[m - 1].name) != 0)
			buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", table[m].name, table[m].help,
			    table[m].name, table[m].type);
		buf_addf(out, "%s%s %lld\n", table[m].name, table[m].labels,
		    (long long)metric_get((enum metric)m));
	}
}
