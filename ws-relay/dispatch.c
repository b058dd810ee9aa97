/* From a connection's text to the hub's event, and from the hub's effects to connections and store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/exit.h"
#include "base/log.h"
#include "base/str.h"
#include "metrics/metrics.h"
#include "relay.h"
#include "trail.h"

enum {
	PARKED_MAX = 1024,
	PARKED_USER_MAX = 256, /* so that one user does not take the room of all others */
};

/* A message to a user whom the hub does not know, or not as one whom its sender can reach, while
 * the store is asked who that is. */
struct parked {
	struct lookup lookup;
	struct relay *relay;
	struct conn_id conn;
	struct user_id from;
	struct user_id to;
	int64_t since_us; /* when it came */
	struct parked *prev;
	struct parked *next;
	size_t len;
	char text[];
};

_Static_assert((int)MESSAGE__COUNT == (int)METRIC_TYPES_IN, "METRIC_MESSAGES_IN has other types");

static struct parked *parked_list;
static unsigned parked_count; /* of these, and of renewals */

static void
send_or_close(struct connection *c, struct frame *f)
{
	if (f == NULL)
		conn_close(c, CLOSE_INTERNAL);
	else
		conn_send(c, f);
}

struct broadcast {
	const struct hub *hub;
	struct frame *frame;
	struct conn_id from;
};

static void
broadcast_one(void *context, struct connection *c)
{
	const struct broadcast *b = context;

	if (hub_hears(b->hub, conn_id_of(c), b->from))
		conn_send(c, b->frame);
}

static void
announce_one(void *context, struct connection *c)
{
	struct relay *r = context;
	struct conn_id id = conn_id_of(c);
	uint64_t revision = hub_list_revision(r->hub, id);
	uint64_t known = conn_list_revision(c);

	if (known == revision)
		return;
	if (conn_is_v1(c))
		conn_send_presence(c, hub_presence(r->hub, id, known), revision);
	else
		conn_send_list(c);
}

/* In the audit trail. */
static void
note_refusal(struct relay *r, const struct connection *c, enum audit_event event, const char *code,
    struct user_id peer)
{
	const struct address from = conn_address(c);

	trail_refusal(r->journal, event, code, conn_user_id(c), peer, &from);
}

static void
count_refusal(const char *reason)
{
	metric_add_own(METRIC_CALLS_REFUSED, metric_series(METRIC_CALLS_REFUSED, reason, NULL), 1);
}

static void
carry_out(struct relay *r, const struct effect *e)
{
	struct broadcast b = { .hub = r->hub, .frame = e->frame, .from = e->conn };
	struct connection *c = e->conn.v == 0 ? NULL : conn_find_id(r->conns, e->conn);
	struct address from = { { 0 } };

	switch (e->kind) {
	case EFFECT_SEND:
		if (e->code != NULL)
			count_refusal(e->code);
		if (c != NULL)
			send_or_close(c, e->frame);
		break;
	case EFFECT_BROADCAST:
		conn_each(r->conns, broadcast_one, &b);
		break;
	case EFFECT_LIST:
		if (c != NULL)
			conn_send_list(c);
		break;
	case EFFECT_ANNOUNCE:
		conn_each(r->conns, announce_one, r);
		break;
	case EFFECT_PERSIST:
		/* Without memory for it, the hub and the store would part ways. What is stored is
		 * all that a new process needs, so this one makes room for it. */
		if (e->persist.conn.v != 0 && (c = conn_find_id(r->conns, e->persist.conn)) != NULL)
			from = conn_address(c);
		if (!journal_persist(r->journal, &e->persist, &from)) {
			LOG0(LOG_ERROR, "out_of_memory");
			_Exit(EXIT_TEMPORARY);
		}
		break;
	case EFFECT_DENIED:
		if (c != NULL)
			note_refusal(r, c, AUDIT_DENIED, e->code, e->peer);
		break;
	}
}

void
relay_event(struct relay *r, const struct event *ev)
{
	hub_step(r->hub, ev, clock_monotonic_ms(), clock_wall_ms(), &r->fx);
	for (unsigned i = 0; i < r->fx.count; i++)
		carry_out(r, &r->fx.list[i]);
	effects_fini(&r->fx);
	r->wake_at(r->context, hub_deadline(r->hub));
}

