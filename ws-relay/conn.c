#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/request_id.h"
#include "base/str.h"
#include "metrics/metrics.h"
#include "peers.h"
#include "slots.h"
#include "wheel.h"
#include "wire.h"

enum { HIGH_WATER_MS = 30 * 1000 }; /* METRIC_OUTBOX_HIGH is of this and what came of the next */

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

	struct wire wire;
	struct assembly *assembly; /* the message that is under way; NULL: none is */
	int64_t heard_ms;	   /* the last byte from the peer */

	struct allowance allowance;

	struct connection *prev; /* in the table's list of those that are open */
	struct connection *next;
};

struct conn_table {
	struct conn_events events;
	int rate;
	unsigned count;
	unsigned of_role[2]; /* by METRIC_OF_PATIENTS, METRIC_OF_DOCTORS */
	struct slots connections;
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
	if (!slots_init(&t->connections, max)) {
		conn_table_free(t);
		return NULL;
	}
	return t;
}

void
conn_table_free(struct conn_table *t)
{
	if (t == NULL)
		return;
	slots_fini(&t->connections);
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

static void
count_in(struct conn_table *t, const struct connection *c, int n)
{
	unsigned role = c->is_doctor ? METRIC_OF_DOCTORS : METRIC_OF_PATIENTS;

	t->count += (unsigned)n;
	t->of_role[role] += (unsigned)n;
	metric_set(METRIC_CONNECTIONS, role, t->of_role[role]);
}

/* Of one that may be half made. */
static void
discard(struct connection *c)
{
	struct conn_table *t = c->table;

	slots_clear(&t->connections, c->id);
	peers_leave(&t->peers, c->peer);
	wire_clear(&c->wire);
	assembly_free(c->assembly);
	free(c->newcomer);
	free(c->session);
	free(c);
}

struct connection *
conn_new(struct conn_table *t, const struct conn_origin *o)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->table = t;
	c->id = slots_put(&t->connections, c);
	c->newcomer = malloc(sizeof(*c->newcomer));
	c->session = strdup(o->session);
	if (c->id.v == 0 || c->newcomer == NULL || c->session == NULL ||
	    !peers_enter(&t->peers, o->address, &c->peer)) {
		discard(c);
		return NULL;
	}
	c->newcomer->user = *o->user;
	snprintf(c->newcomer->request, sizeof(c->newcomer->request), "%s", o->request);
	c->is_doctor = o->user->role == ROLE_DOCTOR;
	c->user_id = o->user->id;
	c->epoch = o->epoch;
	c->address = o->address;
	c->expires_s = o->expires_s;
	c->v1 = o->v1;
	c->close_code = o->close;
	count_in(t, c, 1);
	return c;
}

void
conn_free(struct connection *c)
{
	count_in(c->table, c, -1);
	discard(c);
}

struct connection *
conn_find_id(struct conn_table *t, struct conn_id id)
{
	return slots_find(&t->connections, id);
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
	return c->wire.list_revision;
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

	c->wire.wsi = wsi;
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

	ended(c, "network", CLOSED_WITHOUT_FRAME);
	wheel_remove(&t->wheel, &c->visit);
	DL_DELETE(t->open, c);
	c->wire.wsi = NULL;
	t->events.lost(t->events.context, c);
	conn_free(c);
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
	if (!close_sends_rest(code))
		wire_clear(&c->wire);
	assembly_free(c->assembly);
	c->assembly = NULL;
	if (wire_is_open(&c->wire))
		wire_begin_end(&c->wire);
}

/* Without a close frame: the peer is not there to read it, as BY has found out. */
static void
drop(struct connection *c, const char *by)
{
	ended(c, by, CLOSED_WITHOUT_FRAME);
	if (c->close_code == CLOSE_NONE)
		c->close_code = CLOSE_GOING_AWAY;
	wire_clear(&c->wire);
	wire_kill(&c->wire);
}

/* The newest, for the wire. */
static struct frame *
newest_list(void *context, uint64_t *revision)
{
	struct connection *c = context;

	return c->table->events.list(c->table->events.context, c, revision);
}

