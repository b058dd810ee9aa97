/* What clients of a call are told of STUN and TURN servers, and what telemed shares with the
 * latter: TELEMED_TURN_URLS and TELEMED_TURN_SECRET, read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
	TURN_URLS_MAX = 8,
	TURN_HOST_MAX = 253, /* bytes of a name's text (RFC 1035 2.3.4) */
	TURN_URL_SIZE = sizeof("turns:") - 1 + TURN_HOST_MAX + sizeof(":65535?transport=udp"),
	TURN_SECRETS_MAX = 2, /* the one, or the old and the new one during a rotation */
	TURN_SECRET_BYTES_MIN = 16,
	TURN_SECRET_BYTES_MAX = 256,
};

struct turn_url {
	char text[TURN_URL_SIZE];
	bool relays; /* a TURN server's, which wants credentials; false: a STUN server's */
};

struct turn_secret {
	char text[TURN_SECRET_BYTES_MAX + 1];
	size_t len;
};

struct turn_settings {
	unsigned url_count;
	struct turn_url urls[TURN_URLS_MAX]; /* in the order in which they were given */
	unsigned secret_count;
	struct turn_secret secrets[TURN_SECRETS_MAX];
};

/* Reads TEXT, the URIs of at most TURN_URLS_MAX servers separated by commas, into T, which has none
 * yet; "": none. Taken are stun: and stuns: (RFC 7064), turn: and turns: (RFC 7065) in lower case,
 * with a name, an IPv4 address or an IPv6 address in brackets, a port or none, and for TURN
 * ?transport=udp, ?transport=tcp or neither. ERR_INVALID: TEXT is something else. */
MUST_USE enum err turn_urls_read(struct turn_settings *t, const char *text);

/* Reads TEXT, one secret or two separated by a comma, into T, which has none yet; "": none. Each is
 * TURN_SECRET_BYTES_MIN to TURN_SECRET_BYTES_MAX printable ASCII characters without blanks.
 * ERR_INVALID: TEXT is something else. */
MUST_USE enum err turn_secrets_read(struct turn_settings *t, const char *text);

/* Is one of the servers a TURN server? */
bool turn_settings_relay(const struct turn_settings *t);
