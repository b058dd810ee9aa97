#include "allowance.h"

enum {
	BAD_WINDOW_MS = 60 * 1000,
	REFUSED_PAUSE_MS = 1000, /* who has been refused nothing for so long starts anew */
};

static int64_t
burst(int rate)
{
	return (int64_t)rate * RATE_BURST_S;
}

void
allowance_init(struct allowance *a, int rate, int64_t now_ms)
{
	*a = (struct allowance){ .left = burst(rate) * 1000, .topped_ms = now_ms };
}

enum allowed
allowance_take(struct allowance *a, int rate, unsigned cost, int64_t now_ms)
{
	if (rate == 0)
		return ALLOWED;
	a->left += (now_ms - a->topped_ms) * rate;
	a->topped_ms = now_ms;
	if (a->left > burst(rate) * 1000)
		a->left = burst(rate) * 1000;
	if (a->left >= cost * INT64_C(1000)) {
		a->left -= cost * INT64_C(1000);
		return ALLOWED;
	}
	if (now_ms - a->refused_ms > REFUSED_PAUSE_MS)
		a->refused = 0;
	a->refused_ms = now_ms;
	if (++a->refused > burst(rate))
		return FLOODING;
	return a->refused == 1 ? REFUSED_FIRST : REFUSED;
}

bool
allowance_bad(struct allowance *a, int64_t now_ms)
{
	if (a->bad == 0 || now_ms - a->bad_ms > BAD_WINDOW_MS) {
		a->bad_ms = now_ms;
		a->bad = 0;
	}
	return ++a->bad > BAD_MESSAGES_MAX;
}