void
relay_refuse_calls(struct relay *r, bool refuse)
{
	hub_refuse_calls(r->hub, refuse);
	metric_set(METRIC_DRAINING, 0, refuse);
	LOG(LOG_INFO, refuse ? "draining" : "drained_no_more", F_INT("calls", hub_calls(r->hub)));
}

/* Has CONN's message M, which came at SINCE_US, carried out. */
static void
pass_on(struct relay *r, struct conn_id conn, const struct message *m, int64_t since_us)
{
	relay_event(r, &(struct event){ .kind = EVENT_MESSAGE, .conn = conn, .message = m });
	metric_observe_own(METRIC_RELAY_TIME, 0, clock_monotonic_us() - since_us);
}

static void
send_error(struct connection *c, const struct message *m, const char *code, const char *why)
{
	struct frame *f = frame_error(code, why, m->type_text, m->id);

	send_or_close(c, f);
	frame_unref(f);
}

/* M is not carried out, whatever it says. A call_start has its call_response even then. */
static void
turn_down(struct connection *c, const struct message *m, const char *code, const char *why)
{
	struct frame *f;

	if (m->type != MESSAGE_CALL_START || m->to.v == 0) {
		send_error(c, m, code, why);
		return;
	}
	count_refusal(code);
	f = frame_call_refused(m->to, m->call_id, code, m->id);
	send_or_close(c, f);
	frame_unref(f);
}

static void
recipient_found(struct lookup *l, const struct job *j)
{
	struct parked *p = (struct parked *)(void *)l;
	struct connection *c = conn_find_id(p->relay->conns, p->conn);
	struct refusal refusal;
	struct message m;

	parked_count--;
	DL_DELETE(parked_list, p);
	if (c == NULL) {
		free(p);
		return;
	}
	if (message_read(p->text, p->len, &m, &refusal) != ERR_OK) {
		conn_close(c, CLOSE_INTERNAL); /* it was read before: there is no memory */
	} else if (j->outcome != ERR_OK && j->outcome != ERR_NOT_FOUND) {
		turn_down(c, &m, "unavailable", "The database cannot take this now");
	} else {
		m.to_role = j->outcome == ERR_OK && !user_is_hidden(&j->user) ? j->user.role
									      : ROLE_NONE;
		pass_on(p->relay, p->conn, &m, p->since_us);
	}
	message_fini(&m);
	free(p);
}

/* Does a message from CONN to TO wait? What follows it must not overtake it. */
static bool
is_parked(struct conn_id conn, struct user_id to)
{
	for (const struct parked *p = parked_list; p != NULL; p = p->next) {
		if (conn_same(p->conn, conn) && user_same(p->to, to))
			return true;
	}
	return false;
}

/* May one more question of FROM's wait for the store? */
static bool
has_room(struct user_id from)
{
	unsigned count = 0;

	for (const struct parked *p = parked_list; p != NULL; p = p->next)
		count += user_same(p->from, from);
	return parked_count < PARKED_MAX && count < PARKED_USER_MAX;
}

/* Keeps C's text until the store has said who its recipient is. False: there is no room. */
static bool
park(struct relay *r, struct connection *c, struct user_id to, const char *text, size_t len,
    int64_t since_us)
{
	struct parked *p;

	if (!has_room(conn_user_id(c)) || (p = malloc(sizeof(*p) + len)) == NULL)
		return false;
	*p = (struct parked){
		.lookup.done = recipient_found, .relay = r, .conn = conn_id_of(c), .len = len
	};
	p->from = conn_user_id(c);
	p->to = to;
	p->since_us = since_us;
	memcpy(p->text, text, len);
	if (!journal_lookup(r->journal, to, &p->lookup)) {
		free(p);
		return false;
	}
	DL_APPEND(parked_list, p);
	parked_count++;
	return true;
}

/* A token_refresh, while the store is asked whether the new token's session is good. */
struct renewal {
	struct lookup lookup;
	struct relay *relay;
	struct conn_id conn;
	struct claims claims;
	char id[CLIENT_ID_SIZE]; /* the message's; "": none */
};

