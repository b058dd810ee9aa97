#include "base/address.h"

#include <arpa/inet.h>
#include <string.h>

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
static const unsigned char v6_loopback[16] = { [15] = 1 };

bool
address_read(const char *text, struct address *out)
{
	struct address a = { { 0 } };

	*out = a;
	if (text == NULL)
		return false;
	if (inet_pton(AF_INET6, text, a.bytes) != 1) {
		memcpy(a.bytes, v4_prefix, sizeof(v4_prefix));
		if (inet_pton(AF_INET, text, a.bytes + sizeof(v4_prefix)) != 1)
			return false;
	}
	*out = a;
	return true;
}

bool
address_known(const struct address *a)
{
	static const struct address unknown;

	return memcmp(a, &unknown, sizeof(unknown)) != 0;
}

bool
address_is_v4(const struct address *a)
{
	return memcmp(a->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool
address_is_loopback(const struct address *a)
{
	if (address_is_v4(a))
		return a->bytes[12] == 127;
	return memcmp(a->bytes, v6_loopback, sizeof(v6_loopback)) == 0;
}

struct address
address_network(const struct address *a)
{
	struct address n = *a;

	if (!address_is_v4(a))
		memset(n.bytes + 8, 0, 8);
	return n;
}

char *
address_write(const struct address *a, char out[ADDRESS_TEXT_SIZE])
{
	out[0] = '\0';
	if (address_is_v4(a))
		inet_ntop(AF_INET, a->bytes + 12, out, ADDRESS_TEXT_SIZE);
	else if (address_known(a))
		inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT_SIZE);
	return out;
}
