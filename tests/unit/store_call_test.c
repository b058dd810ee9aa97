/* Calls, the BUSY that follows from them, and what a starting relay is told. */
#include "store/store_call.h"

#include <string.h>

#include "store_fixture.h"
#include "unit.h"

#define AT INT64_C(1800000000000)

/* A doctor and a patient, and the same again. */
struct cast {
	struct user_id doctor, other_doctor;
	struct user_id patient, other_patient;
};

static struct cast
add_cast(struct store *s)
{
	return (struct cast){ add_doctor(s, "doc"), add_doctor(s, "dora"), add_patient(s, "pat"),
		add_patient(s, "pia") };
}

static void
start(struct store *s, const char *call_id, struct user_id caller, struct user_id callee)
{
	committed(s, store_call_start(s, call_id, caller, callee, AT));
}

static enum err
try_start(struct store *s, struct user_id caller, struct user_id callee)
{
	assert_int_equal(store_begin(s), ERR_OK);
	return store_end(s, store_call_start(s, "again", caller, callee, AT));
}

struct calls {
	struct call_row row[8];
	size_t n;
	size_t fail_at;
};

static enum err
collect_call(void *context, const struct call_row *c)
{
	struct calls *l = context;

	if (l->fail_at > 0 && l->n + 1 == l->fail_at)
		return ERR_DENIED;
	if (l->n == COUNT_OF(l->row))
		return ERR_TOO_BIG;
	l->row[l->n++] = *c;
	return ERR_OK;
}

static struct calls
live(struct store *s)
{
	struct calls l = { .n = 0 };

	assert_int_equal(store_calls_live(s, collect_call, &l), ERR_OK);
	return l;
}

static void
a_call_rings_is_answered_and_ends(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);
	char id[CALL_ID_MAX + 1];
	struct calls l;

	memset(id, 'i', CALL_ID_MAX);
	id[CALL_ID_MAX] = '\0';
	assert_int_equal(live(s).n, 0);
	start(s, id, c.patient, c.doctor);
	l = live(s);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.row[0].call_id, id);
	assert_int_equal(l.row[0].caller.v, c.patient.v);
	assert_int_equal(l.row[0].callee.v, c.doctor.v);
	assert_int_equal(l.row[0].state, CALL_RINGING);
	assert_int_equal(l.row[0].started_ms, AT);
	assert_int_equal(l.row[0].answered_ms, 0);
	committed(s, store_call_answer(s, c.patient, AT + 5000));
	l = live(s);
	assert_int_equal(l.row[0].state, CALL_ACTIVE);
	assert_int_equal(l.row[0].answered_ms, AT + 5000);
	committed(s, store_call_end(s, c.patient, CALL_HANGUP, AT + 9000));
	assert_int_equal(live(s).n, 0);
	assert_int_equal(
	    raw_sql("SELECT count(*) FROM call WHERE state = 'ENDED' AND reason = 'hangup' "
		    "AND ended_ms = 1800000009000 AND answered_ms = 1800000005000"),
	    1);
}

static void
answering_and_ending_no_call_does_nothing(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);

	committed(s, store_call_answer(s, c.patient, AT));
	committed(s, store_call_end(s, c.patient, CALL_HANGUP, AT));
	start(s, "one", c.patient, c.doctor);
	/* A call is its caller's: neither the callee's nor a stranger's id finds it. */
	committed(s, store_call_answer(s, c.doctor, AT));
	committed(s, store_call_end(s, c.doctor, CALL_HANGUP, AT));
	committed(s, store_call_end(s, c.other_patient, CALL_HANGUP, AT));
	assert_int_equal(live(s).row[0].state, CALL_RINGING);
	committed(s, store_call_answer(s, c.patient, AT + 1));
	committed(s, store_call_answer(s, c.patient, AT + 2));
	assert_int_equal(live(s).row[0].answered_ms, AT + 1);
	committed(s, store_call_end(s, c.patient, CALL_REJECTED, AT + 3));
	committed(s, store_call_end(s, c.patient, CALL_HANGUP, AT + 4));
	assert_int_equal(
	    raw_sql(
		"SELECT count(*) FROM call WHERE reason = 'rejected' AND ended_ms = 1800000000003"),
	    1);
}

