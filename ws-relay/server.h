/* The loop: libev, libwebsockets on it, timers, signals, the doorbell. */
#pragma once

#include "relay.h"

enum server_end {
	SERVER_STOPPED, /* by SIGTERM or SIGINT: it was drained (drain.h), every client was told
			   1001, and what was to be stored is stored */
	SERVER_FAILED,	/* it could not be set up; the reason is in the log */
	SERVER_DAMAGED, /* what the database holds cannot be read */
};

/* At SIGHUP the settings are read again (config_reload()), into CONFIG. Serves the WebSockets that
 * arrive at the listening socket LISTEN_FD, with the database STORE (taken over), ringing at
 * DOORBELL_FD, until it is told to stop. Calls READY once it serves. */
enum server_end server_run(struct config *config, struct store *store, int listen_fd,
    int doorbell_fd, void (*ready)(void));
