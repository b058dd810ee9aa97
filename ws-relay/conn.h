/* The WebSocket connections: who is at each, and what holds for all of them: the limits, the pings,
 * and when one is closed. What a message means is not their business. For the loop's thread alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "allowance.h"
#include "assembly.h"
#include "base/address.h"
#include "close_frame.h"
#include "domain/user.h"
#include "frame.h"

struct lws;
struct conn_table;
struct connection;

enum {
	PING_INTERVAL_MS = 25 * 1000,
	SILENCE_MAX_MS = 60 * 1000,   /* without a byte from the peer, who has been pinged */
	TOKEN_WARNING_MS = 60 * 1000, /* before its end, a v1 client is told */
};

/* What the owner of the table is told. */
struct conn_events {
	void *context;
	void (*opened)(void *context, struct connection *c);
	void (*message)(void *context, struct connection *c, const char *text, size_t len,
	    int64_t since_us); /* SINCE_US: when the kernel told of it, clock_monotonic_us() */
	void (*lost)(void *context, struct connection *c); /* the last that is heard of it */
	struct frame *(*list)(void *context, struct connection *c,
	    uint64_t *revision); /* the user list, hub_list(); not the caller's; NULL: no memory */
};

/* A table of at most MAX connections, each allowed RATE messages a second (0: any number). NULL:
 * out of memory. */
struct conn_table *conn_table_new(unsigned max, int rate, const struct conn_events *events);
void conn_table_free(struct conn_table *t);
unsigned conn_table_count(const struct conn_table *t);

/* How many there are from ADDRESS, as peers_count() says. */
unsigned conn_table_count_from(const struct conn_table *t, struct address address);

/* Who connects. */
struct conn_origin {
	const struct user *user;
	const char *session; /* of its token */
	int64_t epoch;	     /* and of its user's sessions, as the token says */
	struct address address;
	int64_t expires_s;     /* when the token ends; Unix time */
	bool v1;	       /* telemed.v1 was chosen */
	enum close_code close; /* a code to close it with as soon as it opens; CLOSE_NONE: none */
	const char *request;   /* the handshake's id */
};

/* A connection that has no WebSocket yet; it copies what it needs of O. NULL: the table is full, or
 * there is no memory. */
struct connection *conn_new(struct conn_table *t, const struct conn_origin *o);
void conn_free(struct connection *c); /* of one that never opened */
struct connection *conn_find_id(struct conn_table *t, struct conn_id id); /* NULL: it is gone */
struct conn_id conn_id_of(const struct connection *c);
const struct user *conn_user(
    const struct connection *c); /* as it was when it connected; until opened() returns */

/* The handshake's id, for as long. */
const char *conn_request(const struct connection *c);

struct user_id conn_user_id(const struct connection *c);
struct address conn_address(const struct connection *c);
const char *conn_session(const struct connection *c);
int64_t conn_epoch(const struct connection *c);
bool conn_is_v1(const struct connection *c);
uint64_t conn_list_revision(const struct connection *c); /* the last that was sent; 0: none */
int64_t conn_expires_s(const struct connection *c);

/* The client has a newer token, of SESSION and EPOCH, which ends at EXPIRES_S. False: out of
 * memory, and nothing has changed. */
bool conn_renew(struct connection *c, const char *session, int64_t epoch, int64_t expires_s);

/* From the callbacks of libwebsockets. Those that return false want the callback to return -1.
 * WOKEN_US is when the loop was told by the kernel, clock_monotonic_us(). */
void conn_opened(struct connection *c, struct lws *wsi, int64_t now_ms);
void conn_received(struct connection *c, const struct piece *p, int64_t woken_us);
bool conn_writeable(struct connection *c);
void conn_pong(struct connection *c, int64_t now_ms);

/* The peer's close frame. One that close_frame_check() finds fault with is answered with the code
 * that it says, and any other with its own. */
bool conn_peer_closes(struct connection *c, const void *payload, size_t len);
void conn_closed(struct connection *c); /* tells lost() and frees */

/* Sends FRAME (a reference is taken), or the user list, at once where the socket takes it.
 * Past the outbox's bound the connection is closed with 4101; where FRAME is NULL, for there was no
 * memory for it, with 1011. */
void conn_send(struct connection *c, struct frame *frame);
void conn_send_list(struct connection *c);

/* Sends FRAME, which leads to REVISION of the user list from the one before, and takes no
 * reference; a connection on which something waits gets the list itself in its turn instead. FRAME
 * NULL: as well. */
void conn_send_presence(struct connection *c, struct frame *frame, uint64_t revision);

/* Has conn_close() been called for it? */
bool conn_is_closing(const struct connection *c);

/* Closes with CODE, as soon as the peer takes it and within five seconds in any case. What waits is
 * sent before, but for 1011, 4100, 4101 and 4501, where it is dropped. */
void conn_close(struct connection *c, enum close_code code);

/* Takes one message of COST tokens from its allowance. Unless it is ALLOWED, for there is too
 * little left, the message must be refused; one that is FLOODING is being closed with 4103. */
enum allowed conn_allow(struct connection *c, unsigned cost, int64_t now_ms);

/* Notes a message that broke the rules; the 21st within a minute closes with 4506. */
void conn_misbehaved(struct connection *c, int64_t now_ms);

/* Calls FN for every open connection. */
void conn_each(
    struct conn_table *t, void (*fn)(void *context, struct connection *c), void *context);

/* From now on each may send RATE messages a second (0: any number). */
void conn_table_set_rate(struct conn_table *t, int rate);

/* Once a second: pings, and ends those that are silent, expired or stuck. */
void conn_table_tick(struct conn_table *t, int64_t now_ms, int64_t wall_s);
