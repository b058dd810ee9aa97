/* HTTP/1.1 with keep-alive: the same GET again and again, and the making of users. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { ANSWER_MAX = 1 << 20, REQUEST_MAX = 8192 };

struct asker {
	int fd;
	bool connected;
	bool waiting;	  /* for an answer */
	uint64_t answers; /* that it has had */
	unsigned index;	  /* of the user that it makes */
	int64_t asked_ns;
	char *in;
	size_t in_len;
};

struct answer {
	int status;
	const char *head;
	size_t head_len;
	const char *body;
	size_t body_len;
};

struct http {
	struct options *o;
	int epoll;
	struct asker *askers;
	unsigned count;
	bool running;
	uint64_t answers;
	uint64_t wrong; /* not the status, or not the body, of the first */
	struct histogram delay;
	/* run_http */
	char request[REQUEST_MAX];
	size_t request_len;
	int first_status;
	char *first_body;
	size_t first_len;
	/* run_users */
	unsigned next;
};

static void
ask(struct http *h, struct asker *a, const char *request, size_t len)
{
	(void)h;
	a->waiting = true;
	a->asked_ns = now_ns();
	if (send(a->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("a request was not taken: %s", strerror(errno));
}

/* A header's value, up to its line's end. */
static const char *
header(const struct answer *r, const char *name, size_t *len)
{
	const char *at = r->head;
	const char *end = r->head + r->head_len;
	size_t name_len = strlen(name);

	while (at < end) {
		size_t line = (size_t)((const char *)memchr(at, '\r', (size_t)(end - at)) - at);

		if (line > name_len && strncasecmp(at, name, name_len) == 0 &&
		    at[name_len] == ':') {
			at += name_len + 1;
			line -= name_len + 1;
			while (line > 0 && *at == ' ') {
				at++;
				line--;
			}
			*len = line;
			return at;
		}
		at += line + 2;
	}
	return NULL;
}

/* The size of the answer in A's buffer; 0: not all of it is there. */
static size_t
read_http(const struct asker *a, struct answer *r)
{
	const char *end = memmem(a->in, a->in_len, "\r\n\r\n", 4);
	const char *length;
	size_t unused;

	if (end == NULL)
		return 0;
	r->head = a->in;
	r->head_len = (size_t)(end - a->in) + 2;
	r->body = end + 4;
	r->status = (int)strtol(a->in + strlen("HTTP/1.1 "), NULL, 10);
	length = header(r, "Content-Length", &unused);
	if (length == NULL && r->status != 304)
		die("an answer without a length: %.*s", (int)r->head_len, r->head);
	r->body_len = r->status == 304 ? 0 : strtoul(length, NULL, 10);
	if (a->in_len < r->head_len + 2 + r->body_len)
		return 0;
	return r->head_len + 2 + r->body_len;
}

static void
connect_asker(struct http *h, struct asker *a)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = a };
	bool wait;

	while ((a->fd = net_connect(h->o->to, &wait)) < 0)
		usleep(1000);
	a->in = need(malloc(ANSWER_MAX));
	epoll_ctl(h->epoll, EPOLL_CTL_ADD, a->fd, &e);
}

static void
http_init(struct http *h, struct options *o, unsigned count)
{
	*h = (struct http){ .o = o, .count = count, .running = true };
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->askers = need(calloc(count, sizeof(struct asker)));
	for (unsigned i = 0; i < count; i++)
		connect_asker(h, &h->askers[i]);
}

static void
http_fini(struct http *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		close(h->askers[i].fd);
		free(h->askers[i].in);
	}
	free(h->askers);
	free(h->first_body);
	close(h->epoll);
}

