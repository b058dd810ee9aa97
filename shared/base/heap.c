#include "base/heap.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/proc.h"

enum {
	GROWN = 4 << 20, /* bytes: a trim is some milliseconds of work */
	MOVED = 1 << 20, /* in a second: the burst is not over, and would take it all again */
};

static int64_t
in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return (int64_t)(m.uordblks + m.hblkhd);
}

bool
heap_tick(struct heap *h)
{
	int64_t now = proc_memory();
	bool calm = llabs(now - h->last) < MOVED;
	int64_t spare;

	h->last = now;
	h->calm = calm ? h->calm + 1 : 0;
	if (h->calm < HEAP_CALM_S)
		return false;
	h->calm = 0;
	spare = now - in_use();
	if (spare < h->least)
		h->least = spare;
	if (spare < h->least + GROWN)
		return false;
	(void)malloc_trim(0);
	h->last = proc_memory();
	h->least = h->last - in_use();
	return true;
}
