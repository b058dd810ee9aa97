#include "router.h"

#include <stdio.h>
#include <string.h>

#include "caller.h"
#include "problem.h"
#include "trail.h"

static const char *const method_names[] = {
	[HTTP_GET] = "GET, HEAD",
	[HTTP_POST] = "POST",
};

/* Puts the methods of PATH into q->reply.allow. False: no row has this path. */
static bool
allowed_methods(struct request *q)
{
	char *allow = q->reply.allow;
	size_t n = 0;

	for (const struct route *r = routes; r->handle != NULL; r++) {
		if (strcmp(r->path, q->path) != 0)
			continue;
		q->route = r->path;
		n += (size_t)snprintf(
		    allow + n, sizeof(q->reply.allow) - n, "%s, ", method_names[r->method]);
	}
	if (n > 0)
		snprintf(allow + n, sizeof(q->reply.allow) - n, "OPTIONS");
	return n > 0;
}

static const struct route *
find_route(struct request *q)
{
	enum method method = q->method == HTTP_HEAD ? HTTP_GET : q->method;

	for (const struct route *r = routes; r->handle != NULL; r++) {
		if (r->method == method && strcmp(r->path, q->path) == 0)
			return r;
	}
	return NULL;
}

/* RFC 9110 9.3.7; the CORS headers of a preflight are the server's, as on every reply. */
static enum err
answer_without_route(struct request *q)
{
	if (!allowed_methods(q))
		return refuse(q, PROBLEM_NOT_FOUND, "No such path.");
	if (q->method != HTTP_OPTIONS)
		return refuse(
		    q, PROBLEM_METHOD_NOT_ALLOWED, "The header Allow says which methods are.");
	q->reply.status = 204;
	return ERR_OK;
}

static enum err
check_access(struct request *q, enum access access)
{
	enum err e;

	if (access == ANYONE)
		return ERR_OK;
	if (access == LOOPBACK)
		return address_is_loopback(&q->address)
			   ? ERR_OK
			   : refuse(q, PROBLEM_LOOPBACK_ONLY, "Ask from the machine itself.");
	if ((e = service_store(q->service)) != ERR_OK || (e = caller_authenticate(q)) != ERR_OK)
		return e;
	if (access == DOCTORS && q->who.user.role != ROLE_DOCTOR)
		return refuse(q, PROBLEM_DOCTORS_ONLY, "A patient has no status to set.");
	if (access == DOCTORS && q->who.user.pending)
		return refuse(
		    q, PROBLEM_APPROVAL_PENDING, "An operator has to approve the account first.");
	return ERR_OK;
}

static enum err
read_body(struct request *q)
{
	char why[JSON_WHY_SIZE] = "";
	enum err e;

	if (q->body_too_large)
		return refuse(q, PROBLEM_TOO_LARGE, "A body has at most 16 KiB.");
	if (q->body.failed)
		return ERR_SYSTEM;
	e = json_parse(q->body.data == NULL ? "" : q->body.data, q->body.len, &q->json, why);
	if (e == ERR_INVALID)
		return refuse(q, PROBLEM_BAD_JSON, why);
	if (e == ERR_OK && !json_is_object(q->json))
		return refuse(q, PROBLEM_BAD_JSON, "The body must be an object.");
	return e;
}

static enum err
answer(struct request *q)
{
	const struct route *r = find_route(q);
	enum err e;

	if (r == NULL)
		return answer_without_route(q);
	q->route = r->path;
	if ((e = check_access(q, r->access)) != ERR_OK)
		return e;
	if (r->has_body && (e = read_body(q)) != ERR_OK)
		return e;
	return r->handle(q);
}

void
route_request(struct request *q)
{
	enum err e = answer(q);

	if (e == ERR_DENIED)
		e = trail_refusal(q);
	if (q->reply.body.failed)
		e = ERR_SYSTEM;
	if (e != ERR_OK && e != ERR_DENIED)
		(void)refuse(q, PROBLEM_UNAVAILABLE,
		    "The database or the machine cannot take this now. Nothing was changed.");
}
