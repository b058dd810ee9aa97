/* How many connections there are from each address that has one, by its address_network(). This
 * machine's own are not counted: who comes from it is its operator, or a proxy for many. */
#pragma once

#include <stdbool.h>

#include "base/address.h"

/* An address with connections. A table of them is a pointer, NULL where it is empty. */
struct peer;

/* 0 for one that is not counted, whatever there is from its network. */
unsigned peers_count(const struct peer *table, struct address address);

/* Counts one more from ADDRESS. *OUT goes to peers_leave(); it is NULL where ADDRESS is unknown or
 * this machine's. False: out of memory, and nothing is counted. */
bool peers_enter(struct peer **table, struct address address, struct peer **out);
void peers_leave(struct peer **table, struct peer *p); /* NULL is fine */
