#include "auth/token.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"
#include "json/json.h"

#define TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

struct token_keys
token_keys_of(const struct config *c)
{
	return (struct token_keys){ .first = { c->secret, c->secret_len },
		.second = { c->second, c->second_len } };
}

static enum err
random_jti(char out[JTI_MAX + 1])
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return ERR_SYSTEM;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return ERR_OK;
}

/* RFC 4648 5, without padding. */
static void
add_base64url(struct buf *out, const unsigned char *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8) | data[i];
		for (have += 8; have >= 6; have -= 6)
			buf_add(out, &digits[(bits >> (have - 6)) & 63], 1);
	}
	if (have > 0)
		buf_add(out, &digits[(bits << (6 - have)) & 63], 1);
}

static void
add_claims(struct buf *out, const struct claims *c)
{
	struct json_writer w;
	char sub[24];

	snprintf(sub, sizeof(sub), "%lld", (long long)c->user.v);
	jw_init(&w, out);
	jw_object(&w, NULL);
	jw_string(&w, "sub", sub);
	jw_string(&w, "role", role_name(c->role));
	jw_int(&w, "iat", c->issued_s);
	jw_int(&w, "exp", c->expires_s);
	jw_string(&w, "jti", c->jti);
	jw_string(&w, "sid", c->session);
	jw_int(&w, "auth_time", c->login_s);
	jw_int(&w, "epoch", c->epoch);
	jw_object_end(&w);
}

/* Not by libjwt, which ends the process where it has no memory to write claims. */
static enum err
sign(const struct token_key *key, const struct claims *c, struct buf *out)
{
	static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	unsigned char mac[EVP_MAX_MD_SIZE];
	char room[TOKEN_BYTES_MAX];
	struct buf claims;
	unsigned len = 0;

	buf_over(&claims, room, sizeof(room));
	add_claims(&claims, c);
	add_base64url(out, (const unsigned char *)header, sizeof(header) - 1);
	buf_adds(out, ".");
	add_base64url(out, (const unsigned char *)claims.data, claims.len);
	if (claims.failed || out->failed ||
	    HMAC(EVP_sha256(), key->bytes, (int)key->len, (const unsigned char *)out->data,
		out->len, mac, &len) == NULL)
		return ERR_SYSTEM;
	buf_adds(out, ".");
	add_base64url(out, mac, len);
	return out->failed ? ERR_SYSTEM : ERR_OK;
}

enum err
token_issue(
    const struct token_key *key, struct claims *c, int64_t now_s, int64_t ttl_s, struct buf *out)
{
	c->issued_s = c->login_s = now_s;
	c->expires_s = now_s + ttl_s;
	if (random_jti(c->jti) != ERR_OK)
		return ERR_SYSTEM;
	memcpy(c->session, c->jti, sizeof(c->session));
	return sign(key, c, out);
}

enum err
token_renew(const struct token_key *key, const struct claims *old, enum role role, int64_t now_s,
    int64_t ttl_s, int64_t session_s, struct buf *out)
{
	struct claims c = *old;

	c.role = role;
	c.issued_s = now_s;
	c.expires_s = now_s + ttl_s;
	if (c.expires_s > old->login_s + session_s)
		c.expires_s = old->login_s + session_s;
	if (c.expires_s <= now_s)
		return ERR_DENIED;
	if (random_jti(c.jti) != ERR_OK)
		return ERR_SYSTEM;
	return sign(key, &c, out);
}

static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

/* Base64url without padding (RFC 4648 5), in the one canonical form: the bits left over are zero
 * (3.5). */
static bool
base64url_decode(const char *s, size_t len, unsigned char *out, size_t *out_len)
{
	unsigned bits = 0;
	unsigned have = 0;
	size_t n = 0;

	if (len % 4 == 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		int v = sextet(s[i]);

		if (v < 0)
			return false;
		bits = (bits << 6) | (unsigned)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (unsigned char)(bits >> have);
			bits &= (1U << have) - 1;
		}
	}
	*out_len = n;
	return bits == 0;
}

