/* A REST request through fcgi-api as it is, from its FastCGI parameters and body to the bytes of
 * the answer, on a database with three users in it. The input is lines NAME=VALUE, an empty line,
 * and the body. "@1" in HTTP_AUTHORIZATION stands for a good token of user 1.
 *
 * Four things are the target's own: libfcgi; bcrypt, which is slow; the end of a transaction, which
 * takes everything back, so that each input begins with the same database; and the hour. */
#include <ctype.h>
#include <errno.h>
#include <fcgiapp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../fcgi-api/server.h" /* the relay has one, too */
#include "auth/password.h"
#include "base/log.h"
#include "fuzz.h"
#include "router.h"
#include "store/store_attempt.h"
#include "store/store_call.h"
#include "strict.h"

enum { USERS = 3, PARAMS_MAX = 32, NOW_S = 1800000000 };

static struct config config = {
	.allowed_origins = "https://clinic.example",
	.token_ttl_s = 28800,
	.session_max_s = 604800,
	.bcrypt_cost = 12,
	.auth_rate = 30,
};
static struct service service = { .config = &config,
	.keys.first = { (const unsigned char *)"0123456789abcdef0123456789abcdef", 32 },
	.auth_fd = -1,
	.paths = { .database = "telemed.db",
	    .store_lock = "lock",
	    .relay = "relay",
	    .doorbell = "bell",
	    .audit_key = "audit.key",
	    .audit_head = "audit.head" } };
static bool loading = true;
static struct buf tokens[USERS + 1];

/* What stands in for libfcgi: one request, and then a socket that was shut down. */
static struct {
	char *params[PARAMS_MAX + 1];
	unsigned count;
	const char *body;
	size_t left;
	struct buf answer;
	bool accepted;
} edge;

int
FCGX_Init(void)
{
	return 0;
}

int
FCGX_InitRequest(FCGX_Request *f, int sock, int flags)
{
	(void)sock;
	(void)flags;
	*f = (FCGX_Request){ .envp = edge.params };
	return 0;
}

int
FCGX_Accept_r(FCGX_Request *f)
{
	bool first = !edge.accepted;

	(void)f;
	edge.accepted = true;
	return first ? 0 : -EAGAIN;
}

static enum worker_turn
winds_up(void)
{
	return WORKER_WINDS_UP;
}

void
FCGX_Finish_r(FCGX_Request *f)
{
	(void)f;
}

int
FCGX_Detach(FCGX_Request *f)
{
	(void)f;
	return 0;
}

void
FCGX_Free(FCGX_Request *f, int close)
{
	(void)f;
	(void)close;
}

char *
FCGX_GetParam(const char *name, FCGX_ParamArray envp)
{
	size_t len = strlen(name);

	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return *envp + len + 1;
	}
	return NULL;
}

int
FCGX_GetStr(char *str, int n, FCGX_Stream *stream)
{
	size_t len = edge.left < (size_t)n ? edge.left : (size_t)n;

	(void)stream;
	if (len > 0)
		memcpy(str, edge.body, len);
	edge.body += len;
	edge.left -= len;
	return (int)len;
}

int
FCGX_PutStr(const char *str, int n, FCGX_Stream *stream)
{
	(void)stream;
	buf_add(&edge.answer, str, (size_t)n);
	return n;
}

int
FCGX_PutS(const char *str, FCGX_Stream *stream)
{
	return FCGX_PutStr(str, (int)strlen(str), stream);
}

/* The linker puts what has "__wrap_" in its name in the place of the function without it. */
#define INSTEAD_OF(name) __asm__("__wrap_" #name)
enum err make_hash(const char *password, int cost, char out[PASSWORD_HASH_SIZE])
    INSTEAD_OF(password_hash);
enum err compare_hash(const char *password, const char *hash) INSTEAD_OF(password_verify);
enum err compare_nothing(const char *password, int cost) INSTEAD_OF(password_verify_nobody);
enum err compare_less(const char *password, const char *hash, int cost)
    INSTEAD_OF(password_make_up);
enum err take_back(struct store *s, enum err so_far) INSTEAD_OF(store_end);
enum err real_store_end(struct store *s, enum err so_far) __asm__("__real_store_end");
int64_t one_hour(void) INSTEAD_OF(clock_wall_ms);

enum err
make_hash(const char *password, int cost, char out[PASSWORD_HASH_SIZE])
{
	MUST(password_rule(password) == NULL && cost == config.bcrypt_cost);
	memset(out, 'h', PASSWORD_HASH_SIZE - 1);
	out[PASSWORD_HASH_SIZE - 1] = '\0';
	return ERR_OK;
}

