/* Every statement of the project, and the only place that steps one. */
#include "store/sql.h"

#include <stddef.h>

#include "base/log.h"

/* A user in a live call is BUSY whatever was chosen. */
#define SHOWN_STATUS                                                                               \
	"CASE WHEN EXISTS (SELECT 1 FROM call WHERE state <> 'ENDED' AND callee_id = user.id) "    \
	"OR EXISTS (SELECT 1 FROM call WHERE state <> 'ENDED' AND caller_id = user.id) "           \
	"THEN 'BUSY' ELSE status END"

/* One party's calls with the other party, the newest first, before the call ?2. */
#define CALLS_OF(party, peer)                                                                      \
	"SELECT c.id, c.call_id, c.state, c.reason, c.started_ms, c.answered_ms, c.ended_ms, "     \
	"u.id, u.role, u.name FROM call AS c JOIN user AS u ON u.id = c." peer " WHERE c." party   \
	" = ?1 AND c.id < ?2 ORDER BY c.id DESC LIMIT ?3"

static const char *const sql[SQL__COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_BEGIN_READING] = "BEGIN",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_DATA_VERSION] = "PRAGMA data_version",
	[SQL_USER_INSERT] = "INSERT INTO user (name, email, password_hash, role, created_ms, "
			    "pending) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_USER_BY_EMAIL] = "SELECT id, role, " SHOWN_STATUS
			      ", name, pending, email, password_hash FROM user WHERE email = ?1",
	[SQL_USER_BY_ID] = "SELECT id, role, " SHOWN_STATUS
			   ", name, pending, email, password_hash FROM user WHERE id = ?1",
	[SQL_USER_OF_SESSION] = "SELECT id, role, " SHOWN_STATUS
				", name, pending, email, password_hash FROM user WHERE id = ?1 "
				"AND NOT EXISTS (SELECT 1 FROM revocation WHERE session = ?2)",
	[SQL_USER_SET_STATUS] = "UPDATE user SET status = ?2 WHERE id = ?1 AND status <> ?2",
	[SQL_ACCOUNTS] = "SELECT id, role, " SHOWN_STATUS
			 ", name, pending, email, created_ms FROM user WHERE NOT ?1 OR pending "
			 "ORDER BY id",
	[SQL_USER_APPROVE] = "UPDATE user SET pending = 0 WHERE id = ?1 AND pending",
	[SQL_DOCTORS] = "SELECT id, role, " SHOWN_STATUS
			", name, pending FROM user WHERE role = 'DOCTOR' "
			"AND NOT pending ORDER BY name COLLATE NOCASE, id",
	/* The rest is for the relay, which works out BUSY from the calls it holds: the status as it
	   was chosen. */
	[SQL_USER_ROW] = "SELECT id, role, status, name, pending FROM user WHERE id = ?1",
	[SQL_LISTED] = "SELECT id, role, status, name, pending FROM user WHERE role = 'DOCTOR' "
		       "AND status <> 'OFFLINE' "
		       "UNION SELECT id, role, status, name, pending FROM user WHERE id IN (SELECT "
		       "user_id FROM "
		       "presence) "
		       "UNION SELECT id, role, status, name, pending FROM user WHERE id IN "
		       "(SELECT caller_id FROM call WHERE state <> 'ENDED' "
		       "UNION SELECT callee_id FROM call WHERE state <> 'ENDED')",
	[SQL_CHANGES] = "SELECT id, role, status, name, pending, rev FROM user WHERE rev > ?1 "
			"ORDER BY rev LIMIT ?2",
	[SQL_REVISION] = "SELECT value FROM revision",
	[SQL_PRESENCE_ADD] =
	    "INSERT INTO presence SELECT id FROM user WHERE id = ?1 ON CONFLICT DO NOTHING",
	[SQL_PRESENCE_REMOVE] = "DELETE FROM presence WHERE user_id = ?1",
	[SQL_PRESENCE_ALL] = "SELECT user_id FROM presence",
	[SQL_STATUS_IF_OFFLINE] =
	    "UPDATE user SET status = 'ONLINE' WHERE id = ?1 AND status = 'OFFLINE'",
	[SQL_STATUS_OFFLINE] =
	    "UPDATE user SET status = 'OFFLINE' WHERE id = ?1 AND status <> 'OFFLINE'",
	[SQL_CALL_START] = "INSERT INTO call (call_id, caller_id, callee_id, state, started_ms) "
			   "VALUES (?1, ?2, ?3, 'RINGING', ?4)",
	[SQL_CALL_ANSWER] = "UPDATE call SET state = 'ACTIVE', answered_ms = ?2 WHERE caller_id = "
			    "?1 AND state = 'RINGING'",
	[SQL_CALL_END] = "UPDATE call SET state = 'ENDED', ended_ms = ?2, reason = ?3 "
			 "WHERE caller_id = ?1 AND state <> 'ENDED'",
	[SQL_CALL_LAST] = "SELECT id, callee_id FROM call WHERE caller_id = ?1 ORDER BY id DESC "
			  "LIMIT 1",
	[SQL_CALLS_LIVE] =
	    "SELECT call_id, caller_id, callee_id, state, started_ms, answered_ms FROM call "
	    "WHERE state <> 'ENDED' ORDER BY answered_ms",
	[SQL_CALLS_OF_CALLER] = CALLS_OF("caller_id", "callee_id"),
	[SQL_CALLS_OF_CALLEE] = CALLS_OF("callee_id", "caller_id"),
	[SQL_SESSION_REVOKE] = "INSERT INTO revocation (user_id, session, expires_s) VALUES (?1, "
			       "?2, ?3) ON CONFLICT DO NOTHING",
	[SQL_SESSION_TRIM] = "DELETE FROM revocation WHERE id IN (SELECT id FROM revocation WHERE "
			     "expires_s <= ?1 LIMIT 16)",
	[SQL_SESSION_CHECK] = "SELECT 1 FROM revocation WHERE session = ?1",
	[SQL_SESSIONS_AFTER] =
	    "SELECT id, user_id, session FROM revocation WHERE id > ?1 ORDER BY id",
	[SQL_SESSION_LAST] =
	    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'revocation'",
	[SQL_DRAIN_GET] = "SELECT number, active FROM drain",
	[SQL_DRAIN_ORDER] = "UPDATE drain SET number = number + 1, active = ?1",
	[SQL_ATTEMPT_GET] = "SELECT free_ms FROM auth_attempt WHERE bucket = ?1",
	[SQL_ATTEMPT_PUT] = "INSERT INTO auth_attempt (bucket, free_ms) VALUES (?1, ?2) "
			    "ON CONFLICT DO UPDATE SET free_ms = excluded.free_ms",
	[SQL_ATTEMPT_FORGET] = "DELETE FROM auth_attempt WHERE bucket = ?1",
	[SQL_ATTEMPT_TRIM] =
	    "DELETE FROM auth_attempt WHERE bucket IN "
	    "(SELECT bucket FROM auth_attempt WHERE free_ms <= ?1 "
	    "OR (SELECT count(*) FROM auth_attempt) > ?2 ORDER BY free_ms LIMIT 16)",
	[SQL_AUDIT_INSERT] =
	    "INSERT INTO audit (seq, at_ms, event, outcome, user_id, peer_id, call, "
	    "left_out, source, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[SQL_AUDIT_TAIL] = "SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1",
	[SQL_AUDIT_BASE] = "SELECT seq, mac, seal FROM audit_base",
	[SQL_AUDIT_AFTER] = "SELECT seq, at_ms, event, outcome, user_id, peer_id, call, left_out, "
			    "source, mac FROM audit WHERE seq > ?1 ORDER BY seq",
	[SQL_AUDIT_SET_BASE] =
	    "INSERT INTO audit_base VALUES (1, ?1, ?2, ?3) ON CONFLICT DO UPDATE "
	    "SET seq = excluded.seq, mac = excluded.mac, seal = excluded.seal",
	[SQL_AUDIT_DROP] = "DELETE FROM audit WHERE seq <= ?1",
};

