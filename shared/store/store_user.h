/* Accounts, the status that each has chosen, and who is connected. */
#pragma once

#include "auth/password.h"
#include "auth/token.h"
#include "domain/user.h"
#include "store/store.h"

struct account {
	struct user user; /* its status as others see it: BUSY in a call */
	char email[EMAIL_BYTES_MAX + 1];
	char password_hash[PASSWORD_HASH_SIZE];
	bool erased; /* for good: what stands in the other fields is nobody's */
};

/* Adds A, whose status is OFFLINE, and sets its id. In a transaction. ERR_CONFLICT: the email is
 * taken, without case. */
MUST_USE enum err store_user_create(struct store *s, struct account *a, int64_t now_ms);

MUST_USE enum err store_user_by_email(
    struct store *s, const char *email, struct account *out); /* ERR_NOT_FOUND */
MUST_USE enum err store_user_by_id(
    struct store *s, struct user_id id, struct account *out); /* ERR_NOT_FOUND */

/* Whose TOKEN, which was verified, is, if it is good still: ERR_NOT_FOUND also where she is
 * disabled or its session was ended. One read of the database. */
MUST_USE enum err store_user_of_token(
    struct store *s, const struct claims *token, struct account *out);

/* Sets the chosen status. In a transaction. Of a user who does not exist: nothing. REQUEST is the
 * id of the request that asked for it, which goes along with the change; NULL: none did. */
MUST_USE enum err store_user_set_status(
    struct store *s, struct user_id id, enum status status, const char *request);

/* Approves a pending doctor. In a transaction. Of anybody else: nothing. */
MUST_USE enum err store_user_approve(struct store *s, struct user_id id);

/* What an operator does, in a transaction; store_wrote() says whether there was anything to do.
 * Whoever loses her access loses her sessions too: store_sessions_end(). */

/* Disables ID, who becomes OFFLINE; enables her, unless she was erased. */
MUST_USE enum err store_user_disable(struct store *s, struct user_id id);
MUST_USE enum err store_user_enable(struct store *s, struct user_id id);

/* HASH is password_hash()'s. Of an erased user: nothing. */
MUST_USE enum err store_user_set_password(struct store *s, struct user_id id, const char *hash);

/* Name, email and password of A are gone for good, and the email is free; she is disabled. Her
 * calls stay, with a party called "Erased". */
MUST_USE enum err store_user_erase(struct store *s, const struct account *a);

/* Calls FN for every account, or for those that are pending, by id; without the password's hash,
 * and with the time of the registration. FN's failure ends it and is returned. */
typedef enum err account_fn(void *context, const struct account *a, int64_t created_ms);
MUST_USE enum err store_accounts(struct store *s, bool pending_only, account_fn *fn, void *context);

/* Calls FN for every doctor who is not pending, by name. FN's failure ends it and is returned. */
typedef enum err user_fn(void *context, const struct user *u);
MUST_USE enum err store_doctors(struct store *s, user_fn *fn, void *context);

/* For the relay. The status given to FN here is the chosen one: calls are the relay's own
 * knowledge. */

MUST_USE enum err store_user_row(
    struct store *s, struct user_id id, struct user *out); /* ERR_NOT_FOUND */

/* Every user whom a starting relay must know (doctors not OFFLINE, users who were connected or in a
 * call), and the revision that this is the state of. */
MUST_USE enum err store_users_listed(struct store *s, user_fn *fn, void *context, int64_t *rev);

/* The revision now: how many changes of users there have been. */
MUST_USE enum err store_revision(struct store *s, int64_t *rev);

/* The users changed after *REV, oldest change first, at most MAX; moves *REV on. *MORE: there are
 * others. REQUEST is the id of the request that made the change ("": none). */
typedef enum err change_fn(void *context, const struct user *u, const char *request);
MUST_USE enum err store_users_changed(
    struct store *s, int64_t *rev, int max, change_fn *fn, void *context, bool *more);

/* Who was connected when the relay last wrote. FN gets only the id. */
MUST_USE enum err store_presence(struct store *s, user_fn *fn, void *context);

/* In a transaction: ID has connected (an OFFLINE user who is not disabled becomes ONLINE); ID has
 * left (becomes OFFLINE). */
MUST_USE enum err store_presence_add(struct store *s, struct user_id id);
MUST_USE enum err store_presence_remove(struct store *s, struct user_id id);
