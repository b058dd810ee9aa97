/* The query of /ws, behind which the token stands: taken apart, its percent-encoding undone, and
 * judged. The input is the query; a reader of our own says what must come of it. */
#include <stdio.h>

#include "../unit/token_fixture.h"
#include "fuzz.h"
#include "gate.h"

enum { QUERY_MAX = 12000 };

struct right {
	unsigned tokens;
	char token[QUERY_MAX]; /* the last; "": one whose encoding is broken */
};

static int
hex(char c)
{
	char text[2] = { c, '\0' };

	return c != '\0' && strspn(text, "0123456789abcdefABCDEF") == 1
		   ? (int)strtoul(text, NULL, 16)
		   : -1;
}

/* RFC 3986 2.1; a NUL cannot be meant. */
static void
decode(const char *s, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c == '%') {
			bool whole = i + 2 < len && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0;

			c = whole ? hex(s[i + 1]) * 16 + hex(s[i + 2]) : 0;
			i += 2;
		}
		if (c == 0) {
			out[0] = '\0';
			return;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
}

static void
read_right(const char *query, size_t len, struct right *r)
{
	size_t from = 0;

	r->tokens = 0;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && query[i] != '&')
			continue;
		if (i - from >= 6 && memcmp(query + from, "token=", 6) == 0) {
			r->tokens++;
			decode(query + from + 6, i - from - 6, r->token);
		}
		from = i + 1;
	}
}

static int
right_status(const struct right *r)
{
	if (r->tokens == 0)
		return 401;
	if (r->tokens > 1)
		return 400;
	if (strlen(r->token) > GATE_TOKEN_MAX)
		return 431;
	return verify(r->token, strlen(r->token)) == ERR_OK ? 101 : 401;
}

/* What ends the request line, or is no part of it, is no query. */
static bool
is_query(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\0' || s[i] == ' ' || s[i] == '\r')
			return false;
	}
	return len < QUERY_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config config = { .port = 8080 };
	static struct right right;
	struct admission a;
	struct verdict v;
	struct buf head;
	char *text;

	if (!is_query((const char *)data, size))
		return 0;
	buf_init(&head, GATE_HEAD_MAX);
	buf_adds(&head, "GET /ws?");
	buf_add(&head, data, size);
	buf_adds(&head, " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
	text = fuzz_bytes(head.data, head.len);
	v = gate_check(&config, &keys, text, head.len, NOW, &a);
	read_right((const char *)data, size, &right);
	MUST(v.status == right_status(&right));
	free(text);
	buf_fini(&head);
	return 0;
}
