/* The settings file, and what reading it again changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "scratch.h"
#include "unit.h"

#define SECRET "12345678901234567890123456789012"

static int
fresh(void **state)
{
	unset_settings();
	if (scratch_enter(state) != 0 || setenv("TELEMED_SETTINGS_FILE", "settings", 1) != 0)
		return -1;
	return setenv("TELEMED_JWT_SECRET_FILE", "secret", 1);
}

static void
set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static void
write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

/* With the settings file TEXT. */
static struct config
load(const char *text)
{
	struct config c;
	char why[CONFIG_WHY_SIZE] = "";

	write_text("settings", text);
	write_text("secret", SECRET);
	assert_row(config_load(&c, why) == ERR_OK ? "" : why, why[0] == '\0');
	return c;
}

static void
refuse(const char *text, size_t len, const char *contains)
{
	char why[CONFIG_WHY_SIZE] = "";
	struct config c;

	write_file("settings", text, len);
	write_text("secret", SECRET);
	assert_row(text, config_load(&c, why) == ERR_INVALID);
	assert_row(why, strstr(why, contains) != NULL && strstr(why, "hush") == NULL);
}

static void
lines_set_what_the_environment_does_not(void **state)
{
	struct config c;

	(void)state;
	set("TELEMED_RING_TIMEOUT", "7");
	c = load("# a comment\n\n  \t# another\nTELEMED_PORT=99\nTELEMED_RING_TIMEOUT=8\n"
		 "TELEMED_BIND=\"::1\"\nTELEMED_ALLOWED_ORIGINS='https://a.example'\n"
		 "TELEMED_VISIBILITY=\nTELEMED_CALL_GRACE=31");
	assert_int_equal(c.port, 99);
	assert_int_equal(c.ring_timeout_s, 7);
	assert_string_equal(c.bind, "::1");
	assert_string_equal(c.allowed_origins, "https://a.example");
	assert_int_equal(c.visibility, 0);
	assert_int_equal(c.call_grace_s, 31);
	set("TELEMED_PORT", ""); /* as unset, but for the file */
	assert_int_equal(load("TELEMED_PORT=99\n").port, 8080);
}

static void
a_secret_is_taken_byte_for_byte(void **state)
{
	static const char secret[] = " $(hush) `x` \"y\" = '#' \\n and a few bytes more";
	char text[128];
	struct config c;

	(void)state;
	snprintf(text, sizeof(text), "TELEMED_JWT_SECRET=%s\n", secret);
	c = load(text);
	assert_int_equal(c.secret_len, strlen(secret));
	assert_memory_equal(c.secret, secret, strlen(secret));
}

static void
what_is_no_setting_is_refused_by_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *contains;
	} rows[] = {
		{ "TELEMED_PORT 99\n", "line 1 that is not TELEMED_NAME=VALUE." },
		{ "\n\nhush=x\n", "line 3 that is not" },
		{ "=hush\n", "line 1 that is not" },
		{ "TELEMED_=x\n", "line 1 that is not" },
		{ " TELEMED_PORT=99\n", "line 1 that is not" },
		{ "export TELEMED_PORT=99\n", "line 1 that is not" },
		{ "telemed_port=99\n", "line 1 that is not" },
		{ "TELEMED_PORT=99\nTELEMED_PORT=99\n", "line 2 that sets what another one" },
		{ "TELEMED_PORT=99\r\n", "line 1 that has a control character" },
		{ "TELEMED_JWT_SECRET=hush\x1b\n", "line 1 that has a control character" },
		{ "TELEMED_SETTINGS_FILE=other\n", "line 1 that names another" },
		{ "TELEMED_VISIBILTY=scoped\n", "TELEMED_VISIBILTY is not a setting." },
		{ "TELEMED_PORT=0\n", "TELEMED_PORT must be" },
		{ "TELEMED_JWT_SECRET=hush\n", "TELEMED_JWT_SECRET must have" },
	};
	char many[128 * 24] = "";

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		refuse(rows[i].text, strlen(rows[i].text), rows[i].contains);
	refuse("TELEMED_PORT=99\0\n", 17, "is not text");
	for (int i = 0; i < SETTINGS_LINES_MAX; i++)
		snprintf(
		    many + strlen(many), 32, "TELEMED_TEST_%c%c=x\n", 'A' + i / 26, 'A' + i % 26);
	(void)load(many);
	snprintf(many + strlen(many), 32, "TELEMED_PORT=99\n");
	refuse(many, strlen(many), "line 65 that is one too many");
}

static void
the_file_has_16_kilobytes_at_most(void **state)
{
	static char text[SETTINGS_BYTES_MAX + 2];

	(void)state;
	memset(text, '\n', SETTINGS_BYTES_MAX);
	assert_int_equal(load(text).port, 8080);
	text[SETTINGS_BYTES_MAX] = '\n';
	refuse(text, sizeof(text) - 1, "readable file of at most 16384 bytes");
	set("TELEMED_SETTINGS_FILE", "nowhere");
	refuse("", 0, "TELEMED_SETTINGS_FILE must name a readable file");
}

static void
a_secret_that_others_may_read_is_told(void **state)
{
	(void)state;
	(void)load("");
	assert_int_equal(chmod("settings", 0644) | chmod("secret", 0600), 0);
	assert_false(load("TELEMED_PORT=99\n").exposed);
	assert_true(load("TELEMED_JWT_SECRET=" SECRET "\n").exposed);
	assert_int_equal(chmod("settings", 0640), 0);
	assert_false(load("TELEMED_JWT_SECRET=" SECRET "\n").exposed);
	assert_int_equal(chmod("secret", 0604), 0);
	assert_true(load("").exposed);
}

