#include "config/config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/address.h"
#include "base/str.h"
#include "config/secrets.h"

enum kind { INT, TEXT, ADDRESS, ORIGINS, TURN_URLS, TURN_SECRETS, CHOICE };

/* When does another value count: LIVE, in programs that run, or at their next START? */
enum change { START, LIVE };

struct setting {
	const char *name;
	enum kind kind;
	enum change change;
	size_t offset;		    /* in struct config */
	const char *fallback;	    /* what it is when unset or empty */
	int lo, hi;		    /* INT */
	const char *const *choices; /* CHOICE: the value is the index */
};

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const visibilities[] = { "all", "scoped", NULL };
static const char *const signups[] = { "open", "approve", NULL };

#define AT(field) offsetof(struct config, field)

static const struct setting settings[] = {
	{ "TELEMED_PORT", INT, START, AT(port), "8080", 1, 65535, NULL },
	{ "TELEMED_BIND", ADDRESS, START, AT(bind), "127.0.0.1", 0, 0, NULL },
	{ "TELEMED_TLS_PEM", TEXT, START, AT(tls_pem), "", 0, 0, NULL },
	{ "TELEMED_TLS_PORT", INT, START, AT(tls_port), "8443", 1, 65535, NULL },
	{ "TELEMED_HTTP_WORKERS", INT, START, AT(http_workers), "0", 0, 64, NULL },
	{ "TELEMED_HTTP_DESCRIPTORS", INT, START, AT(http_descriptors), "65536", 1024, 1 << 20,
	    NULL },
	{ "TELEMED_TRUSTED_PROXY", ADDRESS, START, AT(trusted_proxy), "", 0, 0, NULL },
	{ "TELEMED_DATA_DIR", TEXT, START, AT(data_dir), "var", 0, 0, NULL },
	{ "TELEMED_JWT_SECRET_FILE", TEXT, LIVE, AT(secret_file), "", 0, 0, NULL },
	{ "TELEMED_JWT_SECRET_SECOND_FILE", TEXT, LIVE, AT(second_file), "", 0, 0, NULL },
	{ "TELEMED_AUDIT_KEY_FILE", TEXT, START, AT(audit_key_file), "", 0, 0, NULL },
	{ "TELEMED_TOKEN_TTL", INT, START, AT(token_ttl_s), "28800", 1, 30 * 86400, NULL },
	{ "TELEMED_SESSION_MAX", INT, START, AT(session_max_s), "604800", 1, 365 * 86400, NULL },
	{ "TELEMED_BCRYPT_COST", INT, START, AT(bcrypt_cost), "12", 4, 15, NULL },
	{ "TELEMED_ALLOWED_ORIGINS", ORIGINS, LIVE, AT(allowed_origins), "", 0, 0, NULL },
	{ "TELEMED_WS_RATE", INT, LIVE, AT(ws_rate), "50", 0, 100000, NULL },
	{ "TELEMED_ADDRESS_CONNECTIONS", INT, LIVE, AT(address_connections), "256", 0, 1000000,
	    NULL },
	{ "TELEMED_AUTH_RATE", INT, LIVE, AT(auth_rate), "30", 0, 100000, NULL },
	{ "TELEMED_PRESENCE_GRACE", INT, START, AT(presence_grace_s), "10", 0, 3600, NULL },
	{ "TELEMED_RING_TIMEOUT", INT, START, AT(ring_timeout_s), "45", 1, 3600, NULL },
	{ "TELEMED_CALL_GRACE", INT, START, AT(call_grace_s), "30", 0, 3600, NULL },
	{ "TELEMED_DRAIN_TIME", INT, START, AT(drain_s), "2", 0, 600, NULL },
	{ "TELEMED_TURN_URLS", TURN_URLS, LIVE, AT(turn), "", 0, 0, NULL },
	{ "TELEMED_TURN_SECRET", TURN_SECRETS, LIVE, AT(turn), "", 0, 0, NULL },
	{ "TELEMED_LOG_LEVEL", CHOICE, LIVE, AT(log_level), "info", 0, 0, log_levels },
	{ "TELEMED_VISIBILITY", CHOICE, START, AT(visibility), "all", 0, 0, visibilities },
	{ "TELEMED_DOCTOR_SIGNUP", CHOICE, START, AT(doctor_signup), "open", 0, 0, signups },
};

