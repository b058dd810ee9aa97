#include "websockets.h"

#include <ev.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

enum { READ_AT_ONCE = 1 << 16 }; /* bytes of what a socket holds; one buffer for all */

struct websockets {
	struct lws_context *lws;
	struct ev_loop *loop;
	struct conn_table *conns;
	ev_check woken;	  /* see on_woken() */
	int64_t woken_us; /* monotonic */
	ev_timer kick;	  /* see on_kick() */
};

/* The connection that the head of our own making names: "GET /ID HTTP/1.1". */
static struct connection *
named_connection(const struct websockets *ws, struct lws *wsi)
{
	char path[32];
	struct conn_id id;

	if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) <= 1)
		return NULL;
	id.v = strtoull(path + 1, NULL, 16);
	return conn_find_id(ws->conns, id);
}

/* The id of the handshake goes with its answer. False: there is no room for it. */
static bool
add_headers(const struct websockets *ws, struct lws *wsi, struct lws_process_html_args *head)
{
	const struct connection *c = named_connection(ws, wsi);
	const char *id = c == NULL ? "" : conn_request(c);
	unsigned char *end = (unsigned char *)head->p + head->max_len;

	return lws_add_http_header_by_name(wsi,
		   (const unsigned char *)"X-Request-Id:", (const unsigned char *)id,
		   (int)strlen(id), (unsigned char **)&head->p, end) == 0;
}

static bool
on_established(const struct websockets *ws, struct lws *wsi)
{
	struct connection *c = named_connection(ws, wsi);

	if (c == NULL)
		return false;
	lws_set_wsi_user(wsi, c);
	conn_opened(c, wsi, clock_monotonic_ms());
	return true;
}

static void
on_received(
    const struct websockets *ws, struct connection *c, struct lws *wsi, const void *in, size_t len)
{
	const struct piece p = {
		.data = in,
		.len = len,
		.left = lws_remaining_packet_payload(wsi),
		.binary = lws_frame_is_binary(wsi),
		.final = lws_is_final_fragment(wsi),
	};

	conn_received(c, &p, ws->woken_us);
}

/* USER: the connection; NULL where WSI is none that is open. */
static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct connection *conn = user;
	const struct websockets *ws;
	bool ok = true;

	if (conn == NULL && reason != LWS_CALLBACK_ESTABLISHED &&
	    reason != LWS_CALLBACK_ADD_HEADERS)
		return 0;
	ws = lws_context_user(lws_get_context(wsi));
	switch (reason) {
	case LWS_CALLBACK_ADD_HEADERS:
		ok = add_headers(ws, wsi, in);
		break;
	case LWS_CALLBACK_ESTABLISHED:
		ok = on_established(ws, wsi);
		break;
	case LWS_CALLBACK_RECEIVE:
		on_received(ws, conn, wsi, in, len);
		break;
	case LWS_CALLBACK_RECEIVE_PONG:
		conn_pong(conn, clock_monotonic_ms());
		break;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		ok = conn_peer_closes(conn, in, len);
		break;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		ok = conn_writeable(conn);
		break;
	case LWS_CALLBACK_CLOSED:
		conn_closed(conn);
		lws_set_wsi_user(wsi, NULL);
		break;
	default:
		break;
	}
	return ok ? 0 : -1;
}

/* The first protocol is also for clients that offer none. */
static const struct lws_protocols protocols[] = {
	/* A small read buffer keeps an idle connection small; without tx_packet_size, writes would
	   be cut to it. */
	{ .name = "telemed.v1",
	    .callback = on_lws,
	    .rx_buffer_size = 2048,
	    .tx_packet_size = 65536 },
	{ .name = NULL },
};

static void
on_lws_log(int level, const char *line)
{
	char text[160];

	/* Said at every adoption, as an error. */
	if (strstr(line, "calling service") != NULL)
		return;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\r\n"), line);
	LOG(level == LLL_ERR ? LOG_ERROR : LOG_WARN, "libwebsockets", F_STR("text", text));
}

/* Ahead of all that the kernel has told the loop of: one look at the clock for all of it. */
static void
on_woken(struct ev_loop *loop, ev_check *w, int events)
{
	struct websockets *ws = w->data;

	(void)loop;
	(void)events;
	ws->woken_us = clock_monotonic_us();
}

/* libwebsockets 4.1.6 on libev never looks at its own time-outs unless something else happens: this
 * makes it. */
static void
on_kick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct websockets *ws = w->data;

	(void)loop;
	(void)events;
	lws_cancel_service(ws->lws);
}

static void
start_watchers(struct websockets *ws)
{
	ws->woken_us = clock_monotonic_us();
	ev_check_init(&ws->woken, on_woken);
	ev_timer_init(&ws->kick, on_kick, 0.1, 0.1);
	ws->woken.data = ws->kick.data = ws;
	ev_check_start(ws->loop, &ws->woken);
	ev_timer_start(ws->loop, &ws->kick);
}

struct websockets *
websockets_new(struct ev_loop *loop, struct conn_table *conns)
{
	static const lws_retry_bo_t no_pings = {
		0
	}; /* its own are a sorted list, O(n) a connection: conn.c has a wheel */
	struct websockets *ws = calloc(1, sizeof(*ws));
	void *loops[1] = { loop };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_DISABLE_IPV6,
		.pt_serv_buf_size = READ_AT_ONCE,
		.uid = -1,
		.gid = -1,
		.foreign_loops = loops,
		.timeout_secs = 10,
		.retry_and_idle_policy = &no_pings,
		.user = ws,
	};

	if (ws == NULL)
		return NULL;
	ws->loop = loop;
	ws->conns = conns;
	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	if ((ws->lws = lws_create_context(&info)) == NULL) {
		free(ws);
		return NULL;
	}
	start_watchers(ws);
	return ws;
}

void
websockets_free(struct websockets *ws)
{
	if (ws == NULL)
		return;
	lws_context_destroy(ws->lws);
	ev_check_stop(ws->loop, &ws->woken);
	ev_timer_stop(ws->loop, &ws->kick);
	free(ws);
}

static void
make_head(const struct connection *c, const struct admission *a, struct buf *out)
{
	buf_addf(out,
	    "GET /%llx HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
	    (unsigned long long)conn_id_of(c).v, a->key,
	    a->v1 ? "Sec-WebSocket-Protocol: telemed.v1\r\n" : "");
}

void
websockets_open(struct websockets *ws, struct connection *c, int fd, const struct admission *a)
{
	struct conn_id id = conn_id_of(c);
	struct buf head;

	buf_init(&head, 512);
	make_head(c, a, &head);
	/* It reads the head at once, and so has opened the connection, or given it up and closed
	 * FD, when it returns. */
	if (lws_adopt_socket_readbuf(ws->lws, fd, head.data, head.len) == NULL &&
	    conn_find_id(ws->conns, id) == c)
		conn_free(c);
	buf_fini(&head);
}
