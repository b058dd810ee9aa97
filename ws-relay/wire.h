/* The WebSocket of one connection, as libwebsockets has it: what is written to it, at once where it
 * takes that and else in its turn, and its end. What the connection makes of an outcome is its own
 * business (conn.h). For the loop's thread alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "close_frame.h"
#include "outbox.h"

struct lws;

/* All zeros at first. */
struct wire {
	struct lws *wsi;	/* the connection's, to set; NULL: it is not open yet, or not any
				   more, and only wire_is_open() and wire_clear() may be called */
	struct outbox outbox;	/* what could not be written at once */
	uint64_t list_revision; /* of the user list that was written last; 0: none */
};

enum written {
	WRITTEN,
	WRITE_QUEUED,	 /* it waits in the outbox, and wire_go_on() is due when it can go */
	WRITE_TOO_MUCH,	 /* more would wait than an outbox holds: it does not */
	WRITE_NO_MEMORY, /* it neither was written nor waits */
	WRITE_FAILED,	 /* the socket is gone */
};

/* Says what the user list is by now, and its *REVISION. The frame stays the callee's; NULL: out of
 * memory. */
typedef struct frame *wire_list_fn(void *context, uint64_t *revision);

/* Writes FRAME. One that waits is a reference more. */
enum written wire_send(struct wire *w, struct frame *frame);

/* Writes the user list, unless it is the one that was written last; where it must wait LIST is
 * asked when its turn comes. */
enum written wire_send_list(struct wire *w, wire_list_fn *list, void *context);

/* Writes FRAME, which leads to REVISION of the list from the one before; the list itself, where
 * FRAME is NULL or something waits. No reference is taken. */
enum written wire_send_presence(
    struct wire *w, struct frame *frame, uint64_t revision, wire_list_fn *list, void *context);

/* The socket can be written to: writes some of what waits, and asks for the next turn where there
 * is more. Only WRITTEN, WRITE_NO_MEMORY and WRITE_FAILED come of it. */
enum written wire_go_on(struct wire *w, wire_list_fn *list, void *context);

/* Writes a ping, now: for a turn alone. False: the socket is gone. */
bool wire_ping(struct wire *w);

/* Asks for a turn: LWS_CALLBACK_SERVER_WRITEABLE, as soon as the socket can be written to. */
void wire_ask_for_turn(struct wire *w);

bool wire_is_open(const struct wire *w);
bool wire_is_idle(const struct wire *w);   /* nothing waits in the outbox */
size_t wire_waiting(const struct wire *w); /* bytes that do */
void wire_clear(struct wire *w);	   /* drops what waits; fine on any */

/* Begins the end: asks for a turn to say goodbye in, and drops the connection where that has not
 * come five seconds later. */
void wire_begin_end(struct wire *w);

/* In the last turn, which returns -1 to libwebsockets: has it write a close frame with CODE. */
void wire_say_goodbye(struct wire *w, enum close_code code);

/* Drops the connection without a close frame, soon after this returns. */
void wire_kill(struct wire *w);
