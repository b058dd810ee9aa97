/* How a token may be spelled, and by whom it must be signed. */
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#include "token_fixture.h"

/* A 16-byte header leaves four bits over in its last character; all of these decode to the same in
 * a lax reader. */
static void
each_segment_has_one_spelling(void **state)
{
	static const char *const headers[] = { "eyJhbGciOiJIUzI1NiIgfR",
		"eyJhbGciOiJIUzI1NiIgfQ=", "eyJhbGciOiJIUzI1NiIgfQ==", "eyJhbGciOiJIUzI1NiIgfQ\n",
		" eyJhbGciOiJIUzI1NiIgfQ", "eyJhbGciOiJI UzI1NiIgfQ", "eyJhbGciOiJIUzI1NiIgfQA",
		"eyJhbGciOiJIUzI1NiIgf", "eyJhbGciOiJIUzI1NiJ9A", "eyJhbGciOiJIUzI1NiIgfQ\xc3\xa9",
		"" };
	struct buf good;
	struct buf bad;

	(void)state;
	mint(&good, TEXT("{\"alg\":\"HS256\" }"), TEXT(GOOD_PAYLOAD));
	assert_int_equal(verify(good.data, good.len), ERR_OK);
	*strrchr(good.data, '.') = '\0';
	assert_memory_equal(good.data, "eyJhbGciOiJIUzI1NiIgfQ.", 23);
	for (size_t i = 0; i < COUNT_OF(headers); i++) {
		buf_init(&bad, 4096);
		buf_addf(&bad, "%s%s", headers[i], strchr(good.data, '.'));
		assert_row(headers[i], verify_signed(bad.data, bad.len) == ERR_DENIED);
		buf_fini(&bad);
	}
	buf_fini(&good);
}

/* The two letters of plain base64, which a lax reader takes for those of base64url. */
static void
plain_base64_is_refused(void **state)
{
	static const char payload[] = "{" SUB "," ROLE "," IAT "," EXP "," JTI
				      ",\"x\":\"\xc3\xbf\xc3\xbf\xc3\xbf\xc3\xbf>>>>>>???\"}";
	static const char letters[][2] = { { '-', '+' }, { '_', '/' } };
	struct buf token;
	char *at;

	(void)state;
	mint(&token, TEXT(GOOD_HEADER), TEXT(payload));
	assert_int_equal(verify(token.data, token.len), ERR_OK);
	token.len = (size_t)(strrchr(token.data, '.') - token.data);
	for (size_t i = 0; i < COUNT_OF(letters); i++) {
		assert_non_null(at = memchr(token.data, letters[i][0], token.len));
		*at = letters[i][1];
		assert_int_equal(verify_signed(token.data, token.len), ERR_DENIED);
		*at = letters[i][0];
		assert_int_equal(verify_signed(token.data, token.len), ERR_OK);
	}
	buf_fini(&token);
}

/* H, P and S in a row's form stand for the segments of a good token. */
static void
a_token_has_three_segments(void **state)
{
	static const struct {
		const char *form;
		enum err expect;
	} rows[] = {
		{ "H.P.S", ERR_OK },
		{ "", ERR_DENIED },
		{ ".", ERR_DENIED },
		{ "..", ERR_DENIED },
		{ "...", ERR_DENIED },
		{ "H", ERR_DENIED },
		{ "H.P", ERR_DENIED },
		{ "H.P.", ERR_DENIED },
		{ "H..S", ERR_DENIED },
		{ ".P.S", ERR_DENIED },
		{ "HP.S", ERR_DENIED },
		{ "H.P.S.", ERR_DENIED },
		{ ".H.P.S", ERR_DENIED },
		{ "H.P.S.S", ERR_DENIED },
		{ "H.P.P.S", ERR_DENIED },
		{ "H.H.S", ERR_DENIED },
		{ "P.H.S", ERR_DENIED },
		{ "H.P.SS", ERR_DENIED },
		{ "H.P.S=", ERR_DENIED },
		{ "H.P.S==", ERR_DENIED },
		{ "H=.P.S", ERR_DENIED },
		{ "H.P=.S", ERR_DENIED },
		{ " H.P.S", ERR_DENIED },
		{ "H.P.S ", ERR_DENIED },
		{ "H.P.S\n", ERR_DENIED },
		{ "H.P.SA", ERR_DENIED },
		{ "H.P.AS", ERR_DENIED },
		{ "Bearer H.P.S", ERR_DENIED },
	};
	static const char letters[] = "HPS";
	struct buf good;
	const char *part[3];

	(void)state;
	mint(&good, TEXT(GOOD_HEADER), TEXT(GOOD_PAYLOAD));
	for (size_t i = 0; i < 3; i++)
		part[i] = strtok(i == 0 ? good.data : NULL, ".");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b;

		buf_init(&b, 4096);
		buf_adds(&b, "");
		for (const char *f = rows[i].form; *f != '\0'; f++) {
			const char *which = strchr(letters, *f);

			if (which != NULL)
				buf_adds(&b, part[which - letters]);
			else
				buf_add(&b, f, 1);
		}
		assert_row(rows[i].form, verify(b.data, b.len) == rows[i].expect);
		buf_fini(&b);
	}
	buf_fini(&good);
}

