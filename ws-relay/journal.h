/* The store thread: the only one in the relay that touches the database, so that the loop never
 * waits for a disk. Jobs go in, results come out in the order in which they were done; all that
 * came meanwhile shares one transaction. It also reads the feed, when the doorbell rings and four
 * times a second besides. */
#pragma once

#include "feed.h"
#include "job.h"

struct journal;

enum { NOTES_RETRY_MS = 5000 };

/* Called on the store thread when there is something for journal_take(); must be fast and safe
 * there. */
typedef void journal_wake_fn(void *context);

/* Starts the thread on STORE, which becomes its own, with what comes after AT still to be told. On
 * ERR_OK *OUT goes to journal_stop(), and then to journal_free(). */
MUST_USE enum err journal_start(struct store *store, struct feed_position at, journal_wake_fn *wake,
    void *context, struct journal **out);

/* Has the thread do what is left, and ends it; the results can be taken as before, but nothing more
 * is begun. */
void journal_stop(struct journal *j);
void journal_free(struct journal
	*j); /* closes the store; results that were not taken are dropped; NULL is fine */

/* From the loop, each without waiting. False: out of memory, and nothing was begun. */
MUST_USE bool journal_persist(
    struct journal *j, const struct persist *p, const struct address *from);
/* Where the transaction fails that a note is in, it is tried again until it is written, in one of
 * its own: when another transaction has succeeded, and each NOTES_RETRY_MS. */
MUST_USE bool journal_note(struct journal *j, const struct audit_entry *note);
MUST_USE bool journal_lookup(struct journal *j, struct user_id user, void *cookie);
MUST_USE bool journal_lookup_token(
    struct journal *j, const struct claims *token, void *cookie); /* and is it good still? */
void journal_ring(struct journal *j);				  /* somebody has written */

/* The results so far, oldest first, linked by next; the caller frees each with free(). */
struct job *journal_take(struct journal *j);
