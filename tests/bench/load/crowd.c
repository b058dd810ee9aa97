#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

/* RFC 6455 1.3 */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define LIST_BEGINS "{\"type\":\"users\""

enum { EVENTS_AT_ONCE = 256, HEAD_MAX = 16384 };
enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

static unsigned char chunk[1 << 18]; /* what one recv took */

void
crowd_init(struct crowd *w, const struct options *o, unsigned count, void *context,
    void (*on_text)(void *context, struct client *c, const char *text, size_t len))
{
	unsigned each = (count + o->account_count - 1) / o->account_count;

	if (each > USER_CONNECTIONS)
		die("%u users are not enough for %u connections", o->account_count, count);
	*w = (struct crowd){ .o = o, .count = count, .subprotocol = o->subprotocol };
	w->context = context;
	w->on_text = on_text;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->clients = need(calloc(count, sizeof(struct client)));
	for (unsigned i = 0; i < count; i++) {
		w->clients[i].fd = -1;
		w->clients[i].index = i;
		w->clients[i].account = &o->accounts[i / each];
	}
}

void
crowd_seat(struct crowd *w, unsigned i, const struct account *a)
{
	w->clients[i].account = a;
}

static void
client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = CLIENT_GONE;
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
	c->in_len = c->in_cap = c->out_len = 0;
}

void
crowd_fini(struct crowd *w)
{
	for (unsigned i = 0; i < w->count; i++)
		client_close(&w->clients[i]);
	free(w->clients);
	close(w->epoll);
}

/* Nobody closes a connection but the server, and then something is wrong. */
static void
client_lost(struct crowd *w, struct client *c, const char *why)
{
	if (c->state == CLIENT_GONE)
		return;
	if (w->why[0] == '\0')
		snprintf(w->why, sizeof(w->why), "%s", why);
	if (c->state == CLIENT_OPEN)
		w->open--;
	else
		w->upgrading--;
	w->lost++;
	client_close(c);
}

static void
watch(const struct crowd *w, struct client *c, int how, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	epoll_ctl(w->epoll, how, c->fd, &e);
}

void
client_send(struct crowd *w, struct client *c, const void *bytes, size_t len)
{
	ssize_t n = 0;

	if (c->out_len == 0)
		n = send(c->fd, bytes, len, MSG_NOSIGNAL);
	if (n == (ssize_t)len)
		return;
	if (n < 0 && errno != EAGAIN) {
		client_lost(w, c, "the server is gone");
		return;
	}
	n = n < 0 ? 0 : n;
	c->out = need(realloc(c->out, c->out_len + len - (size_t)n));
	memcpy(c->out + c->out_len, (const unsigned char *)bytes + n, len - (size_t)n);
	if (c->out_len == 0)
		watch(w, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	c->out_len += len - (size_t)n;
}

static void
flush(struct crowd *w, struct client *c)
{
	ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

	if (n < 0)
		return; /* a reset shows when it is read */
	c->out_len -= (size_t)n;
	memmove(c->out, c->out + n, c->out_len);
	if (c->out_len > 0)
		return;
	free(c->out);
	c->out = NULL;
	watch(w, c, EPOLL_CTL_MOD, EPOLLIN);
}

static void
ask_upgrade(struct crowd *w, struct client *c)
{
	char request[HEAD_MAX];
	int n = snprintf(request, sizeof(request),
	    "GET %s?token=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
	    "%s%s%s\r\n",
	    w->o->path, c->account->token,
	    w->subprotocol[0] == '\0' ? "" : "Sec-WebSocket-Protocol: ", w->subprotocol,
	    w->subprotocol[0] == '\0' ? "" : "\r\n");

	c->state = CLIENT_UPGRADING;
	client_send(w, c, request, (size_t)n);
}

/* False: later. */
static bool
client_start(struct crowd *w, struct client *c)
{
	bool wait;

	if ((c->fd = net_connect(w->o->to, &wait)) < 0)
		return false;
	c->state = CLIENT_CONNECTING;
	c->started_ns = now_ns();
	w->upgrading++;
	watch(w, c, EPOLL_CTL_ADD, wait ? EPOLLOUT : EPOLLIN);
	if (!wait)
		ask_upgrade(w, c);
	return true;
}

/* How much of the LEN bytes the answer to the handshake was; 0: not all of it yet, or refused. */
static size_t
read_answer(struct crowd *w, struct client *c, const unsigned char *data, size_t len)
{
	const unsigned char *end = memmem(data, len, "\r\n\r\n", 4);
	size_t size;

	if (end == NULL)
		return 0;
	size = (size_t)(end - data) + 4;
	w->upgrading--;
	if (memcmp(data, "HTTP/1.1 101", 12) != 0 ||
	    memmem(data, size, ACCEPT, strlen(ACCEPT)) == NULL) {
		if (w->why[0] == '\0')
			snprintf(w->why, sizeof(w->why), "refused: %.*s", (int)len, data);
		w->refused++;
		client_close(c);
		return 0;
	}
	c->state = CLIENT_OPEN;
	w->open++;
	histogram_add(&w->opening, now_ns() - c->started_ns);
	return size;
}

/* DATA: as much of the text as is there, LIST_BEGINS at least where it is as long. */
static void
count_text(struct crowd *w, struct client *c, const unsigned char *data, size_t len)
{
	w->frames_in++;
	if (c->heard || len < strlen(LIST_BEGINS) ||
	    memcmp(data, LIST_BEGINS, strlen(LIST_BEGINS)) != 0)
		return;
	c->heard = true;
	w->heard++;
}

static void
on_frame(struct crowd *w, struct client *c, unsigned opcode, const unsigned char *data, size_t len)
{
	static const unsigned char mask[4] = { 0x5a, 0xa5, 0x3c, 0xc3 };
	unsigned char pong[160];
	char why[64];

	if (opcode == OP_PING && len < 126) {
		client_send(w, c, pong, frame_make(pong, OP_PONG, data, len, mask));
	} else if (opcode == OP_CLOSE) {
		snprintf(why, sizeof(why), "closed with %u",
		    len < 2 ? 1005U : (unsigned)(data[0] << 8 | data[1]));
		client_lost(w, c, why);
	} else if (opcode == OP_TEXT) {
		count_text(w, c, data, len);
		if (len >= w->ignore_below)
			w->on_text(w->context, c, (const char *)data, len);
	}
}

/* The header's size; 0: not all of it is there. */
static size_t
read_header(const unsigned char *data, size_t len, uint64_t *payload)
{
	size_t extra;

	if (len < 2)
		return 0;
	*payload = data[1] & 0x7f;
	extra = *payload < 126 ? 0 : *payload == 126 ? 2 : 8;
	if (len < 2 + extra)
		return 0;
	if (extra > 0)
		*payload = 0;
	for (size_t i = 0; i < extra; i++)
		*payload = *payload << 8 | data[2 + i];
	return 2 + extra;
}

/* How much of the LEN bytes was whole frames, or was passed over. */
static size_t
read_frames(struct crowd *w, struct client *c, const unsigned char *data, size_t len)
{
	uint64_t payload;
	size_t head;
	size_t at = 0;

	while (c->state == CLIENT_OPEN) {
		if ((head = read_header(data + at, len - at, &payload)) == 0)
			break;
		if ((data[at] & 0xf0) != 0x80 || (data[at + 1] & 0x80) != 0) {
			client_lost(w, c, "a frame that is fragmented, masked, or of an extension");
			break;
		}
		if (len - at - head >= payload) {
			on_frame(w, c, data[at] & 0x0f, data + at + head, payload);
			at += head + payload;
			continue;
		}
		if (payload < w->ignore_below && (data[at] & 0x0f) == OP_TEXT &&
		    len - at - head >= strlen(LIST_BEGINS)) {
			count_text(w, c, data + at + head, len - at - head);
			c->skip = payload - (len - at - head);
			return len;
		}
		break;
	}
	return at;
}

static void
keep(struct client *c, const unsigned char *data, size_t len)
{
	if (c->in_len + len > c->in_cap) {
		c->in_cap = (c->in_len + len) * 2;
		c->in = need(realloc(c->in, c->in_cap));
	}
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
}

static void
consume(struct crowd *w, struct client *c, const unsigned char *data, size_t len)
{
	size_t used = 0;

	if (c->skip > 0) {
		used = c->skip < len ? (size_t)c->skip : len;
		c->skip -= used;
		data += used;
		len -= used;
		used = 0;
	}
	if (c->in_len > 0) {
		keep(c, data, len);
		data = c->in;
		len = c->in_len;
	}
	if (c->state == CLIENT_UPGRADING)
		used = read_answer(w, c, data, len);
	if (c->state == CLIENT_OPEN)
		used += read_frames(w, c, data + used, len - used);
	if (c->state == CLIENT_GONE)
		return;
	if (data != c->in) {
		if (used < len)
			keep(c, data + used, len - used);
		return;
	}
	c->in_len = len - used;
	memmove(c->in, c->in + used, c->in_len);
	if (c->in_len == 0) {
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
}

static void
on_readable(struct crowd *w, struct client *c)
{
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), 0);

	if (n > 0) {
		w->bytes_in += (size_t)n;
		consume(w, c, chunk, (size_t)n);
	} else if (n == 0 || errno != EAGAIN) {
		client_lost(w, c, n == 0 ? "closed without a word" : strerror(errno));
	}
}

