/* The tree: equal keys, members, and values read by their type. */
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

/* json_parse() on a copy that ends where the text does, so that a sanitizer sees it read past. */
static enum err
parse(const char *text, size_t len, struct json **root)
{
	char why[JSON_WHY_SIZE] = "";
	char *exact = exact_copy(text, len);
	enum err e;

	e = json_parse(exact, len, root, why);
	free(exact);
	assert_int_equal(e == ERR_INVALID, why[0] != '\0');
	return e;
}

/* The tree of a text that must be taken. */
static struct json *
tree(const char *text)
{
	struct json *root = NULL;

	assert_row(text, parse(text, strlen(text), &root) == ERR_OK);
	assert_non_null(root);
	return root;
}

static void
a_number_has_at_most_511_characters(void **state)
{
	char why[JSON_WHY_SIZE];
	char text[512];
	struct json *root = NULL;
	double d = 0;

	(void)state;
	memset(text, '0', sizeof(text));
	memcpy(text, "0.5", 3);
	assert_int_equal(json_parse(text, 512, &root, why), ERR_INVALID);
	assert_string_equal(why, "byte 512: a number of too many digits");
	assert_int_equal(parse(text, 511, &root), ERR_OK);
	assert_true(json_number(root, &d) && fabs(d - 0.5) < 1e-15);
	json_free(root);
}

static void
equal_keys_of_one_object_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum err expect;
	} rows[] = {
		{ "{\"a\":1,\"a\":1}", ERR_INVALID },
		{ "{\"a\":1,\"b\":2,\"a\":3}", ERR_INVALID },
		{ "{\"a\":1,\"\\u0061\":2}", ERR_INVALID },
		{ "{\"\":1,\"\":2}", ERR_INVALID },
		{ "{\"x\":{\"a\":1,\"a\":2}}", ERR_INVALID },
		{ "[0,{\"x\":[{\"a\":1,\"a\":2}]}]", ERR_INVALID },
		{ "{\"x\":[],\"y\":{\"a\":1,\"a\":2}}", ERR_INVALID },
		{ "{\"\xc3\xa9\":1,\"\\u00e9\":2}", ERR_INVALID },
		{ "{\"a\":1,\"A\":2}", ERR_OK },
		{ "{\"a\":{\"a\":{\"a\":1}}}", ERR_OK },
		{ "[{\"a\":1},{\"a\":1}]", ERR_OK },
		{ "{\"a\":\"b\",\"b\":\"a\"}", ERR_OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct json *root = NULL;

		assert_row(rows[i].text,
		    parse(rows[i].text, strlen(rows[i].text), &root) == rows[i].expect);
		json_free(root);
	}
}

/* An object of N members k0, k1... and then the key LAST. */
static enum err
parse_many_keys(int n, const char *last)
{
	struct json *root = NULL;
	struct buf b;
	enum err e;

	buf_init(&b, 65536);
	buf_adds(&b, "{");
	for (int i = 0; i < n; i++)
		buf_addf(&b, "\"k%d\":0,", i);
	buf_addf(&b, "\"%s\":0}", last);
	e = parse(b.data, b.len, &root);
	json_free(root);
	buf_fini(&b);
	return e;
}

static void
equal_keys_are_found_among_many(void **state)
{
	char last[16];

	(void)state;
	for (int n = 14; n <= 18; n++) {
		snprintf(last, sizeof(last), "k%d", n - 1);
		assert_int_equal(parse_many_keys(n, "other"), ERR_OK);
		assert_int_equal(parse_many_keys(n, "k0"), ERR_INVALID);
		assert_int_equal(parse_many_keys(n, last), ERR_INVALID);
	}
	assert_int_equal(parse_many_keys(3000, "other"), ERR_OK);
	assert_int_equal(parse_many_keys(3000, "k1500"), ERR_INVALID);
}

static void
members_are_found_by_their_exact_name(void **state)
{
	struct json *root = tree("{\"Name\":\"A\",\"name\":\"b\",\"n\":null,\"l\":[1,2],\"o\":{}}");

	(void)state;
	assert_string_equal(json_string(json_member(root, "Name")), "A");
	assert_string_equal(json_string(json_member(root, "name")), "b");
	assert_null(json_member(root, "NAME"));
	assert_null(json_member(root, ""));
	assert_non_null(json_member(root, "n"));
	assert_null(json_member(json_member(root, "l"), "name"));
	assert_null(json_member(NULL, "name"));
	assert_int_equal(json_members(root), 5);
	assert_int_equal(json_members(json_member(root, "o")), 0);
	assert_int_equal(json_members(json_member(root, "l")), 0);
	assert_int_equal(json_members(NULL), 0);
	assert_true(json_is_object(root));
	assert_true(json_is_object(json_member(root, "o")));
	assert_false(json_is_object(json_member(root, "l")));
	assert_false(json_is_object(NULL));
	json_free(root);
	json_free(NULL);
}

