#include "peers.h"

#include <stdlib.h>

#include "base/hash.h"

struct peer {
	struct address address;
	unsigned count;
	bool hashed;
	UT_hash_handle hh;
};

static struct peer *
find(const struct peer *table, struct address network)
{
	struct peer *p = NULL;

	HASH_FIND(hh, table, &network, sizeof(network), p);
	return p;
}

static struct peer *
add(struct peer **table, struct address network)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->address = network;
	p->hashed = true;
	HASH_ADD(hh, *table, address, sizeof(p->address), p);
	if (p->hashed)
		return p;
	free(p);
	return NULL;
}

static bool
is_counted(const struct address *a)
{
	return address_known(a) && !address_is_loopback(a);
}

unsigned
peers_count(const struct peer *table, struct address address)
{
	const struct peer *p = find(table, address_network(&address));

	if (!is_counted(&address)) /* the network of both is that of ::2 */
		return 0;
	return p == NULL ? 0 : p->count;
}

bool
peers_enter(struct peer **table, struct address address, struct peer **out)
{
	struct address network = address_network(&address);

	*out = NULL;
	if (!is_counted(&address))
		return true;
	if ((*out = find(*table, network)) == NULL && (*out = add(table, network)) == NULL)
		return false;
	(*out)->count++;
	return true;
}

void
peers_leave(struct peer **table, struct peer *p)
{
	if (p == NULL || --p->count > 0)
		return;
	HASH_DEL(*table, p);
	free(p);
}
