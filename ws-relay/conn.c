#include "conn.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/request_id.h"
#include "base/str.h"
#include "message.h"
#include "metrics/metrics.h"
#include "peers.h"
#include "wheel.h"

_Static_assert(FRAME_HEADROOM >= LWS_PRE, "a frame has no room for libwebsockets' header");

enum {
	BACKSTOP_S = 5, /* for a peer that does not take its close frame */
	WRITES_AT_ONCE = 16,
	HIGH_WATER_MS = 30 * 1000, /* METRIC_OUTBOX_HIGH is of this and what came of the next */
	NO_STATUS = 1005,	   /* RFC 6455 7.4.1: a close frame without a code */
	NO_CLOSE = 1006,	   /* and none at all */
};

_Static_assert((int)FRAME__COUNT == (int)METRIC_TYPES_OUT, "METRIC_MESSAGES_OUT has other types");

/* What is known of a connection that has not opened yet. */
struct newcomer {
	struct user user;
	char request[REQUEST_ID_SIZE];
};

struct connection {
	struct wheel_entry visit; /* first: what the wheel hands back */
	struct conn_table *table;
	struct conn_id id;
	struct peer *peer;	   /* NULL: it is not counted by its address */
	struct lws *wsi;	   /* NULL: not open yet */
	struct newcomer *newcomer; /* until opened() has returned */
	struct user_id user_id;
	char *session;
	int64_t epoch;
	struct address address;
	int64_t expires_s;
	enum close_code close_code;
	/* Bits, for there may be many thousands of these. */
	bool v1 : 1;
	bool is_doctor : 1;
	bool warned : 1; /* that its token is about to end */
	bool ping_due : 1;
	bool peer_closed : 1; /* its close frame has come: nothing after that counts (RFC 6455
				 5.5.1) */
	bool counted : 1;     /* see ended() */

	struct outbox outbox;
	uint64_t list_revision; /* the last that was sent */

	struct buf message; /* the fragments so far */
	int64_t message_ms; /* when the first came; 0: none */
	int64_t heard_ms;   /* the last byte from the peer */

	struct allowance allowance;

	struct connection *prev; /* in the table's list of those that are open */
	struct connection *next;
};

struct conn_table {
	struct conn_events events;
	int rate;
	unsigned max;
	unsigned count;
	unsigned of_role[2];		 /* by METRIC_OF_PATIENTS, METRIC_OF_DOCTORS */
	struct connection **connections; /* by the low half of the id */
	uint32_t *generations;
	uint32_t *free_list;
	unsigned free_count;
	struct connection *open;
	struct wheel wheel;
	struct peer *peers; /* those that are counted */

	int64_t high_water; /* bytes, the most in an outbox since */
	int64_t high_water_ms;
};

struct conn_table *
conn_table_new(unsigned max, int rate, const struct conn_events *events)
{
	struct conn_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->events = *events;
	t->rate = rate;
	t->max = max;
	t->connections = calloc(max, sizeof(struct connection *));
	t->generations = calloc(max, sizeof(uint32_t));
	t->free_list = calloc(max, sizeof(uint32_t));
	if (t->connections == NULL || t->generations == NULL || t->free_list == NULL) {
		conn_table_free(t);
		return NULL;
	}
	while (t->free_count < max) {
		t->free_list[t->free_count] = max - 1 - t->free_count;
		t->free_count++;
	}
	return t;
}

void
conn_table_free(struct conn_table *t)
{
	if (t == NULL)
		return;
	free(t->connections);
	free(t->generations);
	free(t->free_list);
	free(t);
}

void
conn_table_set_rate(struct conn_table *t, int rate)
{
	t->rate = rate;
}

unsigned
conn_table_count(const struct conn_table *t)
{
	return t->count;
}

unsigned
conn_table_count_from(const struct conn_table *t, struct address address)
{
	return peers_count(t->peers, address);
}

static uint32_t
index_of(struct conn_id id)
{
	return (uint32_t)id.v - 1;
}

