/* The closing handshake (RFC 6455 7.1): the codes that are closed with, and what a client's close
 * frame says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum close_code {
	CLOSE_NONE = 0,
	CLOSE_GOING_AWAY = 1001,
	CLOSE_PROTOCOL = 1002,
	CLOSE_UNSUPPORTED = 1003,
	CLOSE_INVALID_TEXT = 1007,
	CLOSE_POLICY = 1008, /* a message that was begun and not finished in time */
	CLOSE_TOO_BIG = 1009,
	CLOSE_INTERNAL = 1011,
	CLOSE_TRY_LATER = 1013, /* too many connections of one address */
	CLOSE_TOKEN_EXPIRED = 4100,
	CLOSE_SLOW_READER = 4101,
	CLOSE_FLOOD = 4103,
	CLOSE_REVOKED = 4501,
	CLOSE_TOO_MANY_CONNECTIONS = 4505,
	CLOSE_BAD_MESSAGES = 4506,
};

/* How a connection may end, besides (RFC 6455 7.4.1); never sent. */
enum {
	CLOSED_WITHOUT_CODE = 1005,  /* by a close frame without one */
	CLOSED_WITHOUT_FRAME = 1006, /* by no close frame at all */
};

/* What is wrong with a client's close frame, whose PAYLOAD is LEN bytes: CLOSE_PROTOCOL for a code
 * that must not be sent, or half of one (5.5.1, 7.4); CLOSE_INVALID_TEXT for a reason that is not
 * UTF-8 (8.1); CLOSE_NONE, and then *CODE is what it says, or CLOSED_WITHOUT_CODE. */
enum close_code close_frame_check(const void *payload, size_t len, int *code);

/* Is what waits for the client sent ahead of a close frame with CODE? Else it is too much, or not
 * for her any more. */
bool close_sends_rest(enum close_code code);
