/* The throttle of logins and registrations, and of lines about refusals, shared by all processes
 * and kept over restarts. Each bucket is a virtual schedule (the "generic cell rate algorithm"): an
 * attempt costs EVERY_MS, and as many as BURST may be owed at once.
 *
 * A bucket's name is at most 400 bytes: a word, a blank, and whose it is. All that begin with the
 * same word have one share of the table, so that a flood of the one does not make those of another
 * be forgotten. */
#pragma once

#include "store/store.h"

enum { ATTEMPT_BUCKETS_MAX = 10000 }; /* of one share */

struct attempt_rate {
	int64_t every_ms; /* one attempt is won back in this time */
	int64_t burst;	  /* how many may come at once */
};

/* For how long one more attempt in BUCKET would not be within RATE, by what is committed now; 0:
 * store_attempt_check() is to decide. Reads one row, without the writers' lock: who is refused
 * anyway holds nobody up. */
int64_t store_attempt_wait(
    struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms);

/* Would one more attempt in BUCKET be within RATE now? ERR_OK: yes. ERR_BUSY: no, and *WAIT_MS is
 * when. In a transaction, to be committed in both cases. Attempts that are
 * refused do not lengthen the wait. */
MUST_USE enum err store_attempt_check(struct store *s, const char *bucket, struct attempt_rate rate,
    int64_t now_ms, int64_t *wait_ms);

/* Counts one attempt. In a transaction. Drops a few buckets that have run full again, so that the
 * table holds those that were used lately; and where its share has more than ATTEMPT_BUCKETS_MAX of
 * these, the ones of it that would have run full the soonest. */
MUST_USE enum err store_attempt_count(
    struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms);

/* Forgets BUCKET's attempts. In a transaction. */
MUST_USE enum err store_attempt_forget(struct store *s, const char *bucket);
