/* Counters in shared memory, and the text that Prometheus reads. */
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scratch.h"
#include "unit.h"

enum { ADDS = 500000 };

static void
a_counter_adds_and_a_gauge_is_set(void **state)
{
	int64_t logins = metric_get(METRIC_LOGINS);
	int64_t others = metric_get(METRIC_LOGINS_REFUSED);

	(void)state;
	metric_add(METRIC_LOGINS, 1);
	metric_add(METRIC_LOGINS, 41);
	assert_int_equal(metric_get(METRIC_LOGINS), logins + 42);
	metric_set(METRIC_CONNECTIONS, 7);
	metric_set(METRIC_CONNECTIONS, 3);
	metric_add(METRIC_CONNECTIONS, -1);
	assert_int_equal(metric_get(METRIC_CONNECTIONS), 2);
	assert_int_equal(metric_get(METRIC_LOGINS_REFUSED), others);
}

/* Where the page cannot be had, the process counts for itself as before. */
static void
counting_goes_on_without_a_page(void **state)
{
	(void)state;
	metric_set(METRIC_CALLS_LIVE, 5);
	assert_int_equal(metrics_open("missing/page"), ERR_SYSTEM);
	assert_int_equal(metrics_open("."), ERR_SYSTEM);
	metric_add(METRIC_CALLS_LIVE, 1);
	assert_int_equal(metric_get(METRIC_CALLS_LIVE), 6);
}

static void
a_new_page_is_private_and_zero(void **state)
{
	(void)state;
	assert_int_equal(metrics_open("page"), ERR_OK);
	assert_int_equal(file_mode("page"), 0600);
	for (unsigned m = 0; m < METRIC__COUNT; m++)
		assert_int_equal(metric_get((enum metric)m), 0);
}

static int
add_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < ADDS; i++)
		metric_add(METRIC_MESSAGES_IN, 1);
	return 0;
}

static void
processes_lose_no_count(void **state)
{
	pid_t pids[3];

	(void)state;
	assert_int_equal(metrics_open("page"), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(pids); i++)
		pids[i] = child_start(add_many, NULL);
	for (size_t i = 0; i < COUNT_OF(pids); i++)
		assert_int_equal(child_status(pids[i]), 0);
	assert_int_equal(metric_get(METRIC_MESSAGES_IN), COUNT_OF(pids) * ADDS);
}

/* Another program, or the same one after a restart. */
static int
open_and_add(void *arg)
{
	const int64_t *expected = arg;

	if (metrics_open("page") != ERR_OK || metric_get(METRIC_BATCHES) != *expected)
		return 1;
	metric_add(METRIC_BATCHES, 1);
	return 0;
}

static void
counters_go_on_after_a_restart(void **state)
{
	(void)state;
	for (int64_t n = 0; n < 3; n++)
		assert_int_equal(child_status(child_start(open_and_add, &n)), 0);
	assert_int_equal(metrics_open("page"), ERR_OK);
	assert_int_equal(metric_get(METRIC_BATCHES), 3);
}

/* The page of an older program, which counted fewer things. */
static void
a_shorter_page_grows(void **state)
{
	int64_t first = 9;

	(void)state;
	write_file("page", &first, sizeof(first));
	assert_int_equal(metrics_open("page"), ERR_OK);
	assert_int_equal(metric_get((enum metric)0), 9);
	assert_int_equal(metric_get((enum metric)(METRIC__COUNT - 1)), 0);
}

static void
the_text_is_what_prometheus_reads(void **state)
{
	static const char start[] =
	    "# HELP telemed_http_responses_total REST answers by class of status\n"
	    "# TYPE telemed_http_responses_total counter\n"
	    "telemed_http_responses_total{class=\"2xx\"} 5\n"
	    "telemed_http_responses_total{class=\"3xx\"} 0\n"
	    "telemed_http_responses_total{class=\"4xx\"} 0\n"
	    "telemed_http_responses_total{class=\"5xx\"} 6\n"
	    "# HELP telemed_logins_total ";
	struct buf out;

	(void)state;
	assert_int_equal(metrics_open("page"), ERR_OK);
	metric_add(METRIC_HTTP_2XX, 5);
	metric_add(METRIC_HTTP_5XX, 6);
	metric_set(METRIC_CALLS_LIVE, 2);
	metric_add(METRIC_BATCHES_FAILED, INT64_MAX);
	buf_init(&out, 1 << 16);
	metrics_write(&out);
	assert_false(out.failed);
	assert_memory_equal(out.data, start, sizeof(start) - 1);
	assert_non_null(strstr(out.data, "# TYPE telemed_calls gauge\ntelemed_calls 2\n"));
	assert_non_null(
	    strstr(out.data, "\ntelemed_store_batches_failed_total 9223372036854775807\n"));
	assert_int_equal(out.data[out.len - 1], '\n');
	buf_fini(&out);
}

/* Is LINE a sample, "name value" or "name{labels} value"? Its NAME, where it is. */
static bool
is_sample(const char *line, char name[64])
{
	size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
	const char *value = strrchr(line, ' ');

	if (len == 0 || len > 63 || value == NULL || (line[len] != ' ' && line[len] != '{'))
		return false;
	memcpy(name, line, len);
	name[len] = '\0';
	value++;
	return value[0] != '\0' && value[strspn(value, "-0123456789")] == '\0';
}

/* Each family: its HELP, its TYPE, then its samples, all in one place; a counter's name says total.
 */
static void
every_family_is_introduced_once(void **state)
{
	char family[64] = "";
	char type[16] = "";
	char name[64] = "";
	unsigned samples = 0;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	metrics_write(&out);
	for (char *line = strtok(out.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (sscanf(line, "# HELP %63s", name) == 1) {
			assert_row(
			    line, strstr(line + strlen("# HELP ") + strlen(name), " ") != NULL);
			assert_string_not_equal(name, family);
			memcpy(family, name, sizeof(family));
			type[0] = '\0';
		} else if (sscanf(line, "# TYPE %63s %15s", name, type) == 2) {
			assert_string_equal(name, family);
			assert_row(line, (strcmp(type, "counter") == 0) ==
					     (strlen(name) > 6 &&
						 strcmp(name + strlen(name) - 6, "_total") == 0));
		} else {
			assert_row(line, is_sample(line, name));
			assert_string_equal(name, family);
			assert_row(line, type[0] != '\0');
			samples++;
		}
	}
	assert_int_equal(samples, METRIC__COUNT);
	buf_fini(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_counter_adds_and_a_gauge_is_set),
		TEST(counting_goes_on_without_a_page),
		TEST(a_new_page_is_private_and_zero),
		TEST(processes_lose_no_count),
		TEST(counters_go_on_after_a_restart),
		TEST(a_shorter_page_grows),
		TEST(the_text_is_what_prometheus_reads),
		TEST(every_family_is_introduced_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
