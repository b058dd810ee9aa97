/* What becomes of a call when the store has answered: a move that was proposed (calls.c) is made,
 * and told, or given up. */
#include "hub_state.h"

enum { END_RETRY_MS = 1000 };

static void
to_ringing(struct hub *h, struct call *call)
{
	const struct turn_grant grant = turn_grant_to(h, call->caller.user->id);
	struct user_id callee = call->callee.user->id;

	call->rings_since_ms = h->now_ms;
	timer_arm(h, &call->timer, h->settings.ring_timeout_ms);
	for (unsigned i = 0; i < call->starters.count; i++) {
		const struct asker *a = &call->starters.list[i];

		send_frame(h, a->conn,
		    frame_call_started(callee, call->id, &grant, a->id[0] == '\0' ? NULL : a->id));
	}
	leg_ring(h, call, NULL);
	if (call->caller.conn.v == 0)
		timer_arm(h, &call->caller.absent_timer, h->settings.call_grace_ms);
}

static void
to_active(struct hub *h, struct call *call)
{
	struct leg *callee = &call->callee;
	const struct conn *answerer = conn_find(h, call->answerer.conn);

	timer_disarm(h, &call->timer);
	timer_init(&call->timer, TIMER_CALL_MAX, call);
	timer_arm(h, &call->timer, h->settings.call_max_ms);
	for (const struct conn *c = callee->user->conns; c != NULL; c = c->next) {
		if (c != answerer)
			send_frame(h, c->id,
			    frame_call_end(callee->user->id, call->id, CALL_ANSWERED_ELSEWHERE));
	}
	mail_clear(&callee->mail); /* the answerer has had it, as it came */
	if (answerer == NULL)	   /* gone meanwhile: her others have not asked for the call */
		timer_arm(h, &callee->absent_timer, h->settings.call_grace_ms);
	else
		callee->conn = answerer->id;
	if (answerer != NULL && call->answerer.id[0] != '\0')
		send_frame(h, answerer->id, frame_ack_call(call->answerer.id, call->id));
	if (call->caller.conn.v != 0) {
		mail_send(h, &call->caller.mail, call->caller.conn);
		mail_clear(&call->caller.mail);
	}
}

static bool
is_among(const struct askers *all, const struct conn *c)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (conn_same(c->id, all->list[i].conn))
			return true;
	}
	return false;
}

static bool
is_told_of_end(const struct call *call, const struct conn *c)
{
	if (call->end_reason == CALL_SERVER_RESTART || c->ousted)
		return true;
	if (conn_same(c->id, call->caller.conn) || conn_same(c->id, call->callee.conn))
		return true;
	if (call->state == CALL_RINGING && c->user == call->callee.user)
		return true;
	return is_among(&call->starters, c) || is_among(&call->enders, c);
}

static void
tell_end(struct hub *h, const struct call *call, const struct member *m)
{
	for (struct conn *c = m->conns; c != NULL; c = c->next) {
		if (is_told_of_end(call, c))
			send_frame(
			    h, c->id, frame_call_end(call->end_by, call->id, call->end_reason));
		c->ousted = false;
	}
}

/* Who has lost a ringing call to a restart hears of it when she is back. */
static void
leave_farewell(
    struct hub *h, const struct call *call, const struct leg *leg, const struct leg *peer)
{
	struct user_id nobody = { 0 };

	if (call->end_reason == CALL_SERVER_RESTART && leg->user->conns == NULL)
		roster_farewell(h, leg->user,
		    frame_call_end(call->end_by, call->id, call->end_reason),
		    frame_call_state(call->id, CALL_ENDED, peer->user->id, nobody, 0));
}

