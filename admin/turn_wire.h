/* The way to a STUN or TURN server: UDP, TCP, or TLS over TCP. */
#pragma once

#include "config/turn_settings.h"
#include "stun.h"

struct turn_wire;

enum { TURN_WHY_SIZE = 160 };

/* Opens the way that URL, which was read by turn_urls_read(), names. ERR_DENIED: it is one that we
 * have not, DTLS. ERR_NOT_FOUND: there is no such name, or nobody answers, or its certificate is
 * not one that a browser takes. WHY says which. On ERR_OK *OUT is the caller's, to turn_close(). */
MUST_USE enum err turn_open(const char *url, struct turn_wire **out, char why[TURN_WHY_SIZE]);
void turn_close(struct turn_wire *w); /* NULL is fine */

/* Sends R, and over UDP again until it is answered (RFC 8489 6.2.1), and waits some seconds for the
 * answer. ERR_NOT_FOUND: none came. ERR_SYSTEM: it cannot be sent. */
MUST_USE enum err turn_ask(
    struct turn_wire *w, const struct stun_request *r, struct stun_answer *out);
