#include "drain.h"

#include <limits.h>

#include "base/log.h"
#include "base/notify.h"

enum {
	RECONNECT_FIRST_MS = 1000, /* after the last close, for the first client */
	RECONNECT_SLOT_MS = 5,
};

void
drain_init(struct drain *d, struct relay *r, int64_t length_ms)
{
	*d = (struct drain){ .relay = r, .length_ms = length_ms };
}

static void
say_going_away(void *context, struct connection *c)
{
	int64_t *slot_ms = context;
	struct frame *f = NULL;

	if (conn_is_v1(c) && (f = frame_goaway("restart", *slot_ms)) != NULL) {
		conn_send(c, f);
		*slot_ms += RECONNECT_SLOT_MS;
	}
	frame_unref(f);
}

struct closing {
	unsigned left;
	unsigned closed;
};

static void
close_one(void *context, struct connection *c)
{
	struct closing *some = context;

	if (some->left == 0 || conn_is_closing(c))
		return;
	conn_close(c, CLOSE_GOING_AWAY);
	some->left--;
	some->closed++;
}

static void
close_some(struct drain *d, unsigned how_many)
{
	struct closing some = { .left = how_many };

	if (how_many > 0)
		conn_each(d->relay->conns, close_one, &some);
	d->closed += some.closed;
}

void
drain_begin(struct drain *d, int64_t now_ms)
{
	struct relay *r = d->relay;
	int64_t slot_ms = d->length_ms + RECONNECT_FIRST_MS;

	if (d->begun_ms != 0) {
		close_some(d, UINT_MAX);
		d->end_ms = now_ms + HURRY_MS < d->end_ms ? now_ms + HURRY_MS : d->end_ms;
		return;
	}
	d->begun_ms = now_ms;
	d->end_ms = now_ms + d->length_ms + STOP_MAX_MS;
	d->to_close = conn_table_count(r->conns);
	notify_state("STOPPING=1");
	LOG(LOG_INFO, "stopping", F_INT("connections", d->to_close));
	r->stopping = true;
	relay_refuse_calls(r, true);
	conn_each(r->conns, say_going_away, &slot_ms);
}

/* How many are to be closed by NOW_MS. */
static unsigned
due(const struct drain *d, int64_t now_ms)
{
	int64_t first_ms = d->length_ms / 2;
	int64_t past_ms = now_ms - d->begun_ms - first_ms;

	if (past_ms <= 0)
		return 0;
	return (unsigned)(d->to_close * past_ms / (d->length_ms - first_ms));
}

bool
drain_tick(struct drain *d, int64_t now_ms)
{
	unsigned wanted;

	if (d->begun_ms == 0)
		return false;
	if (now_ms - d->begun_ms >= d->length_ms)
		close_some(d, UINT_MAX);
	else if ((wanted = due(d, now_ms)) > d->closed)
		close_some(d, wanted - d->closed);
	return conn_table_count(d->relay->conns) == 0 || now_ms >= d->end_ms;
}
