/* A world for the hub: people with clients, a store that can fail, a clock that jumps, and the
 * rules that must hold after every event.
 *
 * history.c: how it begins, goes on and ends; act.c: what people, the store and time do, by chance.
 *
 * shell.c: the relay's shell: events to the hub, effects to clients and store; crash and restart.
 *
 * words.c: messages in words of others.
 *
 * store.c: the database and its thread.
 *
 * client.c: what a client is sent, read as JSON and judged; v1.c: what only telemed.v1 is sent;
 * list.c: the user list, whole and as changes; ice.c: the servers for a call.
 *
 * model.c, talk.c: what is true by the rules, worked out anew from the events alone; of people, and
 * of calls.
 *
 * rules.c: hub and model compared after every event; peek.c: inside the hub.
 *
 * rest.c: once nothing comes any more and all timers have run.
 *
 * crowd.c: what takes more people than a history has. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hub.h"
#include "prng.h"

struct json;

enum {
	PEOPLE_MAX = 8,
	CLIENTS_EACH_MAX = 8, /* as the relay's shell allows */
	CLIENTS_MAX = PEOPLE_MAX * CLIENTS_EACH_MAX,
	SAID_MAX = 4096,
	TASKS_MAX = 8192,
	CALLS_MAX = 1024,
	SIGNALS_MAX = 600, /* of one direction of one call */
	NOBODY_ID = 9999,  /* an id that is no user's */
};

/* What must hold; the sentences are in history.c. */
enum rule {
	RULE_FRAMES,
	RULE_ONE_CALL,
	RULE_LIST,
	RULE_LIST_SENT,
	RULE_RESPONSE,
	RULE_REFUSAL,
	RULE_ANSWER,
	RULE_COMMITTED,
	RULE_END,
	RULE_REASON,
	RULE_TIMERS,
	RULE_ORDER,
	RULE_THIRD_PARTY,
	RULE_BOUNDS,
	RULE_MEMORY,
	RULE_STORE,
	RULE_REST,
	RULE_WELCOME,
	RULE_PRESENCE,
	RULE_CALL_STATE,
	RULE_RESUME,
	RULE_ASKED,
	RULE_FAREWELL,
	RULE_ICE,
	RULE_UNSEEN,
	RULE__COUNT
};

/* A call as the outside knows it: from the writes that the hub has asked for, and their results. */
struct talk {
	unsigned serial; /* 0: not in use */
	char id[CALL_ID_MAX + 1];
	struct person *party[2]; /* the caller, the callee */
	enum call_state state;	 /* CALL_NONE: its start is being stored */
	enum call_state storing; /* CALL_NONE: nothing */
	uint64_t seq;		 /* of what is being stored */
	enum err outcome;	 /* of the start */
	bool restored;
	bool over;	       /* in the step that runs */
	bool asked[2];	       /* the party has sent a call_end or call_reject that names it */
	bool absent[2];	       /* the party has been gone for the whole grace */
	bool revoked[2];       /* the party's session on the call's connection was logged out */
	bool missing[2];       /* the party is away and waited for */
	unsigned states_due;   /* call_state messages to each v1 connection of both, in the step */
	int64_t state_ms;      /* when it became RINGING or ACTIVE */
	int64_t party_ms[2];   /* from when on the party's absence counts */
	int64_t end_failed_ms; /* 0: it did not */
	struct conn_id answerer;
	struct conn_id on[2];	/* the connection that the party has the call on; 0: none */
	struct conn_id heir[2]; /* the newest that has come since */
	struct conn_id ousted;	/* has lost the call to another of its user's in the step */

	/* Signals to each party, in the order in which the hub took them. */
	struct line {
		unsigned count;
		unsigned taken; /* the first of them that the party has not been given yet */
		unsigned kept;	/* for connections that come while it rings */
		size_t kept_bytes;
		struct {
			unsigned said;
			unsigned bytes;
			bool kept;
		} list[SIGNALS_MAX];
	} line[2];
};

