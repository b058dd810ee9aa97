/* The gate: may this HTTP request become a WebSocket (RFC 6455 4.2)? It decides on the text of the
 * request head alone, before libwebsockets sees anything of it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "auth/token.h"
#include "base/address.h"
#include "base/request_id.h"
#include "config/config.h"

enum {
	GATE_HEAD_MAX = 16 << 10,
	GATE_TOKEN_MAX = 4095,	/* past it: 431 */
	WEBSOCKET_KEY_LEN = 24, /* 16 bytes in base64 */
};

/* What was asked for, where the verdict is 101; REQUEST is set in any case. */
struct admission {
	struct claims claims;
	char key[WEBSOCKET_KEY_LEN + 1]; /* Sec-WebSocket-Key */
	struct address address;		 /* the client's, by lighttpd's word */
	char request[REQUEST_ID_SIZE];	 /* X-Request-Id; "": none, or not one (request_id_ok()) */
	bool v1;			 /* the subprotocol telemed.v1 was offered, and is chosen */
};

struct verdict {
	int status; /* 101: go on. 200: the health check. Anything else refuses */
	const char *code;
	const char *detail;
};

/* Judges the LEN bytes at HEAD, which end with the empty line. NOW_S is Unix time. The user's
 * existence is not looked at. */
struct verdict gate_check(const struct config *config, const struct token_keys *keys,
    const char *head, size_t len, int64_t now_s, struct admission *out);

/* Writes the whole HTTP answer of a verdict other than 101, to the request with the id REQUEST,
 * into OUT. */
void gate_answer(struct verdict v, const char *request, struct buf *out);