static void
both_parties_are_busy_while_it_lives(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);
	struct users l = { .n = 0 };
	struct account a;

	committed(s, store_user_set_status(s, c.doctor, STATUS_ONLINE, NULL));
	committed(s, store_user_set_status(s, c.other_doctor, STATUS_ONLINE, NULL));
	start(s, "one", c.patient, c.doctor);
	for (int answered = 0; answered < 2; answered++) {
		assert_int_equal(status_of(s, c.doctor), STATUS_BUSY);
		assert_int_equal(status_of(s, c.patient), STATUS_BUSY);
		assert_int_equal(status_of(s, c.other_doctor), STATUS_ONLINE);
		assert_int_equal(status_of(s, c.other_patient), STATUS_OFFLINE);
		committed(s, store_call_answer(s, c.patient, AT));
	}
	assert_int_equal(store_user_by_email(s, "doc@example.org", &a), ERR_OK);
	assert_int_equal(a.user.status, STATUS_BUSY);
	assert_int_equal(store_doctors(s, collect, &l), ERR_OK);
	assert_int_equal(found(&l, c.doctor)->status, STATUS_BUSY);
	assert_int_equal(found(&l, c.other_doctor)->status, STATUS_ONLINE);
	/* It is worked out, not stored: what was chosen is still there. */
	assert_int_equal(raw_sql("SELECT count(*) FROM user WHERE status = 'BUSY'"), 0);
}

static void
the_status_chosen_shows_again_after_the_call(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);

	committed(s, store_user_set_status(s, c.doctor, STATUS_ONLINE, NULL));
	start(s, "one", c.patient, c.doctor);
	committed(s, store_call_end(s, c.patient, CALL_CANCELLED, AT));
	assert_int_equal(status_of(s, c.doctor), STATUS_ONLINE);
	assert_int_equal(status_of(s, c.patient), STATUS_OFFLINE);
	/* Or the one chosen meanwhile. */
	start(s, "two", c.patient, c.doctor);
	committed(s, store_user_set_status(s, c.doctor, STATUS_OFFLINE, NULL));
	assert_int_equal(status_of(s, c.doctor), STATUS_BUSY);
	committed(s, store_call_end(s, c.patient, CALL_HANGUP, AT));
	assert_int_equal(status_of(s, c.doctor), STATUS_OFFLINE);
}

static void
nobody_is_in_two_live_calls(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);

	start(s, "one", c.patient, c.doctor);
	for (int answered = 0; answered < 2; answered++) {
		assert_int_equal(try_start(s, c.patient, c.doctor), ERR_CONFLICT);
		assert_int_equal(try_start(s, c.patient, c.other_doctor), ERR_CONFLICT);
		assert_int_equal(try_start(s, c.other_patient, c.doctor), ERR_CONFLICT);
		assert_int_equal(live(s).n, 1);
		committed(s, store_call_answer(s, c.patient, AT));
	}
	/* Another pair is free to call, and so are these two once theirs is over. */
	assert_int_equal(try_start(s, c.other_patient, c.other_doctor), ERR_OK);
	committed(s, store_call_end(s, c.patient, CALL_HANGUP, AT));
	assert_int_equal(try_start(s, c.patient, c.doctor), ERR_OK);
	assert_int_equal(live(s).n, 2);
}

static void
the_index_holds_whoever_writes(void **state)
{
	struct store *mine = *state;
	struct store *theirs = open_store();
	struct cast c = add_cast(mine);

	start(mine, "one", c.patient, c.doctor);
	assert_int_equal(try_start(theirs, c.other_patient, c.doctor), ERR_CONFLICT);
	committed(mine, store_call_end(mine, c.patient, CALL_HANGUP, AT));
	assert_int_equal(try_start(theirs, c.other_patient, c.doctor), ERR_OK);
	assert_int_equal(try_start(mine, c.patient, c.doctor), ERR_CONFLICT);
	store_close(theirs);
}

static void
a_call_needs_both_its_users(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);
	struct user_id nobody = { 99 };

	assert_int_equal(try_start(s, c.patient, nobody), ERR_SYSTEM);
	assert_int_equal(try_start(s, nobody, c.doctor), ERR_SYSTEM);
	assert_int_equal(live(s).n, 0);
}

