/* Sessions that are noted and ended, accounts that are disabled and erased, calls that are to end.
 */
#include <stdlib.h>
#include <string.h>

#include "store/store_call.h"
#include "store/store_session.h"
#include "store_fixture.h"
#include "unit.h"

enum { NOW_S = 1800000000, TWO_DAYS_S = 2 * 86400, NAMES_SIZE = 400 };

static void
note(struct store *s, const char *session, struct user_id user, int64_t began_s, int64_t ends_s)
{
	struct session_row row = { .user = user, .began_s = began_s, .ends_s = ends_s };

	snprintf(row.session, sizeof(row.session), "%s", session);
	snprintf(row.source, sizeof(row.source), "192.0.2.1");
	committed(s, store_session_begin(s, &row));
}

/* What a session_row_fn was given, one name after another. */
static enum err
name_one(void *context, const struct session_row *row)
{
	char *names = context;
	size_t len = strlen(names);

	snprintf(names + len, NAMES_SIZE - len, "%s", row->session);
	return ERR_OK;
}

static const char *
sessions_of(struct store *s, struct user_id user)
{
	static char names[NAMES_SIZE];

	names[0] = '\0';
	assert_int_equal(store_sessions(s, user, NOW_S, name_one, names), ERR_OK);
	return names;
}

static void
sessions_are_noted_until_they_end(void **state)
{
	const struct user_id all = { 0 };
	struct store *s = *state;
	struct user_id a = add_patient(s, "ann");
	struct user_id b = add_patient(s, "bea");
	struct session_row row;

	note(s, "B", b, NOW_S - 5, NOW_S + 100);
	note(s, "A", a, NOW_S - 9, NOW_S + 100);
	note(s, "C", a, NOW_S - 3, NOW_S + 1);
	note(s, "D", a, NOW_S - 3, NOW_S);
	assert_string_equal(sessions_of(s, all), "ACB");
	assert_string_equal(sessions_of(s, a), "AC");
	assert_int_equal(store_session_find(s, "A", NOW_S, &row), ERR_OK);
	assert_int_equal(row.user.v, a.v);
	assert_int_equal(row.began_s, NOW_S - 9);
	assert_int_equal(row.ends_s, NOW_S + 100);
	assert_string_equal(row.source, "192.0.2.1");
	assert_int_equal(store_session_find(s, "D", NOW_S, &row), ERR_NOT_FOUND);
	committed(s, store_session_revoke(s, a, "A", NOW_S + 100, NOW_S, NULL));
	assert_int_equal(store_session_find(s, "A", NOW_S, &row), ERR_NOT_FOUND);
	assert_string_equal(sessions_of(s, all), "CB");
	/* Those that have been over for two days are dropped by the way. */
	note(s, "E", b, NOW_S + 50, NOW_S + 100);
	assert_int_equal(raw_sql("SELECT count(*) FROM session"), 4);
	note(s, "F", b, NOW_S + 50 + TWO_DAYS_S, NOW_S + 100 + TWO_DAYS_S);
	assert_int_equal(
	    raw_sql("SELECT count(*) FROM session WHERE session NOT IN ('B', 'E', 'F')"), 0);
}

static void
logouts_are_noted_until_two_days_past_the_end(void **state)
{
	struct store *s = *state;
	struct user_id a = add_patient(s, "ann");

	committed(s, store_session_revoke(s, a, "A", NOW_S, NOW_S, NULL));
	committed(s, store_session_revoke(s, a, "B", NOW_S, NOW_S + TWO_DAYS_S - 1, NULL));
	assert_int_equal(store_session_check(s, "A"), ERR_DENIED);
	committed(s, store_session_revoke(s, a, "C", NOW_S + 9, NOW_S + TWO_DAYS_S, NULL));
	assert_int_equal(raw_sql("SELECT count(*) FROM revocation"), 1);
	/* By what was noted of the session, if that is longer. */
	note(s, "D", a, NOW_S, NOW_S + 100);
	committed(s, store_session_revoke(s, a, "D", NOW_S + 9, NOW_S, NULL));
	assert_int_equal(
	    raw_sql("SELECT expires_s FROM revocation WHERE session = 'D'"), NOW_S + 100);
}

/* Is a token of this epoch good? */
static enum err
token(struct store *s, struct user_id user, int64_t epoch)
{
	struct claims c = { .user = user, .session = "S", .epoch = epoch };
	struct account a;

	return store_user_of_token(s, &c, &a);
}

