/* A call, from call_start to its end. Nothing is told to anybody before the store has it: a move is
 * proposed (store_move), stored, and made when it has been committed (move), or given up (give_up).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub_state.h"

enum { END_RETRY_MS = 1000 };

static struct call *
call_new(struct hub *h, struct member *caller, struct member *callee, const char *id)
{
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	leg_init(&call->caller, call, caller);
	leg_init(&call->callee, call, callee);
	timer_init(&call->timer, TIMER_RING, call);
	timer_init(&call->end_retry, TIMER_END_RETRY, call);
	if (id != NULL)
		snprintf(call->id, sizeof(call->id), "%s", id);
	else
		snprintf(call->id, sizeof(call->id), "c%lld-%lld-%u", (long long)h->wall_ms,
		    (long long)caller->id.v, ++caller->starts);
	h->calls++;
	return call;
}

void
call_free(struct hub *h, struct call *call)
{
	timer_disarm(h, &call->timer);
	timer_disarm(h, &call->end_retry);
	leg_fini(h, &call->caller);
	leg_fini(h, &call->callee);
	h->calls--;
	free(call);
}

bool
call_is_ending(const struct call *call)
{
	return call->end_wanted || call->storing == CALL_ENDED;
}

static struct persist *
store_move(struct hub *h, struct call *call, enum call_state to, enum persist_kind kind)
{
	struct persist *p = persist(h, kind, call->caller.user->id);

	call->storing = to;
	call->storing_seq = p->seq;
	return p;
}

/* The end, as soon as nothing else is being stored. What it is called depends on how far the call
 * had come by then. */
static void
store_end(struct hub *h, struct call *call)
{
	bool by_caller = user_same(call->end_by, call->caller.user->id);
	struct persist *p;

	if (call->storing != CALL_NONE || !call->end_wanted)
		return;
	if (call->end_reason == CALL_REASON_NONE && call->state == CALL_ACTIVE)
		call->end_reason = CALL_HANGUP;
	else if (call->end_reason == CALL_REASON_NONE)
		call->end_reason = by_caller ? CALL_CANCELLED : CALL_REJECTED;
	timer_disarm(h, &call->end_retry);
	p = store_move(h, call, CALL_ENDED, PERSIST_CALL_END);
	p->reason = call->end_reason;
	p->by = call->end_by;
	if (call->enders.count > 0)
		p->conn = call->enders.list[0].conn;
}

void
call_want_end(struct hub *h, struct call *call, enum call_reason reason, struct user_id by)
{
	if (call_is_ending(call))
		return;
	call->end_wanted = true;
	call->end_reason = reason;
	call->end_by = by;
	store_end(h, call);
}

static void
to_ringing(struct hub *h, struct call *call)
{
	const struct turn_grant grant = turn_grant_to(h, call->caller.user->id);
	struct user_id callee = call->callee.user->id;

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
	const struct conn *answerer = conn_find(h, call->answerer.conn);
	bool lost = answerer == NULL;

	/* If the one that answered is gone, the newest has most likely come in its place. */
	for (const struct conn *c = call->callee.user->conns; lost && c != NULL; c = c->next)
		answerer = c;
	timer_disarm(h, &call->timer);
	timer_init(&call->timer, TIMER_CALL_MAX, call);
	timer_arm(h, &call->timer, h->settings.call_max_ms);
	for (const struct conn *c = call->callee.user->conns; c != NULL; c = c->next) {
		if (c != answerer)
			send_frame(h, c->id,
			    frame_call_end(
				call->callee.user->id, call->id, CALL_ANSWERED_ELSEWHERE));
	}
	mail_clear(&call->callee.mail); /* the answerer has had it, as it came */
	if (answerer == NULL)
		timer_arm(h, &call->callee.absent_timer, h->settings.call_grace_ms);
	else
		call->callee.conn = answerer->id;
	if (!lost && call->answerer.id[0] != '\0')
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
static void
both_changed(struct hub *h, const struct call *call)
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
		both_changed(h, call); /* while they are known */
		to_ended(h, call);     /* who is told goes by the state that it ended in */
		return;
	}
	call->state = to;
	if (to == CALL_RINGING) {
		both_changed(h, call);
		to_ringing(h, call);
	} else if (to == CALL_ACTIVE) {
		to_active(h, call);
	}
	legs_tell_state(h, call);
	store_end(h, call);
}

