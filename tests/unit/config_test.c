/* The settings: each one's default, bounds, one past them, and a sentence that names it. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/user.h"
#include "scratch.h"
#include "unit.h"

#define EIGHT	   "12345678"
#define THIRTY_ONE EIGHT EIGHT EIGHT "1234567"

/* No setting but a secret: the tester's own do not matter. */
static int
fresh_environment(void **state)
{
	unset_settings();
	if (setenv("TELEMED_JWT_SECRET", THIRTY_ONE "8", 1) != 0)
		return -1;
	return scratch_enter(state);
}

static void
set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static struct config
load(void)
{
	struct config c;
	char why[CONFIG_WHY_SIZE] = "";
	enum err e = config_load(&c, why);

	assert_row(why, e == ERR_OK);
	return c;
}

/* VALUE is refused for NAME, in one sentence that names it and says CONTAINS. */
static void
refuse(const char *name, const char *value, const char *contains)
{
	char why[CONFIG_WHY_SIZE] = "";
	struct config c;

	set(name, value);
	assert_row(value, config_load(&c, why) == ERR_INVALID);
	assert_row(why, strncmp(why, name, strlen(name)) == 0 && why[strlen(name)] == ' ');
	assert_row(why, strstr(why, contains) != NULL);
	assert_row(why, strchr(why, '\n') == NULL && why[strlen(why) - 1] == '.');
	assert_int_equal(unsetenv(name), 0);
}

static void
everything_has_a_default(void **state)
{
	struct config c = load();

	(void)state;
	assert_int_equal(c.port, 8080);
	assert_string_equal(c.bind, "127.0.0.1");
	assert_string_equal(c.data_dir, "var");
	assert_string_equal(c.secret_file, "");
	assert_int_equal(c.token_ttl_s, 28800);
	assert_int_equal(c.bcrypt_cost, 12);
	assert_string_equal(c.allowed_origins, "");
	assert_int_equal(c.ws_rate, 50);
	assert_int_equal(c.auth_rate, 30);
	assert_int_equal(c.presence_grace_s, 10);
	assert_int_equal(c.ring_timeout_s, 45);
	assert_int_equal(c.call_grace_s, 30);
	assert_int_equal(c.turn.url_count, 0);
	assert_int_equal(c.turn.secret_count, 0);
	assert_int_equal(c.log_level, LOG_INFO);
	assert_int_equal(c.visibility, 0);
	assert_int_equal(c.doctor_signup, 0);
}

static const struct number {
	const char *name;
	size_t offset;
	int fallback;
	int lo, hi;
} numbers[] = {
	{ "TELEMED_PORT", offsetof(struct config, port), 8080, 1, 65535 },
	{ "TELEMED_HTTP_WORKERS", offsetof(struct config, http_workers), 0, 0, 64 },
	{ "TELEMED_HTTP_DESCRIPTORS", offsetof(struct config, http_descriptors), 65536, 1024,
	    1048576 },
	{ "TELEMED_TOKEN_TTL", offsetof(struct config, token_ttl_s), 28800, 1, 2592000 },
	{ "TELEMED_BCRYPT_COST", offsetof(struct config, bcrypt_cost), 12, 4, 15 },
	{ "TELEMED_WS_RATE", offsetof(struct config, ws_rate), 50, 0, 100000 },
	{ "TELEMED_ADDRESS_CONNECTIONS", offsetof(struct config, address_connections), 256, 0,
	    1000000 },
	{ "TELEMED_AUTH_RATE", offsetof(struct config, auth_rate), 30, 0, 100000 },
	{ "TELEMED_PRESENCE_GRACE", offsetof(struct config, presence_grace_s), 10, 0, 3600 },
	{ "TELEMED_RING_TIMEOUT", offsetof(struct config, ring_timeout_s), 45, 1, 3600 },
	{ "TELEMED_CALL_GRACE", offsetof(struct config, call_grace_s), 30, 0, 3600 },
};

/* What the field of N is when its variable is VALUE. */
static int
loaded(const struct number *n, const char *value)
{
	struct config c;
	int field;

	set(n->name, value);
	c = load();
	memcpy(&field, (const char *)&c + n->offset, sizeof(field));
	return field;
}

