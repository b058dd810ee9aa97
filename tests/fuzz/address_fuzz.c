/* Addresses of peers, one a line: each is read and written, and has a connection. How many there
 * are from one network is counted beside, by its text. */
#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "peers.h"

enum { LINES_MAX = 64 };

/* One that is connected; NETWORK is "" where it is not counted. */
struct visitor {
	struct address address;
	char network[INET6_ADDRSTRLEN];
	struct peer *peer;
};

/* Its IPv4 address as it is, or the first half of its IPv6 address; this machine's own, and none,
 * are "". */
static void
name_network(const char *text, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr v6;
	struct in_addr v4;

	out[0] = '\0';
	if (inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6)) {
		memcpy(&v4, &v6.s6_addr[12], sizeof(v4));
	} else if (inet_pton(AF_INET6, text, &v6) == 1) {
		if (IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6))
			return;
		memset(&v6.s6_addr[8], 0, 8);
		(void)inet_ntop(AF_INET6, &v6, out, INET6_ADDRSTRLEN);
		return;
	} else if (inet_pton(AF_INET, text, &v4) != 1) {
		return;
	}
	if (ntohl(v4.s_addr) >> 24 != 127)
		(void)inet_ntop(AF_INET, &v4, out, INET6_ADDRSTRLEN);
}

static void
check_text(const char *text, const struct address *a)
{
	char written[ADDRESS_TEXT_SIZE];
	struct address again;

	memset(written, 'x', sizeof(written));
	MUST(address_write(a, written) == written);
	MUST((written[0] != '\0') == address_known(a));
	MUST(address_known(a) || text[0] == '\0' || !address_is_loopback(a));
	if (address_known(a))
		MUST(address_read(written, &again) && memcmp(a, &again, sizeof(again)) == 0);
}

static unsigned
count_network(const struct visitor *all, unsigned count, const char *network)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		n += network[0] != '\0' && strcmp(all[i].network, network) == 0;
	return n;
}

static void
arrive(struct visitor *v, struct peer **table, const char *line, size_t len)
{
	char *text = fuzz_string(line, len);
	struct in6_addr any;
	bool is = address_read(text, &v->address);

	MUST(is == (inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1));
	check_text(text, &v->address);
	name_network(text, v->network);
	MUST(peers_enter(table, v->address, &v->peer));
	MUST((v->peer != NULL) == (v->network[0] != '\0'));
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	struct visitor all[LINES_MAX];
	struct peer *table = NULL;
	unsigned count = 0;
	const char *line;
	size_t len;

	for (; count < LINES_MAX && fuzz_line(&in, &line, &len); count++) {
		arrive(&all[count], &table, line, len);
		for (unsigned i = 0; i <= count; i++)
			MUST(peers_count(table, all[i].address) ==
			     count_network(all, count + 1, all[i].network));
	}
	while (count > 0) {
		peers_leave(&table, all[--count].peer);
		MUST(peers_count(table, all[count].address) ==
		     count_network(all, count, all[count].network));
	}
	MUST(table == NULL);
	return 0;
}
