/* What the programs count, in one page of shared memory under the data directory: every process
 * adds to it without a lock, and any of them can show it. Counters go on where they were when a
 * program is restarted. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum metric {
	/* fcgi-api */
	METRIC_HTTP_2XX,
	METRIC_HTTP_3XX,
	METRIC_HTTP_4XX,
	METRIC_HTTP_5XX,
	METRIC_LOGINS,
	METRIC_LOGINS_REFUSED,
	METRIC_LOGINS_LIMITED,
	METRIC_REGISTRATIONS,
	/* ws-relay */
	METRIC_CONNECTIONS,
	METRIC_DRAINING,
	METRIC_HANDSHAKES,
	METRIC_HANDSHAKES_REFUSED,
	METRIC_MESSAGES_IN,
	METRIC_MESSAGES_REFUSED,
	METRIC_FRAMES_OUT,
	METRIC_BYTES_OUT,
	METRIC_CLOSED_SLOW,
	METRIC_CLOSED_UNRESPONSIVE,
	METRIC_CALLS_LIVE,
	METRIC_CALLS_STARTED,
	METRIC_CALLS_ANSWERED,
	METRIC_CALLS_ENDED,
	METRIC_BATCHES,
	METRIC_BATCHES_FAILED,
	METRIC_LOOKUPS,
	METRIC__COUNT
};

/* Maps the page at PATH, made (0600) where it lacks, for metric_add() and the rest; once for a
 * process, before its threads and children. Until then, and where it fails, they count in memory of
 * this process alone. */
MUST_USE enum err metrics_open(const char *path);

void metric_add(enum metric m, int64_t n);
void metric_set(enum metric m, int64_t value); /* a gauge, by the one program that owns it */
int64_t metric_get(enum metric m);

/* Appends all in Prometheus's text format, version 0.0.4. */
void metrics_write(struct buf *out);
