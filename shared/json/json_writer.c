#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "json/json.h"

void
jw_init(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){ .out = out };
}

static void
quoted(struct buf *out, const char *s)
{
	const char *end = s + strlen(s);
	const char *plain = s; /* the run not yet copied */
	char esc[8];

	buf_add(out, "\"", 1);
	for (; (s += plain_run(s, (size_t)(end - s))) < end; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_add(out, plain, (size_t)(s - plain));
		plain = s + 1;
		if (c == '"' || c == '\\')
			snprintf(esc, sizeof(esc), "\\%c", c);
		else if (c == '\n')
			snprintf(esc, sizeof(esc), "\\n");
		else
			snprintf(esc, sizeof(esc), "\\u%04x", c);
		buf_adds(out, esc);
	}
	buf_add(out, plain, (size_t)(s - plain));
	buf_add(out, "\"", 1);
}

/* The comma before a value, and its key. */
static void
lead(struct json_writer *w, const char *key)
{
	if (w->comma)
		buf_add(w->out, ",", 1);
	w->comma = true;
	if (key == NULL)
		return;
	quoted(w->out, key);
	buf_add(w->out, ":", 1);
}

static void
open_list(struct json_writer *w, const char *key, char bracket)
{
	lead(w, key);
	buf_add(w->out, &bracket, 1);
	w->comma = false;
}

static void
close_list(struct json_writer *w, char bracket)
{
	buf_add(w->out, &bracket, 1);
	w->comma = true;
}

void
jw_object(struct json_writer *w, const char *key)
{
	open_list(w, key, '{');
}

void
jw_object_end(struct json_writer *w)
{
	close_list(w, '}');
}

void
jw_array(struct json_writer *w, const char *key)
{
	open_list(w, key, '[');
}

void
jw_array_end(struct json_writer *w)
{
	close_list(w, ']');
}

void
jw_string(struct json_writer *w, const char *key, const char *value)
{
	lead(w, key);
	quoted(w->out, value);
}

void
jw_int(struct json_writer *w, const char *key, int64_t value)
{
	char digits[INT_TEXT_SIZE];

	lead(w, key);
	buf_adds(w->out, format_int(value, digits));
}

void
jw_bool(struct json_writer *w, const char *key, bool value)
{
	lead(w, key);
	buf_adds(w->out, value ? "true" : "false");
}

void
jw_raw(struct json_writer *w, const char *key, const char *json, size_t len)
{
	lead(w, key);
	buf_add(w->out, json, len);
}
