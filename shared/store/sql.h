/* Inside the store: the statements and how they are run. Nobody outside this folder includes it. */
#pragma once

#include <sqlite3.h>

#include "store/store.h"

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_DATA_VERSION,
	SQL_USER_INSERT,
	SQL_USER_BY_EMAIL,
	SQL_USER_BY_ID,
	SQL_USER_ROW,
	SQL_USER_OF_SESSION,
	SQL_USER_SET_STATUS,
	SQL_ACCOUNTS,
	SQL_USER_APPROVE,
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
	SQL_CALLS_LIVE,
	SQL_CALLS_OF_CALLER,
	SQL_CALLS_OF_CALLEE,
	SQL_SESSION_REVOKE,
	SQL_SESSION_TRIM,
	SQL_SESSION_CHECK,
	SQL_SESSIONS_AFTER,
	SQL_SESSION_LAST,
	SQL_ATTEMPT_GET,
	SQL_ATTEMPT_PUT,
	SQL_ATTEMPT_FORGET,
	SQL_ATTEMPT_TRIM,
	SQL__COUNT
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL__COUNT];
	int lock_fd;	  /* its flock is held inside a transaction and a checkpoint */
	int data_version; /* as store_changed() last saw it */
	char *wal_path;
};

/* The statement WHICH, ready to bind; prepared at its first use. NULL: it could not be (logged). */
sqlite3_stmt *sql_get(struct store *s, enum statement which);

/* Runs ST to its end and resets it. ERR_CONFLICT: a UNIQUE constraint. */
MUST_USE enum err sql_run(struct store *s, sqlite3_stmt *st);

/* The next row: ERR_OK; ERR_NOT_FOUND after the last, with ST reset. After any other, ST is reset
 * as well. */
MUST_USE enum err sql_row(struct store *s, sqlite3_stmt *st);

/* Turns SQLite's RC into an outcome, and logs it where it is trouble. */
enum err sql_outcome(struct store *s, int rc, const char *what);

/* Takes and frees the lock between processes. */
MUST_USE enum err store_lock(struct store *s);
void store_unlock(struct store *s);

/* Is there a schema that migrate() can begin with? Writes nothing. ERR_TOO_NEW; ERR_INVALID: a
 * version that nobody gave out. */
enum err migrate_check(struct store *s);
enum err migrate(struct store *s);