static void
renewal_checked(struct lookup *l, const struct job *j)
{
	struct renewal *n = (struct renewal *)(void *)l;
	struct connection *c = conn_find_id(n->relay->conns, n->conn);
	const char *id = n->id[0] == '\0' ? NULL : n->id;
	struct frame *f = NULL;

	parked_count--;
	if (c != NULL && j->outcome == ERR_OK &&
	    conn_renew(c, n->claims.session, n->claims.epoch, n->claims.expires_s)) {
		if (id != NULL && (f = frame_ack_token(id, n->claims.expires_s * 1000)) != NULL)
			conn_send(c, f);
	} else if (c != NULL && (j->outcome == ERR_DENIED || j->outcome == ERR_NOT_FOUND)) {
		send_or_close(
		    c, f = frame_error("forbidden", "The token was revoked", "token_refresh", id));
		note_refusal(n->relay, c, AUDIT_DENIED, "forbidden", n->claims.user);
	} else if (c != NULL) {
		send_or_close(c, f = frame_error("unavailable", "The database cannot take this now",
				     "token_refresh", id));
	}
	frame_unref(f);
	free(n);
}

/* The connection goes on with the token of M, of the same user. */
static void
renew(struct relay *r, struct connection *c, const struct message *m)
{
	char token[TOKEN_BYTES_MAX + 1];
	struct claims claims;
	struct renewal *n;
	enum err e = ERR_DENIED;

	if (json_raw_string(m->token, token, sizeof(token)))
		e = token_verify(&r->keys, token, strlen(token), clock_wall_ms() / 1000, &claims);
	if (e == ERR_DENIED || (e == ERR_OK && !user_same(claims.user, conn_user_id(c)))) {
		send_error(
		    c, m, "forbidden", "The token is malformed, expired, or somebody else's");
		note_refusal(r, c, AUDIT_DENIED, "forbidden", (struct user_id){ 0 });
		return;
	}
	n = e == ERR_OK && has_room(claims.user) ? calloc(1, sizeof(*n)) : NULL;
	if (n == NULL) {
		send_error(c, m, "unavailable", "Too much is waiting for the database");
		return;
	}
	*n = (struct renewal){
		.lookup.done = renewal_checked, .relay = r, .conn = conn_id_of(c), .claims = claims
	};
	snprintf(n->id, sizeof(n->id), "%s", m->id == NULL ? "" : m->id);
	if (!journal_lookup_token(r->journal, &claims, &n->lookup)) {
		free(n);
		send_error(c, m, "unavailable", "There is no memory for this now");
		return;
	}
	parked_count++;
}

static void
on_message(void *context, struct connection *c, const char *text, size_t len, int64_t since_us)
{
	struct relay *r = context;
	int64_t now_ms = clock_monotonic_ms();
	struct conn_id conn = conn_id_of(c);
	struct refusal refusal;
	struct message m;
	enum err e = message_read(text, len, &m, &refusal);
	enum allowed allowed;

	metric_add_own(METRIC_MESSAGES_IN, m.type, 1);
	/* What the JSON gate has taken is UTF-8; what it has not may break RFC 6455 8.1 as well. */
	if (e == ERR_INVALID && !utf8_valid(text, len)) {
		conn_close(c, CLOSE_INVALID_TEXT);
	} else if ((allowed = conn_allow(c, message_cost(m.type), now_ms)) != ALLOWED) {
		turn_down(c, &m, "rate_limited", "Too many messages: this one was dropped");
		if (allowed != REFUSED)
			note_refusal(r, c, AUDIT_LIMITED,
			    allowed == FLOODING ? "flood" : "messages", (struct user_id){ 0 });
	} else if (e == ERR_INVALID) {
		send_error(c, &m, refusal.code, refusal.message);
		conn_misbehaved(c, now_ms);
	} else if (e != ERR_OK) {
		conn_close(c, CLOSE_INTERNAL); /* without memory nobody knows its id: no answer
						  could carry it */
	} else if (m.type == MESSAGE_TOKEN_REFRESH) {
		renew(r, c, &m);
	} else if (m.to.v == 0 || (hub_reaches(r->hub, conn, m.to) && !is_parked(conn, m.to))) {
		pass_on(r, conn, &m, since_us);
	} else if (!park(r, c, m.to, text, len, since_us)) {
		turn_down(c, &m, "unavailable", "Too much is waiting for the database");
	}
	message_fini(&m);
}

static void
on_opened(void *context, struct connection *c)
{
	struct event ev = {
		.kind = EVENT_CONNECTED,
		.conn = conn_id_of(c),
		.v1 = conn_is_v1(c),
		.expires_ms = conn_expires_s(c) * 1000,
		.user = conn_user(c),
	};

	/* Without it, which only a broken kernel brings about, it is one that says nothing. */
	if (getrandom(&ev.shown_id, sizeof(ev.shown_id), GRND_NONBLOCK) != sizeof(ev.shown_id))
		ev.shown_id = 0;
	relay_event(context, &ev);
}

