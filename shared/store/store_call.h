/* Calls: written by the relay alone; an operator can ask it to end one. A live call is found by its
 * caller, who has at most one. */
#pragma once

#include "domain/call.h"
#include "domain/ids.h"
#include "store/store.h"

struct call_row {
	char call_id[CALL_ID_MAX + 1];
	struct user_id caller;
	struct user_id callee;
	enum call_state state;
	int64_t started_ms;
	int64_t answered_ms; /* 0: not answered */
};

/* Each in a transaction. */

/* Starts a RINGING call. ERR_CONFLICT: one of the two is in a live call. */
MUST_USE enum err store_call_start(struct store *s, const char *call_id, struct user_id caller,
    struct user_id callee, int64_t now_ms);

/* CALLER's RINGING call is ACTIVE from now on; of no such call: nothing. */
MUST_USE enum err store_call_answer(struct store *s, struct user_id caller, int64_t now_ms);

/* CALLER's live call is ENDED; of no such call: nothing. */
MUST_USE enum err store_call_end(
    struct store *s, struct user_id caller, enum call_reason reason, int64_t now_ms);

/* The number, the database's own, and the callee of CALLER's newest call. ERR_NOT_FOUND: none. */
MUST_USE enum err store_call_last(
    struct store *s, struct user_id caller, int64_t *number, struct user_id *callee);

/* Gives FN the calls of USER, a party of ROLE, that are older than the one numbered BEFORE (0:
 * all), the newest first, at most MAX. */
typedef enum err call_record_fn(void *context, const struct call_record *c);
MUST_USE enum err store_calls_of(struct store *s, struct user_id user, enum role role,
    int64_t before, int max, call_record_fn *fn, void *context);

/* A call as an operator sees it. */
struct call_entry {
	int64_t number; /* the database's own */
	struct call_row row;
	enum call_reason reason;
	int64_t ended_ms; /* 0: not yet */
};

/* Gives FN the live calls, or ALL there were, the oldest first. FN's failure ends it and is
 * returned.
 */
typedef enum err call_entry_fn(void *context, const struct call_entry *c);
MUST_USE enum err store_calls(struct store *s, bool all, call_entry_fn *fn, void *context);

/* How the call NUMBER stands. ERR_NOT_FOUND: there is none. */
MUST_USE enum err store_call_state(struct store *s, int64_t number, enum call_state *out);

/* In a transaction: the relay is to end the call NUMBER, which is there, when it looks. */
MUST_USE enum err store_call_want_end(struct store *s, int64_t number);

/* Gives FN the caller and the id of each live call that was to be ended since *LAST, and moves
 * *LAST on. FN's failure ends it and is returned. */
typedef enum err call_ending_fn(void *context, struct user_id caller, const char *call_id);
MUST_USE enum err store_calls_to_end(
    struct store *s, int64_t *last, call_ending_fn *fn, void *context);

/* Gives every live call to FN, whose failure ends it and is returned. */
typedef enum err call_fn(void *context, const struct call_row *c);
MUST_USE enum err store_calls_live(struct store *s, call_fn *fn, void *context);
