/* What a token may say, and what is issued. Every header and payload below carries a right MAC, so
 * that what refuses it is the rule that its row names. */
#include <jwt.h>
#include <string.h>

#include "token_fixture.h"

/* RFC 4231 4.3 and RFC 7515 A.1: the signer of this test is right. */
static void
signer_knows_the_published_vectors(void **state)
{
	static const char header[] = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
	unsigned char mac[SHA256_SIZE];
	struct buf b;

	(void)state;
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
	assert_memory_equal(mac,
	    "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7"
	    "\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43",
	    32);
	buf_init(&b, 256);
	base64url(&b, header, sizeof(header) - 1);
	assert_string_equal(b.data, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9");
	buf_fini(&b);
}

static void
claims_are_read(void **state)
{
	struct buf token;
	struct claims c;

	(void)state;
	mint(&token, TEXT(GOOD_HEADER), TEXT(GOOD_PAYLOAD));
	assert_int_equal(token_verify(&keys, token.data, token.len, NOW, &c), ERR_OK);
	assert_int_equal(c.user.v, 7);
	assert_int_equal(c.role, ROLE_DOCTOR);
	assert_int_equal(c.issued_s, 1800000000);
	assert_int_equal(c.expires_s, 1800000001);
	assert_string_equal(c.jti, "0123abcd");
	buf_fini(&token);
}

static void
only_our_header_is_taken(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		enum err expect;
	} rows[] = {
		{ TEXT("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), ERR_OK },
		{ TEXT("{\"typ\":\"JWT\",\"alg\":\"HS256\"}"), ERR_OK },
		{ TEXT("{\"alg\":\"HS256\"}"), ERR_OK },
		{ TEXT("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}"), ERR_OK },
		{ TEXT("{\"alg\":\"none\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"nOnE\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"NONE\",\"typ\":\"JWT\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"hs256\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS384\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS512\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"RS256\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"ES256\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"PS256\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256 \"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":null}"), ERR_DENIED },
		{ TEXT("{\"alg\":256}"), ERR_DENIED },
		{ TEXT("{\"alg\":[\"HS256\"]}"), ERR_DENIED },
		{ TEXT("{\"Alg\":\"HS256\"}"), ERR_DENIED },
		{ TEXT("{\"typ\":\"JWT\"}"), ERR_DENIED },
		{ TEXT("{}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"alg\":\"HS256\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"alg\":\"none\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"ALG\":\"none\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"typ\":\"jwt\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"typ\":null}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"crit\":[]}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"jku\":\"https://evil.example/k\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"1\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"b64\":false}"), ERR_DENIED },
		{ TEXT("[\"HS256\"]"), ERR_DENIED },
		{ TEXT("\"HS256\""), ERR_DENIED },
		{ TEXT("null"), ERR_DENIED },
		{ TEXT(""), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\"} {}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\""), ERR_DENIED },
		{ TEXT("\xef\xbb\xbf{\"alg\":\"HS256\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\\u0000\"}"), ERR_DENIED },
		{ TEXT("{\"alg\":\"HS256\",\"typ\":\"JWT\xff\"}"), ERR_DENIED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i].text,
		    verify_minted(rows[i].text, rows[i].len, TEXT(GOOD_PAYLOAD)) == rows[i].expect);
}

struct payload_row {
	const char *text;
	size_t len;
	enum err expect;
};

static void
check_payloads(const struct payload_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_row(rows[i].text,
		    verify_minted(TEXT(GOOD_HEADER), rows[i].text, rows[i].len) == rows[i].expect);
}

static void
only_a_payload_of_one_meaning_is_taken(void **state)
{
	static const struct payload_row rows[] = {
		{ TEXT(GOOD_PAYLOAD), ERR_OK },
		{ TEXT(" {" JTI "," EXP "," IAT "," ROLE "," SUB "}\n"), ERR_OK },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP "," JTI ",\"more\":{\"a\":[1]}}"), ERR_OK },
		{ TEXT("[" GOOD_PAYLOAD "]"), ERR_DENIED },
		{ TEXT("\"x\""), ERR_DENIED },
		{ TEXT("null"), ERR_DENIED },
		{ TEXT("7"), ERR_DENIED },
		{ TEXT("{}"), ERR_DENIED },
		{ TEXT(""), ERR_DENIED },
		{ TEXT(GOOD_PAYLOAD GOOD_PAYLOAD), ERR_DENIED },
		{ TEXT(GOOD_PAYLOAD "x"), ERR_DENIED },
		{ TEXT(GOOD_PAYLOAD "\0"), ERR_DENIED },
		{ TEXT("{" SUB "," SUB "," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB ",\"sub\":\"8\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB ",\"s\\u0075b\":\"8\"," ROLE "," IAT "," EXP "," JTI "}"),
		    ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP ",\"exp\":1900000000," JTI "}"),
		    ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP "," JTI ",\"o\":{\"a\":1,\"a\":2}}"),
		    ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP "," JTI ",\"x\":\"\xc0\xaf\"}"),
		    ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP ",\"jti\":\"a\\u0000b\"}"), ERR_DENIED },
	};

	(void)state;
	check_payloads(rows, COUNT_OF(rows));
}

