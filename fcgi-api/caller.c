#include "caller.h"

#include <arpa/inet.h>
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
	e = known_tokens_verify(&q->service->known, &q->service->key, token, strlen(token),
	    clock_wall_ms() / 1000, &q->claims);
	if (e == ERR_OK)
		e = store_user_of_session(
		    q->service->store, q->claims.user, q->claims.session, &q->who);
	if (e == ERR_DENIED || e == ERR_NOT_FOUND)
		return refuse(q, PROBLEM_INVALID_TOKEN, "Log in again for a new token.");
	return e;
}

/* Reads the peer's address into V6, an IPv4 one as ::ffff:a.b.c.d. */
static bool
peer(const struct request *q, struct in6_addr *v6)
{
	struct in_addr v4;

	if (q->address == NULL)
		return false;
	if (inet_pton(AF_INET6, q->address, v6) == 1)
		return true;
	if (inet_pton(AF_INET, q->address, &v4) != 1)
		return false;
	*v6 = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&v6->s6_addr[12], &v4, sizeof(v4));
	return true;
}

bool
caller_is_loopback(const struct request *q)
{
	struct in6_addr a;

	if (!peer(q, &a))
		return false;
	return IN6_IS_ADDR_LOOPBACK(&a) || (IN6_IS_ADDR_V4MAPPED(&a) && a.s6_addr[12] == 127);
}

void
caller_address_key(const struct request *q, char out[ADDRESS_KEY_SIZE])
{
	struct in6_addr a;

	out[0] = '\0';
	if (!peer(q, &a))
		return;
	if (!IN6_IS_ADDR_V4MAPPED(&a))
		memset(&a.s6_addr[8], 0, 8);
	inet_ntop(AF_INET6, &a, out, ADDRESS_KEY_SIZE);
}
