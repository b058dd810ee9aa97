/* Outcomes, and what the compiler is asked to check. */
#pragma once

/* What a caller is expected to handle. A bug of ours asserts; trouble outside us is ERR_SYSTEM,
 * logged once where it happened, and from there it only travels up. */
enum err {
	ERR_OK = 0,
	ERR_INVALID,   /* the input breaks a rule */
	ERR_DENIED,    /* not allowed, or not proven */
	ERR_NOT_FOUND, /* nothing by that name */
	ERR_CONFLICT,  /* somebody else holds it */
	ERR_TOO_BIG,   /* past a named bound */
	ERR_TOO_NEW,   /* written by a newer program */
	ERR_BUSY,      /* not now; the same call may succeed later */
	ERR_SYSTEM,    /* disk, memory or kernel */
	ERR__COUNT
};

#define MUST_USE	       __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define COUNT_OF(a)	       (sizeof(a) / sizeof((a)[0]))

/* The outcome's name for a log line: "invalid", "busy"... Static. */
const char *err_name(enum err e);
