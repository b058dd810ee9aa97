/* Passwords: bcrypt ("$2b$") through libxcrypt. One hash takes about 0.2 s of a core at cost 12, on
 * purpose. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum { PASSWORD_HASH_SIZE = 61 }; /* 60 characters and the NUL */

/* Hashes PASSWORD, which has passed password_rule(), with a random salt. COST: 4 to 15, the
 * logarithm of the rounds. */
MUST_USE enum err password_hash(const char *password, int cost, char out[PASSWORD_HASH_SIZE]);

/* ERR_OK: PASSWORD made HASH. ERR_DENIED: it did not, or HASH is not bcrypt's. ERR_SYSTEM: out of
 * memory. */
MUST_USE enum err password_verify(const char *password, const char *hash);

/* Works as long as password_verify() does for a hash of COST and always denies: what an unknown
 * account gets, so that the time tells nobody whether it exists. */
MUST_USE enum err password_verify_nobody(const char *password, int cost);

/* Does the work that password_verify() of HASH, which is of a lower cost or not bcrypt's at all,
 * lacks to that of COST, and denies (nothing lacks: at once): an account of older days must not
 * answer sooner than an unknown one. ERR_SYSTEM: out of memory. */
MUST_USE enum err password_make_up(const char *password, const char *hash, int cost);

/* The cost that HASH was made at; 0: it is not bcrypt's. */
int password_cost(const char *hash);
