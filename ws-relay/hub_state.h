/* Inside the hub: what its files (hub.c, roster.c, calls.c and the like) share. */
#pragma once

#include <utlist.h>

#include "base/hash.h"
#include "hub.h"

enum timer_kind {
	TIMER_PRESENCE,	      /* a member without a connection becomes OFFLINE */
	TIMER_PRESENCE_RETRY, /* a member's presence that could not be stored */
	TIMER_RING,	      /* a call has rung for long enough */
	TIMER_ABSENT,	      /* a party of a call has been gone for long enough */
	TIMER_CALL_MAX,	      /* a call has lasted for long enough */
	TIMER_FAREWELL,	 /* word of a call that a restart has ended, for who has not come back */
	TIMER_END_RETRY, /* an end that could not be stored */
	TIMER__COUNT
};

/* Each kind's list is in order of time. Nearly all timers of one kind have the same length, so a
 * new one goes to the end. */
struct timer {
	struct timer *prev;
	struct timer *next;
	int64_t due_ms; /* 0: not armed */
	enum timer_kind kind;
	void *owner; /* a struct member, struct call or struct leg, by the kind */
};

struct conn {
	struct conn_id id;
	struct member *user;
	bool v1;
	bool ousted; /* the caller's: the call has gone on to another, and its end is to be told */
	bool hashed;
	struct conn *next; /* in user->conns, oldest first */
	UT_hash_handle hh;
};

/* A user whom somebody has to know about: connected or just gone, in a call, or a doctor who is not
 * OFFLINE. */
struct member {
	struct user_id id;
	enum role role;
	enum status status; /* chosen; what is shown is member_status() */
	char *name;
	struct conn *conns;
	unsigned conn_count;
	unsigned writes; /* presence on its way to the store: until it is there, what the store says
			    of it is old */
	bool hidden;	 /* nobody else is shown her: she waits for approval, or is disabled */
	bool disabled;
	bool changed;	       /* in hub->changed: since the list was announced */
	uint64_t changed_in;   /* the announcement that tells, or told, of her last change */
	unsigned told;	       /* a bit for each audience that may have her in its list */
	uint64_t own_revision; /* counts, beside her audience's, what she alone is shown: herself */
	uint64_t whole_from;   /* she sees others than before: a list older than this one is not
				  to be mended */
	unsigned starts;       /* calls that she has started without a callId */
	struct member *changed_prev;
	struct member *changed_next;
	struct frame *farewell;	      /* call_end for her next connection; NULL: none */
	struct frame *farewell_state; /* and the call_state before it, for one of v1 */
	struct timer farewell_timer;
	bool present;	   /* connected, or within the grace */
	struct call *call; /* the live one, or one that is being started */
	struct timer presence_timer;
	struct timer retry_timer;
	bool hashed;
	UT_hash_handle hh;
};

/* Signals for a party who cannot take them yet. */
enum { MAIL_MAX = 65, MAIL_BYTES_MAX = 256 << 10 };

struct mail {
	unsigned count;
	size_t bytes;
	struct frame *frames[MAIL_MAX];
};

struct leg {
	struct member *user;
	struct call *call;
	struct conn_id conn; /* the connection that the call is on; 0: none (yet, or lost) */
	struct conn_id heir; /* the newest that has come since; 0: none */
	struct timer absent_timer;
	struct mail mail;
};

/* Who waits for an answer, to what, and under which id of his own ("": none). */
struct asker {
	struct conn_id conn;
	const char *re; /* the message's type; static */
	char id[CLIENT_ID_SIZE];
};

enum { ASKERS_MAX = 8 };

struct askers {
	unsigned count;
	struct asker list[ASKERS_MAX];
};

/* docs/architecture.md has the table of its states. */
struct call {
	char id[CALL_ID_MAX + 1];
	enum call_state state; /* CALL_NONE: its start is being stored */
	enum call_state
	    storing; /* the state that it moves to when the store has it; CALL_NONE: none */
	uint64_t storing_seq;
	struct leg caller;
	struct leg callee;
	int64_t rings_since_ms; /* monotonic */
	struct timer timer;	/* TIMER_RING, then TIMER_CALL_MAX */
	struct timer end_retry;
	struct askers starters; /* the call_start that made it, and its repetitions */
	struct asker answerer;
	struct askers enders;
	bool end_wanted; /* an end that came while something else was being stored */
	enum call_reason end_reason;
	struct user_id end_by;
};

