/* The strict pass over a text. */
#include "json/json_gate.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define TEXT(s) s, sizeof(s) - 1

static enum err
check(const char *text, size_t len, char why[JSON_WHY_SIZE])
{
	char *exact = exact_copy(text, len);
	bool plain_keys;
	enum err e = json_gate(exact, len, &plain_keys, why);

	free(exact);
	return e;
}

static void
gate_takes_what_the_rfc_allows(void **state)
{
	static const char *const rows[] = { "{}", "[]", "\"\"", "null", "true", "false", "0", "-0",
		"1e308", "-1.5E-3", " \t\r\n{ \"a\" : [ 1 , 2 ] }\n", "{\"a\":1,\"A\":2}",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\\ud83d\\ude00\"", "\"\x7f\"",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\xef\xbf\xbf\"",
		"\"\xf4\x8f\xbf\xbf\"", "\"\xee\x80\x80\"", "\"\xed\x9f\xbf\"", "{\"\":{\"\":0}}" };
	char why[JSON_WHY_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i], check(rows[i], strlen(rows[i]), why) == ERR_OK);
}

static void
gate_refuses_and_says_what_and_where(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *why;
	} rows[] = {
		{ TEXT(""), "byte 0: a value is missing" },
		{ TEXT(" \n"), "byte 2: a value is missing" },
		{ TEXT("{} x"), "byte 3: text after the value" },
		{ TEXT("{}{}"), "byte 2: text after the value" },
		{ TEXT("{}\0"), "byte 2: text after the value" },
		{ TEXT("\xef\xbb\xbf{}"), "byte 0: not a number" },
		{ TEXT("007"), "byte 1: text after the value" },
		{ TEXT("[+1]"), "byte 1: not a number" },
		{ TEXT("[NaN]"), "byte 1: not a number" },
		{ TEXT("[nul]"), "byte 1: not a value" },
		{ TEXT("[1.]"), "byte 3: a number without digits after its point" },
		{ TEXT("[1e+]"), "byte 4: a number without digits in its exponent" },
		{ TEXT("[1e999]"), "byte 6: a number beyond what a double holds" },
		{ TEXT("[-1e999]"), "byte 7: a number beyond what a double holds" },
		{ TEXT("[1,]"), "byte 3: not a number" },
		{ TEXT("[1 2]"), "byte 3: a comma or the closing bracket is missing" },
		{ TEXT("[1}"), "byte 2: a comma or the closing bracket is missing" },
		{ TEXT("{\"a\":1,}"), "byte 7: not a string" },
		{ TEXT("{a:1}"), "byte 1: not a string" },
		{ TEXT("{\"a\":1,\"b\":2,\"a\":3}"), "byte 16: a key stands twice in one object" },
		{ TEXT("{\"a\"}"), "byte 4: a key without its colon" },
		{ TEXT("\"abc"), "byte 4: a string without its end" },
		{ TEXT("\"a\tb\""), "byte 2: a raw control character in a string" },
		{ TEXT("\"a\0b\""), "byte 2: a raw control character in a string" },
		{ TEXT("\"\\x41\""), "byte 2: an unknown escape" },
		{ TEXT("\"\\\0\""), "byte 2: an unknown escape" },
		{ TEXT("\"\\u12g4\""), "byte 5: \\u without four hexadecimal digits" },
		{ TEXT("\"\\u0000\""), "byte 7: \\u0000 is not taken" },
		{ TEXT("{\"a\\u0000b\":1}"), "byte 9: \\u0000 is not taken" },
		{ TEXT("\"\\ud800\""), "byte 7: a lone surrogate" },
		{ TEXT("\"\\udc00\\ud800\""), "byte 7: a lone surrogate" },
		{ TEXT("\"\\ud800\\u0041\""), "byte 13: a lone surrogate" },
		{ TEXT("\"\xff\xfe\""), "byte 1: invalid UTF-8" },
		{ TEXT("\"\xc0\xaf\""), "byte 1: invalid UTF-8" },
		{ TEXT("\"\xed\xa0\x80\""), "byte 1: invalid UTF-8" },
		{ TEXT("\"\xf4\x90\x80\x80\""), "byte 1: invalid UTF-8" },
		{ TEXT("\"\xe2\x82"), "byte 1: invalid UTF-8" },
		{ TEXT("{\"\x80\":1}"), "byte 2: invalid UTF-8" },
	};
	char why[JSON_WHY_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_row(rows[i].text, check(rows[i].text, rows[i].len, why) == ERR_INVALID);
		assert_string_equal(why, rows[i].why);
	}
}

