/* The buffer's ceiling, and what a log line may hold. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "scratch.h"
#include "unit.h"
#include "json/json.h"

static void
a_buffer_is_text_at_any_time(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_null(b.data);
	buf_adds(&b, "one");
	assert_string_equal(b.data, "one");
	buf_addf(&b, " %s %d", "two", 3);
	assert_string_equal(b.data, "one two 3");
	buf_add(&b, "\0x", 2);
	assert_int_equal(b.len, 11);
	assert_memory_equal(b.data, "one two 3\0x", 12);
	buf_clear(&b);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
	buf_adds(&b, "again");
	assert_string_equal(b.data, "again");
	buf_fini(&b);
	assert_null(b.data);
	buf_fini(&b);
}

static void
nothing_can_be_appended_to_nothing(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_adds(&b, "");
	buf_add(&b, NULL, 0);
	buf_addf(&b, "%s", "");
	assert_false(b.failed);
	assert_string_equal(b.data, "");
	buf_adds(&b, "x");
	assert_true(b.failed);
	buf_fini(&b);
}

static void
a_buffer_takes_its_maximum_and_no_more(void **state)
{
	static const size_t rows[] = { 1, 7, 255, 256, 257, 511, 512, 513, 5000 };
	struct buf b;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_init(&b, rows[i]);
		for (size_t n = 0; n < rows[i]; n++)
			buf_add(&b, "x", 1);
		assert_false(b.failed);
		assert_int_equal(b.len, rows[i]);
		assert_int_equal(strlen(b.data), rows[i]);
		buf_add(&b, "y", 1);
		assert_true(b.failed);
		assert_int_equal(b.len, rows[i]);
		buf_fini(&b);
	}
}

static void
what_does_not_fit_is_left_out_whole(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_adds(&b, "abc");
	buf_adds(&b, "def");
	assert_true(b.failed);
	assert_string_equal(b.data, "abc");
	buf_fini(&b);
	buf_init(&b, 5);
	buf_addf(&b, "%d", 123456);
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
	buf_init(&b, 5);
	buf_adds(&b, "abc");
	buf_add(&b, "def", SIZE_MAX - 1);
	assert_true(b.failed);
	assert_string_equal(b.data, "abc");
	buf_fini(&b);
}

static void
failure_sticks_until_the_buffer_is_cleared(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 3);
	buf_adds(&b, "abcd");
	buf_adds(&b, "a");
	buf_addf(&b, "b");
	assert_true(b.failed);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
	buf_adds(&b, "abc");
	assert_false(b.failed);
	assert_string_equal(b.data, "abc");
	buf_fini(&b);
}

/* What was written to standard error since capture_start(), to be freed. */
static int kept_stderr;

