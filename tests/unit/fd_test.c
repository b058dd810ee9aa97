/* Files, the lock between processes, and Unix sockets. */
#include "base/fd.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "scratch.h"
#include "unit.h"

static void
a_file_is_read_to_its_bound(void **state)
{
	char out[8];
	size_t len = 0;

	(void)state;
	write_file("f", "1234567", 7);
	assert_int_equal(file_read("f", out, sizeof(out), &len), ERR_OK);
	assert_int_equal(len, 7);
	assert_memory_equal(out, "1234567", 7);
	write_file("f", "12345678", 8);
	assert_int_equal(file_read("f", out, sizeof(out), &len), ERR_OK);
	assert_int_equal(len, 8);
	write_file("f", "123456789", 9);
	assert_int_equal(file_read("f", out, sizeof(out), &len), ERR_TOO_BIG);
	write_file("f", "", 0);
	assert_int_equal(file_read("f", out, sizeof(out), &len), ERR_OK);
	assert_int_equal(len, 0);
}

static void
a_file_that_cannot_be_read_is_told_apart(void **state)
{
	char out[8];
	size_t len;

	(void)state;
	assert_int_equal(file_read("missing", out, sizeof(out), &len), ERR_NOT_FOUND);
	assert_int_equal(file_read(".", out, sizeof(out), &len), ERR_SYSTEM);
	write_file("f", "", 0);
	assert_int_equal(file_read("f/below", out, sizeof(out), &len), ERR_SYSTEM);
}

static int
try_lock(void *path)
{
	int fd;

	return (int)lock_try(path, &fd);
}

static void
a_lock_has_one_holder(void **state)
{
	char path[] = "lock";
	int fd;

	(void)state;
	assert_int_equal(lock_try(path, &fd), ERR_OK);
	assert_int_equal(file_mode(path), 0600);
	assert_int_equal(child_status(child_start(try_lock, path)), ERR_BUSY);
	close(fd);
	assert_int_equal(child_status(child_start(try_lock, path)), ERR_OK);
	assert_int_equal(lock_try("missing/lock", &fd), ERR_SYSTEM);
}

/* Takes the lock, says so in the pipe, and waits to be killed. */
static int
hold_lock(void *arg)
{
	const int *out = arg;
	int fd;

	if (lock_try("lock", &fd) != ERR_OK || write(*out, "", 1) != 1)
		return 1;
	pause();
	return 0;
}

static void
a_killed_holder_leaves_no_lock(void **state)
{
	int ready[2];
	char byte;
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = child_start(hold_lock, &ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(lock_try("lock", &fd), ERR_BUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(child_status(pid), 256 + SIGKILL);
	assert_int_equal(lock_try("lock", &fd), ERR_OK);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void
a_listener_is_private_and_a_client_never_waits(void **state)
{
	int listener;
	int client;

	(void)state;
	assert_int_equal(unix_bind("s", SOCK_STREAM, 4, &listener), ERR_OK);
	assert_int_equal(file_mode("s"), 0600);
	assert_false(fcntl(listener, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(unix_connect("s", SOCK_STREAM, &client), ERR_OK);
	assert_true(fcntl(client, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	close(client);
	close(listener);
}

static void
a_stale_socket_is_replaced(void **state)
{
	int listener;
	int client;

	(void)state;
	assert_int_equal(unix_bind("s", SOCK_STREAM, 4, &listener), ERR_OK);
	close(listener);
	assert_int_equal(unix_connect("s", SOCK_STREAM, &client), ERR_NOT_FOUND);
	assert_int_equal(unix_bind("s", SOCK_STREAM, 4, &listener), ERR_OK);
	assert_int_equal(unix_connect("s", SOCK_STREAM, &client), ERR_OK);
	close(client);
	close(listener);
}

static void
binding_leaves_the_umask_as_it_was(void **state)
{
	mode_t before = umask(022);
	int fd;

	(void)state;
	assert_int_equal(unix_bind("s", SOCK_DGRAM, 0, &fd), ERR_OK);
	assert_int_equal(umask(before), 022);
	close(fd);
}

static void
a_path_that_does_not_fit_is_refused(void **state)
{
	char path[128];
	int fd;

	(void)state;
	memset(path, 's', sizeof(path));
	path[108] = '\0'; /* sun_path holds 108 bytes with the NUL */
	assert_int_equal(unix_bind(path, SOCK_DGRAM, 0, &fd), ERR_TOO_BIG);
	assert_int_equal(unix_connect(path, SOCK_DGRAM, &fd), ERR_TOO_BIG);
	path[107] = '\0';
	assert_int_equal(unix_connect(path, SOCK_DGRAM, &fd), ERR_NOT_FOUND);
	assert_int_equal(unix_bind(path, SOCK_DGRAM, 0, &fd), ERR_OK);
	close(fd);
	assert_int_equal(unix_bind("missing/s", SOCK_DGRAM, 0, &fd), ERR_SYSTEM);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_file_is_read_to_its_bound),
		TEST(a_file_that_cannot_be_read_is_told_apart),
		TEST(a_lock_has_one_holder),
		TEST(a_killed_holder_leaves_no_lock),
		TEST(a_listener_is_private_and_a_client_never_waits),
		TEST(a_stale_socket_is_replaced),
		TEST(binding_leaves_the_umask_as_it_was),
		TEST(a_path_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