static void
no_character_can_be_changed(void **state)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	struct buf good;

	(void)state;
	mint(&good, TEXT(GOOD_HEADER), TEXT(GOOD_PAYLOAD));
	for (size_t i = 0; i < good.len; i++) {
		char was = good.data[i];

		for (size_t d = 0; d < sizeof(digits) - 1; d++) {
			good.data[i] = digits[d];
			assert_int_equal(
			    verify(good.data, good.len), digits[d] == was ? ERR_OK : ERR_DENIED);
		}
		good.data[i] = was;
		assert_int_equal(verify(good.data, i), ERR_DENIED);
	}
	buf_fini(&good);
}

static void
a_nul_ends_no_token(void **state)
{
	struct buf token;

	(void)state;
	mint(&token, TEXT(GOOD_HEADER), TEXT(GOOD_PAYLOAD));
	buf_add(&token, "", 1);
	assert_int_equal(verify(token.data, token.len), ERR_DENIED);
	buf_fini(&token);
}

/* A right token of exactly LEN bytes. */
static void
mint_of_length(struct buf *out, size_t len)
{
	static const char start[] = "{" SUB "," ROLE "," IAT "," EXP "," JTI ",\"x\":\"";
	/* The other two segments have 36 and 43 characters, and four of base64 hold three bytes. */
	size_t payload_len = (len - 36 - 1 - 1 - 43) * 3 / 4;
	struct buf payload;

	buf_init(&payload, 1 << 16);
	buf_adds(&payload, start);
	while (payload.len < payload_len - 2)
		buf_adds(&payload, "x");
	buf_adds(&payload, "\"}");
	mint(out, TEXT(GOOD_HEADER), payload.data, payload.len);
	assert_int_equal(out->len, len);
	buf_fini(&payload);
}

static void
a_token_has_at_most_4096_bytes(void **state)
{
	static const struct {
		size_t len;
		enum err expect;
	} rows[] = { { 4095, ERR_OK }, { 4096, ERR_OK }, { 4097, ERR_DENIED },
		{ 9 * 1024, ERR_DENIED } };
	struct buf token;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		mint_of_length(&token, rows[i].len);
		assert_int_equal(verify(token.data, token.len), rows[i].expect);
		buf_fini(&token);
	}
}

static void
another_key_is_denied(void **state)
{
	static const unsigned char other[] = "A key of thirty-two bytes, or so.";
	static const struct token_key wrong[] = { { other, 32 }, { secret, 33 }, { secret, 31 } };
	struct token_keys others = { .second = { .len = 0 } };
	struct buf token;
	struct claims c;

	(void)state;
	mint(&token, TEXT(GOOD_HEADER), TEXT(GOOD_PAYLOAD));
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		others.first = wrong[i];
		assert_int_equal(token_verify(&others, token.data, token.len, NOW, &c), ERR_DENIED);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		others.second = wrong[i];
		assert_int_equal(token_verify(&others, token.data, token.len, NOW, &c), ERR_DENIED);
	}
	buf_fini(&token);
}

/* While the key is being changed. */
static void
the_second_key_verifies_as_the_first(void **state)
{
	static const unsigned char other[] = "A key of thirty-two bytes, or so.";
	struct token_keys both = { .first = { other, 32 }, .second = keys.first };
	struct buf token;
	struct claims c;

	(void)state;
	mint(&token, TEXT(GOOD_HEADER), TEXT(GOOD_PAYLOAD));
	assert_int_equal(token_verify(&both, token.data, token.len, NOW, &c), ERR_OK);
	assert_int_equal(c.user.v, 7);
	both = (struct token_keys){ .first = keys.first, .second = { other, 32 } };
	assert_int_equal(token_verify(&both, token.data, token.len, NOW, &c), ERR_OK);
	assert_int_equal(token_verify(&both, token.data, token.len, NOW + 1, &c), ERR_DENIED);
	buf_fini(&token);
}

/* What libjwt itself makes with our own key under ALG, and takes back when nobody looks at the
 * algorithm. */
static void
another_algorithm_with_our_key_is_denied(void **state)
{
	static const jwt_alg_t algorithms[] = { JWT_ALG_HS256, JWT_ALG_HS384, JWT_ALG_HS512,
		JWT_ALG_NONE };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		bool none = algorithms[i] == JWT_ALG_NONE;
		jwt_t *jwt = NULL;
		char *text;

		assert_int_equal(jwt_new(&jwt), 0);
		assert_int_equal(jwt_add_grants_json(jwt, GOOD_PAYLOAD), 0);
		assert_int_equal(
		    jwt_set_alg(jwt, algorithms[i], none ? NULL : secret, none ? 0 : 32), 0);
		assert_non_null(text = jwt_encode_str(jwt));
		assert_int_equal(verify(text, strlen(text)), i == 0 ? ERR_OK : ERR_DENIED);
		free(text);
		jwt_free(jwt);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_segment_has_one_spelling),
		cmocka_unit_test(plain_base64_is_refused),
		cmocka_unit_test(a_token_has_three_segments),
		cmocka_unit_test(no_character_can_be_changed),
		cmocka_unit_test(a_nul_ends_no_token),
		cmocka_unit_test(a_token_has_at_most_4096_bytes),
		cmocka_unit_test(another_key_is_denied),
		cmocka_unit_test(the_second_key_verifies_as_the_first),
		cmocka_unit_test(another_algorithm_with_our_key_is_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