static void
to_ended(struct hub *h, struct call *call)
{
	struct member *caller = call->caller.user;
	struct member *callee = call->callee.user;

	timer_disarm(h, &call->caller.absent_timer);
	timer_disarm(h, &call->callee.absent_timer);
	tell_end(h, call, caller); /* by the state that it ended in */
	tell_end(h, call, callee);
	call->state = CALL_ENDED;
	legs_tell_state(h, call);
	for (unsigned i = 0; i < call->enders.count; i++) {
		const struct asker *a = &call->enders.list[i];

		if (a->id[0] != '\0')
			send_frame(h, a->conn, frame_ack_call(a->id, call->id));
	}
	leave_farewell(h, call, &call->caller, &call->callee);
	leave_farewell(h, call, &call->callee, &call->caller);
	call_free(h, call);
	member_settle(h, caller);
	member_settle(h, callee);
}

/* Both become BUSY, or both stop. */
void
call_both_changed(struct hub *h, const struct call *call)
{
	view_changed(h, call->caller.user);
	view_changed(h, call->callee.user);
}

/* The one way for a call to change its state, which to_ended() finishes for the last one: what the
 * store has taken is made true and told. */
static void
move(struct hub *h, struct call *call, enum call_state to)
{
	if (to == CALL_ENDED) {
		call_both_changed(h, call); /* while they are known */
		to_ended(h, call);	    /* who is told goes by the state that it ended in */
		return;
	}
	call->state = to;
	if (to == CALL_RINGING) {
		call_both_changed(h, call);
		to_ringing(h, call);
	} else if (to == CALL_ACTIVE) {
		to_active(h, call);
	}
	legs_tell_state(h, call);
	call_store_end(h, call);
}

static void
start_failed(struct hub *h, struct call *call, enum err outcome)
{
	const char *reason = outcome == ERR_CONFLICT ? "busy" : "unavailable";
	struct member *caller = call->caller.user;
	struct member *callee = call->callee.user;

	for (unsigned i = 0; i < call->starters.count; i++) {
		const struct asker *a = &call->starters.list[i];

		refuse_call(
		    h, a->conn, callee->id, call->id, reason, a->id[0] == '\0' ? NULL : a->id);
	}
	for (unsigned i = 0; i < call->enders.count; i++) {
		const struct asker *a = &call->enders.list[i];

		send_frame(h, a->conn,
		    frame_error("no_call", "The call did not come about", a->re,
			a->id[0] == '\0' ? NULL : a->id));
	}
	call_free(h, call);
	member_settle(h, caller);
	member_settle(h, callee);
}

static void
tell_unavailable(struct hub *h, const struct asker *a)
{
	send_frame(h, a->conn,
	    frame_error("unavailable", "The database cannot take this now", a->re,
		a->id[0] == '\0' ? NULL : a->id));
}

/* The store did not take the move to TO: the call is as it was before. An end, though, is tried
 * again until it is stored, for who has left is gone whatever the disk says; who asked for it is
 * told, and hears call_end later. */
static void
give_up(struct hub *h, struct call *call, enum call_state to, enum err outcome)
{
	if (to == CALL_RINGING) {
		start_failed(h, call, outcome);
		return;
	}
	if (to == CALL_ENDED) {
		for (unsigned i = 0; i < call->enders.count; i++)
			tell_unavailable(h, &call->enders.list[i]);
		call->enders.count = 0;
		timer_arm(h, &call->end_retry, END_RETRY_MS);
		return;
	}
	tell_unavailable(h, &call->answerer);
	mail_clear(&call->caller.mail); /* the answer, and what followed it */
	if (call->timer.due_ms == 0)
		call_want_end(h, call, CALL_NO_ANSWER, call->callee.user->id);
	call_store_end(h, call);
}

void
calls_persisted(struct hub *h, const struct event *ev)
{
	struct member *caller = member_find(h, ev->persist->user);
	struct call *call = caller == NULL ? NULL : caller->call;
	enum call_state to;

	if (call == NULL || call->storing_seq != ev->persist->seq)
		return;
	to = call->storing;
	call->storing = CALL_NONE;
	if (ev->outcome == ERR_OK)
		move(h, call, to);
	else
		give_up(h, call, to, ev->outcome);
}
