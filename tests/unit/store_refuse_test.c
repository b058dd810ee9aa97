/* A file that is newer, damaged or somebody else's is refused at the start and stays as it was. */
#include <stdlib.h>
#include <string.h>

#include "store_fixture.h"
#include "unit.h"

enum { PAGE = 4096 };

/* A store of several hundred pages, all of it in the one file. */
static int
make_file(void **state)
{
	struct store *s;
	char name[64];

	if (store_setup(state) != 0)
		return -1;
	s = *state;
	if (store_begin(s) != ERR_OK)
		return -1;
	for (int i = 0; i < 2000; i++) {
		struct account a;

		snprintf(name, sizeof(name), "a doctor with a long name, number %d", i);
		a = account_of(name, ROLE_DOCTOR);
		if (store_user_create(s, &a, 0) != ERR_OK)
			return -1;
	}
	if (store_end(s, ERR_OK) != ERR_OK)
		return -1;
	store_close(s);
	*state = NULL;
	return raw_sql("PRAGMA wal_checkpoint(TRUNCATE)") == 0 ? 0 : -1;
}

/* Opens and checks, as a program that starts does. */
static enum err
start_with(const char *path)
{
	struct store *s = NULL;
	enum err e = store_open(path, LOCK_FILE, &s);

	assert_int_equal(e == ERR_OK, s != NULL);
	if (e == ERR_OK)
		e = store_check(s);
	store_close(s);
	return e;
}

/* The file at PATH is refused as EXPECT, and no byte of it changes. */
static void
refuse_file(const char *row, const char *path, enum err expect)
{
	size_t before_len, after_len;
	char *before = read_file(path, &before_len);
	char *after;

	assert_row(row, start_with(path) == expect);
	after = read_file(path, &after_len);
	assert_row(row, after_len == before_len && memcmp(after, before, before_len) == 0);
	free(before);
	free(after);
}

static void
the_file_as_it_was_made_is_taken(void **state)
{
	(void)state;
	assert_int_equal(start_with(DB_FILE), ERR_OK);
}

/* Sets the schema's version in the file itself. */
static void
set_version(const char *pragma)
{
	raw_sql(pragma);
	raw_sql("PRAGMA wal_checkpoint(TRUNCATE)");
}

static void
a_newer_schema_is_refused(void **state)
{
	char next[48];

	(void)state;
	set_version("PRAGMA user_version = 99");
	refuse_file("far", DB_FILE, ERR_TOO_NEW);
	snprintf(next, sizeof(next), "PRAGMA user_version = %d", STORE_SCHEMA_VERSION + 1);
	set_version(next);
	refuse_file("next", DB_FILE, ERR_TOO_NEW);
}

/* What the newer program wrote last may stand in the write-ahead log alone: that has to stay as
 * well. */
static void
a_newer_schema_in_the_log_is_refused(void **state)
{
	size_t before_len, after_len;
	char *before;
	char *after;

	(void)state;
	raw_sql("PRAGMA user_version = 99");
	before = read_file(DB_FILE "-wal", &before_len);
	assert_true(before_len > 0);
	refuse_file("database", DB_FILE, ERR_TOO_NEW);
	after = read_file(DB_FILE "-wal", &after_len);
	assert_int_equal(after_len, before_len);
	assert_memory_equal(after, before, before_len);
	free(before);
	free(after);
}

/* A newer program may have done without the write-ahead log. */
static void
a_newer_schema_in_another_journal_mode_is_refused(void **state)
{
	(void)state;
	raw_sql("PRAGMA journal_mode = DELETE");
	raw_sql("PRAGMA user_version = 99");
	refuse_file("rollback journal", DB_FILE, ERR_TOO_NEW);
}

static void
a_schema_of_no_version_is_refused(void **state)
{
	(void)state;
	set_version("PRAGMA user_version = -1");
	refuse_file("-1", DB_FILE, ERR_INVALID);
	set_version("PRAGMA user_version = -2147483648");
	refuse_file("least", DB_FILE, ERR_INVALID);
}

