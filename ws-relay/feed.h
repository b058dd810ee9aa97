/* The feed: what the database tells the relay. At the start, all that the hub must know; then what
 * others write, each change once and in its order. */
#pragma once

#include "hub.h"
#include "job.h"
#include "store/store.h"

/* How far the relay has read what others write. */
struct feed_position {
	int64_t rev;	    /* of users */
	int64_t revocation; /* of sessions */
	int64_t ending;	    /* of calls that an operator wants ended */
	int64_t drain;	    /* of an operator's orders to drain */
};

/* Gives FN all that a starting hub must know, as events, the last of them EVENT_LOADED, and sets
 * *AT to what this is the state of. Orders to drain from before count as obeyed. */
typedef void feed_event_fn(void *context, const struct event *ev);
MUST_USE enum err feed_load(
    struct store *store, feed_event_fn *fn, void *context, struct feed_position *at);

/* Adds what has changed past *AT to TO, as jobs of the kinds that only come out, and moves *AT on.
 * *MORE: it was too much for one time, and the next call goes on. On failure TO and *AT hold what
 * was read until then; what was not is still to be read. */
MUST_USE enum err feed_read(
    struct store *store, struct feed_position *at, struct job_list *to, bool *more);