static void
numbers_are_taken_to_their_bounds(void **state)
{
	char text[16];

	(void)state;
	for (const struct number *n = numbers; n < numbers + COUNT_OF(numbers); n++) {
		snprintf(text, sizeof(text), "%d", n->lo);
		assert_row(n->name, loaded(n, text) == n->lo);
		snprintf(text, sizeof(text), "%d", n->hi);
		assert_row(n->name, loaded(n, text) == n->hi);
		assert_row(n->name, loaded(n, "") == n->fallback);
	}
}

static void
numbers_past_their_bounds_are_refused(void **state)
{
	char text[16];
	char bounds[48];

	(void)state;
	for (const struct number *n = numbers; n < numbers + COUNT_OF(numbers); n++) {
		snprintf(bounds, sizeof(bounds), "from %d to %d", n->lo, n->hi);
		snprintf(text, sizeof(text), "%d", n->lo - 1);
		refuse(n->name, text, bounds);
		snprintf(text, sizeof(text), "%d", n->hi + 1);
		refuse(n->name, text, bounds);
	}
}

static void
what_is_no_number_is_refused(void **state)
{
	static const char *const rows[] = { "x", " 8", "8 ", "+8", "-8", "08", "8.0", "8e0", "0x8",
		"8\n", "eight", "4294967304", "18446744073709551624", "99999999999999999999" };

	(void)state;
	for (const struct number *n = numbers; n < numbers + COUNT_OF(numbers); n++) {
		for (size_t i = 0; i < COUNT_OF(rows); i++)
			refuse(n->name, rows[i], "whole number");
	}
}

static void
texts_are_taken_to_1023_bytes(void **state)
{
	static const char *const names[] = { "TELEMED_DATA_DIR", "TELEMED_JWT_SECRET_FILE" };
	char text[CONFIG_TEXT_SIZE + 1];
	struct config c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		memset(text, 'd', sizeof(text));
		text[CONFIG_TEXT_SIZE] = '\0';
		refuse(names[i], text, "shorter than 1024 bytes");
		text[CONFIG_TEXT_SIZE - 1] = '\0';
		set(names[i], text);
		c = load();
		assert_string_equal(i == 0 ? c.data_dir : c.secret_file, text);
	}
}

static void
an_address_is_numeric(void **state)
{
	static const char *const good[] = { "127.0.0.1", "0.0.0.0", "::1", "::", "fe80::1" };
	static const char *const bad[] = { "localhost", "127.0.0", "127.0.0.1.1", "256.0.0.1",
		"[::1]", "127.0.0.1:80", "::g", " 127.0.0.1", "*" };
	/* An IPv4 address to us; lighttpd would look for another one. */
	static const char *const mapped[] = { "::ffff:192.0.2.1", "::FFFF:192.0.2.1",
		"::ffff:c000:201", "0:0:0:0:0:ffff:192.0.2.1" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		set("TELEMED_BIND", good[i]);
		assert_string_equal(load().bind, good[i]);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		refuse("TELEMED_BIND", bad[i], "IPv4 or IPv6");
	for (size_t i = 0; i < COUNT_OF(mapped); i++)
		refuse("TELEMED_BIND", mapped[i], "four numbers");
	set("TELEMED_BIND", "");
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		refuse("TELEMED_TRUSTED_PROXY", bad[i], "IPv4 or IPv6");
	for (size_t i = 0; i < COUNT_OF(mapped); i++)
		refuse("TELEMED_TRUSTED_PROXY", mapped[i], "four numbers");
	set("TELEMED_TRUSTED_PROXY", "192.0.2.1");
	assert_string_equal(load().trusted_proxy, "192.0.2.1");
	set("TELEMED_TRUSTED_PROXY", "");
	assert_string_equal(load().trusted_proxy, "");
}

static void
a_choice_is_one_of_its_words(void **state)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };

	(void)state;
	for (int i = 0; i < (int)COUNT_OF(levels); i++) {
		set("TELEMED_LOG_LEVEL", levels[i]);
		assert_int_equal(load().log_level, i);
	}
	refuse("TELEMED_LOG_LEVEL", "verbose", "must be debug or info or warn or error.");
	refuse("TELEMED_LOG_LEVEL", "INFO", "info");
	refuse("TELEMED_LOG_LEVEL", "1", "info");
	set("TELEMED_VISIBILITY", "scoped");
	set("TELEMED_DOCTOR_SIGNUP", "approve");
	assert_int_equal(load().visibility, VISIBILITY_SCOPED);
	assert_int_equal(load().doctor_signup, SIGNUP_APPROVE);
	set("TELEMED_VISIBILITY", "all");
	set("TELEMED_DOCTOR_SIGNUP", "open");
	assert_int_equal(load().visibility, VISIBILITY_ALL);
	assert_int_equal(load().doctor_signup, SIGNUP_OPEN);
	refuse("TELEMED_VISIBILITY", "nobody", "must be all or scoped.");
	refuse("TELEMED_VISIBILITY", "ALL", "all");
	refuse("TELEMED_DOCTOR_SIGNUP", "closed", "must be open or approve.");
	refuse("TELEMED_DOCTOR_SIGNUP", "ope", "open");
}

