/* libfcgi's only user. lighttpd has read the whole request before it hands it over, so nothing here
 * waits for a slow client; it opens a connection for each request. */
#include "server.h"

#include <errno.h>
#include <fcgiapp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "router.h"

enum { HEAD_BYTES_MAX = 16 << 10 };

static enum method
method_from_name(const char *name)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET",
		[HTTP_HEAD] = "HEAD",
		[HTTP_POST] = "POST",
		[HTTP_OPTIONS] = "OPTIONS",
	};

	for (unsigned i = HTTP_GET; name != NULL && i < COUNT_OF(names); i++) {
		if (strcmp(names[i], name) == 0)
			return (enum method)i;
	}
	return HTTP_OTHER;
}

static const char *
param(const FCGX_Request *f, const char *name)
{
	const char *value = FCGX_GetParam(name, f->envp);

	return value == NULL ? "" : value;
}

/* All of it, for the sake of finish(), but kept only as far as it is allowed; lighttpd's own limit
 * lets no more than a little past it through anyway. */
static void
read_request_body(struct request *q, FCGX_Stream *in)
{
	char chunk[4096];
	int n;

	while ((n = FCGX_GetStr(chunk, sizeof(chunk), in)) > 0) {
		if (q->body.len + (size_t)n > BODY_BYTES_MAX)
			q->body_too_large = true;
		if (!q->body_too_large)
			buf_add(&q->body, chunk, (size_t)n);
	}
}

/* The path as lighttpd has normalised it (SCRIPT_NAME and PATH_INFO), never REQUEST_URI. */
static void
request_init(
    struct request *q, struct service *s, const FCGX_Request *f, char *path, size_t path_size)
{
	*q = (struct request){ .service = s };
	snprintf(path, path_size, "%s%s", param(f, "SCRIPT_NAME"), param(f, "PATH_INFO"));
	request_id_take(param(f, "HTTP_X_REQUEST_ID"), q->id);
	q->method = method_from_name(param(f, "REQUEST_METHOD"));
	q->path = path;
	q->query = param(f, "QUERY_STRING");
	q->authorization = param(f, "HTTP_AUTHORIZATION");
	q->origin = param(f, "HTTP_ORIGIN");
	q->if_none_match = param(f, "HTTP_IF_NONE_MATCH");
	q->host = param(f, "HTTP_HOST");
	q->scheme = param(f, "REQUEST_SCHEME");
	(void)address_read(param(f, "REMOTE_ADDR"), &q->address);
	buf_init(&q->body, BODY_BYTES_MAX);
	buf_init(&q->reply.body, REPLY_BYTES_MAX);
	read_request_body(q, f->in);
}

/* A password may have stood in the body. */
static void
request_fini(struct request *q)
{
	json_free(q->json);
	if (q->body.data != NULL)
		explicit_bzero(q->body.data, q->body.cap);
	buf_fini(&q->body);
	buf_fini(&q->reply.body);
}

/* Fetch's CORS protocol: an allowed page may read the answer; a preflight is told what it may send.
 */
static void
add_cors(const struct request *q, struct buf *head)
{
	if (q->origin[0] == '\0')
		return;
	buf_adds(head, "Vary: Origin\r\n");
	if (!config_origin_allowed(q->service->config, q->origin, q->scheme, q->host))
		return;
	buf_addf(head,
	    "Access-Control-Allow-Origin: %s\r\n"
	    "Access-Control-Expose-Headers: ETag, Retry-After, WWW-Authenticate, X-Request-Id\r\n",
	    q->origin);
	if (q->method == HTTP_OPTIONS)
		buf_addf(head,
		    "Access-Control-Allow-Methods: %s\r\n"
		    "Access-Control-Allow-Headers: Authorization, Content-Type, If-None-Match\r\n"
		    "Access-Control-Max-Age: 600\r\n",
		    q->reply.allow);
}

