#include "store/store_attempt.h"

#include <stdio.h>
#include <string.h>

#include "store/sql.h"

enum { WORD_SIZE = 16 };

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

/* How long it is until one more attempt is within RATE; not above 0: it is now. */
static int64_t
wait_of(int64_t owed_until, struct attempt_rate rate, int64_t now_ms)
{
	return owed_until - now_ms - rate.every_ms * (rate.burst - 1);
}

int64_t
store_attempt_wait(struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_ATTEMPT_GET);
	int64_t owed_until;
	int64_t wait_ms;

	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	if (sql_row(s, st) != ERR_OK)
		return 0;
	owed_until = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	wait_ms = wait_of(owed_until, rate, now_ms);
	/* Past the whole burst it is not that much: see free_at(). */
	return wait_ms > 0 && owed_until - now_ms <= rate.every_ms * rate.burst ? wait_ms : 0;
}

enum err
store_attempt_check(
    struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms, int64_t *wait_ms)
{
	int64_t owed_until;
	enum err e;

	if ((e = free_at(s, bucket, rate, now_ms, &owed_until)) != ERR_OK)
		return e == ERR_BUSY ? ERR_SYSTEM : e;
	*wait_ms = wait_of(owed_until, rate, now_ms);
	return *wait_ms > 0 ? ERR_BUSY : ERR_OK;
}

/* Drops some of what is of no use any more. */
static enum err
trim_old(struct store *s, int64_t now_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_ATTEMPT_TRIM_OLD);

	sqlite3_bind_int64(st, 1, now_ms);
	return sql_run(s, st);
}

/* Drops some of the share that BUCKET is in, where that is too large: of the names from the word
 * and a blank to before the word and what follows a blank. */
static enum err
trim_share(struct store *s, const char *bucket)
{
	sqlite3_stmt *st = sql_get(s, SQL_ATTEMPT_TRIM_SHARE);
	int word = (int)strcspn(bucket, " ");
	char from[WORD_SIZE];
	char to[WORD_SIZE];

	snprintf(from, sizeof(from), "%.*s ", word, bucket);
	snprintf(to, sizeof(to), "%.*s%c", word, bucket, ' ' + 1);
	sqlite3_bind_text(st, 1, from, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, to, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, ATTEMPT_BUCKETS_MAX);
	return sql_run(s, st);
}

/* The whole table is counted first, which SQLite does by its pages; a share by its rows. */
static enum err
trim(struct store *s, const char *bucket, int64_t now_ms)
{
	sqlite3_stmt *count = sql_get(s, SQL_ATTEMPT_COUNT);
	int64_t buckets;
	enum err e;

	if ((e = trim_old(s, now_ms)) != ERR_OK || (e = sql_row(s, count)) != ERR_OK)
		return e;
	buckets = sqlite3_column_int64(count, 0);
	sqlite3_reset(count);
	return buckets > ATTEMPT_BUCKETS_MAX ? trim_share(s, bucket) : ERR_OK;
}

enum err
store_attempt_count(struct store *s, const char *bucket, struct attempt_rate rate, int64_t now_ms)
{
	int64_t owed_until;
	enum err e;

	if ((e = free_at(s, bucket, rate, now_ms, &owed_until)) != ERR_OK)
		return e;
	if ((e = put(s, bucket, owed_until + rate.every_ms)) != ERR_OK)
		return e;
	return trim(s, bucket, now_ms);
}

enum err
store_attempt_forget(struct store *s, const char *bucket)
{
	sqlite3_stmt *st = sql_get(s, SQL_ATTEMPT_FORGET);

	sqlite3_bind_text(st, 1, bucket, -1, SQLITE_STATIC);
	return sql_run(s, st);
}
