/* Accepting: a connection from its first byte to the decision. The request head is read here,
 * bounded in bytes and time, and judged by the gate; who is let in goes on to libwebsockets with a
 * head of our own making, so that it never parses what a stranger wrote (see docs/architecture.md
 * for what 4.1.6 makes of some of that). */
#pragma once

#include <ev.h>

#include "gate.h"
#include "relay.h"

struct handshakes;

/* Hands over FD, whose client has been admitted: USER is who it is. The callee closes FD in the
 * end. */
typedef void handshake_done_fn(
    void *context, int fd, const struct admission *a, const struct user *user);

/* Is there no room for one more, beside the COUNT handshakes that there are? */
typedef bool handshake_full_fn(void *context, unsigned count);

/* Accepts on LISTEN_FD, at most MAX handshakes at a time; past it, and while FULL says so, the
 * answer is 503; as it is, with "draining", to who may come in while the relay stops. NULL: out of
 * memory. */
struct handshakes *handshakes_new(struct relay *r, struct ev_loop *loop, int listen_fd,
    unsigned max, handshake_full_fn *full, handshake_done_fn *done, void *context);
void handshakes_stop(struct handshakes *hs); /* accepts no more, and closes what waits */
void handshakes_free(struct handshakes *hs); /* NULL is fine */

/* Once a second: ends those that have taken more than HANDSHAKE_MAX_MS, and accepts again where the
 * last accept found no descriptor left. */
enum { HANDSHAKE_MAX_MS = 10 * 1000 };
void handshakes_tick(struct handshakes *hs, int64_t now_ms);
