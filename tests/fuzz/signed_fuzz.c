/* A token whose MAC is right, whatever it says: the first line of the input becomes its header, the
 * rest its payload. A reader of our own says what must be taken. */
#include <stdio.h>

#include "../unit/token_fixture.h"
#include "fuzz.h"
#include "strict.h"

static const struct strict *
member(const struct strict *object, const char *name)
{
	return strict_is_object(object) ? strict_member(object, name) : NULL;
}

static bool
is_text(const struct strict *v, const char *right)
{
	const char *text = strict_string(v);

	return text != NULL && strcmp(text, right) == 0;
}

/* 1 to 64 bytes of text. */
static bool
is_name(const struct strict *v)
{
	const char *text = strict_string(v);

	return text != NULL && text[0] != '\0' && strlen(text) <= 64;
}

/* A whole number of seconds up to the year 9999. */
static bool
is_time(const struct strict *v, double *out)
{
	return strict_number(v, out) && *out >= 0 && *out <= 253402300799.0 &&
	       *out == (double)(int64_t)*out;
}

static bool
is_header(const struct strict *h)
{
	size_t known = member(h, "typ") == NULL ? 1 : 2;

	return is_text(member(h, "alg"), "HS256") && strict_members(h) == known &&
	       (known == 1 || is_text(member(h, "typ"), "JWT"));
}

static bool
is_user(const struct strict *v)
{
	const char *text = strict_string(v);
	long long id = text == NULL ? 0 : strtoll(text, NULL, 10);
	char again[32];

	snprintf(again, sizeof(again), "%lld", id);
	return text != NULL && strcmp(again, text) == 0 && id >= 1 && id < 1LL << 53;
}

static bool
is_payload(const struct strict *p)
{
	const struct strict *sid = member(p, "sid");
	const struct strict *login = member(p, "auth_time");
	double iat;
	double exp;
	double at;

	return is_user(member(p, "sub")) && is_name(member(p, "jti")) &&
	       (is_text(member(p, "role"), "DOCTOR") || is_text(member(p, "role"), "PATIENT")) &&
	       is_time(member(p, "iat"), &iat) && iat <= NOW + TOKEN_SKEW_S &&
	       is_time(member(p, "exp"), &exp) && exp > NOW && (sid == NULL || is_name(sid)) &&
	       (login == NULL || is_time(login, &at));
}

/* Is a segment what token_verify() must take? Of JSON that is within the gate's bounds. */
static bool
is_right(const char *text, size_t len, bool (*fn)(const struct strict *v))
{
	struct strict *root = strict_read(text, len);
	bool right = root != NULL && fn(root) && strict_is_within(root, text, len);

	strict_free(root);
	/* libjwt has jansson read it once more, which takes no whole number past 64 bits. */
	return right && strict_whole_fit(text, len);
}

static void
check_claims(const struct claims *c, const char *payload, size_t len)
{
	struct strict *p = strict_read(payload, len);
	const struct strict *sid = member(p, "sid");
	const char *session = strict_string(sid == NULL ? member(p, "jti") : sid);
	double exp = 0;

	MUST(c->user.v == strtoll(strict_string(member(p, "sub")), NULL, 10));
	MUST(strcmp(c->jti, strict_string(member(p, "jti"))) == 0);
	MUST(strcmp(c->session, session) == 0);
	MUST(strcmp(role_name(c->role), strict_string(member(p, "role"))) == 0);
	MUST(is_time(member(p, "exp"), &exp) && (double)c->expires_s == exp);
	strict_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	const char *header = NULL;
	size_t header_len = 0;
	struct buf token;
	struct claims c;
	char *text;
	bool right;
	enum err e;

	if (!fuzz_line(&in, &header, &header_len))
		return 0;
	mint(&token, header, header_len, in.at, in.left);
	text = fuzz_bytes(token.data, token.len);
	e = token_verify(&keys, text, token.len, NOW, &c);
	right = token.len <= TOKEN_BYTES_MAX && is_right(header, header_len, is_header) &&
		is_right(in.at, in.left, is_payload);
	MUST(e == (right ? ERR_OK : ERR_DENIED));
	if (right)
		check_claims(&c, in.at, in.left);
	free(text);
	buf_fini(&token);
	return 0;
}
