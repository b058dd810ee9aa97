/* What a call is: the words that the wire, the database and the hub share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "domain/user.h"

enum call_state { CALL_NONE, CALL_RINGING, CALL_ACTIVE, CALL_ENDED };

enum call_reason {
	CALL_REASON_NONE,
	CALL_HANGUP,
	CALL_REJECTED,
	CALL_CANCELLED,
	CALL_NO_ANSWER,
	CALL_ANSWERED_ELSEWHERE, /* told to the callee's other connections; no call ends by it */
	CALL_DISCONNECTED,
	CALL_MAX_DURATION,
	CALL_SERVER_RESTART,
	CALL_REVOKED,
};

enum { CALL_ID_MAX = 64 };

/* A call as one of its parties looks back on it. */
struct call_record {
	int64_t number; /* the database's own: newer calls have higher ones */
	char call_id[CALL_ID_MAX + 1];
	bool outgoing;	  /* made by the party, and not to her */
	struct user peer; /* without a status */
	enum call_state state;
	enum call_reason reason;
	int64_t started_ms;
	int64_t answered_ms; /* 0: never */
	int64_t ended_ms;    /* 0: not yet */
};

const char *call_state_name(enum call_state s);
enum call_state call_state_from_name(const char *name); /* CALL_NONE: no such state */
const char *call_reason_name(enum call_reason r);
enum call_reason call_reason_from_name(
    const char *name); /* CALL_REASON_NONE: no such reason, or NULL */

/* 1 to 64 of A-Z a-z 0-9 . _ : - */
bool call_id_ok(const char *id);
