/* Tokens made by hand, with a right MAC under whatever they say, and what token_verify() makes of
 * them. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "auth/token.h"
#include "hs256.h"
#include "unit.h"

#define NOW	    1800000000
#define GOOD_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
/* A payload whose members can be replaced one at a time. */
#define ROLE	     "\"role\":\"DOCTOR\""
#define IAT	     "\"iat\":1800000000"
#define EXP	     "\"exp\":1800000001"
#define JTI	     "\"jti\":\"0123abcd\""
#define SUB	     "\"sub\":\"7\""
#define GOOD_PAYLOAD "{" SUB "," ROLE "," IAT "," EXP "," JTI "}"
#define TEXT(s)	     (s), sizeof(s) - 1

static const unsigned char secret[] = "a key of thirty-two bytes, or so.";
static const struct token_keys keys = { .first = { secret, 32 } };

/* HEADER and PAYLOAD in base64url, and the right MAC over them. */
static inline void
mint(
    struct buf *out, const char *header, size_t header_len, const char *payload, size_t payload_len)
{
	buf_init(out, 1 << 16);
	base64url(out, header, header_len);
	buf_adds(out, ".");
	base64url(out, payload, payload_len);
	sign(out, keys.first.bytes, keys.first.len);
	assert_false(out->failed);
}

static inline enum err
verify(const char *text, size_t len)
{
	char *exact = exact_copy(text, len);
	struct claims c;
	enum err e = token_verify(&keys, exact, len, NOW, &c);

	free(exact);
	return e;
}

static inline enum err
verify_minted(const char *header, size_t header_len, const char *payload, size_t payload_len)
{
	struct buf token;
	enum err e;

	mint(&token, header, header_len, payload, payload_len);
	e = verify(token.data, token.len);
	buf_fini(&token);
	return e;
}

/* Signs TEXT, which is "header.payload", as it stands, and verifies the whole. */
static inline enum err
verify_signed(const char *text, size_t len)
{
	struct buf token;
	enum err e;

	buf_init(&token, 1 << 16);
	buf_add(&token, text, len);
	sign(&token, keys.first.bytes, keys.first.len);
	e = verify(token.data, token.len);
	buf_fini(&token);
	return e;
}
