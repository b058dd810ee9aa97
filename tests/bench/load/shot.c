/* Frames of a client (RFC 6455 5.2), and chats that say who sent them, when, and as which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define TEXT_BEGINS "\"message\":\""
#define FILLER	    'x' /* what a text is made of behind its mark */

size_t
frame_make(
    unsigned char *out, unsigned opcode, const void *payload, size_t len, const unsigned char *mask)
{
	const unsigned char *bytes = payload;
	size_t n = 0;

	out[n++] = (unsigned char)(0x80 | opcode);
	if (len < 126) {
		out[n++] = (unsigned char)(0x80 | len);
	} else if (len < 1 << 16) {
		out[n++] = 0x80 | 126;
		out[n++] = (unsigned char)(len >> 8);
		out[n++] = (unsigned char)len;
	} else {
		die("a message of %zu bytes", len);
	}
	memcpy(out + n, mask, 4);
	n += 4;
	for (size_t i = 0; i < len; i++)
		out[n + i] = bytes[i] ^ mask[i % 4];
	return n + len;
}

void
shot_init(struct shot *s, unsigned index, const char *to, unsigned text)
{
	size_t size = text + 200;
	char *json = need(malloc(size));
	uint32_t mask = (index + 1) * 2654435761U; /* Knuth's: another for everyone, never zero */
	size_t at;
	int n;

	n = to == NULL
		? snprintf(json, size, "{\"type\":\"chat\",\"data\":{" TEXT_BEGINS)
		: snprintf(json, size, "{\"type\":\"chat\",\"to\":%s,\"data\":{" TEXT_BEGINS, to);
	at = (size_t)n;
	memset(json + at, FILLER, text);
	n = snprintf(json + at + text, size - at - text, "\"}}");
	memcpy(s->mask, &mask, sizeof(s->mask));
	s->bytes = need(malloc(size));
	s->len = frame_make(s->bytes, 1, json, at + text + (size_t)n, s->mask);
	s->mark = s->len - (text + (size_t)n);
	free(json);
}

void
shot_fini(struct shot *s)
{
	free(s->bytes);
}

static void
write_digits(struct shot *s, size_t at, unsigned digits, uint64_t value)
{
	static const char hex[] = "0123456789abcdef";
	/* The payload's first byte is masked with the mask's first. */
	size_t head = s->len < 132 ? 6 : 8;

	for (unsigned i = digits; i-- > 0; value >>= 4) {
		size_t p = s->mark + at + i;

		s->bytes[p] = (unsigned char)hex[value & 15] ^ s->mask[(p - head) % 4];
	}
}

void
shot_mark(struct shot *s, unsigned sender, uint32_t sequence, int64_t ns)
{
	write_digits(s, 0, 8, sender);
	write_digits(s, 8, 8, sequence);
	write_digits(s, 16, 16, (uint64_t)ns);
}

static bool
read_digits(const char *at, unsigned digits, uint64_t *out)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < digits; i++) {
		char c = at[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (unsigned)(c - 'a' + 10);
		else
			return false;
	}
	*out = value;
	return true;
}

/* LEN times the same letter, each held against the one before it. */
static bool
is_filler(const char *at, size_t len)
{
	return len == 0 || (at[0] == FILLER && memcmp(at, at + 1, len - 1) == 0);
}

bool
mark_read(const char *message, size_t len, unsigned text, struct mark *out)
{
	const char *at = memmem(message, len, TEXT_BEGINS, strlen(TEXT_BEGINS));
	uint64_t sender;
	uint64_t sequence;
	uint64_t ns;

	if (at == NULL)
		return false;
	at += strlen(TEXT_BEGINS);
	if (len - (size_t)(at - message) <= text || at[text] != '"' ||
	    !is_filler(at + MARK_DIGITS, text - MARK_DIGITS))
		return false;
	if (!read_digits(at, 8, &sender) || !read_digits(at + 8, 8, &sequence) ||
	    !read_digits(at + 16, 16, &ns))
		return false;
	*out = (struct mark){ (unsigned)sender, (uint32_t)sequence, (int64_t)ns };
	return true;
}
