/* The relay from the bytes that libwebsockets has unwrapped to those that it is to wrap:
 * connections, the way of their messages to the hub, and what comes back. libwebsockets, the
 * store's thread and the clock are the target's own. Each line of the input is what happens next:
 *
 *   c1, v1, e1   person 1 connects: the seed's dialect, telemed.v1, that with a minute and a half
 * left m0TEXT       a whole message of the first connection, or the last part of one f0TEXT       a
 * fragment; R0TEXT: one of 16 KiB, which is TEXT again and again p0TEXT       the beginning of a
 * frame; P0TEXT: of one that claims 70,000 bytes more b0TEXT       a binary message; z0TEXT: a
 * close frame's payload; o0: a pong g0           it is gone; n0: the next that is written to it
 * fails w0, y0       its socket is full; it is not any more t0 ... t7    time passes, from a
 * millisecond to 100 seconds s, sf        the store's thread does what waits; fails at it r the
 * loop takes the results k0, h1       the session of that connection was logged out; the row of
 * person 1 has changed
 *
 * "@1" in a text is a good token of person 1. */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "conn_db.h"
#include "dispatch.h"
#include "fuzz.h"
#include "relay.h"
#include "strict.h"

enum { SOCKETS_MAX = 24, TEXT_MAX_BYTES = 1 << 17 };

/* libwebsockets' side of a connection. */
struct lws {
	struct connection *conn; /* NULL: not in use */
	struct buf said;	 /* of the message that is on its way */
	bool partial;		 /* its socket is full */
	bool fails;
	bool wants; /* to be called when it can be written to */
	bool killed;
	bool closing;	     /* its close frame is on its way */
	int64_t deadline_ms; /* 0: none */
};

static struct lws sockets[SOCKETS_MAX];
static struct relay relay;
static struct buf tokens[PEOPLE + 1];
static int64_t now_ms;
static int64_t due_ms;

/* The linker puts them in the place of the functions without "__wrap_". */
int64_t our_monotonic_ms(void) __asm__("__wrap_clock_monotonic_ms");
int64_t our_wall_ms(void) __asm__("__wrap_clock_wall_ms");

int64_t
our_monotonic_ms(void)
{
	return now_ms;
}

int64_t
our_wall_ms(void)
{
	return INT64_C(1800000000000) + now_ms;
}

/* libwebsockets, as wire.c uses it. */

int
lws_write(struct lws *wsi, unsigned char *text, size_t len, enum lws_write_protocol protocol)
{
	struct strict *root;

	MUST(!wsi->partial && !wsi->closing);
	memset(text - LWS_PRE, 0, LWS_PRE); /* its header */
	if (wsi->fails)
		return -1;
	if (protocol != LWS_WRITE_TEXT)
		return (int)len;
	root = strict_read((const char *)text, len);
	MUST(strict_is_object(root) && strict_string(strict_member(root, "type")) != NULL);
	strict_free(root);
	return (int)len;
}

int
lws_callback_on_writable(struct lws *wsi)
{
	wsi->wants = true;
	return 0;
}

/* NOLINTBEGIN(readability-non-const-parameter): so libwebsockets declares it */
void
lws_close_reason(struct lws *wsi, enum lws_close_status code, unsigned char *text, size_t len)
{
	static const int codes[] = { 1001, 1002, 1003, 1007, 1008, 1009, 4100, 4101, 4103, 4501,
		4505, 4506 };
	bool known = false;

	(void)text;
	(void)len;
	for (size_t i = 0; i < COUNT_OF(codes); i++)
		known = known || (int)code == codes[i];
	MUST(known);
	wsi->closing = true;
}
/* NOLINTEND(readability-non-const-parameter) */

void
lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int secs)
{
	(void)reason;
	if (secs == LWS_TO_KILL_ASYNC)
		wsi->killed = true;
	else
		wsi->deadline_ms = now_ms + secs * INT64_C(1000);
}

int
lws_partial_buffered(struct lws *wsi)
{
	return wsi->partial;
}

/* The loop. */

static void
wake_at(void *context, int64_t at_ms)
{
	(void)context;
	due_ms = at_ms;
}

static void
lose(struct lws *wsi)
{
	conn_closed(wsi->conn);
	buf_fini(&wsi->said);
	*wsi = (struct lws){ .conn = NULL };
}

/* What libwebsockets does of its own accord. */
static void
settle(void)
{
	bool again = true;

	while (again) {
		again = false;
		for (struct lws *wsi = sockets; wsi < sockets + SOCKETS_MAX; wsi++) {
			bool wants = wsi->wants && !wsi->partial;

			if (wsi->conn == NULL)
				continue;
			wsi->wants = wsi->wants && !wants;
			if (wsi->killed || (wsi->deadline_ms != 0 && now_ms >= wsi->deadline_ms) ||
			    (wants && !conn_writeable(wsi->conn)))
				lose(wsi);
			again = again || wants;
		}
	}
}

