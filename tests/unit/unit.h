/* cmocka with what it wants to be included before it, and what several tests share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

/* The tester's own settings do not matter. */
static inline void
unset_settings(void)
{
	char name[64];

	for (char **e = environ; *e != NULL;) {
		if (strncmp(*e, "TELEMED_", 8) != 0) {
			e++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*e, "="), *e);
		unsetenv(name);
	}
}

/* Fails and names the row of the table that is wrong. */
#define assert_row(row, truth) check_row((row), (truth), #truth, __FILE__, __LINE__)

static inline void
check_row(const char *row, int truth, const char *what, const char *file, int line)
{
	char shown[256] = "";
	char text[512];
	size_t n = 0;

	if (truth)
		return;
	/* What a terminal would act on, or a reader of TAP, stands as its number. */
	for (; *row != '\0' && n < sizeof(shown) - 5; row++) {
		int c = (unsigned char)*row;

		n += (size_t)snprintf(
		    shown + n, sizeof(shown) - n, c < 0x20 || c >= 0x7f ? "\\x%02x" : "%c", c);
	}
	snprintf(text, sizeof(text), "row '%s': %s", shown, what);
	_assert_true(0, text, file, line);
}

/* Keeps the log lines of failures that a test makes on purpose out of its output. */
static inline void
log_nothing(void)
{
	log_open("unit", (enum log_level)(LOG_ERROR + 1));
}

/* A copy of TEXT that ends where it does, so that a sanitizer sees whoever reads past. To be freed.
 */
static inline char *
exact_copy(const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	return copy;
}

/* Runs FN in a child process, where nothing may be asserted: what FN returns is its exit status. It
 * does not outlive the test program. */
typedef int child_fn(void *arg);

static inline pid_t
child_start(child_fn *fn, void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fn(arg));
	}
	assert_true(pid > 0);
	return pid;
}

/* The exit status of PID once it has ended; 256 and the signal's number where one ended it. */
static inline int
child_status(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}
