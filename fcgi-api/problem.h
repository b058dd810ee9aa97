/* Refusals: RFC 9457 problem details. The table in problem.c is the one place where a code gets its
 * status. */
#pragma once

#include "request.h"

enum problem {
	PROBLEM_BAD_JSON,
	PROBLEM_VALIDATION_FAILED,
	PROBLEM_INVALID_REQUEST,
	PROBLEM_UNAUTHENTICATED,
	PROBLEM_INVALID_TOKEN,
	PROBLEM_BAD_CREDENTIALS,
	PROBLEM_DOCTORS_ONLY,
	PROBLEM_APPROVAL_PENDING,
	PROBLEM_LOOPBACK_ONLY,
	PROBLEM_NOT_FOUND,
	PROBLEM_METHOD_NOT_ALLOWED,
	PROBLEM_EMAIL_TAKEN,
	PROBLEM_TOO_LARGE,
	PROBLEM_RATE_LIMITED,
	PROBLEM_UNAVAILABLE,
	PROBLEM__COUNT
};

/* Makes the reply problem P; DETAIL is a sentence for a person. Always ERR_DENIED, so that a
 * handler can return it: "refused, and the reply says why". */
enum err refuse(struct request *q, enum problem p, const char *detail);

/* Notes that FIELD of the body breaks a rule; past FAULTS_MAX nothing is noted. */
void fault(struct request *q, const char *field, const char *code, const char *detail);

/* Refuses with all faults noted; ERR_OK where there are none. */
MUST_USE enum err refuse_faults(struct request *q);

/* Refuses with 429 until WAIT_MS have passed. */
enum err refuse_until(struct request *q, int64_t wait_ms);
