/* The throttle of attempts: a burst, then one at a time, and never a lock that lasts. */
#include "store/store_attempt.h"

#include <stdio.h>
#include <string.h>

#include "store_fixture.h"
#include "unit.h"

#define NOW INT64_C(1800000000000)

/* Five at once, one more each two minutes: a full burst is won back in ten. */
static const struct attempt_rate rate = { .every_ms = 120000, .burst = 5 };

static enum err
check(struct store *s, const char *bucket, int64_t now_ms)
{
	int64_t wait_ms = 0;
	enum err e = store_attempt_check(s, bucket, rate, now_ms, &wait_ms);

	assert_int_equal(e == ERR_BUSY, wait_ms > 0);
	return e;
}

/* How long BUCKET has to wait; 0 where it need not. */
static int64_t
wait_of(struct store *s, const char *bucket, int64_t now_ms)
{
	int64_t wait_ms = 0;

	if (store_attempt_check(s, bucket, rate, now_ms, &wait_ms) == ERR_OK)
		return 0;
	return wait_ms;
}

static void
count(struct store *s, const char *bucket, int64_t now_ms)
{
	committed(s, store_attempt_count(s, bucket, rate, now_ms));
}

static void
use_up_the_burst(struct store *s, const char *bucket, int64_t now_ms)
{
	for (int i = 0; i < rate.burst; i++) {
		assert_int_equal(check(s, bucket, now_ms), ERR_OK);
		count(s, bucket, now_ms);
	}
}

static void
a_burst_is_allowed_and_no_more(void **state)
{
	struct store *s = *state;

	use_up_the_burst(s, "a", NOW);
	assert_int_equal(check(s, "a", NOW), ERR_BUSY);
	assert_int_equal(wait_of(s, "a", NOW), rate.every_ms);
}

static void
one_is_won_back_after_the_wait(void **state)
{
	struct store *s = *state;

	use_up_the_burst(s, "a", NOW);
	assert_int_equal(check(s, "a", NOW + rate.every_ms - 1), ERR_BUSY);
	assert_int_equal(wait_of(s, "a", NOW + rate.every_ms - 1), 1);
	assert_int_equal(check(s, "a", NOW + rate.every_ms), ERR_OK);
	count(s, "a", NOW + rate.every_ms);
	assert_int_equal(check(s, "a", NOW + rate.every_ms), ERR_BUSY);
}

static void
a_whole_burst_is_won_back_in_time(void **state)
{
	struct store *s = *state;

	use_up_the_burst(s, "a", NOW);
	use_up_the_burst(s, "a", NOW + rate.every_ms * rate.burst);
	assert_int_equal(check(s, "a", NOW + rate.every_ms * rate.burst), ERR_BUSY);
	/* Time that nobody used is not saved up. */
	use_up_the_burst(s, "a", NOW + 1000 * rate.every_ms);
	assert_int_equal(check(s, "a", NOW + 1000 * rate.every_ms), ERR_BUSY);
}

/* Who goes on trying, or tries against somebody else's account, does not lengthen the wait. */
static void
refused_attempts_cost_nothing(void **state)
{
	struct store *s = *state;

	use_up_the_burst(s, "a", NOW);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(check(s, "a", NOW + i), ERR_BUSY);
	assert_int_equal(wait_of(s, "a", NOW), rate.every_ms);
	assert_int_equal(check(s, "a", NOW + rate.every_ms), ERR_OK);
}

static void
buckets_do_not_touch_each_other(void **state)
{
	struct store *s = *state;
	char longest[401];

	memset(longest, 'b', sizeof(longest));
	longest[400] = '\0';
	use_up_the_burst(s, "account:ada", NOW);
	assert_int_equal(check(s, "account:ada", NOW), ERR_BUSY);
	assert_int_equal(check(s, "account:Ada", NOW), ERR_OK);
	assert_int_equal(check(s, "account:bob", NOW), ERR_OK);
	assert_int_equal(check(s, "", NOW), ERR_OK);
	use_up_the_burst(s, longest, NOW);
	assert_int_equal(check(s, longest, NOW), ERR_BUSY);
	longest[399] = 'c';
	assert_int_equal(check(s, longest, NOW), ERR_OK);
}

