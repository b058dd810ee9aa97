/* Every statement of the project, and the only place that steps one. */
#include "store/sql.h"

#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "metrics/metrics.h"

/* A user in a live call is BUSY whatever was chosen. */
#define SHOWN_STATUS                                                                               \
	"CASE WHEN EXISTS (SELECT 1 FROM call WHERE state <> 'ENDED' AND callee_id = user.id) "    \
	"OR EXISTS (SELECT 1 FROM call WHERE state <> 'ENDED' AND caller_id = user.id) "           \
	"THEN 'BUSY' ELSE status END"

/* A user, as read_user() reads her, with STATUS. */
#define USER(status) "id, role, " status ", name, pending, disabled, epoch"

/* And an account, as read_account() does. */
#define ACCOUNT USER(SHOWN_STATUS) ", email, password_hash, erased"

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
	[SQL_USER_BY_EMAIL] = "SELECT " ACCOUNT " FROM user WHERE email = ?1",
	[SQL_USER_BY_ID] = "SELECT " ACCOUNT " FROM user WHERE id = ?1",
	[SQL_USER_OF_SESSION] = "SELECT " ACCOUNT " FROM user WHERE id = ?1 AND epoch = ?3 "
				"AND NOT disabled "
				"AND NOT EXISTS (SELECT 1 FROM revocation WHERE session = ?2)",
	[SQL_USER_SET_STATUS] =
	    "UPDATE user SET status = ?2 WHERE id = ?1 AND status <> ?2 AND NOT disabled",
	[SQL_USER_REQUEST] = "UPDATE user SET request = ?2, request_rev = rev WHERE id = ?1",
	[SQL_ACCOUNTS] = "SELECT " ACCOUNT ", created_ms FROM user WHERE NOT ?1 OR pending "
			 "ORDER BY id",
	[SQL_USER_APPROVE] = "UPDATE user SET pending = 0 WHERE id = ?1 AND pending",
	[SQL_USER_DISABLE] = "UPDATE user SET disabled = 1, status = 'OFFLINE' WHERE id = ?1 AND "
			     "NOT disabled",
	[SQL_USER_ENABLE] =
	    "UPDATE user SET disabled = 0 WHERE id = ?1 AND disabled AND NOT erased",
	[SQL_USER_SET_PASSWORD] = "UPDATE user SET password_hash = ?2 WHERE id = ?1 AND NOT erased",
	/* What stands in the place of an email is none: nobody can log in or register with it. */
	[SQL_USER_ERASE] = "UPDATE user SET name = 'Erased', email = 'erased ' || id, "
			   "password_hash = '', pending = 0, disabled = 1, erased = 1, "
			   "status = 'OFFLINE' WHERE id = ?1 AND NOT erased",
	[SQL_DOCTORS] = "SELECT " USER(
	    SHOWN_STATUS) " FROM user WHERE role = 'DOCTOR' "
			  "AND NOT pending AND NOT disabled ORDER BY name COLLATE NOCASE, id",
	/* The rest is for the relay, which works out BUSY from the calls it holds: the status as it
	   was chosen. */
	[SQL_USER_ROW] = "SELECT " USER("status") " FROM user WHERE id = ?1",
	[SQL_LISTED] = "SELECT " USER(
	    "status") " FROM user WHERE role = 'DOCTOR' "
		      "AND status <> 'OFFLINE' "
		      "UNION SELECT " USER("status") " FROM user WHERE id IN (SELECT user_id "
						     "FROM presence) "
						     "UNION SELECT " USER(
							 "status") " FROM user WHERE id IN "
								   "(SELECT caller_id FROM call "
								   "WHERE state <> 'ENDED' "
								   "UNION SELECT callee_id FROM "
								   "call WHERE state <> 'ENDED')",
	[SQL_CHANGES] = "SELECT " USER("status") ", rev, CASE WHEN request_rev = rev THEN request "
						 "END FROM user WHERE rev > ?1 "
						 "ORDER BY rev LIMIT ?2",
	[SQL_REVISION] = "SELECT value FROM revision",
	[SQL_PRESENCE_ADD] =
	    "INSERT INTO presence SELECT id FROM user WHERE id = ?1 ON CONFLICT DO NOTHING",
	[SQL_PRESENCE_REMOVE] = "DELETE FROM presence WHERE user_id = ?1",
	[SQL_PRESENCE_ALL] = "SELECT user_id FROM presence",
	[SQL_STATUS_IF_OFFLINE] = "UPDATE user SET status = 'ONLINE' WHERE id = ?1 AND status = "
				  "'OFFLINE' AND NOT disabled",
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
	[SQL_CALLS] = "SELECT id, call_id, caller_id, callee_id, state, reason, started_ms, "
		      "answered_ms, ended_ms FROM call WHERE ?1 OR state <> 'ENDED' ORDER BY id",
	[SQL_CALL_BY_NUMBER] = "SELECT state FROM call WHERE id = ?1",
	[SQL_ENDING_ADD] = "INSERT INTO call_ending (call) VALUES (?1)",
	/* What the relay has ended. */
	[SQL_ENDING_TRIM] = "DELETE FROM call_ending WHERE call IN (SELECT id FROM call WHERE "
			    "state = 'ENDED')",
	[SQL_ENDINGS_AFTER] = "SELECT e.id, c.caller_id, c.call_id FROM call_ending AS e "
			      "JOIN call AS c ON c.id = e.call WHERE e.id > ?1 AND "
			      "c.state <> 'ENDED' ORDER BY e.id",
	[SQL_CALLS_OF_CALLER] = CALLS_OF("caller_id", "callee_id"),
	[SQL_CALLS_OF_CALLEE] = CALLS_OF("callee_id", "caller_id"),
	[SQL_SESSION_BEGIN] = "INSERT INTO session (session, user_id, began_s, ends_s, source) "
			      "VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_SESSION_FORGET] = "DELETE FROM session WHERE session = ?1",
	[SQL_SESSION_EXPIRE] = "DELETE FROM session WHERE session IN (SELECT session FROM session "
			       "WHERE ends_s <= ?1 LIMIT 16)",
	[SQL_SESSION_FIND] = "SELECT session, user_id, began_s, ends_s, source FROM session "
			     "WHERE session = ?1 AND ends_s > ?2",
	[SQL_SESSIONS] = "SELECT session, user_id, began_s, ends_s, source FROM session "
			 "WHERE ends_s > ?1 AND (?2 = 0 OR user_id = ?2) "
			 "ORDER BY user_id, began_s, session",
	[SQL_SESSIONS_FORGET] = "DELETE FROM session WHERE ?1 = 0 OR user_id = ?1",
	[SQL_EPOCH] = "UPDATE user SET epoch = max(epoch + 1, ?2) WHERE ?1 = 0 OR id = ?1",
	/* Some of its tokens may be of days when a session had longer. */
	[SQL_SESSION_REVOKE] =
	    "INSERT INTO revocation (user_id, session, expires_s, request) VALUES (?1, ?2, "
	    "max(?3, coalesce((SELECT ends_s FROM session WHERE session = ?2), 0)), ?4) "
	    "ON CONFLICT DO NOTHING",
	[SQL_SESSION_TRIM] = "DELETE FROM revocation WHERE id IN (SELECT id FROM revocation WHERE "
			     "expires_s <= ?1 LIMIT 16)",
	[SQL_SESSION_CHECK] = "SELECT 1 FROM revocation WHERE session = ?1",
	[SQL_SESSIONS_AFTER] =
	    "SELECT id, user_id, session, request FROM revocation WHERE id > ?1 ORDER BY id",
	[SQL_SESSION_LAST] =
	    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'revocation'",
	[SQL_DRAIN_GET] = "SELECT number, active FROM drain",
	[SQL_DRAIN_ORDER] = "UPDATE drain SET number = number + 1, active = ?1",
	[SQL_ATTEMPT_GET] = "SELECT free_ms FROM auth_attempt WHERE bucket = ?1",
	[SQL_ATTEMPT_PUT] = "INSERT INTO auth_attempt (bucket, free_ms) VALUES (?1, ?2) "
			    "ON CONFLICT DO UPDATE SET free_ms = excluded.free_ms",
	[SQL_ATTEMPT_FORGET] = "DELETE FROM auth_attempt WHERE bucket = ?1",
	/* A bucket of logins ends with the email, in lower case (store_attempt.h). */
	[SQL_ATTEMPT_FORGET_EMAIL] = "DELETE FROM auth_attempt WHERE bucket LIKE 'login %' AND "
				     "substr(bucket, -length(?1) - 1) = ' ' || lower(?1)",
	[SQL_ATTEMPT_TRIM_OLD] =
	    "DELETE FROM auth_attempt WHERE bucket IN "
	    "(SELECT bucket FROM auth_attempt WHERE free_ms <= ?1 ORDER BY free_ms LIMIT 16)",
	[SQL_ATTEMPT_COUNT] = "SELECT count(*) FROM auth_attempt",
	[SQL_ATTEMPT_TRIM_SHARE] =
	    "DELETE FROM auth_attempt WHERE bucket IN "
	    "(SELECT bucket FROM auth_attempt WHERE bucket >= ?1 AND bucket < ?2 AND "
	    "(SELECT count(*) FROM auth_attempt WHERE bucket >= ?1 AND bucket < ?2) > ?3 "
	    "ORDER BY free_ms LIMIT 16)",
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
	[SQL_TALLY] =
	    "SELECT count(*) FILTER (WHERE role = 'PATIENT' AND NOT disabled), "
	    "count(*) FILTER (WHERE role = 'DOCTOR' AND NOT disabled AND NOT pending), "
	    "count(*) FILTER (WHERE pending AND NOT disabled), "
	    "count(*) FILTER (WHERE disabled AND NOT erased), count(*) FILTER (WHERE erased), "
	    "(SELECT count(*) FROM session WHERE ends_s > ?1), (SELECT count(*) FROM presence), "
	    "(SELECT count(*) FROM call WHERE state = 'RINGING'), "
	    "(SELECT count(*) FROM call WHERE state = 'ACTIVE'), "
	    "(SELECT coalesce(max(seq), (SELECT seq FROM audit_base), 0) FROM audit) FROM user",
};

static bool
is_busy(int rc)
{
	return (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
}

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
	metric_add(is_busy(rc) ? METRIC_STORE_BUSY : METRIC_STORE_FAILURES, 0, 1);
	if (is_busy(rc))
		return ERR_BUSY;
	switch (rc & 0xff) {
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
sql_check(struct store *s, const char *pragma)
{
	sqlite3_stmt *st = NULL;
	enum err e;

	e = sql_outcome(s, sqlite3_prepare_v2(s->db, pragma, -1, &st, NULL), "check");
	if (e == ERR_OK)
		e = sql_row(s, st);
	if (e == ERR_OK && strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		e = ERR_INVALID;
	sqlite3_finalize(st);
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
