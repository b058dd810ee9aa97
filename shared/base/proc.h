/* What this process takes, as the kernel says (proc(5)). */
#pragma once

#include <stdint.h>

/* The memory that is resident, in bytes; 0: nobody knows. */
int64_t proc_memory(void);

/* How many descriptors it has. It looks at each: not for a loop that has many. */
int64_t proc_descriptors(void);
