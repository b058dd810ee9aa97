/* What the relay leaves in the audit trail (docs/audit.md). */
#pragma once

#include "hub.h"
#include "journal.h"

/* On the store thread, right behind the write of P in its transaction: adds the line of it, where P
 * is such an event and has changed anything. FROM is the address that it was asked for from. */
MUST_USE enum err trail_add(
    struct store *s, const struct persist *p, const struct address *from, int64_t now_ms);

enum { REFUSALS_WAITING_MAX = 256 }; /* for the store, at a time */

/* On the loop: USER, at FROM, was refused something about PEER. Written by and by, with the time of
 * now; of a refusal nobody waits for that. One that finds REFUSALS_WAITING_MAX before it, or no
 * memory, has no line, and is counted in the next of its kind. CODE is static. */
void trail_refusal(struct journal *j, enum audit_event event, const char *code, struct user_id user,
    struct user_id peer, const struct address *from);

/* On the loop: the store has done with J, one of them. What it could not write until the relay's
 * end is lost; how many that are is logged when none waits any more. */
void trail_refusal_done(const struct job *j);
