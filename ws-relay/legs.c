/* The two ends of a call: which connection each party is on, what is kept for one who is away, and
 * the signals between them. */
#include "hub_state.h"

static bool
mail_has_room(const struct mail *mail, const struct frame *frame)
{
	return mail->count < MAIL_MAX && frame->len <= MAIL_BYTES_MAX - mail->bytes;
}

static bool
mail_add(struct mail *mail, struct frame *frame)
{
	if (!mail_has_room(mail, frame))
		return false;
	mail->frames[mail->count++] = frame_ref(frame);
	mail->bytes += frame->len;
	return true;
}

void
mail_clear(struct mail *mail)
{
	while (mail->count > 0)
		frame_unref(mail->frames[--mail->count]);
	mail->bytes = 0;
}

void
mail_send(struct hub *h, const struct mail *mail, struct conn_id to)
{
	for (unsigned i = 0; i < mail->count; i++)
		send_frame(h, to, frame_ref(mail->frames[i]));
}

void
leg_init(struct leg *leg, struct call *call, struct member *user)
{
	leg->user = user;
	leg->call = call;
	timer_init(&leg->absent_timer, TIMER_ABSENT, leg);
	user->call = call;
}

void
leg_fini(struct hub *h, struct leg *leg)
{
	timer_disarm(h, &leg->absent_timer);
	mail_clear(&leg->mail);
	leg->user->call = NULL;
}

static bool
is_absent(const struct leg *leg)
{
	return leg->absent_timer.due_ms != 0;
}

/* Tells the v1 connections of LEG's user how the call stands. */
static void
tell_state_to(struct hub *h, const struct call *call, const struct leg *leg)
{
	const struct leg *peer = leg == &call->caller ? &call->callee : &call->caller;
	const struct leg *missing = is_absent(peer) ? peer : leg;
	int64_t resume_ms = missing->absent_timer.due_ms - h->now_ms;
	struct user_id missing_id = { is_absent(missing) ? missing->user->id.v : 0 };
	struct frame *f = NULL;

	for (const struct conn *c = leg->user->conns; c != NULL; c = c->next) {
		if (!c->v1)
			continue;
		if (f == NULL)
			f = frame_call_state(call->id, call->state, peer->user->id, missing_id,
			    resume_ms < 0 ? 0 : resume_ms);
		send_frame(h, c->id, frame_ref(f));
	}
	frame_unref(f);
}

void
legs_tell_state(struct hub *h, const struct call *call)
{
	if (call->state == CALL_NONE)
		return;
	tell_state_to(h, call, &call->caller);
	tell_state_to(h, call, &call->callee);
}

/* LEG's user is on C now: what was kept for her goes there. */
static void
attach(struct hub *h, struct leg *leg, const struct conn *c)
{
	bool answer_held = leg == &leg->call->caller && leg->call->storing == CALL_ACTIVE;
	bool was_absent = is_absent(leg);

	leg->conn = c->id;
	leg->heir.v = 0;
	timer_disarm(h, &leg->absent_timer);
	if (was_absent)
		legs_tell_state(h, leg->call);
	if (answer_held)
		return;
	mail_send(h, &leg->mail, leg->conn);
	mail_clear(&leg->mail);
}

void
leg_ring(struct hub *h, const struct call *call, const struct conn *c)
{
	const struct member *caller = call->caller.user;
	const struct turn_grant grant = turn_grant_to(h, call->callee.user->id);
	int64_t left_ms = call->timer.due_ms - h->now_ms;
	struct frame *f = frame_incoming_call(
	    caller->id, call->id, caller->name, left_ms > 0 ? left_ms : 0, &grant);

	for (const struct conn *to = call->callee.user->conns; to != NULL; to = to->next) {
		if (c != NULL && to != c)
			continue;
		send_frame(h, to->id, frame_ref(f));
		mail_send(h, &call->callee.mail, to->id);
	}
	frame_unref(f);
}

/* May C take part in CALL's signalling? While it rings, all the callee's connections may; and any
 * connection of hers where the one that the call was on is lost. */
static bool
may_signal(const struct call *call, const struct conn *c)
{
	if (call_is_ending(call))
		return false;
	if (c->user == call->caller.user)
		return call->caller.conn.v == 0 || conn_same(c->id, call->caller.conn);
	if (call->storing == CALL_ACTIVE)
		return conn_same(c->id, call->answerer.conn);
	return call->callee.conn.v == 0 || conn_same(c->id, call->callee.conn);
}

/* Sends FRAME to LEG's user, or keeps it for her. Returns to how many connections it went; -1:
 * there was no room. */
static int
deliver(struct hub *h, struct call *call, struct leg *leg, struct frame *frame)
{
	bool rings = leg == &call->callee && call->state != CALL_ACTIVE;
	bool held = leg->conn.v == 0 || (leg == &call->caller && call->storing == CALL_ACTIVE);
	int n = 0;

	if (rings) {
		bool kept = mail_add(&leg->mail, frame);

		for (const struct conn *c = leg->user->conns;
		     call->state == CALL_RINGING && c != NULL; c = c->next, n++)
			send_frame(h, c->id, frame_ref(frame));
		return kept || n > 0 ? n : -1;
	}
	if (held)
		return mail_add(&leg->mail, frame) ? 0 : -1;
	send_frame(h, leg->conn, frame_ref(frame));
	return 1;
}

