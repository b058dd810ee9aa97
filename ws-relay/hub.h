/* The hub: presence, routing and calls, and nothing else. It is pure: no socket, no database, no
 * clock. Events go in, effects come out, and what carries them out is somebody else's (relay.c,
 * conn.c, journal.c; in the simulation, a fake). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/turn.h"
#include "domain/call.h"
#include "domain/user.h"
#include "frame.h"
#include "message.h"

struct hub;

struct hub_settings {
	enum visibility visibility;
	int64_t presence_grace_ms; /* from the loss of the last connection to OFFLINE */
	int64_t ring_timeout_ms;
	int64_t call_grace_ms; /* how long a party of a call may be gone */
	int64_t call_max_ms;
	const struct turn_settings *turn; /* the caller's, for as long as the hub is there */
	int heartbeat_ms; /* told in welcome, as the next two: they are the connections' business */
	int messages_per_s;	  /* 0: no limit */
	int user_connections;	  /* at most, for one user */
	int64_t list_interval_ms; /* the first change of the user list goes out at once, the next
				     not before this */
	unsigned list_fresh_max;  /* users whom the hub knows, up to which who connects is sent a
				     list of her own, with her in it */
};

/* What must be stored. Each carries a SEQ, higher than the last one's. */
enum persist_kind {
	PERSIST_PRESENT,     /* USER has connected: ONLINE, where OFFLINE */
	PERSIST_ABSENT,	     /* USER has left: OFFLINE */
	PERSIST_STATUS,	     /* USER has chosen STATUS */
	PERSIST_CALL_START,  /* USER calls PEER under CALL_ID */
	PERSIST_CALL_ANSWER, /* USER's (the caller's) call is ACTIVE */
	PERSIST_CALL_END,    /* USER's (the caller's) call is over by REASON */
};

struct persist {
	enum persist_kind kind;
	uint64_t seq;
	struct user_id user;
	struct user_id peer;
	enum status status;
	enum call_reason reason;
	struct user_id by;   /* of a call's move: whose act or absence it is */
	struct conn_id conn; /* on which it was asked for; 0: none */
	int64_t rang_ms;     /* of an answer: how long it had rung */
	char call_id[CALL_ID_MAX + 1];
};

enum event_kind {
	EVENT_CONNECTED,    /* CONN is open, of USER as the database has it */
	EVENT_LOST,	    /* CONN is gone */
	EVENT_REVOKED,	    /* CONN's session was ended; it is about to be closed */
	EVENT_CALL_REVOKED, /* an operator ends CALL, found by its caller and its id */
	EVENT_MESSAGE,	    /* CONN has sent MESSAGE */
	EVENT_CHANGED,	 /* USER's row in the database has changed, or is told for the first time */
	EVENT_PERSISTED, /* PERSIST was committed (OUTCOME is ERR_OK; STATUS: its user's chosen one,
			    after it), or was not */
	EVENT_TICK,	 /* time has passed */
	/* At start, before anything else, after EVENT_CHANGED for all whom the store lists: */
	EVENT_WAS_PRESENT, /* USER was connected when the last relay ended */
	EVENT_WAS_IN_CALL, /* CALL was live when the last relay ended */
	EVENT_LOADED,	   /* that was all */
};

struct live_call {
	char call_id[CALL_ID_MAX + 1];
	struct user_id caller;
	struct user_id callee;
	enum call_state state;
	int64_t answered_ms; /* on the wall clock; 0: not, or nobody knows */
};

struct event {
	enum event_kind kind;
	struct conn_id conn;
	bool v1;	    /* connected: it has asked for telemed.v1 */
	uint64_t shown_id;  /* connected: what it is called to its client; random, for a number
			       would tell how many there are */
	int64_t expires_ms; /* connected: when its token ends, on the wall clock */
	const struct user *user;
	const struct message *message;
	const struct live_call *call;
	const struct persist *persist;
	enum err outcome;
	enum status status;
};