/* A status that a client has set and that is being stored. */
struct status_write {
	uint64_t seq;
	struct asker asker;
	struct status_write *prev;
	struct status_write *next;
};

/* What an audience is shown. */
struct view {
	uint64_t revision; /* counts the states of its list */
	bool listed;	   /* LIST is there, as of LIST_REVISION */
	struct frame_stem list;
	uint64_t list_revision;
	bool told; /* PRESENCE, of the last announcement, is there */
	struct frame_stem presence;
};

/* A user who is not known, or not to be shown, any more. */
struct gone {
	struct user_id id;
	unsigned told; /* as it was */
};

struct hub {
	struct hub_settings settings;
	struct member *members; /* by id */
	struct conn *conns;	/* by id */
	struct timer *timers[TIMER__COUNT];
	struct status_write *status_writes; /* oldest first */
	unsigned status_write_count;
	unsigned calls;
	uint64_t seq;  /* the last one given out */
	bool loading;  /* until EVENT_LOADED */
	bool draining; /* no new calls */

	struct view views[AUDIENCE__COUNT];
	uint64_t announcements; /* so far */
	struct member
	    *changed;	   /* who is shown in another way than when the list was announced last */
	struct gone *gone; /* and who is not known any more */
	unsigned gone_count;
	unsigned gone_cap;
	bool gone_lost;	      /* there was no memory for one of them: v1 needs a new list */
	bool list_due;	      /* somebody has not been told of the last change */
	int64_t list_next_ms; /* not before this */

	/* Of the step that runs. */
	int64_t now_ms;
	int64_t wall_ms;
	struct effects *fx;
};

/* Effects (hub.c). hub_effect() adds one of KIND, to be filled in. send() takes over the caller's
 * reference to FRAME. */
struct effect *hub_effect(struct hub *h, enum effect_kind kind);
void send_frame(struct hub *h, struct conn_id to, struct frame *frame);
void send_error(struct hub *h, const struct conn *to, const struct message *re, const char *code,
    const char *message);
/* To TO: the call with CALLEE, of CALL_ID or NULL, is refused for REASON, which is static. ID as in
 * frame_call_refused(). */
void refuse_call(struct hub *h, struct conn_id to, struct user_id callee, const char *call_id,
    const char *reason, const char *id);
/* C was refused M for want of a right, and CODE says which; send_error() notes it by itself. */
void note_denial(struct hub *h, const struct conn *c, const struct message *m, const char *code);
struct persist *persist(struct hub *h, enum persist_kind kind, struct user_id user);

/* What USER gets now of the STUN and TURN servers (hub.c). */
struct turn_grant turn_grant_to(const struct hub *h, struct user_id user);

/* Timers (hub.c). Arming an armed timer starts it anew; disarming a stopped one is fine. */
void timer_init(struct timer *t, enum timer_kind kind, void *owner);
void timer_arm(struct hub *h, struct timer *t, int64_t length_ms);
void timer_disarm(struct hub *h, struct timer *t);

/* Who waits (hub.c). */
void asker_set(struct asker *a, const struct conn *c, const struct message *m);
MUST_USE bool askers_add(
    struct askers *all, const struct conn *c, const struct message *m); /* false: it is full */

/* routing.c: what passes from one user to another, and a doctor's own status. */
void route_chat(struct hub *h, struct conn *c, const struct message *m);
void route_signal(struct hub *h, struct conn *c, const struct message *m);
void route_set_status(struct hub *h, struct conn *c, const struct message *m);
void route_status_persisted(struct hub *h, const struct event *ev);

/* roster.c: users, their connections and their presence. */
struct member *member_find(struct hub *h, struct user_id id); /* NULL: unknown */
struct conn *conn_find(struct hub *h, struct conn_id id);     /* NULL: gone */
enum status member_status(const struct member *m);	      /* as all see it: BUSY in a call */
void member_settle(
    struct hub *h, struct member *m); /* forgets M where nobody has to know it any more */
void roster_connected(struct hub *h, const struct event *ev);
void roster_farewell(struct hub *h, struct member *m, struct frame *end,
    struct frame *state);				    /* takes over both references */
