/* The settings: environment variables, and behind them a settings file; read at start by all
 * programs, and again on SIGHUP. README.md and .env.example say what each is for; the table in
 * config.c is the one place that names its default, its bounds, and whether a running program takes
 * another value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/log.h"
#include "config/settings_file.h"
#include "config/turn_settings.h"

enum {
	CONFIG_TEXT_SIZE = 1024,
	CONFIG_WHY_SIZE = SETTINGS_WHY_SIZE,
	SECRET_BYTES_MIN = 32, /* RFC 7518 3.2: as long as the hash */
	SECRET_BYTES_MAX = 1024,
};

/* Is who registers as a doctor one at once, or when an operator has approved her? */
enum doctor_signup { SIGNUP_OPEN, SIGNUP_APPROVE };

struct config {
	int port;
	char bind[CONFIG_TEXT_SIZE];
	char tls_pem[CONFIG_TEXT_SIZE]; /* lighttpd's key and certificate; empty: no TLS */
	int tls_port;
	int http_workers;     /* of lighttpd; 0: one process, which serves itself */
	int http_descriptors; /* of each of them, at most */
	char data_dir[CONFIG_TEXT_SIZE];
	char secret_file[CONFIG_TEXT_SIZE]; /* empty: "secret" in data_dir */
	unsigned char secret[SECRET_BYTES_MAX];
	size_t secret_len;
	bool secret_is_text; /* it stands in TELEMED_JWT_SECRET, and its file does not count */
	char second_file[CONFIG_TEXT_SIZE]; /* empty: "secret.second" in data_dir, if it is there */
	unsigned char second[SECRET_BYTES_MAX]; /* verifies tokens too, and signs none */
	size_t second_len;			/* 0: there is none */
	char audit_key_file[CONFIG_TEXT_SIZE];	/* empty: "audit.key" in data_dir */
	int token_ttl_s;
	int session_max_s; /* from the login to the end of the last token renewed from it */
	int bcrypt_cost;
	char allowed_origins[CONFIG_TEXT_SIZE]; /* separated by commas; empty: same origin only */
	int ws_rate;				/* messages a second and connection; 0: no limit */
	int address_connections; /* WebSockets at a time from one address; 0: no limit */
	char trusted_proxy[CONFIG_TEXT_SIZE]; /* an address; empty: none */
	int auth_rate;			      /* attempts a minute and address; 0: no limit */
	int presence_grace_s;
	int ring_timeout_s;
	int call_grace_s;
	int drain_s; /* from SIGTERM until the last connection is closed */
	struct turn_settings turn;
	enum log_level log_level;
	int visibility;	   /* enum visibility (domain/user.h), which this layer does not see */
	int doctor_signup; /* enum doctor_signup */
	bool exposed;	   /* others of this machine may read a secret: the file that it is in */
};

/* Reads the settings, without the secrets that sign: for who signs nothing. ERR_INVALID as below,
 * and for a TELEMED_ name that is no setting. */
MUST_USE enum err config_load_settings(struct config *c, char why[CONFIG_WHY_SIZE]);

/* Reads the settings and the secrets. ERR_INVALID: WHY is one sentence that names the setting and
 * what it may be. */
MUST_USE enum err config_load(struct config *c, char why[CONFIG_WHY_SIZE]);

/* Reads all of it again into C, of config_load(), in some small reads of files, and says in one log
 * line what came of it: "reloaded", with the names of those settings that differ and stay as they
 * were until the next start; or "reload_refused", with config_load()'s sentence, and then all stays
 * as it was. The level of the log is set by it as well. False: it was refused. */
MUST_USE bool config_reload(struct config *c);

/* Says in the log what is not as it should be: that others may read a secret. */
void config_warn(const struct config *c);

/* After config_load(): keeps the secrets to this process. The environment, which /proc shows, has
 * them no more, and neither it nor its children by fork() leave a core dump or can be looked into
 * by other processes of the same user. */
void config_hide_secrets(void);

/* How TELEMED_VISIBILITY and TELEMED_DOCTOR_SIGNUP are set, as an operator writes it. Static. */
const char *config_visibility_name(const struct config *c);
const char *config_signup_name(const struct config *c);

/* Writes DATA_DIR/NAME into OUT. ERR_TOO_BIG: it does not fit. */
MUST_USE enum err config_path(const struct config *c, const char *name, char out[CONFIG_TEXT_SIZE]);

/* May a page of ORIGIN (RFC 6454 7) use this server? True where it is SCHEME://HOST, the address
 * that the client itself used, or stands in the list. ORIGIN is compared byte for byte: browsers
 * send it in lower case. */
bool config_origin_allowed(
    const struct config *c, const char *origin, const char *scheme, const char *host);
