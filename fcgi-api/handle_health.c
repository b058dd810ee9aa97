/* What an operator's tools ask. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "handlers.h"
#include "metrics/metrics.h"

enum { RELAY_TIMEOUT_MS = 1000 };

enum err
handle_livez(struct request *q)
{
	struct json_writer w;

	reply_begin(q, 200, &w);
	jw_object(&w, NULL);
	jw_string(&w, "status", "ok");
	jw_string(&w, "version", TELEMED_VERSION);
	jw_object_end(&w);
	return ERR_OK;
}

/* Does the relay's loop answer? Its own /livez, over its socket. */
static bool
relay_answers(const char *path)
{
	static const char ask[] = "GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n";
	static const char want[] = "HTTP/1.1 200 ";
	char got[sizeof(want) - 1];
	struct pollfd p = { .events = POLLIN };
	bool ok;

	if (unix_connect(path, SOCK_STREAM, &p.fd) != ERR_OK)
		return false;
	ok = send(p.fd, ask, strlen(ask), MSG_NOSIGNAL) == (ssize_t)strlen(ask) &&
	     poll(&p, 1, RELAY_TIMEOUT_MS) == 1 &&
	     recv(p.fd, got, sizeof(got), 0) == (ssize_t)sizeof(got) &&
	     memcmp(got, want, sizeof(got)) == 0;
	close(p.fd);
	return ok;
}

static const char *
relay_state(const char *path)
{
	if (!relay_answers(path))
		return "failed";
	return metric_get(METRIC_DRAINING) != 0 ? "draining" : "ok";
}

static bool
database_answers(struct service *s)
{
	struct account nobody;

	return service_store(s) == ERR_OK &&
	       store_user_by_id(s->store, (struct user_id){ 0 }, &nobody) == ERR_NOT_FOUND;
}

enum err
handle_readyz(struct request *q)
{
	bool database = database_answers(q->service);
	const char *relay = relay_state(q->service->paths.relay);
	bool ok = database && strcmp(relay, "ok") == 0;
	struct json_writer w;

	reply_begin(q, ok ? 200 : 503, &w);
	jw_object(&w, NULL);
	jw_string(&w, "status", ok ? "ok" : "unavailable");
	jw_object(&w, "checks");
	jw_string(&w, "database", database ? "ok" : "failed");
	jw_string(&w, "relay", relay);
	jw_object_end(&w);
	jw_object_end(&w);
	return ERR_OK;
}

enum err
handle_metrics(struct request *q)
{
	q->reply.status = 200;
	q->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(&q->reply.body);
	return ERR_OK;
}