static void
a_schema_that_lacks_something_is_refused(void **state)
{
	static const char *const rows[] = { "DROP INDEX user_by_rev", "DROP TRIGGER user_changed",
		"DROP TABLE revocation", "DROP TABLE audit" };

	(void)state;
	raw_sql("CREATE TABLE somebody_elses (a)");
	raw_sql("PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(start_with(DB_FILE), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		raw_sql(rows[i]);
		raw_sql("PRAGMA wal_checkpoint(TRUNCATE)");
		refuse_file(rows[i], DB_FILE, ERR_INVALID);
	}
}

/* Nor is one brought up that lacks what its own version has. */
static void
an_older_schema_that_lacks_something_is_refused(void **state)
{
	(void)state;
	raw_sql("DROP TABLE presence");
	set_version("PRAGMA user_version = 2");
	refuse_file("2", DB_FILE, ERR_INVALID);
}

static void
what_is_no_database_is_refused(void **state)
{
	char noise[3 * PAGE] = { 0 };
	unsigned seed = 1;

	(void)state;
	write_file("text", "This is no database.\n", 21);
	refuse_file("text", "text", ERR_INVALID);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
	write_file("noise", noise, sizeof(noise));
	refuse_file("noise", "noise", ERR_INVALID);
	memset(noise, 0, sizeof(noise));
	write_file("zeroes", noise, sizeof(noise));
	refuse_file("zeroes", "zeroes", ERR_INVALID);
}

/* Overwrites LEN bytes at OFFSET of the file, tries it, and puts them back. */
static void
damage(const char *row, size_t offset, size_t len)
{
	size_t size;
	char *data = read_file(DB_FILE, &size);
	char *damaged = malloc(size);

	assert_non_null(damaged);
	assert_true(offset + len <= size);
	memcpy(damaged, data, size);
	memset(damaged + offset, 0xa5, len);
	write_file(DB_FILE, damaged, size);
	refuse_file(row, DB_FILE, ERR_INVALID);
	write_file(DB_FILE, data, size);
	free(damaged);
	free(data);
	remove(DB_FILE "-wal");
	remove(DB_FILE "-shm");
}

static void
damaged_pages_are_found(void **state)
{
	size_t size;

	(void)state;
	free(read_file(DB_FILE, &size));
	damage("magic", 0, 16);
	damage("first page", 100, 64);
	damage("whole schema", 100, PAGE - 100);
	for (size_t page = 1; page < size / PAGE; page += 17) {
		char row[32];

		snprintf(row, sizeof(row), "page %zu", page + 1);
		damage(row, page * PAGE, PAGE);
	}
	assert_int_equal(start_with(DB_FILE), ERR_OK);
}

static void
a_file_that_was_cut_is_found(void **state)
{
	size_t size;
	char *data = read_file(DB_FILE, &size);
	const size_t rows[] = { size - PAGE, size / 2 / PAGE * PAGE, PAGE, 1000, 50 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char row[32];

		snprintf(row, sizeof(row), "%zu bytes", rows[i]);
		write_file(DB_FILE, data, rows[i]);
		refuse_file(row, DB_FILE, ERR_INVALID);
		remove(DB_FILE "-wal");
		remove(DB_FILE "-shm");
	}
	free(data);
}

static void
an_empty_file_becomes_a_store(void **state)
{
	(void)state;
	write_file("empty", "", 0);
	assert_int_equal(start_with("empty"), ERR_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_file, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_file_as_it_was_made_is_taken),
		TEST(a_newer_schema_is_refused),
		TEST(a_newer_schema_in_the_log_is_refused),
		TEST(a_newer_schema_in_another_journal_mode_is_refused),
		TEST(a_schema_of_no_version_is_refused),
		TEST(a_schema_that_lacks_something_is_refused),
		TEST(an_older_schema_that_lacks_something_is_refused),
		TEST(what_is_no_database_is_refused),
		TEST(damaged_pages_are_found),
		TEST(a_file_that_was_cut_is_found),
		TEST(an_empty_file_becomes_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
