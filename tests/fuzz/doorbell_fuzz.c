/* The doorbell's socket: whatever datagrams somebody sends there, each line of the input one of
 * them, draining takes them all, keeps none of the descriptors that came along, and it rings again.
 */
#include "doorbell/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "fuzz.h"

static bool
rings(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* One datagram, with a descriptor where it begins with an 'f'. A full queue takes none. */
static void
send_one(int to, const char *text, size_t len)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = "" };
	char *exact = fuzz_bytes(text, len);
	struct iovec part = { exact, len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	if (len > 0 && text[0] == 'f') {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(&control.head), &to, sizeof(to));
	}
	MUST(sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN);
	free(exact);
}

/* The lowest descriptor that is free. */
static int
next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int bell = -1;
	struct fuzz_input in = { (const char *)data, size };
	const char *line;
	size_t len;
	bool sent = false;
	int before;
	int to;

	if (bell < 0) {
		fuzz_scratch();
		MUST(doorbell_listen("bell", &bell) == ERR_OK);
	}
	before = next_fd();
	MUST(unix_connect("bell", SOCK_DGRAM, &to) == ERR_OK);
	for (; fuzz_line(&in, &line, &len); sent = true)
		send_one(to, line, len);
	close(to);
	MUST(rings(bell) == sent);
	doorbell_drain(bell);
	MUST(!rings(bell));
	MUST(next_fd() == before);
	doorbell_ring("bell");
	MUST(rings(bell));
	doorbell_drain(bell);
	return 0;
}
