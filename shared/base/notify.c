#include "base/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "/path", or "@name" in the abstract namespace. 0: it is no address. */
static socklen_t
manager_address(const char *name, struct sockaddr_un *a)
{
	size_t len = name == NULL ? 0 : strlen(name);

	if (len < 2 || len >= sizeof(a->sun_path) || (name[0] != '/' && name[0] != '@'))
		return 0;
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, name, len);
	if (name[0] == '@')
		a->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void
notify_state(const char *state)
{
	struct sockaddr_un a;
	socklen_t len = manager_address(getenv("NOTIFY_SOCKET"), &a);
	int s;

	if (len == 0 || (s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return;
	(void)!sendto(s, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&a, len);
	close(s);
}

void
notify_alive(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	char own[24];

	snprintf(own, sizeof(own), "%ld", (long)getpid());
	if (getenv("WATCHDOG_USEC") != NULL && (pid == NULL || strcmp(pid, own) == 0))
		notify_state("WATCHDOG=1");
}
