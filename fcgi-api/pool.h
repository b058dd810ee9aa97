/* The worker processes: single-threaded, so that a crash takes one request with it and the code
 * stays plain. */
#pragma once

#include <stdbool.h>

enum { WORKERS_MAX = 64 };

enum worker_turn {
	WORKER_GOES_ON,	 /* a connection may have come to its socket, which does not block */
	WORKER_WINDS_UP, /* the same, and when there is none the worker is to end */
	WORKER_ENDS,	 /* whatever waits */
};

/* In a worker: waits for one of these. */
typedef enum worker_turn worker_next_fn(void);

/* What a worker does: it serves what comes to the listening socket FD as long as NEXT() says so. */
typedef void worker_fn(void *context, int fd, worker_next_fn *next);

/* SIGHUP has come. False: nothing has changed. Else the workers are to be others. */
typedef bool reload_fn(void *context);

struct pool {
	int fd;	       /* the listening socket that its workers share */
	unsigned size; /* how many */
};

/* Tells the service manager that it serves, runs RUN(CONTEXT, fd, next) in the workers of COUNT
 * POOLS, and starts another for each that dies.
 *
 * At SIGHUP, where RELOAD(CONTEXT) says so, all workers end when they have answered the request
 * that they have, and others, which know what the parent knows by then, begin when the last has
 * ended; what comes meanwhile waits at the sockets.
 *
 * At SIGTERM or SIGINT the sockets take no more connections, and it returns when the workers have
 * answered what came before; at a second one it ends them, and returns, at once. Those that do not
 * end within STOP_MS are killed, then and at SIGHUP. False: there were no descriptors, or no
 * memory, to begin. */
bool pools_run(
    const struct pool *pools, unsigned count, worker_fn *run, reload_fn *reload, void *context);
