/* The settings: each line of the input is NAME=VALUE for the environment (TELEMED_ is left out), or
 * after a '@' a line of the settings file as it is; what follows an empty line is the secret's
 * file. What is taken keeps its bounds; what is
 * refused is so in one sentence that names a setting and says nothing of a secret. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/paths.h"
#include "fuzz.h"

extern char **environ;

/* These would have it open any file. */
static bool
is_path(const char *name)
{
	return strstr(name, "_FILE") != NULL || strcmp(name, "TELEMED_DATA_DIR") == 0;
}

static void
add_file_line(const char *line, size_t len)
{
	bool path = memmem(line, len, "_FILE", 5) != NULL || memmem(line, len, "_DIR", 4) != NULL;
	FILE *f;

	if (path && (memchr(line, '/', len) != NULL || memchr(line, '.', len) != NULL))
		return;
	MUST((f = fopen("settings", "ab")) != NULL);
	MUST(fwrite(line, 1, len, f) == len && fputc('\n', f) == '\n' && fclose(f) == 0);
}

static void
set_line(const char *line, size_t len)
{
	char *text = fuzz_string(line, len);
	char *value = strchr(text, '=');
	char name[64];

	if (value != NULL && value != text && value - text < 40) {
		*value++ = '\0';
		snprintf(name, sizeof(name), "TELEMED_%s", text);
		if (!is_path(name) || strpbrk(value, "/.") == NULL)
			MUST(setenv(name, value, 1) == 0);
	}
	free(text);
}

static void
write_secret(const char *data, size_t len)
{
	FILE *f = fopen("secret", "wb");

	MUST(f != NULL && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

static void
check_number(int v, int lo, int hi)
{
	MUST(v >= lo && v <= hi);
}

static void
check_turn(const struct turn_settings *t)
{
	bool relay = false;

	check_number((int)t->url_count, 0, TURN_URLS_MAX);
	check_number((int)t->secret_count, 0, TURN_SECRETS_MAX);
	for (unsigned i = 0; i < t->url_count; i++) {
		const char *url = t->urls[i].text;

		MUST(strncmp(url, "stun", 4) == 0 || strncmp(url, "turn", 4) == 0);
		MUST(t->urls[i].relays == (url[0] == 't'));
		/* It goes to browsers as it is. */
		MUST(url[strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEF0123456789.-:[]?=")] == '\0');
		relay = relay || t->urls[i].relays;
	}
	for (unsigned i = 0; i < t->secret_count; i++) {
		const char *secret = t->secrets[i].text;

		check_number((int)strlen(secret), 16, 256);
		for (; *secret != '\0'; secret++)
			check_number(*secret, '!', '~');
	}
	MUST(relay == (t->secret_count > 0));
}

static void
check_taken(const struct config *c)
{
	unsigned char address[16];
	struct data_paths p;

	check_number(c->port, 1, 65535);
	MUST(inet_pton(AF_INET, c->bind, address) == 1 ||
	     inet_pton(AF_INET6, c->bind, address) == 1);
	check_number(c->token_ttl_s, 1, 30 * 86400);
	check_number(c->session_max_s, 1, 365 * 86400);
	check_number(c->bcrypt_cost, 4, 15);
	check_number(c->ws_rate, 0, 100000);
	check_number(c->auth_rate, 0, 100000);
	check_number(c->address_connections, 0, 1000000);
	MUST(c->trusted_proxy[0] == '\0' || inet_pton(AF_INET, c->trusted_proxy, address) == 1 ||
	     inet_pton(AF_INET6, c->trusted_proxy, address) == 1);
	check_number(c->presence_grace_s, 0, 3600);
	check_number(c->ring_timeout_s, 1, 3600);
	check_number(c->call_grace_s, 0, 3600);
	check_number((int)c->log_level, LOG_DEBUG, LOG_ERROR);
	check_number(c->visibility, 0, 1);
	check_number(c->doctor_signup, SIGNUP_OPEN, SIGNUP_APPROVE);
	check_number(c->drain_s, 0, 600);
	MUST(c->second_len <= SECRET_BYTES_MAX);
	MUST(c->second_len == 0 || c->second_len >= SECRET_BYTES_MIN);
	check_number((int)c->secret_len, SECRET_BYTES_MIN, SECRET_BYTES_MAX);
	/* They go into a header of lighttpd's and of ours. */
	MUST(strpbrk(c->allowed_origins, "\r\n \"'*") == NULL);
	MUST(!config_origin_allowed(c, "", "http", "h") &&
	     !config_origin_allowed(c, "null", "", ""));
	check_turn(&c->turn);
	(void)!data_paths_find(c, &p);
}

/* Does WHY quote a secret? */
static void
check_silence(const char *why, const char *name)
{
	const char *secret = getenv(name);

	/* Of bytes that stand in our sentences one may be there by chance. */
	MUST(secret == NULL || strlen(secret) < 12 || strpbrk(secret, "!#$%&@^{}~") == NULL ||
	     strstr(why, secret) == NULL);
}

static void
check_refused(const char *why)
{
	size_t len = strlen(why);

	MUST(strncmp(why, "TELEMED_", 8) == 0 && len < CONFIG_WHY_SIZE && why[len - 1] == '.');
	for (size_t i = 0; i < len; i++)
		MUST(why[i] >= ' ' && why[i] <= '~');
	check_silence(why, "TELEMED_JWT_SECRET");
	check_silence(why, "TELEMED_TURN_SECRET");
}

/* Those of the input before, or of whoever runs this. */
static void
forget_settings(void)
{
	char **at = environ;
	char name[64];

	while (*at != NULL) {
		if (strncmp(*at, "TELEMED_", 8) != 0) {
			at++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*at, "="), *at);
		MUST(unsetenv(name) == 0); /* what follows moves up */
	}
}

static bool
truncate_settings(void)
{
	FILE *f = fopen("settings", "wb");

	return f != NULL && fclose(f) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config c;
	static bool here;
	struct fuzz_input in = { (const char *)data, size };
	char why[CONFIG_WHY_SIZE] = "";
	const char *line;
	size_t len;

	if (!here)
		fuzz_scratch();
	here = true;
	forget_settings();
	MUST(setenv("TELEMED_JWT_SECRET_FILE", "secret", 1) == 0);
	MUST(setenv("TELEMED_SETTINGS_FILE", "settings", 1) == 0);
	MUST(truncate_settings());
	while (fuzz_line(&in, &line, &len) && len > 0) {
		if (line[0] == '@')
			add_file_line(line + 1, len - 1);
		else
			set_line(line, len);
	}
	write_secret(in.at, in.left);
	if (config_load(&c, why) == ERR_OK)
		check_taken(&c);
	else
		check_refused(why);
	return 0;
}
