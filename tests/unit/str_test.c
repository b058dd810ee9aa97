/* UTF-8, integers and times: what is read strictly, and what is shown. */
#include "base/str.h"

#include <string.h>

#include "base/clock.h"
#include "unit.h"

#define TEXT(s) s, sizeof(s) - 1

static void
utf8_is_decoded(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		size_t taken;
		uint32_t code_point;
	} rows[] = {
		{ TEXT("\0"), 1, 0 },
		{ TEXT("a"), 1, 'a' },
		{ TEXT("\x7f"), 1, 0x7f },
		{ TEXT("\xc2\x80"), 2, 0x80 },
		{ TEXT("\xdf\xbf"), 2, 0x7ff },
		{ TEXT("\xe0\xa0\x80"), 3, 0x800 },
		{ TEXT("\xed\x9f\xbf"), 3, 0xd7ff },
		{ TEXT("\xee\x80\x80"), 3, 0xe000 },
		{ TEXT("\xef\xbf\xbf"), 3, 0xffff },
		{ TEXT("\xf0\x90\x80\x80"), 4, 0x10000 },
		{ TEXT("\xf4\x8f\xbf\xbf"), 4, 0x10ffff },
		{ TEXT("\xc3\xa9z"), 2, 0xe9 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t c = 0xbad;

		assert_row(
		    rows[i].bytes, utf8_decode(rows[i].bytes, rows[i].len, &c) == rows[i].taken);
		assert_int_equal(c, rows[i].code_point);
	}
}

static void
what_is_no_utf8_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ TEXT("") },
		{ TEXT("\x80") },
		{ TEXT("\xbf") },
		{ TEXT("\xc0\x80") },
		{ TEXT("\xc0\xaf") },
		{ TEXT("\xc1\xbf") },
		{ TEXT("\xe0\x80\x80") },
		{ TEXT("\xe0\x9f\xbf") },
		{ TEXT("\xf0\x80\x80\x80") },
		{ TEXT("\xf0\x8f\xbf\xbf") },
		{ TEXT("\xed\xa0\x80") },
		{ TEXT("\xed\xbf\xbf") },
		{ TEXT("\xf4\x90\x80\x80") },
		{ TEXT("\xf5\x80\x80\x80") },
		{ TEXT("\xf8\x88\x80\x80\x80") },
		{ TEXT("\xfe") },
		{ TEXT("\xff") },
		{ TEXT("\xc3") },
		{ TEXT("\xe2\x82") },
		{ TEXT("\xf0\x9f\x98") },
		{ TEXT("\xc3(") },
		{ TEXT("\xe2(\xa1") },
		{ TEXT("\xe2\x82(") },
		{ TEXT("\xf0\x9f\x98(") },
	};
	uint32_t c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i].bytes, utf8_decode(rows[i].bytes, rows[i].len, &c) == 0);
}

