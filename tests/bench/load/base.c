#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

void
die(const char *format, ...)
{
	va_list args;

	fputs("load: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void *
need(void *memory)
{
	if (memory == NULL)
		die("out of memory");
	return memory;
}

int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
accounts_read(struct options *o, unsigned least)
{
	FILE *f = o->users_file == NULL ? NULL : fopen(o->users_file, "r");
	char id[24];
	char role[16];
	char name[64];
	char *token;
	unsigned cap = 0;

	if (f == NULL)
		die("no file of users");
	while (fscanf(f, "%23s %15s %63s %ms", id, role, name, &token) == 4) {
		struct account *a;

		if (o->account_count == cap) {
			cap = cap == 0 ? 1024 : cap * 2;
			o->accounts = need(reallocarray(o->accounts, cap, sizeof(*a)));
		}
		a = &o->accounts[o->account_count++];
		memcpy(a->id, id, sizeof(id));
		memcpy(a->name, name, sizeof(name));
		a->doctor = strcmp(role, "DOCTOR") == 0;
		a->token = token;
	}
	fclose(f);
	if (o->account_count < least)
		die("%u users, %u are needed", o->account_count, least);
}

static int
connect_unix(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(to.sun_path))
		die("no socket for %s: %s", path, strerror(errno));
	memcpy(to.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (errno != EAGAIN)
		die("%s: %s", path, strerror(errno));
	close(fd);
	return -1;
}

static int
connect_tcp(unsigned port, bool *wait)
{
	const struct linger reset = { .l_onoff = 1 }; /* no ports in TIME-WAIT */
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		die("no socket: %s", strerror(errno));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (errno != EINPROGRESS)
		die("port %u: %s", port, strerror(errno));
	*wait = true;
	return fd;
}

int
net_connect(const char *to, bool *wait)
{
	*wait = false;
	if (strncmp(to, "unix:", 5) == 0)
		return connect_unix(to + 5);
	if (strncmp(to, "tcp:", 4) == 0)
		return connect_tcp((unsigned)strtoul(to + 4, NULL, 10), wait);
	die("--to is unix:PATH or tcp:PORT");
}

void
histogram_add(struct histogram *h, int64_t ns)
{
	uint64_t v = ns < 8 ? 8 : (uint64_t)ns;
	unsigned top = 63U - (unsigned)__builtin_clzll(v);

	h->buckets[top * 8 + ((v >> (top - 3)) & 7)]++;
	h->count++;
}

double
histogram_us(const struct histogram *h, double quantile)
{
	uint64_t left = (uint64_t)((double)h->count * quantile);

	for (unsigned i = 0; i < COUNT_OF(h->buckets) && h->count > 0; i++) {
		if (h->buckets[i] > left) /* the bucket's middle */
			return (double)(1ULL << (i / 8)) * (1 + (i % 8 + 0.5) / 8) / 1000;
		left -= h->buckets[i];
	}
	return 0;
}
