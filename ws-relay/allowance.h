/* What one connection may ask of us: a token bucket for its messages, and a count of those that
 * break the rules. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	RATE_BURST_S = 4, /* as many seconds' worth of messages may come at once */
	COST_MAX =
	    RATE_BURST_S,      /* of a message: even at the lowest rate it fits in a full bucket */
	BAD_MESSAGES_MAX = 20, /* a minute */
};

struct allowance {
	int64_t left;	    /* thousandths of a token; most messages cost one */
	int64_t topped_ms;  /* when that was so */
	int64_t refused_ms; /* the last message past it */
	int64_t bad_ms;
	int refused; /* messages past it, one after another */
	int bad;     /* messages since bad_ms that broke the rules */
};

enum allowed {
	ALLOWED,
	REFUSED_FIRST, /* the message is to be dropped, and its sender told */
	REFUSED,       /* the same, behind others that were refused */
	FLOODING, /* as many have been refused as may come in a burst: it goes on after being told
		   */
};

/* A full bucket at RATE tokens a second (0: no limit). Times are of the monotonic clock. */
void allowance_init(struct allowance *a, int rate, int64_t now_ms);

/* Takes one message from it, which costs COST tokens, COST_MAX at most. */
enum allowed allowance_take(struct allowance *a, int rate, unsigned cost, int64_t now_ms);

/* Counts a message that broke the rules. True: they are more than BAD_MESSAGES_MAX within a minute.
 */
bool allowance_bad(struct allowance *a, int64_t now_ms);
