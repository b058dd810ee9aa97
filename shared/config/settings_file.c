#include "config/settings_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

enum { SECRET_TEXT_MAX = 1024 }; /* what is longer was refused at the start */

/* The secrets that the environment may hold, and once they are hidden, what they were. */
static struct hidden {
	const char *name;
	bool kept;
	char value[SECRET_TEXT_MAX + 1];
} hidden[] = { { .name = "TELEMED_JWT_SECRET" }, { .name = "TELEMED_TURN_SECRET" } };

enum { HIDDEN_COUNT = sizeof(hidden) / sizeof(hidden[0]) };

static enum err
refuse_line(unsigned number, const char *what, char *why)
{
	snprintf(why, SETTINGS_WHY_SIZE, "TELEMED_SETTINGS_FILE must not have a line %u that %s.",
	    number, what);
	return ERR_INVALID;
}

/* A carriage return, say, would become the end of a secret. */
static bool
has_control(const char *line)
{
	for (; *line != '\0'; line++) {
		if (((unsigned char)*line < ' ' && *line != '\t') || *line == 0x7f)
			return true;
	}
	return false;
}

static char *
unquoted(char *value)
{
	size_t len = strlen(value);

	if (len < 2 || (value[0] != '"' && value[0] != '\'') || value[len - 1] != value[0])
		return value;
	value[len - 1] = '\0';
	return value + 1;
}

static bool
is_set(const struct settings *s, const char *name)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (strcmp(s->lines[i].name, name) == 0)
			return true;
	}
	return false;
}

static enum err
read_line(struct settings *s, char *line, unsigned number, char *why)
{
	static const char prefix[] = "TELEMED_";
	const char *first = line + strspn(line, " \t");
	size_t len = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	if (has_control(line))
		return refuse_line(number, "has a control character in it", why);
	if (*first == '\0' || *first == '#')
		return ERR_OK;
	if (line[len] != '=' || len < sizeof(prefix) || strncmp(line, prefix, strlen(prefix)) != 0)
		return refuse_line(number, "is not TELEMED_NAME=VALUE", why);
	line[len] = '\0';
	if (strcmp(line, "TELEMED_SETTINGS_FILE") == 0)
		return refuse_line(number, "names another, which only the environment may", why);
	if (is_set(s, line))
		return refuse_line(number, "sets what another one has set", why);
	if (s->count == SETTINGS_LINES_MAX)
		return refuse_line(number, "is one too many", why);
	s->lines[s->count++] = (struct setting_line){ .name = line,
		.value = unquoted(line + len + 1) };
	return ERR_OK;
}

static enum err
read_lines(struct settings *s, size_t len, char *why)
{
	unsigned number = 0;
	enum err e = ERR_OK;

	if (memchr(s->text, '\0', len) != NULL)
		return refuse_line(1, "is not text, nor the others", why);
	s->text[len] = '\0';
	for (char *line = s->text, *next; line != NULL && e == ERR_OK; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		e = read_line(s, line, ++number, why);
	}
	return e;
}

enum err
settings_read(struct settings *s, char why[SETTINGS_WHY_SIZE])
{
	const char *path = getenv("TELEMED_SETTINGS_FILE");
	struct stat st;
	size_t len = 0;
	enum err e;

	s->count = 0;
	s->others_may_read = false;
	if (path == NULL || path[0] == '\0')
		return ERR_OK;
	e = file_read(path, s->text, SETTINGS_BYTES_MAX, &len);
	if (e == ERR_OK && stat(path, &st) == 0)
		s->others_may_read = (st.st_mode & S_IRWXO) != 0;
	else if (e == ERR_OK)
		e = ERR_SYSTEM;
	if (e != ERR_OK) {
		snprintf(why, SETTINGS_WHY_SIZE,
		    "TELEMED_SETTINGS_FILE must name a readable file of at most %d bytes (%s).",
		    SETTINGS_BYTES_MAX, file_read_why(e));
		return ERR_INVALID;
	}
	return read_lines(s, len, why);
}

void
settings_wipe(struct settings *s)
{
	explicit_bzero(s, sizeof(*s));
}

const char *
settings_get(const struct settings *s, const char *name)
{
	const char *value = getenv(name);

	for (unsigned i = 0; value != NULL && i < HIDDEN_COUNT; i++) {
		if (hidden[i].kept && strcmp(hidden[i].name, name) == 0)
			value = hidden[i].value;
	}
	for (unsigned i = 0; value == NULL && i < s->count; i++) {
		if (strcmp(s->lines[i].name, name) == 0)
			value = s->lines[i].value;
	}
	return value;
}

void
settings_hide_secrets(void)
{
	for (unsigned i = 0; i < HIDDEN_COUNT; i++) {
		struct hidden *h = &hidden[i];
		char *value = getenv(h->name);

		if (value == NULL || h->kept)
			continue;
		h->kept = strlen(value) <= SECRET_TEXT_MAX;
		if (h->kept)
			memcpy(h->value, value, strlen(value) + 1);
		explicit_bzero(value, strlen(value));
	}
}