static void
what_is_forgotten_may_try_again(void **state)
{
	struct store *s = *state;

	use_up_the_burst(s, "a", NOW);
	use_up_the_burst(s, "b", NOW);
	committed(s, store_attempt_forget(s, "a"));
	use_up_the_burst(s, "a", NOW);
	assert_int_equal(check(s, "a", NOW), ERR_BUSY);
	assert_int_equal(check(s, "b", NOW), ERR_BUSY);
	committed(s, store_attempt_forget(s, "never tried"));
}

static void
what_was_rolled_back_is_not_counted(void **state)
{
	struct store *s = *state;

	for (int i = 0; i < 2 * rate.burst; i++) {
		assert_int_equal(store_begin(s), ERR_OK);
		assert_int_equal(store_attempt_count(s, "a", rate, NOW), ERR_OK);
		assert_int_equal(store_end(s, ERR_DENIED), ERR_DENIED);
	}
	assert_int_equal(check(s, "a", NOW), ERR_OK);
	assert_int_equal(raw_sql("SELECT count(*) FROM auth_attempt"), 0);
}

/* More were counted than checked, by processes that checked at the same time. */
static void
nobody_owes_more_than_the_burst(void **state)
{
	struct store *s = *state;

	for (int i = 0; i < 4 * rate.burst; i++)
		count(s, "a", NOW);
	assert_in_range(wait_of(s, "a", NOW), 1, 2 * rate.every_ms);
}

static void
a_clock_that_was_set_back_locks_nobody_out(void **state)
{
	struct store *s = *state;
	int64_t day_ms = 86400000;

	use_up_the_burst(s, "a", NOW);
	assert_int_equal(wait_of(s, "a", NOW - day_ms), rate.every_ms);
	count(s, "a", NOW - day_ms);
	assert_in_range(wait_of(s, "a", NOW - day_ms), 1, 2 * rate.every_ms);
}

static void
a_burst_of_one_is_one_at_a_time(void **state)
{
	static const struct attempt_rate one = { .every_ms = 1000, .burst = 1 };
	struct store *s = *state;
	int64_t wait_ms = 0;

	assert_int_equal(store_attempt_check(s, "a", one, NOW, &wait_ms), ERR_OK);
	committed(s, store_attempt_count(s, "a", one, NOW));
	assert_int_equal(store_attempt_check(s, "a", one, NOW, &wait_ms), ERR_BUSY);
	assert_int_equal(wait_ms, 1000);
	assert_int_equal(store_attempt_check(s, "a", one, NOW + 1000, &wait_ms), ERR_OK);
}

static void
attempts_are_shared_and_outlive_the_process(void **state)
{
	struct store *s = *state;
	struct store *other = open_store();

	use_up_the_burst(s, "a", NOW);
	assert_int_equal(check(other, "a", NOW), ERR_BUSY);
	store_close(other);
	store_close(s);
	*state = s = open_store();
	assert_int_equal(check(s, "a", NOW), ERR_BUSY);
}

/* A flood of addresses, each used once: what has run full again is dropped as others come. */
static void
the_table_does_not_grow_past_what_is_in_use(void **state)
{
	struct store *s = *state;
	char bucket[32];

	assert_int_equal(store_begin(s), ERR_OK);
	for (int i = 0; i < 3000; i++) {
		snprintf(bucket, sizeof(bucket), "address %d", i);
		assert_int_equal(
		    store_attempt_count(s, bucket, rate, NOW + i * rate.every_ms / 10), ERR_OK);
	}
	assert_int_equal(store_end(s, ERR_OK), ERR_OK);
	assert_in_range(raw_sql("SELECT count(*) FROM auth_attempt"), 10, 12);
	/* Who still owes is kept. */
	use_up_the_burst(s, "owes", NOW + 301 * rate.every_ms);
	for (int i = 0; i < 30; i++) {
		snprintf(bucket, sizeof(bucket), "later %d", i);
		count(s, bucket, NOW + 305 * rate.every_ms);
	}
	assert_int_equal(check(s, "owes", NOW + 301 * rate.every_ms), ERR_BUSY);
}