static void
on_lost(void *context, struct connection *c)
{
	relay_event(context, &(struct event){ .kind = EVENT_LOST, .conn = conn_id_of(c) });
}

static struct frame *
newest_list(void *context, struct connection *c, uint64_t *revision)
{
	struct relay *r = context;

	return hub_list(r->hub, conn_id_of(c), revision);
}

const struct conn_events relay_conn_events = {
	.opened = on_opened,
	.message = on_message,
	.lost = on_lost,
	.list = newest_list,
};

static void
count_call(const struct job *j)
{
	const struct persist *p = &j->persist;

	if (j->outcome != ERR_OK)
		return;
	if (p->kind == PERSIST_CALL_START)
		metric_add_own(METRIC_CALLS_STARTED, 0, 1);
	else if (p->kind == PERSIST_CALL_ANSWER)
		metric_observe_own(METRIC_ANSWER_TIME, 0, p->rang_ms * 1000);
	else if (p->kind == PERSIST_CALL_END)
		metric_add_own(METRIC_CALLS_ENDED,
		    metric_series(METRIC_CALLS_ENDED, call_reason_name(p->reason), NULL), 1);
}

/* Names the REST request that has made a change, as it is passed on to the connections; of a change
 * that no request has made there is nothing to name. */
static void
log_push(const struct job *j, const char *what)
{
	if (j->request[0] != '\0')
		LOG(LOG_INFO, "push", F_STR("request", j->request), F_STR("what", what),
		    F_INT("user", j->user.id.v));
}

/* The connections of a user, which a callback collects so that what it leads to may change them. */
struct connections {
	unsigned count;
	struct conn_id list[USER_CONNECTIONS_MAX];
};

static void
collect(void *context, struct conn_id id)
{
	struct connections *all = context;

	if (all->count < USER_CONNECTIONS_MAX)
		all->list[all->count++] = id;
}

/* SESSION was logged out; NULL: U's row has changed, by which all her sessions may have ended. */
static bool
is_ended(const struct connection *c, const struct user *u, const char *session)
{
	if (session != NULL)
		return strcmp(conn_session(c), session) == 0;
	return u->disabled || conn_epoch(c) != u->epoch;
}

static void
end_sessions(struct relay *r, const struct user *u, const char *session)
{
	struct connections all = { .count = 0 };

	hub_each_connection(r->hub, u->id, collect, &all);
	for (unsigned i = 0; i < all.count; i++) {
		struct connection *c = conn_find_id(r->conns, all.list[i]);

		if (c == NULL || !is_ended(c, u, session))
			continue;
		relay_event(r, &(struct event){ .kind = EVENT_REVOKED, .conn = all.list[i] });
		conn_close(c, CLOSE_REVOKED);
	}
}

static void
on_result(struct relay *r, const struct job *j)
{
	struct event ev = { .outcome = j->outcome, .user = &j->user };
	struct lookup *l = j->cookie;

	switch (j->kind) {
	case JOB_NOTE:
		trail_refusal_done(j);
		break;
	case JOB_LOOKUP:
		l->done(l, j);
		break;
	case JOB_CHANGED:
		end_sessions(r, &j->user, NULL);
		ev.kind = EVENT_CHANGED;
		relay_event(r, &ev);
		log_push(j, "user");
		break;
	case JOB_REVOKED:
		end_sessions(r, &j->user, j->session);
		log_push(j, "logout");
		break;
	case JOB_END_CALL:
		relay_event(r, &(struct event){ .kind = EVENT_CALL_REVOKED, .call = &j->call });
		break;
	case JOB_DRAIN:
		if (!r->stopping)
			relay_refuse_calls(r, j->drain);
		break;
	case JOB_PERSIST:
		ev.kind = EVENT_PERSISTED;
		ev.persist = &j->persist;
		ev.status = j->user.status;
		count_call(j);
		relay_event(r, &ev);
		metric_set(METRIC_CALLS_LIVE, 0, hub_calls(r->hub));
		break;
	}
}

void
relay_results(struct relay *r)
{
	struct job *next;

	for (struct job *j = journal_take(r->journal); j != NULL; j = next) {
		next = j->next;
		on_result(r, j);
		free(j);
	}
}