static void
times_are_whole_and_checked(void **state)
{
	static const struct payload_row rows[] = {
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":1800000000," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":1799996400," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":0," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":-1," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":\"1900000000\"," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":9e99," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":1e999," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":9223372036854775807," JTI "}"),
		    ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":1900000000.5," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":null," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":true," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"Exp\":1900000000," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":253402300799," JTI "}"), ERR_OK },
		{ TEXT("{" SUB "," ROLE "," IAT ",\"exp\":253402300800," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE ",\"iat\":0," EXP "," JTI "}"), ERR_OK },
		{ TEXT("{" SUB "," ROLE ",\"iat\":1800000060," EXP "," JTI "}"), ERR_OK },
		{ TEXT("{" SUB "," ROLE ",\"iat\":1800000061," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE ",\"iat\":1800003600," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE ",\"iat\":-1," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE ",\"iat\":\"1800000000\"," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," EXP "," JTI "}"), ERR_DENIED },
	};

	(void)state;
	check_payloads(rows, COUNT_OF(rows));
}

static void
a_subject_has_one_spelling(void **state)
{
	static const struct payload_row rows[] = {
		{ TEXT("{\"sub\":\"1\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_OK },
		{ TEXT("{\"sub\":\"9007199254740991\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_OK },
		{ TEXT("{\"sub\":\"9007199254740992\"," ROLE "," IAT "," EXP "," JTI "}"),
		    ERR_DENIED },
		{ TEXT("{\"sub\":\"9223372036854775808\"," ROLE "," IAT "," EXP "," JTI "}"),
		    ERR_DENIED },
		{ TEXT("{\"sub\":\"18446744073709551623\"," ROLE "," IAT "," EXP "," JTI "}"),
		    ERR_DENIED },
		{ TEXT("{\"sub\":\"01\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\" 1\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\"1 \"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\"-1\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\"+1\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\"0\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\"1.0\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\"\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":\"me\"," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":1," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{\"sub\":null," ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" ROLE "," IAT "," EXP "," JTI "}"), ERR_DENIED },
	};

	(void)state;
	check_payloads(rows, COUNT_OF(rows));
}

static void
role_and_jti_are_within_their_rules(void **state)
{
#define EIGHT	  "12345678"
#define SIXTYFOUR EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
	static const struct payload_row rows[] = {
		{ TEXT("{" SUB ",\"role\":\"PATIENT\"," IAT "," EXP "," JTI "}"), ERR_OK },
		{ TEXT("{" SUB ",\"role\":\"ADMIN\"," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB ",\"role\":\"doctor\"," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB ",\"role\":\"\"," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB ",\"role\":2," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB ",\"role\":[\"DOCTOR\"]," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," IAT "," EXP "," JTI "}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP ",\"jti\":\"x\"}"), ERR_OK },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP ",\"jti\":\"" SIXTYFOUR "\"}"), ERR_OK },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP ",\"jti\":\"" SIXTYFOUR "9\"}"),
		    ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP ",\"jti\":\"\"}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP ",\"jti\":1}"), ERR_DENIED },
		{ TEXT("{" SUB "," ROLE "," IAT "," EXP "}"), ERR_DENIED },
	};

	(void)state;
	check_payloads(rows, COUNT_OF(rows));
}

/* Appends a token of USER to OUT. */
static enum err
issue(int64_t user, enum role role, int64_t ttl_s, struct buf *out)
{
	struct claims c = { .user = { user }, .role = role, .epoch = 1700000000123 };

	return token_issue(&keys.first, &c, NOW, ttl_s, out);
}

static void
an_issued_token_is_what_others_can_read(void **state)
{
	struct buf token;
	jwt_t *jwt = NULL;
	size_t len;

	(void)state;
	buf_init(&token, TOKEN_BYTES_MAX);
	assert_int_equal(issue(42, ROLE_PATIENT, 300, &token), ERR_OK);
	assert_int_equal(jwt_decode(&jwt, token.data, secret, 32), 0);
	assert_string_equal(jwt_get_grant(jwt, "sub"), "42");
	assert_string_equal(jwt_get_grant(jwt, "role"), "PATIENT");
	assert_int_equal(jwt_get_grant_int(jwt, "iat"), NOW);
	assert_int_equal(jwt_get_grant_int(jwt, "exp"), NOW + 300);
	assert_int_equal(strlen(jwt_get_grant(jwt, "jti")), 32);
	jwt_free(jwt);
	/* And its MAC is the one of the other signer. */
	len = token.len;
	token.len = (size_t)(strrchr(token.data, '.') - token.data);
	assert_int_equal(verify_signed(token.data, token.len), ERR_OK);
	assert_int_equal(verify(token.data, len), ERR_OK);
	buf_fini(&token);
}

