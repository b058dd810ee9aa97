/* The hub under random histories: sim [--seed N] [--histories N] [--trace]
 *
 * Every history follows from its seed alone. What breaks a rule is named with the seed, and can be
 * had again. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "world.h"

/* The first history that broke a rule, and how many did. */
static struct {
	unsigned count;
	uint64_t seed;
	unsigned event;
	char why[512];
} failures[RULE__COUNT];

static char last_words[160];

/* An assertion of the hub's, or a sanitizer, ends the program: the seed must not be lost. */
static void
say_last_words(void)
{
	(void)!write(STDOUT_FILENO, last_words, strlen(last_words));
}

static void
on_abort(int number)
{
	(void)number;
	say_last_words();
}

static struct sigaction before; /* a sanitizer's own, maybe: it comes next */

static void
on_fault(int number)
{
	say_last_words();
	sigaction(number, &before, NULL);
}

static void
note_failure(const struct world *w)
{
	if (failures[w->rule].count++ > 0)
		return;
	failures[w->rule].seed = w->seed;
	failures[w->rule].event = w->events;
	memcpy(failures[w->rule].why, w->why, sizeof(w->why));
}

/* One line of TAP; WHY it failed, NULL: it did not. */
static void
say_outcome(int number, const char *what, const char *why)
{
	printf("%s %d - %s\n", why == NULL ? "ok" : "not ok", number, what);
	if (why != NULL)
		printf("# %s\n", why);
}

static int
report(void)
{
	static struct effects fx;
	const char *crowd;
	int code;

	snprintf(last_words, sizeof(last_words), "not ok - a crowd ended the program\n");
	crowd = crowd_leaves(&fx);
	code = crowd == NULL ? EXIT_SUCCESS : EXIT_FAILURE;

	printf("1..%d\n", RULE__COUNT + 1);
	for (int i = 0; i < RULE__COUNT; i++) {
		say_outcome(i + 1, rules[i], failures[i].count > 0 ? failures[i].why : NULL);
		if (failures[i].count == 0)
			continue;
		code = EXIT_FAILURE;
		printf("# in %u histories; the first: event %u of make sim SEED=%llu N=1\n",
		    failures[i].count, failures[i].event, (unsigned long long)failures[i].seed);
	}
	say_outcome(RULE__COUNT + 1, "timers that are too many for one step share several", crowd);
	return code;
}

static bool
read_options(int argc, char **argv, int64_t *seed, int64_t *histories, bool *shown)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "histories", required_argument, NULL, 'n' },
		{ "trace", no_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	bool ok = true;
	int c;

	while (ok && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			ok = parse_int(optarg, strlen(optarg), 0, INT64_MAX / 2, seed);
		else if (c == 'n')
			ok = parse_int(optarg, strlen(optarg), 1, 1000000000, histories);
		else if (c == 't')
			*shown = true;
		else
			ok = false;
	}
	return ok && optind == argc;
}

int
main(int argc, char **argv)
{
	static struct world world; /* it is large */
	unsigned long long events = 0;
	int64_t histories = 10000;
	int64_t seed = 1;

	if (!read_options(argc, argv, &seed, &histories, &world.trace)) {
		fputs("usage: sim [--seed N] [--histories N] [--trace]\n", stderr);
		return 2;
	}
	signal(SIGABRT, on_abort);
	sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = on_fault }, &before);
	for (int64_t i = 0; i < histories; i++) {
		uint64_t s = (uint64_t)(seed + i);

		snprintf(last_words, sizeof(last_words),
		    "not ok - the hub ended the program: make sim SEED=%llu N=1\n",
		    (unsigned long long)s);
		run_history(&world, s);
		events += world.events;
		if (world.broken)
			note_failure(&world);
	}
	printf("# %lld histories from seed %lld, %llu events\n", (long long)histories,
	    (long long)seed, events);
	return report();
}
