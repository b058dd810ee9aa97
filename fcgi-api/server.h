/* The FastCGI side of a worker process. */
#pragma once

#include <signal.h>

#include "request.h"

/* Serves the requests that arrive at the listening socket FD, one after another, until *STOP is
 * set; a signal ends the waiting. */
void server_run(struct service *s, int fd, const volatile sig_atomic_t *stop);
