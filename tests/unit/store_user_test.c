/* Accounts, the status each has chosen, who is connected, and how a reader finds what changed. */
#include "store/store_user.h"

#include <stdlib.h>
#include <string.h>

#include "store_fixture.h"
#include "unit.h"

static void
an_account_is_read_as_it_was_made(void **state)
{
	struct store *s = *state;
	struct account a = account_of("Ada", ROLE_DOCTOR);
	struct account b;

	a.user.status = STATUS_ONLINE;
	committed(s, store_user_create(s, &a, 1800000000000));
	assert_true(a.user.id.v > 0);
	assert_int_equal(a.user.status, STATUS_OFFLINE);
	assert_int_equal(store_user_by_id(s, a.user.id, &b), ERR_OK);
	assert_int_equal(b.user.id.v, a.user.id.v);
	assert_int_equal(b.user.role, ROLE_DOCTOR);
	assert_int_equal(b.user.status, STATUS_OFFLINE);
	assert_string_equal(b.user.name, "Ada");
	assert_string_equal(b.email, "Ada@example.org");
	assert_string_equal(b.password_hash, "hash of Ada");
	assert_int_equal(store_user_by_email(s, "Ada@example.org", &b), ERR_OK);
	assert_int_equal(b.user.id.v, a.user.id.v);
	assert_string_equal(b.password_hash, "hash of Ada");
}

static void
any_text_is_kept_as_text(void **state)
{
	static const char *const rows[] = { "'; DROP TABLE user; --", "Robert\"); --", "%s%n%x",
		"<script>", "\xf0\x9f\x98\x80 \xc3\xa9", "a\\b", "NULL", "?1" };
	struct store *s = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct user_id id = add_patient(s, rows[i]);
		struct account a;

		assert_int_equal(store_user_by_id(s, id, &a), ERR_OK);
		assert_string_equal(a.user.name, rows[i]);
		assert_int_equal(store_user_by_email(s, a.email, &a), ERR_OK);
		assert_int_equal(a.user.id.v, id.v);
	}
	assert_int_equal(raw_sql("SELECT count(*) FROM user"), COUNT_OF(rows));
}

static void
the_longest_texts_fit(void **state)
{
	struct account a = { .user = { .role = ROLE_PATIENT } };
	struct store *s = *state;
	struct account b;

	memset(a.user.name, 'n', NAME_BYTES_MAX);
	memset(a.email, 'm', EMAIL_BYTES_MAX);
	memset(a.password_hash, 'h', PASSWORD_HASH_SIZE - 1);
	committed(s, store_user_create(s, &a, 0));
	assert_int_equal(store_user_by_email(s, a.email, &b), ERR_OK);
	assert_string_equal(b.user.name, a.user.name);
	assert_string_equal(b.email, a.email);
	assert_string_equal(b.password_hash, a.password_hash);
}

static void
nobody_is_not_found(void **state)
{
	struct store *s = *state;
	struct account a;
	struct user u;

	add_patient(s, "pat");
	assert_int_equal(store_user_by_email(s, "other@example.org", &a), ERR_NOT_FOUND);
	assert_int_equal(store_user_by_email(s, "", &a), ERR_NOT_FOUND);
	assert_int_equal(store_user_by_email(s, "%@example.org", &a), ERR_NOT_FOUND);
	assert_int_equal(store_user_by_id(s, (struct user_id){ 0 }, &a), ERR_NOT_FOUND);
	assert_int_equal(store_user_by_id(s, (struct user_id){ 99 }, &a), ERR_NOT_FOUND);
	assert_int_equal(store_user_row(s, (struct user_id){ 99 }, &u), ERR_NOT_FOUND);
}

static void
an_email_is_taken_whatever_its_case(void **state)
{
	static const char *const rows[] = { "Ada@example.org", "ada@example.org",
		"ADA@EXAMPLE.ORG" };
	struct store *s = *state;
	struct user_id id = add_doctor(s, "Ada");
	struct account a;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		a = account_of("other", ROLE_PATIENT);
		snprintf(a.email, sizeof(a.email), "%s", rows[i]);
		assert_int_equal(store_begin(s), ERR_OK);
		assert_int_equal(store_end(s, store_user_create(s, &a, 0)), ERR_CONFLICT);
		assert_int_equal(store_user_by_email(s, rows[i], &a), ERR_OK);
		assert_int_equal(a.user.id.v, id.v);
		assert_string_equal(a.email, "Ada@example.org");
	}
	assert_int_equal(raw_sql("SELECT count(*) FROM user"), 1);
	add_patient(s, "next");
}

