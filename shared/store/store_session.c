#include "store/store_session.h"

#include "store/sql.h"

enum err
store_session_revoke(struct store *s, struct user_id user, const char *session, int64_t expires_s,
    int64_t now_s, const char *request)
{
	sqlite3_stmt *st = sql_get(s, SQL_SESSION_REVOKE);
	sqlite3_stmt *trim = sql_get(s, SQL_SESSION_TRIM);
	enum err e;

	sqlite3_bind_int64(st, 1, user.v);
	sqlite3_bind_text(st, 2, session, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, expires_s);
	sqlite3_bind_text(st, 4, request, -1, SQLITE_STATIC);
	if ((e = sql_run(s, st)) != ERR_OK)
		return e;
	sqlite3_bind_int64(trim, 1, now_s);
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
