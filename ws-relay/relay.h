/* The relay's parts, as they hang together: the hub that decides, the connections and the store
 * thread that carry out. Here is what goes from one to another: the hub's effects to connections
 * and store, and what the store thread tells to the hub; what connections tell is dispatch.h's. */
#pragma once

#include "auth/token.h"
#include "config/config.h"
#include "conn.h"
#include "hub.h"
#include "journal.h"

struct relay {
	const struct config *config; /* as it is now: SIGHUP may change it */
	struct token_keys keys;
	struct hub *hub;
	struct conn_table *conns;
	struct journal *journal;			/* NULL while the relay is being loaded */
	struct effects fx;				/* of the step that runs */
	void (*wake_at)(void *context, int64_t due_ms); /* when the hub wants its next tick */
	void *context;
	bool stopping; /* no handshake is let in any more */
};

enum { USER_CONNECTIONS_MAX = 8 };

/* Who asked for a JOB_LOOKUP; the cookie points at it. */
struct lookup {
	void (*done)(struct lookup *l, const struct job *j);
};

/* Feeds EV to the hub and carries out what comes of it. */
void relay_event(struct relay *r, const struct event *ev);

/* New calls are refused from now on, with "draining", or are not any more; /readyz says so. */
void relay_refuse_calls(struct relay *r, bool refuse);

/* Carries on with what the store thread has done and read: look-ups go to who asked, changes to the
 * hub, and the connections of sessions that were ended are closed with 4501. */
void relay_results(struct relay *r);

/* Leaves in the audit trail that C's user was refused something about PEER (0: nobody). CODE is
 * static. */
void relay_note_refusal(struct relay *r, const struct connection *c, enum audit_event event,
    const char *code, struct user_id peer);

/* In the metrics: a call_start was refused for REASON, as its call_response says. */
void relay_count_refused_call(const char *reason);
