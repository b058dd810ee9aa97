/* telemed-admin status. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin.h"
#include "base/clock.h"
#include "base/fd.h"
#include "store/store_tally.h"

bool
somebody_listens(const char *path)
{
	int fd;
	enum err e = unix_connect(path, SOCK_STREAM, &fd);

	if (e == ERR_OK)
		close(fd);
	return e == ERR_OK || e == ERR_SYSTEM; /* its queue is full */
}

static enum admin_exit
tell_json(bool relay, bool api, const struct tally *t, enum admin_exit code)
{
	struct answer answer;
	struct json_writer *w = &answer.w;

	answer_begin(&answer);
	jw_string(w, "version", TELEMED_VERSION);
	jw_bool(w, "relayRuns", relay);
	jw_bool(w, "apiRuns", api);
	jw_object(w, "users");
	jw_int(w, "patients", t->patients);
	jw_int(w, "doctors", t->doctors);
	jw_int(w, "pending", t->pending);
	jw_int(w, "disabled", t->disabled);
	jw_int(w, "erased", t->erased);
	jw_object_end(w);
	jw_int(w, "sessions", t->sessions);
	jw_int(w, "connected", t->connected);
	jw_object(w, "calls");
	jw_int(w, "ringing", t->ringing);
	jw_int(w, "active", t->active);
	jw_object_end(w);
	jw_object(w, "database");
	jw_int(w, "schema", STORE_SCHEMA_VERSION);
	jw_int(w, "bytes", t->database_bytes);
	jw_int(w, "logBytes", t->log_bytes);
	jw_object_end(w);
	jw_int(w, "auditLine", t->audit_line);
	return answer_end(&answer, code);
}

static void
tell(bool relay, bool api, const struct tally *t)
{
	printf("version      %s of telemed-admin; of what runs: GET /livez\n", TELEMED_VERSION);
	printf("ws-relay     %s\n", relay ? "runs" : "does not run");
	printf("fcgi-api     %s\n", api ? "runs" : "does not run");
	printf("users        patients %" PRId64 ", doctors %" PRId64 "; pending %" PRId64
	       ", disabled %" PRId64 ", erased %" PRId64 "\n",
	    t->patients, t->doctors, t->pending, t->disabled, t->erased);
	printf("sessions     %" PRId64 "\n", t->sessions);
	printf("connected    %" PRId64 "\n", t->connected);
	printf("calls        %" PRId64 " ringing, %" PRId64 " active\n", t->ringing, t->active);
	printf("database     %" PRId64 " bytes, and %" PRId64 " in the log; schema %d\n",
	    t->database_bytes, t->log_bytes, STORE_SCHEMA_VERSION);
	printf("audit trail  line %" PRId64 "\n", t->audit_line);
}

enum admin_exit
status_show(struct admin *a, int argc, char **argv)
{
	bool json = false;
	const struct option options[] = { { "--json", &json, NULL }, { .name = NULL } };
	enum admin_exit code;
	struct tally t;
	bool relay;
	bool api;
	enum err e;

	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("There is no such option.");
	if ((e = store_tally(a->store, clock_wall_ms() / 1000, &t)) != ERR_OK)
		return complain_of_store(e);
	relay = somebody_listens(a->paths.relay);
	api = somebody_listens(a->paths.api) && somebody_listens(a->paths.auth);
	code = relay && api ? ADMIN_OK : ADMIN_NO;
	if (json)
		return tell_json(relay, api, &t, code);
	tell(relay, api, &t);
	return code;
}
