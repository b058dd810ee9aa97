/* What names one request in all that tells of it: lighttpd's log, fcgi-api's, the relay's, the
 * answer's header X-Request-Id, and a problem's instance. */
#pragma once

#include <stdbool.h>

enum {
	REQUEST_ID_MIN = 16,
	REQUEST_ID_MAX = 36, /* a UUID (RFC 9562) */
	REQUEST_ID_SIZE = REQUEST_ID_MAX + 1,
};

/* Is TEXT 16 to 36 hexadecimal digits and dashes? Nothing that must not stand in a log looks so:
 * no word, no token, no address. */
bool request_id_ok(const char *text);

/* Sets OUT to OFFERED, what the request has in its header X-Request-Id (""; NULL: none), where that
 * is an id, else to a new one: 16 hexadecimal digits at random. */
void request_id_take(const char *offered, char out[REQUEST_ID_SIZE]);