static enum err
read_int(const struct setting *s, const char *value, int *out, char *why)
{
	int64_t v;

	if (!parse_int(value, strlen(value), s->lo, s->hi, &v)) {
		snprintf(why, CONFIG_WHY_SIZE, "%s must be a whole number from %d to %d.", s->name,
		    s->lo, s->hi);
		return ERR_INVALID;
	}
	*out = (int)v;
	return ERR_OK;
}

static enum err
read_text(const struct setting *s, const char *value, char *out, char *why)
{
	if (strlen(value) >= CONFIG_TEXT_SIZE) {
		snprintf(why, CONFIG_WHY_SIZE, "%s must be shorter than %d bytes.", s->name,
		    CONFIG_TEXT_SIZE);
		return ERR_INVALID;
	}
	memcpy(out, value, strlen(value) + 1);
	return ERR_OK;
}

static enum err
read_address(const struct setting *s, const char *value, char *out, char *why)
{
	struct address address;

	if (value[0] != '\0' && !address_read(value, &address)) {
		snprintf(why, CONFIG_WHY_SIZE, "%s must be an IPv4 or IPv6 address.", s->name);
		return ERR_INVALID;
	}
	/* For us ::ffff:a.b.c.d is a.b.c.d (RFC 4291 2.5.5.2); for lighttpd it is another one. */
	if (value[0] != '\0' && address_is_v4(&address) && strchr(value, ':') != NULL) {
		snprintf(why, CONFIG_WHY_SIZE,
		    "%s must name an IPv4 address by its four numbers alone.", s->name);
		return ERR_INVALID;
	}
	return read_text(s, value, out, why);
}

/* scheme://host or scheme://host:port, with nothing after it (RFC 6454 6.2). */
static bool
origin_ok(const char *origin, size_t len)
{
	static const char host[] = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
	size_t scheme = strncmp(origin, "https://", 8) == 0 ? 8 : 7;

	if (scheme == 7 && strncmp(origin, "http://", 7) != 0)
		return false;
	return len > scheme && strspn(origin + scheme, host) == len - scheme;
}

static enum err
read_origins(const struct setting *s, const char *value, char *out, char *why)
{
	for (const char *at = value; *at != '\0';) {
		size_t len = strcspn(at, ",");

		if (!origin_ok(at, len)) {
			snprintf(why, CONFIG_WHY_SIZE,
			    "%s must be a list like "
			    "https://clinic.example,https://other.example:8443, in lower case.",
			    s->name);
			return ERR_INVALID;
		}
		at += len;
		at += *at == ',';
	}
	return read_text(s, value, out, why);
}

static enum err
read_turn_urls(const struct setting *s, const char *value, struct turn_settings *out, char *why)
{
	if (turn_urls_read(out, value) == ERR_OK)
		return ERR_OK;
	snprintf(why, CONFIG_WHY_SIZE,
	    "%s must be a list of at most %d like "
	    "stun:turn.example,turn:turn.example:3478?transport=udp, in lower case.",
	    s->name, TURN_URLS_MAX);
	return ERR_INVALID;
}

static enum err
read_turn_secrets(const struct setting *s, const char *value, struct turn_settings *out, char *why)
{
	if (turn_secrets_read(out, value) == ERR_OK)
		return ERR_OK;
	snprintf(why, CONFIG_WHY_SIZE,
	    "%s must be one secret, or two separated by a comma, each of %d to %d printable ASCII "
	    "characters without blanks.",
	    s->name, TURN_SECRET_BYTES_MIN, TURN_SECRET_BYTES_MAX);
	return ERR_INVALID;
}

static enum err
read_choice(const struct setting *s, const char *value, int *out, char *why)
{
	int n;

	for (int i = 0; s->choices[i] != NULL; i++) {
		if (strcmp(value, s->choices[i]) == 0) {
			*out = i;
			return ERR_OK;
		}
	}
	n = snprintf(why, CONFIG_WHY_SIZE, "%s must be", s->name);
	for (int i = 0; s->choices[i] != NULL; i++)
		n += snprintf(why + n, CONFIG_WHY_SIZE - (size_t)n, "%s %s", i == 0 ? "" : " or",
		    s->choices[i]);
	snprintf(why + n, CONFIG_WHY_SIZE - (size_t)n, ".");
	return ERR_INVALID;
}

