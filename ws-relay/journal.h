/* The store thread: the only one in the relay that touches the database, so that the loop never
 * waits for a disk. Jobs go in, results come out in the order in which they were done; all that
 * came meanwhile shares one transaction. It is also the feed: it reads what others have changed
 * when the doorbell rings, and four times a second besides. */
#pragma once

#include "auth/token.h"
#include "base/request_id.h"
#include "domain/user.h"
#include "hub.h"
#include "store/store_audit.h"

struct journal;

enum { NOTES_RETRY_MS = 5000 };

enum job_kind {
	JOB_PERSIST, /* in: persist. out: outcome, user.status */
	JOB_NOTE,    /* in: note. out: outcome, when it is written; or at the thread's end */
	JOB_LOOKUP,  /* in: user.id, session and user.epoch, cookie. out: outcome (ERR_NOT_FOUND: no
			such user; ERR_DENIED: the session was ended), user */
	JOB_CHANGED, /* out only: user, a row that has changed; request */
	JOB_REVOKED, /* out only: user.id, session: it was logged out; request */
	JOB_END_CALL, /* out only: call, by its caller and id: an operator wants it ended */
	JOB_DRAIN,    /* out only: drain: an operator wants the relay drained, or no more */
};

struct job {
	enum job_kind kind;
	struct persist persist;
	struct address address; /* of JOB_PERSIST: where it was asked for */
	struct audit_entry note;
	struct user user; /* its status is the chosen one */
	struct live_call call;
	char session[JTI_MAX + 1];     /* empty: none to look at */
	char request[REQUEST_ID_SIZE]; /* whose doing it is, by the id of a REST request; "": none
					  is known */
	void *cookie;		       /* the caller's, for JOB_LOOKUP */
	bool drain;
	enum err outcome;
	struct job *next;
};

/* Called on the store thread when there is something for journal_take(); must be fast and safe
 * there. */
typedef void journal_wake_fn(void *context);

/* How far the relay has read what others write. */
struct feed_position {
	int64_t rev;	    /* of users */
	int64_t revocation; /* of sessions */
	int64_t ending;	    /* of calls that an operator wants ended */
	int64_t drain;	    /* of an operator's orders to drain */
};

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

/* Before the thread is started: gives FN all that a starting hub must know, as events, the last of
 * them EVENT_LOADED, and sets *REV to the revision that this is the state of. */
typedef void journal_event_fn(void *context, const struct event *ev);
MUST_USE enum err journal_load(
    struct store *store, journal_event_fn *fn, void *context, struct feed_position *at);
