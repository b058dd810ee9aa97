/* Inside the store: the statements and how they are run. Nobody outside this folder includes it. */
#pragma once

#include <sqlite3.h>

#include "audit/audit.h"
#include "store/store.h"

enum statement {
	SQL_BEGIN,
	SQL_BEGIN_READING,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_DATA_VERSION,
	SQL_USER_INSERT,
	SQL_USER_BY_EMAIL,
	SQL_USER_BY_ID,
	SQL_USER_ROW,
	SQL_USER_OF_SESSION,
	SQL_USER_SET_STATUS,
	SQL_USER_REQUEST,
	SQL_ACCOUNTS,
	SQL_USER_APPROVE,
	SQL_USER_DISABLE,
	SQL_USER_ENABLE,
	SQL_USER_SET_PASSWORD,
	SQL_USER_ERASE,
	SQL_DOCTORS,
	SQL_LISTED,
	SQL_CHANGES,
	SQL_REVISION,
	SQL_PRESENCE_ADD,
	SQL_PRESENCE_REMOVE,
	SQL_PRESENCE_ALL,
	SQL_STATUS_IF_OFFLINE,
	SQL_STATUS_OFFLINE,
	SQL_CALL_START,
	SQL_CALL_ANSWER,
	SQL_CALL_END,
	SQL_CALL_LAST,
	SQL_CALLS_LIVE,
	SQL_CALLS,
	SQL_CALL_BY_NUMBER,
	SQL_ENDING_ADD,
	SQL_ENDING_TRIM,
	SQL_ENDINGS_AFTER,
	SQL_CALLS_OF_CALLER,
	SQL_CALLS_OF_CALLEE,
	SQL_SESSION_BEGIN,
	SQL_SESSION_FORGET,
	SQL_SESSION_EXPIRE,
	SQL_SESSION_FIND,
	SQL_SESSIONS,
	SQL_SESSIONS_FORGET,
	SQL_EPOCH,
	SQL_SESSION_REVOKE,
	SQL_SESSION_TRIM,
	SQL_SESSION_CHECK,
	SQL_SESSIONS_AFTER,
	SQL_SESSION_LAST,
	SQL_DRAIN_GET,
	SQL_DRAIN_ORDER,
	SQL_ATTEMPT_GET,
	SQL_ATTEMPT_PUT,
	SQL_ATTEMPT_FORGET,
	SQL_ATTEMPT_TRIM_OLD,
	SQL_ATTEMPT_COUNT,
	SQL_ATTEMPT_TRIM_SHARE,
	SQL_ATTEMPT_FORGET_EMAIL,
	SQL_AUDIT_INSERT,
	SQL_AUDIT_TAIL,
	SQL_AUDIT_BASE,
	SQL_AUDIT_AFTER,
	SQL_AUDIT_SET_BASE,
	SQL_AUDIT_DROP,
	SQL_TALLY,
	SQL__COUNT
};

/* The audit trail, as one connection writes it (store_audit.c; store_audit_read.c reads it). */
struct trail {
	char *key_path;
	char *head_path;
	struct audit_key key;
	int64_t left_out[AUDIT__COUNT]; /* since the last line of each kind */

	/* Of the transaction that runs. */
	bool writing;		    /* it has a line */
	bool head_is_fresh;	    /* the file was missing, or not ours */
	struct audit_mark last;	    /* the last line */
	int64_t more[AUDIT__COUNT]; /* left out in it */
	int64_t told[AUDIT__COUNT]; /* of both, in its lines */
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL__COUNT];
	int lock_fd;	  /* its flock is held inside a transaction and a checkpoint */
	int data_version; /* as store_changed() last saw it */
	char *wal_path;
	struct trail *trail; /* NULL: nobody asked for it */
};

/* The statement WHICH, ready to bind; prepared at its first use. NULL: it could not be (logged). */
sqlite3_stmt *sql_get(struct store *s, enum statement which);

/* Runs ST to its end and resets it. ERR_CONFLICT: a UNIQUE constraint. */
MUST_USE enum err sql_run(struct store *s, sqlite3_stmt *st);

/* The next row: ERR_OK; ERR_NOT_FOUND after the last, with ST reset. After any other, ST is reset
 * as well. */
MUST_USE enum err sql_row(struct store *s, sqlite3_stmt *st);

/* Runs PRAGMA, one that says "ok" of a database that is whole. ERR_INVALID: it says something else.
 */
MUST_USE enum err sql_check(struct store *s, const char *pragma);

/* Turns SQLite's RC into an outcome, and logs it where it is trouble. */
enum err sql_outcome(struct store *s, int rc, const char *what);

/* A store without a database, with the lock of the file at LOCK_PATH to be taken. The caller's, to
 * store_close(). */
MUST_USE enum err store_new(const char *lock_path, struct store **out);

/* Is there nothing at PATH that SQLite takes for more than a new database? It would remove the log
 * beside it. */
bool store_is_empty(const char *path);

/* Opens the database at PATH, of whatever version up to ours, to be read; changes nothing, and
 * makes nothing. No other may write meanwhile. ERR_TOO_NEW, ERR_INVALID, ERR_SYSTEM. */
MUST_USE enum err store_open_untouched(const char *path, struct store **out);

/* Takes and frees the lock between processes. */
MUST_USE enum err store_lock(struct store *s);
void store_unlock(struct store *s);

/* The mark of what was archived, before the first line where nothing was. ERR_INVALID: it is not
 * one of ours, and *OUT what it says. And the last line that stands in the database. */
MUST_USE enum err trail_read_base(
    struct store *s, const struct audit_key *key, struct audit_mark *out);
MUST_USE enum err trail_read_tail(
    struct store *s, const struct audit_key *key, struct audit_mark *out);

/* For store_end(), after the commit or the rollback: trail_end() under the lock, and where it says
 * that it has written the head, trail_sync() without. All take NULL. */
bool trail_end(struct trail *t, enum err outcome);
void trail_sync(const struct trail *t);
void trail_free(struct trail *t);

/* Is there a schema that migrate() can begin with? Writes nothing. ERR_TOO_NEW; ERR_INVALID: a
 * version that nobody gave out. */
enum err migrate_check(struct store *s);

/* After migrate_check(): are all tables, indexes and triggers (but the trail's) there that the
 * migrations up to its version have made? Writes nothing. ERR_INVALID: one is not (logged). */
enum err migrate_is_whole(struct store *s);
enum err migrate(struct store *s);
MUST_USE enum err migrate_version(struct store *s, int *out); /* of the file */