static enum err
read_setting(struct config *c, const struct setting *s, const struct settings *from, char *why)
{
	const char *value = settings_get(from, s->name);
	void *field = (char *)c + s->offset;

	if (value == NULL || value[0] == '\0')
		value = s->fallback;
	switch (s->kind) {
	case INT:
		return read_int(s, value, field, why);
	case TEXT:
		return read_text(s, value, field, why);
	case ADDRESS:
		return read_address(s, value, field, why);
	case ORIGINS:
		return read_origins(s, value, field, why);
	case TURN_URLS:
		return read_turn_urls(s, value, field, why);
	case TURN_SECRETS:
		return read_turn_secrets(s, value, field, why);
	case CHOICE:
		return read_choice(s, value, field, why);
	}
	return ERR_INVALID;
}

/* A TURN server is of no use without a secret, and a secret without a TURN server is a mistake. */
static enum err
check_turn(const struct turn_settings *t, char *why)
{
	bool relay = turn_settings_relay(t);

	if (relay == (t->secret_count > 0))
		return ERR_OK;
	snprintf(why, CONFIG_WHY_SIZE, "%s",
	    relay ? "TELEMED_TURN_SECRET must be set where TELEMED_TURN_URLS names a turn: or "
		    "turns: server."
		  : "TELEMED_TURN_URLS must name a turn: or turns: server where "
		    "TELEMED_TURN_SECRET is set.");
	return ERR_INVALID;
}

/* Is NAME, of LEN bytes, one of ours? */
static bool
is_known(const char *name, size_t len)
{
	/* What is read elsewhere: the secret, the file of settings, and what scripts and tests tell
	 * each other. An '_' ends the beginning of more names than one. */
	static const char *const others[] = { "TELEMED_JWT_SECRET", "TELEMED_SETTINGS_FILE",
		"TELEMED_ROOT", "TELEMED_BUILD", "TELEMED_LIGHTTPD_", "TELEMED_TEST_" };

	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		if (strlen(settings[i].name) == len && memcmp(settings[i].name, name, len) == 0)
			return true;
	}
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		size_t n = strlen(others[i]);

		if (strncmp(name, others[i], n) == 0 && (len == n || others[i][n - 1] == '_'))
			return true;
	}
	return false;
}

/* A setting whose name is mistyped would be one that nobody notices is not set. */
static enum err
check_name(const char *name, char why[CONFIG_WHY_SIZE])
{
	/* What of a name may stand in a sentence. */
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	int shown = (int)strspn(name, plain);

	if (strncmp(name, "TELEMED_", strlen("TELEMED_")) != 0 ||
	    is_known(name, strcspn(name, "=")))
		return ERR_OK;
	snprintf(why, CONFIG_WHY_SIZE, "%.*s is not a setting.", shown > 64 ? 64 : shown, name);
	return ERR_INVALID;
}

static enum err
check_names(const struct settings *from, char why[CONFIG_WHY_SIZE])
{
	enum err e = ERR_OK;

	for (char **at = environ; *at != NULL && e == ERR_OK; at++)
		e = check_name(*at, why);
	for (unsigned i = 0; i < from->count && e == ERR_OK; i++)
		e = check_name(from->lines[i].name, why);
	return e;
}

static enum err
read_settings(struct config *c, const struct settings *from, char why[CONFIG_WHY_SIZE])
{
	enum err e;

	*c = (struct config){ .port = 0 };
	if ((e = check_names(from, why)) != ERR_OK)
		return e;
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		if ((e = read_setting(c, &settings[i], from, why)) != ERR_OK)
			return e;
	}
	for (unsigned i = 0; i < from->count; i++) {
		if (strcmp(from->lines[i].name, "TELEMED_JWT_SECRET") == 0 ||
		    strcmp(from->lines[i].name, "TELEMED_TURN_SECRET") == 0)
			c->exposed = from->others_may_read;
	}
	return check_turn(&c->turn, why);
}