struct person {
	/* The store's. */
	struct user row;
	int64_t rev;
	bool in_presence;
	unsigned statuses_stored[STATUS_OFFLINE + 1];

	/* The model's: what everybody who sees her must be shown. */
	enum status chosen;
	bool present;
	bool pending;	     /* or disabled: hidden, as the hub has been told */
	unsigned stirs;	     /* how often what can be shown of her has changed */
	unsigned stirs_seen; /* the same until she was hidden last */
	unsigned look;	     /* what that was last */
	unsigned clients;
	int64_t gone_ms; /* when the last client went */
	unsigned writes; /* of presence, on their way to the store */
	bool unsaved;	 /* one has failed, and must be tried again */
	bool leaves;	 /* in the step that runs, in which it may have been tried before that */
	struct talk *talk;
	char farewell[CALL_ID_MAX + 1]; /* the call that a restart has ended without her; "": none
					 */
	int64_t farewell_from;
	int64_t farewell_ms;
	unsigned statuses_acked[STATUS_OFFLINE + 1];
};

/* A connection. */
struct client {
	struct conn_id id; /* 0: not in use */
	struct person *user;
	int64_t epoch; /* of its token */
	bool v1;
	uint64_t shown_id;
	bool welcomed;
	bool lags;    /* its socket is full: it gets the newest list when it no longer is */
	bool resumes; /* when it connected, there was a call to resume */
	int64_t expires_ms;
	uint64_t list_revision;		/* the last list that it was sent */
	enum status known[PEOPLE_MAX];	/* what it makes of all that it was sent */
	unsigned stirs;			/* of all whom it is shown, that it has been told of */
	unsigned states;		/* call_state messages in the step */
	bool farewell_state;		/* of v1: it was told how that call stands now */
	char farewell[CALL_ID_MAX + 1]; /* the call whose end it is to be told on connecting */
	unsigned asked; /* the serial of the call that it has come for, answered, taken up or acted
			   for; of the callee's, no earlier than the answer */
	unsigned rung;	/* the serial of the call that it was told of; 0: none */
	unsigned heard_end;	  /* the serial of the last call whose end it was told */
	unsigned heard_elsewhere; /* the same, that it goes on on another */
	unsigned rung_at;	  /* signals that had come before its incoming_call */
	unsigned taken;		  /* the first signal of that call that it has not been sent */
};

/* A message that a client has sent. */
struct said {
	enum message_type type;
	enum signal_kind signal;
	struct conn_id conn;
	struct person *from;
	int64_t to;	  /* 0: nobody */
	bool to_approved; /* the look-up has found her not hidden: the hub may not know it yet */
	bool to_nobody;	  /* it has found her hidden, and the hub does not know her */
	bool handed;	  /* to the hub */
	bool with_id;
	bool with_call_id;
	bool bad_call_id;
	char call_id[CALL_ID_MAX + 1];
	enum status status;
	unsigned padding; /* bytes more */
	const char *text; /* as it was written, of TEXT_LEN bytes, the caller's; NULL: by us */
	size_t text_len;
	unsigned life;	 /* of the hub that has it */
	unsigned serial; /* of the call that it made, repeats or ends; 0: none */
	unsigned answers;
	unsigned copies; /* that have arrived */
	bool refused;	 /* by an error */
	bool too_often;
};

enum task_kind { TASK_PERSIST, TASK_CONNECT, TASK_MESSAGE, TASK_CHANGED };

/* What the store thread is asked to do, and what comes back. */
struct task {
	enum task_kind kind;
	struct persist persist;
	struct person *user;
	enum status status;
	bool v1; /* TASK_CONNECT */
	bool pending;
	bool disabled;
	int64_t epoch; /* TASK_CONNECT: the token's; TASK_CHANGED: the row's */
	enum err outcome;
	unsigned said; /* TASK_MESSAGE */
};

struct tasks {
	unsigned first;
	unsigned end;
	struct task list[TASKS_MAX];
};

struct call_made {
	char id[CALL_ID_MAX + 1];
	struct person *caller;
	struct person *callee;
	enum call_state state;
	int64_t answered_ms; /* on the wall clock; 0: never */
	enum call_reason reason;
};