enum err
sql_outcome(struct store *s, int rc, const char *what)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return ERR_OK;
	case SQLITE_CONSTRAINT:
		if (sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_UNIQUE)
			return ERR_CONFLICT;
		break;
	default:
		break;
	}
	/* sqlite3_errmsg() can quote data; the code cannot. */
	LOG(LOG_ERROR, "store_failed", F_STR("what", what),
	    F_INT("sqlite", sqlite3_extended_errcode(s->db)), F_STR("means", sqlite3_errstr(rc)));
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return ERR_INVALID;
	default:
		return ERR_SYSTEM;
	}
}

sqlite3_stmt *
sql_get(struct store *s, enum statement which)
{
	sqlite3_stmt **st = &s->statements[which];
	int rc;

	if (*st == NULL) {
		rc = sqlite3_prepare_v3(s->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
		if (rc != SQLITE_OK)
			(void)sql_outcome(s, rc, "prepare");
	}
	return *st;
}

enum err
sql_row(struct store *s, sqlite3_stmt *st)
{
	enum err e;
	int rc;

	if (st == NULL)
		return ERR_SYSTEM;
	if ((rc = sqlite3_step(st)) == SQLITE_ROW)
		return ERR_OK;
	e = rc == SQLITE_DONE ? ERR_NOT_FOUND : sql_outcome(s, rc, "read");
	sqlite3_reset(st);
	return e;
}

enum err
sql_run(struct store *s, sqlite3_stmt *st)
{
	enum err e;

	if (st == NULL)
		return ERR_SYSTEM;
	e = sql_outcome(s, sqlite3_step(st), "write");
	sqlite3_reset(st);
	return e;
}
