/* The words of a command line. */
#include <string.h>

#include "admin.h"
#include "base/clock.h"
#include "base/str.h"

static const struct option *
find_option(const struct option *options, const char *name)
{
	for (; options->name != NULL; options++) {
		if (strcmp(options->name, name) == 0)
			return options;
	}
	return NULL;
}

int
options_read(char **argv, const struct option *options, const char **words, int max)
{
	int n = 0;

	for (; *argv != NULL; argv++) {
		const struct option *o = find_option(options, *argv);

		if (o == NULL) {
			if (**argv == '-' || n == max)
				return -1;
			words[n++] = *argv;
		} else if (o->flag != NULL) {
			*o->flag = true;
		} else if (*++argv != NULL) {
			*o->value = *argv;
		} else {
			return -1;
		}
	}
	return n;
}

bool
anchor_read(const char *text, struct audit_mark *out)
{
	size_t len = strcspn(text, ":");

	return text[len] == ':' && parse_int(text, len, 1, INT64_MAX, &out->seq) &&
	       audit_unhex(text + len + 1, out->mac);
}

enum err
admin_note(struct store *s, const char *word, struct user_id user, int64_t call)
{
	const struct audit_entry entry = { .event = AUDIT_ADMIN,
		.outcome = word,
		.peer = user,
		.call = call,
		.source = admin_source() };

	return store_audit_add(s, &entry, clock_wall_ms());
}