/* libfcgi's own printf knows too few conversions, so the head is made here. */
static void
add_head(const struct request *q, struct buf *head)
{
	const struct reply *r = &q->reply;

	buf_addf(head,
	    "Status: %d\r\nX-Request-Id: %s\r\nX-Content-Type-Options: nosniff\r\nCache-Control: "
	    "%s\r\n",
	    r->status, q->id, r->etag == NULL ? "no-store" : "private, no-cache");
	if (r->etag != NULL)
		buf_addf(head, "ETag: %s\r\n", r->etag);
	if (r->authenticate != NULL)
		buf_addf(head, "WWW-Authenticate: %s\r\n", r->authenticate);
	if (r->allow[0] != '\0')
		buf_addf(head, "Allow: %s\r\n", r->allow);
	if (r->retry_after_s > 0)
		buf_addf(head, "Retry-After: %lld\r\n", (long long)r->retry_after_s);
	add_cors(q, head);
	if (r->status != 204 && r->status != 304)
		buf_addf(head, "Content-Type: %s\r\nContent-Length: %zu\r\n", r->content_type,
		    r->body.len);
	buf_adds(head, "\r\n");
}

/* No memory is needed here, so that whatever happens has an answer. */
static void
put_reply(struct request *q, FCGX_Stream *out)
{
	static char room[HEAD_BYTES_MAX];
	struct buf head;

	buf_over(&head, room, sizeof(room));
	add_head(q, &head);
	if (head.failed || (q->reply.body.failed && q->method != HTTP_HEAD)) {
		q->reply.status = 503;
		FCGX_PutS(
		    "Status: 503\r\nRetry-After: 2\r\nCache-Control: no-store\r\nX-Request-Id: ",
		    out);
		FCGX_PutS(q->id, out);
		FCGX_PutS("\r\nContent-Type: application/problem+json\r\n\r\n"
			  "{\"type\":\"about:blank\",\"title\":\"The service is unavailable\","
			  "\"status\":503,\"detail\":\"There is no memory for an answer.\","
			  "\"code\":\"unavailable\",\"instance\":\"",
		    out);
		FCGX_PutS(q->id, out);
		FCGX_PutS("\"}", out);
		return;
	}
	FCGX_PutStr(head.data, (int)head.len, out);
	if (q->method != HTTP_HEAD && q->reply.body.len > 0)
		FCGX_PutStr(q->reply.body.data, (int)q->reply.body.len, out);
}

static void
account_for(const struct request *q, int64_t took_us)
{
	const char *route = q->route == NULL ? "-" : q->route;
	int status = q->reply.status;

	metric_add(METRIC_HTTP_REQUESTS, metric_series_of(METRIC_HTTP_REQUESTS, route, status), 1);
	metric_observe(METRIC_HTTP_TIME, metric_series(METRIC_HTTP_TIME, route, NULL), took_us);
	LOG(status >= 500 ? LOG_WARN : LOG_INFO, "http_request", F_STR("request", q->id),
	    F_STR("route", route), F_INT("status", status), F_INT("user", q->who.user.id.v),
	    F_INT("ms", took_us / 1000));
}

static void
serve_one(struct service *s, FCGX_Request *f)
{
	int64_t start_us = clock_monotonic_us();
	char path[256];
	struct request q;

	request_init(&q, s, f, path, sizeof(path));
	route_request(&q);
	put_reply(&q, f->out);
	account_for(&q, clock_monotonic_us() - start_us);
	request_fini(&q);
}

/* Sends what is left and closes. Left to itself libfcgi would wait up to two seconds until lighttpd
 * has closed its end: over TCP what was sent could get lost otherwise. In a Unix socket it stays to
 * be read, and the wait was a tenth of what a GET cost. */
static void
finish(FCGX_Request *f)
{
	FCGX_Detach(f);
	FCGX_Finish_r(f);
}

void
server_run(struct service *s, int fd, worker_next_fn *next)
{
	struct timespec nap = { .tv_nsec = 50 * 1000000 };
	enum worker_turn turn;
	FCGX_Request f;
	int rc;

	if (FCGX_Init() != 0) {
		LOG0(LOG_ERROR, "fastcgi_not_started");
		return;
	}
	FCGX_InitRequest(&f, fd, FCGI_FAIL_ACCEPT_ON_INTR);
	while ((turn = next()) != WORKER_ENDS) {
		if ((rc = FCGX_Accept_r(&f)) >= 0) {
			serve_one(s, &f);
			finish(&f);
			/* Who waits now has found all workers busy. */
			if (fd == s->auth_fd && service_auth_waits(s))
				metric_add(METRIC_AUTH_WAITED, 0, 1);
		} else if (turn == WORKER_WINDS_UP) {
			break;
		} else if (rc != -EAGAIN) {
			/* Out of descriptors, say: not a reason to end, nor to spin. */
			nanosleep(&nap, NULL);
		}
	}
	FCGX_Free(&f, 1);
}
