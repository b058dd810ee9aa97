#include "dispatch.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/str.h"
#include "metrics/metrics.h"
#include "parked.h"
#include "relay.h"

_Static_assert((int)MESSAGE__COUNT == (int)METRIC_TYPES_IN, "METRIC_MESSAGES_IN has other types");

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

	conn_send(c, f);
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
	relay_count_refused_call(code);
	f = frame_call_refused(m->to, m->call_id, code, m->id);
	conn_send(c, f);
	frame_unref(f);
}

/* M's text, whose recipient the store knows by now, or knows not to be there. */
static void
on_recipient(struct relay *r, struct connection *c, const void *text, size_t len, int64_t since_us,
    const struct job *answer)
{
	struct refusal refusal;
	struct message m;

	if (message_read(text, len, &m, &refusal) != ERR_OK) {
		conn_close(c, CLOSE_INTERNAL); /* it was read before: there is no memory */
	} else if (answer->outcome != ERR_OK && answer->outcome != ERR_NOT_FOUND) {
		turn_down(c, &m, "unavailable", "The database cannot take this now");
	} else {
		m.to_role = answer->outcome == ERR_OK && !user_is_hidden(&answer->user)
				? answer->user.role
				: ROLE_NONE;
		pass_on(r, conn_id_of(c), &m, since_us);
	}
	message_fini(&m);
}

/* A token_refresh, while the store is asked whether the new token's session is good. */
struct renewal {
	struct claims claims;
	char id[CLIENT_ID_SIZE]; /* the message's; "": none */
};

static void
on_renewal(struct relay *r, struct connection *c, const void *what, size_t len, int64_t since_us,
    const struct job *answer)
{
	const struct renewal *n = what;
	const char *id = n->id[0] == '\0' ? NULL : n->id;
	struct frame *f = NULL;

	(void)len;
	(void)since_us;
	if (answer->outcome == ERR_OK &&
	    conn_renew(c, n->claims.session, n->claims.epoch, n->claims.expires_s)) {
		if (id != NULL) {
			f = frame_ack_token(id, n->claims.expires_s * 1000);
			conn_send(c, f);
		}
	} else if (answer->outcome == ERR_DENIED || answer->outcome == ERR_NOT_FOUND) {
		f = frame_error("forbidden", "The token was revoked", "token_refresh", id);
		conn_send(c, f);
		relay_note_refusal(r, c, AUDIT_DENIED, "forbidden", n->claims.user);
	} else {
		f = frame_error(
		    "unavailable", "The database cannot take this now", "token_refresh", id);
		conn_send(c, f);
	}
	frame_unref(f);
}

/* The connection goes on with the token of M, of the same user. */
static void
renew(struct relay *r, struct connection *c, const struct message *m, int64_t since_us)
{
	char token[TOKEN_BYTES_MAX + 1];
	struct renewal n = { .id = "" };
	enum err e = ERR_DENIED;

	if (json_raw_string(m->token, token, sizeof(token)))
		e = token_verify(&r->keys, token, strlen(token), clock_wall_ms() / 1000, &n.claims);
	if (e == ERR_DENIED || (e == ERR_OK && !user_same(n.claims.user, conn_user_id(c)))) {
		send_error(
		    c, m, "forbidden", "The token is malformed, expired, or somebody else's");
		relay_note_refusal(r, c, AUDIT_DENIED, "forbidden", (struct user_id){ 0 });
		return;
	}
	snprintf(n.id, sizeof(n.id), "%s", m->id == NULL ? "" : m->id);
	if (e != ERR_OK || !parked_ask_token(r, c, &n.claims, &n, sizeof(n), since_us, on_renewal))
		send_error(c, m, "unavailable", "Too much is waiting for the database");
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
			relay_note_refusal(r, c, AUDIT_LIMITED,
			    allowed == FLOODING ? "flood" : "messages", (struct user_id){ 0 });
	} else if (e == ERR_INVALID) {
		send_error(c, &m, refusal.code, refusal.message);
		conn_misbehaved(c, now_ms);
	} else if (e != ERR_OK) {
		conn_close(c, CLOSE_INTERNAL); /* without memory nobody knows its id: no answer
						  could carry it */
	} else if (m.type == MESSAGE_TOKEN_REFRESH) {
		renew(r, c, &m, since_us);
	} else if (m.to.v == 0 || (hub_reaches(r->hub, conn, m.to) && !parked_waits(conn, m.to))) {
		pass_on(r, conn, &m, since_us);
	} else if (!parked_ask_user(r, c, m.to, text, len, since_us, on_recipient)) {
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

const struct conn_events dispatch_events = {
	.opened = on_opened,
	.message = on_message,
	.lost = on_lost,
	.list = newest_list,
};
