/* The id of a request: which are taken from outside, and that a new one is one. */
#include "base/request_id.h"

#include <string.h>

#include "unit.h"

static void
ids_of_others_are_taken(void **state)
{
	static const char *const rows[] = {
		"0123456789abcdef",
		"0123456789ABCDEF0123456789ABCDEF",
		"a3bb189e-8bf9-4888-9912-ace4e6543002",
		"----------------",
	};
	char id[REQUEST_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_true(request_id_ok(rows[i]));
		request_id_take(rows[i], id);
		assert_string_equal(id, rows[i]);
	}
}

static void
whatever_else_is_offered_gets_a_new_one(void **state)
{
	static const char *const rows[] = {
		NULL,
		"",
		"0123456789abcde",
		"a3bb189e-8bf9-4888-9912-ace4e6543002a",
		"0123456789abcdeg",
		"0123456789abcdef\n",
		" 0123456789abcdef",
		"0123456789abcdef, 0123456789abcdef",
		"eyJhbGciOiJIUzI1NiJ9",
		"correct horse battery",
		"ann@example.org.example.org",
		"\",\"level\":\"forged\"",
	};
	char before[REQUEST_ID_SIZE] = "";
	char id[REQUEST_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_false(rows[i] != NULL && request_id_ok(rows[i]));
		request_id_take(rows[i], id);
		assert_int_equal(strlen(id), REQUEST_ID_MIN);
		assert_true(request_id_ok(id));
		assert_string_not_equal(id, before);
		memcpy(before, id, sizeof(before));
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_of_others_are_taken),
		cmocka_unit_test(whatever_else_is_offered_gets_a_new_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