static void
an_issued_token_ends_after_its_time(void **state)
{
	const int64_t most = INT64_C(9007199254740991);
	struct claims c;
	struct buf token;

	(void)state;
	buf_init(&token, TOKEN_BYTES_MAX);
	assert_int_equal(issue(most, ROLE_DOCTOR, 300, &token), ERR_OK);
	assert_int_equal(token_verify(&keys, token.data, token.len, NOW, &c), ERR_OK);
	assert_int_equal(c.user.v, most);
	assert_int_equal(c.epoch, 1700000000123);
	assert_int_equal(c.role, ROLE_DOCTOR);
	assert_int_equal(token_verify(&keys, token.data, token.len, NOW + 299, &c), ERR_OK);
	assert_int_equal(token_verify(&keys, token.data, token.len, NOW + 300, &c), ERR_DENIED);
	/* A clock that is behind the one that issued it, by as much as is allowed and a second
	 * more. */
	assert_int_equal(
	    token_verify(&keys, token.data, token.len, NOW - TOKEN_SKEW_S, &c), ERR_OK);
	assert_int_equal(
	    token_verify(&keys, token.data, token.len, NOW - TOKEN_SKEW_S - 1, &c), ERR_DENIED);
	buf_fini(&token);
}

static void
no_two_tokens_share_a_jti(void **state)
{
	struct claims c[50];
	struct buf token;

	(void)state;
	buf_init(&token, TOKEN_BYTES_MAX);
	for (size_t i = 0; i < COUNT_OF(c); i++) {
		buf_clear(&token);
		assert_int_equal(issue(1, ROLE_DOCTOR, 1, &token), ERR_OK);
		assert_int_equal(token_verify(&keys, token.data, token.len, NOW, &c[i]), ERR_OK);
		for (size_t before = 0; before < i; before++)
			assert_string_not_equal(c[before].jti, c[i].jti);
	}
	buf_fini(&token);
}

static void
a_token_that_does_not_fit_is_no_token(void **state)
{
	struct buf token;

	(void)state;
	buf_init(&token, 64);
	assert_int_equal(issue(1, ROLE_DOCTOR, 1, &token), ERR_SYSTEM);
	buf_fini(&token);
}

/* Why a token is denied, the first of what is wrong with it. */
static void
what_is_wrong_is_told(void **state)
{
	const unsigned char other_secret[32] = { 1 };
	const struct token_keys other = { .first = { other_secret, sizeof(other_secret) } };
	enum token_fault fault;
	struct claims c;
	struct buf token;

	(void)state;
	buf_init(&token, TOKEN_BYTES_MAX);
	assert_int_equal(issue(7, ROLE_DOCTOR, 300, &token), ERR_OK);
	assert_int_equal(token_explain(&keys, token.data, token.len, NOW, &c, &fault), ERR_OK);
	assert_int_equal(fault, TOKEN_GOOD);
	assert_int_equal(
	    token_explain(&keys, token.data, token.len, NOW + 300, &c, &fault), ERR_DENIED);
	assert_int_equal(fault, TOKEN_EXPIRED);
	assert_int_equal(c.user.v, 7);
	assert_int_equal(
	    token_explain(&keys, token.data, token.len, NOW - 61, &c, &fault), ERR_DENIED);
	assert_int_equal(fault, TOKEN_EARLY);
	assert_int_equal(token_explain(&other, token.data, token.len, NOW, &c, &fault), ERR_DENIED);
	assert_int_equal(fault, TOKEN_FORGED);
	assert_int_equal(c.user.v, 7);
	assert_int_equal(c.epoch, 1700000000123);
	assert_int_equal(
	    token_explain(&keys, token.data, token.len - 9, NOW, &c, &fault), ERR_DENIED);
	assert_int_equal(fault, TOKEN_MALFORMED);
	assert_int_equal(c.user.v, 0);
	buf_fini(&token);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(signer_knows_the_published_vectors),
		cmocka_unit_test(claims_are_read),
		cmocka_unit_test(only_our_header_is_taken),
		cmocka_unit_test(only_a_payload_of_one_meaning_is_taken),
		cmocka_unit_test(times_are_whole_and_checked),
		cmocka_unit_test(a_subject_has_one_spelling),
		cmocka_unit_test(role_and_jti_are_within_their_rules),
		cmocka_unit_test(an_issued_token_is_what_others_can_read),
		cmocka_unit_test(an_issued_token_ends_after_its_time),
		cmocka_unit_test(no_two_tokens_share_a_jti),
		cmocka_unit_test(a_token_that_does_not_fit_is_no_token),
		cmocka_unit_test(what_is_wrong_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
