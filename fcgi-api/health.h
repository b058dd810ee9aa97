/* What /readyz and /metrics say of the service's parts. */
#pragma once

#include "request.h"

enum check {
	CHECK_DATABASE, /* it can be read and written to */
	CHECK_DISK,	/* there is room for what is to be written */
	CHECK_RELAY,	/* its loop turns, and takes new clients */
	CHECK__COUNT
};

extern const char *const check_names[CHECK__COUNT];

/* "ok", or a word for what is wrong: of the database gone, locked, newer (it belongs to a newer
 * version by now) or failed; of the disk full or failed; of the relay away, stuck, failed or
 * draining. Within a second, whatever is wrong, where the database is open already. */
const char *health_check(struct service *s, enum check c);
bool health_is_ok(const char *word);

/* It is not ok, and only because somebody has said so: a relay that drains. */
bool health_is_meant(const char *word);

/* Bytes that the data directory's disk has left for us; -1: nobody knows. */
int64_t health_disk_free(const struct service *s);
