/* The two clocks. What is shown or signed uses the wall; what waits uses the monotonic one, which
 * no operator and no time server moves. */
#pragma once

#include <stdint.h>

/* Since 1970-01-01 UTC. Of a clock that stands before that or past 9999, the first or the last
 * moment that clock_rfc3339() can write. */
int64_t clock_wall_ms(void);
int64_t clock_monotonic_ms(void); /* since some fixed point; never goes back */
int64_t clock_monotonic_us(void); /* the same point */

enum { RFC3339_SIZE = sizeof("2026-01-01T00:00:00.000Z") };

/* Writes WALL_MS as RFC 3339 UTC with milliseconds into OUT and returns OUT. Years 1970 to 9999. */
char *clock_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE]);
