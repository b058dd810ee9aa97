#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
read_ms(clockid_t which)
{
	struct timespec t = { 0 };

	(void)clock_gettime(which, &t); /* fails only for a clock that does not exist */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t
clock_monotonic_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

char *
clock_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE])
{
	time_t s = wall_ms / 1000;
	struct tm tm = { 0 };
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, RFC3339_SIZE - n, ".%03dZ", (int)(wall_ms % 1000));
	return out;
}
