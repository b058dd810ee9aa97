/* The one SQLite file: opening, migrating, transactions. What is in it stands in the headers beside
 * this one, a file for each aggregate; all SQL of the project is in this folder, as a closed set of
 * prepared statements.
 *
 * Every function that fails for a reason outside us logs it once and returns ERR_BUSY (locked for
 * longer than STORE_BUSY_MS) or ERR_SYSTEM (full, broken, gone); in both cases nothing was half
 * written. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct store; /* one connection to the database; never shared by threads, never carried over a fork
	       */

enum {
	STORE_SCHEMA_VERSION = 7, /* the newest migration */
	STORE_BUSY_MS = 2000,	  /* the longest wait for another writer */
};

/* Opens the database at PATH, makes it where it lacks (mode 0600), and applies the migrations it
 * lacks, each in a transaction of its own. Commits are durable when they return (synchronous=FULL).
 * LOCK_PATH names the file whose flock(2) every writer and every checkpoint holds: SQLite 3.40 can
 * lose pages when a checkpoint and a commit of two connections overlap (sqlite.org/wal.html, "the
 * WAL-reset bug"). ERR_TOO_NEW: a newer program wrote it. ERR_INVALID: it is damaged, lacks
 * a table, or is no database. Both leave it as it was. On ERR_OK *OUT is the caller's, to
 * store_close(). */
MUST_USE enum err store_open(const char *path, const char *lock_path, struct store **out);

/* The same for who only looks: changes nothing, and takes no other schema than the newest
 * (ERR_TOO_NEW, or ERR_DENIED for an older one). ERR_NOT_FOUND: there is no database. */
MUST_USE enum err store_open_reader(const char *path, struct store **out);
void store_close(struct store *s); /* NULL is fine */

/* Why a store that failed with E to open, or to pass store_check() or store_audit_compare(), cannot
 * be used: a sentence for an operator; and whether it stays so until somebody does something. */
const char *store_sentence(enum err e);
bool store_is_hopeless(enum err e);

/* SQLite's own check of every page; for a program's start. ERR_INVALID: damaged. */
MUST_USE enum err store_check(struct store *s);

/* Every function that writes wants a transaction around it: begin, write, end. */
MUST_USE enum err store_begin(struct store *s);

/* Commits where SO_FAR is ERR_OK, else rolls back. Returns SO_FAR, or why the commit failed. */
MUST_USE enum err store_end(struct store *s, enum err so_far);

/* Could S be written to now? Takes what a writer takes, waiting WAIT_MS at most for each of two
 * locks, and writes nothing; for a health check. ERR_BUSY: another writer holds on to it.
 * ERR_TOO_NEW: a newer program has migrated the database meanwhile. */
MUST_USE enum err store_probe(struct store *s, int wait_ms);

/* Did the last statement that wrote change a row? */
bool store_wrote(const struct store *s);

/* Is the file no longer where it was opened? What is written then is lost. One stat(). */
bool store_gone(struct store *s);

/* Has another connection committed since the last call? About 2 us. */
bool store_changed(struct store *s);

/* Which state of the database this connection's last read or write has seen: another number after
 * each commit of anybody. Reads nothing itself, and is told nothing of other connections since. Not
 * to be compared with that of another connection. */
uint32_t store_state(struct store *s);

/* Moves what the WAL holds into the database once it is past WAL_BYTES_MAX. For one program alone,
 * off any loop. */
MUST_USE enum err store_checkpoint(struct store *s);
