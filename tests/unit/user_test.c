/* Roles, statuses, and the rules for names, mail addresses and passwords. */
#include "domain/user.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "unit.h"

/* PIECE N times, to be freed. */
static char *
repeated(const char *piece, size_t n)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	buf_adds(&b, "");
	while (n-- > 0)
		buf_adds(&b, piece);
	assert_false(b.failed);
	return b.data;
}

static void
words_and_values_match_both_ways(void **state)
{
	(void)state;
	assert_string_equal(role_name(ROLE_PATIENT), "PATIENT");
	assert_string_equal(role_name(ROLE_DOCTOR), "DOCTOR");
	for (int r = ROLE_PATIENT; r <= ROLE_DOCTOR; r++)
		assert_int_equal(role_from_name(role_name((enum role)r)), r);
	assert_string_equal(status_name(STATUS_ONLINE), "ONLINE");
	assert_string_equal(status_name(STATUS_BUSY), "BUSY");
	assert_string_equal(status_name(STATUS_OFFLINE), "OFFLINE");
	for (int s = STATUS_ONLINE; s <= STATUS_OFFLINE; s++)
		assert_int_equal(status_from_name(status_name((enum status)s)), s);
}

static void
other_words_are_no_role_and_no_status(void **state)
{
	static const char *const rows[] = { "", "ADMIN", "doctor", "DOCTOR ", " PATIENT", "PATIEN",
		"DOCTORS", "online", "AWAY", "NONE", "1" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_row(rows[i], role_from_name(rows[i]) == ROLE_NONE);
		assert_row(rows[i], status_from_name(rows[i]) == STATUS_NONE);
	}
	assert_int_equal(role_from_name(NULL), ROLE_NONE);
	assert_int_equal(status_from_name(NULL), STATUS_NONE);
	assert_int_equal(role_from_name("ONLINE"), ROLE_NONE);
	assert_int_equal(status_from_name("DOCTOR"), STATUS_NONE);
}

static void
names_are_trimmed(void **state)
{
	static const struct {
		const char *typed, *kept;
	} rows[] = {
		{ "Ada", "Ada" },
		{ " Ada ", "Ada" },
		{ "\t\r\n\f\v Ada \t\r\n\f\v", "Ada" },
		{ "Ada  King", "Ada  King" },
		{ " x ", "x" },
		{ "\xc2\xa0\xe3\x80\x80 Ada\xc2\xa0King\xe2\x80\x83\xe1\x9a\x80",
		    "Ada\xc2\xa0King" },
		{ "\xe2\x80\x8a\xe2\x80\x8b\xe2\x80\xaf", "\xe2\x80\x8b" },
		{ "\xc3\x89ric \xe2\x82\xac \xf0\x9f\x98\x80",
		    "\xc3\x89ric \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "'; DROP TABLE user; --", "'; DROP TABLE user; --" },
		{ "<b>%n%s</b>", "<b>%n%s</b>" },
		{ "../../etc/passwd", "../../etc/passwd" },
	};
	char out[NAME_BYTES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_row(rows[i].typed, name_rule(rows[i].typed, out) == NULL);
		assert_string_equal(out, rows[i].kept);
	}
}

static void
a_name_has_1_to_100_characters(void **state)
{
	static const char *const letters[] = { "n", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80" };
	char out[NAME_BYTES_MAX + 1];
	char *name;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(letters); i++) {
		name = repeated(letters[i], NAME_CHARS_MAX);
		assert_row(letters[i], name_rule(name, out) == NULL);
		assert_string_equal(out, name);
		free(name);
		name = repeated(letters[i], NAME_CHARS_MAX + 1);
		assert_row(letters[i], name_rule(name, out) != NULL);
		free(name);
	}
}

/* White space at the ends is not counted, however much of it there is. */
static void
a_name_is_trimmed_before_it_is_counted(void **state)
{
	char out[NAME_BYTES_MAX + 1];
	char *blanks = repeated(" ", 10000);
	char *name = repeated("n", NAME_CHARS_MAX);
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 16);
	buf_addf(&b, "%s%s%s", blanks, name, blanks);
	assert_null(name_rule(b.data, out));
	assert_string_equal(out, name);
	assert_non_null(name_rule(blanks, out));
	assert_non_null(name_rule("", out));
	assert_non_null(name_rule("\t\n", out));
	assert_non_null(name_rule("\xc2\xa0 \xe3\x80\x80", out));
	buf_fini(&b);
	free(name);
	free(blanks);
}

