/* Numbers that are never used twice. */
#include "slots.h"

#include "unit.h"

enum { ROOM = 4 };

static void
a_number_finds_what_was_put_under_it(void **state)
{
	int things[ROOM];
	struct conn_id ids[ROOM];
	struct slots s;

	(void)state;
	assert_true(slots_init(&s, ROOM));
	for (int i = 0; i < ROOM; i++)
		ids[i] = slots_put(&s, &things[i]);
	for (int i = 0; i < ROOM; i++)
		assert_ptr_equal(slots_find(&s, ids[i]), &things[i]);
	slots_fini(&s);
}

static void
a_full_table_takes_no_more(void **state)
{
	int thing;
	struct conn_id first;
	struct slots s;

	(void)state;
	assert_true(slots_init(&s, ROOM));
	first = slots_put(&s, &thing);
	for (int i = 1; i < ROOM; i++)
		assert_int_not_equal(slots_put(&s, &thing).v, 0);
	assert_int_equal(slots_put(&s, &thing).v, 0);
	slots_clear(&s, (struct conn_id){ 0 });
	assert_int_equal(slots_put(&s, &thing).v, 0);
	slots_clear(&s, first);
	assert_int_not_equal(slots_put(&s, &thing).v, 0);
	slots_fini(&s);
}

static void
a_number_that_is_gone_finds_nothing_and_takes_nothing_out(void **state)
{
	int old;
	int new;
	struct conn_id gone;
	struct conn_id here;
	struct slots s;

	(void)state;
	assert_true(slots_init(&s, 1));
	gone = slots_put(&s, &old);
	assert_null(slots_find(&s, (struct conn_id){ 0 }));
	assert_null(slots_find(&s, (struct conn_id){ gone.v + 1 }));
	slots_clear(&s, gone);
	assert_null(slots_find(&s, gone));
	here = slots_put(&s, &new);
	assert_false(conn_same(gone, here));
	assert_null(slots_find(&s, gone));
	slots_clear(&s, gone);
	assert_ptr_equal(slots_find(&s, here), &new);
	slots_fini(&s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_finds_what_was_put_under_it),
		cmocka_unit_test(a_full_table_takes_no_more),
		cmocka_unit_test(a_number_that_is_gone_finds_nothing_and_takes_nothing_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
