/* Opening, transactions and what the file looks like to those who come after. */
#include "store/store.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "schema_001.h"
#include "schema_002.h"
#include "store_fixture.h"
#include "unit.h"

static void
a_new_store_is_private_and_migrated(void **state)
{
	struct store *s = *state;

	assert_int_equal(file_mode(DB_FILE), 0600);
	assert_int_equal(file_mode(DB_FILE "-wal"), 0600);
	assert_int_equal(file_mode(LOCK_FILE), 0600);
	assert_int_equal(raw_sql("PRAGMA user_version"), STORE_SCHEMA_VERSION);
	assert_int_equal(raw_sql("SELECT count(*) FROM user"), 0);
	assert_int_equal(store_check(s), ERR_OK);
}

static void
opening_leaves_the_umask_as_it_was(void **state)
{
	mode_t before = umask(022);
	struct store *s = open_store();

	(void)state;
	assert_int_equal(umask(before), 022);
	store_close(s);
}

static void
what_was_committed_is_there_after_opening_again(void **state)
{
	struct store *s = *state;
	struct user_id id = add_doctor(s, "doc");
	struct account a;

	for (int i = 0; i < 3; i++) {
		store_close(s);
		*state = s = open_store();
		assert_int_equal(store_user_by_id(s, id, &a), ERR_OK);
		assert_string_equal(a.user.name, "doc");
	}
	assert_int_equal(store_check(s), ERR_OK);
}