/* A flood of addresses at once, none of which has run full again. */
static void
the_table_has_a_bound_whatever_comes(void **state)
{
	struct store *s = *state;
	char bucket[32];

	for (int i = 0; i < rate.burst; i++)
		count(s, "address that owes the most", NOW);
	assert_int_equal(store_begin(s), ERR_OK);
	for (int i = 0; i < ATTEMPT_BUCKETS_MAX + 500; i++) {
		snprintf(bucket, sizeof(bucket), "address %d", i);
		assert_int_equal(store_attempt_count(s, bucket, rate, NOW), ERR_OK);
	}
	assert_int_equal(store_end(s, ERR_OK), ERR_OK);
	assert_in_range(raw_sql("SELECT count(*) FROM auth_attempt"), ATTEMPT_BUCKETS_MAX - 16,
	    ATTEMPT_BUCKETS_MAX);
	assert_int_equal(check(s, "address that owes the most", NOW), ERR_BUSY);
}

/* Nor does it grow at the expense of others, who owe less and would be the first to be forgotten.
 */
static void
a_flood_of_one_kind_forgets_none_of_another(void **state)
{
	static const struct attempt_rate slow = { .every_ms = 10 * 120000, .burst = 5 };
	static const char *const others[] = { "login a", "ip a", "audit", "audita b", "audi c",
		"z" };
	struct store *s = *state;
	char bucket[32];

	for (size_t i = 0; i < COUNT_OF(others); i++)
		use_up_the_burst(s, others[i], NOW);
	assert_int_equal(store_begin(s), ERR_OK);
	for (int i = 0; i < ATTEMPT_BUCKETS_MAX + 500; i++) {
		snprintf(bucket, sizeof(bucket), "audit ip %d", i);
		assert_int_equal(store_attempt_count(s, bucket, slow, NOW), ERR_OK);
	}
	assert_int_equal(store_end(s, ERR_OK), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_row(others[i], check(s, others[i], NOW) == ERR_BUSY);
	assert_in_range(raw_sql("SELECT count(*) FROM auth_attempt"), ATTEMPT_BUCKETS_MAX - 16,
	    ATTEMPT_BUCKETS_MAX + COUNT_OF(others));
}

/* What is known without the lock is what the check would say, or nothing. */
static void
the_wait_is_known_without_a_transaction(void **state)
{
	struct store *s = *state;

	assert_int_equal(store_attempt_wait(s, "a", rate, NOW), 0);
	for (int i = 0; i < rate.burst; i++) {
		assert_int_equal(store_attempt_wait(s, "a", rate, NOW), 0);
		count(s, "a", NOW);
	}
	assert_int_equal(store_attempt_wait(s, "a", rate, NOW), rate.every_ms);
	assert_int_equal(store_attempt_wait(s, "a", rate, NOW + 1), rate.every_ms - 1);
	assert_int_equal(store_attempt_wait(s, "a", rate, NOW + rate.every_ms), 0);
	/* A clock that was set back is the check's to mend. */
	assert_int_equal(store_attempt_wait(s, "a", rate, NOW - 1), 0);
	assert_int_equal(store_attempt_wait(s, "b", rate, NOW), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_burst_is_allowed_and_no_more),
		TEST(one_is_won_back_after_the_wait),
		TEST(a_whole_burst_is_won_back_in_time),
		TEST(refused_attempts_cost_nothing),
		TEST(buckets_do_not_touch_each_other),
		TEST(what_is_forgotten_may_try_again),
		TEST(what_was_rolled_back_is_not_counted),
		TEST(nobody_owes_more_than_the_burst),
		TEST(a_clock_that_was_set_back_locks_nobody_out),
		TEST(a_burst_of_one_is_one_at_a_time),
		TEST(attempts_are_shared_and_outlive_the_process),
		TEST(the_table_does_not_grow_past_what_is_in_use),
		TEST(the_table_has_a_bound_whatever_comes),
		TEST(a_flood_of_one_kind_forgets_none_of_another),
		TEST(the_wait_is_known_without_a_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
