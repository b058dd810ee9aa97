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

#include "base/clock.h"
#include "base/exit.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/signals.h"
#include "metrics/metrics.h"
#include "pool.h"
#include "server.h"

enum { API_WORKERS = 8, WAITING_MAX = 1024 };

static int
complain(int code, const char *sentence)
{
	fprintf(stderr, "fcgi-api: %s\n", sentence);
	return code;
}

struct program {
	struct config *config;
	struct service service; /* as its workers begin with it */
};

static void
serve(void *context, int fd, worker_next_fn *next)
{
	struct program *program = context;
	struct service *s = &program->service;

	/* Before the first request: opening waits for a writer, and reading should not. Where it
	 * fails it is tried again at each request. */
	(void)!service_store(s);
	server_run(s, fd, next);
	store_close(s->store);
}

static bool
reload(void *context)
{
	struct program *program = context;

	if (!config_reload(program->config))
		return false;
	program->service.keys = token_keys_of(program->config);
	return true;
}

/* The database is migrated and looked over, and the audit trail's key made, once, before there are
 * workers; each opens its own. */
static int
prepare_store(const struct data_paths *p)
{
	struct store *store = NULL;
	enum err on_trail = ERR_OK;
	enum err e;

	e = store_audit_compare(p->database, p->store_lock, p->audit_key, p->audit_head);
	if (e == ERR_OK)
		e = store_open(p->database, p->store_lock, &store);
	if (e == ERR_OK)
		e = store_check(store);
	if (e == ERR_OK)
		on_trail = store_audit_open(store, p->audit_key, p->audit_head);
	store_close(store);
	if (e != ERR_OK)
		return complain(
		    store_is_hopeless(e) ? EXIT_PERMANENT : EXIT_TEMPORARY, store_sentence(e));
	if (on_trail != ERR_OK)
		return complain(store_audit_is_hopeless(on_trail) ? EXIT_PERMANENT : EXIT_TEMPORARY,
		    store_audit_sentence(on_trail));
	return EXIT_SUCCESS;
}

static int
run(struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct pool pools[2] = { { .size = cores < 1 ? 1 : (unsigned)cores },
		{ .size = API_WORKERS } };
	struct program program = { .config = c,
		.service = { .config = c, .keys = token_keys_of(c), .auth_fd = -1 } };
	struct data_paths *paths = &program.service.paths;
	int code;

	if (pools[0].size > WORKERS_MAX - API_WORKERS)
		pools[0].size = WORKERS_MAX - API_WORKERS;
	if (data_paths_find(c, paths) != ERR_OK)
		return complain(EXIT_PERMANENT, "TELEMED_DATA_DIR is too long.");
	if ((code = prepare_store(paths)) != EXIT_SUCCESS)
		return code;
	if (metrics_open(paths->metrics) != ERR_OK)
		return complain(EXIT_TEMPORARY, "TELEMED_DATA_DIR/run cannot be written to.");
	for (unsigned i = 0; i < 2; i++) {
		enum err e = unix_bind(
		    i == 0 ? paths->auth : paths->api, SOCK_STREAM, WAITING_MAX, &pools[i].fd);

		if (e == ERR_TOO_BIG)
			return complain(EXIT_PERMANENT,
			    "TELEMED_DATA_DIR is too long for a Unix socket (107 bytes in all).");
		if (e != ERR_OK)
			return complain(
			    EXIT_TEMPORARY, "A socket in TELEMED_DATA_DIR/run cannot be made.");
	}
	program.service.auth_fd = pools[0].fd;
	metric_set(METRIC_START_TIME, METRIC_OF_API, clock_wall_ms() / 1000);
	LOG(LOG_INFO, "started", F_STR("version", TELEMED_VERSION),
	    F_INT("auth_workers", pools[0].size), F_STR("visibility", config_visibility_name(c)),
	    F_STR("doctor_signup", config_signup_name(c)));
	if (!pools_run(pools, 2, serve, reload, &program))
		return complain(EXIT_TEMPORARY, "There is no memory, or no descriptor left.");
	store_audit_settle(paths->database, paths->store_lock, paths->audit_key, paths->audit_head);
	LOG0(LOG_INFO, "stopped");
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static struct config config;
	char why[CONFIG_WHY_SIZE];

	signals_hold_stop(); /* pools_run() takes them */
	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--check") != 0))
		return complain(EXIT_PERMANENT, "usage: fcgi-api [--check]");
	if (config_load(&config, why) != ERR_OK)
		return complain(EXIT_PERMANENT, why);
	if (argc == 2)
		return EXIT_SUCCESS;
	config_hide_secrets();
	log_open("fcgi-api", config.log_level);
	config_warn(&config);
	return run(&config);
}
