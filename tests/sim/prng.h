/* Chance that can be had again: splitmix64. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct prng {
	uint64_t state;
};

static inline uint64_t
prng_next(struct prng *p)
{
	uint64_t z = (p->state += UINT64_C(0x9e3779b97f4a7c15));

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