static void
another_epoch_ends_all_sessions_of_one(void **state)
{
	struct store *s = *state;
	struct user_id a = add_patient(s, "ann");
	struct user_id b = add_patient(s, "bea");
	int64_t epoch;

	note(s, "A", a, NOW_S, NOW_S + 100);
	note(s, "B", b, NOW_S, NOW_S + 100);
	assert_int_equal(token(s, a, 0), ERR_OK);
	committed(s, store_sessions_end(s, a, 5000));
	assert_int_equal(token(s, a, 0), ERR_NOT_FOUND);
	assert_int_equal(token(s, a, 5000), ERR_OK);
	assert_int_equal(token(s, b, 0), ERR_OK);
	assert_string_equal(sessions_of(s, a), "");
	/* It is always another one, whatever the clock says. */
	committed(s, store_sessions_end(s, a, 4000));
	assert_int_equal(token(s, a, 5000), ERR_NOT_FOUND);
	assert_int_equal(token(s, a, 5001), ERR_OK);
	committed(s, store_sessions_end(s, (struct user_id){ 0 }, 9000));
	assert_int_equal(token(s, a, 9000), ERR_OK);
	assert_int_equal(token(s, b, 9000), ERR_OK);
	assert_int_equal(raw_sql("SELECT count(*) FROM session"), 0);
	epoch = raw_sql("SELECT value FROM revision");
	committed(s, store_sessions_end(s, a, 9500));
	assert_true(raw_sql("SELECT value FROM revision") > epoch);
}

static void
a_disabled_user_is_in_no_list_and_has_no_token(void **state)
{
	struct store *s = *state;
	struct user_id id = add_doctor(s, "doc");
	struct users l = { .n = 0 };
	struct account a;

	committed(s, store_user_set_status(s, id, STATUS_ONLINE, NULL));
	committed(s, store_user_disable(s, id));
	assert_true(store_wrote(s));
	assert_int_equal(store_user_by_id(s, id, &a), ERR_OK);
	assert_true(a.user.disabled && !a.erased);
	assert_int_equal(a.user.status, STATUS_OFFLINE);
	assert_int_equal(token(s, id, 0), ERR_NOT_FOUND);
	assert_int_equal(store_doctors(s, collect, &l), ERR_OK);
	assert_int_equal(l.n, 0);
	committed(s, store_user_disable(s, id));
	assert_false(store_wrote(s));
	committed(s, store_user_enable(s, id));
	assert_int_equal(token(s, id, 0), ERR_OK);
}

static void
an_erased_user_is_nobody_for_good(void **state)
{
	struct store *s = *state;
	struct user_id id = add_doctor(s, "doc");
	struct account before;
	struct account a;

	assert_int_equal(store_user_by_id(s, id, &before), ERR_OK);
	committed(s, store_user_erase(s, &before));
	assert_int_equal(store_user_by_email(s, before.email, &a), ERR_NOT_FOUND);
	assert_int_equal(store_user_by_id(s, id, &a), ERR_OK);
	assert_true(a.erased && a.user.disabled);
	assert_string_equal(a.user.name, "Erased");
	assert_string_equal(a.password_hash, "");
	assert_non_null(email_rule(a.email));
	committed(s, store_user_enable(s, id));
	committed(s, store_user_set_password(s, id, "hash"));
	assert_int_equal(store_user_by_id(s, id, &a), ERR_OK);
	assert_true(a.user.disabled);
	assert_string_equal(a.password_hash, "");
	add_doctor(s, "doc"); /* the email is free */
}

/* What a call_ending_fn was given. */
static enum err
count_one(void *context, struct user_id caller, const char *call_id)
{
	int64_t *sum = context;

	*sum = *sum * 10 + caller.v;
	assert_string_equal(call_id, "c");
	return ERR_OK;
}

static int64_t
to_end(struct store *s, int64_t *last)
{
	int64_t sum = 0;

	assert_int_equal(store_calls_to_end(s, last, count_one, &sum), ERR_OK);
	return sum;
}

static void
calls_that_are_to_end_are_told_once_while_they_live(void **state)
{
	struct store *s = *state;
	struct user_id p1 = add_patient(s, "ann");
	struct user_id p2 = add_patient(s, "bea");
	struct user_id d1 = add_doctor(s, "doc");
	struct user_id d2 = add_doctor(s, "doc2");
	enum call_state call;
	int64_t last = 0;

	committed(s, store_call_start(s, "c", p1, d1, 1));
	committed(s, store_call_start(s, "c", p2, d2, 1));
	assert_int_equal(to_end(s, &last), 0);
	committed(s, store_call_want_end(s, 2));
	assert_int_equal(to_end(s, &last), p2.v);
	assert_int_equal(to_end(s, &last), 0);
	/* A reader that begins anew is told of what still lives. */
	last = 0;
	assert_int_equal(to_end(s, &last), p2.v);
	committed(s, store_call_end(s, p2, CALL_REVOKED, 2));
	last = 0;
	assert_int_equal(to_end(s, &last), 0);
	committed(s, store_call_want_end(s, 1));
	assert_int_equal(raw_sql("SELECT count(*) FROM call_ending"), 1);
	assert_int_equal(store_call_state(s, 1, &call), ERR_OK);
	assert_int_equal(call, CALL_RINGING);
	assert_int_equal(store_call_state(s, 3, &call), ERR_NOT_FOUND);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    sessions_are_noted_until_they_end, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(
		    logouts_are_noted_until_two_days_past_the_end, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(
		    another_epoch_ends_all_sessions_of_one, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(
		    a_disabled_user_is_in_no_list_and_has_no_token, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(
		    an_erased_user_is_nobody_for_good, store_setup, store_teardown),
		cmocka_unit_test_setup_teardown(calls_that_are_to_end_are_told_once_while_they_live,
		    store_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
