#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "doorbell/doorbell.h"

void
doorbell_ring(const char *path)
{
	int fd;

	/* A socket for each ring: a relay that was restarted has a new one under the same path. */
	if (unix_connect(path, SOCK_DGRAM, &fd) != ERR_OK)
		return;
	(void)!send(
	    fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* a full queue: it is ringing already */
	close(fd);
}
