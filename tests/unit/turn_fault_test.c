/* libcrypto without memory, or without SHA-1. */
#include "auth/turn.h"

#include <openssl/hmac.h>

#include "unit.h"

/* In the place of libcrypto's. */
unsigned char *
HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *data, size_t len,
    unsigned char *out, unsigned int *out_len)
{
	(void)md;
	(void)key;
	(void)key_len;
	(void)data;
	(void)len;
	out[0] = 0;
	*out_len = 0;
	return NULL;
}

static void
a_list_without_its_credentials_has_failed(void **state)
{
	struct turn_settings t = { .url_count = 0 };
	const struct turn_grant grant = { .settings = &t, .user = { 7 }, .now_s = 1 };
	struct json_writer w;
	struct buf b;

	(void)state;
	assert_int_equal(turn_urls_read(&t, "stun:a.example,turn:b.example"), ERR_OK);
	assert_int_equal(turn_secrets_read(&t, "0123456789abcdef"), ERR_OK);
	buf_init(&b, 4096);
	jw_init(&w, &b);
	turn_write(&w, NULL, &grant);
	assert_true(b.failed);
	buf_fini(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_without_its_credentials_has_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
