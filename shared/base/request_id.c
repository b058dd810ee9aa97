#include "base/request_id.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

bool
request_id_ok(const char *text)
{
	size_t len = strnlen(text, REQUEST_ID_SIZE);

	return len >= REQUEST_ID_MIN && len <= REQUEST_ID_MAX &&
	       strspn(text, "0123456789abcdefABCDEF-") == len;
}

void
request_id_take(const char *offered, char out[REQUEST_ID_SIZE])
{
	uint64_t id = 0;

	if (offered != NULL && request_id_ok(offered)) {
		memcpy(out, offered, strlen(offered) + 1);
		return;
	}
	/* Without randomness, which only a broken kernel brings about: the time will do. */
	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != (ssize_t)sizeof(id))
		id = (uint64_t)clock_wall_ms();
	snprintf(out, REQUEST_ID_SIZE, "%016llx", (unsigned long long)id);
}
