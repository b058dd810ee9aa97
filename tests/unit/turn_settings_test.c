/* What is taken for the URL of a STUN or TURN server, and for a secret. */
#include "config/turn_settings.h"

#include <string.h>

#include "unit.h"

/* Labels of 63 bytes; three of them, their dots and 61 bytes more are a name of 253. */
#define SIXTY "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"
#define L63   SIXTY "abc"

static bool
takes(const char *urls)
{
	struct turn_settings t = { .url_count = 0 };

	return turn_urls_read(&t, urls) == ERR_OK;
}

static void
what_the_two_rfcs_say_is_taken(void **state)
{
	static const struct {
		const char *url;
		bool relays;
	} rows[] = {
		{ "stun:stun.example", false },
		{ "stun:stun.example:3478", false },
		{ "stuns:stun.example:5349", false },
		{ "stun:localhost", false },
		{ "stun:127.0.0.1:1", false },
		{ "stun:[::1]:65535", false },
		{ "stun:[2001:db8::7]", false },
		{ "stun:3com.example", false },
		{ "stun:a-b.c--d.1e", false },
		{ "stun:" L63 ".example", false },
		{ "stun:" L63 "." L63 "." L63 "." SIXTY "a", false },
		{ "turn:turn.example", true },
		{ "turn:turn.example:3478", true },
		{ "turn:turn.example?transport=udp", true },
		{ "turn:turn.example:3478?transport=tcp", true },
		{ "turn:192.0.2.7?transport=udp", true },
		{ "turn:[2001:db8::7]:3478?transport=tcp", true },
		{ "turns:turn.example", true },
		{ "turns:turn.example:5349?transport=tcp", true },
		{ "turns:turn.example:443?transport=udp", true },
		{ "turns:" L63 "." L63 "." L63 "." SIXTY "a:65535?transport=udp", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct turn_settings t = { .url_count = 0 };

		assert_row(rows[i].url, turn_urls_read(&t, rows[i].url) == ERR_OK);
		assert_int_equal(t.url_count, 1);
		assert_string_equal(t.urls[0].text, rows[i].url);
		assert_row(rows[i].url, t.urls[0].relays == rows[i].relays);
		assert_row(rows[i].url, turn_settings_relay(&t) == rows[i].relays);
	}
}

static void
anything_else_is_refused(void **state)
{
	static const char *const rows[] = { "x", "turn.example", "turn", "turn:", "stun:", "turn:,",
		"http://turn.example", "turnx:turn.example", "TURN:turn.example",
		"Stun:stun.example", "turn:Turn.example", "turn://turn.example",
		"turn:turn.example/", "turn:user@turn.example", "turn:turn.example#",
		"turn:turn.example:", "turn:turn.example:0", "turn:turn.example:65536",
		"turn:turn.example:03478", "turn:turn.example:+1", "turn:turn.example:34 78",
		"turn:turn.example:3478:3478", "turn::3478", "turn:?transport=udp",
		"turn:turn.example?", "turn:turn.example?transport",
		"turn:turn.example?transport=", "turn:turn.example?transport=sctp",
		"turn:turn.example?transport=UDP", "turn:turn.example?transport=udp&x=1",
		"turn:turn.example?transport=udpx", "turn:turn.example?transport=udp?transport=udp",
		"turn:turn.example?transport=udp:3478", "turn:turn.example?ttl=1",
		"stun:stun.example?transport=udp", "stuns:stun.example:5349?transport=tcp",
		"turn:turn_1.example", "turn:-turn.example", "turn:turn-.example",
		"turn:turn..example", "turn:.example", "turn:turn.example.",
		"turn:turn.\xc3\xa9xample", "turn:turn.ex%41mple", "turn:*.example", "turn:1.2.3",
		"turn:1.2.3.4.5", "turn:1.2.3.256", "turn:turn.7", "turn:7", "turn:::1",
		"turn:2001:db8::7", "turn:[", "turn:[]", "turn:[::1", "turn:[::1]x", "turn:::1]",
		"turn:[::1]]", "turn:[[::1]]", "turn:[127.0.0.1]", "turn:[turn.example]",
		"turn:[::g]", "turn:[fe80::1%eth0]", " turn:turn.example", "turn:turn.example ",
		"turn: turn.example", "turn:turn.example\n", "\tturn:turn.example",
		"turn:turn.example\x7f", ",turn:turn.example", "turn:turn.example,",
		"stun:a.example,,stun:b.example", "stun:a.example, stun:b.example",
		"stun:a.example;stun:b.example", "stun:a.example stun:b.example", ",",
		"stun:a.example,b.example" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i], !takes(rows[i]));
}