/* One segment's JSON object. The caller frees *OUT with json_free(). */
static enum err
segment_json(const char *s, size_t len, struct json **out)
{
	unsigned char text[TOKEN_BYTES_MAX];
	char why[JSON_WHY_SIZE];
	size_t n;
	enum err e;

	if (!base64url_decode(s, len, text, &n))
		return ERR_DENIED;
	if ((e = json_parse((const char *)text, n, out, why)) != ERR_OK)
		return e == ERR_SYSTEM ? e : ERR_DENIED;
	return ERR_OK;
}

static bool
member_is(const struct json *object, const char *key, const char *value)
{
	const char *s = json_string(json_member(object, key));

	return s != NULL && strcmp(s, value) == 0;
}

/* RFC 7515 4.1.11 would have us refuse a "crit" that we do not know; we refuse every member that we
 * do not. */
static enum err
check_header(const char *s, size_t len)
{
	struct json *header = NULL;
	enum err e;

	if ((e = segment_json(s, len, &header)) != ERR_OK)
		return e;
	if (!member_is(header, "alg", "HS256"))
		e = ERR_DENIED;
	else if (json_members(header) != (json_member(header, "typ") == NULL ? 1 : 2))
		e = ERR_DENIED;
	else if (json_member(header, "typ") != NULL && !member_is(header, "typ", "JWT"))
		e = ERR_DENIED;
	json_free(header);
	return e;
}

/* A token without them is a session of its own. */
static bool
read_session(const struct json *payload, struct claims *out)
{
	const struct json *sid = json_member(payload, "sid");
	const struct json *login = json_member(payload, "auth_time");
	const struct json *epoch = json_member(payload, "epoch");
	const char *session = sid == NULL ? out->jti : json_string(sid);

	if (session == NULL || session[0] == '\0' || strlen(session) > JTI_MAX)
		return false;
	memcpy(out->session, session, strlen(session) + 1);
	out->login_s = out->issued_s;
	out->epoch = 0;
	return (login == NULL || json_integer(login, 0, TIME_MAX, &out->login_s)) &&
	       (epoch == NULL || json_integer(epoch, 0, JSON_EXACT_MAX, &out->epoch));
}

static bool
read_claims(const struct json *payload, struct claims *out)
{
	const char *sub = json_string(json_member(payload, "sub"));
	const char *jti = json_string(json_member(payload, "jti"));
	const struct json *nbf = json_member(payload, "nbf");

	out->begins_s = 0;
	if (sub == NULL || !json_id(json_member(payload, "sub"), &out->user.v))
		return false;
	if (jti == NULL || jti[0] == '\0' || strlen(jti) > JTI_MAX)
		return false;
	memcpy(out->jti, jti, strlen(jti) + 1);
	out->role = role_from_name(json_string(json_member(payload, "role")));
	return out->role != ROLE_NONE &&
	       json_integer(json_member(payload, "iat"), 0, TIME_MAX, &out->issued_s) &&
	       (nbf == NULL || json_integer(nbf, 0, TIME_MAX, &out->begins_s)) &&
	       json_integer(json_member(payload, "exp"), 0, TIME_MAX, &out->expires_s) &&
	       read_session(payload, out);
}

bool
claims_hold(const struct claims *c, int64_t now_s)
{
	return c->issued_s <= now_s + TOKEN_SKEW_S && c->begins_s <= now_s + TOKEN_SKEW_S &&
	       now_s < c->expires_s;
}

static enum err
read_payload(const char *s, size_t len, struct claims *out)
{
	struct json *payload = NULL;
	enum err e;

	if ((e = segment_json(s, len, &payload)) != ERR_OK)
		return e;
	if (!read_claims(payload, out))
		e = ERR_DENIED;
	json_free(payload);
	return e;
}