static void
pass_time(unsigned n)
{
	static const int64_t spans_ms[] = { 1, 100, 1000, 5000, 10000, 26000, 61000, 100000 };
	int64_t end_ms = now_ms + spans_ms[n % COUNT_OF(spans_ms)];
	int64_t second_ms;

	while (now_ms < end_ms) {
		second_ms = now_ms / 1000 * 1000 + 1000;
		now_ms = end_ms < second_ms ? end_ms : second_ms;
		if (due_ms <= now_ms)
			relay_event(&relay, &(struct event){ .kind = EVENT_TICK });
		if (now_ms == second_ms)
			conn_table_tick(relay.conns, now_ms, clock_wall_ms() / 1000);
		settle();
	}
}

/* As server.c lets somebody in. */
static void
admit(int64_t person, bool v1, int64_t ttl_s)
{
	struct user user = db_row(person);
	struct lws *wsi = sockets;
	struct conn_origin origin = {
		.user = &user, .session = "session", .v1 = v1, .request = ""
	};

	while (wsi < sockets + SOCKETS_MAX && wsi->conn != NULL)
		wsi++;
	if (wsi == sockets + SOCKETS_MAX)
		return;
	origin.expires_s = clock_wall_ms() / 1000 + ttl_s;
	if (hub_connections(relay.hub, user.id) >= USER_CONNECTIONS_MAX)
		origin.close = CLOSE_TOO_MANY_CONNECTIONS;
	MUST((wsi->conn = conn_new(relay.conns, &origin)) != NULL);
	buf_init(&wsi->said, TEXT_MAX_BYTES);
	conn_opened(wsi->conn, wsi, now_ms);
}

/* What reaches the hub's border is the message that was sent. */
static void
on_message(void *context, struct connection *c, const char *text, size_t len, int64_t since_us)
{
	const struct lws *wsi = sockets;

	while (wsi->conn != c)
		wsi++;
	MUST(len <= MESSAGE_BYTES_MAX && len == wsi->said.len);
	MUST(len == 0 || memcmp(text, wsi->said.data, len) == 0);
	dispatch_events.message(context, c, text, len, since_us);
}

/* TEXT with tokens in it. */
static void
expand(struct buf *out, const char *text, size_t len)
{
	buf_init(out, TEXT_MAX_BYTES);
	for (size_t i = 0; i < len; i++) {
		bool token = text[i] == '@' && i + 1 < len && text[i + 1] >= '1' &&
			     text[i + 1] <= '0' + PEOPLE;

		if (token)
			buf_adds(out, tokens[text[++i] - '0'].data);
		else
			buf_add(out, &text[i], 1);
	}
}

static void
repeat(struct buf *b)
{
	while (b->len > 0 && b->len <= 8 << 10) {
		char *once = fuzz_bytes(b->data, b->len);

		buf_add(b, once, b->len);
		free(once);
	}
}

/* A piece of a frame, in a buffer that ends where it does. */
static void
receive(struct lws *wsi, char what, const char *text, size_t len)
{
	struct piece p = { .left = what == 'p' ? 1000 : what == 'P' ? 70000 : 0 };
	struct buf b;
	char *exact;

	expand(&b, text, len);
	if (what == 'R')
		repeat(&b);
	if (wsi->said.len + b.len <= TEXT_MAX_BYTES)
		buf_add(&wsi->said, b.data, b.len);
	exact = fuzz_bytes(b.data, b.len);
	p.data = exact;
	p.len = b.len;
	p.binary = what == 'b';
	p.final = what != 'f' && what != 'R';
	conn_received(wsi->conn, &p, now_ms * 1000);
	if (piece_is_last(&p))
		buf_fini(&wsi->said);
	free(exact);
	buf_fini(&b);
}

static struct lws *
pick(unsigned n)
{
	unsigned count = conn_table_count(relay.conns);

	for (unsigned i = 0, left = count == 0 ? 0 : n % count; i < SOCKETS_MAX; i++) {
		if (sockets[i].conn != NULL && left-- == 0)
			return &sockets[i];
	}
	return NULL;
}

static void
log_out(const struct lws *wsi)
{
	struct job j = { .kind = JOB_REVOKED, .user.id = conn_user_id(wsi->conn) };

	snprintf(j.session, sizeof(j.session), "%s", conn_session(wsi->conn));
	db_tells(&j);
}

