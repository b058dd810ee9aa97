/* A peer's IP address. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct address {
	unsigned char bytes[16]; /* IPv6; an IPv4 one as ::ffff:a.b.c.d; all 0: unknown */
};

enum { ADDRESS_TEXT_SIZE = 48 };

/* Reads an IPv4 or IPv6 address. False, and *OUT is unknown: TEXT is neither, or NULL. */
bool address_read(const char *text, struct address *out);

bool address_known(const struct address *a);
bool address_is_v4(const struct address *a);
bool address_is_loopback(const struct address *a);

/* The network that one subscriber has to spend: the IPv4 address itself, or the /64 of an IPv6 one.
 */
struct address address_network(const struct address *a);

/* Writes A as people do, an IPv4 one in four numbers; "" for an unknown one. Returns OUT. */
char *address_write(const struct address *a, char out[ADDRESS_TEXT_SIZE]);
