/* The audit trail in the database: each line is written in the transaction of what it tells of, so
 * that both are there or neither. docs/audit.md. */
#pragma once

#include "audit/audit_verify.h"
#include "store/store.h"

/* Has S write the trail under the key at KEY_PATH, which is made (mode 0600, with the head at
 * HEAD_PATH) where there is none and no line was ever written. Without this nothing can be added.
 * ERR_NOT_FOUND: the key is gone, and there are lines under it. ERR_DENIED, ERR_INVALID: as
 * audit_key_read() says. ERR_BUSY, ERR_SYSTEM. */
MUST_USE enum err store_audit_open(struct store *s, const char *key_path, const char *head_path);

/* Before store_open(), at a start or where the file is another than before: is all in the database
 * at PATH that the head tells of? It is never ahead by itself (docs/audit.md), so where it is, the
 * database or its log was lost, cut or damaged. Changes nothing, and makes no file but the lock's.
 * ERR_CONFLICT: not all (logged). ERR_OK also where there is no head to tell, or no key for it.
 * Failures as store_open()'s. */
MUST_USE enum err store_audit_compare(
    const char *path, const char *lock_path, const char *key_path, const char *head_path);

/* At an end: moves what the log holds into the database at PATH, so that this file alone is all of
 * it, unless it is missing, or store_audit_compare() or store_open() has something against it, or
 * somebody reads: then all stays as it is. */
void store_audit_settle(
    const char *path, const char *lock_path, const char *key_path, const char *head_path);

/* Why the trail cannot be kept, a sentence for an operator; and whether it stays so until somebody
 * does something. */
const char *store_audit_sentence(enum err e);
bool store_audit_is_hopeless(enum err e);

/* What is to be recorded. */
struct audit_entry {
	enum audit_event event;
	int64_t at_ms;	     /* when, on the wall clock; 0: now, as it is written */
	int64_t left_out;    /* events of its kind before it that nothing was kept of */
	const char *outcome; /* AUDIT_WORD_MAX of A-Z a-z 0-9 _ at most */
	struct user_id user;
	struct user_id peer;
	int64_t call; /* store_call_last()'s */
	struct address address;
	const char *source; /* in the place of an address; NULL: none */
};

/* How many lines one can bring about without having done anything that lasts. What is past it is
 * counted in the next line of its kind that this process writes, as what an entry's LEFT_OUT says
 * is. */
enum {
	AUDIT_REFUSALS_BURST = 20, /* AUDIT_LOGIN_FAILED, _LIMITED, _DENIED, of one user, or of one
				      network where nobody has logged in */
	AUDIT_REFUSALS_EVERY_MS = 5 * 60 * 1000, /* and then one in this time */
	AUDIT_ALL_BURST = 2000,			 /* of all of them */
	AUDIT_ALL_EVERY_MS = 2 * 1000,
	AUDIT_STATUS_BURST = 100, /* AUDIT_STATUS, of one user */
	AUDIT_STATUS_EVERY_MS = 10 * 1000,
};

/* In a transaction: adds a line, which the commit makes lasting and the head's file behind it
 * tells of. ERR_SYSTEM, also where what ENTRY holds cannot stand in a line (logged). */
MUST_USE enum err store_audit_add(struct store *s, const struct audit_entry *entry, int64_t now_ms);

/* The same in a transaction of its own; but where there would be no line, it is counted without
 * one, and without the writers' lock. */
MUST_USE enum err store_audit_note(struct store *s, const struct audit_entry *entry);

/* The mark behind which the lines begin: what was archived last, or before the first line, sealed.
 * ERR_INVALID: somebody else made it. */
MUST_USE enum err store_audit_base(struct store *s, struct audit_sealed *out);

/* The last line that the database says was archived, whoever made it say so; 0: none was. */
MUST_USE enum err store_audit_archived(struct store *s, int64_t *out);

/* M, a line's, as the end of an archive. ERR_SYSTEM: no memory. */
MUST_USE enum err store_audit_seal(
    const struct store *s, const struct audit_mark *m, struct audit_sealed *out);

/* In a transaction: the lines behind FROM up to TO are in an archive, and leave the database, which
 * begins behind TO then. ERR_CONFLICT: it does not begin behind FROM, or TO does not stand there.
 */
MUST_USE enum err store_audit_drop(
    struct store *s, const struct audit_mark *from, const struct audit_mark *to);
/* The last line that stands in the database, or the last that was archived; *OUT is of 0 where
 * there was never one. Whether it is whole is not looked at. */
MUST_USE enum err store_audit_last(struct store *s, struct audit_mark *out);

/* Reading, for store_open_reader(). Both hold one state of the database until
 * store_audit_reading_end(). */

/* Reads KEY, and what else is known of the trail, into *B, which is then for audit_verify(); the
 * head before the lines, so that it is never ahead of them. Failures as store_audit_open()'s. */
MUST_USE enum err store_audit_reading(struct store *s, const char *key_path, const char *head_path,
    struct audit_key *key, struct audit_bounds *b);
void store_audit_reading_end(struct store *s);

/* Gives FN all lines behind AFTER, the oldest first. FN's failure ends it and is returned. */
typedef enum err audit_line_fn(void *context, const struct audit_line *l);
MUST_USE enum err store_audit_each(
    struct store *s, int64_t after, audit_line_fn *fn, void *context);

/* The lines as audit_verify() wants them; S is its context. */
struct audit_source store_audit_source(struct store *s);
