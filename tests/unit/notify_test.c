/* The word to a service manager: where it goes, what asks for it, and that nobody there is no harm.
 */
#include "base/notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "scratch.h"
#include "unit.h"

static int manager = -1;

/* Listens at NAME: "/path", or "@name" in the abstract namespace, which is what NOTIFY_SOCKET says.
 */
static void
be_manager(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	memcpy(a.sun_path, name, len);
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (const struct sockaddr *)&a,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
}

/* What has come; "" where nothing has. */
static const char *
heard(void)
{
	static char word[64];
	ssize_t n = recv(manager, word, sizeof(word) - 1, 0);

	word[n < 0 ? 0 : n] = '\0';
	return word;
}

static int
set_up(void **state)
{
	char path[PATH_MAX + 16];

	if (scratch_enter(state) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/manager", scratch_dir);
	be_manager(path);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static int
tear_down(void **state)
{
	close(manager);
	unsetenv("NOTIFY_SOCKET");
	return scratch_leave(state);
}

static void
a_word_comes_as_it_is(void **state)
{
	(void)state;
	notify_state("READY=1");
	assert_string_equal(heard(), "READY=1");
	assert_string_equal(heard(), "");
}

static void
an_abstract_address_is_one_too(void **state)
{
	char name[64];

	(void)state;
	close(manager);
	snprintf(name, sizeof(name), "@telemed-notify-test-%ld", (long)getpid());
	be_manager(name);
	notify_state("STOPPING=1");
	assert_string_equal(heard(), "STOPPING=1");
}

static void
no_address_is_no_harm(void **state)
{
	char huge[300];

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	huge[0] = '/';
	unsetenv("NOTIFY_SOCKET");
	notify_state("READY=1");
	for (const char *const *a = (const char *const[]){ "", "/", "@", "manager", "vsock:2:1",
		 huge, "/nowhere/at/all", NULL };
	     *a != NULL; a++) {
		setenv("NOTIFY_SOCKET", *a, 1);
		notify_state("READY=1");
	}
	assert_string_equal(heard(), "");
}

static void
a_manager_that_does_not_listen_is_not_waited_for(void **state)
{
	(void)state;
	for (int i = 0; i < 10000; i++)
		notify_state("WATCHDOG=1");
	assert_string_equal(heard(), "WATCHDOG=1");
}

static void
life_is_told_to_who_asks_this_process(void **state)
{
	char pid[24];

	(void)state;
	notify_alive();
	assert_string_equal(heard(), "");
	setenv("WATCHDOG_USEC", "20000000", 1);
	notify_alive();
	assert_string_equal(heard(), "WATCHDOG=1");
	setenv("WATCHDOG_PID", "1", 1);
	notify_alive();
	assert_string_equal(heard(), "");
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	notify_alive();
	assert_string_equal(heard(), "WATCHDOG=1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_word_comes_as_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_abstract_address_is_one_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_address_is_no_harm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_manager_that_does_not_listen_is_not_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    life_is_told_to_who_asks_this_process, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