struct store_fake {
	int64_t revision;
	int64_t told; /* the feed's cursor */
	unsigned calls;
	struct call_made call[CALLS_MAX];
	struct tasks todo;
	struct tasks done;
	unsigned fail_percent;	   /* of batches and look-ups */
	unsigned conflict_percent; /* of starts: somebody else has written */
	unsigned rest_percent;	   /* of its writes: fcgi-api writes between */
};

struct habits {
	unsigned connect;
	unsigned store;	  /* percent: the thread gets to run after an act */
	unsigned deliver; /* percent: the loop takes what it has done */
	unsigned crash;	  /* in a thousand acts */
	unsigned flood;	  /* in a thousand acts */
};

struct world {
	uint64_t seed;
	struct prng prng;
	bool trace;
	void (*witness)(const struct frame *f); /* sees every frame that is sent; NULL: nobody */
	unsigned events;			/* so far */

	struct hub *hub; /* NULL: it is down */
	struct hub_settings settings;
	struct turn_settings turn;
	unsigned life; /* counts the hubs */
	bool loading;
	int64_t now_ms;
	int64_t wall_ms;
	struct effects fx;
	struct said *current;	 /* the message of the step that runs */
	bool asked_before;	 /* its sender had asked for the call's end already */
	bool must_take;		 /* nothing allows to refuse it */
	bool must_refuse;	 /* nothing allows to take it */
	unsigned effects;	 /* of the step */
	unsigned statuses_asked; /* set_status that are being stored */
	uint64_t seq;		 /* the last that the hub gave out */

	struct habits habits;
	unsigned people;
	struct person person[PEOPLE_MAX];
	struct client client[CLIENTS_MAX];
	uint64_t last_conn;
	struct talk talk[PEOPLE_MAX];
	unsigned last_serial;
	unsigned said_count;
	struct said said[SAID_MAX];
	struct store_fake store;

	/* The first rule that was broken. */
	bool broken;
	enum rule rule;
	char why[512];
};

/* history.c: world_begin() makes people and settings, world_end() lets it come to rest and frees
 * what it has; run_history() is both and random acts between. */
extern const char *const rules[RULE__COUNT];
void world_begin(struct world *w, uint64_t seed);
void world_end(struct world *w);
void run_history(struct world *w, uint64_t seed);