static void
a_reader_that_fails_ends_the_calls(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);
	struct calls l = { .fail_at = 2 };

	start(s, "one", c.patient, c.doctor);
	start(s, "two", c.other_patient, c.other_doctor);
	assert_int_equal(store_calls_live(s, collect_call, &l), ERR_DENIED);
	assert_int_equal(l.n, 1);
	assert_int_equal(live(s).n, 2);
}

/* Doctors not OFFLINE, whoever was connected, and whoever is in a call; each of them once. */
static void
a_starting_relay_is_told_whom_it_must_know(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);
	struct user_id online_patient = add_patient(s, "online");
	struct user_id connected = add_patient(s, "connected");
	struct users l = { .n = 0 };
	int64_t rev = 0;

	committed(s, store_user_set_status(s, c.doctor, STATUS_ONLINE, NULL));
	committed(s, store_user_set_status(s, online_patient, STATUS_ONLINE, NULL));
	committed(s, store_presence_add(s, connected));
	committed(s, store_presence_add(s, c.doctor));
	start(s, "one", c.patient, c.doctor);
	start(s, "two", c.other_patient, c.other_doctor);
	committed(s, store_call_end(s, c.other_patient, CALL_HANGUP, AT));
	assert_int_equal(store_users_listed(s, collect, &l, &rev), ERR_OK);
	assert_int_equal(l.n, 3);
	assert_true(holds(&l, c.doctor));
	assert_true(holds(&l, connected));
	assert_true(holds(&l, c.patient));
	/* The status as it was chosen: the relay knows the calls itself. */
	assert_int_equal(found(&l, c.doctor)->status, STATUS_ONLINE);
	assert_int_equal(found(&l, c.patient)->status, STATUS_OFFLINE);
	assert_int_equal(found(&l, connected)->status, STATUS_ONLINE);
	assert_string_equal(found(&l, connected)->name, "connected");
	assert_int_equal(found(&l, connected)->role, ROLE_PATIENT);
}

static void
the_list_is_that_of_its_revision(void **state)
{
	struct store *s = *state;
	struct user_id doctor = add_doctor(s, "doc");
	struct users l = { .n = 0 };
	int64_t rev = 0;
	bool more;

	committed(s, store_user_set_status(s, doctor, STATUS_BUSY, NULL));
	assert_int_equal(store_users_listed(s, collect, &l, &rev), ERR_OK);
	l.n = 0;
	assert_int_equal(store_users_changed(s, &rev, 9, collect_change, &l, &more), ERR_OK);
	assert_int_equal(l.n, 0);
	committed(s, store_user_set_status(s, doctor, STATUS_ONLINE, NULL));
	assert_int_equal(store_users_changed(s, &rev, 9, collect_change, &l, &more), ERR_OK);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.user[0].status, STATUS_ONLINE);
}

static void
one_row_has_the_status_that_was_chosen(void **state)
{
	struct store *s = *state;
	struct cast c = add_cast(s);
	struct user u;

	committed(s, store_user_set_status(s, c.doctor, STATUS_ONLINE, NULL));
	start(s, "one", c.patient, c.doctor);
	assert_int_equal(store_user_row(s, c.doctor, &u), ERR_OK);
	assert_int_equal(u.id.v, c.doctor.v);
	assert_int_equal(u.role, ROLE_DOCTOR);
	assert_int_equal(u.status, STATUS_ONLINE);
	assert_string_equal(u.name, "doc");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_call_rings_is_answered_and_ends),
		TEST(answering_and_ending_no_call_does_nothing),
		TEST(both_parties_are_busy_while_it_lives),
		TEST(the_status_chosen_shows_again_after_the_call),
		TEST(nobody_is_in_two_live_calls),
		TEST(the_index_holds_whoever_writes),
		TEST(a_call_needs_both_its_users),
		TEST(a_reader_that_fails_ends_the_calls),
		TEST(a_starting_relay_is_told_whom_it_must_know),
		TEST(the_list_is_that_of_its_revision),
		TEST(one_row_has_the_status_that_was_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
