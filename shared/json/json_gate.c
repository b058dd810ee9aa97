/* The strict pass in front of cJSON: a recursive-descent reader of RFC 8259's grammar that keeps
 * nothing but the keys of the objects that it stands in. */
#include "json/json_gate.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct gate {
	const char *text;
	size_t len;
	size_t at;
	const char *wrong; /* the first fault */
	bool plain_keys;
};

/* The keys of one object as they stand in the text, quotes and all. */
struct keys {
	struct json_raw list[JSON_KEYS_COMPARED];
	size_t count;
};

static bool gate_value(struct gate *g, unsigned depth);

static bool
refuse(struct gate *g, const char *wrong)
{
	if (g->wrong == NULL)
		g->wrong = wrong;
	return false;
}

/* The byte at hand, or -1 at the end. */
static int
peek(const struct gate *g)
{
	return g->at < g->len ? (unsigned char)g->text[g->at] : -1;
}

static bool
take(struct gate *g, char c)
{
	if (peek(g) != c)
		return false;
	g->at++;
	return true;
}

static void
skip_blank(struct gate *g)
{
	int c;

	while ((c = peek(g)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		g->at++;
}

static bool
gate_word(struct gate *g, const char *word)
{
	size_t n = strlen(word);

	if (g->len - g->at < n || memcmp(g->text + g->at, word, n) != 0)
		return refuse(g, "not a value");
	g->at += n;
	return true;
}

static bool
digits(struct gate *g)
{
	size_t from = g->at;

	while (peek(g) >= '0' && peek(g) <= '9')
		g->at++;
	return g->at > from;
}

/* Of a number as RFC 8259 has it, of fewer than JSON_NUMBER_SIZE bytes. */
static bool
is_finite(const char *number, size_t n)
{
	char copy[JSON_NUMBER_SIZE];

	if (n <= DBL_MAX_10_EXP && memchr(number, 'e', n) == NULL && memchr(number, 'E', n) == NULL)
		return true;
	memcpy(copy, number, n);
	copy[n] = '\0';
	return isfinite(strtod(copy, NULL));
}

static bool
gate_number(struct gate *g)
{
	size_t from = g->at;

	(void)take(g, '-');
	if (!take(g, '0') && !digits(g))
		return refuse(g, "not a number");
	if (take(g, '.') && !digits(g))
		return refuse(g, "a number without digits after its point");
	if (take(g, 'e') || take(g, 'E')) {
		if (!take(g, '+'))
			(void)take(g, '-');
		if (!digits(g))
			return refuse(g, "a number without digits in its exponent");
	}
	if (g->at - from >= JSON_NUMBER_SIZE)
		return refuse(g, "a number of too many digits");
	return is_finite(g->text + from, g->at - from) ||
	       refuse(g, "a number beyond what a double holds");
}

/* Four hexadecimal digits after "\u"; -1 where they are not. */
static int
hex4(struct gate *g)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		int c = peek(g);

		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + (c - 'A' + 10);
		else
			return -1;
		g->at++;
	}
	return v;
}

static bool
gate_escape(struct gate *g)
{
	int c = peek(g);
	int unit;

	if (c < 0 || strchr("\"\\/bfnrtu", c) == NULL || c == '\0')
		return refuse(g, "an unknown escape");
	g->at++;
	if (c != 'u')
		return true;
	if ((unit = hex4(g)) < 0)
		return refuse(g, "\\u without four hexadecimal digits");
	if (unit == 0)
		return refuse(g, "\\u0000 is not taken");
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return refuse(g, "a lone surrogate");
	if (unit < 0xd800 || unit > 0xdbff)
		return true;
	if (!take(g, '\\') || !take(g, 'u') || (unit = hex4(g)) < 0xdc00 || unit > 0xdfff)
		return refuse(g, "a lone surrogate");
	return true;
}

static bool
gate_string(struct gate *g)
{
	uint32_t code_point;
	size_t n;
	int c;

	if (!take(g, '"'))
		return refuse(g, "not a string");
	for (;;) {
		g->at += plain_run(g->text + g->at, g->len - g->at);
		if ((c = peek(g)) == '"')
			break;
		if (c < 0)
			return refuse(g, "a string without its end");
		if (c < 0x20)
			return refuse(g, "a raw control character in a string");
		if (c == '\\') {
			g->at++;
			if (!gate_escape(g))
				return false;
		} else if (c < 0x80) {
			g->at++;
		} else {
			if ((n = utf8_decode(g->text + g->at, g->len - g->at, &code_point)) == 0)
				return refuse(g, "invalid UTF-8");
			g->at += n;
		}
	}
	g->at++;
	return true;
}

/* The key KEY is the next of its object: is it none of those before? */
static bool
gate_key(struct gate *g, struct keys *keys, struct json_raw key)
{
	if (keys->count == JSON_KEYS_COMPARED || memchr(key.at, '\\', key.len) != NULL) {
		g->plain_keys = false;
		return true;
	}
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->list[i].len == key.len && memcmp(keys->list[i].at, key.at, key.len) == 0)
			return refuse(g, "a key stands twice in one object");
	}
	keys->list[keys->count++] = key;
	return true;
}

static bool
gate_member(struct gate *g, struct keys *keys, unsigned depth)
{
	size_t from = g->at;

	if (!gate_string(g) ||
	    !gate_key(g, keys, (struct json_raw){ g->text + from, g->at - from }))
		return false;
	skip_blank(g);
	if (!take(g, ':'))
		return refuse(g, "a key without its colon");
	return gate_value(g, depth);
}

/* What stands between the brackets: members of an object (CLOSE is '}') or values of an array
 * (']'). */
static bool
gate_list(struct gate *g, char close, unsigned depth)
{
	struct keys keys;

	keys.count = 0;
	if (depth > JSON_DEPTH_MAX)
		return refuse(g, "nested too deeply");
	g->at++;
	skip_blank(g);
	if (take(g, close))
		return true;
	for (;;) {
		skip_blank(g);
		if (close == '}' ? !gate_member(g, &keys, depth) : !gate_value(g, depth))
			return false;
		skip_blank(g);
		if (take(g, close))
			return true;
		if (!take(g, ','))
			return refuse(g, "a comma or the closing bracket is missing");
	}
}

/* DEPTH: how many lists stand around this value. */
static bool
gate_value(struct gate *g, unsigned depth)
{
	skip_blank(g);
	switch (peek(g)) {
	case '{':
		return gate_list(g, '}', depth + 1);
	case '[':
		return gate_list(g, ']', depth + 1);
	case '"':
		return gate_string(g);
	case 't':
		return gate_word(g, "true");
	case 'f':
		return gate_word(g, "false");
	case 'n':
		return gate_word(g, "null");
	case -1:
		return refuse(g, "a value is missing");
	default:
		return gate_number(g);
	}
}

enum err
json_gate(const char *text, size_t len, bool *plain_keys, char why[JSON_WHY_SIZE])
{
	struct gate g = { .text = text, .len = len, .plain_keys = true };
	bool ok = gate_value(&g, 0);

	if (ok) {
		skip_blank(&g);
		ok = g.at == len || refuse(&g, "text after the value");
	}
	if (!ok)
		snprintf(why, JSON_WHY_SIZE, "byte %zu: %s", g.at, g.wrong);
	*plain_keys = g.plain_keys;
	return ok ? ERR_OK : ERR_INVALID;
}