enum effect_kind {
	EFFECT_SEND,	  /* FRAME to CONN; where it refuses a call, CODE is the reason */
	EFFECT_BROADCAST, /* FRAME to every connection but CONN that hub_hears() it */
	EFFECT_LIST,	  /* the user list, hub_list(), to CONN */
	EFFECT_ANNOUNCE,  /* to every connection that has not been sent its hub_list_revision():
			   * hub_presence() to one of v1 that has the list before it, hub_list() to
			   * all others */
	EFFECT_PERSIST,
	EFFECT_DENIED, /* CONN has asked for what is not its user's to have; for the audit trail */
};

struct effect {
	enum effect_kind kind;
	struct conn_id conn;
	struct frame
	    *frame; /* NULL: there was no memory for it, and CONN is to be closed with 1011 */
	struct persist persist;
	const char *code;    /* denied, or of a refused call; else NULL. Static */
	struct user_id peer; /* denied: whom it was about; 0: nobody */
};

/* Enough for the most that one event brings about, a ring with all that is kept on each of eight
 * connections of one user (529), and for a part of the timers. */
enum { EFFECTS_MAX = 1024 };

/* What one step brings forth, in order. Its frames belong to whoever holds it. */
struct effects {
	unsigned count;
	struct effect list[EFFECTS_MAX];
};

struct hub *hub_new(const struct hub_settings *settings); /* NULL: out of memory */
void hub_free(struct hub *h);				  /* NULL is fine */

/* Feeds EV to the hub at NOW_MS (monotonic; WALL_MS is for what is shown) and sets *FX to what must
 * happen. */
void hub_step(
    struct hub *h, const struct event *ev, int64_t now_ms, int64_t wall_ms, struct effects *fx);
void effects_fini(struct effects *fx); /* gives its frames back */

/* When the hub wants its next EVENT_TICK, on the monotonic clock; INT64_MAX: not before another
 * event. */
int64_t hub_deadline(const struct hub *h);

/* The users message for CONN: as of the last announcement, or newer; what has changed since is
 * about to be announced. What all of an audience are shown is serialised once for each
 * announcement, so of a crowd that connects at once (past list_fresh_max) all are sent one list,
 * and not one each, which would be quadratic; only its end is CONN's own. The hub's, until the next
 * call of this: to be written at once. NULL: out of memory, or CONN is gone. *REVISION is the state
 * that it shows. */
struct frame *hub_list(struct hub *h, struct conn_id conn, uint64_t *revision);

/* The presence message of the EFFECT_ANNOUNCE that is being carried out, for CONN, of v1, which was
 * last sent the list of revision KNOWN. The hub's as hub_list()'s is. NULL: it needs the list. */
struct frame *hub_presence(struct hub *h, struct conn_id conn, uint64_t known);

/* Counts the states of the list as CONN's user is shown it, so that nothing can be told from it
 * about whom she is not shown: who has been sent this one needs no other. 0: CONN is gone. */
uint64_t hub_list_revision(const struct hub *h, struct conn_id conn);

/* Does CONN get what the user of FROM says to all? */
bool hub_hears(const struct hub *h, struct conn_id conn, struct conn_id from);

/* Does the hub know USER, as one whom CONN's can reach, so that a message to her needs no look-up
 * of to_role? One whom she cannot reach is looked up as one whom nobody knows is. */
bool hub_reaches(const struct hub *h, struct conn_id conn, struct user_id user);

/* From now on every new call is refused, with "draining"; or none is on that account. Those that
 * there are go on. */
void hub_refuse_calls(struct hub *h, bool refuse);

/* welcome tells MESSAGES_PER_S from now on (0: no limit). */
void hub_set_rate(struct hub *h, int messages_per_s);

/* How many connections USER has; and how many calls are live. */
unsigned hub_connections(const struct hub *h, struct user_id user);
unsigned hub_calls(const struct hub *h);

/* Calls FN for each connection of USER, whom the hub may not know; FN must not feed the hub. */
void hub_each_connection(const struct hub *h, struct user_id user,
    void (*fn)(void *context, struct conn_id conn), void *context);
