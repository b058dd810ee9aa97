/* The head of a WebSocket handshake, as it comes from a stranger: whatever it is, it gets a
 * verdict, and the verdict an answer that is HTTP. Who is let in has sent what RFC 6455 4.2.1 asks
 * for. */
#include <stdio.h>
#include <strings.h>

#include "../unit/token_fixture.h"
#include "fuzz.h"
#include "gate.h"
#include "strict.h"

/* How many headers NAME there are; the last one's value, of *LEN bytes. */
static unsigned
count_header(const char *head, size_t len, const char *name, const char **value, size_t *value_len)
{
	struct fuzz_input in = { head, len };
	size_t name_len = strlen(name);
	unsigned count = 0;
	const char *line;
	size_t n;

	(void)fuzz_line(&in, &line, &n);
	while (fuzz_line(&in, &line, &n)) {
		if (n <= name_len || line[name_len] != ':' ||
		    strncasecmp(line, name, name_len) != 0)
			continue;
		count++;
		line += name_len + 1;
		n -= name_len + 1;
		while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL)
			n--;
		while (n > 0 && strchr(" \t", *line) != NULL) {
			line++;
			n--;
		}
		*value = line;
		*value_len = n;
	}
	return count;
}

static bool
is_value(const char *value, size_t len, const char *right)
{
	return len == strlen(right) && strncmp(value, right, len) == 0;
}

/* Its own page, or the one that the settings name. */
static bool
origin_may(const char *head, size_t len, const struct config *c)
{
	const char *scheme = "http";
	const char *origin = NULL;
	const char *host = NULL;
	size_t scheme_len = 4;
	size_t host_len = 0;
	size_t n = 0;
	char own[GATE_HEAD_MAX + 64];

	if (count_header(head, len, "Origin", &origin, &n) == 0)
		return true;
	if (count_header(head, len, "Origin", &origin, &n) > 1)
		return false;
	(void)count_header(head, len, "X-Forwarded-Proto", &scheme, &scheme_len);
	(void)count_header(head, len, "Host", &host, &host_len);
	snprintf(own, sizeof(own), "%.*s://%.*s", (int)scheme_len, scheme, (int)host_len, host);
	return is_value(origin, n, own) || is_value(origin, n, c->allowed_origins);
}

/* The LEN bytes at TEXT as an address; where they are none, it is unknown. */
static struct address
read_address(const char *text, size_t len)
{
	char *copy = fuzz_string(text, len);
	struct address a;

	(void)address_read(copy, &a);
	free(copy);
	return a;
}

/* What lighttpd has appended to the last X-Forwarded-For, or what stands before it where that is
 * the proxy that is trusted, and is an address. */
static struct address
right_address(const char *head, size_t len, const struct config *c)
{
	struct address proxy = read_address(c->trusted_proxy, strlen(c->trusted_proxy));
	struct address found[2] = { { { 0 } }, { { 0 } } };
	const char *list = "";
	size_t n = 0;

	(void)count_header(head, len, "X-Forwarded-For", &list, &n);
	for (int i = 0; i < 2; i++) {
		size_t from = n;

		while (from > 0 && list[from - 1] != ',')
			from--;
		while (from < n && (list[from] == ' ' || list[from] == '\t'))
			from++;
		found[i] = read_address(list + from, n - from);
		while (from > 0 && list[from - 1] != ',')
			from--;
		n = from > 0 ? from - 1 : 0;
	}
	return memcmp(&found[0], &proxy, sizeof(proxy)) == 0 && address_known(&found[1]) ? found[1]
											 : found[0];
}

static void
check_admitted(const char *head, size_t len, const struct config *c, const struct admission *a)
{
	const char *value = NULL;
	struct address right;
	size_t n = 0;

	MUST(strncmp(head, "GET /ws ", 8) == 0 || strncmp(head, "GET /ws?", 8) == 0);
	MUST(count_header(head, len, "Host", &value, &n) == 1);
	MUST(count_header(head, len, "Upgrade", &value, &n) == 1);
	MUST(count_header(head, len, "Connection", &value, &n) == 1);
	MUST(count_header(head, len, "Sec-WebSocket-Version", &value, &n) == 1);
	MUST(is_value(value, n, "13"));
	MUST(count_header(head, len, "Sec-WebSocket-Key", &value, &n) == 1);
	MUST(is_value(value, n, a->key) && n == WEBSOCKET_KEY_LEN);
	/* It goes into a head of our own making. */
	MUST(strspn(a->key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
	     n);
	MUST(strchr("AQgw", a->key[21]) != NULL); /* the last four bits of sixteen bytes */
	MUST(origin_may(head, len, c));
	right = right_address(head, len, c);
	MUST(memcmp(&a->address, &right, sizeof(right)) == 0);
	MUST(a->claims.user.v == 7 && a->claims.role == ROLE_DOCTOR);
	MUST(!a->v1 || count_header(head, len, "Sec-WebSocket-Protocol", &value, &n) == 1);
}

/* The whole of an answer: a status line, headers, an empty line, and as much JSON as it says. */
static void
check_answer(struct verdict v)
{
	struct strict *problem;
	const char *body;
	const char *value = NULL;
	struct buf out;
	double status;
	size_t n = 0;

	buf_init(&out, 4096);
	gate_answer(v, "0123456789abcdef", &out);
	MUST(!out.failed);
	MUST(strncmp(out.data, "HTTP/1.1 ", 9) == 0 && strtol(out.data + 9, NULL, 10) == v.status);
	MUST((body = strstr(out.data, "\r\n\r\n")) != NULL);
	body += 4;
	MUST(count_header(out.data, (size_t)(body - out.data), "Content-Length", &value, &n) == 1);
	MUST(strtoul(value, NULL, 10) == out.len - (size_t)(body - out.data));
	MUST((problem = strict_read(body, strlen(body))) != NULL);
	if (v.status != 200) {
		MUST(strict_number(strict_member(problem, "status"), &status));
		MUST((int)status == v.status);
		MUST(strcmp(strict_string(strict_member(problem, "code")), v.code) == 0);
	}
	strict_free(problem);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 101, 200, 400, 401, 403, 404, 405, 426, 431 };
	static const struct config config = { .allowed_origins = "https://clinic.example",
		.trusted_proxy = "192.0.2.1" };
	const char *end = memmem(data, size, "\r\n\r\n", 4);
	struct admission a;
	struct verdict v;
	bool known = false;
	size_t len;
	char *head;

	if (end == NULL)
		return 0; /* it is still being read */
	len = (size_t)(end + 4 - (const char *)data);
	head = fuzz_bytes(data, len);
	v = gate_check(&config, &keys, head, len, NOW, &a);
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		known = known || v.status == statuses[i];
	MUST(known);
	MUST(a.request[0] == '\0' || request_id_ok(a.request)); /* it goes into a log */
	if (v.status == 101)
		check_admitted(head, len, &config, &a);
	else
		check_answer(v);
	free(head);
	return 0;
}