static void
count_in(struct conn_table *t, const struct connection *c, int n)
{
	unsigned role = c->is_doctor ? METRIC_OF_DOCTORS : METRIC_OF_PATIENTS;

	t->count += (unsigned)n;
	t->of_role[role] += (unsigned)n;
	metric_set(METRIC_CONNECTIONS, role, t->of_role[role]);
}

struct connection *
conn_new(struct conn_table *t, const struct conn_origin *o)
{
	struct connection *c;
	uint32_t i;

	if (t->free_count == 0 || (c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->newcomer = malloc(sizeof(*c->newcomer));
	c->session = strdup(o->session);
	c->epoch = o->epoch;
	if (c->newcomer == NULL || c->session == NULL ||
	    !peers_enter(&t->peers, o->address, &c->peer)) {
		free(c->newcomer);
		free(c->session);
		free(c);
		return NULL;
	}
	c->newcomer->user = *o->user;
	snprintf(c->newcomer->request, sizeof(c->newcomer->request), "%s", o->request);
	i = t->free_list[--t->free_count];
	t->connections[i] = c;
	c->is_doctor = o->user->role == ROLE_DOCTOR;
	count_in(t, c, 1);
	c->table = t;
	c->id.v = (uint64_t)++t->generations[i] << 32 | (i + 1);
	c->user_id = o->user->id;
	c->address = o->address;
	c->expires_s = o->expires_s;
	c->v1 = o->v1;
	c->close_code = o->close;
	buf_init(&c->message, MESSAGE_BYTES_MAX);
	return c;
}

void
conn_free(struct connection *c)
{
	struct conn_table *t = c->table;
	uint32_t i = index_of(c->id);

	peers_leave(&t->peers, c->peer);
	t->connections[i] = NULL;
	t->free_list[t->free_count++] = i;
	count_in(t, c, -1);
	outbox_fini(&c->outbox);
	buf_fini(&c->message);
	free(c->newcomer);
	free(c->session);
	free(c);
}

struct connection *
conn_find_id(struct conn_table *t, struct conn_id id)
{
	uint32_t i = index_of(id);
	struct connection *c = i < t->max ? t->connections[i] : NULL;

	return c != NULL && conn_same(c->id, id) ? c : NULL;
}

struct conn_id
conn_id_of(const struct connection *c)
{
	return c->id;
}

const struct user *
conn_user(const struct connection *c)
{
	return &c->newcomer->user;
}

const char *
conn_request(const struct connection *c)
{
	return c->newcomer->request;
}

struct user_id
conn_user_id(const struct connection *c)
{
	return c->user_id;
}

struct address
conn_address(const struct connection *c)
{
	return c->address;
}

const char *
conn_session(const struct connection *c)
{
	return c->session;
}

int64_t
conn_epoch(const struct connection *c)
{
	return c->epoch;
}

bool
conn_is_v1(const struct connection *c)
{
	return c->v1;
}

uint64_t
conn_list_revision(const struct connection *c)
{
	return c->list_revision;
}

int64_t
conn_expires_s(const struct connection *c)
{
	return c->expires_s;
}

/* Until the next ping, or until the token ends, or a v1 client is to be told that it will, where
 * that is sooner. */
static int64_t
visit_interval(const struct connection *c, int64_t wall_s)
{
	int64_t left_ms = (c->expires_s - wall_s) * 1000;

	if (c->v1 && !c->warned)
		left_ms = left_ms > TOKEN_WARNING_MS ? left_ms - TOKEN_WARNING_MS : 0;
	return left_ms < PING_INTERVAL_MS ? left_ms : PING_INTERVAL_MS;
}

bool
conn_renew(struct connection *c, const char *session, int64_t epoch, int64_t expires_s)
{
	if (!str_replace(&c->session, session))
		return false;
	c->epoch = epoch;
	c->expires_s = expires_s;
	c->warned = false;
	wheel_hasten(&c->table->wheel, &c->visit, visit_interval(c, clock_wall_ms() / 1000));
	return true;
}

void
conn_opened(struct connection *c, struct lws *wsi, int64_t now_ms)
{
	struct conn_table *t = c->table;
	enum close_code refused = c->close_code;

	c->wsi = wsi;
	c->heard_ms = now_ms;
	allowance_init(&c->allowance, t->rate, now_ms);
	DL_APPEND(t->open, c);
	wheel_add(&t->wheel, &c->visit, visit_interval(c, clock_wall_ms() / 1000));
	metric_add_own(METRIC_HANDSHAKES, metric_series(METRIC_HANDSHAKES, "101", NULL), 1);
	if (refused != CLOSE_NONE) {
		c->close_code = CLOSE_NONE;
		conn_close(c, refused);
		return;
	}
	t->events.opened(t->events.context, c);
	free(c->newcomer);
	c->newcomer = NULL;
}

/* Counts how C ends, or is about to, once: by whom, and with which close code. */
static void
ended(struct connection *c, const char *by, int code)
{
	if (!c->counted)
		metric_add_own(METRIC_CLOSES, metric_series_of(METRIC_CLOSES, by, code), 1);
	c->counted = true;
}

void
conn_closed(struct connection *c)
{
	struct conn_table *t = c->table;

	ended(c, "network", NO_CLOSE);
	wheel_remove(&t->wheel, &c->visit);
	DL_DELETE(t->open, c);
	c->wsi = NULL;
	t->events.lost(t->events.context, c);
	conn_free(c);
}

/* What waits is still sent, unless there is too much of it, or it is not for this client any more.
 */
static bool
drops_queue(enum close_code code)
{
	return code == CLOSE_SLOW_READER || code == CLOSE_INTERNAL || code == CLOSE_REVOKED ||
	       code == CLOSE_TOKEN_EXPIRED;
}

bool
conn_is_closing(const struct connection *c)
{
	return c->close_code != CLOSE_NONE;
}

void
conn_close(struct connection *c, enum close_code code)
{
	if (c->close_code != CLOSE_NONE)
		return;
	c->close_code = code;
	ended(c, "server", (int)code);
	if (drops_queue(code))
		outbox_fini(&c->outbox);
	buf_fini(&c->message);
	c->message_ms = 0;
	if (c->wsi == NULL)
		return;
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, BACKSTOP_S);
	lws_callback_on_writable(c->wsi);
}

/* Without a close frame: the peer is not there to read it, as BY has found out. */
static void
drop(struct connection *c, const char *by)
{
	ended(c, by, NO_CLOSE);
	if (c->close_code == CLOSE_NONE)
		c->close_code = CLOSE_GOING_AWAY;
	outbox_fini(&c->outbox);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

/* False: the socket has failed, and C must be given up. */
static bool
write_frame(struct connection *c, struct frame *f)
{
	/* The header goes into the frame's headroom: the same bytes for every receiver, for a
	 * server never masks. */
	if (lws_write(c->wsi, (unsigned char *)f->text, f->len, LWS_WRITE_TEXT) < 0)
		return false;
	metric_add_own(METRIC_MESSAGES_OUT, f->kind, 1);
	metric_add_own(METRIC_BYTES_OUT, 0, (int64_t)f->len);
	return true;
}

static bool
write_list(struct connection *c)
{
	uint64_t revision = 0;
	struct frame *f = c->table->events.list(c->table->events.context, c, &revision);

	if (f == NULL) {
		conn_close(c, CLOSE_INTERNAL);
		return true;
	}
	if (c->list_revision == revision)
		return true;
	c->list_revision = revision;
	return write_frame(c, f);
}

static bool
write_ping(struct connection *c)
{
	unsigned char ping[LWS_PRE + 1] = {
		0
	}; /* libwebsockets tells nothing of the pong to an empty one */

	c->ping_due = false;
	return lws_write(c->wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) >= 0;
}

/* Nothing waits to be written. Whether the kernel has room is not asked, which would be a system
 * call for each message: what it does not take of one, libwebsockets keeps. */
static bool
socket_is_free(const struct connection *c)
{
	return c->outbox.count == 0 && !lws_partial_buffered(c->wsi);
}

bool
conn_writeable(struct connection *c)
{
	struct frame *f;
	bool ok = true;

	if (c->close_code != CLOSE_NONE && c->outbox.count == 0) {
		lws_close_reason(c->wsi, (enum lws_close_status)c->close_code, NULL, 0);
		return false;
	}
	if (c->ping_due)
		ok = write_ping(c);
	for (int i = 0; ok && i < WRITES_AT_ONCE && !lws_partial_buffered(c->wsi); i++) {
		if (!outbox_take(&c->outbox, &f))
			break;
		ok = f == NULL ? write_list(c) : write_frame(c, f);
		frame_unref(f);
	}
	if (ok && (c->outbox.count > 0 || c->close_code != CLOSE_NONE))
		lws_callback_on_writable(c->wsi);
	return ok;
}

static void
enqueued(struct connection *c, enum err e)
{
	if (e == ERR_OK) {
		if ((int64_t)c->outbox.bytes > c->table->high_water)
			c->table->high_water = (int64_t)c->outbox.bytes;
		lws_callback_on_writable(c->wsi);
		return;
	}
	conn_close(c, e == ERR_TOO_BIG ? CLOSE_SLOW_READER : CLOSE_INTERNAL);
}

void
conn_send(struct connection *c, struct frame *frame)
{
	if (c->close_code != CLOSE_NONE || c->wsi == NULL)
		return;
	if (!socket_is_free(c))
		enqueued(c, outbox_add(&c->outbox, frame));
	else if (!write_frame(c, frame))
		drop(c, "network");
}

void
conn_send_list(struct connection *c)
{
	if (c->close_code != CLOSE_NONE || c->wsi == NULL)
		return;
	if (!socket_is_free(c))
		enqueued(c, outbox_add_list(&c->outbox));
	else if (!write_list(c))
		drop(c, "network");
}

void
conn_send_presence(struct connection *c, struct frame *frame, uint64_t revision)
{
	if (c->close_code != CLOSE_NONE || c->wsi == NULL)
		return;
	if (frame == NULL || !socket_is_free(c)) {
		conn_send_list(c);
		return;
	}
	c->list_revision = revision;
	if (!write_frame(c, frame))
		drop(c, "network");
}

/* The fragments so far and LEN bytes more are a whole message. */
static void
deliver(struct connection *c, const void *data, size_t len, int64_t woken_us)
{
	struct conn_table *t = c->table;

	if (c->message.len > 0) { /* else the usual case: one frame, in one piece */
		buf_add(&c->message, data, len);
		data = c->message.data;
		len = c->message.len;
	}
	if (c->message.failed)
		conn_close(c, CLOSE_INTERNAL);
	else
		t->events.message(t->events.context, c, len > 0 ? data : "", len, woken_us);
	buf_fini(&c->message);
}

void
conn_received(struct connection *c, const void *data, size_t len, int64_t woken_us)
{
	size_t left = lws_remaining_packet_payload(c->wsi);
	int64_t now_ms = woken_us / 1000;

	c->heard_ms = now_ms;
	if (c->close_code != CLOSE_NONE || c->peer_closed)
		return;
	if (lws_frame_is_binary(c->wsi)) {
		conn_close(c, CLOSE_UNSUPPORTED);
		return;
	}
	/* What the frame's header claims counts before a byte of it is kept. */
	if (left > MESSAGE_BYTES_MAX || c->message.len + len + left > MESSAGE_BYTES_MAX) {
		conn_close(c, CLOSE_TOO_BIG);
		return;
	}
	if (left == 0 && lws_is_final_fragment(c->wsi)) {
		c->message_ms = 0;
		deliver(c, data, len, woken_us);
		return;
	}
	if (c->message_ms == 0) {
		c->message_ms = now_ms;
		wheel_hasten(&c->table->wheel, &c->visit, ASSEMBLY_MAX_MS);
	}
	buf_add(&c->message, data, len);
	if (c->message.failed)
		conn_close(c, CLOSE_INTERNAL);
}

/* May CODE be sent (RFC 6455 7.4)? */
static bool
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1011 && (code < 1004 || code > 1006)) ||
	       (code >= 3000 && code <= 4999);
}

