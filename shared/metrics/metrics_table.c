#include "metrics/metrics_table.h"

#define VALUES(...)                                                                                \
	(const char *const[]){ __VA_ARGS__ },                                                      \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)
#define BY(name, ...)                                                                              \
	{                                                                                          \
		(name), __VA_ARGS__                                                                \
	}
#define COUNTER(n, h)	   .name = (n), .type = "counter", .help = (h)
#define GAUGE(n, h)	   .name = (n), .type = "gauge", .help = (h)
#define HISTOGRAM(n, h, b) .name = (n), .type = "histogram", .help = (h), .bounds = &(b)
#define BOUNDS(one, ...)                                                                           \
	{                                                                                          \
		(const int64_t[]){ __VA_ARGS__ },                                                  \
		    sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), (one)              \
	}

enum { MS = 1000, SECOND = 1000 * MS };

/* An "other" at the end is for all others. */
#define ROUTES                                                                                     \
	VALUES("/auth/register", "/auth/login", "/auth/me", "/auth/refresh", "/auth/logout",       \
	    "/calls", "/doctors", "/doctors/status", "/turn", "/livez", "/readyz", "/metrics",     \
	    "other")
#define CODES                                                                                      \
	VALUES("200", "201", "204", "304", "400", "401", "403", "404", "405", "409", "413", "429", \
	    "503", "other")
#define HANDSHAKE_CODES                                                                            \
	VALUES("101", "400", "401", "403", "404", "405", "408", "426", "431", "503", "other")
#define CLOSE_CODES                                                                                \
	VALUES("1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1011",     \
	    "1013", "4100", "4101", "4103", "4501", "4505", "4506", "other")
#define REASONS                                                                                    \
	VALUES("hangup", "rejected", "cancelled", "no_answer", "disconnected", "max_duration",     \
	    "server_restart", "revoked", "other")
#define REFUSALS                                                                                   \
	VALUES("not_a_patient", "bad_call_id", "not_found", "not_a_doctor", "caller_busy", "busy", \
	    "offline", "rate_limited", "draining", "unavailable", "other")
#define TYPES_IN                                                                                   \
	VALUES("unknown", "chat", "signal", "call_start", "call_end", "call_accept",               \
	    "call_reject", "call_resume", "set_status", "token_refresh")
#define TYPES_OUT                                                                                  \
	VALUES("users", "presence", "chat", "signal", "incoming_call", "call_response",            \
	    "call_end", "call_state", "ack", "error", "welcome", "token_expiring", "goaway")
#define PROGRAMS VALUES("fcgi-api", "ws-relay")
#define CHECKS	 VALUES("database", "disk", "relay")

/* A message is relayed in tens of microseconds. */
static const struct bounds relay_time = BOUNDS(
    SECOND, 50, 100, 250, 500, 1 * MS, 2500, 5 * MS, 10 * MS, 25 * MS, 100 * MS, SECOND);
/* A request without a password takes less than a millisecond. */
static const struct bounds http_time = BOUNDS(
    SECOND, 1 * MS, 5 * MS, 25 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * SECOND, 2500 * MS);
/* Cost 12 takes a fifth of a second, and each step twice as long as the one before. */
static const struct bounds password_time = BOUNDS(SECOND, 5 * MS, 10 * MS, 25 * MS, 50 * MS,
    100 * MS, 200 * MS, 400 * MS, 800 * MS, 1600 * MS, 3200 * MS);
static const struct bounds answer_time = BOUNDS(SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND,
    15 * SECOND, 20 * SECOND, 30 * SECOND, 45 * SECOND, 60 * SECOND, 120 * SECOND);
static const struct bounds batch_jobs = BOUNDS(1, 1, 2, 5, 10, 25, 100, 500, 2500);
static const struct bounds batch_time = BOUNDS(
    SECOND, 500, 1 * MS, 2500, 5 * MS, 10 * MS, 25 * MS, 100 * MS, 500 * MS, 1 * SECOND, 2500 * MS);