/* Notes that RULE is broken; only the first time counts. trace() prints where it was asked for. */
void broken(struct world *w, enum rule rule, const char *fmt, ...) PRINTF_LIKE(3, 4);
void trace(const struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* act.c */
void act(struct world *w);

/* shell.c */
void shell_event(struct world *w, const struct event *ev);
void shell_start(struct world *w);
void shell_crash(struct world *w);
void shell_stop(struct world *w); /* as planned: clients go, and what is left is stored */
void shell_say(struct world *w, struct said *s);
const char *said_name(const struct said *s); /* its type's name on the wire */
void shell_connect(struct world *w, struct person *p, bool v1);
void shell_drop(struct world *w, struct client *c);
void shell_revoke(struct world *w, const struct client *c);
void shell_end_call(struct world *w, const struct talk *t); /* an operator does */
void shell_catch_up(struct world *w, unsigned percent);	    /* of those that lag */
void shell_tick(struct world *w);
void shell_results(struct world *w, unsigned most);

/* words.c: C says TEXT, which must outlive the history; false: it is no message, or not for the
 * hub. What shell_say() does with one. */
bool words_say(struct world *w, const struct client *c, const char *text, size_t len);
void words_hand_over(struct world *w, struct said *s, enum role to_role);

/* store.c */
void store_reset(struct store_fake *s);
void store_ask(struct world *w, const struct task *t);
bool store_is_idle(const struct world *w);
void store_run(struct world *w); /* the thread: look-ups, a batch, changes */
void store_set_status(struct world *w, struct person *p, enum status status); /* by REST */
void store_approve(struct world *w, struct person *p);			      /* by an operator */
void store_disable(struct world *w, struct person *p, bool disabled);	      /* or enable again */
struct call_made *store_live_call(struct world *w, const struct person *p);   /* NULL: none */
struct call_made *store_last_call(struct world *w, const struct person *p, const char *id);

/* client.c */
void client_reads(struct world *w, struct client *c, const struct frame *f);
struct client *client_find(struct world *w, struct conn_id id);

/* v1.c: F, which says ROOT, is a message that telemed.v1 has added? Then it is judged. */
bool v1_reads(struct world *w, struct client *c, const struct frame *f, const struct json *root);
void v1_check(struct world *w);

/* model.c: before a step, what its event makes true; each write that it asks for; what it has
 * refused; at its end. */
void model_reset(struct world *w);
void model_event(struct world *w, const struct event *ev);
void model_persist(struct world *w, const struct persist *p);
void model_taken(struct world *w);
void model_done(struct world *w);
struct person *person_of(struct world *w, struct user_id id); /* NULL: there is no such user */
bool person_is_listed(const struct person *p);
bool person_is_kept(const struct person *p); /* must the hub know her for her presence's sake? */
bool person_sees(const struct world *w, const struct person *p, const struct person *other);
bool person_sees_such(const struct world *w, const struct person *p,
    const struct person *other); /* unless they are hidden */
struct person *said_to(
    struct world *w, const struct said *s); /* NULL: nobody whom its sender sees */
void model_stir(struct world *w);
unsigned model_stirs(const struct world *w, const struct person *p); /* of all whom P sees */
enum status person_shown(const struct person *p);

/* talk.c: what an event, a write, a refusal or time makes true of a call. */
struct talk *talk_find(struct world *w, unsigned serial); /* NULL: it is over */
void talk_restored(struct world *w, const struct live_call *c);
void talk_connected(struct talk *t, int side, struct client *c);
void talk_lost(const struct world *w, struct talk *t, int side, struct conn_id conn);
void talk_revoked(struct talk *t, struct conn_id conn);
void talk_barred(struct talk *t, const struct person *p); /* she is disabled */
void talk_ended_by_operator(struct world *w, const struct live_call *c);
void talk_message(struct world *w, const struct message *m);
void talk_persisted(struct world *w, const struct event *ev);
void talk_start(struct world *w, const struct persist *p);
void talk_move(struct world *w, const struct persist *p);
void talk_take_back(struct world *w, const struct said *s);
void talk_pass_time(const struct world *w, struct talk *t);
void talk_step_done(const struct world *w, struct talk *t);
int talk_side(const struct talk *t, const struct person *p); /* 0: the caller, 1: the callee */
bool talk_may_end_soon(const struct talk *t);
bool talk_can_resume(const struct talk *t);
bool said_means(const struct said *s, const struct talk *t); /* nothing in S names another call */

/* Has the party SIDE of T done, or failed to do, what a call ends for by REASON? */
bool talk_ends_by(const struct talk *t, enum call_reason reason, int side);

/* ice.c: F, which C is sent, begins a call. */
void ice_read(struct world *w, const struct client *c, const struct frame *f);

/* list.c: calls FN for each object of TEXT, a JSON array of them; false: one is not JSON. */
bool list_each(const char *text, size_t len, void (*fn)(void *context, const struct json *entry),
    void *context);

/* list.c: the user list, read and held against the model. */
void list_read(struct world *w); /* one that nobody is sent */
void list_check(struct world *w);
void list_take(struct world *w, struct client *c, const struct frame *f, uint64_t revision);
void list_fold(struct world *w, struct client *c, const struct frame *f, const struct json *root);

/* rules.c, rest.c */
void rules_message(struct world *w); /* before the step */
void rules_check(struct world *w);
void peek_check(struct world *w); /* peek.c: inside the hub */
bool peek_knows(const struct world *w, struct user_id user);
void rest(struct world *w);

/* crowd.c: by itself, in a hub of its own. NULL: it is as it should be. FX is for its use. */
const char *crowd_leaves(struct effects *fx);