static void
run_raw(const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(DB_FILE, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Who was there before doctors had to be approved is not pending, and seen to change as ever. */
static void
an_older_database_is_migrated_with_who_is_in_it(void **state)
{
	static const char *const schemas[] = { schema_001, schema_002 };
	struct store *s = *state;

	store_close(s);
	for (int version = 1; version <= (int)COUNT_OF(schemas); version++) {
		char text[64];
		struct user u;

		(void)!unlink(DB_FILE);
		(void)!unlink(DB_FILE "-wal");
		(void)!unlink(DB_FILE "-shm");
		for (int i = 0; i < version; i++)
			run_raw(schemas[i]);
		run_raw("INSERT INTO user (name, email, password_hash, role, created_ms) "
			"VALUES ('doc', 'doc@example.org', 'h', 'DOCTOR', 1)");
		snprintf(text, sizeof(text), "PRAGMA user_version = %d", version);
		run_raw(text);
		s = open_store();
		assert_int_equal(raw_sql("PRAGMA user_version"), STORE_SCHEMA_VERSION);
		assert_int_equal(store_user_row(s, (struct user_id){ 1 }, &u), ERR_OK);
		assert_false(u.pending);
		assert_int_equal(raw_sql("SELECT value FROM revision"), 1);
		raw_sql("UPDATE user SET pending = 1");
		assert_int_equal(raw_sql("SELECT rev FROM user"), 2);
		raw_sql("UPDATE user SET status = 'ONLINE'");
		assert_int_equal(raw_sql("SELECT rev FROM user"), 3);
		store_close(s);
	}
	*state = open_store();
}

static void
closing_nothing_is_fine(void **state)
{
	(void)state;
	store_close(NULL);
}

static int
open_and_write(void *arg)
{
	const char *name = arg;
	struct account a = account_of(name, ROLE_DOCTOR);
	struct store *s;
	enum err e;

	if (store_open("shared.db", "shared.lock", &s) != ERR_OK || store_begin(s) != ERR_OK)
		return 1;
	e = store_end(s, store_user_create(s, &a, 0));
	store_close(s);
	return (int)e;
}

static void
programs_that_start_at_once_make_one_database(void **state)
{
	static char names[][8] = { "a", "b", "c", "d", "e", "f" };
	pid_t pids[COUNT_OF(names)];
	struct users l = { .n = 0 };
	struct store *s;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		pids[i] = child_start(open_and_write, names[i]);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(child_status(pids[i]), 0);
	assert_int_equal(store_open("shared.db", "shared.lock", &s), ERR_OK);
	assert_int_equal(store_doctors(s, collect, &l), ERR_OK);
	assert_int_equal(l.n, COUNT_OF(names));
	store_close(s);
}

static void
a_path_that_cannot_be_opened_is_trouble(void **state)
{
	struct store *s = NULL;

	(void)state;
	assert_int_equal(store_open("missing/telemed.db", "lock", &s), ERR_SYSTEM);
	assert_int_equal(store_open("telemed.db", "missing/lock", &s), ERR_SYSTEM);
	assert_int_equal(store_open(".", "lock", &s), ERR_SYSTEM);
	assert_null(s);
}

static int
open_as_another(void *arg)
{
	struct store *s;

	(void)arg;
	/* Whoever runs this as root is not stopped by modes. */
	if (geteuid() == 0 && seteuid(65534) != 0)
		return 100;
	if (store_open(DB_FILE, LOCK_FILE, &s) != ERR_SYSTEM)
		return 1;
	return 0;
}

static void
a_database_that_cannot_be_written_is_refused(void **state)
{
	store_close(*state);
	*state = NULL;
	assert_int_equal(chmod(".", 0777), 0);
	assert_int_equal(chmod(LOCK_FILE, 0666), 0);
	assert_int_equal(chmod(DB_FILE "-wal", 0666), 0);
	assert_int_equal(chmod(DB_FILE "-shm", 0666), 0);
	assert_int_equal(chmod(DB_FILE, 0444), 0);
	assert_int_equal(child_status(child_start(open_as_another, NULL)), 0);
}

static void
what_is_rolled_back_was_never_there(void **state)
{
	static const enum err rows[] = { ERR_INVALID, ERR_CONFLICT, ERR_BUSY, ERR_SYSTEM };
	struct store *s = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct account a = account_of("doc", ROLE_DOCTOR);

		assert_int_equal(store_begin(s), ERR_OK);
		assert_int_equal(store_user_create(s, &a, 0), ERR_OK);
		assert_int_equal(store_user_by_email(s, a.email, &a), ERR_OK);
		assert_int_equal(store_end(s, rows[i]), rows[i]);
		assert_int_equal(store_user_by_email(s, a.email, &a), ERR_NOT_FOUND);
	}
	add_doctor(s, "doc");
}

static void
only_the_commits_of_others_are_changes(void **state)
{
	struct store *s = *state;
	struct store *other = open_store();

	(void)store_changed(s);
	assert_false(store_changed(s));
	add_doctor(s, "mine");
	assert_false(store_changed(s));
	add_doctor(other, "theirs");
	assert_true(store_changed(s));
	assert_false(store_changed(s));
	add_doctor(other, "again");
	add_doctor(other, "and again");
	assert_true(store_changed(s));
	assert_false(store_changed(s));
	assert_int_equal(store_begin(other), ERR_OK);
	assert_int_equal(store_end(other, ERR_DENIED), ERR_DENIED);
	assert_false(store_changed(s));
	store_close(other);
}

static void
every_commit_makes_another_state(void **state)
{
	struct store *s = *state;
	struct store *other = open_store();
	struct user_id id = add_doctor(s, "doc");
	uint32_t before = store_state(s);

	assert_int_equal(status_of(s, id), STATUS_OFFLINE);
	assert_int_equal(store_state(s), before);
	committed(s, store_user_set_status(s, id, STATUS_BUSY, NULL));
	assert_int_not_equal(store_state(s), before);
	/* Another's is seen with the next read. */
	assert_int_equal(status_of(s, id), STATUS_BUSY);
	before = store_state(s);
	committed(other, store_user_set_status(other, id, STATUS_ONLINE, NULL));
	assert_int_equal(status_of(s, id), STATUS_ONLINE);
	assert_int_not_equal(store_state(s), before);
	before = store_state(s);
	/* What is rolled back is none. */
	assert_int_equal(store_begin(other), ERR_OK);
	assert_int_equal(store_user_set_status(other, id, STATUS_BUSY, NULL), ERR_OK);
	assert_int_equal(store_end(other, ERR_DENIED), ERR_DENIED);
	assert_int_equal(status_of(s, id), STATUS_ONLINE);
	assert_int_equal(store_state(s), before);
	store_close(other);
}

/* Holds the lock that its argument names, from when it says so in the pipe until it is killed. */
struct holder {
	int ready[2];
	bool in_transaction;
};

static int
hold(void *arg)
{
	const struct holder *h = arg;
	struct account a = account_of("half", ROLE_DOCTOR);
	struct store *s;
	int fd;

	if (h->in_transaction) {
		if (store_open(DB_FILE, LOCK_FILE, &s) != ERR_OK || store_begin(s) != ERR_OK ||
		    store_user_create(s, &a, 0) != ERR_OK)
			return 1;
	} else {
		fd = open(LOCK_FILE, O_RDWR);
		if (fd < 0 || flock(fd, LOCK_EX) != 0)
			return 1;
	}
	if (write(h->ready[1], "", 1) != 1)
		return 1;
	pause();
	return 0;
}

static pid_t
hold_in_child(struct holder *h)
{
	pid_t pid;
	char byte;

	assert_int_equal(pipe(h->ready), 0);
	pid = child_start(hold, h);
	assert_int_equal(read(h->ready[0], &byte, 1), 1);
	close(h->ready[0]);
	close(h->ready[1]);
	return pid;
}

static void
release(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(child_status(pid), 256 + SIGKILL);
}

static void
a_writer_gives_up_after_the_busy_time_and_readers_do_not_wait(void **state)
{
	struct holder h = { .in_transaction = false };
	struct store *s = *state;
	struct user_id id = add_doctor(s, "doc");
	pid_t pid = hold_in_child(&h);
	int64_t start = clock_monotonic_ms();

	assert_int_equal(store_begin(s), ERR_BUSY);
	assert_in_range(clock_monotonic_ms() - start, STORE_BUSY_MS, STORE_BUSY_MS + 1500);
	start = clock_monotonic_ms();
	assert_int_equal(status_of(s, id), STATUS_OFFLINE);
	(void)store_changed(s);
	assert_true(clock_monotonic_ms() - start < 500);
	release(pid);
	add_doctor(s, "after");
}

static int
kill_soon(void *arg)
{
	const pid_t *pid = arg;

	usleep(150000);
	return kill(*pid, SIGKILL);
}

static void
a_writer_gets_in_as_soon_as_the_lock_is_free(void **state)
{
	struct holder h = { .in_transaction = false };
	pid_t pid = hold_in_child(&h);
	pid_t killer = child_start(kill_soon, &pid);
	int64_t start = clock_monotonic_ms();

	add_doctor(*state, "doc");
	assert_in_range(clock_monotonic_ms() - start, 50, STORE_BUSY_MS - 1);
	assert_int_equal(child_status(pid), 256 + SIGKILL);
	assert_int_equal(child_status(killer), 0);
}

static void
a_killed_writer_leaves_nothing_half_done(void **state)
{
	struct holder h = { .in_transaction = true };
	struct store *s = *state;
	struct account a;
	pid_t pid = hold_in_child(&h);

	/* Not even while it is alive does anybody see what is not committed. */
	assert_int_equal(store_user_by_email(s, "half@example.org", &a), ERR_NOT_FOUND);
	release(pid);
	assert_int_equal(store_user_by_email(s, "half@example.org", &a), ERR_NOT_FOUND);
	add_doctor(s, "half");
	assert_int_equal(store_check(s), ERR_OK);
}

/* A health check finds out who is in the way, and is not in anybody's itself. */
static void
a_probe_says_whether_one_could_write(void **state)
{
	struct holder h = { .in_transaction = true };
	struct store *s = *state;
	pid_t pid;

	assert_int_equal(store_probe(s, 20), ERR_OK);
	for (int i = 0; i < 2; i++) {
		h.in_transaction = i == 1;
		pid = hold_in_child(&h);
		assert_int_equal(store_probe(s, 20), ERR_BUSY);
		release(pid);
		assert_int_equal(store_probe(s, 5000), ERR_OK);
	}
	add_doctor(s, "free");
	raw_sql("PRAGMA user_version = 99");
	assert_int_equal(store_probe(s, 20), ERR_TOO_NEW);
}

/* The lock of a program that does not know of ours. */
static void
a_probe_sees_the_locks_of_others(void **state)
{
	struct store *s = *state;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(DB_FILE, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_probe(s, 20), ERR_BUSY);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_probe(s, 20), ERR_OK);
	assert_int_equal(
	    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_new_store_is_private_and_migrated),
		TEST(opening_leaves_the_umask_as_it_was),
		TEST(what_was_committed_is_there_after_opening_again),
		TEST(an_older_database_is_migrated_with_who_is_in_it),
		TEST(closing_nothing_is_fine),
		TEST(programs_that_start_at_once_make_one_database),
		TEST(a_path_that_cannot_be_opened_is_trouble),
		TEST(a_database_that_cannot_be_written_is_refused),
		TEST(what_is_rolled_back_was_never_there),
		TEST(only_the_commits_of_others_are_changes),
		TEST(every_commit_makes_another_state),
		TEST(a_writer_gives_up_after_the_busy_time_and_readers_do_not_wait),
		TEST(a_writer_gets_in_as_soon_as_the_lock_is_free),
		TEST(a_killed_writer_leaves_nothing_half_done),
		TEST(a_probe_says_whether_one_could_write),
		TEST(a_probe_sees_the_locks_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
