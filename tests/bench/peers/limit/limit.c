/* The least that a relay can do on this kernel, as a yardstick: one thread, one epoll, one recv for
 * what is there and one send for each message; no JSON, no checks, no users. The token is a number:
 * what the client with token I sends goes to the one with token I^1, or, with --broadcast, to all
 * others. It speaks to the load generator only. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sha1.h"

enum { CLIENTS_MAX = 20000, HEAD_ROOM = 14, CHUNK = 1 << 16, EVENTS = 256 };

struct client {
	unsigned token; /* CLIENTS_MAX: not known yet */
	unsigned char *part;
	size_t part_len; /* of a frame, or of the handshake */
};

static struct client *by_fd[CLIENTS_MAX * 2];
static int fd_of[CLIENTS_MAX + 1]; /* by token; 0: nobody */
static unsigned tokens;		   /* one more than the largest */
static unsigned char chunk[CHUNK];

static int
fail(const char *what)
{
	fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
listen_at(const char *where)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX };
	struct sockaddr_in port = { .sin_family = AF_INET };
	const struct sockaddr *at = (const struct sockaddr *)&port;
	socklen_t size = sizeof(port);
	int fd;

	if (strncmp(where, "unix:", 5) == 0) {
		snprintf(path.sun_path, sizeof(path.sun_path), "%s", where + 5);
		at = (const struct sockaddr *)&path;
		size = sizeof(path);
	} else {
		port.sin_port = htons((uint16_t)strtoul(where + strcspn(where, ":") + 1, NULL, 10));
		port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, at, size) != 0 || listen(fd, 4096) != 0)
		fail(where);
	return fd;
}

static void
drop(int fd, struct client *c)
{
	fd_of[c->token] = 0;
	by_fd[fd] = NULL;
	free(c->part);
	free(c);
	close(fd);
}

/* A whole message or none: a queue would be more than the least, and with so few messages under way
 * the kernel's never fills. */
static void
send_all(int fd, const unsigned char *frame, size_t len)
{
	if (send(fd, frame, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("a socket is full");
}

static void
forward(const struct client *from, const unsigned char *frame, size_t len, int broadcast)
{
	if (!broadcast) {
		unsigned to = from->token ^ 1;

		if (to < tokens && fd_of[to] != 0)
			send_all(fd_of[to], frame, len);
		return;
	}
	for (unsigned i = 0; i < tokens; i++) {
		if (i != from->token && fd_of[i] != 0)
			send_all(fd_of[i], frame, len);
	}
}

/* Unmasks in place, eight bytes at a time where there are as many. */
static void
unmask(unsigned char *p, size_t len, const unsigned char *mask)
{
	uint64_t wide;
	uint64_t eight;
	size_t i = 0;

	memcpy(&wide, mask, 4);
	memcpy((unsigned char *)&wide + 4, mask, 4);
	for (; i + 8 <= len; i += 8) {
		memcpy(&eight, p + i, 8);
		eight ^= wide;
		memcpy(p + i, &eight, 8);
	}
	for (; i < len; i++)
		p[i] ^= mask[i % 4];
}

/* How much of the LEN bytes was whole frames. Without its mask a frame's header is four bytes
 * shorter, so that the new one has its place right before the payload. */
static size_t
read_frames(const struct client *c, unsigned char *data, size_t len, int broadcast)
{
	size_t at = 0;

	while (len - at >= 6) {
		size_t payload = data[at + 1] & 0x7f;
		size_t head = 2;

		if (payload == 126) {
			payload = (size_t)data[at + 2] << 8 | data[at + 3];
			head = 4;
		}
		if (len - at < head + 4 + payload)
			break;
		unmask(data + at + head + 4, payload, data + at + head);
		memmove(data + at + 4, data + at, head);
		data[at + 5] &= 0x7f;
		forward(c, data + at + 4, head + payload, broadcast);
		at += head + 4 + payload;
	}
	return at;
}

static size_t
shake_hands(int fd, struct client *c, const unsigned char *data, size_t len)
{
	static const char key_name[] = "Sec-WebSocket-Key: ";
	static const char salt[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	const char *end = memmem(data, len, "\r\n\r\n", 4);
	const char *token = memmem(data, len, "token=", 6);
	const char *key = memmem(data, len, key_name, sizeof(key_name) - 1);
	char accept[SHA1_BASE64_SIZE];
	char text[256];
	int n;

	if (end == NULL || token == NULL || key == NULL)
		return 0;
	key += sizeof(key_name) - 1;
	n = snprintf(text, sizeof(text), "%.*s%s", (int)strcspn(key, "\r"), key, salt);
	sha1_base64(text, (size_t)n, accept);
	n = snprintf(text, sizeof(text),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n\r\n",
	    accept);
	send_all(fd, (const unsigned char *)text, (size_t)n);
	c->token = (unsigned)strtoul(token + 6, NULL, 10);
	if (c->token >= CLIENTS_MAX)
		fail("a token that is too large");
	fd_of[c->token] = fd;
	if (c->token >= tokens)
		tokens = c->token + 1;
	return (size_t)(end + 4 - (const char *)data);
}

static void
on_readable(int fd, struct client *c, int broadcast)
{
	size_t have = c->part_len;
	size_t used = 0;
	ssize_t n;

	if (have > 0)
		memcpy(chunk, c->part, have);
	n = recv(fd, chunk + have, sizeof(chunk) - have, 0);
	if (n <= 0) {
		drop(fd, c);
		return;
	}
	have += (size_t)n;
	if (c->token == CLIENTS_MAX)
		used = shake_hands(fd, c, chunk, have);
	if (c->token != CLIENTS_MAX)
		used += read_frames(c, chunk + used, have - used, broadcast);
	if (used == have && c->part == NULL)
		return;
	c->part_len = have - used;
	free(c->part);
	c->part = NULL;
	if (c->part_len > 0 && (c->part = malloc(c->part_len)) == NULL)
		fail("memory");
	if (c->part_len > 0)
		memcpy(c->part, chunk + used, c->part_len);
}

static void
on_connection(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
	int on = 1;

	if (fd < 0 || fd >= CLIENTS_MAX * 2 || (by_fd[fd] = calloc(1, sizeof(**by_fd))) == NULL)
		fail("accept");
	by_fd[fd]->token = CLIENTS_MAX;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

int
main(int argc, char **argv)
{
	int broadcast = argc == 3 && strcmp(argv[2], "--broadcast") == 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS];
	struct epoll_event e = { .events = EPOLLIN };
	int listener;

	if (argc < 2 || argc > 3 || (argc == 3 && !broadcast)) {
		fputs("usage: limit unix:PATH|tcp:PORT [--broadcast]\n", stderr);
		return 2;
	}
	listener = listen_at(argv[1]);
	e.data.fd = listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				on_connection(epoll, listener);
			else if (by_fd[events[i].data.fd] != NULL)
				on_readable(events[i].data.fd, by_fd[events[i].data.fd], broadcast);
		}
	}
}
