/* Sessions that were logged out. */
#pragma once

#include "auth/token.h"
#include "store/store.h"

/* In a transaction: all tokens of SESSION are dead from now on. EXPIRES_S is when the last of them
 * would have been anyway; rows past that are dropped by and by. Once more does no harm. REQUEST is
 * the id of the request that asked for it; NULL: none did. */
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
