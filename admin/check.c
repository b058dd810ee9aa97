/* telemed-admin config check: what would stop a start, and what a clinic would want otherwise. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin.h"
#include "audit/audit_files.h"
#include "base/address.h"
#include "domain/user.h"
#include "pem.h"

enum { EXPIRY_NOTED_DAYS = 14 };

enum outcome { IS_FINE, IS_NOTED, IS_WRONG };

static const char *const outcome_names[] = { "ok", "note", "wrong" };

struct checking {
	struct listing list;
	bool wrong;
};

/* One finding. */
static void
say(struct checking *c, const char *what, enum outcome outcome, const char *sentence)
{
	struct answer item;

	c->wrong = c->wrong || outcome == IS_WRONG;
	listing_item(&c->list);
	if (!c->list.json) {
		printf("%-9s  %-15s  %s\n", outcome_names[outcome], what, sentence);
		return;
	}
	answer_begin(&item);
	jw_string(&item.w, "check", what);
	jw_string(&item.w, "outcome", outcome_names[outcome]);
	jw_string(&item.w, "says", sentence);
	if (listing_put(&item) != ERR_OK)
		c->wrong = true;
}

/* Is there a file at PATH, for its owner alone? */
static void
check_private(struct checking *c, const char *what, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		say(c, what, IS_WRONG, "It cannot be reached.");
	else if (st.st_uid != geteuid())
		say(c, what, IS_NOTED, "It belongs to another user than this one.");
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		say(c, what, IS_NOTED, "Others than its owner can reach it: chmod go=.");
	else
		say(c, what, IS_FINE, "It is its owner's alone.");
}

/* The file SET, or where that is empty the one called FALLBACK in the data directory. */
static void
check_file_of(struct checking *c, const char *what, const struct config *config, const char *set,
    const char *fallback)
{
	char path[CONFIG_TEXT_SIZE];

	if (set[0] != '\0')
		check_private(c, what, set);
	else if (config_path(config, fallback, path) == ERR_OK)
		check_private(c, what, path);
}

static void
check_secrets(struct checking *c, const struct config *config)
{
	if (config->secret_is_text)
		say(c, "secret", IS_FINE, "It stands in TELEMED_JWT_SECRET.");
	else
		check_file_of(c, "secret", config, config->secret_file, "secret");
	if (config->second_len > 0)
		check_file_of(c, "second secret", config, config->second_file, "secret.second");
}

/* Do others than this machine reach it, and not through a proxy? */
static bool
is_in_the_open(const struct config *config)
{
	struct address bind;

	return address_read(config->bind, &bind) && !address_is_loopback(&bind) &&
	       config->trusted_proxy[0] == '\0';
}

/* lighttpd's key and certificate. */
static void
check_tls(struct checking *c, const struct config *config)
{
	int days = 0;

	if (config->tls_pem[0] == '\0') {
		if (is_in_the_open(config))
			say(c, "tls", IS_NOTED,
			    "Other machines reach it without TLS: a clinic wants TELEMED_TLS_PEM.");
		return;
	}
	if (config->tls_port == config->port)
		say(c, "tls port", IS_WRONG, "TELEMED_TLS_PORT must be another than TELEMED_PORT.");
	switch (pem_look(config->tls_pem, &days)) {
	case PEM_UNREADABLE:
		say(c, "tls", IS_WRONG, "TELEMED_TLS_PEM must name a file that can be read.");
		return;
	case PEM_BROKEN:
		say(c, "tls", IS_WRONG, "TELEMED_TLS_PEM is not a key and its certificate.");
		return;
	case PEM_GOOD:
		break;
	}
	check_private(c, "tls", config->tls_pem);
	if (days < 0)
		say(c, "certificate", IS_NOTED, "It has run out: browsers refuse it.");
	else if (days < EXPIRY_NOTED_DAYS)
		say(c, "certificate", IS_NOTED, "It runs out within two weeks.");
	else
		say(c, "certificate", IS_FINE,
		    "It is of that key, and good for more than two weeks.");
}