static void
gate_refuses_every_raw_control_byte(void **state)
{
	char why[JSON_WHY_SIZE];
	char text[] = "\"?\"";

	(void)state;
	for (int c = 0; c < 0x20; c++) {
		text[1] = (char)c;
		assert_int_equal(check(text, 3, why), ERR_INVALID);
	}
}

/* N times OPEN, the value 1, N times CLOSE. */
static enum err
check_nested(const char *open, const char *close, size_t n)
{
	char why[JSON_WHY_SIZE];
	struct buf b;
	enum err e;

	buf_init(&b, 65536);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, open);
	buf_adds(&b, "1");
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, close);
	e = check(b.data, b.len, why);
	if (e != ERR_OK)
		assert_non_null(strstr(why, "nested too deeply"));
	buf_fini(&b);
	return e;
}

static void
nesting_ends_at_sixteen(void **state)
{
	(void)state;
	assert_int_equal(check_nested("[", "]", JSON_DEPTH_MAX), ERR_OK);
	assert_int_equal(check_nested("[", "]", JSON_DEPTH_MAX + 1), ERR_INVALID);
	assert_int_equal(check_nested("{\"a\":", "}", JSON_DEPTH_MAX), ERR_OK);
	assert_int_equal(check_nested("{\"a\":", "}", JSON_DEPTH_MAX + 1), ERR_INVALID);
	assert_int_equal(check_nested("[{\"a\":", "}]", JSON_DEPTH_MAX / 2), ERR_OK);
	assert_int_equal(check_nested("[{\"a\":", "}]", JSON_DEPTH_MAX / 2 + 1), ERR_INVALID);
	assert_int_equal(check_nested("[", "]", 16000), ERR_INVALID);
}

static void
lists_side_by_side_are_not_deep(void **state)
{
	static const char text[] = "[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]";
	char why[JSON_WHY_SIZE];

	(void)state;
	assert_int_equal(check(text, sizeof(text) - 1, why), ERR_OK);
}

static void
every_cut_of_a_text_is_refused(void **state)
{
	static const char text[] =
	    "{\"a\":[1.5e3,true,null,\"\\ud83d\\ude00\xe2\x82\xac\"],\"b\":{\"c\":false}}";
	char why[JSON_WHY_SIZE];

	(void)state;
	assert_int_equal(check(text, sizeof(text) - 1, why), ERR_OK);
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(check(text, len, why), ERR_INVALID);
}

static void
what_is_wrong_is_said_without_quoting(void **state)
{
	static const char text[] = "{\"password\":\"my secret\" \"my secret\"}";
	char why[JSON_WHY_SIZE];

	(void)state;
	assert_int_equal(check(text, sizeof(text) - 1, why), ERR_INVALID);
	assert_null(strstr(why, "secret"));
	assert_null(strstr(why, "password"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gate_takes_what_the_rfc_allows),
		cmocka_unit_test(gate_refuses_and_says_what_and_where),
		cmocka_unit_test(gate_refuses_every_raw_control_byte),
		cmocka_unit_test(nesting_ends_at_sixteen),
		cmocka_unit_test(lists_side_by_side_are_not_deep),
		cmocka_unit_test(every_cut_of_a_text_is_refused),
		cmocka_unit_test(what_is_wrong_is_said_without_quoting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