static void
characters_are_counted_not_bytes(void **state)
{
	(void)state;
	assert_int_equal(utf8_count("", 0), 0);
	assert_int_equal(utf8_count("abc", 3), 3);
	assert_int_equal(utf8_count("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10), 4);
}

static void
an_integer_has_one_spelling(void **state)
{
	static const struct {
		const char *text;
		int64_t lo, hi;
		bool ok;
		int64_t value;
	} rows[] = {
		{ "0", 0, 9, true, 0 },
		{ "9", 0, 9, true, 9 },
		{ "10", 0, 9, false, 0 },
		{ "0", 1, 9, false, 0 },
		{ "1", 1, 9, true, 1 },
		{ "", 0, 9, false, 0 },
		{ "00", 0, 9, false, 0 },
		{ "07", 0, 9, false, 0 },
		{ "+7", 0, 9, false, 0 },
		{ "-7", -9, 9, false, 0 },
		{ " 7", 0, 9, false, 0 },
		{ "7 ", 0, 9, false, 0 },
		{ "7a", 0, 9, false, 0 },
		{ "7.0", 0, 9, false, 0 },
		{ "9223372036854775807", 0, INT64_MAX, true, INT64_MAX },
		{ "9223372036854775808", 0, INT64_MAX, false, 0 },
		{ "18446744073709551617", 0, INT64_MAX, false, 0 },
		{ "99999999999999999999999", 0, INT64_MAX, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t out = 0;

		assert_row(rows[i].text, parse_int(rows[i].text, strlen(rows[i].text), rows[i].lo,
					     rows[i].hi, &out) == rows[i].ok);
		assert_row(rows[i].text, out == rows[i].value);
	}
}

static void
an_integer_ends_where_its_length_says(void **state)
{
	int64_t out = 0;

	(void)state;
	assert_true(parse_int("789", 2, 0, 100, &out));
	assert_int_equal(out, 78);
}

static void
an_integer_is_written_as_printf_does(void **state)
{
	static const int64_t rows[] = { 0, 1, -1, 9, 10, -10, 1234567890123, INT64_MAX, INT64_MIN };
	char wanted[INT_TEXT_SIZE];
	char out[INT_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(wanted, sizeof(wanted), "%lld", (long long)rows[i]);
		assert_string_equal(format_int(rows[i], out), wanted);
	}
}

/* Every byte at every place of a run: it is never run over, and what is plain is at most 15 short.
 */
static void
a_plain_run_ends_before_what_is_not_plain(void **state)
{
	char text[64];

	(void)state;
	for (int c = 0; c < 256; c++) {
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

		for (size_t at = 0; at < sizeof(text); at++) {
			size_t n;

			memset(text, 'a', sizeof(text));
			text[at] = (char)c;
			n = plain_run(text, sizeof(text));
			assert_true(plain ? n == sizeof(text) : n <= at && at - n < 16);
			assert_true(plain_run(text, at) <= at && at - plain_run(text, at) < 16);
		}
	}
}

static void
a_text_is_utf8_or_not(void **state)
{
	(void)state;
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 17));
	assert_false(utf8_valid("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 16));
	assert_false(utf8_valid("a\xff", 2));
	assert_false(utf8_valid("\xed\xa0\x80", 3));
}

static void
times_are_shown_in_utc_with_milliseconds(void **state)
{
	static const struct {
		int64_t ms;
		const char *shown;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ 951782399999, "2000-02-28T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 1800000000042, "2027-01-15T08:00:00.042Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
	};
	char out[RFC3339_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(clock_rfc3339(rows[i].ms, out), rows[i].shown);
}

static void
the_clocks_run(void **state)
{
	int64_t wall = clock_wall_ms();
	int64_t monotonic = clock_monotonic_ms();

	(void)state;
	assert_true(wall > 1700000000000);
	usleep(3000);
	assert_true(clock_monotonic_ms() >= monotonic + 2);
	assert_true(clock_wall_ms() < wall + 3600000);
}

static void
every_outcome_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < ERR__COUNT; a++) {
		for (int b = 0; b < a; b++)
			assert_string_not_equal(err_name((enum err)a), err_name((enum err)b));
		assert_string_not_equal(err_name((enum err)a), "unknown");
	}
	assert_string_equal(err_name(ERR_OK), "ok");
	assert_string_equal(err_name(ERR__COUNT), "unknown");
}

static void
a_text_takes_another_ones_place(void **state)
{
	char *text = NULL;

	(void)state;
	assert_true(str_replace(&text, "one"));
	assert_true(str_replace(&text, text));
	assert_string_equal(text, "one");
	assert_true(str_replace(&text, ""));
	assert_string_equal(text, "");
	free(text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_decoded),
		cmocka_unit_test(what_is_no_utf8_is_refused),
		cmocka_unit_test(characters_are_counted_not_bytes),
		cmocka_unit_test(an_integer_has_one_spelling),
		cmocka_unit_test(an_integer_ends_where_its_length_says),
		cmocka_unit_test(an_integer_is_written_as_printf_does),
		cmocka_unit_test(a_plain_run_ends_before_what_is_not_plain),
		cmocka_unit_test(a_text_is_utf8_or_not),
		cmocka_unit_test(a_text_takes_another_ones_place),
		cmocka_unit_test(times_are_shown_in_utc_with_milliseconds),
		cmocka_unit_test(the_clocks_run),
		cmocka_unit_test(every_outcome_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
