/* What the audit trail has outside the database: the key, and the head. */
#pragma once

#include "audit/audit.h"

/* Reads the key from the file at PATH. ERR_NOT_FOUND: there is none. ERR_DENIED: others than its
 * owner and its group can read it, or others than its owner write it. ERR_INVALID: it has not
 * AUDIT_KEY_BYTES_MIN to AUDIT_KEY_BYTES_MAX bytes. ERR_SYSTEM. */
MUST_USE enum err audit_key_read(const char *path, struct audit_key *out);

/* Makes a random key of 32 bytes at KEY_PATH, and the head of a trail without lines under it at
 * HEAD_PATH, both mode 0600, each whole or not at all, and the key last. For who holds the lock of
 * the store. */
MUST_USE enum err audit_key_make(
    const char *key_path, const char *head_path, struct audit_key *out);

/* Reads the head. ERR_NOT_FOUND: there is none. ERR_INVALID: it is not one that was made under KEY.
 */
MUST_USE enum err audit_head_read(
    const char *path, const struct audit_key *key, struct audit_mark *out);

/* Writes the head in the place of the old one, in one write of the same length: it takes no room on
 * the disk and is never half there for who looks at it later. Makes the file where it lacks, and
 * puts it right where it was not one (FRESH). */
MUST_USE enum err audit_head_write(
    const char *path, const struct audit_key *key, const struct audit_mark *m, bool fresh);

/* What was last written into the head, by whomever, outlives a cut of power; FRESH: and so does the
 * file. */
MUST_USE enum err audit_head_sync(const char *path, bool fresh);
