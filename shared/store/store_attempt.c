#include "store/store_attempt.h"

#include "store/sql.h"

static enum err
put(struct store *s, const char *bucket, int64_t free_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_ATTEMPT_PUT);

	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, free_ms);
	return sql_run(s, st);
}

/* When all that BUCKET owes is won back; now, where it owes nothing. Nobody owes more than the
 * whole burst: where a clock that was set back left more, that is written down as well, or it would
 * be owed until the clock comes there again. */
static enum err
free_at(struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms, int64_t *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_ATTEMPT_GET);
	int64_t most = now_ms + rate.every_ms * rate.burst;
	enum err e;

	*out = now_ms;
	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	if ((e = sql_row(s, st)) != ERR_OK)
		return e == ERR_NOT_FOUND ? ERR_OK : e;
	if (sqlite3_column_int64(st, 0) > now_ms)
		*out = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	if (*out <= most)
		return ERR_OK;
	*out = most;
	return put(s, bucket, most);
}

enum err
store_attempt_check(
    struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms, int64_t *wait_ms)
{
	int64_t owed_until;
	enum err e;

	if ((e = free_at(s, bucket, rate, now_ms, &owed_until)) != ERR_OK)
		return e == ERR_BUSY ? ERR_SYSTEM : e;
	*wait_ms = owed_until - now_ms - rate.every_ms * (rate.burst - 1);
	return *wait_ms > 0 ? ERR_BUSY : ERR_OK;
}

enum err
store_attempt_count(struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms)
{
	sqlite3_stmt *trim = sql_get(s, SQL_ATTEMPT_TRIM);
	int64_t owed_until;
	enum err e;

	if ((e = free_at(s, bucket, rate, now_ms, &owed_until)) != ERR_OK)
		return e;
	if ((e = put(s, bucket, owed_until + rate.every_ms)) != ERR_OK)
		return e;
	sqlite3_bind_int64(trim, 1, now_ms);
	sqlite3_bind_int64(trim, 2, ATTEMPT_BUCKETS_MAX);
	return sql_run(s, trim);
}

enum err
store_attempt_forget(struct store *s, const char *bucket)
{
	sqlite3_stmt *st = sql_get(s, SQL_ATTEMPT_FORGET);

	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	return sql_run(s, st);
}
