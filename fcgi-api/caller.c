#include "caller.h"

#include <string.h>

#include "base/clock.h"
#include "problem.h"

enum err
caller_authenticate(struct request *q)
{
	static const char scheme[] = "Bearer ";
	const char *token = q->authorization;
	enum err e;

	if (token == NULL || token[0] == '\0')
		return refuse(
		    q, PROBLEM_UNAUTHENTICATED, "Send the header Authorization: Bearer TOKEN.");
	if (strchr(token, ',') != NULL) /* what lighttpd makes of two of them */
		return refuse(q, PROBLEM_INVALID_REQUEST, "Send one Authorization header.");
	if (strncasecmp(token, scheme, strlen(scheme)) != 0)
		return refuse(
		    q, PROBLEM_UNAUTHENTICATED, "Send the header Authorization: Bearer TOKEN.");
	token += strlen(scheme);
	token += strspn(token, " ");
	e = known_tokens_verify(&q->service->known, &q->service->keys, token, strlen(token),
	    clock_wall_ms() / 1000, &q->claims);
	if (e == ERR_OK)
		e = store_user_of_token(q->service->store, &q->claims, &q->who);
	if (e == ERR_DENIED)
		q->claims.user.v = 0; /* whatever has been read of it */
	if (e == ERR_DENIED || e == ERR_NOT_FOUND)
		return refuse(q, PROBLEM_INVALID_TOKEN, "Log in again for a new token.");
	return e;
}

void
caller_address_key(const struct request *q, char out[ADDRESS_TEXT_SIZE])
{
	struct address network = address_network(&q->address);

	address_write(&network, out);
}
