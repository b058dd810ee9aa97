/* Sessions: those that were begun, for an operator to see, and those that were ended. */
#pragma once

#include "auth/token.h"
#include "base/address.h"
#include "store/store.h"

struct session_row {
	char session[JTI_MAX + 1];
	struct user_id user;
	int64_t began_s;
	int64_t ends_s; /* the last token that can come of it is dead by then */
	char source[ADDRESS_TEXT_SIZE];
};

/* In a transaction: notes a session that begins now. Rows of those that are long over are dropped
 * by and by. ERR_CONFLICT: there is such a one. */
MUST_USE enum err store_session_begin(struct store *s, const struct session_row *row);

/* SESSION, if it was begun and not ended, and is not over at NOW_S. ERR_NOT_FOUND. */
MUST_USE enum err store_session_find(
    struct store *s, const char *session, int64_t now_s, struct session_row *out);

/* Gives FN all of them, or those of USER (0: all), by user. FN's failure ends it and is returned.
 */
typedef enum err session_row_fn(void *context, const struct session_row *row);
MUST_USE enum err store_sessions(
    struct store *s, struct user_id user, int64_t now_s, session_row_fn *fn, void *context);

/* In a transaction: ends all sessions of USER (0: of everybody), also those that nobody has noted:
 * her epoch is another one. */
MUST_USE enum err store_sessions_end(struct store *s, struct user_id user, int64_t now_ms);

/* In a transaction: all tokens of SESSION are dead from now on. EXPIRES_S is when the last of them
 * would have been anyway; rows two days past that are dropped by and by. Once more does no harm.
 * REQUEST is the id of the request that asked for it; NULL: none did. */
MUST_USE enum err store_session_revoke(struct store *s, struct user_id user, const char *session,
    int64_t expires_s, int64_t now_s, const char *request);

/* ERR_OK: SESSION was not logged out. ERR_DENIED: it was. */
MUST_USE enum err store_session_check(struct store *s, const char *session);

/* Gives FN every session logged out after *LAST, oldest first, and moves *LAST on. REQUEST is the
 * id of the request that did it ("": none). FN's failure ends it and is returned. */
typedef enum err session_fn(
    void *context, struct user_id user, const char *session, const char *request);
MUST_USE enum err store_sessions_revoked(
    struct store *s, int64_t *last, session_fn *fn, void *context);

/* What *LAST is now: for a reader that starts. */
MUST_USE enum err store_session_last(struct store *s, int64_t *last);
