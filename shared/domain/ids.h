/* Ids that the compiler keeps apart. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct user_id {
	int64_t v; /* 1 to 2^53 - 1; 0: nobody */
};

struct conn_id {
	uint64_t v; /* a WebSocket connection; never used twice by one relay process; 0: none */
};

static inline bool
user_same(struct user_id a, struct user_id b)
{
	return a.v == b.v;
}

static inline bool
conn_same(struct conn_id a, struct conn_id b)
{
	return a.v == b.v;
}
