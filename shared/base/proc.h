/* What a process takes, as the kernel says (proc(5)). */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* The memory of the process PID that is resident, in bytes; 0 for PID: this one's. 0: nobody
 * knows. */
int64_t proc_memory(pid_t pid);

/* How many descriptors this process has. It looks at each: not for a loop that has many. */
int64_t proc_descriptors(void);
