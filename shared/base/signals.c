#include "base/signals.h"

#include <signal.h>

static void
change_mask(int how)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	(void)sigprocmask(how, &stop, NULL); /* cannot fail */
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