static void
a_status_is_set(void **state)
{
	static const enum status rows[] = { STATUS_ONLINE, STATUS_BUSY, STATUS_OFFLINE };
	struct store *s = *state;
	struct user_id doctor = add_doctor(s, "doc");
	struct user_id other = add_doctor(s, "other");

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		committed(s, store_user_set_status(s, doctor, rows[i], NULL));
		assert_int_equal(status_of(s, doctor), rows[i]);
		assert_int_equal(status_of(s, other), STATUS_OFFLINE);
	}
	committed(s, store_user_set_status(s, (struct user_id){ 99 }, STATUS_ONLINE, NULL));
}

static void
doctors_are_listed_by_name(void **state)
{
	static const char *const names[] = { "zoe", "Bea", "adam", "bea2", "Carl" };
	static const char *const order[] = { "adam", "Bea", "bea2", "Carl", "zoe" };
	struct users l = { .n = 0 };
	struct store *s = *state;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		add_doctor(s, names[i]);
	add_patient(s, "aaron");
	assert_int_equal(store_doctors(s, collect, &l), ERR_OK);
	assert_int_equal(l.n, COUNT_OF(order));
	for (size_t i = 0; i < COUNT_OF(order); i++) {
		assert_string_equal(l.user[i].name, order[i]);
		assert_int_equal(l.user[i].role, ROLE_DOCTOR);
		assert_int_equal(l.user[i].status, STATUS_OFFLINE);
	}
}

static struct user_id
add_pending(struct store *s, const char *name)
{
	struct account a = account_of(name, ROLE_DOCTOR);

	a.user.pending = true;
	committed(s, store_user_create(s, &a, 1800000000000));
	return a.user.id;
}

static void
a_pending_doctor_is_listed_when_approved(void **state)
{
	struct store *s = *state;
	struct user_id id = add_pending(s, "pending");
	struct users l = { .n = 0 };
	struct account a;
	struct user u;
	int64_t rev = raw_sql("SELECT value FROM revision");
	bool more;

	add_doctor(s, "doc");
	assert_int_equal(store_user_row(s, id, &u), ERR_OK);
	assert_true(u.pending);
	assert_int_equal(store_user_by_id(s, id, &a), ERR_OK);
	assert_true(a.user.pending);
	assert_string_equal(a.email, "pending@example.org");
	assert_int_equal(store_doctors(s, collect, &l), ERR_OK);
	assert_false(holds(&l, id));
	committed(s, store_user_approve(s, id));
	l.n = 0;
	assert_int_equal(store_doctors(s, collect, &l), ERR_OK);
	assert_true(holds(&l, id));
	l.n = 0;
	assert_int_equal(store_users_changed(s, &rev, 16, collect_change, &l, &more), ERR_OK);
	assert_true(holds(&l, id));
	assert_false(found(&l, id)->pending);
}

static void
who_is_not_pending_cannot_be_approved_again(void **state)
{
	struct store *s = *state;
	struct user_id doctor = add_doctor(s, "doc");
	struct user_id patient = add_patient(s, "pat");
	int64_t rev = raw_sql("SELECT value FROM revision");

	committed(s, store_user_approve(s, doctor));
	committed(s, store_user_approve(s, patient));
	committed(s, store_user_approve(s, (struct user_id){ 99 }));
	assert_int_equal(raw_sql("SELECT value FROM revision"), rev);
}

struct accounts {
	struct account account[4];
	size_t n;
	size_t fail_at;
};

static enum err
collect_account(void *context, const struct account *a, int64_t created_ms)
{
	struct accounts *l = context;

	assert_int_equal(created_ms, 1800000000000);
	if (l->fail_at > 0 && l->n + 1 == l->fail_at)
		return ERR_DENIED;
	l->account[l->n++] = *a;
	return ERR_OK;
}

static void
accounts_are_listed_by_id(void **state)
{
	struct store *s = *state;
	struct user_id ids[] = { add_pending(s, "zoe"), add_patient(s, "pat"),
		add_pending(s, "adam") };
	struct accounts l = { .n = 0 };

	assert_int_equal(store_accounts(s, false, collect_account, &l), ERR_OK);
	assert_int_equal(l.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(l.account[i].user.id.v, ids[i].v);
		assert_string_equal(l.account[i].password_hash, "");
	}
	assert_string_equal(l.account[1].email, "pat@example.org");
	l.n = 0;
	assert_int_equal(store_accounts(s, true, collect_account, &l), ERR_OK);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.account[1].user.id.v, ids[2].v);
	l = (struct accounts){ .fail_at = 2 };
	assert_int_equal(store_accounts(s, false, collect_account, &l), ERR_DENIED);
	assert_int_equal(l.n, 1);
	add_patient(s, "and the list is closed");
}

