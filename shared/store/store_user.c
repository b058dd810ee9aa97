#include "store/store_user.h"

#include <string.h>

#include "base/request_id.h"
#include "store/sql.h"

/* Column I as text that fits in SIZE bytes. The schema and the rules keep it so; a row of another
 * hand is cut. */
static void
copy_text(sqlite3_stmt *st, int i, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(st, i);
	size_t len = text == NULL ? 0 : strnlen(text, size - 1);

	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
}

static void
read_user(sqlite3_stmt *st, struct user *out)
{
	out->id.v = sqlite3_column_int64(st, 0);
	out->role = role_from_name((const char *)sqlite3_column_text(st, 1));
	out->status = status_from_name((const char *)sqlite3_column_text(st, 2));
	copy_text(st, 3, out->name, sizeof(out->name));
	out->pending = sqlite3_column_int(st, 4) != 0;
	out->disabled = sqlite3_column_int(st, 5) != 0;
	out->epoch = sqlite3_column_int64(st, 6);
}

static void
read_account(sqlite3_stmt *st, struct account *out)
{
	read_user(st, &out->user);
	copy_text(st, 7, out->email, sizeof(out->email));
	copy_text(st, 8, out->password_hash, sizeof(out->password_hash));
	out->erased = sqlite3_column_int(st, 9) != 0;
}

/* Reads the one account that the bound ST finds. */
static enum err
one_account(struct store *s, sqlite3_stmt *st, struct account *out)
{
	enum err e;

	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	read_account(st, out);
	sqlite3_reset(st);
	return ERR_OK;
}

enum err
store_user_create(struct store *s, struct account *a, int64_t now_ms)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_INSERT);
	enum err e;

	sqlite3_bind_text(st, 1, a->user.name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, a->email, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, a->password_hash, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, role_name(a->user.role), -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, now_ms);
	sqlite3_bind_int(st, 6, a->user.pending ? 1 : 0);
	if ((e = sql_run(s, st)) != ERR_OK)
		return e;
	a->user.id.v = sqlite3_last_insert_rowid(s->db);
	a->user.status = STATUS_OFFLINE;
	return ERR_OK;
}

enum err
store_user_by_email(struct store *s, const char *email, struct account *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_BY_EMAIL);

	sqlite3_bind_text(st, 1, email, -1, SQLITE_STATIC);
	return one_account(s, st, out);
}

enum err
store_user_by_id(struct store *s, struct user_id id, struct account *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_BY_ID);

	sqlite3_bind_int64(st, 1, id.v);
	return one_account(s, st, out);
}

enum err
store_user_of_token(struct store *s, const struct claims *token, struct account *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_OF_SESSION);

	sqlite3_bind_int64(st, 1, token->user.v);
	sqlite3_bind_text(st, 2, token->session, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, token->epoch);
	return one_account(s, st, out);
}

enum err
store_user_set_status(struct store *s, struct user_id id, enum status status, const char *request)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_SET_STATUS);
	enum err e;

	sqlite3_bind_int64(st, 1, id.v);
	sqlite3_bind_text(st, 2, status_name(status), -1, SQLITE_STATIC);
	if ((e = sql_run(s, st)) != ERR_OK || request == NULL || !store_wrote(s))
		return e;
	st = sql_get(s, SQL_USER_REQUEST);
	sqlite3_bind_int64(st, 1, id.v);
	sqlite3_bind_text(st, 2, request, -1, SQLITE_STATIC);
	return sql_run(s, st);
}

enum err
store_user_approve(struct store *s, struct user_id id)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_APPROVE);

	sqlite3_bind_int64(st, 1, id.v);
	return sql_run(s, st);
}

enum err
store_user_disable(struct store *s, struct user_id id)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_DISABLE);

	sqlite3_bind_int64(st, 1, id.v);
	return sql_run(s, st);
}

enum err
store_user_enable(struct store *s, struct user_id id)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_ENABLE);

	sqlite3_bind_int64(st, 1, id.v);
	return sql_run(s, st);
}

enum err
store_user_set_password(struct store *s, struct user_id id, const char *hash)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_SET_PASSWORD);

	sqlite3_bind_int64(st, 1, id.v);
	sqlite3_bind_text(st, 2, hash, -1, SQLITE_STATIC);
	return sql_run(s, st);
}

