#include "health.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "metrics/metrics.h"

enum {
	PROBE_MS = 250,	      /* for each of the locks that a writer takes */
	PROBE_KEPT_MS = 1000, /* that it could be written to: anybody may ask, and writers wait */
	RELAY_MS = 500,	      /* for the relay to answer */
	BEAT_MAX_MS = 3000,   /* the relay's loop tells each second that it turns */
	DISK_FREE_MIN = 256 << 10 /* bytes */
};

const char *const check_names[CHECK__COUNT] = {
	[CHECK_DATABASE] = "database",
	[CHECK_DISK] = "disk",
	[CHECK_RELAY] = "relay",
};
_Static_assert((int)CHECK__COUNT == (int)METRIC_CHECKS_SHOWN, "METRIC_CHECKS has other checks");

bool
health_is_ok(const char *word)
{
	return strcmp(word, "ok") == 0;
}

bool
health_is_meant(const char *word)
{
	return strcmp(word, "draining") == 0;
}

static enum err
read_database(struct service *s)
{
	struct account nobody;
	enum err e = store_user_by_id(s->store, (struct user_id){ 0 }, &nobody);

	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err
probe(struct service *s)
{
	enum err e;

	if (s->probed_ms != 0 && clock_monotonic_ms() - s->probed_ms < PROBE_KEPT_MS)
		return ERR_OK;
	e = store_probe(s->store, PROBE_MS);
	s->probed_ms = e == ERR_OK ? clock_monotonic_ms() : 0;
	return e;
}

static const char *
check_database(struct service *s)
{
	enum err e;

	if (access(s->paths.database, F_OK) != 0)
		return "gone";
	e = service_store(s);
	if (e == ERR_OK)
		e = read_database(s);
	if (e == ERR_OK)
		e = probe(s);
	switch (e) {
	case ERR_OK:
		return "ok";
	case ERR_BUSY:
		return "locked";
	case ERR_TOO_NEW:
		return "newer";
	default:
		return "failed";
	}
}

int64_t
health_disk_free(const struct service *s)
{
	struct statvfs v;

	if (statvfs(s->config->data_dir, &v) != 0)
		return -1;
	return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

static const char *
check_disk(const struct service *s)
{
	int64_t left = health_disk_free(s);

	if (left < 0)
		return "failed";
	return left < DISK_FREE_MIN ? "full" : "ok";
}

/* What the relay's loop answers on its own /livez, over FD. */
static const char *
ask_relay(int fd)
{
	static const char ask[] = "GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n";
	static const char want[] = "HTTP/1.1 200 ";
	char got[sizeof(want) - 1];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (send(fd, ask, strlen(ask), MSG_NOSIGNAL) != (ssize_t)strlen(ask))
		return "failed";
	if (poll(&p, 1, RELAY_MS) != 1)
		return "stuck";
	if (recv(fd, got, sizeof(got), 0) != (ssize_t)sizeof(got) ||
	    memcmp(got, want, sizeof(got)) != 0)
		return "failed";
	return "ok";
}

static const char *
check_relay(const struct service *s)
{
	int64_t beat_ms = metric_get(METRIC_RELAY_BEAT, 0); /* 0: of another version, perhaps */
	const char *word;
	enum err e;
	int fd;

	if ((e = unix_connect(s->paths.relay, SOCK_STREAM, &fd)) != ERR_OK)
		return e == ERR_NOT_FOUND ? "away" : "stuck"; /* its queue is full */
	if (beat_ms != 0 && clock_monotonic_ms() - beat_ms > BEAT_MAX_MS)
		word = "stuck";
	else
		word = ask_relay(fd);
	if (health_is_ok(word) && metric_get(METRIC_DRAINING, 0) != 0)
		word = "draining";
	close(fd);
	return word;
}

const char *
health_check(struct service *s, enum check c)
{
	switch (c) {
	case CHECK_DATABASE:
		return check_database(s);
	case CHECK_DISK:
		return check_disk(s);
	default:
		return check_relay(s);
	}
}