/* RFC 6455 5.5.1, 7.4, 8.1: nothing, or a code that may be sent and a reason in UTF-8. */
static bool
is_farewell(const char *payload, size_t len)
{
	unsigned code = len < 2
			    ? 0
			    : (unsigned)(unsigned char)payload[0] << 8 | (unsigned char)payload[1];

	if (len == 0)
		return true;
	if (code < 1000 || code > 4999 || (code > 1011 && code < 3000) ||
	    (code >= 1004 && code <= 1006))
		return false;
	return utf8_valid(payload + 2, len - 2);
}

static void
peer_closes(struct lws *wsi, const char *payload, size_t len)
{
	char *exact = fuzz_bytes(payload, len);

	MUST(conn_peer_closes(wsi->conn, exact, len) == is_farewell(payload, len));
	free(exact);
	lose(wsi);
}

/* What happens to one connection. */
static void
socket_step(struct lws *wsi, char what, const char *text, size_t len)
{
	if (wsi == NULL)
		return;
	if (strchr("mfRpPb", what) != NULL)
		receive(wsi, what, text, len);
	else if (what == 'z')
		peer_closes(wsi, text, len);
	else if (what == 'o')
		conn_pong(wsi->conn, now_ms);
	else if (what == 'g')
		lose(wsi);
	else if (what == 'k')
		log_out(wsi);
	else if (what == 'n')
		wsi->fails = true;
	else
		wsi->partial = what == 'w';
}

static void
step(const char *line, size_t len)
{
	unsigned n = len > 1 ? (unsigned char)line[1] - '0' : 0;
	int64_t person = n % PEOPLE == 0 ? PEOPLE : n % PEOPLE;

	if (strchr("cve", line[0]) != NULL)
		admit(person, line[0] != 'c', line[0] == 'e' ? 90 : 28800);
	else if (line[0] == 't')
		pass_time(n);
	else if (line[0] == 's')
		db_run(len > 1 && line[1] == 'f');
	else if (line[0] == 'r')
		relay_results(&relay);
	else if (line[0] == 'h')
		db_approve(person);
	else if (strchr("mfRpPbzognkwy", line[0]) != NULL)
		socket_step(pick(n), line[0], line + 2, len > 2 ? len - 2 : 0);
	settle();
}

static void
make_tokens(void)
{
	for (int i = 1; i <= PEOPLE; i++) {
		struct claims c = { .user = { i }, .role = db_row(i).role };

		buf_init(&tokens[i], TOKEN_BYTES_MAX);
		MUST(token_issue(&relay.keys.first, &c, clock_wall_ms() / 1000, 86400,
			 &tokens[i]) == ERR_OK);
	}
}

static void
begin(enum visibility visibility)
{
	static const struct turn_settings turn = { .url_count = 0 };
	const struct hub_settings settings = { .visibility = visibility,
		.presence_grace_ms = 10000,
		.ring_timeout_ms = 45000,
		.call_grace_ms = 30000,
		.call_max_ms = 4 * 3600 * 1000,
		.turn = &turn,
		.heartbeat_ms = PING_INTERVAL_MS,
		.messages_per_s = 50,
		.user_connections = USER_CONNECTIONS_MAX,
		.list_interval_ms = 100,
		.list_fresh_max = 3 };
	struct conn_events events = dispatch_events;

	now_ms = 1000;
	due_ms = INT64_MAX;
	db_reset();
	relay.keys.first = (struct token_key){
		(const unsigned char *)"0123456789abcdef0123456789abcdef", 32
	};
	if (tokens[1].data == NULL)
		make_tokens();
	events.context = &relay;
	events.message = on_message;
	relay.wake_at = wake_at;
	relay.hub = hub_new(&settings);
	relay.conns = conn_table_new(SOCKETS_MAX, 50, &events);
	MUST(relay.hub != NULL && relay.conns != NULL);
	relay_event(&relay, &(struct event){ .kind = EVENT_LOADED });
}

/* All go, and what is left to be stored is. */
static void
end(void)
{
	for (struct lws *wsi = sockets; wsi < sockets + SOCKETS_MAX; wsi++) {
		if (wsi->conn != NULL)
			lose(wsi);
	}
	MUST(conn_table_count(relay.conns) == 0);
	db_run(false);
	relay_results(&relay);
	pass_time(7);
	while (!db_is_idle()) {
		db_run(false);
		relay_results(&relay);
	}
	MUST(hub_calls(relay.hub) == 0);
	db_check();
	hub_free(relay.hub);
	conn_table_free(relay.conns);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	const char *line;
	size_t len;

	log_open("fuzz", (enum log_level)(LOG_ERROR + 1));
	begin(size > 0 && data[0] == 'S' ? VISIBILITY_SCOPED : VISIBILITY_ALL);
	while (fuzz_line(&in, &line, &len)) {
		if (len > 0)
			step(line, len);
	}
	end();
	return 0;
}