/* libjwt's part: the MAC, compared in constant time. It takes other algorithms and any exp, so it
 * never decides alone. */
static enum err
check_mac(const struct token_key *key, const char *token)
{
	jwt_t *jwt = NULL;
	enum err e;
	int rc;

	errno = 0; /* without memory it calls a token invalid, or returns 0 and an empty one */
	rc = jwt_decode(&jwt, token, key->bytes, (int)key->len);
	e = rc == 0 && jwt_get_alg(jwt) == JWT_ALG_HS256 ? ERR_OK : ERR_DENIED;
	if (e != ERR_OK && (rc == ENOMEM || errno == ENOMEM))
		e = ERR_SYSTEM;
	jwt_free(jwt);
	return e;
}

/* The three segments of a token, within the bytes that it was given in. */
struct segments {
	char token[TOKEN_BYTES_MAX + 1];
	const char *payload;
	const char *signature;
};

/* False: there are not three, or the last is no MAC. */
static bool
split(const char *text, size_t len, struct segments *out)
{
	unsigned char mac[TOKEN_BYTES_MAX];
	size_t mac_len;

	if (len > TOKEN_BYTES_MAX || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(out->token, text, len);
	out->token[len] = '\0';
	if ((out->payload = strchr(out->token, '.')) == NULL ||
	    (out->signature = strchr(out->payload + 1, '.')) == NULL)
		return false;
	out->payload++;
	out->signature++;
	/* libjwt, which sees it before its MAC is known, writes past the nothing that it allocates
	 * for an empty one. */
	if (out->payload[0] == '.')
		return false;
	return base64url_decode(out->signature, strlen(out->signature), mac, &mac_len) &&
	       mac_len == 32;
}

static enum err
read_segment(const struct segments *s, struct claims *out)
{
	return read_payload(s->payload, (size_t)(s->signature - 1 - s->payload), out);
}

static enum err
check_macs(const struct token_keys *keys, const char *token)
{
	enum err e = check_mac(&keys->first, token);

	return e == ERR_DENIED && keys->second.len > 0 ? check_mac(&keys->second, token) : e;
}

/* *FAULT is what is wrong where it is denied. */
static enum err
judge(const struct token_keys *keys, const struct segments *s, int64_t now_s, struct claims *out,
    enum token_fault *fault)
{
	enum err e;

	*fault = TOKEN_HEADER;
	if ((e = check_header(s->token, (size_t)(s->payload - 1 - s->token))) != ERR_OK)
		return e;
	*fault = TOKEN_FORGED;
	if ((e = check_macs(keys, s->token)) != ERR_OK)
		return e;
	*fault = TOKEN_CLAIMS;
	if ((e = read_segment(s, out)) != ERR_OK)
		return e;
	if (claims_hold(out, now_s)) {
		*fault = TOKEN_GOOD;
		return ERR_OK;
	}
	*fault = now_s < out->expires_s ? TOKEN_EARLY : TOKEN_EXPIRED;
	return ERR_DENIED;
}

enum err
token_verify(
    const struct token_keys *keys, const char *text, size_t len, int64_t now_s, struct claims *out)
{
	enum token_fault fault;
	struct segments s;

	return split(text, len, &s) ? judge(keys, &s, now_s, out, &fault) : ERR_DENIED;
}

enum err
token_explain(const struct token_keys *keys, const char *text, size_t len, int64_t now_s,
    struct claims *out, enum token_fault *fault)
{
	struct segments s;
	enum err e;

	*out = (struct claims){ .issued_s = 0 };
	*fault = TOKEN_MALFORMED;
	if (!split(text, len, &s))
		return ERR_DENIED;
	e = judge(keys, &s, now_s, out, fault);
	if (e == ERR_DENIED && *fault == TOKEN_FORGED && read_segment(&s, out) == ERR_SYSTEM)
		return ERR_SYSTEM;
	return e;
}