static void
a_second_secret_may_be_there(void **state)
{
	char why[CONFIG_WHY_SIZE];
	struct config c;

	(void)state;
	assert_int_equal(mkdir("var", 0700), 0);
	assert_int_equal(load("").second_len, 0);
	write_text("var/secret.second", SECRET "2");
	c = load("");
	assert_int_equal(c.second_len, 33);
	assert_int_equal(c.second[32], '2');
	write_text("other", SECRET "34");
	assert_int_equal(load("TELEMED_JWT_SECRET_SECOND_FILE=other\n").second_len, 34);
	write_text("var/secret.second", "short");
	assert_int_equal(config_load(&c, why), ERR_OK);
	write_text("settings", "");
	assert_int_equal(config_load(&c, why), ERR_INVALID);
	assert_non_null(strstr(why, "TELEMED_JWT_SECRET_SECOND_FILE must name"));
	refuse("TELEMED_JWT_SECRET_SECOND_FILE=nowhere\n", 39, "TELEMED_JWT_SECRET_SECOND_FILE");
}

static void
a_reload_changes_what_can_be_changed(void **state)
{
	struct config c = load("TELEMED_PORT=99\n");

	(void)state;
	write_text("secret", SECRET "new");
	write_text("settings", "TELEMED_PORT=100\nTELEMED_WS_RATE=7\nTELEMED_AUTH_RATE=8\n"
			       "TELEMED_ADDRESS_CONNECTIONS=9\nTELEMED_LOG_LEVEL=warn\n"
			       "TELEMED_ALLOWED_ORIGINS=https://a.example\n"
			       "TELEMED_TURN_URLS=turn:a.example\n"
			       "TELEMED_TURN_SECRET=hush-hush-hush-hush\n"
			       "TELEMED_VISIBILITY=scoped\nTELEMED_DATA_DIR=elsewhere\n");
	assert_true(config_reload(&c));
	assert_int_equal(c.ws_rate, 7);
	assert_int_equal(c.auth_rate, 8);
	assert_int_equal(c.address_connections, 9);
	assert_int_equal(c.log_level, LOG_WARN);
	assert_string_equal(c.allowed_origins, "https://a.example");
	assert_int_equal(c.turn.url_count, 1);
	assert_string_equal(c.turn.secrets[0].text, "hush-hush-hush-hush");
	assert_int_equal(c.secret_len, strlen(SECRET "new"));
	/* These stay. */
	assert_int_equal(c.port, 99);
	assert_int_equal(c.visibility, 0);
	assert_string_equal(c.data_dir, "var");
	write_text("settings", "");
	assert_true(config_reload(&c));
	assert_int_equal(c.ws_rate, 50);
	assert_int_equal(c.turn.url_count, 0);
	assert_int_equal(c.log_level, LOG_INFO);
}

static void
a_bad_reload_changes_nothing(void **state)
{
	static const char *const bad[] = { "TELEMED_WS_RATE=7\nTELEMED_AUTH_RATE=x\n",
		"TELEMED_WS_RATE=7\nhush\n", "TELEMED_WS_RATE=7\nTELEMED_NO_SETTING=1\n",
		"TELEMED_WS_RATE=7\nTELEMED_JWT_SECRET_FILE=short\n",
		"TELEMED_WS_RATE=7\nTELEMED_TURN_SECRET=hush-hush-hush-hush\n" };
	struct config before;
	struct config c;

	(void)state;
	assert_int_equal(unsetenv("TELEMED_JWT_SECRET_FILE"), 0);
	before = c = load("TELEMED_JWT_SECRET_FILE=secret\nTELEMED_WS_RATE=6\n");
	write_text("short", "hush");
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		write_text("settings", bad[i]);
		assert_row(bad[i], !config_reload(&c));
		assert_memory_equal(&c, &before, sizeof(c));
	}
	assert_int_equal(remove("settings"), 0);
	assert_false(config_reload(&c));
	assert_memory_equal(&c, &before, sizeof(c));
}

/* The last: what is hidden stays so. */
static void
what_the_environment_held_outlives_its_hiding(void **state)
{
	struct config c;

	(void)state;
	set("TELEMED_JWT_SECRET", SECRET "env");
	set("TELEMED_TURN_URLS", "turn:a.example");
	set("TELEMED_TURN_SECRET", "hush-hush-hush-hush");
	c = load("");
	config_hide_secrets();
	assert_string_equal(getenv("TELEMED_JWT_SECRET"), "");
	assert_string_equal(getenv("TELEMED_TURN_SECRET"), "");
	write_text("settings", "TELEMED_JWT_SECRET=" SECRET "file\nTELEMED_WS_RATE=7\n");
	assert_true(config_reload(&c));
	assert_int_equal(c.ws_rate, 7);
	assert_int_equal(c.secret_len, strlen(SECRET "env"));
	assert_memory_equal(c.secret, SECRET "env", c.secret_len);
	assert_string_equal(c.turn.secrets[0].text, "hush-hush-hush-hush");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, scratch_leave)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(lines_set_what_the_environment_does_not),
		TEST(a_secret_is_taken_byte_for_byte),
		TEST(what_is_no_setting_is_refused_by_its_line),
		TEST(the_file_has_16_kilobytes_at_most),
		TEST(a_secret_that_others_may_read_is_told),
		TEST(a_second_secret_may_be_there),
		TEST(a_reload_changes_what_can_be_changed),
		TEST(a_bad_reload_changes_nothing),
		TEST(what_the_environment_held_outlives_its_hiding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