static void
a_name_that_is_mistyped_is_refused(void **state)
{
	char why[CONFIG_WHY_SIZE];

	(void)state;
	refuse("TELEMED_VISIBILTY", "scoped", "is not a setting.");
	refuse("TELEMED_", "x", "is not a setting.");
	refuse("TELEMED_BINDS", "127.0.0.1", "is not a setting.");
	set("TELEMED_\x1b[2J", "x");
	assert_int_equal(config_load(&(struct config){ 0 }, why), ERR_INVALID);
	assert_string_equal(why, "TELEMED_ is not a setting.");
	assert_int_equal(unsetenv("TELEMED_\x1b[2J"), 0);
	set("TELEMED_LIGHTTPD_FDS", "1024"); /* of scripts/run's own */
	set("OTHER_VISIBILTY", "x");
	(void)load();
	assert_int_equal(unsetenv("OTHER_VISIBILTY"), 0);
}

static void
origins_are_scheme_and_host(void **state)
{
	static const char *const good[] = { "https://clinic.example", "http://localhost:3000",
		"http://127.0.0.1:8080", "http://[::1]:8080",
		"https://a.example,https://b.example:8443", "https://xn--bcher-kva.example" };
	static const char *const bad[] = { "*", "null", "clinic.example", "//clinic.example",
		"https://", "http://", "ftp://clinic.example", "https:clinic.example",
		"https://clinic.example/", "https://clinic.example/app", "https://Clinic.example",
		"HTTPS://clinic.example", "https://user@clinic.example", "https://*.clinic.example",
		"https://a.example, https://b.example", "https://a.example https://b.example",
		"https://a.example,,https://b.example", ",https://a.example", ",",
		"https://a.example?", "https://a.example#", "https://a.example,null",
		"https://a.example\n" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		set("TELEMED_ALLOWED_ORIGINS", good[i]);
		assert_string_equal(load().allowed_origins, good[i]);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		refuse("TELEMED_ALLOWED_ORIGINS", bad[i], "https://clinic.example");
}

static void
an_origin_is_the_same_or_listed(void **state)
{
	static const struct {
		const char *list, *origin, *host;
		bool allowed;
	} rows[] = {
		{ "", "http://127.0.0.1:8080", "127.0.0.1:8080", true },
		{ "", "http://clinic.example", "clinic.example", true },
		{ "", "https://clinic.example", "clinic.example", false },
		{ "", "http://clinic.example:8080", "clinic.example", false },
		{ "", "http://clinic.example", "clinic.example:8080", false },
		{ "", "http://evil.example", "clinic.example", false },
		{ "", "http://clinic.example.evil.example", "clinic.example", false },
		{ "", "http://evil-clinic.example", "clinic.example", false },
		{ "", "http://clinic.exampl", "clinic.example", false },
		{ "", "http://clinic.example/", "clinic.example", false },
		{ "", "http:/clinic.example", "clinic.example", false },
		{ "", "http---clinic.example", "clinic.example", false },
		{ "", "clinic.example", "clinic.example", false },
		{ "", "http://", "clinic.example", false },
		{ "", "null", "clinic.example", false },
		{ "", "", "clinic.example", false },
		{ "https://a.example", "https://a.example", "x", true },
		{ "https://a.example,https://b.example", "https://a.example", "x", true },
		{ "https://a.example,https://b.example", "https://b.example", "x", true },
		{ "https://a.example,https://b.example", "http://x", "x", true },
		{ "https://a.example", "http://a.example", "x", false },
		{ "https://a.example", "https://a.example:443", "x", false },
		{ "https://a.example:443", "https://a.example", "x", false },
		{ "https://a.example", "https://A.example", "x", false },
		{ "https://a.example", "https://a.exampl", "x", false },
		{ "https://a.example", "https://a.example.evil.example", "x", false },
		{ "https://a.example,https://b.example", "https://a.example,https://b.example", "x",
		    false },
		{ "https://a.example,https://b.example", ",", "x", false },
		{ "https://a.example,https://b.example", "", "x", false },
		{ "https://a.example", "null", "x", false },
	};
	struct config c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		set("TELEMED_ALLOWED_ORIGINS", rows[i].list);
		c = load();
		assert_row(rows[i].origin, config_origin_allowed(&c, rows[i].origin, "http",
					       rows[i].host) == rows[i].allowed);
	}
}

