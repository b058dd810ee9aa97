/* What waits for a slow reader: its bounds, its order, and what becomes of it without memory. */
#include "outbox.h"

#include <stdlib.h>

#include "unit.h"

/* The linker puts what has "__wrap_" in its name in the place of the function without it. */
void *make_zeros(size_t n, size_t size) __asm__("__wrap_calloc");
void *real_calloc(size_t n, size_t size) __asm__("__real_calloc");

static bool no_memory;

void *
make_zeros(size_t n, size_t size)
{
	return no_memory ? NULL : real_calloc(n, size);
}

/* A frame of LEN bytes, of which there are none. */
static struct frame *
of(size_t len)
{
	struct frame *f = malloc(sizeof(*f));

	assert_non_null(f);
	*f = (struct frame){ .refs = 1, .len = len };
	return f;
}

/* Takes the oldest. False: there is none, or it is another than F (NULL: the list). */
static bool
is_next(struct outbox *o, const struct frame *f)
{
	struct frame *got;

	if (!outbox_take(o, &got))
		return false;
	frame_unref(got);
	return got == f;
}

static int
setup(void **state)
{
	static struct outbox o;

	o = (struct outbox){ .count = 0 };
	no_memory = false;
	*state = &o;
	return 0;
}

static void
so_many_bytes_wait_and_no_more(void **state)
{
	struct outbox *o = *state;
	struct frame *half = of(OUTBOX_BYTES_MAX / 2);
	struct frame *one = of(1);
	struct frame *nothing = of(0);
	struct frame *too_large = of(OUTBOX_BYTES_MAX + 1);

	assert_int_equal(outbox_add(o, too_large), ERR_TOO_BIG);
	assert_int_equal(outbox_add(o, half), ERR_OK);
	assert_int_equal(outbox_add(o, half), ERR_OK);
	assert_int_equal(outbox_add(o, one), ERR_TOO_BIG);
	assert_int_equal(outbox_add(o, nothing), ERR_OK);
	/* The list is a place, which takes none of it, and is there once. */
	assert_int_equal(outbox_add_list(o), ERR_OK);
	assert_int_equal(outbox_add_list(o), ERR_OK);
	assert_int_equal(o->count, 4);
	assert_true(is_next(o, half));
	assert_int_equal(outbox_add(o, half), ERR_OK);
	assert_int_equal(outbox_add(o, one), ERR_TOO_BIG);
	outbox_fini(o);
	assert_int_equal(half->refs + one->refs + nothing->refs + too_large->refs, 4);
	frame_unref(half);
	frame_unref(one);
	frame_unref(nothing);
	frame_unref(too_large);
}

static void
so_many_frames_wait_and_no_more(void **state)
{
	struct outbox *o = *state;
	struct frame *one = of(1);

	for (unsigned i = 0; i < OUTBOX_FRAMES_MAX; i++)
		assert_int_equal(outbox_add(o, one), ERR_OK);
	assert_int_equal(outbox_add(o, one), ERR_TOO_BIG);
	assert_int_equal(one->refs, 1 + OUTBOX_FRAMES_MAX);
	assert_true(is_next(o, one));
	assert_int_equal(outbox_add(o, one), ERR_OK);
	outbox_fini(o);
	assert_int_equal(one->refs, 1);
	assert_false(is_next(o, one));
	frame_unref(one);
}

/* Some are taken while others come, so that its ring grows at every place that it may begin. */
static void
what_waits_comes_out_in_order(void **state)
{
	enum { MANY = 50 };
	struct outbox *o = *state;
	struct frame *frames[MANY];

	for (unsigned i = 0; i < MANY; i++)
		frames[i] = of(i);
	for (unsigned before = 0; before < MANY; before++) {
		unsigned out = 0;

		for (unsigned in = 0; in < MANY; in++) {
			assert_int_equal(outbox_add(o, frames[in]), ERR_OK);
			if (in == before)
				assert_int_equal(outbox_add_list(o), ERR_OK);
			if (in % 3 == 0 && out < before)
				assert_true(is_next(o, frames[out++]));
		}
		while (out <= before)
			assert_true(is_next(o, frames[out++]));
		assert_true(is_next(o, NULL));
		while (out < MANY)
			assert_true(is_next(o, frames[out++]));
		assert_int_equal(o->count + o->bytes, 0);
	}
	for (unsigned i = 0; i < MANY; i++)
		frame_unref(frames[i]);
}

static void
without_memory_it_stays_as_it_was(void **state)
{
	struct outbox *o = *state;
	struct frame *one = of(1);

	for (unsigned times = 0; times < 6; times++) {
		enum err e;

		no_memory = true;
		while ((e = outbox_add(o, one)) == ERR_OK)
			continue;
		assert_int_equal(e, ERR_SYSTEM);
		assert_int_equal(outbox_add_list(o), ERR_SYSTEM);
		assert_false(o->has_list);
		assert_int_equal(one->refs, 1 + o->count);
		assert_int_equal(o->bytes, o->count);
		no_memory = false;
		assert_int_equal(outbox_add(o, one), ERR_OK);
	}
	outbox_fini(o);
	frame_unref(one);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	static const struct CMUnitTest tests[] = {
		TEST(so_many_bytes_wait_and_no_more),
		TEST(so_many_frames_wait_and_no_more),
		TEST(what_waits_comes_out_in_order),
		TEST(without_memory_it_stays_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
