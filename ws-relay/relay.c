#include "relay.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/exit.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "trail.h"

void
relay_note_refusal(struct relay *r, const struct connection *c, enum audit_event event,
    const char *code, struct user_id peer)
{
	const struct address from = conn_address(c);

	trail_refusal(r->journal, event, code, conn_user_id(c), peer, &from);
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

void
relay_count_refused_call(const char *reason)
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
			relay_count_refused_call(e->code);
		if (c != NULL)
			conn_send(c, e->frame);
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
			relay_note_refusal(r, c, AUDIT_DENIED, e->code, e->peer);
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