/* Sets the secret to N letters, in the environment or in FILE. */
static void
set_secret(const char *file, size_t n)
{
	char text[SECRET_BYTES_MAX + 2];

	assert_true(n < sizeof(text));
	memset(text, 's', n);
	text[n] = '\0';
	if (file == NULL)
		set("TELEMED_JWT_SECRET", text);
	else
		write_file(file, text, n);
}

static void
a_secret_has_32_to_1024_bytes(void **state)
{
	char why[CONFIG_WHY_SIZE];
	struct config c;

	(void)state;
	set_secret(NULL, 32);
	assert_int_equal(load().secret_len, 32);
	set_secret(NULL, 1024);
	assert_int_equal(load().secret_len, 1024);
	set_secret(NULL, 31);
	assert_int_equal(config_load(&c, why), ERR_INVALID);
	assert_string_equal(why, "TELEMED_JWT_SECRET must have 32 to 1024 bytes.");
	set_secret(NULL, 1025);
	assert_int_equal(config_load(&c, why), ERR_INVALID);
	assert_string_equal(why, "TELEMED_JWT_SECRET must have 32 to 1024 bytes.");
}

static void
a_file_of_32_to_1024_bytes_is_a_secret(void **state)
{
	static const size_t bad[] = { 0, 31, 1025 };
	char why[CONFIG_WHY_SIZE];
	struct config c;

	(void)state;
	assert_int_equal(unsetenv("TELEMED_JWT_SECRET"), 0);
	set("TELEMED_JWT_SECRET_FILE", "key");
	set_secret("key", 32);
	assert_int_equal(load().secret_len, 32);
	set_secret("key", 1024);
	assert_int_equal(load().secret_len, 1024);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		set_secret("key", bad[i]);
		assert_int_equal(config_load(&c, why), ERR_INVALID);
		assert_row(why, strncmp(why, "TELEMED_JWT_SECRET_FILE must ", 29) == 0);
	}
	assert_int_equal(remove("key"), 0);
	assert_int_equal(config_load(&c, why), ERR_INVALID);
	assert_row(why, strncmp(why, "TELEMED_JWT_SECRET_FILE must ", 29) == 0);
}

static void
every_byte_of_the_file_counts(void **state)
{
	static const char text[] = "\0\n" THIRTY_ONE "\r\n";
	struct config c;

	(void)state;
	assert_int_equal(unsetenv("TELEMED_JWT_SECRET"), 0);
	set("TELEMED_JWT_SECRET_FILE", "key");
	write_file("key", text, sizeof(text) - 1);
	c = load();
	assert_int_equal(c.secret_len, sizeof(text) - 1);
	assert_memory_equal(c.secret, text, sizeof(text) - 1);
}

static void
the_secret_is_looked_for_in_the_data_directory(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(unsetenv("TELEMED_JWT_SECRET"), 0);
	assert_int_equal(mkdir("data", 0700), 0);
	set("TELEMED_DATA_DIR", "data");
	write_file("data/secret", THIRTY_ONE "d", 32);
	c = load();
	assert_int_equal(c.secret[31], 'd');
	/* The variable goes before the file. */
	set("TELEMED_JWT_SECRET", THIRTY_ONE "e");
	c = load();
	assert_int_equal(c.secret[31], 'e');
}