static void
start_failed(struct hub *h, struct call *call, enum err outcome)
{
	const char *reason = outcome == ERR_CONFLICT ? "busy" : "unavailable";
	struct member *caller = call->caller.user;
	struct member *callee = call->callee.user;

	for (unsigned i = 0; i < call->starters.count; i++) {
		const struct asker *a = &call->starters.list[i];

		send_frame(h, a->conn,
		    frame_call_refused(
			callee->id, call->id, reason, a->id[0] == '\0' ? NULL : a->id));
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
	store_end(h, call);
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

/* Why C's user cannot make this call; NULL: she can, and *CALLEE is whom. */
static const char *
start_refusal(struct hub *h, const struct conn *c, const struct message *m, struct member **callee)
{
	enum role to_role;
	struct member *to = view_addressee(h, c, m, &to_role);

	if (c->user->role != ROLE_PATIENT)
		return "not_a_patient";
	if (m->bad_call_id)
		return "bad_call_id";
	if (to_role == ROLE_NONE)
		return "not_found";
	if (to_role != ROLE_DOCTOR)
		return "not_a_doctor";
	if (h->draining)
		return "draining";
	if (c->user->call != NULL)
		return "caller_busy";
	if (to != NULL && to->call != NULL)
		return "busy";
	if (to == NULL || to->conn_count == 0 || to->status == STATUS_OFFLINE)
		return "offline";
	if (to->status == STATUS_BUSY)
		return "busy";
	*callee = to;
	return NULL;
}

/* A call_start that was sent again, by a client that has not seen the answer. */
static bool
is_repetition(const struct conn *c, const struct message *m)
{
	const struct call *call = c->user->call;

	return call != NULL && call->caller.user == c->user &&
	       user_same(call->callee.user->id, m->to) && m->call_id != NULL &&
	       strcmp(m->call_id, call->id) == 0 && !call_is_ending(call);
}

static void
start_again(struct hub *h, struct conn *c, const struct message *m)
{
	const struct turn_grant grant = turn_grant_to(h, c->user->id);
	struct call *call = c->user->call;
	bool waits = call->state == CALL_NONE;

	/* Whoever is told that there is a call is told of its end, too. */
	if ((waits || !conn_same(c->id, call->caller.conn)) && !askers_add(&call->starters, c, m))
		send_frame(h, c->id, frame_call_refused(m->to, call->id, "rate_limited", m->id));
	else if (!waits)
		send_frame(h, c->id, frame_call_started(m->to, call->id, &grant, m->id));
}

void
calls_start(struct hub *h, struct conn *c, const struct message *m)
{
	struct member *callee = NULL;
	const char *refusal;
	struct persist *p;
	struct call *call = NULL;

	if (is_repetition(c, m)) {
		start_again(h, c, m);
		return;
	}
	refusal = start_refusal(h, c, m, &callee);
	if (refusal == NULL && (call = call_new(h, c->user, callee, m->call_id)) == NULL)
		refusal = "unavailable";
	if (refusal != NULL) {
		send_frame(h, c->id, frame_call_refused(m->to, m->call_id, refusal, m->id));
		if (strncmp(refusal, "not_a_", 6) == 0)
			note_denial(h, c, m, refusal);
		return;
	}
	call->caller.conn = c->id;
	(void)!askers_add(&call->starters, c, m); /* the first finds room */
	p = store_move(h, call, CALL_RINGING, PERSIST_CALL_START);
	p->peer = callee->id;
	p->by = c->user->id;
	p->conn = c->id;
	memcpy(p->call_id, call->id, sizeof(p->call_id));
}

struct call *
call_meant(const struct conn *c, const struct message *m)
{
	struct call *call = c->user->call;
	const struct member *peer;

	if (call == NULL)
		return NULL;
	peer = call->caller.user == c->user ? call->callee.user : call->caller.user;
	if (m->to.v != 0 && !user_same(m->to, peer->id))
		return NULL;
	if (m->call_id != NULL && strcmp(m->call_id, call->id) != 0)
		return NULL;
	/* The callee cannot know yet of a call that is being stored. */
	return call->state == CALL_NONE && c->user == call->callee.user ? NULL : call;
}

/* May C end CALL with M? A callee's device that still rings must not end what another one has just
 * answered. */
static bool
may_end(const struct call *call, const struct conn *c, const struct message *m)
{
	bool rings = call->state == CALL_RINGING && call->storing != CALL_ACTIVE;

	if (m->type == MESSAGE_CALL_REJECT && (c->user != call->callee.user || !rings))
		return false;
	if (c->user == call->caller.user || rings)
		return true;
	if (call->storing == CALL_ACTIVE)
		return conn_same(c->id, call->answerer.conn);
	return call->callee.conn.v == 0 || conn_same(c->id, call->callee.conn);
}

void
calls_end(struct hub *h, struct conn *c, const struct message *m)
{
	struct call *call = call_meant(c, m);

	if (call == NULL || !may_end(call, c, m)) {
		send_error(h, c, m, "no_call", "You are not in this call");
		return;
	}
	if (!askers_add(&call->enders, c, m)) {
		send_error(h, c, m, "rate_limited", "The call is being ended already");
		return;
	}
	call_want_end(h, call, CALL_REASON_NONE, c->user->id);
}

/* C answers CALL, which rings. */
void
call_accept(struct hub *h, struct call *call, const struct conn *c, const struct message *m)
{
	struct persist *p = store_move(h, call, CALL_ACTIVE, PERSIST_CALL_ANSWER);

	p->by = c->user->id;
	p->conn = c->id;
	asker_set(&call->answerer, c, m);
}

void
calls_accept(struct hub *h, struct conn *c, const struct message *m)
{
	struct call *call = call_meant(c, m);

	if (call == NULL || c->user != call->callee.user || call_is_ending(call)) {
		send_error(h, c, m, "no_call", "No such call rings here");
	} else if (call->state == CALL_RINGING && call->storing == CALL_NONE) {
		call_accept(h, call, c, m);
	} else if (call->state == CALL_ACTIVE && conn_same(c->id, call->callee.conn)) {
		if (m->id != NULL)
			send_frame(h, c->id, frame_ack_call(m->id, call->id));
	} else {
		send_error(h, c, m, "no_call", "The call was answered on another device");
	}
}

void
calls_write_active(const struct member *m, struct json_writer *w)
{
	const struct call *call = m->call;

	if (call == NULL || call->state == CALL_NONE || call_is_ending(call))
		return;
	jw_object(w, "activeCall");
	jw_string(w, "callId", call->id);
	jw_string(w, "state", call_state_name(call->state));
	jw_int(
	    w, "peer", m == call->caller.user ? call->callee.user->id.v : call->caller.user->id.v);
	jw_string(w, "direction", m == call->caller.user ? "out" : "in");
	jw_object_end(w);
}

void
calls_restore(struct hub *h, const struct live_call *row)
{
	struct member *caller = member_find(h, row->caller);
	struct member *callee = member_find(h, row->callee);
	int64_t age_ms = row->answered_ms == 0 ? 0 : h->wall_ms - row->answered_ms;
	int64_t left_ms = h->settings.call_max_ms - (age_ms < 0 ? 0 : age_ms);
	struct call *call = NULL;

	if (caller != NULL && callee != NULL && caller->call == NULL && callee->call == NULL)
		call = call_new(h, caller, callee, row->call_id);
	if (call == NULL)
		return;
	call->state = row->state;
	both_changed(h, call);
	if (row->state == CALL_RINGING) {
		call_want_end(h, call, CALL_SERVER_RESTART, caller->id);
		return;
	}
	timer_init(&call->timer, TIMER_CALL_MAX, call);
	timer_arm(h, &call->timer, left_ms < 0 ? 0 : left_ms);
	timer_arm(h, &call->caller.absent_timer, h->settings.call_grace_ms);
	timer_arm(h, &call->callee.absent_timer, h->settings.call_grace_ms);
}

void
calls_rung_out(struct hub *h, struct call *call)
{
	if (call->storing !=
	    CALL_ACTIVE) /* answered at the last moment: give_up() sees to it if that fails */
		call_want_end(h, call, CALL_NO_ANSWER, call->callee.user->id);
}

void
calls_too_long(struct hub *h, struct call *call)
{
	call_want_end(h, call, CALL_MAX_DURATION, call->caller.user->id);
}

void
calls_end_again(struct hub *h, struct call *call)
{
	store_end(h, call);
}