const struct family metric_families[METRIC__COUNT] = {
	[METRIC_HTTP_REQUESTS] = { COUNTER("telemed_http_requests_total",
				       "REST requests by path and status"),
	    .labels = { BY("route", ROUTES), BY("code", CODES) } },
	[METRIC_HTTP_TIME] = { HISTOGRAM("telemed_http_request_duration_seconds",
				   "From lighttpd's request to the answer", http_time),
	    .labels = { BY("route", ROUTES) } },
	[METRIC_LOGINS] = { COUNTER("telemed_logins_total", "Logins that succeeded") },
	[METRIC_LOGINS_REFUSED] = { COUNTER(
	    "telemed_logins_refused_total", "Logins with bad credentials") },
	[METRIC_LOGINS_LIMITED] = { COUNTER(
	    "telemed_auth_rate_limited_total", "Logins and registrations answered 429") },
	[METRIC_REGISTRATIONS] = { COUNTER("telemed_registrations_total", "Accounts made") },
	[METRIC_PASSWORD_TIME] = { HISTOGRAM(
	    "telemed_password_hash_seconds", "How long one bcrypt took", password_time) },
	[METRIC_AUTH_WAITED] = { COUNTER(
	    "telemed_auth_waited_total", "Logins and registrations that found every worker busy") },

	[METRIC_STORE_LOCK_WAITS] = { COUNTER(
	    "telemed_store_lock_waits_total", "Times that a writer had to wait for another one") },
	[METRIC_STORE_BUSY] = { COUNTER("telemed_store_busy_total",
	    "Times that the database stayed locked for longer than one waits (SQLITE_BUSY)") },
	[METRIC_STORE_FAILURES] = { COUNTER(
	    "telemed_store_failures_total", "Other failures of the database: full, broken, gone") },

	[METRIC_CONNECTIONS] = { GAUGE("telemed_connections", "WebSocket connections by role"),
	    .labels = { BY("role", VALUES("patient", "doctor")) } },
	[METRIC_HANDSHAKES] = { COUNTER("telemed_handshakes_total",
				    "WebSocket handshakes by status of the answer"),
	    .labels = { BY("code", HANDSHAKE_CODES) } },
	[METRIC_CLOSES] = { COUNTER("telemed_closes_total", "WebSocket connections that ended, by "
							    "who ended them and close code"),
	    .labels = { BY("by", VALUES("server", "client", "network")),
		BY("code", CLOSE_CODES) } },
	[METRIC_MESSAGES_IN] = { COUNTER("telemed_messages_received_total",
				     "Messages from clients by type"),
	    .labels = { BY("type", TYPES_IN) } },
	[METRIC_MESSAGES_REFUSED] = { COUNTER("telemed_messages_refused_total",
					  "Messages that break the rules, or come too fast"),
	    .labels = { BY("reason", VALUES("bad_message", "rate_limited")) } },
	[METRIC_MESSAGES_OUT] = { COUNTER("telemed_messages_sent_total",
				      "Messages written to clients by type"),
	    .labels = { BY("type", TYPES_OUT) } },
	[METRIC_BYTES_OUT] = { COUNTER(
	    "telemed_message_bytes_sent_total", "Payload bytes of these") },
	[METRIC_RELAY_TIME] = { HISTOGRAM("telemed_relay_latency_seconds",
	    "From when the kernel told of a message to when all that it brings about was sent or "
	    "queued",
	    relay_time) },
	[METRIC_OUTBOX_HIGH] = { GAUGE("telemed_outbox_high_water_bytes",
	    "The most that has waited for one slow reader within the last minute") },
	[METRIC_DRAINING] = { GAUGE("telemed_draining",
	    "1 while new calls are refused, by an operator or because the relay stops") },
	[METRIC_CALLS_LIVE] = { GAUGE("telemed_calls", "Calls that are ringing or active") },
	[METRIC_CALLS_STARTED] = { COUNTER("telemed_calls_started_total", "Calls that rang") },
	[METRIC_CALLS_REFUSED] = { COUNTER("telemed_calls_refused_total",
				       "Calls that were refused before they rang, by reason"),
	    .labels = { BY("reason", REFUSALS) } },
	[METRIC_CALLS_ENDED] = { COUNTER(
				     "telemed_calls_ended_total", "Calls that ended, by reason"),
	    .labels = { BY("reason", REASONS) } },
	[METRIC_ANSWER_TIME] = { HISTOGRAM(
	    "telemed_call_answer_seconds", "How long calls rang that were answered", answer_time) },

	[METRIC_BATCHES] = { COUNTER(
	    "telemed_store_batches_total", "Transactions of the relay's store thread") },
	[METRIC_BATCHES_FAILED] = { COUNTER(
	    "telemed_store_batches_failed_total", "Of these, those that failed") },
	[METRIC_BATCH_JOBS] = { HISTOGRAM("telemed_store_batch_jobs",
	    "How many writes shared one of these transactions", batch_jobs) },
	[METRIC_BATCH_TIME] = { HISTOGRAM("telemed_store_batch_lag_seconds",
	    "From the oldest write's place in the queue to its commit", batch_time) },
	[METRIC_LOOKUPS] = { COUNTER(
	    "telemed_store_lookups_total", "Users whom the relay's store thread has looked up") },
	[METRIC_FEED_REVISION] = { GAUGE("telemed_feed_revision",
	    "The revision of users up to which the relay has read the database") },

	[METRIC_START_TIME] = { GAUGE("telemed_process_start_time_seconds",
				    "When the program was started, in Unix time"),
	    .labels = { BY("program", PROGRAMS) } },
	[METRIC_MEMORY] = { GAUGE("telemed_process_resident_memory_bytes",
				"Resident memory, of all the program's processes"),
	    .labels = { BY("program", PROGRAMS) } },
	[METRIC_DESCRIPTORS] = { GAUGE("telemed_process_open_fds",
				     "Open descriptors; of fcgi-api, those of the worker that "
				     "answers"),
	    .labels = { BY("program", PROGRAMS) } },
	[METRIC_DESCRIPTORS_MAX] = { GAUGE("telemed_process_max_fds",
					 "Descriptors that a process may have"),
	    .labels = { BY("program", PROGRAMS) } },

	[METRIC_CHECKS] = { GAUGE("telemed_check_ok", "What /readyz checks: 1 where it is well, or "
						      "drains, 0 where it is not"),
	    .labels = { BY("check", CHECKS) } },
	[METRIC_AUTH_WAITING] = { GAUGE(
	    "telemed_auth_waiting", "1 while a login or registration waits for a worker") },
	[METRIC_DATABASE_BYTES] = { GAUGE("telemed_database_bytes", "Size of the database") },
	[METRIC_WAL_BYTES] = { GAUGE(
	    "telemed_wal_bytes", "Size of the database's write-ahead log") },
	[METRIC_DISK_FREE] = { GAUGE(
	    "telemed_disk_free_bytes", "Room on the data directory's disk") },
	[METRIC_REVISION_LAG] = { GAUGE(
	    "telemed_revision_lag", "Changes of users that the relay has not read yet") },
};

unsigned
family_series(const struct family *f)
{
	unsigned n = 1;

	for (unsigned i = 0; i < LABELS_MAX && f->labels[i].name != NULL; i++)
		n *= f->labels[i].count;
	return n;
}

unsigned
family_width(const struct family *f)
{
	return f->bounds == NULL ? 1 : f->bounds->count + 2;
}
