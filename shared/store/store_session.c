#include "store/store_session.h"

#include <stdio.h>

#include "store/sql.h"

/* How long a session is remembered past its end: what was logged out while the clock was a day
 * ahead must not be good again when it has been set right. */
enum { KEPT_PAST_END_S = 2 * 86400 };

enum err
store_session_begin(struct store *s, const struct session_row *row)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSION_BEGIN);
	sqlite3_stmt *expire = sql_get(s, SQL_SESSION_EXPIRE);
	enum err e;

	sqlite3_bind_text(st, 1, row->session, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, row->user.v);
	sqlite3_bind_int64(st, 3, row->began_s);
	sqlite3_bind_int64(st, 4, row->ends_s);
	sqlite3_bind_text(st, 5, row->source, -1, SQLITE_STATIC);
	if ((e = sql_run(s, st)) != ERR_OK)
		return e;
	sqlite3_bind_int64(expire, 1, row->began_s - KEPT_PAST_END_S);
	return sql_run(s, expire);
}

static void
read_session(sqlite3_stmt *st, struct session_row *out)
{
	snprintf(
	    out->session, sizeof(out->session), "%s", (const char *)sqlite3_column_text(st, 0));
	out->user.v = sqlite3_column_int64(st, 1);
	out->began_s = sqlite3_column_int64(st, 2);
	out->ends_s = sqlite3_column_int64(st, 3);
	snprintf(out->source, sizeof(out->source), "%s", (const char *)sqlite3_column_text(st, 4));
}

enum err
store_session_find(struct store *s, const char *session, int64_t now_s, struct session_row *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSION_FIND);
	enum err e;

	sqlite3_bind_text(st, 1, session, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, now_s);
	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	read_session(st, out);
	sqlite3_reset(st);
	return ERR_OK;
}

enum err
store_sessions(
    struct store *s, struct user_id user, int64_t now_s, session_row_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSIONS);
	struct session_row row;
	enum err e;

	sqlite3_bind_int64(st, 1, now_s);
	sqlite3_bind_int64(st, 2, user.v);
	while ((e = sql_row(s, st)) == ERR_OK) {
		read_session(st, &row);
		if ((e = fn(context, &row)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
store_sessions_end(struct store *s, struct user_id user, int64_t now_ms)
{
	sqlite3_stmt *forget = sql_get(s, SQL_SESSIONS_FORGET);
	sqlite3_stmt *epoch = sql_get(s, SQL_EPOCH);
	enum err e;

	sqlite3_bind_int64(forget, 1, user.v);
	if ((e = sql_run(s, forget)) != ERR_OK)
		return e;
	sqlite3_bind_int64(epoch, 1, user.v);
	sqlite3_bind_int64(epoch, 2, now_ms);
	return sql_run(s, epoch);
}

enum err
store_session_revoke(struct store *s, struct user_id user, const char *session, int64_t expires_s,
    int64_t now_s, const char *request)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSION_REVOKE);
	sqlite3_stmt *trim = sql_get(s, SQL_SESSION_TRIM);
	sqlite3_stmt *forget = sql_get(s, SQL_SESSION_FORGET);
	enum err e;

	sqlite3_bind_int64(st, 1, user.v);
	sqlite3_bind_text(st, 2, session, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, expires_s);
	sqlite3_bind_text(st, 4, request, -1, SQLITE_STATIC);
	if ((e = sql_run(s, st)) != ERR_OK)
		return e;
	sqlite3_bind_text(forget, 1, session, -1, SQLITE_STATIC);
	if ((e = sql_run(s, forget)) != ERR_OK)
		return e;
	sqlite3_bind_int64(trim, 1, now_s - KEPT_PAST_END_S);
	return sql_run(s, trim);
}

enum err
store_session_check(struct store *s, const char *session)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSION_CHECK);
	enum err e;

	sqlite3_bind_text(st, 1, session, -1, SQLITE_STATIC);
	if ((e = sql_row(s, st)) != ERR_OK)
		return e == ERR_NOT_FOUND ? ERR_OK : e;
	sqlite3_reset(st);
	return ERR_DENIED;
}

enum err
store_sessions_revoked(struct store *s, int64_t *last, session_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSIONS_AFTER);
	enum err e;

	sqlite3_bind_int64(st, 1, *last);
	while ((e = sql_row(s, st)) == ERR_OK) {
		struct user_id user = { sqlite3_column_int64(st, 1) };
		const char *request = (const char *)sqlite3_column_text(st, 3);

		if ((e = fn(context, user, (const char *)sqlite3_column_text(st, 2),
			 request == NULL ? "" : request)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
		*last = sqlite3_column_int64(st, 0);
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
store_session_last(struct store *s, int64_t *last)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSION_LAST);
	enum err e;

	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	*last = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return ERR_OK;
}
