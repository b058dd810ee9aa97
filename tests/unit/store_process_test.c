/* Several processes write, checkpoint and are killed, and the file keeps what was committed. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store_fixture.h"
#include "unit.h"

enum {
	FIRST_USERS = 9000, /* users in one transaction that make the log longer than 4 MiB */
	WRITES = 120,	    /* of each process */
	KILLS = 8,
};

static enum err
create(struct store *s, const char *prefix, int i)
{
	struct account a;
	char name[64];
	enum err e;

	snprintf(name, sizeof(name), "%s %d of a name that takes its room", prefix, i);
	a = account_of(name, i % 2 == 0 ? ROLE_DOCTOR : ROLE_PATIENT);
	if ((e = store_begin(s)) != ERR_OK)
		return e;
	return store_end(s, store_user_create(s, &a, 0));
}

static int64_t
file_size(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_size;
}

/* Makes the log longer than a checkpoint waits for. */
static void
grow_the_log(struct store *s)
{
	struct account a;

	assert_int_equal(store_begin(s), ERR_OK);
	for (int i = 0; i < FIRST_USERS; i++) {
		a = account_of("n", ROLE_PATIENT);
		memset(a.user.name, 'n', NAME_BYTES_MAX);
		snprintf(a.email, sizeof(a.email), "%d@example.org", i);
		assert_int_equal(store_user_create(s, &a, 0), ERR_OK);
	}
	assert_int_equal(store_end(s, ERR_OK), ERR_OK);
	assert_true(file_size(DB_FILE "-wal") > 4 << 20);
}

static void
a_checkpoint_waits_for_a_long_log(void **state)
{
	struct store *s = *state;
	int64_t before = file_size(DB_FILE);
	int64_t log;

	add_doctor(s, "doc");
	assert_int_equal(store_checkpoint(s), ERR_OK);
	assert_int_equal(file_size(DB_FILE), before);
	grow_the_log(s);
	assert_int_equal(file_size(DB_FILE), before);
	assert_int_equal(store_checkpoint(s), ERR_OK);
	assert_true(file_size(DB_FILE) > 2 << 20);
	/* From now on the log is written from its start, and grows no more. */
	log = file_size(DB_FILE "-wal");
	for (int i = 0; i < 20; i++)
		assert_int_equal(create(s, "later", i), ERR_OK);
	assert_int_equal(file_size(DB_FILE "-wal"), log);
	assert_int_equal(store_check(s), ERR_OK);
}

static void
closing_does_not_checkpoint(void **state)
{
	int64_t before = file_size(DB_FILE);

	add_doctor(*state, "doc");
	store_close(*state);
	*state = NULL;
	assert_int_equal(file_size(DB_FILE), before);
	assert_true(file_size(DB_FILE "-wal") > 0);
}

/* Writes, and checkpoints in between. */
static int
write_many(void *arg)
{
	const char *prefix = arg;
	struct store *s;
	int failed = 0;

	if (store_open(DB_FILE, LOCK_FILE, &s) != ERR_OK)
		return 1;
	for (int i = 0; i < WRITES && !failed; i++) {
		failed = create(s, prefix, i) != ERR_OK;
		if (!failed && i % 3 == 0)
			failed = store_checkpoint(s) != ERR_OK;
	}
	store_close(s);
	return failed;
}

struct flag {
	_Atomic int up;
};

/* Reads while the others write: what it has seen once is never gone again. */
static int
read_on(void *arg)
{
	struct flag *stop = arg;
	int64_t seen = 0;
	int64_t rev = 0;
	struct store *s;
	bool more;

	if (store_open(DB_FILE, LOCK_FILE, &s) != ERR_OK)
		return 1;
	while (!atomic_load(&stop->up)) {
		struct users l = { .n = 0 };

		if (store_users_changed(
			s, &rev, (int)COUNT_OF(l.user), collect_change, &l, &more) != ERR_OK)
			return 2;
		if (rev < seen || store_check(s) != ERR_OK)
			return 3;
		seen = rev;
	}
	store_close(s);
	return 0;
}

static void *
shared_page(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Nothing is damaged, also where the quick check does not look. */
static void
assert_sound(void)
{
	struct store *s = open_store();

	assert_int_equal(store_check(s), ERR_OK);
	store_close(s);
	assert_int_equal(
	    raw_sql("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

static void
writers_and_checkpoints_of_two_processes_lose_nothing(void **state)
{
	static char prefixes[][8] = { "left", "right" };
	struct flag *stop = shared_page();
	pid_t writers[COUNT_OF(prefixes)];
	pid_t reader;

	grow_the_log(*state);
	store_close(*state);
	*state = NULL;
	reader = child_start(read_on, stop);
	for (size_t i = 0; i < COUNT_OF(prefixes); i++)
		writers[i] = child_start(write_many, prefixes[i]);
	for (size_t i = 0; i < COUNT_OF(prefixes); i++)
		assert_int_equal(child_status(writers[i]), 0);
	atomic_store(&stop->up, 1);
	assert_int_equal(child_status(reader), 0);
	assert_sound();
	assert_int_equal(
	    raw_sql("SELECT count(*) FROM user"), FIRST_USERS + (int)COUNT_OF(prefixes) * WRITES);
	assert_int_equal(
	    raw_sql("SELECT count(DISTINCT rev) FROM user"), raw_sql("SELECT max(rev) FROM user"));
	munmap(stop, 4096);
}

/* What the child that is killed has told of: each commit, once it has returned. */
struct progress {
	char prefix[16];
	_Atomic int written;
};

static int
write_until_killed(void *arg)
{
	struct progress *p = arg;
	struct store *s;

	if (store_open(DB_FILE, LOCK_FILE, &s) != ERR_OK)
		return 1;
	for (int i = 0;; i++) {
		if (create(s, p->prefix, i) != ERR_OK || store_checkpoint(s) != ERR_OK)
			return 2;
		atomic_store(&p->written, i + 1);
	}
}

static void
what_was_committed_survives_a_kill(void **state)
{
	struct progress *p = shared_page();
	char query[96];
	int64_t have;
	pid_t pid;

	grow_the_log(*state);
	store_close(*state);
	*state = NULL;
	for (int round = 0; round < KILLS; round++) {
		snprintf(p->prefix, sizeof(p->prefix), "round%d", round);
		atomic_store(&p->written, 0);
		pid = child_start(write_until_killed, p);
		while (atomic_load(&p->written) < 1 + round)
			usleep(500);
		usleep((useconds_t)(700 * round));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(child_status(pid), 256 + SIGKILL);
		snprintf(query, sizeof(query),
		    "SELECT count(*) FROM user WHERE email LIKE 'round%d %%'", round);
		assert_sound();
		have = raw_sql(query);
		/* One may have been committed that there was no more time to tell of. */
		assert_in_range(have, atomic_load(&p->written), atomic_load(&p->written) + 1);
	}
	munmap(p, 4096);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_checkpoint_waits_for_a_long_log),
		TEST(closing_does_not_checkpoint),
		TEST(writers_and_checkpoints_of_two_processes_lose_nothing),
		TEST(what_was_committed_survives_a_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
