/* What waits until the store has answered a question about it: messages to somebody whom the hub
 * does not know, and renewals of tokens. Bounded, in all and for each user, so that one does not
 * take the room of all others. For the loop's thread alone. */
#pragma once

#include "relay.h"

enum { PARKED_MAX = 1024, PARKED_USER_MAX = 256 };

/* Goes on with what C had waiting since SINCE_US: the LEN bytes that were kept, at WHAT, which is
 * aligned for anything and lives until this returns. ANSWER is the store's (JOB_LOOKUP). Not called
 * where C is gone by then. */
typedef void parked_fn(struct relay *r, struct connection *c, const void *what, size_t len,
    int64_t since_us, const struct job *answer);

/* Keeps a copy of the LEN bytes at WHAT, which came from C at SINCE_US, while the store is asked
 * who TO is, or whether TOKEN is good still. False: too much waits, or there is no memory, and
 * nothing was begun. */
MUST_USE bool parked_ask_user(struct relay *r, struct connection *c, struct user_id to,
    const void *what, size_t len, int64_t since_us, parked_fn *go_on);
MUST_USE bool parked_ask_token(struct relay *r, struct connection *c, const struct claims *token,
    const void *what, size_t len, int64_t since_us, parked_fn *go_on);

/* Does something from CONN wait that asks who TO is? What follows it must not overtake it. */
bool parked_waits(struct conn_id conn, struct user_id to);