void roster_farewell_over(struct hub *h, struct member *m); /* told, or TIMER_FAREWELL */
void roster_lost(struct hub *h, struct conn *c);
void roster_row(struct hub *h, const struct user *u);
void roster_was_present(struct hub *h, struct user_id id);
void roster_loaded(struct hub *h);
void roster_persisted(struct hub *h, const struct event *ev);
void roster_presence_over(struct hub *h, struct member *m); /* TIMER_PRESENCE */
void roster_presence_retry(struct hub *h, struct member *m);
void roster_free(struct hub *h);

/* view.c: what each is shown of the others, and whom she can reach. */
bool member_sees(const struct hub *h, const struct member *m, const struct member *other);
bool member_is_listed(const struct member *m); /* is she shown to those who see her? */

/* M is shown in another way now, or no more; of one who is not shown any more, this can be said
 * before it is so. */
void view_changed(struct hub *h, struct member *m);
void view_forget(struct hub *h, struct member *m); /* M is about to be forgotten */
void view_hide(struct hub *h, struct member *m);   /* M is hidden now: what changes of her from here
						      on is nobody else's */

/* M's role, or whether she is hidden, changes to this: she sees others than before. */
void view_admit(struct hub *h, struct member *m, enum role role, bool hidden);
void view_announce(struct hub *h);     /* makes what hub_presence() gives */
void view_forget_lists(struct hub *h); /* those that are not the newest */
void view_init(struct hub *h);
void view_free(struct hub *h);
void view_write_user(const struct member *m, const char *key, struct json_writer *w);

/* Whom M, from C, is to, as far as C's user may know: *ROLE is ROLE_NONE where there is nobody.
 * NULL: the hub does not know her. */
struct member *view_addressee(
    struct hub *h, const struct conn *c, const struct message *m, enum role *role);

/* calls.c: what is wanted of a call. */
void calls_start(struct hub *h, struct conn *c, const struct message *m);
void calls_end(
    struct hub *h, struct conn *c, const struct message *m); /* call_end, and call_reject */
void calls_accept(struct hub *h, struct conn *c, const struct message *m);
void calls_end_by_operator(struct hub *h, const struct live_call *call);
void calls_restore(struct hub *h, const struct live_call *row);
void calls_rung_out(struct hub *h, struct call *call);
void calls_too_long(struct hub *h, struct call *call);
void calls_end_again(struct hub *h, struct call *call);
void call_accept(struct hub *h, struct call *call, const struct conn *c,
    const struct message *m); /* C answers it */
bool call_is_ending(const struct call *call);
void call_free(struct hub *h, struct call *call); /* without telling anybody */
void calls_write_active(
    const struct member *m, struct json_writer *w); /* welcome's activeCall, where there is one */

/* The call that M, from C, is about: C's user is in it, and M names no other. NULL: none. */
struct call *call_meant(const struct conn *c, const struct message *m);

/* CALL is to end, by the act or absence of BY. The first reason counts; CALL_REASON_NONE: what it
 * is called depends on how far the call has come by then. */
void call_want_end(struct hub *h, struct call *call, enum call_reason reason, struct user_id by);

/* Has CALL's end stored, where it is wanted and nothing else is being stored. */
void call_store_end(struct hub *h, struct call *call);

/* call_moves.c: what becomes of it when the store has answered. */
void calls_persisted(struct hub *h, const struct event *ev);
void call_both_changed(struct hub *h, const struct call *call); /* BUSY, or not any more */

/* legs.c: its two ends. */
void calls_signal(
    struct hub *h, struct conn *c, const struct message *m); /* between the two of c's call */
void calls_resume(struct hub *h, struct conn *c, const struct message *m);
void calls_connected(struct hub *h, struct conn *c);
void calls_lost(struct hub *h, struct conn *c);
void calls_party_gone(struct hub *h, struct leg *leg); /* TIMER_ABSENT */
void calls_revoked(struct hub *h, struct conn *c);
void leg_init(struct leg *leg, struct call *call, struct member *user);
void leg_fini(struct hub *h, struct leg *leg);
void leg_ring(struct hub *h, const struct call *call,
    const struct conn *c); /* the callee's, on C; NULL: on all her connections */
void mail_send(struct hub *h, const struct mail *mail, struct conn_id to);
void mail_clear(struct mail *mail);
void legs_tell_state(
    struct hub *h, const struct call *call); /* call_state, to both parties' v1 connections */
