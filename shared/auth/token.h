/* Access tokens: JWTs (RFC 7519) signed with HS256 (RFC 7518 3.2). One token_verify() decides for
 * both programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "domain/user.h"

enum {
	TOKEN_BYTES_MAX = 4096,
	TOKEN_SKEW_S = 60, /* how far another machine's clock may be ahead */
	JTI_MAX = 64,
};

struct token_key {
	const unsigned char *bytes; /* the caller's; at least SECRET_BYTES_MIN of them */
	size_t len;
};

/* Two while the key is being changed, so that nobody is logged out by it. */
struct token_keys {
	struct token_key first;	 /* signs, and verifies */
	struct token_key second; /* verifies only; of length 0: there is none */
};

/* Those of C, in whose memory they are. */
struct token_keys token_keys_of(const struct config *c);

struct claims {
	struct user_id user; /* "sub" */
	enum role role; /* as it was when the token was made: the database decides what it is now */
	int64_t issued_s;  /* "iat", Unix time */
	int64_t begins_s;  /* "nbf" (RFC 7519 4.1.5); 0: it has none, as ours */
	int64_t expires_s; /* "exp" */
	char jti[JTI_MAX + 1];
	/* A session is a login and all tokens that came of it by renewal. */
	char session[JTI_MAX + 1]; /* "sid": the jti of its first token */
	int64_t login_s; /* "auth_time" (OpenID Connect Core 2): when its user gave the password */
	int64_t epoch;	 /* "epoch": her sessions' as it was then; 0 where there is none */
};

/* Appends the first token of a new session to OUT, good for TTL_S from NOW_S: of C's user, role and
 * epoch; with a random jti of 128 bits. *C says all that it says. ERR_SYSTEM: no randomness or no
 * memory. */
MUST_USE enum err token_issue(
    const struct token_key *key, struct claims *c, int64_t now_s, int64_t ttl_s, struct buf *out);

/* Appends a token of the session of OLD, which has been verified, good for TTL_S from NOW_S but not
 * longer than SESSION_S from the login. ERR_DENIED: the session is over. ERR_SYSTEM as above. */
MUST_USE enum err token_renew(const struct token_key *key, const struct claims *old, enum role role,
    int64_t now_s, int64_t ttl_s, int64_t session_s, struct buf *out);

/* Reads the token that is the LEN bytes at TEXT. Taken: three base64url segments without padding in
 * their one canonical form; a header of "alg":"HS256" and at most "typ":"JWT" beside it; the MAC of
 * one of KEYS; a payload of sub, role, iat, exp and jti with iat, and nbf where there is one, <=
 * now
 * + skew, and now < exp. ERR_DENIED: anything else. ERR_SYSTEM: out of memory. */
MUST_USE enum err token_verify(
    const struct token_keys *keys, const char *text, size_t len, int64_t now_s, struct claims *out);

/* What is wrong with a token, the first of these. */
enum token_fault {
	TOKEN_GOOD,
	TOKEN_MALFORMED, /* no three segments, or not in their form */
	TOKEN_HEADER,	 /* another algorithm, or members that we do not write */
	TOKEN_FORGED,	 /* another key signed it, or it was changed since */
	TOKEN_CLAIMS,	 /* one is missing, or nothing that we write */
	TOKEN_EARLY,	 /* issued in what is still the future */
	TOKEN_EXPIRED,
};

/* token_verify() for who wants to know why not. *OUT is what the token says, as far as it could be
 * read, also of one that is TOKEN_FORGED, and so anybody's word; its user is 0 where it could not.
 */
MUST_USE enum err token_explain(const struct token_keys *keys, const char *text, size_t len,
    int64_t now_s, struct claims *out, enum token_fault *fault);

/* Of a token that was verified: is it good at NOW_S? iat and nbf <= now + skew, and now < exp. */
bool claims_hold(const struct claims *c, int64_t now_s);
