/* What is written, and that it reads back as it was. */
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "json/json.h"

static void
commas_and_keys_are_the_writers(void **state)
{
	struct json_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	jw_init(&w, &b);
	jw_object(&w, NULL);
	jw_array(&w, "empty");
	jw_array_end(&w);
	jw_array(&w, "list");
	jw_int(&w, NULL, 1);
	jw_string(&w, NULL, "two");
	jw_bool(&w, NULL, true);
	jw_object(&w, NULL);
	jw_object_end(&w);
	jw_object(&w, NULL);
	jw_bool(&w, "no", false);
	jw_object_end(&w);
	jw_array_end(&w);
	jw_raw(&w, "raw", "{\"as\": [it,is]}xyz", 15);
	jw_string(&w, "", "");
	jw_object_end(&w);
	assert_string_equal(b.data, "{\"empty\":[],\"list\":[1,\"two\",true,{},{\"no\":false}],"
				    "\"raw\":{\"as\": [it,is]},\"\":\"\"}");
	assert_false(b.failed);
	buf_fini(&b);
}

static void
a_lone_value_has_no_comma(void **state)
{
	struct json_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	jw_init(&w, &b);
	jw_int(&w, NULL, -7);
	assert_string_equal(b.data, "-7");
	buf_fini(&b);
}

static void
integers_keep_all_their_digits(void **state)
{
	struct json_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 256);
	jw_init(&w, &b);
	jw_array(&w, NULL);
	jw_int(&w, NULL, INT64_MAX);
	jw_int(&w, NULL, INT64_MIN);
	jw_int(&w, NULL, 0);
	jw_array_end(&w);
	assert_string_equal(b.data, "[9223372036854775807,-9223372036854775808,0]");
	buf_fini(&b);
}

static void
strings_are_escaped(void **state)
{
	static const struct {
		const char *value;
		const char *written;
	} rows[] = {
		{ "plain", "\"plain\"" },
		{ "\"", "\"\\\"\"" },
		{ "\\", "\"\\\\\"" },
		{ "a\nb", "\"a\\nb\"" },
		{ "a\r\tb", "\"a\\u000d\\u0009b\"" },
		{ "\x01\x1f", "\"\\u0001\\u001f\"" },
		{ "\x1b[31m", "\"\\u001b[31m\"" },
		{ "\x7f", "\"\\u007f\"" },
		{ "</script>", "\"</script>\"" },
		{ "\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct json_writer w;
		struct buf b;

		buf_init(&b, 256);
		jw_init(&w, &b);
		jw_string(&w, NULL, rows[i].value);
		assert_string_equal(b.data, rows[i].written);
		buf_fini(&b);
	}
}

static void
keys_are_escaped_too(void **state)
{
	struct json_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 256);
	jw_init(&w, &b);
	jw_object(&w, NULL);
	jw_int(&w, "a\"\n", 1);
	jw_object_end(&w);
	assert_string_equal(b.data, "{\"a\\\"\\n\":1}");
	buf_fini(&b);
}

/* Every byte that a C string of ASCII can hold, and UTF-8 of each length. */
static void
what_is_written_reads_back_the_same(void **state)
{
	static const char past_ascii[] = "\xc2\x80\xe2\x80\xa8\xef\xbf\xbf\xf4\x8f\xbf\xbf";
	char value[160];
	char why[JSON_WHY_SIZE];
	struct json *root = NULL;
	struct json_writer w;
	struct buf b;

	(void)state;
	for (int c = 1; c < 0x80; c++)
		value[c - 1] = (char)c;
	memcpy(value + 0x7f, past_ascii, sizeof(past_ascii));
	buf_init(&b, 4096);
	jw_init(&w, &b);
	jw_object(&w, NULL);
	jw_string(&w, value, value);
	jw_object_end(&w);
	assert_int_equal(json_parse(b.data, b.len, &root, why), ERR_OK);
	assert_string_equal(json_string(json_member(root, value)), value);
	json_free(root);
	buf_fini(&b);
}

/* Half a value is worse than none: the caller must see it. */
static void
a_full_buffer_is_seen_at_the_end(void **state)
{
	struct json_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 12);
	jw_init(&w, &b);
	jw_array(&w, NULL);
	jw_string(&w, NULL, "twelve bytes");
	jw_array_end(&w);
	assert_true(b.failed);
	assert_true(b.len <= 12);
	buf_fini(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_and_keys_are_the_writers),
		cmocka_unit_test(a_lone_value_has_no_comma),
		cmocka_unit_test(integers_keep_all_their_digits),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(keys_are_escaped_too),
		cmocka_unit_test(what_is_written_reads_back_the_same),
		cmocka_unit_test(a_full_buffer_is_seen_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
