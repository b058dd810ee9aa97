/* Addresses of peers: what is one, whose it is, and what limits know it by. */
#include "base/address.h"

#include <string.h>

#include "base/str.h"
#include "unit.h"

static struct address
address_of(const char *text)
{
	struct address a;

	assert_row(text, address_read(text, &a));
	return a;
}

static void
what_is_no_address_is_unknown(void **state)
{
	static const char *const rows[] = { "", " ", "garbage", "127.0.0.1 ", " 127.0.0.1",
		"127.0.0.1:80", "127.0.0", "256.0.0.1", "0x7f.0.0.1", "[::1]", "::1%lo", "::g",
		"1:2:3:4:5:6:7:8:9", "127.0.0.1, 127.0.0.2" };
	char text[ADDRESS_TEXT_SIZE];
	struct address a;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_row(rows[i], !address_read(rows[i], &a) && !address_known(&a));
		assert_row(rows[i], address_write(&a, text)[0] == '\0');
		assert_row(rows[i], !address_is_loopback(&a));
	}
	assert_false(address_read(NULL, &a));
	assert_false(address_known(&a));
}

static void
an_address_is_of_this_machine_or_not(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} rows[] = {
		{ "127.0.0.1", true },
		{ "127.255.255.255", true },
		{ "::1", true },
		{ "::ffff:127.0.0.1", true },
		{ "126.255.255.255", false },
		{ "128.0.0.1", false },
		{ "10.0.0.1", false },
		{ "::2", false },
		{ "2001:db8::1", false },
		{ "::ffff:192.0.2.1", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct address a = address_of(rows[i].text);

		assert_row(rows[i].text, address_known(&a));
		assert_row(rows[i].text, address_is_loopback(&a) == rows[i].loopback);
	}
}

static void
a_network_is_a_64_of_ipv6_and_one_address_of_ipv4(void **state)
{
	static const struct {
		const char *one;
		const char *other;
		bool same;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1", "193.0.2.1", false },
		{ "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true },
		{ "2001:db8::1", "2001:DB8:0:0::", true },
		{ "2001:db8::1", "2001:db8:0:1::1", false },
		{ "2001:db8::1", "2001:db9::1", false },
	};
	char text[2][ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct address one = address_of(rows[i].one);
		struct address other = address_of(rows[i].other);
		struct address again;

		one = address_network(&one);
		other = address_network(&other);
		assert_row(rows[i].other, (memcmp(&one, &other, sizeof(one)) == 0) == rows[i].same);
		address_write(&one, text[0]);
		address_write(&other, text[1]);
		assert_row(rows[i].other, (strcmp(text[0], text[1]) == 0) == rows[i].same);
		again = address_of(text[0]);
		assert_row(rows[i].one, memcmp(&again, &one, sizeof(one)) == 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_address_is_unknown),
		cmocka_unit_test(an_address_is_of_this_machine_or_not),
		cmocka_unit_test(a_network_is_a_64_of_ipv6_and_one_address_of_ipv4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