static void
values_are_read_by_their_own_type_only(void **state)
{
	static const char *const others[] = { "null", "true", "[\"7\"]", "{\"a\":7}" };
	struct json *string = tree("\"7\"");
	struct json *number = tree("7");
	int64_t id = 0;
	double d = 0;

	(void)state;
	assert_null(json_string(number));
	assert_null(json_string(NULL));
	assert_false(json_number(string, &d));
	assert_false(json_number(NULL, &d));
	assert_false(json_integer(string, 0, 9, &id));
	assert_false(json_id(NULL, &id));
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		struct json *v = tree(others[i]);

		assert_row(others[i], json_string(v) == NULL);
		assert_row(others[i], !json_number(v, &d));
		assert_row(others[i], !json_id(v, &id));
		json_free(v);
	}
	json_free(string);
	json_free(number);
}

static void
escapes_become_their_characters(void **state)
{
	struct json *root = tree("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\\u20ac\\ud83d\\ude00\"");

	(void)state;
	assert_string_equal(
	    json_string(root), "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	json_free(root);
}

static void
integers_are_whole_and_within_bounds(void **state)
{
	static const struct {
		const char *text;
		int64_t lo, hi;
		bool ok;
		int64_t value;
	} rows[] = {
		{ "7", 1, 9, true, 7 },
		{ "7.0", 1, 9, true, 7 },
		{ "70e-1", 1, 9, true, 7 },
		{ "-7", -9, 9, true, -7 },
		{ "-0", 0, 9, true, 0 },
		{ "1", 1, 9, true, 1 },
		{ "9", 1, 9, true, 9 },
		{ "0", 1, 9, false, 0 },
		{ "10", 1, 9, false, 0 },
		{ "7.5", 1, 9, false, 0 },
		{ "9007199254740991", 0, INT64_MAX, true, 9007199254740991 },
		{ "-9007199254740991", INT64_MIN, 0, true, -9007199254740991 },
		{ "9007199254740992", 0, INT64_MAX, false, 0 },
		{ "-9007199254740992", INT64_MIN, 0, false, 0 },
		{ "1e300", INT64_MIN, INT64_MAX, false, 0 },
		{ "-1e300", INT64_MIN, INT64_MAX, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct json *v = tree(rows[i].text);
		int64_t out = 0;

		assert_row(
		    rows[i].text, json_integer(v, rows[i].lo, rows[i].hi, &out) == rows[i].ok);
		assert_row(rows[i].text, out == rows[i].value);
		json_free(v);
	}
}

static void
ids_are_positive_and_have_one_spelling(void **state)
{
	static const struct {
		const char *text;
		int64_t id; /* 0: refused */
	} rows[] = {
		{ "7", 7 },
		{ "\"7\"", 7 },
		{ "7.0", 7 },
		{ "1", 1 },
		{ "9007199254740991", 9007199254740991 },
		{ "\"9007199254740991\"", 9007199254740991 },
		{ "9007199254740992", 0 },
		{ "9007199254740993", 0 },
		{ "\"9007199254740992\"", 0 },
		{ "12345678901234567890", 0 },
		{ "\"12345678901234567890\"", 0 },
		{ "\"18446744073709551623\"", 0 },
		{ "0", 0 },
		{ "\"0\"", 0 },
		{ "-7", 0 },
		{ "\"-7\"", 0 },
		{ "\"+7\"", 0 },
		{ "\"07\"", 0 },
		{ "\"7.0\"", 0 },
		{ "\"7 \"", 0 },
		{ "\" 7\"", 0 },
		{ "\"7e0\"", 0 },
		{ "\"\"", 0 },
		{ "7.5", 0 },
		{ "true", 0 },
		{ "null", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct json *v = tree(rows[i].text);
		int64_t id = 0;

		assert_row(rows[i].text, json_id(v, &id) == (rows[i].id != 0));
		assert_row(rows[i].text, id == rows[i].id);
		json_free(v);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_has_at_most_511_characters),
		cmocka_unit_test(equal_keys_of_one_object_are_refused),
		cmocka_unit_test(equal_keys_are_found_among_many),
		cmocka_unit_test(members_are_found_by_their_exact_name),
		cmocka_unit_test(values_are_read_by_their_own_type_only),
		cmocka_unit_test(escapes_become_their_characters),
		cmocka_unit_test(integers_are_whole_and_within_bounds),
		cmocka_unit_test(ids_are_positive_and_have_one_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
