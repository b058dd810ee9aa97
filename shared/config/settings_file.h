/* Where settings come from: the environment, and behind it the file that TELEMED_SETTINGS_FILE
 * names. The environment of a process never changes; the file can, and is read again on SIGHUP. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
	SETTINGS_BYTES_MAX = 16 << 10,
	SETTINGS_LINES_MAX = 64, /* that set something */
	SETTINGS_WHY_SIZE = 256,
};

struct settings {
	unsigned count;
	struct setting_line {
		const char *name; /* both in TEXT */
		const char *value;
	} lines[SETTINGS_LINES_MAX];
	bool others_may_read; /* the file, by its mode: it is its group's, or anybody's */
	char text[SETTINGS_BYTES_MAX + 1];
};

/* Reads the file that TELEMED_SETTINGS_FILE names into S; none where the variable is unset or
 * empty. Its lines are empty, comments that begin with '#', or NAME=VALUE, where NAME is TELEMED_
 * and capitals or '_', and VALUE is all that follows, without the quotes (both '"' or both '\'')
 * around it. Nothing in it is executed. ERR_INVALID: there is no such file, it is too long, or a
 * line is none of these; WHY is a sentence that names the line by its number and says nothing of
 * what stands in it. S holds secrets by then, whatever the outcome: settings_wipe(). */
MUST_USE enum err settings_read(struct settings *s, char why[SETTINGS_WHY_SIZE]);
void settings_wipe(struct settings *s);

/* The value of NAME: the environment's where it has one, even an empty one, else the file's; NULL:
 * neither has. Good until settings_wipe(). */
const char *settings_get(const struct settings *s, const char *name);

/* Takes the secrets out of the environment, which /proc shows to who may look; settings_get() goes
 * on as before, out of this process's own memory. */
void settings_hide_secrets(void);