#define TURN_URL    "turn:turn.example"
#define TURN_SECRET "hush-hush-hush-hush"

static void
turn_servers_and_secrets_come_together(void **state)
{
	struct config c;

	(void)state;
	set("TELEMED_TURN_URLS", "stun:stun.example");
	assert_int_equal(load().turn.url_count, 1);
	set("TELEMED_TURN_SECRET", TURN_SECRET "," TURN_SECRET "2");
	refuse("TELEMED_TURN_URLS", "stun:stun.example", "must name a turn: or turns: server");
	refuse("TELEMED_TURN_URLS", "", "must name a turn: or turns: server");
	set("TELEMED_TURN_URLS", "stun:stun.example," TURN_URL);
	c = load();
	assert_int_equal(c.turn.url_count, 2);
	assert_string_equal(c.turn.urls[1].text, TURN_URL);
	assert_int_equal(c.turn.secret_count, 2);
	assert_string_equal(c.turn.secrets[0].text, TURN_SECRET);
	refuse("TELEMED_TURN_SECRET", "", "must be set where TELEMED_TURN_URLS names a turn:");
}

static void
bad_turn_settings_are_refused(void **state)
{
	(void)state;
	refuse("TELEMED_TURN_URLS", "turn.example", "at most 8 like stun:turn.example,turn:");
	set("TELEMED_TURN_URLS", TURN_URL);
	refuse("TELEMED_TURN_SECRET", "short", "16 to 256");
	refuse("TELEMED_TURN_SECRET", TURN_SECRET ",", "two separated by a comma");
}

/* The sentence is shown on a terminal and kept in a log. */
static void
a_refusal_does_not_say_the_secret(void **state)
{
	static const char *const bad[] = { TURN_SECRET " ", TURN_SECRET ",hush",
		TURN_SECRET "," TURN_SECRET "," TURN_SECRET };
	char why[CONFIG_WHY_SIZE] = "";
	struct config c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		set("TELEMED_TURN_SECRET", bad[i]);
		assert_int_equal(config_load(&c, why), ERR_INVALID);
		assert_row(why, strstr(why, "hush") == NULL);
	}
	set("TELEMED_TURN_SECRET", TURN_SECRET);
	assert_int_equal(config_load(&c, why), ERR_INVALID);
	assert_row(why, strstr(why, "hush") == NULL);
}

static void
a_path_stands_below_the_data_directory(void **state)
{
	char out[CONFIG_TEXT_SIZE];
	char name[CONFIG_TEXT_SIZE + 1];
	struct config c;

	(void)state;
	set("TELEMED_DATA_DIR", "/srv/data");
	c = load();
	assert_int_equal(config_path(&c, "telemed.db", out), ERR_OK);
	assert_string_equal(out, "/srv/data/telemed.db");
	memset(name, 'n', sizeof(name));
	name[CONFIG_TEXT_SIZE - 1 - strlen("/srv/data/")] = '\0';
	assert_int_equal(config_path(&c, name, out), ERR_OK);
	assert_int_equal(strlen(out), CONFIG_TEXT_SIZE - 1);
	name[strlen(name)] = 'n';
	name[CONFIG_TEXT_SIZE - strlen("/srv/data/")] = '\0';
	assert_int_equal(config_path(&c, name, out), ERR_TOO_BIG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_environment, scratch_leave)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(everything_has_a_default),
		TEST(numbers_are_taken_to_their_bounds),
		TEST(numbers_past_their_bounds_are_refused),
		TEST(what_is_no_number_is_refused),
		TEST(texts_are_taken_to_1023_bytes),
		TEST(an_address_is_numeric),
		TEST(a_choice_is_one_of_its_words),
		TEST(a_name_that_is_mistyped_is_refused),
		TEST(origins_are_scheme_and_host),
		TEST(an_origin_is_the_same_or_listed),
		TEST(a_secret_has_32_to_1024_bytes),
		TEST(a_file_of_32_to_1024_bytes_is_a_secret),
		TEST(every_byte_of_the_file_counts),
		TEST(the_secret_is_looked_for_in_the_data_directory),
		TEST(turn_servers_and_secrets_come_together),
		TEST(bad_turn_settings_are_refused),
		TEST(a_refusal_does_not_say_the_secret),
		TEST(a_path_stands_below_the_data_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
