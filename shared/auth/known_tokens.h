/* Tokens that were found good before. Whether a token's MAC is ours and what it claims follow from
 * its bytes and the key alone, so for one that comes again they are looked up: half a microsecond
 * for the digest that it is known by, and not twenty for libjwt and two readings. Its times are
 * held against the clock every time; who its user is and whether its session was logged out, only
 * the database says. */
#pragma once

#include "auth/token.h"

enum {
	TOKENS_KNOWN_MAX = 256, /* one more takes the place of another */
	TOKEN_DIGEST_SIZE = 32, /* SHA-256 */
};

/* For one pair of keys, and one thread. All zero: none is known yet. */
struct known_tokens {
	struct known_token {
		unsigned char digest[TOKEN_DIGEST_SIZE]; /* the token itself is kept nowhere */
		struct claims claims;			 /* of user 0: the place is free */
	} at[TOKENS_KNOWN_MAX];
};

/* token_verify(), which is asked only about a token that is not known yet. */
MUST_USE enum err known_tokens_verify(struct known_tokens *known, const struct token_keys *keys,
    const char *text, size_t len, int64_t now_s, struct claims *out);
