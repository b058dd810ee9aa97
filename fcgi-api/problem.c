#include "problem.h"

enum { UNAVAILABLE_RETRY_S = 2 };

static const struct {
	int status;
	const char *code;
	const char *title;
	const char *authenticate; /* RFC 6750 3 */
} problems[PROBLEM__COUNT] = {
	[PROBLEM_BAD_JSON] = { 400, "bad_json", "The body is not one JSON object", NULL },
	[PROBLEM_VALIDATION_FAILED] = { 400, "validation_failed", "A field breaks its rule", NULL },
	[PROBLEM_INVALID_REQUEST] = { 400, "invalid_request", "The request is ambiguous",
	    "Bearer realm=\"telemed\", error=\"invalid_request\"" },
	[PROBLEM_UNAUTHENTICATED] = { 401, "unauthenticated", "A token is needed",
	    "Bearer realm=\"telemed\"" },
	[PROBLEM_INVALID_TOKEN] = { 401, "invalid_token", "The token is not valid",
	    "Bearer realm=\"telemed\", error=\"invalid_token\", error_description=\"malformed, "
	    "expired or of no user\"" },
	[PROBLEM_BAD_CREDENTIALS] = { 401, "bad_credentials", "The email or the password is wrong",
	    "Bearer realm=\"telemed\"" },
	[PROBLEM_DOCTORS_ONLY] = { 403, "doctors_only", "Only doctors may do this", NULL },
	[PROBLEM_APPROVAL_PENDING] = { 403, "approval_pending", "The account waits for approval",
	    NULL },
	[PROBLEM_LOOPBACK_ONLY] = { 403, "loopback_only", "Only this machine may ask for this",
	    NULL },
	[PROBLEM_NOT_FOUND] = { 404, "not_found", "There is nothing here", NULL },
	[PROBLEM_METHOD_NOT_ALLOWED] = { 405, "method_not_allowed",
	    "The method is not allowed here", NULL },
	[PROBLEM_EMAIL_TAKEN] = { 409, "email_taken", "The email is taken", NULL },
	[PROBLEM_TOO_LARGE] = { 413, "too_large", "The body is too large", NULL },
	[PROBLEM_RATE_LIMITED] = { 429, "rate_limited", "Too many attempts", NULL },
	[PROBLEM_UNAVAILABLE] = { 503, "unavailable", "The service is unavailable", NULL },
};

static void
write_faults(const struct request *q, struct json_writer *w)
{
	jw_array(w, "errors");
	for (unsigned i = 0; i < q->fault_count; i++) {
		jw_object(w, NULL);
		jw_string(w, "field", q->faults[i].field);
		jw_string(w, "code", q->faults[i].code);
		jw_string(w, "detail", q->faults[i].detail);
		jw_object_end(w);
	}
	jw_array_end(w);
}

enum err
refuse(struct request *q, enum problem p, const char *detail)
{
	struct json_writer w;

	buf_clear(&q->reply.body); /* a reply that was begun and came to nothing */
	reply_begin(q, problems[p].status, &w);
	q->reply.code = problems[p].code;
	q->reply.content_type = "application/problem+json";
	q->reply.authenticate = problems[p].authenticate;
	q->reply.etag = NULL;
	if (p == PROBLEM_UNAVAILABLE)
		q->reply.retry_after_s = UNAVAILABLE_RETRY_S;
	jw_object(&w, NULL);
	jw_string(&w, "type", "about:blank");
	jw_string(&w, "title", problems[p].title);
	jw_int(&w, "status", problems[p].status);
	jw_string(&w, "detail", detail);
	jw_string(&w, "code", problems[p].code);
	jw_string(&w, "instance", q->id);
	if (q->fault_count > 0)
		write_faults(q, &w);
	jw_object_end(&w);
	return ERR_DENIED;
}

void
fault(struct request *q, const char *field, const char *code, const char *detail)
{
	if (q->fault_count < FAULTS_MAX)
		q->faults[q->fault_count++] = (struct fault){ field, code, detail };
}

enum err
refuse_faults(struct request *q)
{
	if (q->fault_count == 0)
		return ERR_OK;
	return refuse(q, PROBLEM_VALIDATION_FAILED, "See errors for each field.");
}

enum err
refuse_until(struct request *q, int64_t wait_ms)
{
	enum err e = refuse(q, PROBLEM_RATE_LIMITED, "Wait as long as Retry-After says.");

	q->reply.retry_after_s = wait_ms / 1000 + 1;
	return e;
}
