#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 1024, TEXT_MAX_BYTES = 200 };

static const char *program_name = "telemed";
static enum log_level least_level = LOG_INFO;

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

void
log_open(const char *program, enum log_level least)
{
	program_name = program;
	least_level = least;
}

void
log_set_level(enum log_level least)
{
	least_level = least;
}

/* Appends S; false and unchanged where it does not fit with room for the closing brace and newline.
 */
static int
add(struct line *l, const char *s, size_t len)
{
	if (len > sizeof(l->text) - 2 - l->len)
		return 0;
	memcpy(l->text + l->len, s, len);
	l->len += len;
	return 1;
}

static int
add_string(struct line *l, const char *s)
{
	char esc[8];

	if (!add(l, "\"", 1))
		return 0;
	for (size_t i = 0; i < TEXT_MAX_BYTES && s[i] != '\0'; i++) {
		unsigned char c = (unsigned char)s[i];
		size_t len = 1;

		/* DEL and everything past ASCII too: a terminal must not act on a log line. */
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			len = (size_t)snprintf(esc, sizeof(esc), "\\u%04x", c);
		if (!add(l, len == 1 ? s + i : esc, len))
			return 0;
	}
	return add(l, "\"", 1);
}

static int
add_field(struct line *l, const struct log_field *f)
{
	char number[24];

	if (!add(l, ",", 1) || !add_string(l, f->key) || !add(l, ":", 1))
		return 0;
	if (f->text != NULL)
		return add_string(l, f->text);
	snprintf(number, sizeof(number), "%lld", (long long)f->number);
	return add(l, number, strlen(number));
}

void
log_write(enum log_level level, const char *event, const struct log_field *fields, unsigned n)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	char now[RFC3339_SIZE];
	struct line l = { .len = 0 };
	int head;

	if (level < least_level)
		return;
	head = snprintf(l.text, sizeof(l.text),
	    "{\"ts\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%ld,\"event\":\"%s\"",
	    clock_rfc3339(clock_wall_ms(), now), names[level], program_name, (long)getpid(), event);
	if (head < 0 || (size_t)head > sizeof(l.text) - 2)
		return;
	l.len = (size_t)head;
	for (unsigned i = 0; i < n; i++) {
		size_t before = l.len;

		if (!add_field(&l, &fields[i])) {
			l.len = before;
			break;
		}
	}
	l.text[l.len++] = '}';
	l.text[l.len++] = '\n';
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		return; /* nowhere is left to say so */
}
