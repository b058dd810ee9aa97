/* Lines and marks of the trail as JSON objects, one to a line of text: what the command prints, and
 * what an archive is made of. */
#pragma once

#include "audit/audit.h"
#include "json/json.h"

enum { AUDIT_TEXT_MAX = 1024 }; /* bytes of an object, at most */

/* Appends L. A text of a line that breaks a bound is "?": what somebody has put there is not passed
 * on to a terminal. */
void audit_line_write(const struct audit_line *l, struct buf *out);

/* Reads an object as audit_line_write() writes them. Whatever the LEN bytes at TEXT are, *OUT is a
 * line; where they are not such an object it is malformed. ERR_SYSTEM: no memory. */
MUST_USE enum err audit_line_read(const char *text, size_t len, struct audit_line *out);

/* A sealed mark under the name KIND, like "from"; and back. ERR_INVALID: TEXT is something else. */
void audit_sealed_write(const char *kind, const struct audit_sealed *s, struct buf *out);
MUST_USE enum err audit_sealed_read(
    const char *kind, const char *text, size_t len, struct audit_sealed *out);
