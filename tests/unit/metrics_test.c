/* Counters in shared memory, and the text that Prometheus reads. */
#include "metrics/metrics.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics/metrics_table.h"

#include "scratch.h"
#include "unit.h"

enum { ADDS = 500000 };

static void
a_counter_adds_and_a_gauge_is_set(void **state)
{
	int64_t logins = metric_get(METRIC_LOGINS, 0);
	int64_t others = metric_get(METRIC_LOGINS_REFUSED, 0);

	(void)state;
	metric_add(METRIC_LOGINS, 0, 1);
	metric_add(METRIC_LOGINS, 0, 41);
	assert_int_equal(metric_get(METRIC_LOGINS, 0), logins + 42);
	metric_add_own(METRIC_LOGINS, 0, 8);
	assert_int_equal(metric_get(METRIC_LOGINS, 0), logins + 50);
	metric_set(METRIC_CALLS_LIVE, 0, 7);
	metric_set(METRIC_CALLS_LIVE, 0, 3);
	metric_add(METRIC_CALLS_LIVE, 0, -1);
	assert_int_equal(metric_get(METRIC_CALLS_LIVE, 0), 2);
	assert_int_equal(metric_get(METRIC_LOGINS_REFUSED, 0), others);
}

static void
series_have_numbers_of_their_own(void **state)
{
	unsigned last = metric_series(METRIC_HTTP_REQUESTS, "other", "other");

	(void)state;
	assert_int_equal(metric_series(METRIC_HTTP_REQUESTS, "/auth/register", "200"), 0);
	assert_int_equal(metric_series(METRIC_HTTP_REQUESTS, "/auth/register", "201"), 1);
	assert_int_equal(metric_series_of(METRIC_HTTP_REQUESTS, "/auth/register", 201), 1);
	assert_int_equal(metric_series_of(METRIC_HANDSHAKES, NULL, 400), 1);
	assert_true(metric_series_of(METRIC_HTTP_REQUESTS, "/doctors", 503) < last);
	assert_int_equal(metric_series(METRIC_HTTP_REQUESTS, "/nothing", "299"), last);
	assert_int_equal(last + 1, family_series(&metric_families[METRIC_HTTP_REQUESTS]));
	metric_set(METRIC_CONNECTIONS, METRIC_OF_DOCTORS, 5);
	metric_set(METRIC_CONNECTIONS, METRIC_OF_PATIENTS, 6);
	assert_int_equal(metric_get(METRIC_CONNECTIONS, METRIC_OF_DOCTORS), 5);
}

/* Where the file cannot be had, the process counts for itself as before. */
static void
counting_goes_on_without_a_file(void **state)
{
	(void)state;
	metric_set(METRIC_CALLS_LIVE, 0, 5);
	assert_int_equal(metrics_open("missing/page"), ERR_SYSTEM);
	assert_int_equal(metrics_open("."), ERR_SYSTEM);
	metric_add(METRIC_CALLS_LIVE, 0, 1);
	assert_int_equal(metric_get(METRIC_CALLS_LIVE, 0), 6);
}

static bool
all_is_zero(void)
{
	struct buf out;
	bool zero = true;

	buf_init(&out, 1 << 20);
	metrics_write(&out);
	for (char *line = strtok(out.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (line[0] != '#' && strncmp(line, "telemed_build_info", 18) != 0)
			zero = zero && strcmp(strrchr(line, ' '), " 0") == 0;
	}
	buf_fini(&out);
	return zero;
}

/* All of it: a hole in it could be one for which the disk has no room when it is written to. */
static void
a_new_file_is_private_and_zero_and_has_its_room(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(metrics_open("page"), ERR_OK);
	assert_int_equal(file_mode("page"), 0600);
	assert_true(all_is_zero());
	assert_int_equal(stat("page", &st), 0);
	assert_true(st.st_blocks * 512 >= st.st_size);
}

static int
add_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < ADDS; i++)
		metric_add(METRIC_STORE_BUSY, 0, 1);
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
	assert_int_equal(metric_get(METRIC_STORE_BUSY, 0), COUNT_OF(pids) * ADDS);
}

/* Another program, or the same one after a restart. */
static int
open_and_add(void *arg)
{
	const int64_t *expected = arg;

	if (metrics_open("page") != ERR_OK || metric_get(METRIC_BATCHES, 0) != *expected)
		return 1;
	metric_add(METRIC_BATCHES, 0, 1);
	return 0;
}

static void
counters_go_on_after_a_restart(void **state)
{
	(void)state;
	for (int64_t n = 0; n < 3; n++)
		assert_int_equal(child_status(child_start(open_and_add, &n)), 0);
	assert_int_equal(metrics_open("page"), ERR_OK);
	assert_int_equal(metrics_open("page"), ERR_OK); /* while somebody has it */
	assert_int_equal(metric_get(METRIC_BATCHES, 0), 3);
}

/* The file of another version, which counted other things: nothing of it is taken for ours, and who
 * has it open still does. */
