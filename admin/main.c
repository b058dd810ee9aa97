#include "admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* What a command wants to find open. */
enum opening {
	ADMIN_BARE,	/* nothing: it reads the settings itself */
	ADMIN_SETTINGS, /* the settings, and no database */
	ADMIN_LOOKS,
	ADMIN_WRITES,
};

struct command {
	const char *group;
	const char *verb; /* NULL: the group is all */
	command_fn *run;
	enum opening opening;
	const char *usage; /* what may follow */
	const char *what;
};

/* In the order in which they are told. */
static const struct command commands[] = {
	{ "status", NULL, status_show, ADMIN_LOOKS, "[--json]",
	    "what runs, and how much of everything there is; 1: something does not run" },
	{ "users", "list", users_list, ADMIN_LOOKS, "[--pending] [--json]",
	    "all accounts, or the doctors who wait for approval" },
	{ "users", "add", users_add, ADMIN_WRITES, "PATIENT|DOCTOR [--json]",
	    "a new account; name, email and password are read from standard input, a line each" },
	{ "users", "approve", users_approve, ADMIN_WRITES, "ID|EMAIL [--json]",
	    "makes a pending doctor one" },
	{ "users", "disable", users_disable, ADMIN_WRITES, "ID|EMAIL [--json]",
	    "ends all of her sessions and her call, and lets her in no more" },
	{ "users", "enable", users_enable, ADMIN_WRITES, "ID|EMAIL [--json]", "lets her in again" },
	{ "users", "reset-password", users_reset_password, ADMIN_WRITES, "ID|EMAIL [--json]",
	    "sets the password that is read from standard input, and ends all of her sessions" },
	{ "users", "erase", users_erase, ADMIN_WRITES, "ID|EMAIL --yes [--json]",
	    "forgets her name, email and password for good" },
	{ "sessions", "list", sessions_list, ADMIN_LOOKS, "[--user ID|EMAIL] [--json]",
	    "who is logged in, since when and from where" },
	{ "sessions", "kick", sessions_kick, ADMIN_WRITES, "SESSION | --user ID|EMAIL [--json]",
	    "ends one session, or all of a user's" },
	{ "calls", "list", calls_list, ADMIN_LOOKS, "[--all] [--json]",
	    "the calls that ring or are active, or all that there were" },
	{ "calls", "end", calls_end, ADMIN_WRITES, "NUMBER [--json]", "ends a call" },
	{ "backup", NULL, backup_make, ADMIN_WRITES, "FILE [--json]",
	    "copies the database to a new file, while telemed runs or not" },
	{ "restore", NULL, backup_restore, ADMIN_SETTINGS,
	    "FILE [--anchor LINE:MAC] [--after LINE] [--broken-trail] [--json]",
	    "puts a backup in the database's place, while telemed does not run" },
	{ "audit", "list", audit_list, ADMIN_LOOKS, "[--since LINE] [--json] [FILE]",
	    "what happened, the oldest first; FILE: in an archive, a backup or a kept database" },
	{ "audit", "verify", audit_verify_trail, ADMIN_LOOKS,
	    "[--after LINE] [--anchor LINE:MAC] [--json] [ARCHIVE]",
	    "is the audit trail as it was written?" },
	{ "audit", "archive", audit_archive, ADMIN_WRITES, "FILE --until LINE [--json]",
	    "moves the lines up to one, at most 100,000, from the database to a new file" },
	{ "config", "check", config_check, ADMIN_BARE, "[--json]",
	    "are the settings, and the files that they name, in order?" },
	{ "turn", "check", turn_check, ADMIN_SETTINGS, "[--json]",
	    "do the STUN and TURN servers answer, and take our credentials?" },
	{ "token", "explain", token_read, ADMIN_BARE, "[--json]",
	    "reads a token from standard input: what it says, and is it good?" },
	{ "drain", NULL, drain_relay, ADMIN_WRITES, "[--end] [--json]",
	    "the relay that runs takes no new calls; with --end, it does again" },
	{ .run = NULL },
};

static const struct command *chosen; /* for what usage_error() says */

static void
print_usage(FILE *out, const struct command *c)
{
	fprintf(out, "  telemed-admin %s%s%s %s\n", c->group, c->verb == NULL ? "" : " ",
	    c->verb == NULL ? "" : c->verb, c->usage);
}