static int
close_code_in(const unsigned char *payload)
{
	return payload[0] << 8 | payload[1];
}

/* What is wrong with the PAYLOAD of a close frame (RFC 6455 5.5.1, 8.1). */
static enum close_code
fault_of_close(const unsigned char *payload, size_t len)
{
	enum { CODE = 2 }; /* bytes, ahead of the reason */

	if (len == 0)
		return CLOSE_NONE;
	if (len < CODE || !is_close_code((unsigned)close_code_in(payload)))
		return CLOSE_PROTOCOL;
	return utf8_valid((const char *)payload + CODE, len - CODE) ? CLOSE_NONE
								    : CLOSE_INVALID_TEXT;
}

bool
conn_peer_closes(struct connection *c, const void *payload, size_t len)
{
	enum close_code fault = fault_of_close(payload, len);

	c->peer_closed = true;
	if (fault == CLOSE_NONE) {
		ended(c, "client", len == 0 ? NO_STATUS : close_code_in(payload));
		return true;
	}
	ended(c, "server", (int)fault);
	lws_close_reason(c->wsi, (enum lws_close_status)fault, NULL, 0);
	return false;
}

void
conn_pong(struct connection *c, int64_t now_ms)
{
	c->heard_ms = now_ms;
}

enum allowed
conn_allow(struct connection *c, unsigned cost, int64_t now_ms)
{
	enum allowed allowed = allowance_take(&c->allowance, c->table->rate, cost, now_ms);

	if (allowed != ALLOWED)
		metric_add_own(METRIC_MESSAGES_REFUSED, METRIC_RATE_LIMITED, 1);
	if (allowed == FLOODING)
		conn_close(c, CLOSE_FLOOD);
	return allowed;
}

