#include "base/clock.h"

#include <string.h>
#include <time.h>

static int64_t
read_us(clockid_t which)
{
	struct timespec t = { 0 };

	(void)clock_gettime(which, &t); /* fails only for a clock that does not exist */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_wall_ms(void)
{
	static const int64_t last = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
	int64_t ms = read_us(CLOCK_REALTIME) / 1000;

	if (ms < 0)
		return 0;
	return ms < last ? ms : last;
}

int64_t
clock_monotonic_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_monotonic_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

/* The last DIGITS decimal digits of V. */
static void
put(char *out, int digits, int v)
{
	for (int i = digits - 1; i >= 0; i--, v /= 10)
		out[i] = (char)('0' + v % 10);
}

char *
clock_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE])
{
	time_t s = wall_ms / 1000;
	struct tm tm = { 0 };

	/* Not strftime(): every chat has one of these. */
	gmtime_r(&s, &tm);
	memcpy(out, "0000-00-00T00:00:00.000Z", RFC3339_SIZE);
	put(out, 4, tm.tm_year + 1900);
	put(out + 5, 2, tm.tm_mon + 1);
	put(out + 8, 2, tm.tm_mday);
	put(out + 11, 2, tm.tm_hour);
	put(out + 14, 2, tm.tm_min);
	put(out + 17, 2, tm.tm_sec);
	put(out + 20, 3, (int)(wall_ms % 1000));
	return out;
}
