/* The worker processes: single-threaded, so that a crash takes one request with it and the code
 * stays plain. */
#pragma once

#include <signal.h>

enum { WORKERS_MAX = 64 };

/* What a worker does; it ends when *STOP is set. */
typedef void worker_fn(void *context, int fd, const volatile sig_atomic_t *stop);

struct pool {
	int fd;	       /* the listening socket that its workers share */
	unsigned size; /* how many */
};

/* Tells the service manager that it serves, runs RUN(CONTEXT, fd, stop) in the workers of COUNT
 * POOLS, starts another for each that dies, and returns when SIGTERM or SIGINT has come and all
 * have ended: those that do not within STOP_MS are killed. */
void pools_run(const struct pool *pools, unsigned count, worker_fn *run, void *context);
