#include "handshake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "trail.h"

enum { ACCEPTS_AT_ONCE = 64, READ_SIZE = 4096 };

struct handshake {
	struct lookup lookup; /* first: the cookie of its look-up */
	struct handshakes *owner;
	int fd; /* -1: given up while the store was asked */
	ev_io reading;
	struct buf head;
	int64_t started_ms;
	struct admission admission;
	struct handshake *prev; /* oldest first */
	struct handshake *next;
};

struct handshakes {
	struct relay *relay;
	struct ev_loop *loop;
	ev_io accepting;
	struct handshake *list;
	unsigned count;
	unsigned max;
	bool stopped;
	handshake_full_fn *full;
	handshake_done_fn *done;
	void *context;
};

/* Answers on FD and closes it. The answer is shorter than any socket's buffer. REQUEST is the id of
 * what was asked; "": it has none yet. */
static void
answer_and_close(int fd, struct verdict v, const char *request)
{
	char id[REQUEST_ID_SIZE];
	struct buf out;

	request_id_take(request, id);
	if (v.status != 200) { /* the health check */
		metric_add_own(
		    METRIC_HANDSHAKES, metric_series_of(METRIC_HANDSHAKES, NULL, v.status), 1);
		LOG(LOG_INFO, "handshake_refused", F_STR("request", id), F_INT("status", v.status),
		    F_STR("code", v.code));
	}
	buf_init(&out, 4096);
	gate_answer(v, id, &out);
	if (!out.failed)
		(void)!send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_fini(&out);
	close(fd);
}

static struct verdict
unavailable(void)
{
	return (struct verdict){ 503, "unavailable", "The relay cannot take this now" };
}

static struct verdict
draining(void)
{
	return (struct verdict){ 503, "draining", "The service is being restarted" };
}

static void
stop_reading(struct handshake *h)
{
	ev_io_stop(h->owner->loop, &h->reading);
	buf_fini(&h->head);
}

/* Its descriptor is somebody else's by now, or closed. */
static void
forget(struct handshake *h)
{
	stop_reading(h);
	DL_DELETE(h->owner->list, h);
	h->owner->count--;
	free(h);
}

static void
refuse(struct handshake *h, struct verdict v)
{
	char request[REQUEST_ID_SIZE];
	int fd = h->fd;

	memcpy(request, h->admission.request, sizeof(request));
	forget(h);
	answer_and_close(fd, v, request);
}

/* The store has said whether the token's user exists. */
static void
user_found(struct lookup *l, const struct job *j)
{
	struct handshake *h = (struct handshake *)(void *)l;
	struct handshakes *hs = h->owner;

	if (h->fd >= 0 && j->outcome == ERR_OK && hs->relay->stopping) {
		refuse(h, draining());
	} else if (h->fd >= 0 && j->outcome == ERR_OK) {
		if (h->admission.request[0] == '\0')
			request_id_take(NULL, h->admission.request);
		hs->done(hs->context, h->fd, &h->admission, &j->user);
		forget(h);
	} else if (h->fd >= 0 && (j->outcome == ERR_NOT_FOUND || j->outcome == ERR_DENIED)) {
		trail_refusal(hs->relay->journal, AUDIT_DENIED, "invalid_token",
		    h->admission.claims.user, (struct user_id){ 0 }, &h->admission.address);
		refuse(h, (struct verdict){
			      401, "invalid_token", "The token was revoked, or its user is gone" });
	} else if (h->fd >= 0) {
		refuse(h, unavailable());
	} else {
		forget(h); /* the relay has stopped meanwhile */
	}
}

