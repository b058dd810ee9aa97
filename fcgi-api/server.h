/* The FastCGI side of a worker process. */
#pragma once

#include "pool.h"
#include "request.h"

/* Serves the requests that arrive at the listening socket FD, one after another, as long as NEXT(),
 * which waits for each, says so. */
void server_run(struct service *s, int fd, worker_next_fn *next);
