/* ws-relay: the WebSocket side of telemed.
 *
 * Serves run/relay.sock under the data directory, behind lighttpd. Exit codes: 0 stopped, 100 do
 * not try again before somebody has changed something, 111 try again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "doorbell/doorbell.h"
#include "metrics/metrics.h"
#include "server.h"

enum { EXIT_PERMANENT = 100, EXIT_TEMPORARY = 111, BACKLOG = 4096 };

static int
complain(int code, const char *sentence)
{
	fprintf(stderr, "ws-relay: %s\n", sentence);
	return code;
}

static void
ready(void)
{
	LOG(LOG_INFO, "started", F_STR("version", TELEMED_VERSION));
}

static int
open_store(const char *database, const char *lock, struct store **store)
{
	enum err e = store_open(database, lock, store);

	if (e == ERR_TOO_NEW)
		return complain(EXIT_PERMANENT,
		    "The database was written by a newer version; it is left as it was.");
	if (e == ERR_INVALID)
		return complain(EXIT_PERMANENT,
		    "The database is damaged; it is left as it was. Restore a backup.");
	if (e != ERR_OK)
		return complain(EXIT_TEMPORARY, "The database cannot be opened for writing.");
	return EXIT_SUCCESS;
}

struct paths {
	char database[CONFIG_TEXT_SIZE];
	char store_lock[CONFIG_TEXT_SIZE];
	char relay_lock[CONFIG_TEXT_SIZE];
	char relay[CONFIG_TEXT_SIZE];
	char doorbell[CONFIG_TEXT_SIZE];
	char metrics[CONFIG_TEXT_SIZE];
};

static enum err
find_paths(const struct config *c, struct paths *p)
{
	const struct {
		const char *name;
		char *out;
	} paths[] = {
		{ "telemed.db", p->database },
		{ "run/store.lock", p->store_lock },
		{ "run/relay.lock", p->relay_lock },
		{ "run/relay.sock", p->relay },
		{ "run/doorbell.sock", p->doorbell },
		{ "run/metrics", p->metrics },
	};
	enum err e = ERR_OK;

	for (size_t i = 0; i < COUNT_OF(paths) && e == ERR_OK; i++)
		e = config_path(c, paths[i].name, paths[i].out);
	return e;
}

static int
run(const struct config *c)
{
	struct store *store = NULL;
	struct paths p;
	int listen_fd;
	int bell_fd;
	int lock_fd;
	int code;

	if (find_paths(c, &p) != ERR_OK)
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
	if ((code = open_store(p.database, p.store_lock, &store)) != EXIT_SUCCESS)
		return code;
	if (metrics_open(p.metrics) != ERR_OK || doorbell_listen(p.doorbell, &bell_fd) != ERR_OK ||
	    unix_bind(p.relay, SOCK_STREAM, BACKLOG, &listen_fd) != ERR_OK) {
		store_close(store);
		return complain(EXIT_TEMPORARY, "A socket in TELEMED_DATA_DIR/run cannot be made.");
	}
	return server_run(c, store, listen_fd, bell_fd, ready) == SERVER_STOPPED ? EXIT_SUCCESS
										 : EXIT_TEMPORARY;
}

int
main(void)
{
	static struct config config;
	char why[CONFIG_WHY_SIZE];

	if (config_load(&config, why) != ERR_OK)
		return complain(EXIT_PERMANENT, why);
	log_open("ws-relay", config.log_level);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	return run(&config);
}
