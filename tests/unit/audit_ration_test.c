/* Which events get a line in the audit trail, and what becomes of those that do not. */
#include "audit/audit_files.h"
#include "store/store_audit.h"

#include "base/fd.h"
#include "store_fixture.h"
#include "unit.h"

static int
trail_setup(void **state)
{
	return store_setup(state) == 0 &&
		       store_audit_open(*state, "audit.key", "audit.head") == ERR_OK
		   ? 0
		   : -1;
}

static int64_t
lines(void)
{
	return raw_sql("SELECT coalesce(max(seq), 0) FROM audit");
}

static int64_t
last_left_out(void)
{
	return raw_sql("SELECT left_out FROM audit ORDER BY seq DESC");
}

static enum err
refused(struct store *s, enum audit_event event, int64_t user, const char *address, int64_t now_ms)
{
	struct audit_entry e = { .event = event, .outcome = "no", .user = { user } };
	enum err outcome;

	(void)address_read(address, &e.address);
	assert_int_equal(store_begin(s), ERR_OK);
	outcome = store_end(s, store_audit_add(s, &e, now_ms));
	return outcome;
}

#define NOW INT64_C(1800000000000)

static void
refusals_are_rationed_and_counted(void **state)
{
	struct store *s = *state;
	int64_t before = lines();

	for (int i = 0; i < 500; i++)
		assert_int_equal(refused(s, AUDIT_DENIED, 3, "192.0.2.1", NOW), ERR_OK);
	assert_int_equal(lines() - before, AUDIT_REFUSALS_BURST);
	/* Somebody else's are not among them. */
	assert_int_equal(refused(s, AUDIT_DENIED, 4, "192.0.2.1", NOW), ERR_OK);
	assert_int_equal(raw_sql("SELECT user_id FROM audit ORDER BY seq DESC"), 4);
	assert_int_equal(
	    raw_sql("SELECT left_out FROM audit ORDER BY seq DESC"), 500 - AUDIT_REFUSALS_BURST);
	assert_int_equal(refused(s, AUDIT_DENIED, 5, "192.0.2.1", NOW), ERR_OK);
	assert_int_equal(raw_sql("SELECT left_out FROM audit ORDER BY seq DESC"), 0);
	/* Time wins one back. */
	assert_int_equal(refused(s, AUDIT_DENIED, 3, "", NOW + AUDIT_REFUSALS_EVERY_MS), ERR_OK);
	assert_int_equal(raw_sql("SELECT user_id FROM audit ORDER BY seq DESC"), 3);
}

static void
a_failed_login_is_rationed_by_where_it_comes_from(void **state)
{
	struct store *s = *state;
	int64_t before = lines();
	char address[64];

	/* Whether there is such an account makes no difference; nor does another address in the
	 * same network. */
	for (int i = 0; i < 100; i++) {
		snprintf(address, sizeof(address), "2001:db8::%x", i);
		assert_int_equal(
		    refused(s, AUDIT_LOGIN_FAILED, i % 2 == 0 ? i : 0, address, NOW), ERR_OK);
	}
	assert_int_equal(lines() - before, AUDIT_REFUSALS_BURST);
	assert_int_equal(refused(s, AUDIT_LOGIN_FAILED, 1, "2001:db8:0:1::1", NOW), ERR_OK);
	assert_int_equal(lines() - before, AUDIT_REFUSALS_BURST + 1);
	/* And there is an end to it from however many addresses. */
	assert_int_equal(store_begin(s), ERR_OK);
	for (int i = 0; i < 2 * AUDIT_ALL_BURST; i++) {
		struct audit_entry e = { .event = AUDIT_LOGIN_FAILED, .outcome = "no" };

		snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
		assert_true(address_read(address, &e.address));
		assert_int_equal(store_audit_add(s, &e, NOW), ERR_OK);
	}
	assert_int_equal(store_end(s, ERR_OK), ERR_OK);
	assert_int_equal(lines() - before, AUDIT_ALL_BURST);
}

static void
what_lasts_is_not_rationed(void **state)
{
	struct store *s = *state;
	int64_t before = lines();

	for (int i = 0; i < 200; i++) {
		assert_int_equal(refused(s, AUDIT_LOGIN, 3, "", NOW), ERR_OK);
		assert_int_equal(refused(s, AUDIT_CALL_STARTED, 3, "", NOW), ERR_OK);
	}
	assert_int_equal(lines() - before, 400);
	for (int i = 0; i < 200; i++)
		assert_int_equal(refused(s, AUDIT_STATUS, 3, "", NOW), ERR_OK);
	assert_int_equal(lines() - before, 400 + AUDIT_STATUS_BURST);
}