/* Handles what comes: NEXT asks again, or does not; DONE looks at an answer. */
static void
http_poll(struct http *h, void (*next)(struct http *h, struct asker *a),
    void (*done)(struct http *h, struct asker *a, const struct answer *r))
{
	struct epoll_event events[64];
	int n = epoll_wait(h->epoll, events, 64, 10);

	for (int i = 0; i < n; i++) {
		struct asker *a = events[i].data.ptr;
		struct answer r;
		size_t size;
		ssize_t got;

		if (!a->connected) {
			struct epoll_event e = { .events = EPOLLIN, .data.ptr = a };

			a->connected = true;
			epoll_ctl(h->epoll, EPOLL_CTL_MOD, a->fd, &e);
			next(h, a);
			continue;
		}
		got = recv(a->fd, a->in + a->in_len, ANSWER_MAX - a->in_len, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			die("a connection was closed: %s", got == 0 ? "" : strerror(errno));
		a->in_len += got > 0 ? (size_t)got : 0;
		if ((size = read_http(a, &r)) == 0)
			continue;
		if (size != a->in_len)
			die("more than the answer came");
		if (!a->waiting)
			die("an answer that nobody has asked for");
		a->waiting = false;
		a->answers++;
		histogram_add(&h->delay, now_ns() - a->asked_ns);
		done(h, a, &r);
		a->in_len = 0;
		next(h, a);
	}
}

static void
ask_again(struct http *h, struct asker *a)
{
	if (h->running || a->answers == 0)
		ask(h, a, h->request, h->request_len);
}

static void
make_get(struct http *h, const char *etag, size_t etag_len)
{
	const struct options *o = h->o;
	const char *token = o->account_count == 0 ? NULL : o->accounts[0].token;

	h->request_len = (size_t)snprintf(h->request, REQUEST_MAX,
	    "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%s%s%.*s%s\r\n", o->path,
	    token == NULL ? "" : "Authorization: Bearer ", token == NULL ? "" : token,
	    token == NULL ? "" : "\r\n", etag == NULL ? "" : "If-None-Match: ", (int)etag_len,
	    etag == NULL ? "" : etag, etag == NULL ? "" : "\r\n");
}

/* The first answer is what all the others must be. */
static void
check_answer(struct http *h, struct asker *a, const struct answer *r)
{
	(void)a;
	h->answers++;
	if (h->first_status == 0) {
		h->first_status = r->status;
		h->first_len = r->body_len;
		h->first_body = need(malloc(r->body_len + 1));
		memcpy(h->first_body, r->body, r->body_len);
	} else if (r->status != h->first_status || r->body_len != h->first_len ||
		   memcmp(r->body, h->first_body, r->body_len) != 0) {
		h->wrong++;
	}
}

static void
take_etag(struct http *h, struct asker *a, const struct answer *r)
{
	const char *etag;
	size_t len;

	check_answer(h, a, r);
	if ((etag = header(r, "ETag", &len)) != NULL)
		make_get(h, etag, len);
	h->running = false;
}

static void
run_requests(struct http *h, double seconds)
{
	int64_t end = now_ns() + (int64_t)(seconds * 1e9);

	while (now_ns() < end)
		http_poll(h, ask_again, check_answer);
}

/* Connections that wait for an answer, or have never had one. */
static unsigned
unanswered(const struct http *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->count; i++)
		n += h->askers[i].waiting || h->askers[i].answers == 0;
	return n;
}

/* Nobody asks again; waits until each connection has its answer, and for what should not come. */
static void
drain(struct http *h)
{
	int64_t end = now_ns() + (int64_t)(h->o->timeout_s * 1e9);

	h->running = false;
	while (unanswered(h) > 0 && now_ns() < end)
		http_poll(h, ask_again, check_answer);
	run_requests(h, 0.1);
}

/* Asks once for the ETag, on a connection of its own. Without one, all is asked for as before. */
static void
make_conditional(struct http *h)
{
	int64_t end = now_ns() + (int64_t)(h->o->timeout_s * 1e9);
	struct http once;

	http_init(&once, h->o, 1);
	make_get(&once, NULL, 0);
	while (once.running && now_ns() < end)
		http_poll(&once, ask_again, take_etag);
	if (once.running)
		die("no answer");
	memcpy(h->request, once.request, once.request_len);
	h->request_len = once.request_len;
	http_fini(&once);
}