enum err
compare_hash(const char *password, const char *hash)
{
	MUST(password_rule(password) == NULL && strlen(hash) == PASSWORD_HASH_SIZE - 1);
	return strcmp(password, "correct horse") == 0 ? ERR_OK : ERR_DENIED;
}

enum err
compare_nothing(const char *password, int cost)
{
	MUST(password_rule(password) == NULL && cost == config.bcrypt_cost);
	return ERR_DENIED;
}

enum err
compare_less(const char *password, const char *hash, int cost)
{
	MUST(strlen(hash) == PASSWORD_HASH_SIZE - 1);
	return compare_nothing(password, cost);
}

enum err
take_back(struct store *s, enum err so_far)
{
	if (loading)
		return real_store_end(s, so_far);
	MUST(real_store_end(s, ERR_CONFLICT) == ERR_CONFLICT);
	return so_far;
}

int64_t
one_hour(void)
{
	return NOW_S * INT64_C(1000);
}

/* Users 1 and 2 are doctors, of whom 2 is pending; 3 is a patient who has called 1; and somebody
 * has tried too often. */
static void
populate(struct store *s)
{
	const struct attempt_rate never = { .every_ms = INT64_C(1) << 40, .burst = 1 };
	const int64_t now_ms = NOW_S * INT64_C(1000);
	struct claims claims;
	struct account a;

	MUST(store_begin(s) == ERR_OK);
	for (int i = 1; i <= USERS; i++) {
		a = (struct account){ .user = { .role = i == 3 ? ROLE_PATIENT : ROLE_DOCTOR,
					  .status = STATUS_OFFLINE } };
		a.user.pending = i == 2;
		snprintf(a.user.name, sizeof(a.user.name), "N%d", i);
		snprintf(a.email, sizeof(a.email), "%d@a.example", i);
		MUST(make_hash("correct horse", config.bcrypt_cost, a.password_hash) == ERR_OK);
		MUST(store_user_create(s, &a, now_ms) == ERR_OK && a.user.id.v == i);
		buf_init(&tokens[i], TOKEN_BYTES_MAX);
		claims = (struct claims){ .user = a.user.id, .role = a.user.role };
		MUST(token_issue(&service.keys.first, &claims, NOW_S, 3600, &tokens[i]) == ERR_OK);
	}
	MUST(store_call_start(s, "k", (struct user_id){ 3 }, (struct user_id){ 1 }, now_ms) ==
	     ERR_OK);
	MUST(store_attempt_count(s, "ip 192.0.2.66", never, now_ms) == ERR_OK);
	MUST(store_end(s, ERR_OK) == ERR_OK);
}

static void
set_up(void)
{
	log_open("fuzz", (enum log_level)(LOG_ERROR + 1));
	fuzz_scratch();
	MUST(
	    store_open(service.paths.database, service.paths.store_lock, &service.store) == ERR_OK);
	MUST(store_audit_open(service.store, service.paths.audit_key, service.paths.audit_head) ==
	     ERR_OK);
	populate(service.store);
	loading = false;
}

/* lighttpd hands no control character over in a parameter. */
static bool
is_param(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	}
	return memchr(line, '=', len) != NULL && edge.count < PARAMS_MAX;
}

static void
add_param(const char *line, size_t len)
{
	struct buf b;
	char *at;

	buf_init(&b, 1 << 16);
	buf_add(&b, line, len);
	at = strncmp(b.data, "HTTP_AUTHORIZATION=", 19) == 0 ? strchr(b.data, '@') : NULL;
	if (at != NULL && at[1] >= '1' && at[1] <= '0' + USERS) {
		char *rest = strdup(at + 2);
		int user = at[1] - '0';

		b.len = (size_t)(at - b.data);
		buf_adds(&b, tokens[user].data);
		buf_adds(&b, rest);
		free(rest);
	}
	edge.params[edge.count++] = b.data;
}

static const char *
header(const char *head, const char *name)
{
	static char value[256];
	size_t len = strlen(name);

	for (const char *line = head; line[0] != '\r'; line = strstr(line, "\r\n") + 2) {
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + len + 2, "\r"),
			    line + len + 2);
			return value;
		}
	}
	return NULL;
}

/* The value of a header that must be there. */
static const char *
needed(const char *head, const char *name)
{
	const char *value = header(head, name);

	MUST(value != NULL);
	return value;
}