static void
on_event(struct crowd *w, struct client *c, uint32_t events)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (c->state == CLIENT_GONE)
		return;
	if (c->state == CLIENT_CONNECTING) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error != 0) {
			client_lost(w, c, strerror(error));
			return;
		}
		watch(w, c, EPOLL_CTL_MOD, EPOLLIN);
		ask_upgrade(w, c);
		return;
	}
	if ((events & EPOLLOUT) != 0 && c->out_len > 0)
		flush(w, c);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		on_readable(w, c);
}

void
crowd_poll(struct crowd *w, unsigned until, int timeout_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n;

	while (w->started < until && w->upgrading < w->o->at_once) {
		if (!client_start(w, &w->clients[w->started])) {
			timeout_ms = 1;
			break;
		}
		w->started++;
	}
	n = epoll_wait(w->epoll, events, EVENTS_AT_ONCE, timeout_ms);
	for (int i = 0; i < n; i++)
		on_event(w, events[i].data.ptr, events[i].events);
}

void
crowd_run(struct crowd *w, double seconds)
{
	int64_t end = now_ns() + (int64_t)(seconds * 1e9);

	for (int64_t left; (left = end - now_ns()) > 0;)
		crowd_poll(w, 0, (int)(left / 1000000) + 1);
}

bool
crowd_connect(struct crowd *w, unsigned until)
{
	int64_t end = now_ns() + (int64_t)(w->o->timeout_s * 1e9);

	while (w->open < until && w->refused + w->lost == 0 && now_ns() < end)
		crowd_poll(w, until, 100);
	if (w->open == until)
		return true;
	fprintf(stderr, "load: %u of %u connections: %s\n", w->open, until,
	    w->why[0] == '\0' ? "the time is up" : w->why);
	return false;
}

void
crowd_settle(struct crowd *w, double quiet_s)
{
	int64_t end = now_ns() + (int64_t)(w->o->timeout_s * 1e9);
	uint64_t before;

	do {
		before = w->bytes_in;
		crowd_run(w, quiet_s);
	} while (w->bytes_in != before && now_ns() < end);
}
