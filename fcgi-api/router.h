/* From a request to its handler. What a row of the table says is checked before the handler runs.
 */
#pragma once

#include "request.h"

enum access {
	ANYONE,
	LOOPBACK,  /* the peer is this machine */
	SIGNED_IN, /* a valid token; q->who is set */
	DOCTORS,   /* and its user is a doctor who is not pending */
};

/* Answers Q with ERR_OK and a reply, or returns ERR_DENIED where it has refused, or ERR_BUSY or
 * ERR_SYSTEM: then the router answers 503. */
typedef enum err handler(struct request *q);

struct route {
	enum method method;
	const char *path;
	enum access access;
	bool has_body; /* a JSON object in q->json */
	handler *handle;
};

extern const struct route routes[]; /* ends with a row without a handler */

enum { BODY_BYTES_MAX = 16 << 10 };

/* Sets q->reply, whatever comes. */
void route_request(struct request *q);
