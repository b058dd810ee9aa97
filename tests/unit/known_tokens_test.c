/* Tokens that come again: what is looked up is what would be found by verifying. */
#include "auth/known_tokens.h"

#include "token_fixture.h"

static const unsigned char other_secret[] = "another key of thirty-two bytes.";
static const struct token_keys other_keys = { .first = { other_secret, 32 } };

static struct known_tokens known;

static int
forget_all(void **state)
{
	(void)state;
	memset(&known, 0, sizeof(known));
	return 0;
}

static void
issue(struct buf *token, int64_t user)
{
	struct claims c = { .user = { user }, .role = ROLE_DOCTOR };

	buf_init(token, TOKEN_BYTES_MAX);
	assert_int_equal(token_issue(&keys.first, &c, NOW, 300, token), ERR_OK);
}

static enum err
ask(const struct buf *token, int64_t now_s, struct claims *out)
{
	memset(out, 0xff, sizeof(*out));
	return known_tokens_verify(&known, &keys, token->data, token->len, now_s, out);
}

static void
assert_same(const struct claims *a, const struct claims *b)
{
	assert_int_equal(a->user.v, b->user.v);
	assert_int_equal(a->role, b->role);
	assert_int_equal(a->issued_s, b->issued_s);
	assert_int_equal(a->expires_s, b->expires_s);
	assert_int_equal(a->login_s, b->login_s);
	assert_string_equal(a->jti, b->jti);
	assert_string_equal(a->session, b->session);
}

static void
a_token_says_the_same_each_time(void **state)
{
	struct claims c;
	struct claims again;
	struct buf token;

	(void)state;
	issue(&token, 7);
	assert_int_equal(token_verify(&keys, token.data, token.len, NOW, &c), ERR_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&token, NOW, &again), ERR_OK);
		assert_same(&c, &again);
	}
	/* Another key would find out if it were verified again. */
	assert_int_equal(
	    known_tokens_verify(&known, &other_keys, token.data, token.len, NOW, &again), ERR_OK);
	forget_all(NULL);
	assert_int_equal(
	    known_tokens_verify(&known, &other_keys, token.data, token.len, NOW, &again),
	    ERR_DENIED);
	buf_fini(&token);
}

static void
a_known_token_ends_after_its_time(void **state)
{
	struct claims c;
	struct buf token;

	(void)state;
	issue(&token, 7);
	assert_int_equal(ask(&token, NOW, &c), ERR_OK);
	assert_int_equal(ask(&token, NOW + 299, &c), ERR_OK);
	assert_int_equal(ask(&token, NOW + 300, &c), ERR_DENIED);
	assert_int_equal(ask(&token, NOW - TOKEN_SKEW_S, &c), ERR_OK);
	assert_int_equal(ask(&token, NOW - TOKEN_SKEW_S - 1, &c), ERR_DENIED);
	buf_fini(&token);
}

static void
what_differs_in_one_character_is_not_known(void **state)
{
	struct claims c;
	struct buf token;

	(void)state;
	issue(&token, 7);
	assert_int_equal(ask(&token, NOW, &c), ERR_OK);
	for (size_t i = 0; i < token.len; i++) {
		char was = token.data[i];

		token.data[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(ask(&token, NOW, &c), ERR_DENIED);
		assert_int_equal(ask(&token, NOW, &c), ERR_DENIED);
		token.data[i] = was;
	}
	token.len--;
	assert_int_equal(ask(&token, NOW, &c), ERR_DENIED);
	token.len++;
	assert_int_equal(ask(&token, NOW, &c), ERR_OK);
	buf_fini(&token);
}

/* Of so many, many share a place. */
static void
each_of_many_is_its_own(void **state)
{
	enum { MANY = 4 * TOKENS_KNOWN_MAX };
	static struct buf tokens[MANY];
	struct claims c;

	(void)state;
	for (int i = 0; i < MANY; i++)
		issue(&tokens[i], i + 1);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(ask(&tokens[i], NOW, &c), ERR_OK);
			assert_int_equal(c.user.v, i + 1);
			assert_int_equal(ask(&tokens[i], NOW, &c), ERR_OK);
			assert_int_equal(c.user.v, i + 1);
		}
	}
	for (int i = 0; i < MANY; i++)
		buf_fini(&tokens[i]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_token_says_the_same_each_time, forget_all),
		cmocka_unit_test_setup(a_known_token_ends_after_its_time, forget_all),
		cmocka_unit_test_setup(what_differs_in_one_character_is_not_known, forget_all),
		cmocka_unit_test_setup(each_of_many_is_its_own, forget_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
