/* What a request leaves in the audit trail (docs/audit.md). */
#pragma once

#include "request.h"

/* Adds a line of USER, with the peer's address, in the transaction that runs. */
MUST_USE enum err trail_add(
    struct request *q, enum audit_event event, const char *outcome, struct user_id user);

/* Adds a line of a refusal of USER (0: of nobody who is known), in a transaction of its own. */
MUST_USE enum err trail_note(
    struct request *q, enum audit_event event, const char *outcome, struct user_id user);

/* Q was refused. Where the token has said by whom, and it is a matter of rights (401, 403, 429),
 * the trail has a line of it before the answer goes out. ERR_DENIED: done, or nothing to do.
 * ERR_BUSY, ERR_SYSTEM: it could not be written. */
MUST_USE enum err trail_refusal(struct request *q);