static void
a_name_has_253_bytes_and_its_labels_63(void **state)
{
	(void)state;
	assert_true(takes("stun:" L63 "." L63 "." L63 "." SIXTY "a"));
	assert_false(takes("stun:" L63 "." L63 "." L63 "." SIXTY "ab"));
	assert_true(takes("stun:" L63 ".example"));
	assert_false(takes("stun:" L63 "d.example"));
	assert_false(takes("turn:" L63 L63 L63 L63 L63 L63));
}

static void
a_list_keeps_its_order(void **state)
{
	struct turn_settings t = { .url_count = 0 };

	(void)state;
	assert_int_equal(
	    turn_urls_read(&t, "turns:c.example,stun:a.example,turn:b.example?transport=tcp"),
	    ERR_OK);
	assert_int_equal(t.url_count, 3);
	assert_string_equal(t.urls[0].text, "turns:c.example");
	assert_string_equal(t.urls[1].text, "stun:a.example");
	assert_string_equal(t.urls[2].text, "turn:b.example?transport=tcp");
	assert_true(turn_settings_relay(&t));
}

static void
eight_servers_are_the_most(void **state)
{
	static const char list[] = "stun:a,stun:b,stun:c,stun:d,stun:e,stun:f,stun:g,stun:h,stun:i";
	char eight[sizeof(list)];
	struct turn_settings t = { .url_count = 0 };

	(void)state;
	memcpy(eight, list, sizeof(list));
	*strrchr(eight, ',') = '\0';
	assert_int_equal(turn_urls_read(&t, eight), ERR_OK);
	assert_int_equal(t.url_count, 8);
	assert_string_equal(t.urls[7].text, "stun:h");
	assert_false(takes(list));
}

static void
nothing_is_no_server_and_no_secret(void **state)
{
	struct turn_settings t = { .url_count = 0 };

	(void)state;
	assert_int_equal(turn_urls_read(&t, ""), ERR_OK);
	assert_int_equal(turn_secrets_read(&t, ""), ERR_OK);
	assert_int_equal(t.url_count, 0);
	assert_int_equal(t.secret_count, 0);
	assert_false(turn_settings_relay(&t));
}

/* How many secrets are read from N letters, a comma and M letters; no comma where M is -1. -1: it
 * is refused. */
static int
count_secrets(int n, int m)
{
	struct turn_settings t = { .url_count = 0 };
	char text[1024] = "";
	char letters[512];

	memset(letters, 's', sizeof(letters));
	snprintf(
	    text, sizeof(text), "%.*s%s%.*s", n, letters, m < 0 ? "" : ",", m < 0 ? 0 : m, letters);
	if (turn_secrets_read(&t, text) != ERR_OK)
		return -1;
	assert_int_equal(t.secrets[0].len, n);
	assert_int_equal(strlen(t.secrets[0].text), n);
	if (t.secret_count > 1)
		assert_int_equal(t.secrets[1].len, m);
	return (int)t.secret_count;
}

static void
a_secret_has_16_to_256_characters(void **state)
{
	static const struct {
		int n, m, count;
	} rows[] = { { 16, -1, 1 }, { 256, -1, 1 }, { 15, -1, -1 }, { 257, -1, -1 }, { 16, 256, 2 },
		{ 256, 16, 2 }, { 16, 15, -1 }, { 16, 257, -1 }, { 15, 16, -1 }, { 257, 16, -1 },
		{ 16, 0, -1 }, { 0, 16, -1 }, { 0, 0, -1 } };
	char row[32];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(row, sizeof(row), "%d,%d", rows[i].n, rows[i].m);
		assert_row(row, count_secrets(rows[i].n, rows[i].m) == rows[i].count);
	}
}

static void
a_secret_is_printable(void **state)
{
	static const char *const bad[] = { "0123456789 abcdef", " 0123456789abcdef",
		"0123456789abcdef ", "0123456789\tabcdef", "0123456789abcdef\n",
		"0123456789abcdef\x7f", "0123456789abcdef\xc3\xa9",
		"0123456789abcdef,0123456789abcdeg,0123456789abcdeh" };
	struct turn_settings t = { .url_count = 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct turn_settings none = { .url_count = 0 };

		assert_row(bad[i], turn_secrets_read(&none, bad[i]) == ERR_INVALID);
	}
	assert_int_equal(
	    turn_secrets_read(&t, "!\"#$%&'()*+-./:;<=>?@[\\]^_`{|}~,0123456789abcdef"), ERR_OK);
	assert_string_equal(t.secrets[0].text, "!\"#$%&'()*+-./:;<=>?@[\\]^_`{|}~");
	assert_string_equal(t.secrets[1].text, "0123456789abcdef");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_two_rfcs_say_is_taken),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(a_name_has_253_bytes_and_its_labels_63),
		cmocka_unit_test(a_list_keeps_its_order),
		cmocka_unit_test(eight_servers_are_the_most),
		cmocka_unit_test(nothing_is_no_server_and_no_secret),
		cmocka_unit_test(a_secret_has_16_to_256_characters),
		cmocka_unit_test(a_secret_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
