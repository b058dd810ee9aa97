#include "close_frame.h"

#include "base/str.h"

enum { CODE_BYTES = 2 }; /* ahead of the reason */

/* May CODE be sent (RFC 6455 7.4)? */
static bool
is_sendable(int code)
{
	return (code >= 1000 && code <= 1011 && (code < 1004 || code > 1006)) ||
	       (code >= 3000 && code <= 4999);
}

enum close_code
close_frame_check(const void *payload, size_t len, int *code)
{
	const unsigned char *bytes = payload;

	*code = CLOSED_WITHOUT_CODE;
	if (len == 0)
		return CLOSE_NONE;
	if (len < CODE_BYTES)
		return CLOSE_PROTOCOL;
	*code = bytes[0] << 8 | bytes[1];
	if (!is_sendable(*code))
		return CLOSE_PROTOCOL;
	return utf8_valid((const char *)bytes + CODE_BYTES, len - CODE_BYTES) ? CLOSE_NONE
									      : CLOSE_INVALID_TEXT;
}

bool
close_sends_rest(enum close_code code)
{
	return code != CLOSE_SLOW_READER && code != CLOSE_INTERNAL && code != CLOSE_REVOKED &&
	       code != CLOSE_TOKEN_EXPIRED;
}