bool
run_http(struct options *o)
{
	struct usage from;
	struct usage to;
	uint64_t answers;
	struct http h;
	unsigned left;
	bool ok;

	if (o->users_file != NULL)
		accounts_read(o, 1);
	http_init(&h, o, o->connections);
	make_get(&h, NULL, 0);
	if (o->conditional)
		make_conditional(&h);
	run_requests(&h, o->warm_s);
	memset(&h.delay, 0, sizeof(h.delay));
	meter_read(&from);
	answers = h.answers;
	run_requests(&h, o->run_s);
	answers = h.answers - answers;
	meter_read(&to);
	drain(&h);
	left = unanswered(&h);
	ok = h.wrong == 0 && answers > 0 && left == 0 &&
	     (h.first_status == 200 || (o->conditional && h.first_status == 304));
	report_open("http");
	report_count("answers", answers);
	report_count("status", (uint64_t)h.first_status);
	report_count("body", h.first_len);
	report_usage(&from, &to, answers);
	report_number("delay_p50_us", histogram_us(&h.delay, 0.5));
	report_number("delay_p99_us", histogram_us(&h.delay, 0.99));
	report_count("wrong", h.wrong);
	report_count("unanswered", left);
	report_close();
	http_fini(&h);
	return ok;
}

static void
register_next(struct http *h, struct asker *a)
{
	const struct options *o = h->o;
	char request[1024];
	char body[512];
	int len;
	int n;

	if (h->next == o->connections)
		return;
	a->index = h->next++;
	len = snprintf(body, sizeof(body),
	    "{\"name\":\"%s%05u\",\"email\":\"%s%05u@example.org\",\"password\":\"password\","
	    "\"role\":\"%s\"}",
	    o->name, a->index, o->name, a->index, o->role);
	n = snprintf(request, sizeof(request),
	    "POST /auth/register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	    "Content-Length: %d\r\n\r\n%s",
	    len, body);
	ask(h, a, request, (size_t)n);
}

static char *
copy_member(const struct answer *r, const char *key, const char *ends)
{
	const char *at = memmem(r->body, r->body_len, key, strlen(key));
	char *copy;
	size_t n;

	if (r->status != 201 || at == NULL)
		die("a user was not made: %.*s", (int)r->body_len, r->body);
	at += strlen(key);
	for (n = 0; at + n < r->body + r->body_len && strchr(ends, at[n]) == NULL; n++)
		;
	copy = need(malloc(n + 1));
	memcpy(copy, at, n);
	copy[n] = '\0';
	return copy;
}

static void
note_user(struct http *h, struct asker *a, const struct answer *r)
{
	struct account *account = &h->o->accounts[a->index];
	char *id = copy_member(r, "\"id\":", ",}");

	snprintf(account->id, sizeof(account->id), "%s", id);
	free(id);
	account->token = copy_member(r, "\"token\":\"", "\"");
	h->answers++;
}

/* Makes users over REST and prints them, for the scenarios' --users. */
bool
run_users(struct options *o)
{
	int64_t begin = now_ns();
	struct http h;

	o->accounts = need(calloc(o->connections, sizeof(struct account)));
	http_init(&h, o, o->connections < 16 ? o->connections : 16);
	while (h.answers < o->connections)
		http_poll(&h, register_next, note_user);
	for (unsigned i = 0; i < o->connections; i++)
		printf("%s %s %s%05u %s\n", o->accounts[i].id, o->role, o->name, i,
		    o->accounts[i].token);
	fprintf(
	    stderr, "load: %u users in %.1f s\n", o->connections, (double)(now_ns() - begin) / 1e9);
	http_fini(&h);
	return true;
}
