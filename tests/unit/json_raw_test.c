/* Values as they stand in a text that the gate has taken. */
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static struct json_raw
slice(const char *text)
{
	return (struct json_raw){ text, strlen(text) };
}

static void
raw_members_stand_as_they_were_sent(void **state)
{
	static const struct {
		const char *text;
		const char *key;
		const char *raw; /* NULL: no such member */
	} rows[] = {
		{ "{\"a\":1}", "a", "1" },
		{ " { \"a\" : 1 } ", "a", "1" },
		{ "{\"a\":1.50e+0 ,\"b\":2}", "a", "1.50e+0" },
		{ "{\"a\":123456789012345678901}", "a", "123456789012345678901" },
		{ "{\"a\":1,\"b\":-0}", "b", "-0" },
		{ "{\"a\":true\n}", "a", "true" },
		{ "{\"a\":\"\"}", "a", "\"\"" },
		{ "{\"a\":\"x}],\\\"{[\\\\\",\"b\":2}", "a", "\"x}],\\\"{[\\\\\"" },
		{ "{\"a\":\"x}],\\\"{[\\\\\",\"b\":2}", "b", "2" },
		{ "{\"a\":{\"b\":{\"c\":1} , \"d\":[ 1 ]},\"b\":3}", "a",
		    "{\"b\":{\"c\":1} , \"d\":[ 1 ]}" },
		{ "{\"a\":{\"b\":{\"c\":1} , \"d\":[ 1 ]},\"b\":3}", "b", "3" },
		{ "{\"a\":{\"b\":1}}", "b", NULL },
		{ "{\"a\":[{\"b\":\"]\"},[]],\"c\":{}}", "a", "[{\"b\":\"]\"},[]]" },
		{ "{\"a\":[{\"b\":\"]\"},[]],\"c\":{}}", "c", "{}" },
		{ "{\"b\":\"a\",\"a\":\"b\"}", "a", "\"b\"" },
		{ "{\"ab\":1,\"a\":2}", "a", "2" },
		{ "{\"\":1}", "", "1" },
		{ "{\"a\":1}", "", NULL },
		{ "{\"a\":1}", "A", NULL },
		{ "{\"\\u0061\":1}", "a", NULL },
		{ "{\"\\u0061\":1}", "\\u0061", "1" },
		{ "{}", "a", NULL },
		{ "[\"a\",1]", "a", NULL },
		{ "\"a\"", "a", NULL },
		{ "1", "a", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t len = strlen(rows[i].text);
		char *text = exact_copy(rows[i].text, len);
		struct json_raw raw = json_raw_member((struct json_raw){ text, len }, rows[i].key);

		assert_row(rows[i].text, (raw.at != NULL) == (rows[i].raw != NULL));
		if (raw.at != NULL) {
			assert_row(rows[i].text, raw.len == strlen(rows[i].raw));
			assert_row(rows[i].text, memcmp(raw.at, rows[i].raw, raw.len) == 0);
		}
		free(text);
	}
}

/* What json_raw_parse() hands out of TEXT, in a buffer of the caller's to free(). */
static char *
parsed(const char *text, bool *rewritten)
{
	char why[JSON_WHY_SIZE];
	struct json_raw root = { NULL, 0 };
	char *anew = NULL;
	char *copy;

	assert_row(text, json_raw_parse(text, strlen(text), &root, &anew, why) == ERR_OK);
	*rewritten = anew != NULL;
	copy = strndup(root.at, root.len);
	free(anew);
	return copy;
}

static void
a_text_is_written_anew_where_its_keys_are_not_plain(void **state)
{
	static const struct {
		const char *text;
		const char *expect; /* NULL: as it stands */
	} rows[] = {
		{ "{\"type\" : \"ch\\u0061t\", \"n\":[{\"b\":1.50}]}", NULL },
		{ "{\"\\u0061\":{\"b\":\"\\u00e9\"}, \"c\":1}",
		    "{\"a\":{\"b\":\"\\u00e9\"}, \"c\":1}" },
		{ "{ \"\\u0022\\u007f\" : 1.50 , \"\":[\"x\"]}",
		    "{ \"\\\"\\u007f\" : 1.50 , \"\":[\"x\"]}" },
		{ "{\"x\":[{\"\\/\":1}]}", "{\"x\":[{\"/\":1}]}" },
		{ "{\"to\":9007199254740991,\"\\u0062\":0}", "{\"to\":9007199254740991,\"b\":0}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool rewritten;
		char *text = parsed(rows[i].text, &rewritten);

		assert_row(rows[i].text, rewritten == (rows[i].expect != NULL));
		assert_string_equal(text, rewritten ? rows[i].expect : rows[i].text);
		free(text);
	}
}

static void
strings_lose_their_quotes_and_escapes(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *value; /* NULL: refused */
	} rows[] = {
		{ "\"\"", 1, "" },
		{ "\"abc\"", 4, "abc" },
		{ "\"abc\"", 3, NULL },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 9, "\"\\/\b\f\n\r\t" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 8, NULL },
		{ "\"a\\u0062c\"", 4, "abc" },
		{ "\"\\u007f\\u0080\\u07ff\\u0800\\uFFFF\"", 64,
		    "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf" },
		{ "\"\\ud83d\\ude00\"", 5, "\xf0\x9f\x98\x80" },
		{ "\"\\ud83d\\ude00\"", 4, NULL },
		{ "\"\\ud800\\udc00x\\udbff\\udfff\"", 64, "\xf0\x90\x80\x80x\xf4\x8f\xbf\xbf" },
		{ "7", 64, NULL },
		{ "{}", 64, NULL },
		{ "null", 64, NULL },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool ok = json_raw_string(slice(rows[i].text), out, rows[i].size);

		assert_row(rows[i].text, ok == (rows[i].value != NULL));
		assert_string_equal(out, ok ? rows[i].value : "");
	}
	assert_false(json_raw_string((struct json_raw){ NULL, 0 }, out, sizeof(out)));
}