/* The head is complete. */
static void
judge(struct handshake *h, size_t len)
{
	struct relay *r = h->owner->relay;
	struct verdict v = gate_check(
	    r->config, &r->keys, h->head.data, len, clock_wall_ms() / 1000, &h->admission);

	/* A client must not send frames before the 101 (RFC 6455 4.1). */
	if (v.status == 101 && h->head.len > len)
		v = (struct verdict){ 400, "invalid_request",
			"Nothing may follow the handshake before its answer" };
	if (v.status != 101) {
		refuse(h, v);
		return;
	}
	if (!journal_lookup_token(r->journal, &h->admission.claims, &h->lookup)) {
		refuse(h, unavailable());
		return;
	}
	stop_reading(h); /* and go on in user_found() */
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct handshake *h = w->data;
	char chunk[READ_SIZE];
	const char *end;
	ssize_t n = recv(h->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	(void)loop;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(h->fd);
		forget(h);
		return;
	}
	buf_add(&h->head, chunk, (size_t)n);
	if (h->head.failed)
		refuse(h, (struct verdict){ 431, "too_large", "The request head is too long" });
	else if ((end = memmem(h->head.data, h->head.len, "\r\n\r\n", 4)) != NULL)
		judge(h, (size_t)(end + 4 - h->head.data));
}

static void
start(struct handshakes *hs, int fd)
{
	struct handshake *h;

	if (hs->count >= hs->max || hs->full(hs->context, hs->count) ||
	    (h = calloc(1, sizeof(*h))) == NULL) {
		answer_and_close(fd, unavailable(), "");
		return;
	}
	*h = (struct handshake){ .lookup.done = user_found, .owner = hs, .fd = fd };
	h->started_ms = clock_monotonic_ms();
	buf_init(&h->head, GATE_HEAD_MAX);
	DL_APPEND(hs->list, h);
	hs->count++;
	ev_io_init(&h->reading, on_readable, fd, EV_READ);
	h->reading.data = h;
	ev_io_start(hs->loop, &h->reading);
	on_readable(hs->loop, &h->reading, EV_READ); /* lighttpd has written its head by now */
}

static void
on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct handshakes *hs = w->data;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			start(hs, fd);
			continue;
		}
		/* The loop would ask again at once, for nothing: handshakes_tick() does later. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			ev_io_stop(hs->loop, &hs->accepting);
		return;
	}
}

struct handshakes *
handshakes_new(struct relay *r, struct ev_loop *loop, int listen_fd, unsigned max,
    handshake_full_fn *full, handshake_done_fn *done, void *context)
{
	struct handshakes *hs = calloc(1, sizeof(*hs));

	if (hs == NULL)
		return NULL;
	hs->relay = r;
	hs->loop = loop;
	hs->max = max;
	hs->full = full;
	hs->done = done;
	hs->context = context;
	(void)!fcntl(listen_fd, F_SETFL,
	    O_NONBLOCK); /* a client that has gone again must not stop the loop */
	ev_io_init(&hs->accepting, on_acceptable, listen_fd, EV_READ);
	hs->accepting.data = hs;
	ev_io_start(loop, &hs->accepting);
	return hs;
}

void
handshakes_stop(struct handshakes *hs)
{
	struct handshake *h = NULL;
	struct handshake *next = NULL;

	hs->stopped = true;
	ev_io_stop(hs->loop, &hs->accepting);
	DL_FOREACH_SAFE (hs->list, h, next) {
		close(h->fd);
		h->fd = -1;
		if (ev_is_active(&h->reading))
			forget(h); /* the others end when the store has answered */
	}
}

void
handshakes_free(struct handshakes *hs)
{
	free(hs);
}

void
handshakes_tick(struct handshakes *hs, int64_t now_ms)
{
	struct handshake *h = NULL;
	struct handshake *next = NULL;

	if (!hs->stopped)
		ev_io_start(hs->loop, &hs->accepting); /* does nothing where it waits already */
	DL_FOREACH_SAFE (hs->list, h, next) {
		if (now_ms - h->started_ms < HANDSHAKE_MAX_MS)
			return;
		if (ev_is_active(&h->reading))
			refuse(h, (struct verdict){ 408, "timeout", "The request took too long" });
	}
}
