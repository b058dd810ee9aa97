/* A call, from call_start to its end: what its parties and the time want of it. Nothing is told to
 * anybody before the store has it: a move is proposed here (store_move), stored, and made when it
 * has been committed, or given up (call_moves.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub_state.h"

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
void
call_store_end(struct hub *h, struct call *call)
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
	call_store_end(h, call);
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
		refuse_call(h, c->id, m->to, call->id, "rate_limited", m->id);
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
		refuse_call(h, c->id, m->to, m->call_id, refusal, m->id);
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
	call_store_end(h, call); /* one that waits to be tried again is tried now */
}

/* C answers CALL, which rings. */
void
call_accept(struct hub *h, struct call *call, const struct conn *c, const struct message *m)
{
	struct persist *p = store_move(h, call, CALL_ACTIVE, PERSIST_CALL_ANSWER);

	p->by = c->user->id;
	p->conn = c->id;
	p->rang_ms = h->now_ms - call->rings_since_ms;
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
	call_both_changed(h, call);
	if (row->state == CALL_RINGING) {
		call_want_end(h, call, CALL_SERVER_RESTART, caller->id);
		return;
	}
	/* By an operator, while the relay was away. */
	if (caller->disabled || callee->disabled)
		call_want_end(h, call, CALL_REVOKED, caller->disabled ? caller->id : callee->id);
	timer_init(&call->timer, TIMER_CALL_MAX, call);
	timer_arm(h, &call->timer, left_ms < 0 ? 0 : left_ms);
	timer_arm(h, &call->caller.absent_timer, h->settings.call_grace_ms);
	timer_arm(h, &call->callee.absent_timer, h->settings.call_grace_ms);
}

/* Nobody else is to be told of whose act it was: of the two the caller, as where it lasts too long.
 */
void
calls_end_by_operator(struct hub *h, const struct live_call *call)
{
	struct member *caller = member_find(h, call->caller);
	struct call *live = caller == NULL ? NULL : caller->call;

	if (live != NULL && live->caller.user == caller && strcmp(live->id, call->call_id) == 0)
		call_want_end(h, live, CALL_REVOKED, caller->id);
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
	call_store_end(h, call);
}
