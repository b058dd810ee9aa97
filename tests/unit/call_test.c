/* The words for calls, and the ids that clients give them. */
#include "domain/call.h"

#include <ctype.h>
#include <string.h>

#include "unit.h"

static void
an_id_has_1_to_64_characters(void **state)
{
	char id[CALL_ID_MAX + 2];

	(void)state;
	memset(id, 'c', sizeof(id));
	id[CALL_ID_MAX + 1] = '\0';
	assert_false(call_id_ok(id));
	id[CALL_ID_MAX] = '\0';
	assert_true(call_id_ok(id));
	id[1] = '\0';
	assert_true(call_id_ok(id));
	assert_false(call_id_ok(""));
}

static void
an_id_is_of_safe_ascii(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char id[] = { 'a', (char)c, 'z', '\0' };
		bool safe = c < 0x80 && (isalnum(c) || strchr("._:-", c) != NULL);

		assert_int_equal(call_id_ok(id), safe);
		assert_int_equal(call_id_ok(id + 1), safe);
	}
}

static void
ids_of_clients_are_taken(void **state)
{
	static const char *const rows[] = { "550e8400-e29b-41d4-a716-446655440000", "call_1",
		"7:1733000000.5", "-", ".", ".." };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_row(rows[i], call_id_ok(rows[i]));
}

static void
states_match_their_names(void **state)
{
	static const char *const names[] = { "RINGING", "ACTIVE", "ENDED" };

	(void)state;
	for (int i = 0; i < (int)COUNT_OF(names); i++) {
		assert_string_equal(call_state_name((enum call_state)(CALL_RINGING + i)), names[i]);
		assert_int_equal(call_state_from_name(names[i]), CALL_RINGING + i);
	}
	assert_int_equal(call_state_from_name("ringing"), CALL_NONE);
	assert_int_equal(call_state_from_name(""), CALL_NONE);
	assert_int_equal(call_state_from_name("ENDED "), CALL_NONE);
}

static void
reasons_have_the_names_of_the_wire(void **state)
{
	static const char *const names[] = {
		[CALL_HANGUP] = "hangup",
		[CALL_REJECTED] = "rejected",
		[CALL_CANCELLED] = "cancelled",
		[CALL_NO_ANSWER] = "no_answer",
		[CALL_ANSWERED_ELSEWHERE] = "answered_elsewhere",
		[CALL_DISCONNECTED] = "disconnected",
		[CALL_MAX_DURATION] = "max_duration",
		[CALL_SERVER_RESTART] = "server_restart",
		[CALL_REVOKED] = "revoked",
	};

	(void)state;
	for (size_t i = CALL_HANGUP; i < COUNT_OF(names); i++)
		assert_string_equal(call_reason_name((enum call_reason)i), names[i]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_has_1_to_64_characters),
		cmocka_unit_test(an_id_is_of_safe_ascii),
		cmocka_unit_test(ids_of_clients_are_taken),
		cmocka_unit_test(states_match_their_names),
		cmocka_unit_test(reasons_have_the_names_of_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