/* Names and values, and nothing that would end one. */
static void
check_head(const char *head)
{
	const char *line = head;

	for (; line[0] != '\r'; line = strstr(line, "\r\n") + 2) {
		size_t len = strcspn(line, "\r");
		size_t name = strcspn(line, ":");

		MUST(line[len] == '\r' && line[len + 1] == '\n' && name > 0 && name < len);
		for (size_t i = 0; i < len; i++)
			MUST(line[i] != '\n' && (unsigned char)line[i] >= 0x20);
		for (size_t i = 0; i < name; i++)
			MUST(isalnum((unsigned char)line[i]) || line[i] == '-');
	}
	MUST(strncmp(line, "\r\n", 2) == 0);
	MUST(strcmp(needed(head, "X-Content-Type-Options"), "nosniff") == 0);
	MUST(request_id_ok(needed(head, "X-Request-Id")));
}

/* RFC 9457, as docs/protocol.md says. */
static void
check_problem(const struct strict *p, int status, const char *id)
{
	const char *code = strict_string(strict_member(p, "code"));
	double said = 0;

	MUST(strict_number(strict_member(p, "status"), &said) && (int)said == status);
	MUST(code != NULL && strict_string(strict_member(p, "title")) != NULL);
	MUST(strict_string(strict_member(p, "detail")) != NULL);
	MUST(strcmp(strict_string(strict_member(p, "instance")), id) == 0);
	MUST((strict_member(p, "errors") != NULL) == (strcmp(code, "validation_failed") == 0));
}

static void
check_body(const char *head, const char *body, int status)
{
	const char *type = header(head, "Content-Type");
	bool problem = type != NULL && strcmp(type, "application/problem+json") == 0;
	struct strict *root;

	if (type == NULL || header(head, "Content-Length") == NULL) {
		MUST(body[0] == '\0');
		return;
	}
	MUST(strtoul(needed(head, "Content-Length"), NULL, 10) == strlen(body) || body[0] == '\0');
	if (body[0] == '\0' || strncmp(needed(head, "Content-Type"), "text/plain", 10) == 0)
		return; /* of a HEAD; and the metrics */
	root = strict_read(body, strlen(body));
	MUST(strict_is_object(root));
	if (problem)
		check_problem(root, status, needed(head, "X-Request-Id"));
	strict_free(root);
}

static void
check_answer(const char *path, const char *method)
{
	static const int statuses[] = { 200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 413,
		429 };
	const char *head = edge.answer.data;
	const char *body;
	bool known = false;
	int status;

	MUST(head != NULL && strncmp(head, "Status: ", 8) == 0);
	MUST((body = strstr(head, "\r\n\r\n")) != NULL);
	status = (int)strtol(head + 8, NULL, 10);
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		known = known || status == statuses[i];
	/* There is a database, and there is memory; there is no relay. */
	MUST(known || (status == 503 && strcmp(path, "/readyz") == 0));
	check_head(head);
	check_body(head, body + 4, status);
	MUST((status == 401) == (header(head, "WWW-Authenticate") != NULL) || status == 400);
	MUST(status != 405 || header(head, "Allow") != NULL);
	MUST(status != 429 || strtoll(needed(head, "Retry-After"), NULL, 10) > 0);
	MUST(strcmp(method, "HEAD") != 0 || body[4] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	char path[1024];
	const char *line;
	const char *script;
	const char *method;
	char *body;
	size_t len;

	if (service.store == NULL)
		set_up();
	edge.count = 0;
	while (fuzz_line(&in, &line, &len) && len > 0) {
		if (is_param(line, len))
			add_param(line, len);
	}
	edge.params[edge.count] = NULL;
	config.doctor_signup = FCGX_GetParam("SIGNUP", edge.params) != NULL ? SIGNUP_APPROVE
									    : SIGNUP_OPEN;
	edge.body = body = fuzz_bytes(in.at, in.left);
	edge.left = in.left;
	edge.accepted = false;
	buf_init(&edge.answer, 32 << 20);
	service.doctors.etag[0] = '\0'; /* as of a worker that has just begun */
	server_run(&service, -1, winds_up);
	script = FCGX_GetParam("SCRIPT_NAME", edge.params);
	method = FCGX_GetParam("REQUEST_METHOD", edge.params);
	snprintf(path, sizeof(path), "%s", script == NULL ? "" : script);
	check_answer(path, method == NULL ? "" : method);
	buf_fini(&edge.answer);
	free(body);
	while (edge.count > 0)
		free(edge.params[--edge.count]);
	return 0;
}
