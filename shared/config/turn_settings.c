#include "config/turn_settings.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

/* Labels of letters, digits and hyphens (RFC 952, RFC 1123 2.1), the last not a number. */
static bool
name_ok(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const char *label = name;

	for (;;) {
		size_t len = strcspn(label, ".");

		if (len == 0 || len > 63 || strspn(label, allowed) != len || label[0] == '-' ||
		    label[len - 1] == '-')
			return false;
		if (label[len] == '\0')
			return strspn(label, "0123456789") != len;
		label += len + 1;
	}
}

static bool
host_ok(const char *host, size_t len)
{
	char text[TURN_HOST_MAX + 1];
	unsigned char address[sizeof(struct in6_addr)];
	bool literal = len > 2 && host[0] == '[' && host[len - 1] == ']';

	if (len > TURN_HOST_MAX)
		return false;
	if (literal) {
		host++;
		len -= 2;
	}
	memcpy(text, host, len);
	text[len] = '\0';
	if (literal)
		return inet_pton(AF_INET6, text, address) == 1;
	return name_ok(text) || inet_pton(AF_INET, text, address) == 1;
}

/* What stands behind the scheme: a host, a port or none, and where RELAYS a transport or none. */
static bool
server_ok(const char *s, bool relays)
{
	size_t len = strcspn(s, s[0] == '[' ? "]" : ":?");
	int64_t port;

	len += s[len] == ']' ? 1 : 0;
	if (!host_ok(s, len))
		return false;
	s += len;
	if (*s == ':') {
		len = strcspn(++s, "?");
		if (!parse_int(s, len, 1, 65535, &port))
			return false;
		s += len;
	}
	return *s == '\0' ||
	       (relays && (strcmp(s, "?transport=udp") == 0 || strcmp(s, "?transport=tcp") == 0));
}

static bool
read_url(const char *text, size_t len, struct turn_url *out)
{
	static const struct {
		const char *name;
		bool relays;
	} schemes[] = { { "stun:", false }, { "stuns:", false }, { "turn:", true },
		{ "turns:", true } };

	if (len >= sizeof(out->text))
		return false;
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		size_t n = strlen(schemes[i].name);

		if (strncmp(out->text, schemes[i].name, n) != 0)
			continue;
		out->relays = schemes[i].relays;
		return server_ok(out->text + n, out->relays);
	}
	return false;
}

static bool
read_secret(const char *text, size_t len, struct turn_secret *out)
{
	if (len < TURN_SECRET_BYTES_MIN || len > TURN_SECRET_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	}
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	out->len = len;
	return true;
}

/* The length of the part of a list that AT points at; *NEXT is set to the part behind it, or to
 * NULL. */
static size_t
part_len(const char *at, const char **next)
{
	size_t len = strcspn(at, ",");

	*next = at[len] == ',' ? at + len + 1 : NULL;
	return len;
}

enum err
turn_urls_read(struct turn_settings *t, const char *text)
{
	const char *next;

	for (const char *at = text[0] == '\0' ? NULL : text; at != NULL; at = next) {
		size_t len = part_len(at, &next);

		if (t->url_count == TURN_URLS_MAX || !read_url(at, len, &t->urls[t->url_count]))
			return ERR_INVALID;
		t->url_count++;
	}
	return ERR_OK;
}

enum err
turn_secrets_read(struct turn_settings *t, const char *text)
{
	const char *next;

	for (const char *at = text[0] == '\0' ? NULL : text; at != NULL; at = next) {
		size_t len = part_len(at, &next);

		if (t->secret_count == TURN_SECRETS_MAX ||
		    !read_secret(at, len, &t->secrets[t->secret_count]))
			return ERR_INVALID;
		t->secret_count++;
	}
	return ERR_OK;
}

bool
turn_settings_relay(const struct turn_settings *t)
{
	for (unsigned i = 0; i < t->url_count; i++) {
		if (t->urls[i].relays)
			return true;
	}
	return false;
}