static void
characters_are_counted_and_not_bytes(void **state)
{
	static const struct {
		const char *text;
		size_t chars;
	} rows[] = {
		{ "\"\"", 0 },
		{ "\"abc\"", 3 },
		{ "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", 3 },
		{ "\"\\\"\\\\n\"", 3 },
		{ "\"\\u00e9\\ud83d\\ude00x\"", 3 },
		{ "7", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i].text, json_raw_chars(slice(rows[i].text)) == rows[i].chars);
}

/* The table of json_id(), whose twin this is. */
static void
ids_have_one_spelling(void **state)
{
	static const struct {
		const char *text;
		int64_t id; /* 0: refused */
	} rows[] = { { "7", 7 }, { "\"7\"", 7 }, { "7.0", 7 }, { "70e-1", 7 }, { "\"\\u0037\"", 7 },
		{ "9007199254740991", 9007199254740991 },
		{ "\"9007199254740991\"", 9007199254740991 }, { "9007199254740992", 0 },
		{ "\"9007199254740992\"", 0 }, { "12345678901234567890", 0 },
		{ "\"12345678901234567890\"", 0 }, { "0", 0 }, { "\"07\"", 0 }, { "\"7 \"", 0 },
		{ "-7", 0 }, { "7.5", 0 }, { "1e300", 0 }, { "true", 0 }, { "null", 0 },
		{ "[7]", 0 }, { "{}", 0 }, { "\"\"", 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int64_t id = 0;

		assert_row(
		    rows[i].text, json_raw_id(slice(rows[i].text), &id) == (rows[i].id != 0));
		assert_row(rows[i].text, id == rows[i].id);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_members_stand_as_they_were_sent),
		cmocka_unit_test(a_text_is_written_anew_where_its_keys_are_not_plain),
		cmocka_unit_test(strings_lose_their_quotes_and_escapes),
		cmocka_unit_test(characters_are_counted_and_not_bytes),
		cmocka_unit_test(ids_have_one_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
