/* The bell is heard, and never keeps whoever rings it. */
#include "doorbell/doorbell.h"

#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "scratch.h"
#include "unit.h"

static bool
rings(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

static int
listen_at(const char *path)
{
	int fd = -1;

	assert_int_equal(doorbell_listen(path, &fd), ERR_OK);
	assert_true(fd >= 0);
	return fd;
}

static void
a_ring_is_heard_until_it_is_drained(void **state)
{
	int fd = listen_at("bell");

	(void)state;
	assert_false(rings(fd));
	doorbell_ring("bell");
	assert_true(rings(fd));
	assert_true(rings(fd));
	doorbell_drain(fd);
	assert_false(rings(fd));
	doorbell_ring("bell");
	assert_true(rings(fd));
	close(fd);
}

static void
one_drain_takes_every_ring(void **state)
{
	int fd = listen_at("bell");

	(void)state;
	for (int i = 0; i < 5; i++)
		doorbell_ring("bell");
	doorbell_drain(fd);
	assert_false(rings(fd));
	close(fd);
}

static void
draining_a_quiet_bell_does_not_wait(void **state)
{
	int fd = listen_at("bell");

	(void)state;
	alarm(10);
	doorbell_drain(fd);
	alarm(0);
	close(fd);
}

static void
nobody_need_listen(void **state)
{
	char far[200];
	int fd = listen_at("gone");

	(void)state;
	close(fd);
	memset(far, 'b', sizeof(far));
	far[sizeof(far) - 1] = '\0';
	write_file("file", "", 0);
	doorbell_ring("never");
	doorbell_ring("gone");
	doorbell_ring("file");
	doorbell_ring("missing/bell");
	doorbell_ring(far);
	doorbell_ring("");
}

/* The kernel queues about ten: thousands more must neither wait nor leak a descriptor. */
static void
an_overfull_queue_never_waits(void **state)
{
	int fd = listen_at("bell");
	int64_t start = clock_monotonic_ms();
	int next;

	(void)state;
	alarm(10); /* ends the test where it waits after all */
	for (int i = 0; i < 5000; i++)
		doorbell_ring("bell");
	alarm(0);
	assert_true(clock_monotonic_ms() - start < 5000);
	assert_true(rings(fd));
	doorbell_drain(fd);
	assert_false(rings(fd));
	doorbell_ring("bell");
	assert_true(rings(fd));
	assert_true((next = dup(fd)) < 100);
	close(next);
	close(fd);
}

static void
a_new_listener_takes_the_old_ones_place(void **state)
{
	int old = listen_at("bell");
	int fd = listen_at("bell");

	(void)state;
	doorbell_ring("bell");
	assert_false(rings(old));
	assert_true(rings(fd));
	close(old);
	close(fd);
	/* One that was killed leaves its socket behind. */
	fd = listen_at("bell");
	doorbell_ring("bell");
	assert_true(rings(fd));
	close(fd);
}

static void
a_bell_is_private(void **state)
{
	int fd = listen_at("bell");

	(void)state;
	assert_int_equal(file_mode("bell"), 0600);
	close(fd);
}

static void
a_path_that_cannot_be_listened_at_is_refused(void **state)
{
	char far[200];
	int fd;

	(void)state;
	memset(far, 'b', sizeof(far));
	far[sizeof(far) - 1] = '\0';
	assert_int_equal(doorbell_listen(far, &fd), ERR_TOO_BIG);
	assert_int_equal(doorbell_listen("missing/bell", &fd), ERR_SYSTEM);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_ring_is_heard_until_it_is_drained),
		TEST(one_drain_takes_every_ring),
		TEST(draining_a_quiet_bell_does_not_wait),
		TEST(nobody_need_listen),
		TEST(an_overfull_queue_never_waits),
		TEST(a_new_listener_takes_the_old_ones_place),
		TEST(a_bell_is_private),
		TEST(a_path_that_cannot_be_listened_at_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