static void
a_file_of_other_metrics_is_put_aside(void **state)
{
	int64_t first = 9;
	int fd;

	(void)state;
	for (int i = 0; i < 2; i++) {
		if (i == 0) {
			write_file("page", &first, sizeof(first));
		} else { /* as long as ours */
			assert_int_equal((fd = open("page", O_WRONLY)) >= 0, true);
			assert_int_equal(pwrite(fd, &first, sizeof(first), 0), sizeof(first));
			close(fd);
		}
		assert_int_equal((fd = open("page", O_RDONLY)) >= 0, true);
		assert_int_equal(metrics_open("page"), ERR_OK);
		assert_true(all_is_zero());
		metric_add(METRIC_LOGINS, 0, 1);
		first = 0;
		assert_int_equal(pread(fd, &first, sizeof(first), 0), sizeof(first));
		assert_int_equal(first, 9);
		close(fd);
	}
}

static void
assert_says(const struct buf *out, const char *text)
{
	if (strstr(out->data, text) == NULL)
		fail_msg("this is not in the metrics:\n%s", text);
}

static void
the_text_is_what_prometheus_reads(void **state)
{
	struct buf out;

	(void)state;
	assert_int_equal(metrics_open("page"), ERR_OK);
	metric_add(
	    METRIC_HTTP_REQUESTS, metric_series_of(METRIC_HTTP_REQUESTS, "/doctors", 200), 5);
	metric_add(METRIC_STORE_FAILURES, 0, INT64_MAX);
	metric_set(METRIC_CONNECTIONS, METRIC_OF_DOCTORS, 2);
	buf_init(&out, 1 << 20);
	metrics_write(&out);
	assert_false(out.failed);
	assert_says(&out, "# HELP telemed_build_info ");
	assert_says(&out, "\ntelemed_build_info{version=\"" TELEMED_VERSION "\"} 1\n");
	assert_says(&out, "# TYPE telemed_http_requests_total counter\n");
	assert_says(&out, "\ntelemed_http_requests_total{route=\"/doctors\",code=\"200\"} 5\n");
	assert_says(&out, "\ntelemed_http_requests_total{route=\"/doctors\",code=\"201\"} 0\n");
	assert_says(&out, "# TYPE telemed_connections gauge\n"
			  "telemed_connections{role=\"patient\"} 0\n"
			  "telemed_connections{role=\"doctor\"} 2\n");
	assert_says(&out, "\ntelemed_store_failures_total 9223372036854775807\n");
	assert_int_equal(out.data[out.len - 1], '\n');
	buf_fini(&out);
}

static void
a_histogram_counts_what_is_no_more_than_each_bound(void **state)
{
	struct buf out;

	(void)state;
	assert_int_equal(metrics_open("page"), ERR_OK);
	metric_observe(METRIC_RELAY_TIME, 0, 0);
	metric_observe(METRIC_RELAY_TIME, 0, 50);
	metric_observe_own(METRIC_RELAY_TIME, 0, 51);
	metric_observe_own(METRIC_RELAY_TIME, 0, 1000000);
	metric_observe(METRIC_RELAY_TIME, 0, 2000001);
	metric_observe(METRIC_BATCH_JOBS, 0, 7);
	metric_observe(METRIC_HTTP_TIME, metric_series(METRIC_HTTP_TIME, "/turn", NULL), 1500);
	buf_init(&out, 1 << 20);
	metrics_write(&out);
	assert_says(&out, "# TYPE telemed_relay_latency_seconds histogram\n"
			  "telemed_relay_latency_seconds_bucket{le=\"0.00005\"} 2\n"
			  "telemed_relay_latency_seconds_bucket{le=\"0.0001\"} 3\n");
	assert_says(&out, "\ntelemed_relay_latency_seconds_bucket{le=\"0.1\"} 3\n"
			  "telemed_relay_latency_seconds_bucket{le=\"1\"} 4\n"
			  "telemed_relay_latency_seconds_bucket{le=\"+Inf\"} 5\n"
			  "telemed_relay_latency_seconds_sum 3.000102\n"
			  "telemed_relay_latency_seconds_count 5\n");
	assert_says(&out, "\ntelemed_store_batch_jobs_bucket{le=\"5\"} 0\n"
			  "telemed_store_batch_jobs_bucket{le=\"10\"} 1\n");
	assert_says(&out, "\ntelemed_store_batch_jobs_sum 7\n");
	assert_says(&out,
	    "\ntelemed_http_request_duration_seconds_bucket{route=\"/turn\",le=\"0.001\"} 0\n"
	    "telemed_http_request_duration_seconds_bucket{route=\"/turn\",le=\"0.005\"} 1\n");
	assert_says(&out, "\ntelemed_http_request_duration_seconds_sum{route=\"/turn\"} 0.0015\n");
	buf_fini(&out);
}

/* Of each family the last number is there, and no other family's: what would not fit in its row
 * would be counted as the next one's. */
static void
every_family_fits_into_its_row(void **state)
{
	(void)state;
	for (unsigned m = 0; m < METRIC__COUNT; m++) {
		const struct family *f = &metric_families[m];

		assert_true(family_series(f) * family_width(f) <= METRIC_ROW);
		assert_true(f->name != NULL || m == METRIC_RELAY_BEAT);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_counter_adds_and_a_gauge_is_set),
		TEST(series_have_numbers_of_their_own),
		TEST(counting_goes_on_without_a_file),
		TEST(a_new_file_is_private_and_zero_and_has_its_room),
		TEST(processes_lose_no_count),
		TEST(counters_go_on_after_a_restart),
		TEST(a_file_of_other_metrics_is_put_aside),
		TEST(the_text_is_what_prometheus_reads),
		TEST(a_histogram_counts_what_is_no_more_than_each_bound),
		TEST(every_family_fits_into_its_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
