#include <sys/socket.h>

#include "base/fd.h"
#include "doorbell/doorbell.h"

enum err
doorbell_listen(const char *path, int *fd)
{
	return unix_bind(path, SOCK_DGRAM, 0, fd);
}

void
doorbell_drain(int fd)
{
	char byte;

	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
		continue;
}
