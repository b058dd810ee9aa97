/* Memory that is free and still resident. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { HEAP_CALM_S = 3 };

/* Of zeros at first. */
struct heap {
	int64_t least; /* bytes resident and not in use, at the least so far since the last trim */
	int64_t last;  /* resident, at the last tick */
	unsigned calm; /* seconds */
};

/* Once a second. When a burst has been over for HEAP_CALM_S, gives the kernel back the pages that
 * nothing is in any more, which glibc keeps wherever a block that is in use lies above them. True:
 * it has. */
bool heap_tick(struct heap *h);
