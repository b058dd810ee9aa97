/* How much of everything there is, for an operator. */
#pragma once

#include "store/store.h"

struct tally {
	int64_t patients; /* who can log in */
	int64_t doctors;  /* the same, and do not wait for approval */
	int64_t pending;
	int64_t disabled;
	int64_t erased;
	int64_t sessions;
	int64_t connected; /* users, as the relay has noted it */
	int64_t ringing;   /* calls */
	int64_t active;
	int64_t audit_line; /* the last */
	int64_t database_bytes;
	int64_t log_bytes;
};

/* Reads the whole table of users. */
MUST_USE enum err store_tally(struct store *s, int64_t now_s, struct tally *out);