/* What did not happen is not counted either, nor twice where it is tried again. */
static void
what_is_rolled_back_is_not_counted(void **state)
{
	const struct audit_entry e = { .event = AUDIT_DENIED, .outcome = "no", .user = { 3 } };
	struct store *s = *state;

	for (int i = 0; i < AUDIT_REFUSALS_BURST; i++)
		assert_int_equal(refused(s, AUDIT_DENIED, 3, "", NOW), ERR_OK);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(store_begin(s), ERR_OK);
		assert_int_equal(store_audit_add(s, &e, NOW), ERR_OK);
		assert_int_equal(store_end(s, ERR_DENIED), ERR_DENIED);
	}
	assert_int_equal(refused(s, AUDIT_DENIED, 3, "", NOW), ERR_OK);
	assert_int_equal(refused(s, AUDIT_DENIED, 4, "", NOW), ERR_OK);
	assert_int_equal(last_left_out(), 1);
}

static void
what_an_entry_says_was_left_out_is_told_with_it(void **state)
{
	struct audit_entry e = {
		.event = AUDIT_DENIED, .outcome = "no", .user = { 3 }, .at_ms = 77, .left_out = 40
	};
	struct store *s = *state;

	committed(s, store_audit_add(s, &e, NOW));
	assert_int_equal(last_left_out(), 40);
	assert_int_equal(raw_sql("SELECT at_ms FROM audit"), 77);
	for (int i = 1; i < AUDIT_REFUSALS_BURST; i++)
		assert_int_equal(refused(s, AUDIT_DENIED, 3, "", NOW), ERR_OK);
	committed(s, store_audit_add(s, &e, NOW)); /* has no line itself */
	assert_int_equal(lines(), AUDIT_REFUSALS_BURST);
	assert_int_equal(refused(s, AUDIT_DENIED, 4, "", NOW), ERR_OK);
	assert_int_equal(last_left_out(), 41);
}

/* Who is refused again and again does not stand in the way of who writes. */
static void
a_spent_ration_asks_for_no_lock(void **state)
{
	struct audit_entry e = { .event = AUDIT_DENIED, .outcome = "no", .user = { 3 } };
	struct store *s = *state;
	int lock;

	for (int i = 0; i < AUDIT_REFUSALS_BURST; i++)
		assert_int_equal(store_audit_note(s, &e), ERR_OK);
	assert_int_equal(lock_try(LOCK_FILE, &lock), ERR_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(store_audit_note(s, &e), ERR_OK);
	e.user.v = 4;
	assert_int_equal(store_audit_note(s, &e), ERR_BUSY);
	close(lock);
	assert_int_equal(store_audit_note(s, &e), ERR_OK);
	assert_int_equal(last_left_out(), 5);
	assert_int_equal(lines(), AUDIT_REFUSALS_BURST + 1);
}

/* None of these can be verified again; the program goes on. */
static void
what_cannot_stand_in_a_line_is_an_outcome(void **state)
{
	static const struct {
		const char *row;
		struct audit_entry entry;
	} rows[] = {
		{ "before 1970", { .event = AUDIT_LOGIN, .at_ms = -1, .outcome = "ok" } },
		{ "user", { .event = AUDIT_LOGIN, .outcome = "ok", .user = { -7 } } },
		{ "peer", { .event = AUDIT_LOGIN, .outcome = "ok", .peer = { INT64_MIN } } },
		{ "call", { .event = AUDIT_LOGIN, .outcome = "ok", .call = -1 } },
		{ "outcome", { .event = AUDIT_LOGIN, .outcome = "o k" } },
		{ "empty", { .event = AUDIT_LOGIN, .outcome = "" } },
		{ "source", { .event = AUDIT_LOGIN, .outcome = "ok", .source = "A" } },
	};
	struct store *s = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(store_begin(s), ERR_OK);
		assert_row(rows[i].row,
		    store_end(s, store_audit_add(s, &rows[i].entry, NOW)) == ERR_SYSTEM);
	}
	assert_int_equal(lines(), 0);
	assert_int_equal(refused(s, AUDIT_LOGIN, 3, "", NOW), ERR_OK);
	assert_int_equal(lines(), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trail_setup, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(refusals_are_rationed_and_counted),
		TEST(a_failed_login_is_rationed_by_where_it_comes_from),
		TEST(what_lasts_is_not_rationed),
		TEST(what_is_rolled_back_is_not_counted),
		TEST(what_an_entry_says_was_left_out_is_told_with_it),
		TEST(a_spent_ration_asks_for_no_lock),
		TEST(what_cannot_stand_in_a_line_is_an_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