bool
conn_writeable(struct connection *c)
{
	enum written got;

	if (c->close_code != CLOSE_NONE && wire_is_idle(&c->wire)) {
		wire_say_goodbye(&c->wire, c->close_code);
		return false;
	}
	if (c->ping_due && !wire_ping(&c->wire))
		return false;
	c->ping_due = false;
	if ((got = wire_go_on(&c->wire, newest_list, c)) == WRITE_NO_MEMORY)
		conn_close(c, CLOSE_INTERNAL);
	if (c->close_code != CLOSE_NONE)
		wire_ask_for_turn(&c->wire);
	return got != WRITE_FAILED;
}

/* Does C still take what is sent? */
static bool
is_listening(const struct connection *c)
{
	return c->close_code == CLOSE_NONE && wire_is_open(&c->wire);
}

/* GOT came of writing to C. */
static void
wrote(struct connection *c, enum written got)
{
	switch (got) {
	case WRITTEN:
		break;
	case WRITE_QUEUED:
		if ((int64_t)wire_waiting(&c->wire) > c->table->high_water)
			c->table->high_water = (int64_t)wire_waiting(&c->wire);
		break;
	case WRITE_TOO_MUCH:
		conn_close(c, CLOSE_SLOW_READER);
		break;
	case WRITE_NO_MEMORY:
		conn_close(c, CLOSE_INTERNAL);
		break;
	case WRITE_FAILED:
		drop(c, "network");
		break;
	}
}

void
conn_send(struct connection *c, struct frame *frame)
{
	if (is_listening(c))
		wrote(c, frame == NULL ? WRITE_NO_MEMORY : wire_send(&c->wire, frame));
}

void
conn_send_list(struct connection *c)
{
	if (is_listening(c))
		wrote(c, wire_send_list(&c->wire, newest_list, c));
}

void
conn_send_presence(struct connection *c, struct frame *frame, uint64_t revision)
{
	if (is_listening(c))
		wrote(c, wire_send_presence(&c->wire, frame, revision, newest_list, c));
}

/* TEXT is a whole message. */
static void
deliver(struct connection *c, const char *text, size_t len, int64_t woken_us)
{
	struct conn_table *t = c->table;

	t->events.message(t->events.context, c, text, len, woken_us);
}

static void
deliver_assembled(struct connection *c, int64_t woken_us)
{
	struct assembly *a = c->assembly;
	size_t len;
	const char *text = assembly_text(a, &len);

	c->assembly = NULL; /* what the message leads to may close the connection */
	deliver(c, text, len, woken_us);
	assembly_free(a);
}

void
conn_received(struct connection *c, const struct piece *p, int64_t woken_us)
{
	int64_t now_ms = woken_us / 1000;

	c->heard_ms = now_ms;
	if (c->close_code != CLOSE_NONE || c->peer_closed)
		return;
	if (p->binary) {
		conn_close(c, CLOSE_UNSUPPORTED);
		return;
	}
	if (!assembly_takes(c->assembly, p)) {
		conn_close(c, CLOSE_TOO_BIG);
		return;
	}
	if (c->assembly == NULL && piece_is_last(p)) { /* the usual case: one frame, read at once */
		deliver(c, p->len > 0 ? p->data : "", p->len, woken_us);
		return;
	}
	if (c->assembly == NULL)
		wheel_hasten(&c->table->wheel, &c->visit, ASSEMBLY_MAX_MS);
	if (!assembly_add(&c->assembly, p, now_ms))
		conn_close(c, CLOSE_INTERNAL);
	else if (piece_is_last(p))
		deliver_assembled(c, woken_us);
}

bool
conn_peer_closes(struct connection *c, const void *payload, size_t len)
{
	int code;
	enum close_code fault = close_frame_check(payload, len, &code);

	c->peer_closed = true;
	if (fault == CLOSE_NONE) {
		ended(c, "client", code);
		return true;
	}
	ended(c, "server", (int)fault);
	wire_say_goodbye(&c->wire, fault);
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
	if (assembly_is_late(c->assembly, now_ms)) {
		conn_close(c, CLOSE_POLICY);
		return PING_INTERVAL_MS;
	}
	c->ping_due = true;
	wire_ask_for_turn(&c->wire);
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