static void
a_name_has_no_control_characters(void **state)
{
	static const char *const rows[] = { "a\x01z", "a\tz", "a\nz", "a\rz", "a\x1bz", "a\x1fz",
		"a\x7fz", "a\xc2\x80z", "a\xc2\x85z", "a\xc2\x9bz", "a\xc2\x9fz", "a\xe2\x80\xa8z",
		"a\xe2\x80\xa9z", "\x1b[31mred", "end\x01", "end\xc2\x85" };
	static const char *const good[] = { "a\xc2\xa0z", "a~z", "a\xe2\x80\xaaz" };
	char out[NAME_BYTES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i], name_rule(rows[i], out) != NULL);
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_row(good[i], name_rule(good[i], out) == NULL);
}

static void
an_email_has_one_at_with_something_on_each_side(void **state)
{
	static const char *const good[] = { "a@b", "ada@clinic.example", "a+b.c@d-e.example",
		"\xc3\xa9@\xc3\xa9.example", "'--@x", "\"@x" };
	static const char *const bad[] = { "", "@", "a", "a@", "@b", "a@@b", "a@b@c", "a@b@",
		"@a@b", "a b@c", " a@b", "a@b ", "a@b\n", "a\t@b", "a@b\x7f", "a\x1b@b",
		"a@b\xc2\x85", "a@b\xc2\xa0", "\xe3\x80\x80@b", "a\xe2\x80\x83@b" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_row(good[i], email_rule(good[i]) == NULL);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_row(bad[i], email_rule(bad[i]) != NULL);
}

static void
an_email_has_at_most_254_bytes(void **state)
{
	char *email = repeated("m", EMAIL_BYTES_MAX + 1);

	(void)state;
	email[1] = '@';
	assert_non_null(email_rule(email));
	email[EMAIL_BYTES_MAX] = '\0';
	assert_null(email_rule(email));
	free(email);
	/* Bytes, not characters. */
	email = repeated("\xc3\xa9", EMAIL_BYTES_MAX / 2);
	email[0] = 'm';
	email[1] = '@';
	assert_null(email_rule(email));
	free(email);
	email = repeated("\xc3\xa9", EMAIL_BYTES_MAX / 2 + 1);
	email[0] = 'm';
	email[1] = '@';
	assert_non_null(email_rule(email));
	free(email);
}

static void
a_password_has_8_to_72_bytes(void **state)
{
	static const struct {
		const char *piece;
		size_t times;
		bool good;
	} rows[] = {
		{ "p", 0, false },
		{ "p", 7, false },
		{ "p", 8, true },
		{ "p", 72, true },
		{ "p", 73, false },
		{ "p", 1 << 12, false },
		{ " ", 8, true },
		{ "\xc3\xa9", 3, false },
		{ "\xc3\xa9", 4, true },
		{ "\xf0\x9f\x98\x80", 2, true },
		{ "\xf0\x9f\x98\x80", 18, true },
		{ "\xf0\x9f\x98\x80", 19, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char *password = repeated(rows[i].piece, rows[i].times);

		assert_row(password, (password_rule(password) == NULL) == rows[i].good);
		free(password);
	}
}

static void
an_audience_is_shown_whom_the_setting_says(void **state)
{
	static const struct {
		const char *name;
		enum visibility visibility;
		enum role role;
		bool pending;
		bool patients;
	} rows[] = {
		{ "all: patient", VISIBILITY_ALL, ROLE_PATIENT, false, true },
		{ "all: doctor", VISIBILITY_ALL, ROLE_DOCTOR, false, true },
		{ "all: pending", VISIBILITY_ALL, ROLE_DOCTOR, true, true },
		{ "scoped: patient", VISIBILITY_SCOPED, ROLE_PATIENT, false, false },
		{ "scoped: doctor", VISIBILITY_SCOPED, ROLE_DOCTOR, false, true },
		{ "scoped: pending", VISIBILITY_SCOPED, ROLE_DOCTOR, true, false },
		{ "scoped: nobody", VISIBILITY_SCOPED, ROLE_NONE, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum audience a = audience_of(rows[i].visibility, rows[i].role, rows[i].pending);

		assert_row(rows[i].name, audience_sees(a, ROLE_PATIENT, false) == rows[i].patients);
		assert_row(rows[i].name, audience_sees(a, ROLE_DOCTOR, false));
		assert_row(rows[i].name, !audience_sees(a, ROLE_DOCTOR, true));
	}
	assert_false(audience_sees(AUDIENCE_DOCTORS, ROLE_NONE, false));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_values_match_both_ways),
		cmocka_unit_test(other_words_are_no_role_and_no_status),
		cmocka_unit_test(names_are_trimmed),
		cmocka_unit_test(a_name_has_1_to_100_characters),
		cmocka_unit_test(a_name_is_trimmed_before_it_is_counted),
		cmocka_unit_test(a_name_has_no_control_characters),
		cmocka_unit_test(an_email_has_one_at_with_something_on_each_side),
		cmocka_unit_test(an_email_has_at_most_254_bytes),
		cmocka_unit_test(a_password_has_8_to_72_bytes),
		cmocka_unit_test(an_audience_is_shown_whom_the_setting_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
