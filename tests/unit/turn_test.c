/* iceServers, byte for byte. The credentials were made with Python's hmac and with openssl dgst. */
#include "auth/turn.h"

#include "unit.h"

#define SECRET "0123456789abcdef"
#define OTHER  "a-new-secret-of-thirty-two-bytes"
#define NOW    INT64_C(1800000000)
#define USER   "\"username\":\"1800021600:7\""

/* What is written of these settings for user 7. */
static void
expect(const char *urls, const char *secrets, const char *want)
{
	struct turn_settings t = { .url_count = 0 };
	const struct turn_grant grant = { .settings = &t, .user = { 7 }, .now_s = NOW };
	struct json_writer w;
	struct buf b;

	assert_int_equal(turn_urls_read(&t, urls), ERR_OK);
	assert_int_equal(turn_secrets_read(&t, secrets), ERR_OK);
	buf_init(&b, 1 << 16);
	jw_init(&w, &b);
	turn_write(&w, NULL, &grant);
	assert_false(b.failed);
	assert_string_equal(b.data, want);
	buf_fini(&b);
}

static void
a_credential_is_what_coturn_makes_of_the_username(void **state)
{
	(void)state;
	expect("turn:turn.example:3478?transport=udp", SECRET,
	    "[{\"urls\":[\"turn:turn.example:3478?transport=udp\"]," USER
	    ",\"credential\":\"g3TNROwf+eU9Psf2XYflIjekNcA=\"}]");
}

static void
two_secrets_make_two_servers(void **state)
{
	(void)state;
	expect("turn:a.example,turns:b.example", SECRET "," OTHER,
	    "[{\"urls\":[\"turn:a.example\",\"turns:b.example\"]," USER
	    ",\"credential\":\"g3TNROwf+eU9Psf2XYflIjekNcA=\"},"
	    "{\"urls\":[\"turn:a.example\",\"turns:b.example\"]," USER
	    ",\"credential\":\"yAvPaQoyr7xpZ8S7Yr/Fads82pg=\"}]");
}

static void
stun_servers_come_first_and_without_credentials(void **state)
{
	(void)state;
	expect("turn:a.example,stun:b.example,stuns:c.example", SECRET,
	    "[{\"urls\":[\"stun:b.example\",\"stuns:c.example\"]},"
	    "{\"urls\":[\"turn:a.example\"]," USER
	    ",\"credential\":\"g3TNROwf+eU9Psf2XYflIjekNcA=\"}]");
	expect("stun:b.example", "", "[{\"urls\":[\"stun:b.example\"]}]");
}

static void
nothing_configured_is_an_empty_list(void **state)
{
	(void)state;
	expect("", "", "[]");
}

/* The longest of everything: secret, user id; and the earliest hour. */
static void
bounds_make_no_difference(void **state)
{
	static const struct {
		int64_t user, now_s;
		const char *credential;
	} rows[] = {
		{ (INT64_C(1) << 53) - 1, NOW, "0APRuzeL6x8WpNW1BsIpVVeQPxk=" },
		{ 1, 0, "HQpfHDBFrdQsL2LWVyeKHTMseII=" },
	};
	struct turn_settings t = { .url_count = 0 };
	char secret[TURN_SECRET_BYTES_MAX + 1] = "";

	(void)state;
	memset(secret, 's', TURN_SECRET_BYTES_MAX);
	assert_int_equal(turn_urls_read(&t, "turn:a.example"), ERR_OK);
	assert_int_equal(turn_secrets_read(&t, secret), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct turn_grant grant = {
			.settings = &t, .user = { rows[i].user }, .now_s = rows[i].now_s
		};
		struct json_writer w;
		char want[160];
		struct buf b;

		snprintf(want, sizeof(want),
		    "{\"ice\":[{\"urls\":[\"turn:a.example\"],\"username\":\"%lld:%lld\","
		    "\"credential\":"
		    "\"%s\"}]}",
		    (long long)rows[i].now_s + 21600, (long long)rows[i].user, rows[i].credential);
		buf_init(&b, 4096);
		jw_init(&w, &b);
		jw_object(&w, NULL);
		turn_write(&w, "ice", &grant);
		jw_object_end(&w);
		assert_string_equal(b.data, want);
		buf_fini(&b);
	}
}

static void
a_list_that_does_not_fit_has_failed(void **state)
{
	struct turn_settings t = { .url_count = 0 };
	const struct turn_grant grant = { .settings = &t, .user = { 7 }, .now_s = NOW };
	struct json_writer w;
	struct buf b;

	(void)state;
	assert_int_equal(turn_urls_read(&t, "turn:a.example"), ERR_OK);
	assert_int_equal(turn_secrets_read(&t, SECRET), ERR_OK);
	buf_init(&b, 80);
	jw_init(&w, &b);
	turn_write(&w, NULL, &grant);
	assert_true(b.failed);
	buf_fini(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_credential_is_what_coturn_makes_of_the_username),
		cmocka_unit_test(two_secrets_make_two_servers),
		cmocka_unit_test(stun_servers_come_first_and_without_credentials),
		cmocka_unit_test(nothing_configured_is_an_empty_list),
		cmocka_unit_test(bounds_make_no_difference),
		cmocka_unit_test(a_list_that_does_not_fit_has_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