static void
check_key(struct checking *c, const struct data_paths *p)
{
	struct audit_key key;
	enum err e = audit_key_read(p->audit_key, &key);

	explicit_bzero(&key, sizeof(key));
	if (e == ERR_OK)
		say(c, "audit key", IS_FINE, "It can be read.");
	else if (e == ERR_NOT_FOUND && access(p->database, F_OK) != 0)
		say(c, "audit key", IS_NOTED, "There is none yet: the first start makes it.");
	else
		say(c, "audit key", IS_WRONG, store_audit_sentence(e));
}

/* Is something lost of what was written? Makes no file, so that without the lock's it is not looked
 * at. */
static bool
has_lost(const struct data_paths *p)
{
	return access(p->store_lock, F_OK) == 0 && store_audit_compare(p->database, p->store_lock,
						       p->audit_key, p->audit_head) == ERR_CONFLICT;
}

static void
check_database(struct checking *c, const struct data_paths *p)
{
	struct store *s = NULL;
	enum err e = has_lost(p) ? ERR_CONFLICT : store_open_reader(p->database, &s);

	store_close(s);
	if (e == ERR_OK)
		say(c, "database", IS_FINE, "It can be read.");
	else if (e == ERR_NOT_FOUND)
		say(c, "database", IS_NOTED, "There is none yet: the first start makes it.");
	else if (e == ERR_DENIED)
		say(c, "database", IS_NOTED,
		    "It is of an older version: the next start brings it up.");
	else
		say(c, "database", IS_WRONG, store_sentence(e));
}

static void
check_folder(struct checking *c, const struct config *config, const struct data_paths *p)
{
	if (access(config->data_dir, F_OK) != 0)
		say(c, "data directory", IS_NOTED, "There is none yet: the first start makes it.");
	else
		check_private(c, "data directory", config->data_dir);
	if (strlen(p->doorbell) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		say(c, "sockets", IS_WRONG,
		    "TELEMED_DATA_DIR is too long for a Unix socket (107 bytes in all).");
}

static void
check_policy(struct checking *c, const struct config *config)
{
	if (config->visibility == VISIBILITY_ALL)
		say(c, "visibility", IS_NOTED,
		    "Everybody sees everybody; a clinic wants TELEMED_VISIBILITY=scoped.");
	if (config->doctor_signup == SIGNUP_OPEN)
		say(c, "doctors", IS_NOTED,
		    "Whoever registers as a doctor is one; a clinic wants "
		    "TELEMED_DOCTOR_SIGNUP=approve.");
	if (config->turn.url_count == 0)
		say(c, "turn", IS_NOTED,
		    "No STUN or TURN server: browsers behind firewalls may not reach each other.");
	if (config->auth_rate == 0)
		say(c, "logins", IS_NOTED,
		    "TELEMED_AUTH_RATE=0: nobody who tries passwords is slowed down.");
}

static void
check_all(struct checking *c)
{
	static struct config config;
	char why[CONFIG_WHY_SIZE];
	struct data_paths paths;

	if (config_load_settings(&config, why) != ERR_OK) {
		say(c, "settings", IS_WRONG, why);
		return;
	}
	if (data_paths_find(&config, &paths) != ERR_OK) {
		say(c, "settings", IS_WRONG, "TELEMED_DATA_DIR is too long.");
		return;
	}
	say(c, "settings", IS_FINE, "Each is within its bounds.");
	if (config.exposed)
		say(c, "settings file", IS_NOTED,
		    "A secret is in it, and others of this machine can read it: chmod o=.");
	check_folder(c, &config, &paths);
	check_tls(c, &config);
	if (config_load(&config, why) == ERR_OK)
		check_secrets(c, &config);
	else if (access(paths.database, F_OK) != 0 && config.secret_file[0] == '\0')
		say(c, "secret", IS_NOTED, "There is none yet: the first start makes it.");
	else
		say(c, "secret", IS_WRONG, why);
	check_key(c, &paths);
	check_database(c, &paths);
	check_policy(c, &config);
}

enum admin_exit
config_check(struct admin *a, int argc, char **argv)
{
	struct checking c = { .list = { .heading = "OUTCOME    CHECK            SAYS" } };
	const struct option options[] = { { "--json", &c.list.json, NULL }, { .name = NULL } };

	(void)a;
	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("There is no such option.");
	listing_begin(&c.list, "checks");
	check_all(&c);
	listing_end(&c.list, "");
	return c.wrong ? ADMIN_CONFIG : ADMIN_OK;
}