static void
a_reader_that_fails_ends_the_list(void **state)
{
	struct users l = { .fail_at = 2 };
	struct store *s = *state;

	add_doctor(s, "one");
	add_doctor(s, "two");
	add_doctor(s, "three");
	assert_int_equal(store_doctors(s, collect, &l), ERR_DENIED);
	assert_int_equal(l.n, 1);
	/* And nothing is left open: the same list again, and a write. */
	l = (struct users){ .n = 0 };
	assert_int_equal(store_doctors(s, collect, &l), ERR_OK);
	assert_int_equal(l.n, 3);
	add_doctor(s, "four");
}

/* Everything after REV, in one call. */
static struct users
changed(struct store *s, int64_t *rev)
{
	struct users l = { .n = 0 };
	bool more = true;

	assert_int_equal(
	    store_users_changed(s, rev, (int)COUNT_OF(l.user), collect_change, &l, &more), ERR_OK);
	assert_false(more);
	return l;
}

static void
what_others_can_see_raises_the_revision(void **state)
{
	struct store *s = *state;
	struct user_id one = add_doctor(s, "one");
	struct user_id two = add_patient(s, "two");
	struct users l;
	int64_t before;
	int64_t rev = 0;

	l = changed(s, &rev);
	assert_int_equal(l.n, 2);
	assert_true(rev > 0);
	before = rev;
	assert_int_equal(changed(s, &rev).n, 0);
	assert_int_equal(rev, before);
	committed(s, store_user_set_status(s, one, STATUS_ONLINE, NULL));
	l = changed(s, &rev);
	assert_true(rev > before);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.user[0].id.v, one.v);
	assert_int_equal(l.user[0].status, STATUS_ONLINE);
	committed(s, store_user_set_status(s, one, STATUS_ONLINE, NULL));
	assert_int_equal(changed(s, &rev).n, 0);
	/* Each once, however often it has changed, and the one that changed last comes last. */
	committed(s, store_user_set_status(s, one, STATUS_BUSY, NULL));
	committed(s, store_user_set_status(s, two, STATUS_ONLINE, NULL));
	committed(s, store_user_set_status(s, one, STATUS_OFFLINE, NULL));
	l = changed(s, &rev);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.user[0].id.v, two.v);
	assert_int_equal(l.user[1].id.v, one.v);
	assert_int_equal(changed(s, &rev).n, 0);
}

static void
a_name_that_another_hand_changes_raises_it_too(void **state)
{
	struct store *s = *state;
	struct users l;
	int64_t rev = 0;

	add_doctor(s, "one");
	changed(s, &rev);
	raw_sql("UPDATE user SET name = 'renamed'");
	l = changed(s, &rev);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.user[0].name, "renamed");
	raw_sql("UPDATE user SET password_hash = 'x'");
	assert_int_equal(changed(s, &rev).n, 0);
}

static void
what_was_rolled_back_did_not_change(void **state)
{
	struct store *s = *state;
	struct user_id id = add_doctor(s, "one");
	int64_t rev = 0;

	changed(s, &rev);
	assert_int_equal(store_begin(s), ERR_OK);
	assert_int_equal(store_user_set_status(s, id, STATUS_BUSY, NULL), ERR_OK);
	assert_int_equal(store_end(s, ERR_DENIED), ERR_DENIED);
	assert_int_equal(changed(s, &rev).n, 0);
	assert_int_equal(status_of(s, id), STATUS_OFFLINE);
}

static void
changes_come_in_pages_oldest_first(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct users l = { .n = 0 };
	struct store *s = *state;
	bool more = false;
	int64_t rev = 0;
	int64_t last;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		add_patient(s, names[i]);
	assert_int_equal(store_users_changed(s, &rev, 2, collect_change, &l, &more), ERR_OK);
	assert_int_equal(l.n, 2);
	assert_true(more);
	assert_int_equal(store_users_changed(s, &rev, 2, collect_change, &l, &more), ERR_OK);
	assert_int_equal(l.n, 4);
	assert_true(more);
	last = rev;
	assert_int_equal(store_users_changed(s, &rev, 2, collect_change, &l, &more), ERR_OK);
	assert_int_equal(l.n, 5);
	assert_false(more);
	assert_true(rev > last);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_string_equal(l.user[i].name, names[i]);
}

