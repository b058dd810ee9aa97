/* Chance that can be had again: splitmix64, or what somebody has written down. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
	uint64_t state;
	const unsigned char *written; /* where not NULL, it decides, a byte each time */
	size_t left;		      /* of these; then each time the most there is, so no chance */
};

static inline uint64_t
prng_next(struct prng *p)
{
	uint64_t z;

	if (p->written != NULL && p->left == 0)
		return UINT64_MAX;
	if (p->written != NULL) {
		p->left--;
		return (uint64_t)*p->written++ << 56;
	}
	z = (p->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 to N - 1. */
static inline unsigned
prng_below(struct prng *p, unsigned n)
{
	return (unsigned)((prng_next(p) >> 32) * n >> 32);
}

static inline bool
prng_chance(struct prng *p, unsigned percent)
{
	return prng_below(p, 100) < percent;
}
