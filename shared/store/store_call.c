#include "store/store_call.h"

#include <stdio.h>

#include "store/sql.h"

enum err
store_call_start(struct store *s, const char *call_id, struct user_id caller, struct user_id callee,
    int64_t now_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_CALL_START);

	sqlite3_bind_text(st, 1, call_id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, caller.v);
	sqlite3_bind_int64(st, 3, callee.v);
	sqlite3_bind_int64(st, 4, now_ms);
	return sql_run(s, st);
}

enum err
store_call_answer(struct store *s, struct user_id caller, int64_t now_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_CALL_ANSWER);

	sqlite3_bind_int64(st, 1, caller.v);
	sqlite3_bind_int64(st, 2, now_ms);
	return sql_run(s, st);
}

enum err
store_call_end(struct store *s, struct user_id caller, enum call_reason reason, int64_t now_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_CALL_END);

	sqlite3_bind_int64(st, 1, caller.v);
	sqlite3_bind_int64(st, 2, now_ms);
	sqlite3_bind_text(st, 3, call_reason_name(reason), -1, SQLITE_STATIC);
	return sql_run(s, st);
}

enum err
store_call_last(struct store *s, struct user_id caller, int64_t *number, struct user_id *callee)
{
	sqlite3_stmt *st = sql_get(s, SQL_CALL_LAST);
	enum err e;

	sqlite3_bind_int64(st, 1, caller.v);
	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	*number = sqlite3_column_int64(st, 0);
	callee->v = sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return ERR_OK;
}

enum err
store_calls_live(struct store *s, call_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(s, SQL_CALLS_LIVE);
	struct call_row c;
	enum err e;

	while ((e = sql_row(s, st)) == ERR_OK) {
		snprintf(
		    c.call_id, sizeof(c.call_id), "%s", (const char *)sqlite3_column_text(st, 0));
		c.caller.v = sqlite3_column_int64(st, 1);
		c.callee.v = sqlite3_column_int64(st, 2);
		c.state = call_state_from_name((const char *)sqlite3_column_text(st, 3));
		c.started_ms = sqlite3_column_int64(st, 4);
		c.answered_ms = sqlite3_column_int64(st, 5);
		if ((e = fn(context, &c)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static void
read_record(sqlite3_stmt *st, struct call_record *c)
{
	c->number = sqlite3_column_int64(st, 0);
	snprintf(c->call_id, sizeof(c->call_id), "%s", (const char *)sqlite3_column_text(st, 1));
	c->state = call_state_from_name((const char *)sqlite3_column_text(st, 2));
	c->reason = call_reason_from_name((const char *)sqlite3_column_text(st, 3));
	c->started_ms = sqlite3_column_int64(st, 4);
	c->answered_ms = sqlite3_column_int64(st, 5);
	c->ended_ms = sqlite3_column_int64(st, 6);
	c->peer.id.v = sqlite3_column_int64(st, 7);
	c->peer.role = role_from_name((const char *)sqlite3_column_text(st, 8));
	snprintf(
	    c->peer.name, sizeof(c->peer.name), "%s", (const char *)sqlite3_column_text(st, 9));
}

enum err
store_calls_of(struct store *s, struct user_id user, enum role role, int64_t before, int max,
    call_record_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(
	    s, role == ROLE_PATIENT ? SQL_CALLS_OF_CALLER : SQL_CALLS_OF_CALLEE);
	struct call_record c = { .outgoing = role == ROLE_PATIENT };
	enum err e;

	sqlite3_bind_int64(st, 1, user.v);
	sqlite3_bind_int64(st, 2, before == 0 ? INT64_MAX : before);
	sqlite3_bind_int(st, 3, max);
	while ((e = sql_row(s, st)) == ERR_OK) {
		read_record(st, &c);
		if ((e = fn(context, &c)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static void
read_entry(sqlite3_stmt *st, struct call_entry *c)
{
	c->number = sqlite3_column_int64(st, 0);
	snprintf(
	    c->row.call_id, sizeof(c->row.call_id), "%s", (const char *)sqlite3_column_text(st, 1));
	c->row.caller.v = sqlite3_column_int64(st, 2);
	c->row.callee.v = sqlite3_column_int64(st, 3);
	c->row.state = call_state_from_name((const char *)sqlite3_column_text(st, 4));
	c->reason = call_reason_from_name((const char *)sqlite3_column_text(st, 5));
	c->row.started_ms = sqlite3_column_int64(st, 6);
	c->row.answered_ms = sqlite3_column_int64(st, 7);
	c->ended_ms = sqlite3_column_int64(st, 8);
}

enum err
store_calls(struct store *s, bool all, call_entry_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(s, SQL_CALLS);
	struct call_entry c;
	enum err e;

	sqlite3_bind_int(st, 1, all ? 1 : 0);
	while ((e = sql_row(s, st)) == ERR_OK) {
		read_entry(st, &c);
		if ((e = fn(context, &c)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
store_call_state(struct store *s, int64_t number, enum call_state *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_CALL_BY_NUMBER);
	enum err e;

	sqlite3_bind_int64(st, 1, number);
	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	*out = call_state_from_name((const char *)sqlite3_column_text(st, 0));
	sqlite3_reset(st);
	return ERR_OK;
}

enum err
store_call_want_end(struct store *s, int64_t number)
{
	sqlite3_stmt *trim = sql_get(s, SQL_ENDING_TRIM);
	sqlite3_stmt *st = sql_get(s, SQL_ENDING_ADD);
	enum err e;

	if ((e = sql_run(s, trim)) != ERR_OK)
		return e;
	sqlite3_bind_int64(st, 1, number);
	return sql_run(s, st);
}

enum err
store_calls_to_end(struct store *s, int64_t *last, call_ending_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(s, SQL_ENDINGS_AFTER);
	enum err e;

	sqlite3_bind_int64(st, 1, *last);
	while ((e = sql_row(s, st)) == ERR_OK) {
		struct user_id caller = { sqlite3_column_int64(st, 1) };

		if ((e = fn(context, caller, (const char *)sqlite3_column_text(st, 2))) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
		*last = sqlite3_column_int64(st, 0);
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}
