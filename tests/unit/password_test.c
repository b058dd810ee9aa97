/* Passwords, at the cheapest cost. */
#include "auth/password.h"

#include <string.h>
#include <time.h>

#include "unit.h"

enum { CHEAP = 4 };

#define EIGHT	    "12345678"
#define SEVENTY_ONE EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT "1234567"

static void
a_password_makes_its_hash_and_no_other(void **state)
{
	static const char *const rows[] = { "correct horse", EIGHT, SEVENTY_ONE "x",
		"\xf0\x9f\x94\x91\xf0\x9f\x94\x91", "with \"quotes\" and \\", "  spaces  " };
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(password_hash(rows[i], CHEAP, hash), ERR_OK);
		assert_int_equal(strlen(hash), PASSWORD_HASH_SIZE - 1);
		assert_memory_equal(hash, "$2b$04$", 7);
		for (size_t j = 0; j < COUNT_OF(rows); j++)
			assert_int_equal(
			    password_verify(rows[j], hash), i == j ? ERR_OK : ERR_DENIED);
	}
}

static void
near_misses_are_denied(void **state)
{
	static const char *const rows[] = { "", "correct hors", "correct horse ", " correct horse",
		"Correct horse", "correct horsf", "correct horsecorrect horse" };
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("correct horse", CHEAP, hash), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i], password_verify(rows[i], hash) == ERR_DENIED);
}

/* bcrypt reads 72 bytes: the last of them must count. */
static void
the_seventy_second_byte_counts(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash(SEVENTY_ONE "x", CHEAP, hash), ERR_OK);
	assert_int_equal(password_verify(SEVENTY_ONE "x", hash), ERR_OK);
	assert_int_equal(password_verify(SEVENTY_ONE "y", hash), ERR_DENIED);
	assert_int_equal(password_verify(SEVENTY_ONE, hash), ERR_DENIED);
}

static void
a_byte_past_ascii_is_not_its_neighbour(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("pass\xc3\xa9word", CHEAP, hash), ERR_OK);
	assert_int_equal(password_verify("pass\xc3\xa8word", hash), ERR_DENIED);
	assert_int_equal(password_verify("passC)word", hash), ERR_DENIED);
}

static void
the_salt_is_never_the_same(void **state)
{
	char a[PASSWORD_HASH_SIZE];
	char b[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("correct horse", CHEAP, a), ERR_OK);
	assert_int_equal(password_hash("correct horse", CHEAP, b), ERR_OK);
	assert_memory_not_equal(a + 7, b + 7, 22);
	assert_string_not_equal(a, b);
}

static void
the_cost_stands_in_the_hash(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("correct horse", 5, hash), ERR_OK);
	assert_memory_equal(hash, "$2b$05$", 7);
	assert_int_equal(password_verify("correct horse", hash), ERR_OK);
}

/* The vector of crypt_blowfish, under both names of the same algorithm. */
static void
hashes_of_other_programs_are_understood(void **state)
{
	static const char *const rows[] = {
		"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_row(rows[i], password_verify("U*U", rows[i]) == ERR_OK);
		assert_row(rows[i], password_verify("U*V", rows[i]) == ERR_DENIED);
	}
}

static void
what_is_no_hash_denies(void **state)
{
	static const char *const rows[] = {
		"",
		"*0",
		"*1",
		"U*U",
		"$2b$",
		"$2b$05$CCCCCCCCCCCCCCCCCCCCC.",
		"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
		"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$xx$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$05$!!!!!!!!!!!!!!!!!!!!!!E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$05$CCCCCCCCCCCCCCCCCCCCC.e5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$6$saltsalt$",
		"$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i], password_verify("U*U", rows[i]) == ERR_DENIED);
}

static void
nobody_is_always_denied(void **state)
{
	(void)state;
	for (int cost = CHEAP; cost <= 10; cost += 3) {
		assert_int_equal(password_verify_nobody("correct horse", cost), ERR_DENIED);
		assert_int_equal(password_verify_nobody("", cost), ERR_DENIED);
	}
}

static int64_t
cpu_us(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static enum err
compare(const char *hash, int cost)
{
	if (hash == NULL)
		return password_verify_nobody("wrong", cost);
	assert_int_equal(password_verify("wrong", hash), ERR_DENIED);
	return password_make_up("wrong", hash, cost);
}

/* The least time of several that a verification takes, against HASH or, where it is NULL, nobody's.
 */
static int64_t
least_us(const char *hash, int cost)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < 7; i++) {
		int64_t start = cpu_us();
		enum err e = compare(hash, cost);
		int64_t took = cpu_us() - start;

		assert_int_equal(e, ERR_DENIED);
		if (took < least)
			least = took;
	}
	return least;
}

/* The time must not tell whether an account exists; one step of cost is a factor of two. Nor may it
 * where the account's hash was made at another cost than is set now, or is none. */
static void
nobody_takes_as_long_as_somebody(void **state)
{
	enum { COST = 8 };
	char hashes[3][PASSWORD_HASH_SIZE] = { "", "", "no hash" };
	int64_t nobody = least_us(NULL, COST);

	(void)state;
	assert_int_equal(password_hash("correct horse", COST, hashes[0]), ERR_OK);
	assert_int_equal(password_hash("correct horse", CHEAP, hashes[1]), ERR_OK);
	for (unsigned i = 0; i < COUNT_OF(hashes); i++)
		assert_in_range(nobody, least_us(hashes[i], COST) * 7 / 10,
		    least_us(hashes[i], COST) * 14 / 10);
}

static void
the_cost_of_what_is_no_hash_is_none(void **state)
{
	static const char *const none[] = { "", "$2b$05$", "*0",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$xx$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$0x$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$005CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_row(none[i], password_cost(none[i]) == 0);
	assert_int_equal(
	    password_cost("$2y$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), 12);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_password_makes_its_hash_and_no_other),
		cmocka_unit_test(near_misses_are_denied),
		cmocka_unit_test(the_seventy_second_byte_counts),
		cmocka_unit_test(a_byte_past_ascii_is_not_its_neighbour),
		cmocka_unit_test(the_salt_is_never_the_same),
		cmocka_unit_test(the_cost_stands_in_the_hash),
		cmocka_unit_test(hashes_of_other_programs_are_understood),
		cmocka_unit_test(what_is_no_hash_denies),
		cmocka_unit_test(nobody_is_always_denied),
		cmocka_unit_test(nobody_takes_as_long_as_somebody),
		cmocka_unit_test(the_cost_of_what_is_no_hash_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
