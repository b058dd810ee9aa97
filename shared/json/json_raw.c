/* A walk over a text that has passed the gate, so that it need not look for faults. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "json/json_gate.h"

/* Behind the string that begins at AT. */
static const char *
string_end(const char *at, const char *end)
{
	const char *backslash;
	const char *quote;

	at++;
	quote = memchr(at, '"', (size_t)(end - at));
	while ((backslash = memchr(at, '\\', (size_t)(quote - at))) != NULL) {
		at = backslash + 2;
		if (at > quote) /* it was escaped */
			quote = memchr(at, '"', (size_t)(end - at));
	}
	return quote + 1;
}

static const char *
skip_blank(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* Behind the value that begins at AT. */
static const char *
value_end(const char *at, const char *end)
{
	unsigned open = 0;

	do {
		if (*at == '"') {
			at = string_end(at, end);
			continue;
		}
		open += *at == '{' || *at == '[';
		open -= *at == '}' || *at == ']';
		at++;
	} while (at < end && (open > 0 || strchr(",}] \t\r\n", *at) == NULL));
	return at;
}

struct json_raw
json_raw_member(struct json_raw object, const char *key)
{
	const struct json_raw none = { NULL, 0 };
	size_t key_len = strlen(key);
	const char *end;
	const char *at;

	if (!json_raw_is_object(object))
		return none;
	end = object.at + object.len;
	at = skip_blank(object.at, end);
	do {
		struct json_raw value;
		const char *name = skip_blank(at + 1, end);
		const char *name_end;

		if (*name != '"')
			return none;
		name_end = string_end(name++, end) - 1;
		at = skip_blank(name_end + 1, end);
		value.at = skip_blank(at + 1, end);
		at = value_end(value.at, end);
		value.len = (size_t)(at - value.at);
		if ((size_t)(name_end - name) == key_len && memcmp(name, key, key_len) == 0)
			return value;
		at = skip_blank(at, end);
	} while (*at == ',');
	return none;
}

bool
json_raw_is_object(struct json_raw v)
{
	return v.at != NULL && *skip_blank(v.at, v.at + v.len) == '{';
}

bool
json_raw_is_string(struct json_raw v)
{
	return v.at != NULL && *v.at == '"';
}

static unsigned
hex4(const char *at)
{
	char digits[5] = "";

	memcpy(digits, at, 4);
	return (unsigned)strtoul(digits, NULL, 16);
}

/* The code point of the escape at *AT, which goes behind it. */
static uint32_t
unescape(const char **at)
{
	static const char letters[] = "b\bf\fn\nr\rt\t";
	const char *letter = strchr(letters, (*at)[1]);
	uint32_t unit;

	*at += 2;
	if ((*at)[-1] != 'u')
		return (unsigned char)(letter == NULL ? (*at)[-1] : letter[1]);
	unit = hex4(*at);
	*at += 4;
	if (unit < 0xd800 || unit > 0xdfff)
		return unit;
	unit = 0x10000 + ((unit - 0xd800) << 10) + (hex4(*at + 2) - 0xdc00);
	*at += 6;
	return unit;
}

size_t
json_raw_chars(struct json_raw string)
{
	size_t chars = 0;
	const char *end;

	if (!json_raw_is_string(string))
		return 0;
	end = string.at + string.len - 1;
	for (const char *at = string.at + 1; at < end; chars++) {
		if (*at == '\\') {
			(void)unescape(&at);
			continue;
		}
		for (at++; (*at & 0xc0) == 0x80; at++)
			continue;
	}
	return chars;
}

bool
json_raw_string(struct json_raw v, char *out, size_t size)
{
	char escaped[UTF8_MAX];
	struct buf b;
	const char *end;
	const char *stop;

	buf_over(&b, out, size);
	if (!json_raw_is_string(v))
		return false;
	end = v.at + v.len - 1;
	for (const char *at = v.at + 1; at < end; at = stop) {
		if ((stop = memchr(at, '\\', (size_t)(end - at))) == NULL)
			stop = end;
		buf_add(&b, at, (size_t)(stop - at));
		if (stop < end)
			buf_add(&b, escaped, utf8_encode(unescape(&stop), escaped));
	}
	if (b.failed)
		out[0] = '\0';
	return !b.failed;
}

bool
json_raw_id(struct json_raw v, int64_t *out)
{
	char text[JSON_NUMBER_SIZE];
	char *end;
	double d;

	if (json_raw_is_string(v))
		return json_raw_string(v, text, INT_TEXT_SIZE) &&
		       parse_int(text, strlen(text), 1, JSON_EXACT_MAX, out);
	if (v.at == NULL || v.len >= sizeof(text))
		return false;
	memcpy(text, v.at, v.len);
	text[v.len] = '\0';
	d = strtod(text, &end);
	return end == text + v.len && json_whole(d, 1, JSON_EXACT_MAX, out);
}

/* TEXT with its keys as the writer writes them, and all else as it stands. A key is a string before
 * a colon. SCRATCH has LEN bytes. */
static void
rewrite(const char *text, size_t len, char *scratch, struct buf *out)
{
	const char *end = text + len;
	const char *next;

	for (const char *at = text; at < end; at = next) {
		if (*at != '"') {
			next = memchr(at, '"', (size_t)(end - at));
			next = next == NULL ? end : next;
			buf_add(out, at, (size_t)(next - at));
			continue;
		}
		next = string_end(at, end);
		if (skip_blank(next, end) == end || *skip_blank(next, end) != ':') {
			buf_add(out, at, (size_t)(next - at));
		} else {
			struct json_raw key = { at, (size_t)(next - at) };
			struct json_writer w;

			(void)json_raw_string(key, scratch, len);
			jw_init(&w, out);
			jw_string(&w, NULL, scratch);
		}
	}
}

/* Of a text that passed the gate, but for its keys. */
static enum err
plain_keys(const char *text, size_t len, char **out, char why[JSON_WHY_SIZE])
{
	struct json *tree;
	struct buf b;
	char *scratch;
	enum err e;

	/* The tree knows which keys are equal. */
	if ((e = json_parse(text, len, &tree, why)) != ERR_OK)
		return e;
	json_free(tree);
	if ((scratch = malloc(len)) == NULL)
		return ERR_SYSTEM;
	buf_init(&b, len * strlen("\\u007f"));
	rewrite(text, len, scratch, &b);
	free(scratch);
	if (b.failed) {
		buf_fini(&b);
		return ERR_SYSTEM;
	}
	*out = b.data;
	return ERR_OK;
}

enum err
json_raw_parse(
    const char *text, size_t len, struct json_raw *root, char **rewritten, char why[JSON_WHY_SIZE])
{
	bool plain;
	enum err e;

	*rewritten = NULL;
	if ((e = json_gate(text, len, &plain, why)) != ERR_OK)
		return e;
	*root = (struct json_raw){ text, len };
	if (plain)
		return ERR_OK;
	if ((e = plain_keys(text, len, rewritten, why)) == ERR_OK)
		*root = (struct json_raw){ *rewritten, strlen(*rewritten) };
	return e;
}
