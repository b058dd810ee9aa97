/* Messages from one user to another or to all, and a doctor's own status. */
#include <assert.h>
#include <stdlib.h>

#include "hub_state.h"

enum { STATUS_WRITES_MAX = 256 };

/* FRAME to all connections of M but EXCEPT; returns to how many. Takes over the caller's reference.
 */
static unsigned
send_to_user(struct hub *h, const struct member *m, struct conn_id except, struct frame *frame)
{
	unsigned n = 0;

	for (const struct conn *c = m->conns; c != NULL; c = c->next) {
		if (conn_same(c->id, except))
			continue;
		send_frame(h, c->id, frame_ref(frame));
		n++;
	}
	frame_unref(frame);
	return n;
}

static void
ack_delivered(struct hub *h, const struct conn *c, const struct message *m, unsigned delivered)
{
	if (m->id != NULL)
		send_frame(h, c->id, frame_ack_delivered(m->id, delivered));
}

/* Sends FRAME to m->to, wherever she is connected but on C itself. Takes over the caller's
 * reference. */
static void
send_directly(struct hub *h, struct conn *c, const struct message *m, struct frame *frame)
{
	enum role role;
	const struct member *to = view_addressee(h, c, m, &role);
	unsigned n = 0;

	if (frame == NULL) {
		send_frame(h, c->id, NULL);
		return;
	}
	if (role == ROLE_NONE) {
		frame_unref(frame);
		send_error(h, c, m, "not_found", "There is no user of this id");
		return;
	}
	if (to != NULL)
		n = send_to_user(h, to, c->id, frame);
	else
		frame_unref(frame);
	if (n == 0)
		send_error(h, c, m, "recipient_offline", "The user is not connected");
	else
		ack_delivered(h, c, m, n);
}

/* How many connections get what C says to all. */
static unsigned
count_hearers(const struct hub *h, const struct conn *c)
{
	unsigned n = 0;

	for (const struct conn *to = h->conns; to != NULL; to = to->hh.next) {
		if (to != c && member_sees(h, c->user, to->user))
			n++;
	}
	return n;
}

void
route_chat(struct hub *h, struct conn *c, const struct message *m)
{
	struct frame *frame = frame_chat(c->user->id, m->to, m->text, h->wall_ms);
	struct effect *e;

	if (m->to.v != 0) {
		send_directly(h, c, m, frame);
		return;
	}
	if (frame == NULL) {
		send_frame(h, c->id, NULL);
		return;
	}
	e = hub_effect(h, EFFECT_BROADCAST);
	e->conn = c->id;
	e->frame = frame;
	if (m->id != NULL)
		ack_delivered(h, c, m, count_hearers(h, c));
}

void
route_signal(struct hub *h, struct conn *c, const struct message *m)
{
	enum role role;
	const struct member *to = view_addressee(h, c, m, &role);
	const struct call *call = c->user->call;

	if (call != NULL && to != NULL && to->call == call && to != c->user)
		calls_signal(h, c, m);
	else if (call != NULL || (to != NULL && to->call != NULL))
		send_error(h, c, m, "no_call", "One of the two is in a call with somebody else");
	else if (role != ROLE_NONE && h->settings.visibility == VISIBILITY_SCOPED)
		send_error(h, c, m, "no_call", "There is no call between the two");
	else
		send_directly(h, c, m, frame_signal(c->user->id, m->data));
}

void
route_set_status(struct hub *h, struct conn *c, const struct message *m)
{
	struct status_write *w;
	struct persist *p;

	if (c->user->role != ROLE_DOCTOR) {
		send_error(h, c, m, "forbidden", "Only a doctor has a status to set");
		return;
	}
	w = h->status_write_count < STATUS_WRITES_MAX ? calloc(1, sizeof(*w)) : NULL;
	if (w == NULL) {
		send_error(h, c, m, "unavailable", "The database cannot take this now");
		return;
	}
	asker_set(&w->asker, c, m);
	p = persist(h, PERSIST_STATUS, c->user->id);
	p->status = m->status;
	p->conn = c->id;
	w->seq = p->seq;
	DL_APPEND(h->status_writes, w);
	h->status_write_count++;
}

/* Statuses are stored in the order in which they were set, so the oldest waits first. */
void
route_status_persisted(struct hub *h, const struct event *ev)
{
	struct status_write *w = h->status_writes;
	struct member *m = member_find(h, ev->persist->user);

	assert(w != NULL && w->seq == ev->persist->seq);
	DL_DELETE(h->status_writes, w);
	h->status_write_count--;
	if (ev->outcome != ERR_OK)
		send_frame(h, w->asker.conn,
		    frame_error("unavailable", "The database cannot take this now", "set_status",
			w->asker.id[0] == '\0' ? NULL : w->asker.id));
	else if (w->asker.id[0] != '\0')
		send_frame(h, w->asker.conn, frame_ack_status(w->asker.id, ev->persist->status));
	free(w);
	if (ev->outcome == ERR_OK && m != NULL && m->writes == 0 && m->status != ev->status) {
		m->status = ev->status;
		view_changed(h, m);
		member_settle(h, m);
	}
}
