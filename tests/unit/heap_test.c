/* What a burst took is given back. */
#include "base/heap.h"

#include <malloc.h>

#include "base/fd.h"
#include "unit.h"

enum { BLOCKS = 2000, SMALL = 64, LARGE = 32 << 10 };

static long
resident_pages(void)
{
	char text[128] = "";
	const char *second;
	size_t len;

	assert_int_equal(file_read("/proc/self/statm", text, sizeof(text) - 1, &len), ERR_OK);
	second = strchr(text, ' ');
	return second == NULL ? 0 : strtol(second, NULL, 10);
}

static void *small[BLOCKS];
static void *large[BLOCKS];

/* Large blocks with small ones between them that stay. */
static void
burst(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		large[i] = malloc(LARGE);
		small[i] = malloc(SMALL);
		assert_true(large[i] != NULL && small[i] != NULL);
		memset(large[i], 'x', LARGE);
	}
}

static int
trims_in(struct heap *h, int ticks)
{
	int trims = 0;

	for (int i = 0; i < ticks; i++)
		trims += heap_tick(h);
	return trims;
}

static void
what_a_burst_took_is_given_back_when_it_is_over(void **state)
{
	struct heap h = { 0 };
	long before = resident_pages();
	long page = sysconf(_SC_PAGESIZE);

	(void)state;
	(void)trims_in(&h, HEAP_CALM_S + 1); /* once perhaps: what was there before */
	burst();
	assert_false(heap_tick(&h)); /* it has just grown */
	for (int i = 0; i < BLOCKS; i++)
		free(large[i]);
	assert_true((resident_pages() - before) * page > BLOCKS * (LARGE / 2));
	assert_int_equal(trims_in(&h, HEAP_CALM_S - 1), 0);
	assert_true(heap_tick(&h));
	assert_true((resident_pages() - before) * page < BLOCKS * (LARGE / 4));
	assert_int_equal(trims_in(&h, 10), 0); /* once is enough */
	for (int i = 0; i < BLOCKS; i++)
		free(small[i]);
}

/* Its readers were slow: nothing grows when it is freed at last. */
static void
what_is_freed_late_is_given_back(void **state)
{
	struct heap h = { 0 };

	(void)state;
	(void)trims_in(&h, HEAP_CALM_S + 1); /* once perhaps: what was there before */
	burst();
	assert_int_equal(trims_in(&h, 10), 0); /* it is in use */
	for (int i = 0; i < BLOCKS; i++)
		free(large[i]);
	assert_int_equal(trims_in(&h, 10), 1);
	for (int i = 0; i < BLOCKS; i++)
		free(small[i]);
}

/* The burst was there before it was calm for the first time. */
static void
what_the_first_burst_took_is_given_back(void **state)
{
	struct heap h = { 0 };

	(void)state;
	burst();
	for (int i = 0; i < BLOCKS; i++)
		free(large[i]);
	assert_int_equal(trims_in(&h, HEAP_CALM_S + 1), 1);
	for (int i = 0; i < BLOCKS; i++)
		free(small[i]);
}

/* And not a sanitizer's. */
static bool
is_the_heap_of_glibc(void)
{
	size_t before = mallinfo2().uordblks;
	void *volatile block = malloc(LARGE);
	size_t with = mallinfo2().uordblks;

	free(block);
	return with - before >= LARGE;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_burst_took_is_given_back_when_it_is_over),
		cmocka_unit_test(what_is_freed_late_is_given_back),
		cmocka_unit_test(what_the_first_burst_took_is_given_back),
	};

	if (!is_the_heap_of_glibc())
		return 77; /* skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
