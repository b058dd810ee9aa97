/* ws-relay: the WebSocket side of telemed.
 *
 * Serves run/relay.sock under the data directory, behind lighttpd. Exit codes: 0 stopped, 100 do
 * not try again before somebody has changed something, 111 try again. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/signals.h"
#include "config/paths.h"
#include "doorbell/doorbell.h"
#include "metrics/metrics.h"
#include "server.h"

enum { BACKLOG = 4096 };

static struct config config;

static int
complain(int code, const char *sentence)
{
	fprintf(stderr, "ws-relay: %s\n", sentence);
	return code;
}

static int
complain_of_socket(enum err e)
{
	if (e == ERR_TOO_BIG)
		return complain(EXIT_PERMANENT,
		    "TELEMED_DATA_DIR is too long for a Unix socket (107 bytes in all).");
	return complain(EXIT_TEMPORARY, "A socket in TELEMED_DATA_DIR/run cannot be made.");
}

static void
ready(void)
{
	signals_release_stop();
	LOG(LOG_INFO, "started", F_STR("version", TELEMED_VERSION),
	    F_STR("visibility", config_visibility_name(&config)),
	    F_STR("doctor_signup", config_signup_name(&config)));
	notify_state("READY=1");
}

static int
run(struct config *c)
{
	struct store *store = NULL;
	struct data_paths p;
	int listen_fd;
	int bell_fd;
	int lock_fd;
	enum err e;

	if (data_paths_find(c, &p) != ERR_OK)
		return complain(EXIT_PERMANENT, "TELEMED_DATA_DIR is too long.");
	/* Before anything is touched. The kernel frees it, however this process ends. */
	switch (lock_try(p.relay_lock, &lock_fd)) {
	case ERR_OK:
		break;
	case ERR_BUSY:
		return complain(EXIT_TEMPORARY, "Another ws-relay serves this data directory.");
	default:
		return complain(EXIT_TEMPORARY, "TELEMED_DATA_DIR/run cannot be written to.");
	}
	e = store_audit_compare(p.database, p.store_lock, p.audit_key, p.audit_head);
	if (e != ERR_OK || (e = store_open(p.database, p.store_lock, &store)) != ERR_OK)
		return complain(
		    store_is_hopeless(e) ? EXIT_PERMANENT : EXIT_TEMPORARY, store_sentence(e));
	if ((e = store_audit_open(store, p.audit_key, p.audit_head)) != ERR_OK) {
		store_close(store);
		return complain(store_audit_is_hopeless(e) ? EXIT_PERMANENT : EXIT_TEMPORARY,
		    store_audit_sentence(e));
	}
	if ((e = metrics_open(p.metrics)) != ERR_OK ||
	    (e = doorbell_listen(p.doorbell, &bell_fd)) != ERR_OK ||
	    (e = unix_bind(p.relay, SOCK_STREAM, BACKLOG, &listen_fd)) != ERR_OK) {
		store_close(store);
		return complain_of_socket(e);
	}
	switch (server_run(c, store, listen_fd, bell_fd, ready)) {
	case SERVER_STOPPED:
		return EXIT_SUCCESS;
	case SERVER_DAMAGED:
		return complain(EXIT_PERMANENT, store_sentence(ERR_INVALID));
	default:
		return EXIT_TEMPORARY;
	}
}

int
main(void)
{
	char why[CONFIG_WHY_SIZE];

	signals_hold_stop(); /* until the loop has its handlers: see ready() */
	if (config_load(&config, why) != ERR_OK)
		return complain(EXIT_PERMANENT, why);
	config_hide_secrets();
	log_open("ws-relay", config.log_level);
	config_warn(&config);
	/* Else glibc raises the bound as large blocks are freed, and what a crowd's user lists took
	 * stays in the heap. */
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 10);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	return run(&config);
}