void
conn_misbehaved(struct connection *c, int64_t now_ms)
{
	metric_add_own(METRIC_MESSAGES_REFUSED, METRIC_BAD_MESSAGE, 1);
	if (allowance_bad(&c->allowance, now_ms))
		conn_close(c, CLOSE_BAD_MESSAGES);
}

void
conn_each(struct conn_table *t, void (*fn)(void *context, struct connection *c), void *context)
{
	for (struct connection *c = t->open; c != NULL; c = c->next)
		fn(context, c);
}

static void
warn_of_end(struct connection *c, int64_t left_ms)
{
	struct frame *f = frame_token_expiring(left_ms);

	c->warned = true;
	if (f != NULL)
		conn_send(c, f);
	frame_unref(f);
}

struct instant {
	int64_t now_ms; /* monotonic */
	int64_t wall_s; /* Unix time */
};

/* Looks after C, and says when to look again. */
static int64_t
visit(void *context, struct wheel_entry *e)
{
	const struct instant *at = context;
	struct connection *c = (struct connection *)(void *)e;
	int64_t now_ms = at->now_ms;
	int64_t wall_s = at->wall_s;

	if (c->close_code != CLOSE_NONE)
		return PING_INTERVAL_MS;
	if (now_ms - c->heard_ms > SILENCE_MAX_MS) {
		drop(c, "server");
		return PING_INTERVAL_MS;
	}
	if (c->expires_s <= wall_s) {
		conn_close(c, CLOSE_TOKEN_EXPIRED);
		return PING_INTERVAL_MS;
	}
	if (c->v1 && !c->warned && (c->expires_s - wall_s) * 1000 <= TOKEN_WARNING_MS)
		warn_of_end(c, (c->expires_s - wall_s) * 1000);
	if (c->message_ms != 0 && now_ms - c->message_ms >= ASSEMBLY_MAX_MS) {
		conn_close(c, CLOSE_POLICY);
		return PING_INTERVAL_MS;
	}
	c->ping_due = true;
	lws_callback_on_writable(c->wsi);
	return visit_interval(c, wall_s);
}

void
conn_table_tick(struct conn_table *t, int64_t now_ms, int64_t wall_s)
{
	struct instant now = { now_ms, wall_s };
	int64_t shown = metric_get(METRIC_OUTBOX_HIGH, 0);

	if (t->high_water > shown || now_ms - t->high_water_ms >= HIGH_WATER_MS)
		metric_set(METRIC_OUTBOX_HIGH, 0, t->high_water);
	if (now_ms - t->high_water_ms >= HIGH_WATER_MS) {
		t->high_water_ms = now_ms;
		t->high_water = 0;
	}
	wheel_turn(&t->wheel, visit, &now);
}