/* A reader that could not take one is given it again. */
static void
a_change_that_was_refused_comes_again(void **state)
{
	struct users l = { .fail_at = 2 };
	struct store *s = *state;
	bool more;
	int64_t rev = 0;

	add_patient(s, "a");
	add_patient(s, "b");
	assert_int_equal(store_users_changed(s, &rev, 9, collect_change, &l, &more), ERR_DENIED);
	l.fail_at = 0;
	assert_int_equal(store_users_changed(s, &rev, 9, collect_change, &l, &more), ERR_OK);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.user[0].name, "a");
	assert_string_equal(l.user[1].name, "b");
}

static void
connecting_and_leaving_set_the_status(void **state)
{
	struct store *s = *state;
	struct user_id id = add_doctor(s, "doc");

	committed(s, store_presence_add(s, id));
	assert_int_equal(status_of(s, id), STATUS_ONLINE);
	committed(s, store_user_set_status(s, id, STATUS_BUSY, NULL));
	/* A second connection, or a second relay: what was chosen stays. */
	committed(s, store_presence_add(s, id));
	assert_int_equal(status_of(s, id), STATUS_BUSY);
	committed(s, store_presence_remove(s, id));
	assert_int_equal(status_of(s, id), STATUS_OFFLINE);
	committed(s, store_presence_remove(s, id));
	assert_int_equal(status_of(s, id), STATUS_OFFLINE);
}

static void
presence_is_remembered(void **state)
{
	struct store *s = *state;
	struct user_id one = add_doctor(s, "one");
	struct user_id two = add_patient(s, "two");
	struct users l = { .n = 0 };

	add_patient(s, "three");
	committed(s, store_presence_add(s, one));
	committed(s, store_presence_add(s, one));
	committed(s, store_presence_add(s, two));
	committed(s, store_presence_add(s, (struct user_id){ 99 }));
	assert_int_equal(store_presence(s, collect, &l), ERR_OK);
	assert_int_equal(l.n, 2);
	assert_true(holds(&l, one));
	assert_true(holds(&l, two));
	committed(s, store_presence_remove(s, one));
	l.n = 0;
	assert_int_equal(store_presence(s, collect, &l), ERR_OK);
	assert_int_equal(l.n, 1);
	assert_true(holds(&l, two));
}

/* The id of the request that has made a change goes along with this change, and with no other. */
static void
a_change_names_its_request(void **state)
{
	static const char id[] = "a3bb189e-8bf9-4888-9912-ace4e6543002";
	struct store *s = *state;
	struct user_id one = add_doctor(s, "one");
	struct users l;
	int64_t rev = 0;

	assert_string_equal(changed(s, &rev).request[0], "");
	committed(s, store_user_set_status(s, one, STATUS_ONLINE, id));
	l = changed(s, &rev);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.request[0], id);
	/* Nothing was changed by this one. */
	committed(s, store_user_set_status(s, one, STATUS_ONLINE, "0123456789abcdef"));
	assert_int_equal(changed(s, &rev).n, 0);
	/* Nobody's request, and another hand's. */
	committed(s, store_user_set_status(s, one, STATUS_BUSY, NULL));
	assert_string_equal(changed(s, &rev).request[0], "");
	committed(s, store_user_set_status(s, one, STATUS_ONLINE, id));
	raw_sql("UPDATE user SET name = 'other'");
	l = changed(s, &rev);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.request[0], "");
}

static void
the_revision_is_that_of_the_last_change(void **state)
{
	struct store *s = *state;
	int64_t before;
	int64_t rev;

	assert_int_equal(store_revision(s, &before), ERR_OK);
	add_patient(s, "a");
	add_patient(s, "b");
	assert_int_equal(store_revision(s, &rev), ERR_OK);
	assert_int_equal(rev, before + 2);
	(void)changed(s, &before);
	assert_int_equal(before, rev);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_account_is_read_as_it_was_made),
		TEST(any_text_is_kept_as_text),
		TEST(the_longest_texts_fit),
		TEST(nobody_is_not_found),
		TEST(an_email_is_taken_whatever_its_case),
		TEST(a_status_is_set),
		TEST(doctors_are_listed_by_name),
		TEST(a_pending_doctor_is_listed_when_approved),
		TEST(who_is_not_pending_cannot_be_approved_again),
		TEST(accounts_are_listed_by_id),
		TEST(a_reader_that_fails_ends_the_list),
		TEST(what_others_can_see_raises_the_revision),
		TEST(a_name_that_another_hand_changes_raises_it_too),
		TEST(what_was_rolled_back_did_not_change),
		TEST(changes_come_in_pages_oldest_first),
		TEST(a_change_that_was_refused_comes_again),
		TEST(a_change_names_its_request),
		TEST(the_revision_is_that_of_the_last_change),
		TEST(connecting_and_leaving_set_the_status),
		TEST(presence_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
