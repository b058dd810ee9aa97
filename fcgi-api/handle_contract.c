/* /openapi.yaml and /asyncapi.yaml: lighttpd serves the files itself, and passes on what is neither
 * GET nor HEAD, for the router to refuse. */
#include "handlers.h"
#include "problem.h"

enum err
handle_contract(struct request *q)
{
	return refuse(q, PROBLEM_NOT_FOUND, "This file is lighttpd's to serve.");
}