static void
print_help(void)
{
	puts("What an operator does to telemed, running or not. Settings are read as the programs\n"
	     "do, from the environment and TELEMED_SETTINGS_FILE; TELEMED_DATA_DIR says which\n"
	     "telemed.\n");
	for (const struct command *c = commands; c->run != NULL; c++) {
		print_usage(stdout, c);
		printf("      %s\n", c->what);
	}
	puts("\nExit codes: 0 done; 1 what was checked is not as it should be; 64 the command\n"
	     "line, or what was typed, is wrong; 65 refused, or an anchor was not checked; 66 no\n"
	     "database or no such file; 67 no such user, session or call; 69 no relay runs; 74 "
	     "disk,\n"
	     "memory or a damaged database; 75 try again later; 78 a bad setting, a database of a "
	     "newer\n"
	     "version, or the audit trail's key is gone or open to others.");
}

const char *
admin_source(void)
{
	static char source[AUDIT_SOURCE_SIZE];

	snprintf(source, sizeof(source), "uid:%lu", (unsigned long)getuid());
	return source;
}

enum admin_exit
usage_error(const char *why)
{
	complain(ADMIN_USAGE, why);
	for (const struct command *c = commands; c->run != NULL; c++) {
		if (chosen == NULL || chosen == c)
			print_usage(stderr, c);
	}
	return ADMIN_USAGE;
}

/* *WORDS is how many words name it. */
static const struct command *
find_command(int argc, char **argv, int *words)
{
	for (const struct command *c = commands; c->run != NULL; c++) {
		*words = c->verb == NULL ? 1 : 2;
		if (argc > *words && strcmp(c->group, argv[1]) == 0 &&
		    (c->verb == NULL || strcmp(c->verb, argv[2]) == 0))
			return c;
	}
	return NULL;
}

static enum admin_exit
open_for_writing(struct admin *a, const struct data_paths *p)
{
	enum admin_exit code;
	enum err e;

	e = store_audit_compare(p->database, p->store_lock, p->audit_key, p->audit_head);
	if (e == ERR_CONFLICT)
		return complain(ADMIN_BROKEN, store_sentence(e));
	if (e == ERR_OK)
		e = store_open(p->database, p->store_lock, &a->store);
	if ((code = complain_of_store(e)) != ADMIN_OK)
		return code;
	return complain_of_trail(store_audit_open(a->store, p->audit_key, p->audit_head));
}

static enum admin_exit
open_store(struct admin *a, enum opening how)
{
	enum err e;

	if (data_paths_find(a->config, &a->paths) != ERR_OK)
		return complain(ADMIN_CONFIG, "TELEMED_DATA_DIR is too long.");
	if (how == ADMIN_SETTINGS)
		return ADMIN_OK;
	/* Nothing is made where there is nothing: a telemed that nobody has started has no users.
	 */
	if (access(a->paths.database, F_OK) != 0)
		return complain_of(ADMIN_NO_INPUT,
		    "There is no database in %s (TELEMED_DATA_DIR), or it cannot be reached: %m.",
		    a->config->data_dir);
	if (how == ADMIN_LOOKS) {
		e = store_open_reader(a->paths.database, &a->store);
		if (e == ERR_DENIED)
			return complain(ADMIN_CONFIG,
			    "The database is of an older version: start telemed once.");
		return complain_of_store(e);
	}
	return open_for_writing(a, &a->paths);
}

static bool
has_word(int argc, char **argv, const char *word)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], word) == 0)
			return true;
	}
	return false;
}

static enum admin_exit
run(const struct command *c, struct config *config, int argc, char **argv)
{
	struct admin a = { .config = config };
	enum admin_exit code = ADMIN_OK;
	char why[CONFIG_WHY_SIZE];

	if (c->opening != ADMIN_BARE) {
		if (config_load_settings(config, why) != ERR_OK)
			return complain(ADMIN_CONFIG, why);
		config_hide_secrets();
		code = open_store(&a, c->opening);
	}
	if (code == ADMIN_OK)
		code = c->run(&a, argc, argv);
	store_close(a.store);
	/* What was listed onto a full disk was not listed. */
	if (fflush(stdout) != 0 && code == ADMIN_OK)
		code = complain(ADMIN_BROKEN, "Standard output cannot be written to.");
	return code;
}

int
main(int argc, char **argv)
{
	static struct config config;
	int words;

	if (has_word(argc, argv, "--help") || has_word(argc, argv, "-h")) {
		print_help();
		return ADMIN_OK;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("telemed-admin " TELEMED_VERSION);
		return ADMIN_OK;
	}
	if ((chosen = find_command(argc, argv, &words)) == NULL)
		return (int)usage_error("There is no such command.");
	log_open("telemed-admin", LOG_ERROR);
	return (int)run(chosen, &config, argc - 1 - words, argv + 1 + words);
}
