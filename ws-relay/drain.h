/* How the relay goes out of service at SIGTERM: it takes no new connections and no new calls, tells
 * every v1 client when to come back, each in a slot of its own, closes all, one after another, and
 * is over. What an operator's drain does, without the end, is relay_refuse_calls() alone. */
#pragma once

#include "relay.h"

enum {
	STOP_MAX_MS = 3000, /* for clients to take their 1001, after the last was sent */
	HURRY_MS = 500,	    /* the same, where nobody wants to wait */
};

struct drain {
	struct relay *relay;
	int64_t length_ms; /* until the last connection is closed */
	int64_t begun_ms;  /* monotonic; 0: it has not begun */
	int64_t end_ms;	   /* when it is over, whoever is left */
	unsigned to_close; /* connections, as it began */
	unsigned closed;   /* so far, by it */
};

/* One for R that takes LENGTH_MS: the first half is for who asks whether the relay is ready, such
 * as a load balancer, to hear that it is not; in the second the connections are closed. */
void drain_init(struct drain *d, struct relay *r, int64_t length_ms);

/* Begins it; where it has begun, closes all that are left, for it to be over HURRY_MS later. */
void drain_begin(struct drain *d, int64_t now_ms);

/* Ten times a second: closes those whose turn it is. True: it has begun, and is over. */
bool drain_tick(struct drain *d, int64_t now_ms);
