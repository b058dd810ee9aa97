#include "feed.h"

#include <stdio.h>

#include "store/store_call.h"
#include "store/store_drain.h"
#include "store/store_session.h"
#include "store/store_user.h"

enum { CHANGES_MAX = 256 }; /* of users, at a time */

/* Where feed_load() sends what it reads. */
struct loading {
	feed_event_fn *fn;
	void *context;
	enum event_kind kind;
};

static enum err
load_user(void *context, const struct user *u)
{
	const struct loading *l = context;

	l->fn(l->context, &(struct event){ .kind = l->kind, .user = u });
	return ERR_OK;
}

static enum err
load_call(void *context, const struct call_row *row)
{
	const struct loading *l = context;
	struct live_call call = { .caller = row->caller,
		.callee = row->callee,
		.state = row->state,
		.answered_ms = row->answered_ms };

	snprintf(call.call_id, sizeof(call.call_id), "%s", row->call_id);
	l->fn(l->context, &(struct event){ .kind = EVENT_WAS_IN_CALL, .call = &call });
	return ERR_OK;
}

enum err
feed_load(struct store *store, feed_event_fn *fn, void *context, struct feed_position *at)
{
	struct loading l = { .fn = fn, .context = context, .kind = EVENT_CHANGED };
	struct drain_order order;
	enum err e;

	e = store_session_last(store, &at->revocation);
	if (e == ERR_OK && (e = store_drain_get(store, &order)) == ERR_OK)
		at->drain = order.number;
	if (e == ERR_OK)
		e = store_users_listed(store, load_user, &l, &at->rev);
	l.kind = EVENT_WAS_PRESENT;
	if (e == ERR_OK)
		e = store_presence(store, load_user, &l);
	if (e == ERR_OK)
		e = store_calls_live(store, load_call, &l);
	if (e == ERR_OK)
		fn(context, &(struct event){ .kind = EVENT_LOADED });
	return e;
}

static enum err
add_user(void *context, const struct user *u, const char *request)
{
	struct job *j = job_new(JOB_CHANGED);

	if (j == NULL)
		return ERR_SYSTEM;
	j->user = *u;
	snprintf(j->request, sizeof(j->request), "%s", request);
	job_list_add(context, j);
	return ERR_OK;
}

static enum err
add_revocation(void *context, struct user_id user, const char *session, const char *request)
{
	struct job *j = job_new(JOB_REVOKED);

	if (j == NULL)
		return ERR_SYSTEM;
	j->user.id = user;
	snprintf(j->session, sizeof(j->session), "%s", session);
	snprintf(j->request, sizeof(j->request), "%s", request);
	job_list_add(context, j);
	return ERR_OK;
}

static enum err
add_ending(void *context, struct user_id caller, const char *call_id)
{
	struct job *j = job_new(JOB_END_CALL);

	if (j == NULL)
		return ERR_SYSTEM;
	j->call.caller = caller;
	snprintf(j->call.call_id, sizeof(j->call.call_id), "%s", call_id);
	job_list_add(context, j);
	return ERR_OK;
}

/* The last order counts, where it is newer than what is known. */
static enum err
read_drain(struct store *store, int64_t *last, struct job_list *to)
{
	struct drain_order order;
	struct job *j;
	enum err e = store_drain_get(store, &order);

	if (e != ERR_OK || order.number == *last)
		return e;
	if ((j = job_new(JOB_DRAIN)) == NULL)
		return ERR_SYSTEM;
	j->drain = order.active;
	job_list_add(to, j);
	*last = order.number;
	return ERR_OK;
}

enum err
feed_read(struct store *store, struct feed_position *at, struct job_list *to, bool *more)
{
	enum err e = store_users_changed(store, &at->rev, CHANGES_MAX, add_user, to, more);

	if (e != ERR_OK || *more)
		return e;
	e = store_sessions_revoked(store, &at->revocation, add_revocation, to);
	if (e == ERR_OK)
		e = store_calls_to_end(store, &at->ending, add_ending, to);
	if (e == ERR_OK)
		e = read_drain(store, &at->drain, to);
	return e;
}
