/* telemed-admin: what an operator does to a running telemed, or to one that is stopped. It acts
 * through the store and the doorbell alone, by the same rules as the programs. */
#pragma once

#include <stdbool.h>

#include "config/paths.h"
#include "store/store_audit.h"
#include "tell.h"

struct admin {
	const struct config *config;
	struct data_paths paths;
	struct store
	    *store; /* open, for reading or for writing as the command's row says; or NULL */
};

/* ARGV are the words after the command's own. */
typedef enum admin_exit command_fn(struct admin *a, int argc, char **argv);

/* The command line is wrong: says so, and what is right. */
enum admin_exit usage_error(const char *why);

/* Where what a command does comes from, for the audit trail: "uid:N". Static. */
const char *admin_source(void);

/* In a transaction: the line of the trail that says what an operator has done, in WORD, to USER (0:
 * nobody) or CALL (0: none). */
MUST_USE enum err admin_note(struct store *s, const char *word, struct user_id user, int64_t call);

/* An option: a flag, or one with a value, which is the word behind it. */
struct option {
	const char *name; /* "--json"; NULL ends the list */
	bool *flag;
	const char **value;
};

/* Reads the words of ARGV: options, and at most MAX other words, into WORDS. Returns how many of
 * these there are; -1: something else stands there. */
int options_read(char **argv, const struct option *options, const char **words, int max);

/* LINE:MAC, as audit verify prints it. */
bool anchor_read(const char *text, struct audit_mark *out);

/* status.c: does a program listen at the socket at PATH? */
bool somebody_listens(const char *path);

/* audit_says.c: what was found of a trail, for a person or as JSON; and the exit code for it. */
struct audit_report;
MUST_USE enum err print_report(const struct audit_report *r, bool json);
enum admin_exit exit_of_report(const struct audit_report *r);

/* status.c, check.c, token.c, turn.c */
command_fn status_show;
command_fn config_check;
command_fn token_read;
command_fn turn_check;

/* users.c, change.c */
/* drain.c */
command_fn drain_relay;

/* users.c */
command_fn users_list;
command_fn users_add;
command_fn users_approve;
command_fn users_disable;
command_fn users_enable;
command_fn users_reset_password;
command_fn users_erase;

/* sessions.c, calls.c */
command_fn sessions_list;
command_fn sessions_kick;
command_fn calls_list;
command_fn calls_end;

/* backup.c, restore.c */
command_fn backup_make;
command_fn backup_restore;

/* audit.c */
command_fn audit_list;
command_fn audit_verify_trail;
command_fn audit_archive;
