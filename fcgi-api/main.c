/* fcgi-api: the REST side of telemed, a FastCGI program behind lighttpd.
 *
 * Two pools of processes on two sockets: run/auth.sock for what hashes passwords, which is slow on
 * purpose, and run/api.sock for everything else, so that a storm of logins holds nothing up.
 * `fcgi-api --check` looks at the settings and ends. Exit codes: 0 stopped, 100 do not try again
 * before somebody has changed something, 111 try again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "pool.h"
#include "server.h"

enum { EXIT_PERMANENT = 100, EXIT_TEMPORARY = 111, API_WORKERS = 8, BACKLOG = 1024 };

static int
complain(int code, const char *sentence)
{
	fprintf(stderr, "fcgi-api: %s\n", sentence);
	return code;
}

static void
serve(void *context, int fd, const volatile sig_atomic_t *stop)
{
	struct service *s = context;

	/* Before the first request: opening waits for a writer, and reading should not. Where it
	 * fails it is tried again at each request. */
	(void)!service_store(s);
	server_run(s, fd, stop);
	store_close(s->store);
}

/* The database is migrated and looked over once, before there are workers; each opens its own. */
static int
prepare_store(const struct service *s)
{
	struct store *store = NULL;
	enum err e = store_open(s->database, s->store_lock, &store);

	if (e == ERR_OK)
		e = store_check(store);
	store_close(store);
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

/* Fills S with the paths under the data directory and the socket and metrics paths beside them. */
static enum err
find_paths(
    struct service *s, const struct config *c, char sockets[2][CONFIG_TEXT_SIZE], char *metrics)
{
	const struct {
		const char *name;
		char *out;
	} paths[] = {
		{ "telemed.db", s->database },
		{ "run/store.lock", s->store_lock },
		{ "run/doorbell.sock", s->doorbell },
		{ "run/relay.sock", s->relay },
		{ "run/auth.sock", sockets[0] },
		{ "run/api.sock", sockets[1] },
		{ "run/metrics", metrics },
	};
	enum err e = ERR_OK;

	for (size_t i = 0; i < COUNT_OF(paths) && e == ERR_OK; i++)
		e = config_path(c, paths[i].name, paths[i].out);
	return e;
}

static int
run(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct pool pools[2] = { { .size = cores < 1 ? 1 : (unsigned)cores },
		{ .size = API_WORKERS } };
	char sockets[2][CONFIG_TEXT_SIZE];
	char metrics[CONFIG_TEXT_SIZE];
	struct service s = { .config = c, .key = { c->secret, c->secret_len } };
	int code;

	if (pools[0].size > WORKERS_MAX - API_WORKERS)
		pools[0].size = WORKERS_MAX - API_WORKERS;
	if (find_paths(&s, c, sockets, metrics) != ERR_OK)
		return complain(EXIT_PERMANENT, "TELEMED_DATA_DIR is too long.");
	if ((code = prepare_store(&s)) != EXIT_SUCCESS)
		return code;
	if (metrics_open(metrics) != ERR_OK)
		return complain(EXIT_TEMPORARY, "TELEMED_DATA_DIR/run cannot be written to.");
	for (unsigned i = 0; i < 2; i++) {
		enum err e = unix_bind(sockets[i], SOCK_STREAM, BACKLOG, &pools[i].fd);

		if (e == ERR_TOO_BIG)
			return complain(EXIT_PERMANENT,
			    "TELEMED_DATA_DIR is too long for a Unix socket (107 bytes in all).");
		if (e != ERR_OK)
			return complain(
			    EXIT_TEMPORARY, "A socket in TELEMED_DATA_DIR/run cannot be made.");
	}
	LOG(LOG_INFO, "started", F_STR("version", TELEMED_VERSION),
	    F_INT("auth_workers", pools[0].size));
	pools_run(pools, 2, serve, &s);
	LOG0(LOG_INFO, "stopped");
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static struct config config;
	char why[CONFIG_WHY_SIZE];

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--check") != 0))
		return complain(EXIT_PERMANENT, "usage: fcgi-api [--check]");
	if (config_load(&config, why) != ERR_OK)
		return complain(EXIT_PERMANENT, why);
	if (argc == 2)
		return EXIT_SUCCESS;
	log_open("fcgi-api", config.log_level);
	return run(&config);
}
