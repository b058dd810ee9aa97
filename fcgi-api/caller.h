/* Who is calling. */
#pragma once

#include "request.h"

/* Reads the bearer token (RFC 6750 2.1) and looks its user up in the database, which decides about
 * the role; sets q->claims and q->who. A token of a session that was logged out is refused.
 * ERR_DENIED: refused, and the reply says why; q->claims.user is 0 where the token
 * proves nobody. ERR_BUSY, ERR_SYSTEM: the database. */
MUST_USE enum err caller_authenticate(struct request *q);

/* What the throttle knows the peer by: its address_network(). Empty where lighttpd named none. */
void caller_address_key(const struct request *q, char out[ADDRESS_TEXT_SIZE]);
