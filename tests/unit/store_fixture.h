/* A store in a directory of its own, and who stands in it. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/request_id.h"
#include "scratch.h"
#include "store/store.h"
#include "store/store_user.h"
#include "unit.h"

#define DB_FILE	  "telemed.db"
#define LOCK_FILE "telemed.lock"

/* Runs CALL in a transaction of S; all of it must succeed. */
#define committed(s, call)                                                                         \
	do {                                                                                       \
		assert_int_equal(store_begin(s), ERR_OK);                                          \
		assert_int_equal(store_end((s), (call)), ERR_OK);                                  \
	} while (0)

static inline struct store *
open_store(void)
{
	struct store *s = NULL;

	assert_int_equal(store_open(DB_FILE, LOCK_FILE, &s), ERR_OK);
	assert_non_null(s);
	return s;
}

/* cmocka fixtures: *STATE is the open store. */
static inline int
store_setup(void **state)
{
	log_nothing();
	if (scratch_enter(state) != 0)
		return -1;
	return store_open(DB_FILE, LOCK_FILE, (struct store **)state) == ERR_OK ? 0 : -1;
}

static inline int
store_teardown(void **state)
{
	store_close(*state);
	return scratch_leave(state);
}

/* NAME's account: NAME@example.org. */
static inline struct account
account_of(const char *name, enum role role)
{
	struct account a = { .user = { .role = role } };

	snprintf(a.user.name, sizeof(a.user.name), "%s", name);
	snprintf(a.email, sizeof(a.email), "%.200s@example.org", name);
	snprintf(a.password_hash, sizeof(a.password_hash), "hash of %.40s", name);
	return a;
}

static inline struct user_id
add_user(struct store *s, const char *name, enum role role)
{
	struct account a = account_of(name, role);

	committed(s, store_user_create(s, &a, 1800000000000));
	return a.user.id;
}

static inline struct user_id
add_doctor(struct store *s, const char *name)
{
	return add_user(s, name, ROLE_DOCTOR);
}

static inline struct user_id
add_patient(struct store *s, const char *name)
{
	return add_user(s, name, ROLE_PATIENT);
}

/* The status that others see. */
static inline enum status
status_of(struct store *s, struct user_id id)
{
	struct account a;

	assert_int_equal(store_user_by_id(s, id, &a), ERR_OK);
	return a.user.status;
}

/* What a user_fn, or a change_fn, was given. */
struct users {
	struct user user[16];
	char request[16][REQUEST_ID_SIZE];
	size_t n;
	size_t fail_at; /* the n-th call fails; 0: none */
};

static inline enum err
collect(void *context, const struct user *u)
{
	struct users *l = context;

	if (l->fail_at > 0 && l->n + 1 == l->fail_at)
		return ERR_DENIED;
	if (l->n == COUNT_OF(l->user))
		return ERR_TOO_BIG;
	l->user[l->n++] = *u;
	return ERR_OK;
}

static inline enum err
collect_change(void *context, const struct user *u, const char *request)
{
	struct users *l = context;
	enum err e = collect(l, u);

	if (e == ERR_OK)
		snprintf(l->request[l->n - 1], REQUEST_ID_SIZE, "%s", request);
	return e;
}

static inline bool
holds(const struct users *l, struct user_id id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (user_same(l->user[i].id, id))
			return true;
	}
	return false;
}

/* ID in L; the test has failed where it is not there. */
static inline const struct user *
found(const struct users *l, struct user_id id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (user_same(l->user[i].id, id))
			return &l->user[i];
	}
	fail_msg("%lld is not in the list", (long long)id.v);
	abort();
}

/* Runs SQL behind the store's back and returns the first column of the first row, 0 for none. What
 * it writes stays in the log, as what the store writes. */
static inline int64_t
raw_sql(const char *sql)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int64_t value = 0;

	assert_int_equal(sqlite3_open(DB_FILE, &db), SQLITE_OK);
	assert_int_equal(sqlite3_busy_timeout(db, 5000), SQLITE_OK);
	assert_int_equal(
	    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return value;
}
