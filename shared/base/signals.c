#include "base/signals.h"

#include <signal.h>

static void
change_mask(int how)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGHUP);
	(void)sigprocmask(how, &held, NULL); /* cannot fail */
}

void
signals_hold_stop(void)
{
	change_mask(SIG_BLOCK);
}

void
signals_release_stop(void)
{
	change_mask(SIG_UNBLOCK);
}