enum err
config_load_settings(struct config *c, char why[CONFIG_WHY_SIZE])
{
	struct settings from;
	enum err e;

	if ((e = settings_read(&from, why)) == ERR_OK)
		e = read_settings(c, &from, why);
	settings_wipe(&from);
	return e;
}

enum err
config_load(struct config *c, char why[CONFIG_WHY_SIZE])
{
	struct settings from;
	enum err e;

	if ((e = settings_read(&from, why)) == ERR_OK &&
	    (e = read_settings(c, &from, why)) == ERR_OK)
		e = secrets_read(c, &from, why);
	settings_wipe(&from);
	return e;
}

/* How much of struct config a setting that stays until the next start takes. */
static size_t
field_size(const struct setting *s)
{
	return s->kind == INT || s->kind == CHOICE ? sizeof(int) : CONFIG_TEXT_SIZE;
}

/* Gives NEXT what OLD has of the settings that stay until the next start, and names those that
 * differ. */
static void
keep_the_rest(struct config *next, const struct config *old, char later[CONFIG_WHY_SIZE])
{
	size_t n = 0;

	later[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		const struct setting *s = &settings[i];
		const void *was = (const char *)old + s->offset;
		void *is = (char *)next + s->offset;

		if (s->change == LIVE || memcmp(is, was, field_size(s)) == 0)
			continue;
		memcpy(is, was, field_size(s));
		if (n < CONFIG_WHY_SIZE)
			n += (size_t)snprintf(
			    later + n, CONFIG_WHY_SIZE - n, "%s%s", n == 0 ? "" : ", ", s->name);
	}
}

static enum err
read_again(struct config *next, const struct config *old, char *later, char *why)
{
	struct settings from;
	enum err e;

	if ((e = settings_read(&from, why)) == ERR_OK &&
	    (e = read_settings(next, &from, why)) == ERR_OK) {
		keep_the_rest(next, old, later); /* the data directory, where the secrets are */
		e = secrets_read(next, &from, why);
	}
	settings_wipe(&from);
	return e;
}

bool
config_reload(struct config *c)
{
	static struct config next; /* large */
	char why[CONFIG_WHY_SIZE];
	char later[CONFIG_WHY_SIZE];
	enum err e = read_again(&next, c, later, why);

	if (e == ERR_OK) {
		if (next.log_level < c->log_level) /* the line is written if either level says so */
			log_set_level(next.log_level);
		*c = next;
		LOG(later[0] == '\0' ? LOG_INFO : LOG_WARN, "reloaded",
		    F_STR("restart_for", later));
		config_warn(c);
		log_set_level(c->log_level);
	} else {
		LOG(LOG_ERROR, "reload_refused", F_STR("why", why));
	}
	explicit_bzero(&next, sizeof(next));
	return e == ERR_OK;
}

void
config_warn(const struct config *c)
{
	if (c->exposed)
		LOG0(LOG_WARN, "secret_open_to_others");
}

void
config_hide_secrets(void)
{
	/* Not RLIMIT_CORE: a core that is piped to a program does not ask for it. */
	(void)prctl(PR_SET_DUMPABLE, 0); /* fails for other values only */
	settings_hide_secrets();
}

const char *
config_visibility_name(const struct config *c)
{
	return visibilities[c->visibility];
}

const char *
config_signup_name(const struct config *c)
{
	return signups[c->doctor_signup];
}

enum err
config_path(const struct config *c, const char *name, char out[CONFIG_TEXT_SIZE])
{
	int n = snprintf(out, CONFIG_TEXT_SIZE, "%s/%s", c->data_dir, name);

	return n < 0 || n >= CONFIG_TEXT_SIZE ? ERR_TOO_BIG : ERR_OK;
}

bool
config_origin_allowed(
    const struct config *c, const char *origin, const char *scheme, const char *host)
{
	size_t scheme_len = strlen(scheme);
	size_t len = strlen(origin);

	if (strncmp(origin, scheme, scheme_len) == 0 &&
	    strncmp(origin + scheme_len, "://", 3) == 0 &&
	    strcmp(origin + scheme_len + 3, host) == 0)
		return true;
	for (const char *at = c->allowed_origins; *at != '\0';) {
		size_t n = strcspn(at, ",");

		if (n == len && memcmp(at, origin, n) == 0)
			return true;
		at += n;
		at += *at == ',';
	}
	return false;
}
