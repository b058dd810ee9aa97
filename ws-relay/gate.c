#include "gate.h"

#include <stdio.h>
#include <string.h>

#include "json/json.h"

/* The request head, taken apart; the parts are NUL-terminated copies in TEXT. */
struct head {
	char text[GATE_HEAD_MAX + 1];
	char *method;
	char *path;
	char *query; /* NULL: none */
	const char *host;
	const char *upgrade;
	const char *connection;
	const char *key;
	const char *version;
	const char *origin;
	unsigned origins;
	const char *authorization;
	const char *protocols;
	const char *scheme;  /* X-Forwarded-Proto */
	char *forwarded;     /* X-Forwarded-For */
	const char *request; /* X-Request-Id */
	bool repeated;	     /* a header that may stand once stands twice */
	bool is_old;	     /* HTTP/1.0 */
};

static struct verdict
verdict(int status, const char *code, const char *detail)
{
	return (struct verdict){ status, code, detail };
}

/* Cuts S at the first DELIMITER and returns what stands after it; NULL: there is none. */
static char *
cut(char *s, const char *delimiter)
{
	char *at = strstr(s, delimiter);

	if (at == NULL)
		return NULL;
	*at = '\0';
	return at + strlen(delimiter);
}

static bool
is_token_text(const char *s)
{
	return s[0] != '\0' &&
	       strspn(s,
		   "!#$%&'*+-.^_`|~"
		   "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == strlen(s);
}

static void
keep(struct head *h, const char **slot, const char *value)
{
	if (*slot != NULL)
		h->repeated = true;
	*slot = value;
}

static void
read_header(struct head *h, const char *name, char *value)
{
	const struct {
		const char *name;
		const char **slot;
	} wanted[] = {
		{ "Host", &h->host },
		{ "Upgrade", &h->upgrade },
		{ "Connection", &h->connection },
		{ "Sec-WebSocket-Key", &h->key },
		{ "Sec-WebSocket-Version", &h->version },
		{ "Authorization", &h->authorization },
		{ "Sec-WebSocket-Protocol", &h->protocols },
	};

	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		if (strcasecmp(name, wanted[i].name) == 0)
			keep(h, wanted[i].slot, value);
	}
	if (strcasecmp(name, "Origin") == 0) {
		h->origin = value;
		h->origins++;
	}
	/* Ours, from lighttpd, is the last one. */
	if (strcasecmp(name, "X-Forwarded-Proto") == 0)
		h->scheme = value;
	if (strcasecmp(name, "X-Forwarded-For") == 0)
		h->forwarded = value;
	if (strcasecmp(name, "X-Request-Id") == 0)
		h->request = value;
}

/* One "Name: value" line (RFC 9112 5). */
static bool
parse_header(struct head *h, char *line)
{
	char *value = cut(line, ":");
	size_t len;

	if (value == NULL || !is_token_text(line))
		return false;
	value += strspn(value, " \t");
	len = strlen(value);
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		value[--len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)value[i] < 0x20 && value[i] != '\t')
			return false;
	}
	read_header(h, line, value);
	return true;
}

/* "METHOD target HTTP/1.1" (RFC 9112 3). */
static bool
parse_request_line(struct head *h, char *line)
{
	char *version;

	h->method = line;
	if ((h->path = cut(line, " ")) == NULL || (version = cut(h->path, " ")) == NULL)
		return false;
	h->query = cut(h->path, "?");
	h->is_old = strcmp(version, "HTTP/1.0") == 0;
	return is_token_text(h->method) && h->path[0] == '/' &&
	       (strcmp(version, "HTTP/1.1") == 0 || h->is_old);
}

static bool
parse_head(const char *head, size_t len, struct head *h)
{
	char *line;
	char *next;

	*h = (struct head){ .method = NULL };
	if (len > GATE_HEAD_MAX || memchr(head, '\0', len) != NULL)
		return false;
	memcpy(h->text, head, len);
	h->text[len] = '\0';
	line = h->text;
	if ((next = cut(line, "\r\n")) == NULL || !parse_request_line(h, line))
		return false;
	for (line = next; (next = cut(line, "\r\n")) != NULL && line[0] != '\0'; line = next) {
		if (!parse_header(h, line))
			return false;
	}
	return true;
}

