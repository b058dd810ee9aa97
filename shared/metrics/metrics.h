/* What the programs count, in one file of shared memory under the data directory: every process
 * adds to it without a lock, and any of them can show it. Counters go on where they were when a
 * program is restarted. docs/monitoring.md says what each is for. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A family of series, which differ in their labels; metrics_table.c has its names. */
enum metric {
	/* fcgi-api */
	METRIC_HTTP_REQUESTS, /* by route and status */
	METRIC_HTTP_TIME,     /* us, by route */
	METRIC_LOGINS,
	METRIC_LOGINS_REFUSED,
	METRIC_LOGINS_LIMITED,
	METRIC_REGISTRATIONS,
	METRIC_PASSWORD_TIME, /* us */
	METRIC_AUTH_WAITED,
	/* whoever has the database open */
	METRIC_STORE_LOCK_WAITS,
	METRIC_STORE_BUSY,
	METRIC_STORE_FAILURES,
	/* ws-relay: the loop */
	METRIC_CONNECTIONS, /* by role */
	METRIC_DRAINING,
	METRIC_HANDSHAKES,  /* by status */
	METRIC_CLOSES,	    /* by who ended it and close code */
	METRIC_MESSAGES_IN, /* by type: enum message_type */
	METRIC_MESSAGES_REFUSED,
	METRIC_MESSAGES_OUT, /* by type: enum frame_kind */
	METRIC_BYTES_OUT,
	METRIC_RELAY_TIME, /* us */
	METRIC_OUTBOX_HIGH,
	METRIC_CALLS_LIVE,
	METRIC_CALLS_STARTED,
	METRIC_CALLS_REFUSED, /* by reason */
	METRIC_CALLS_ENDED,   /* by reason */
	METRIC_ANSWER_TIME,   /* us */
	METRIC_RELAY_BEAT,    /* not shown: when its loop last turned, clock_monotonic_ms() */
	/* ws-relay: the store thread */
	METRIC_BATCHES,
	METRIC_BATCHES_FAILED,
	METRIC_BATCH_JOBS,
	METRIC_BATCH_TIME, /* us */
	METRIC_LOOKUPS,
	METRIC_FEED_REVISION,
	/* each program of itself: by METRIC_OF_API, METRIC_OF_RELAY */
	METRIC_START_TIME,
	METRIC_MEMORY,
	METRIC_DESCRIPTORS,
	METRIC_DESCRIPTORS_MAX,
	/* looked at when somebody asks (fcgi-api/handle_metrics.c) */
	METRIC_CHECKS, /* by check: enum check */
	METRIC_AUTH_WAITING,
	METRIC_DATABASE_BYTES,
	METRIC_WAL_BYTES,
	METRIC_DISK_FREE,
	METRIC_REVISION_LAG,
	METRIC__COUNT
};

/* The series of a family whose label is an enum of ours, or this one. */
enum { METRIC_OF_API, METRIC_OF_RELAY };
enum { METRIC_OF_PATIENTS, METRIC_OF_DOCTORS };
enum { METRIC_BAD_MESSAGE, METRIC_RATE_LIMITED };

/* How many message types there are of each, which those enums are held to. */
enum { METRIC_TYPES_IN = 10, METRIC_TYPES_OUT = 13, METRIC_CHECKS_SHOWN = 3 };

/* Maps the file at PATH, made (0600) where it lacks, for metric_add() and the rest; once for a
 * process, before its threads and children. Until then, and where it fails, they count in memory of
 * this process alone. A file of other metrics, as another version has them, is put aside: who has
 * it open goes on counting there. ERR_SYSTEM: it cannot be had, or has no room on the disk. */
MUST_USE enum err metrics_open(const char *path);

/* Of a family without labels the SERIES is 0. */
void metric_add(enum metric m, unsigned series, int64_t n);
void metric_set(enum metric m, unsigned series, int64_t value); /* a gauge, by who owns it */
int64_t metric_get(enum metric m, unsigned series);		/* not of a histogram */

/* Adds VALUE, in the family's own unit, to a histogram. */
void metric_observe(enum metric m, unsigned series, int64_t value);

/* The same where no other thread and no other process ever adds to the family, for what is counted
 * with each message: no more than a load and a store. */
void metric_add_own(enum metric m, unsigned series, int64_t n);
void metric_observe_own(enum metric m, unsigned series, int64_t value);

/* The series of M with these values of its labels, SECOND NULL where it has one; the last one,
 * which is for all others, where there is no such value. */
unsigned metric_series(enum metric m, const char *first, const char *second);
unsigned metric_series_of(
    enum metric m, const char *first, int last); /* FIRST NULL: it has one label */

/* Appends all in Prometheus's text format, version 0.0.4. */
void metrics_write(struct buf *out);