enum err
store_user_erase(struct store *s, const struct account *a)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_ERASE);
	sqlite3_stmt *attempts = sql_get(s, SQL_ATTEMPT_FORGET_EMAIL);
	enum err e;

	/* What is deleted is overwritten with zeros, from here on. */
	e = sql_outcome(
	    s, sqlite3_exec(s->db, "PRAGMA secure_delete = ON", NULL, NULL, NULL), "erase");
	if (e != ERR_OK)
		return e;
	sqlite3_bind_text(attempts, 1, a->email, -1, SQLITE_STATIC);
	if ((e = sql_run(s, attempts)) != ERR_OK)
		return e;
	sqlite3_bind_int64(st, 1, a->user.id.v);
	return sql_run(s, st);
}

enum err
store_accounts(struct store *s, bool pending_only, account_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(s, SQL_ACCOUNTS);
	struct account a = { .password_hash = "" };
	enum err e;

	sqlite3_bind_int(st, 1, pending_only ? 1 : 0);
	while ((e = sql_row(s, st)) == ERR_OK) {
		read_account(st, &a);
		explicit_bzero(a.password_hash, sizeof(a.password_hash));
		if ((e = fn(context, &a, sqlite3_column_int64(st, 10))) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
store_user_row(struct store *s, struct user_id id, struct user *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_USER_ROW);
	enum err e;

	sqlite3_bind_int64(st, 1, id.v);
	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	read_user(st, out);
	sqlite3_reset(st);
	return ERR_OK;
}

/* Gives every row of the bound ST to FN. */
static enum err
each_user(struct store *s, sqlite3_stmt *st, user_fn *fn, void *context)
{
	struct user u;
	enum err e;

	while ((e = sql_row(s, st)) == ERR_OK) {
		read_user(st, &u);
		if ((e = fn(context, &u)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
store_doctors(struct store *s, user_fn *fn, void *context)
{
	return each_user(s, sql_get(s, SQL_DOCTORS), fn, context);
}

enum err
store_revision(struct store *s, int64_t *rev)
{
	sqlite3_stmt *st = sql_get(s, SQL_REVISION);
	enum err e;

	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	*rev = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return ERR_OK;
}

enum err
store_users_listed(struct store *s, user_fn *fn, void *context, int64_t *rev)
{
	enum err e;

	/* The revision first: what changes between the two reads comes again as a change, and that
	 * does no harm. */
	if ((e = store_revision(s, rev)) != ERR_OK)
		return e;
	return each_user(s, sql_get(s, SQL_LISTED), fn, context);
}

enum err
store_users_changed(
    struct store *s, int64_t *rev, int max, change_fn *fn, void *context, bool *more)
{
	sqlite3_stmt *st = sql_get(s, SQL_CHANGES);
	char request[REQUEST_ID_SIZE];
	struct user u;
	int n = 0;
	enum err e;

	sqlite3_bind_int64(st, 1, *rev);
	sqlite3_bind_int(st, 2, max);
	while ((e = sql_row(s, st)) == ERR_OK) {
		read_user(st, &u);
		copy_text(st, 8, request, sizeof(request));
		if ((e = fn(context, &u, request)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
		*rev = sqlite3_column_int64(st, 7);
		n++;
	}
	*more = n == max;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
store_presence(struct store *s, user_fn *fn, void *context)
{
	sqlite3_stmt *st = sql_get(s, SQL_PRESENCE_ALL);
	struct user u = { .role = ROLE_NONE };
	enum err e;

	while ((e = sql_row(s, st)) == ERR_OK) {
		u.id.v = sqlite3_column_int64(st, 0);
		if ((e = fn(context, &u)) != ERR_OK) {
			sqlite3_reset(st);
			return e;
		}
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Runs FIRST and then SECOND, both for ID. */
static enum err
run_both(struct store *s, enum statement first, enum statement second, struct user_id id)
{
	sqlite3_stmt *a = sql_get(s, first);
	sqlite3_stmt *b = sql_get(s, second);
	enum err e;

	sqlite3_bind_int64(a, 1, id.v);
	sqlite3_bind_int64(b, 1, id.v);
	if ((e = sql_run(s, a)) != ERR_OK)
		return e;
	return sql_run(s, b);
}

enum err
store_presence_add(struct store *s, struct user_id id)
{
	return run_both(s, SQL_PRESENCE_ADD, SQL_STATUS_IF_OFFLINE, id);
}

enum err
store_presence_remove(struct store *s, struct user_id id)
{
	return run_both(s, SQL_PRESENCE_REMOVE, SQL_STATUS_OFFLINE, id);
}