static void
capture_start(void)
{
	int fd = open("stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	kept_stderr = dup(STDERR_FILENO);
	assert_true(fd >= 0 && kept_stderr >= 0);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static char *
capture_end(size_t *len)
{
	char *text;

	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	text = read_file("stderr", len);
	text[*len] = '\0';
	return text;
}

/* The one line in TEXT, read as JSON. */
static struct json *
line_json(const char *text, size_t len)
{
	char why[JSON_WHY_SIZE] = "";
	struct json *root = NULL;

	assert_true(len > 0 && len <= 1024);
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	assert_row(text, json_parse(text, len, &root, why) == ERR_OK);
	assert_true(json_is_object(root));
	return root;
}

static void
a_line_is_one_json_object(void **state)
{
	struct json *root;
	int64_t n = 0;
	size_t len;
	char *text;

	(void)state;
	log_open("unit", LOG_DEBUG);
	capture_start();
	LOG(LOG_WARN, "thing_done", F_INT("user", 7), F_STR("code", "busy"),
	    F_INT("least", INT64_MIN));
	text = capture_end(&len);
	root = line_json(text, len);
	assert_string_equal(json_string(json_member(root, "level")), "warn");
	assert_string_equal(json_string(json_member(root, "program")), "unit");
	assert_string_equal(json_string(json_member(root, "event")), "thing_done");
	assert_true(json_integer(json_member(root, "pid"), 1, INT32_MAX, &n) && n == getpid());
	assert_true(json_integer(json_member(root, "user"), 0, 9, &n) && n == 7);
	assert_string_equal(json_string(json_member(root, "code")), "busy");
	assert_int_equal(strlen(json_string(json_member(root, "ts"))), 24);
	assert_non_null(strstr(text, "\"least\":-9223372036854775808}\n"));
	json_free(root);
	free(text);
}

static void
an_event_needs_no_fields(void **state)
{
	struct json *root;
	size_t len;
	char *text;

	(void)state;
	log_open("unit", LOG_DEBUG);
	capture_start();
	LOG0(LOG_ERROR, "alone");
	text = capture_end(&len);
	root = line_json(text, len);
	assert_int_equal(json_members(root), 5);
	json_free(root);
	free(text);
}

/* Nobody may begin a new line, end a string or steer a terminal from within a value. */
static void
text_cannot_leave_its_string(void **state)
{
	static const struct {
		const char *text, *written;
	} rows[] = {
		{ "a\r\nb", "\"a\\u000d\\u000ab\"" },
		{ "\x1b[2J", "\"\\u001b[2J\"" },
		{ "\",\"level\":\"error", "\"\\u0022,\\u0022level\\u0022:\\u0022error\"" },
		{ "\\", "\"\\u005c\"" },
		{ "\x01\x7f", "\"\\u0001\\u007f\"" },
		{ "\xc2\x9b\xff", "\"\\u00c2\\u009b\\u00ff\"" },
		{ "%s%n", "\"%s%n\"" },
		{ "", "\"\"" },
	};

	(void)state;
	log_open("unit", LOG_DEBUG);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t len;
		char *text;

		capture_start();
		LOG(LOG_INFO, "event", F_STR("agent", rows[i].text));
		text = capture_end(&len);
		json_free(line_json(text, len));
		assert_row(rows[i].written, strstr(text, rows[i].written) != NULL);
		free(text);
	}
}

static void
text_is_cut_at_200_bytes(void **state)
{
	char value[202];
	struct json *root;
	size_t len;
	char *text;

	(void)state;
	log_open("unit", LOG_DEBUG);
	memset(value, 'v', sizeof(value));
	value[201] = '\0';
	capture_start();
	LOG(LOG_INFO, "event", F_STR("a", value), F_STR("b", value + 1), F_INT("c", 1));
	text = capture_end(&len);
	root = line_json(text, len);
	assert_int_equal(strlen(json_string(json_member(root, "a"))), 200);
	assert_int_equal(strlen(json_string(json_member(root, "b"))), 200);
	assert_non_null(json_member(root, "c"));
	json_free(root);
	free(text);
}

/* As many fields as there is room for, whatever their sizes, and always a whole object. */
static void
a_line_has_at_most_1024_bytes(void **state)
{
	char value[201] = "";
	size_t longest = 0;

	(void)state;
	log_open("unit", LOG_DEBUG);
	for (size_t n = 0; n < sizeof(value) - 1; n++) {
		struct json *root;
		size_t len;
		char *text;

		value[n] = '\n';
		capture_start();
		LOG(LOG_INFO, "event", F_STR("a", value), F_STR("b", value), F_STR("c", "plain"),
		    F_STR("d", value), F_STR("e", value));
		text = capture_end(&len);
		root = line_json(text, len);
		assert_true(json_members(root) <= 10);
		if (len > longest)
			longest = len;
		json_free(root);
		free(text);
	}
	assert_in_range(longest, 1000, 1024);
}

static void
a_field_that_does_not_fit_is_left_out_with_what_follows(void **state)
{
	char value[201] = "";
	struct json *root;
	size_t len;
	char *text;

	(void)state;
	log_open("unit", LOG_DEBUG);
	memset(value, '\n', sizeof(value) - 1);
	capture_start();
	LOG(LOG_INFO, "event", F_INT("first", 1), F_STR("big", value), F_INT("last", 1));
	text = capture_end(&len);
	root = line_json(text, len);
	assert_non_null(json_member(root, "first"));
	assert_null(json_member(root, "big"));
	assert_null(json_member(root, "last"));
	json_free(root);
	free(text);
}

static void
lines_below_the_level_are_not_written(void **state)
{
	(void)state;
	for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
		for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
			size_t len;

			log_open("unit", (enum log_level)least);
			capture_start();
			LOG0((enum log_level)level, "event");
			free(capture_end(&len));
			assert_int_equal(len > 0, level >= least);
		}
	}
}

/* Standard error is gone: nothing happens, and nothing fails. */
static void
a_line_that_cannot_be_written_is_ignored(void **state)
{
	size_t len;

	(void)state;
	log_open("unit", LOG_DEBUG);
	capture_start();
	close(STDERR_FILENO);
	LOG0(LOG_ERROR, "event");
	free(capture_end(&len));
	assert_int_equal(len, 0);
}

#define LOGGED(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_is_text_at_any_time),
		cmocka_unit_test(nothing_can_be_appended_to_nothing),
		cmocka_unit_test(a_buffer_takes_its_maximum_and_no_more),
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(failure_sticks_until_the_buffer_is_cleared),
		LOGGED(a_line_is_one_json_object),
		LOGGED(an_event_needs_no_fields),
		LOGGED(text_cannot_leave_its_string),
		LOGGED(text_is_cut_at_200_bytes),
		LOGGED(a_line_has_at_most_1024_bytes),
		LOGGED(a_field_that_does_not_fit_is_left_out_with_what_follows),
		LOGGED(lines_below_the_level_are_not_written),
		LOGGED(a_line_that_cannot_be_written_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
