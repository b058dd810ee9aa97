/* STUN (RFC 8489), and of TURN (RFC 8656) what asks for an address and gives it back: requests
 * written, and answers, which anybody may have sent, read. Pure: no socket, no clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
	STUN_MESSAGE_MAX = 2048, /* bytes of ours, and of an answer that is read */
	STUN_HEADER_BYTES = 20,
	STUN_ID_BYTES = 12,
	STUN_TEXT_SIZE = 764, /* a realm and a nonce have 763 bytes at most */
	STUN_ADDRESS_SIZE = 64,
};

enum stun_method { STUN_BINDING = 1, TURN_ALLOCATE = 3, TURN_REFRESH = 4 };

/* Long-term credentials (RFC 8489 9.2). */
struct stun_login {
	const char *username;
	const char *password;
	char realm[STUN_TEXT_SIZE]; /* these two are the server's, from its refusal */
	char nonce[STUN_TEXT_SIZE];
};

struct stun_request {
	enum stun_method method;
	unsigned char id[STUN_ID_BYTES]; /* random: by it the answer is known */
	const struct stun_login *login;	 /* NULL: none */
};

struct stun_answer {
	bool granted;
	int error;		    /* 300 to 699 where it was not granted */
	char realm[STUN_TEXT_SIZE]; /* "" where there is none, as the next ones */
	char nonce[STUN_TEXT_SIZE];
	char mapped[STUN_ADDRESS_SIZE];	 /* "192.0.2.1:4000": where the server sees us */
	char relayed[STUN_ADDRESS_SIZE]; /* the address that it has given us */
	bool proven; /* the request had a login, and who answers knows the password too */
};

/* Writes R into OUT, and returns its length; 0: it does not fit, or libcrypto has failed. A refresh
 * gives the address back: its lifetime is 0. */
size_t stun_write(const struct stun_request *r, unsigned char out[STUN_MESSAGE_MAX]);

/* How long the message is whose header stands at DATA; 0: it is none, or longer than
 * STUN_MESSAGE_MAX. For what comes as a stream. */
size_t stun_length(const unsigned char data[STUN_HEADER_BYTES]);

/* Reads the LEN bytes at DATA. ERR_INVALID: they are no answer to R. */
MUST_USE enum err stun_read(
    const unsigned char *data, size_t len, const struct stun_request *r, struct stun_answer *out);
