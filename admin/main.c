#include "admin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum opening { ADMIN_LOOKS, ADMIN_WRITES };

struct command {
	const char *group;
	const char *verb; /* "": the group has but one */
	command_fn *run;
	enum opening store; /* how it is opened */
	const char *usage;  /* what may follow */
	const char *what;
};

static const struct command commands[] = {
	{ "users", "list", users_list, ADMIN_LOOKS, "[--pending] [--json]",
	    "all accounts, or the doctors who wait for approval" },
	{ "users", "approve", users_approve, ADMIN_WRITES, "ID|EMAIL",
	    "makes a pending doctor one" },
	{ "audit", "list", audit_list, ADMIN_LOOKS, "[--since LINE] [--json] [ARCHIVE]",
	    "what happened, the oldest first" },
	{ "audit", "verify", audit_verify_trail, ADMIN_LOOKS,
	    "[--after LINE] [--anchor LINE:MAC] [--json] [ARCHIVE]",
	    "is the audit trail as it was written?" },
	{ "audit", "archive", audit_archive, ADMIN_WRITES, "FILE --until LINE",
	    "moves the lines up to one, at most 100,000, from the database to a new file" },
	{ "drain", "", drain_relay, ADMIN_WRITES, "[--end] [--json]",
	    "the relay that runs takes no new calls; with --end, it does again" },
	{ .run = NULL },
};

static const struct command *chosen; /* for what usage_error() says */

static void
print_usage(FILE *out, const struct command *c)
{
	fprintf(out, "  telemed-admin %s%s%s %s\n", c->group, c->verb[0] == '\0' ? "" : " ",
	    c->verb, c->usage);
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
	puts("\nExit codes: 0 done; 1 the audit trail is not as it was written; 64 the command\n"
	     "line is wrong; 65 refused, or an anchor was not checked; 66 no database or\n"
	     "archive; 67 no such user; 69 no relay runs; 74 disk, memory or a damaged database; "
	     "75 try again\n"
	     "later; 78 a bad setting, a database of a newer version, or the audit trail's key\n"
	     "is gone or open to others.");
}

enum admin_exit
complain(enum admin_exit code, const char *sentence)
{
	fprintf(stderr, "telemed-admin: %s\n", sentence);
	return code;
}

enum admin_exit
complain_of_store(enum err e)
{
	switch (e) {
	case ERR_OK:
		return ADMIN_OK;
	case ERR_TOO_NEW:
		return complain(ADMIN_CONFIG, store_sentence(e));
	case ERR_INVALID:
		return complain(ADMIN_BROKEN, store_sentence(e));
	case ERR_BUSY:
		return complain(ADMIN_TRY_LATER, "The database is locked. Nothing was changed.");
	default:
		return complain(ADMIN_BROKEN,
		    "The database or the machine cannot take this now. Nothing was changed.");
	}
}

enum admin_exit
complain_of_trail(enum err e)
{
	if (e == ERR_OK)
		return ADMIN_OK;
	if (e == ERR_BUSY)
		return complain_of_store(e);
	return complain(
	    store_audit_is_hopeless(e) ? ADMIN_CONFIG : ADMIN_BROKEN, store_audit_sentence(e));
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

/* How many words name C. */
static int
words_of(const struct command *c)
{
	return c->verb[0] == '\0' ? 1 : 2;
}

/* The command that the words after the program's name begin with. */
static const struct command *
find_command(int argc, char **argv)
{
	for (const struct command *c = commands; c->run != NULL; c++) {
		if (argc > words_of(c) && strcmp(c->group, argv[1]) == 0 &&
		    (words_of(c) == 1 || strcmp(c->verb, argv[2]) == 0))
			return c;
	}
	return NULL;
}

static enum admin_exit
open_store(struct admin *a, enum opening how)
{
	enum admin_exit code;
	enum err e;

	if (data_paths_find(a->config, &a->paths) != ERR_OK)
		return complain(ADMIN_CONFIG, "TELEMED_DATA_DIR is too long.");
	/* Nothing is made where there is nothing: a telemed that nobody has started has no users.
	 */
	if (access(a->paths.database, F_OK) != 0)
		return complain(ADMIN_NO_INPUT,
		    "There is no database in TELEMED_DATA_DIR, or it cannot be reached.");
	if (how == ADMIN_LOOKS) {
		e = store_open_reader(a->paths.database, &a->store);
		if (e == ERR_DENIED)
			return complain(ADMIN_CONFIG,
			    "The database is of an older version: start telemed once.");
		return complain_of_store(e);
	}
	code = complain_of_store(store_open(a->paths.database, a->paths.store_lock, &a->store));
	if (code != ADMIN_OK)
		return code;
	e = store_audit_open(a->store, a->paths.audit_key, a->paths.audit_head);
	return complain_of_trail(e);
}

static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static enum admin_exit
run(const struct command *c, const struct config *config, int argc, char **argv)
{
	struct admin a = { .config = config };
	enum admin_exit code = open_store(&a, c->store);

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
	char why[CONFIG_WHY_SIZE];

	if (asks_for_help(argc, argv)) {
		print_help();
		return ADMIN_OK;
	}
	if ((chosen = find_command(argc, argv)) == NULL)
		return (int)usage_error("There is no such command.");
	if (config_load_settings(&config, why) != ERR_OK)
		return (int)complain(ADMIN_CONFIG, why);
	config_hide_secrets();
	log_open("telemed-admin", LOG_ERROR);
	return (int)run(chosen, &config, argc - 1 - words_of(chosen), argv + 1 + words_of(chosen));
}
