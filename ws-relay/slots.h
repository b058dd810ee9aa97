/* What stands under numbers that are never used twice: a table of fixed size in which a slot that
 * is used again has another number. Taking, finding and giving back cost the same however much is
 * in it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "domain/ids.h"

struct slots {
	void **list;	       /* by the low half of the id */
	uint32_t *generations; /* the high half of the last id of each */
	uint32_t *free_list;
	unsigned free_count;
	unsigned max;
};

/* An empty table with room for MAX. False: out of memory. S goes to slots_fini() in any case. */
bool slots_init(struct slots *s, unsigned max);
void slots_fini(struct slots *s); /* what is in it stays the caller's */

/* Puts WHAT, which is not NULL, under the id that it returns; an id of 0: the table is full. */
struct conn_id slots_put(struct slots *s, void *what);

/* What was put under ID; NULL: it is gone. */
void *slots_find(const struct slots *s, struct conn_id id);

/* Takes out what is under ID; 0 is fine. */
void slots_clear(struct slots *s, struct conn_id id);