void
calls_signal(struct hub *h, struct conn *c, const struct message *m)
{
	struct call *call = c->user->call;
	bool from_caller = c->user == call->caller.user;
	struct leg *own = from_caller ? &call->caller : &call->callee;
	bool answers = !from_caller && m->signal == SIGNAL_ANSWER && call->state == CALL_RINGING &&
		       call->storing == CALL_NONE;
	struct frame *frame;
	int n = -1;

	if ((!from_caller && call->state == CALL_NONE) || !may_signal(call, c)) {
		send_error(h, c, m, "no_call", "The call is not on this connection");
		return;
	}
	if ((frame = frame_signal(c->user->id, m->data)) == NULL) {
		send_frame(h, c->id, NULL);
		return;
	}
	if (own->conn.v == 0 && (from_caller || call->state == CALL_ACTIVE))
		attach(h, own, c);
	/* An answer leaves when the store knows that the call is ACTIVE; what follows it stays
	 * behind it. */
	if (!answers || mail_has_room(&call->caller.mail, frame)) {
		if (answers)
			call_accept(h, call, c, m);
		n = deliver(h, call, from_caller ? &call->callee : &call->caller, frame);
	}
	frame_unref(frame);
	if (n < 0)
		send_error(h, c, m, "recipient_offline",
		    "The other party is away, and no more is kept for her");
	else if (m->id != NULL && !answers)
		send_frame(h, c->id, frame_ack_delivered(m->id, (unsigned)n));
}

void
calls_connected(struct hub *h, struct conn *c)
{
	struct call *call = c->user->call;
	struct leg *leg;

	if (call == NULL)
		return;
	leg = c->user == call->caller.user ? &call->caller : &call->callee;
	if (leg == &call->callee && call->state != CALL_ACTIVE) {
		if (call->state == CALL_RINGING && !call_is_ending(call))
			leg_ring(h, call, c);
	} else if (c->v1) {
		return; /* it says call_resume */
	} else if (leg->conn.v == 0) {
		attach(h, leg, c);
	} else {
		leg->heir = c->id;
	}
}

/* The connection that LEG is on, if any, is about to lose the call to another one of its user's.
 * The doctor's is told so, as those that she has not answered on were; the caller's hears of the
 * end, and one of v1, which knows the way back, of this as well. */
static void
oust(struct hub *h, const struct leg *leg)
{
	struct conn *c = conn_find(h, leg->conn);

	if (c == NULL)
		return;
	if (leg == &leg->call->callee || c->v1)
		send_frame(
		    h, c->id, frame_call_end(c->user->id, leg->call->id, CALL_ANSWERED_ELSEWHERE));
	if (leg == &leg->call->caller)
		c->ousted = true;
}

/* C's user goes on with her call on C, wherever it was. */
void
calls_resume(struct hub *h, struct conn *c, const struct message *m)
{
	struct call *call = call_meant(c, m);
	struct leg *leg;

	if (call == NULL || call->state == CALL_NONE || call_is_ending(call)) {
		send_error(h, c, m, "no_call", "There is no such call to resume");
		return;
	}
	leg = c->user == call->caller.user ? &call->caller : &call->callee;
	if (m->id != NULL)
		send_frame(h, c->id, frame_ack_call(m->id, call->id));
	if (leg == &call->callee && call->state == CALL_RINGING) {
		leg_ring(h, call, c);
	} else if (!conn_same(leg->conn, c->id)) {
		oust(h, leg);
		attach(h, leg, c);
	}
}

/* Is C the connection of CALL on its side, or about to be? */
static bool
has_call(const struct call *call, const struct conn *c)
{
	if (call->storing == CALL_ACTIVE && conn_same(call->answerer.conn, c->id))
		return true;
	return conn_same(call->caller.conn, c->id) || conn_same(call->callee.conn, c->id);
}

void
calls_revoked(struct hub *h, struct conn *c)
{
	struct call *call = c->user->call;

	if (call != NULL && has_call(call, c))
		call_want_end(h, call, CALL_REVOKED, c->user->id);
}

void
calls_lost(struct hub *h, struct conn *c)
{
	struct call *call = c->user->call;
	const struct conn *heir;
	struct leg *leg;

	if (call == NULL)
		return;
	leg = c->user == call->caller.user ? &call->caller : &call->callee;
	if (!conn_same(leg->conn, c->id))
		return;
	leg->conn.v = 0;
	/* A page that was loaded again connects before its old connection is known to be lost. A
	 * connection that was there before is another device, which knows nothing of the call. */
	if ((heir = conn_find(h, leg->heir)) != NULL) {
		attach(h, leg, heir);
	} else if (call->state != CALL_NONE) {
		timer_arm(h, &leg->absent_timer, h->settings.call_grace_ms);
		legs_tell_state(h, call);
	}
}

void
calls_party_gone(struct hub *h, struct leg *leg)
{
	call_want_end(h, leg->call, CALL_DISCONNECTED, leg->user->id);
}
