/* telemed-admin: what an operator does to a running telemed, or to one that is stopped. It acts
 * through the store and the doorbell alone, by the same rules as the programs. */
#pragma once

#include <stdbool.h>

#include "config/paths.h"
#include "store/store_audit.h"

/* Exit codes, those of sysexits.h: a script can tell what to do from them. */
enum admin_exit {
	ADMIN_OK = 0,
	ADMIN_NOT_WHOLE = 1, /* audit verify: the trail is not as it was written */
	ADMIN_USAGE = 64,    /* the command line is wrong */
	ADMIN_REFUSED = 65,  /* what was asked for does not go with what is there */
	ADMIN_NO_INPUT = 66, /* there is no database */
	ADMIN_NO_USER = 67,
	ADMIN_NOT_RUNNING = 69, /* there is no relay that could do it */
	ADMIN_BROKEN = 74,	/* disk, memory, or the database is damaged */
	ADMIN_TRY_LATER = 75,
	ADMIN_CONFIG = 78, /* a setting is bad, or the database is a newer version's */
};

struct admin {
	const struct config *config;
	struct data_paths paths;
	struct store *store; /* open, for reading or for writing as the command's row says */
};

/* ARGV are the words after the command's one or two. */
typedef enum admin_exit command_fn(struct admin *a, int argc, char **argv);

/* Says SENTENCE on standard error and returns CODE. */
enum admin_exit complain(enum admin_exit code, const char *sentence);

/* The same for an outcome of the store that the caller has no word for; ADMIN_OK for ERR_OK. */
enum admin_exit complain_of_store(enum err e);

/* The same for store_audit_open() and store_audit_reading(). */
enum admin_exit complain_of_trail(enum err e);

/* The command line is wrong: says so, and what is right. */
enum admin_exit usage_error(const char *why);

/* Where what a command does comes from, for the audit trail: "uid:N". Static. */
const char *admin_source(void);

/* drain.c */
command_fn drain_relay;

/* users.c */
command_fn users_list;
command_fn users_approve;

/* audit.c */
command_fn audit_list;
command_fn audit_verify_trail;
command_fn audit_archive;