/* The next item of the comma-separated list at *LIST, which moves on; *LEN 0: there is none. */
static const char *
next_item(const char **list, size_t *len)
{
	const char *item = *list == NULL ? "" : *list;

	item += strspn(item, " \t,");
	*len = strcspn(item, " \t,");
	*list = item + *len;
	return item;
}

/* Does the LIST hold ITEM, without case? */
static bool
list_has(const char *list, const char *item)
{
	const char *at;
	size_t len;

	while (at = next_item(&list, &len), len > 0) {
		if (len == strlen(item) && strncasecmp(at, item, len) == 0)
			return true;
	}
	return false;
}

/* RFC 6455 4.1: 16 bytes, so 22 characters of base64, of which the last carries four bits, and
 * "==". */
static bool
key_ok(const char *key)
{
	static const char base64[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return key != NULL && strlen(key) == WEBSOCKET_KEY_LEN && strspn(key, base64) == 22 &&
	       strchr("AQgw", key[21]) != NULL && strcmp(key + 22, "==") == 0;
}

static struct verdict
check_upgrade(const struct head *h)
{
	if (strcmp(h->path, "/ws") != 0)
		return verdict(404, "not_found", "There is nothing here");
	if (strcmp(h->method, "GET") != 0)
		return verdict(405, "method_not_allowed", "Open a WebSocket with GET");
	if (!list_has(h->upgrade, "websocket") || !list_has(h->connection, "upgrade"))
		return verdict(426, "upgrade_required", "This is a WebSocket");
	if (h->version == NULL || strcmp(h->version, "13") != 0)
		return verdict(426, "upgrade_required", "Sec-WebSocket-Version must be 13");
	if (h->repeated || h->is_old || h->host == NULL || !key_ok(h->key))
		return verdict(400, "invalid_request", "The WebSocket handshake is malformed");
	return verdict(101, NULL, NULL);
}

static bool
origin_ok(const struct config *config, const struct head *h)
{
	if (h->origins == 0)
		return true;
	return h->origins == 1 && config_origin_allowed(config, h->origin,
				      h->scheme == NULL ? "http" : h->scheme, h->host);
}

static int
hex_value(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* Undoes percent-encoding in place (RFC 3986 2.1). False: it is broken, or hides a NUL. */
static bool
percent_decode(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		int high;
		int low;

		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		high = hex_value(s[1]);
		low = high < 0 ? -1 : hex_value(s[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(high * 16 + low);
		s += 2;
	}
	*to = '\0';
	return true;
}

/* The token of the query, of the header, or of the subprotocol list. *COUNT: how many there were.
 */
static const char *
find_token(struct head *h, unsigned *count)
{
	static const char bearer[] = "Bearer ";
	static char in_list[GATE_HEAD_MAX + 1];
	const char *protocols = h->protocols;
	const char *found = NULL;
	const char *at;
	size_t len;
	char *next;

	*count = 0;
	for (char *part = h->query; part != NULL; part = next) {
		next = cut(part, "&");
		if (strncmp(part, "token=", 6) != 0)
			continue;
		found = percent_decode(part) ? part + 6 : "";
		++*count;
	}
	if (h->authorization != NULL &&
	    strncasecmp(h->authorization, bearer, strlen(bearer)) == 0) {
		found = h->authorization + strlen(bearer);
		found += strspn(found, " ");
		++*count;
	}
	while (at = next_item(&protocols, &len), len > 0) {
		if (len <= 7 || strncasecmp(at, "bearer.", 7) != 0)
			continue;
		memcpy(in_list, at + 7, len - 7);
		in_list[len - 7] = '\0';
		found = in_list;
		++*count;
	}
	return found;
}

/* Takes the last address off the comma-separated LIST. */
static struct address
take_last(char *list)
{
	char *comma = strrchr(list, ',');
	char *text = comma == NULL ? list : comma + 1;
	struct address a;

	text += strspn(text, " \t");
	(void)address_read(text, &a);
	*(comma == NULL ? list : comma) = '\0';
	return a;
}

/* What lighttpd has appended is its own peer's address. Of what stands before it the client may
 * have written all; where that peer is the proxy that is trusted, the next is the proxy's word. */
static struct address
client_address(const struct config *config, char *forwarded)
{
	struct address a = { { 0 } };
	struct address proxy;
	struct address before;

	if (forwarded == NULL)
		return a;
	a = take_last(forwarded);
	if (!address_read(config->trusted_proxy, &proxy) || memcmp(&a, &proxy, sizeof(a)) != 0)
		return a;
	before = take_last(forwarded);
	return address_known(&before) ? before : a;
}

static struct verdict
check_token(const struct token_keys *keys, struct head *h, int64_t now_s, struct claims *out)
{
	unsigned count;
	const char *token = find_token(h, &count);
	enum err e;

	/* What lighttpd makes of two of them. */
	if (h->authorization != NULL && strchr(h->authorization, ',') != NULL)
		return verdict(400, "invalid_request", "Send one Authorization header");
	if (count == 0)
		return verdict(401, "unauthenticated", "A token is needed");
	if (count > 1)
		return verdict(400, "invalid_request", "Hand the token over once");
	if (strlen(token) > GATE_TOKEN_MAX)
		return verdict(431, "too_large", "The token is too long");
	e = token_verify(keys, token, strlen(token), now_s, out);
	if (e == ERR_DENIED)
		return verdict(401, "invalid_token", "The token is malformed or expired");
	if (e != ERR_OK)
		return verdict(503, "unavailable", "Try again");
	return verdict(101, NULL, NULL);
}

struct verdict
gate_check(const struct config *config, const struct token_keys *keys, const char *head, size_t len,
    int64_t now_s, struct admission *out)
{
	static struct head h; /* large, and of the loop's thread alone */
	struct verdict v;

	out->request[0] = '\0';
	if (!parse_head(head, len, &h))
		return verdict(400, "invalid_request", "The request is malformed");
	if (h.request != NULL && request_id_ok(h.request))
		memcpy(out->request, h.request, strlen(h.request) + 1);
	if (strcmp(h.path, "/livez") == 0 && strcmp(h.method, "GET") == 0)
		return verdict(200, NULL, NULL);
	if ((v = check_upgrade(&h)).status != 101)
		return v;
	if (!origin_ok(config, &h))
		return verdict(403, "forbidden", "This origin is not allowed");
	if ((v = check_token(keys, &h, now_s, &out->claims)).status != 101)
		return v;
	memcpy(out->key, h.key, sizeof(out->key));
	out->address = client_address(config, h.forwarded);
	out->v1 = list_has(h.protocols, "telemed.v1");
	return v;
}

static const char *
reason_phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 426:
		return "Upgrade Required";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return "Service Unavailable";
	}
}

static const char *
extra_headers(struct verdict v)
{
	switch (v.status) {
	case 401:
		return strcmp(v.code, "unauthenticated") == 0
			   ? "WWW-Authenticate: Bearer realm=\"telemed\"\r\n"
			   : "WWW-Authenticate: Bearer realm=\"telemed\", "
			     "error=\"invalid_token\"\r\n";
	case 405:
		return "Allow: GET\r\n";
	case 426:
		return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
	case 503:
		return "Retry-After: 2\r\n";
	default:
		return "";
	}
}

/* RFC 9457, as fcgi-api writes it. */
static void
write_problem(struct verdict v, const char *request, struct buf *out)
{
	struct json_writer w;

	jw_init(&w, out);
	jw_object(&w, NULL);
	jw_string(&w, "type", "about:blank");
	jw_string(&w, "title", reason_phrase(v.status));
	jw_int(&w, "status", v.status);
	jw_string(&w, "detail", v.detail);
	jw_string(&w, "code", v.code);
	jw_string(&w, "instance", request);
	jw_object_end(&w);
}

void
gate_answer(struct verdict v, const char *request, struct buf *out)
{
	struct buf body;

	buf_init(&body, 1024);
	if (v.status == 200)
		buf_adds(&body, "{\"status\":\"ok\"}");
	else
		write_problem(v, request, &body);
	buf_addf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: application/%sjson\r\nContent-Length: %zu\r\n"
	    "X-Request-Id: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
	    "%sConnection: %s\r\n\r\n",
	    v.status, reason_phrase(v.status), v.status == 200 ? "" : "problem+", body.len, request,
	    extra_headers(v), v.status == 426 ? "Upgrade, close" : "close");
	if (body.data != NULL)
		buf_add(out, body.data, body.len);
	buf_fini(&body);
}
