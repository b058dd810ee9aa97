#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const struct {
	const char *name;
	bool (*run)(struct options *o);
	const char *what;
} scenarios[] = {
	{ "chat", run_chat, "pairs that answer each other, beside connections that are idle" },
	{ "broadcast", run_broadcast, "one speaks to all" },
	{ "connect", run_connect, "all connect at once, until all have seen all" },
	{ "flip", run_flip, "a doctor flips her status" },
	{ "storm", run_storm, "all connect at once, and none is refused" },
	{ "http", run_http, "GET, with keep-alive" },
	{ "users", run_users, "make users, and print them for --users" },
};

static const struct option long_options[] = {
	{ "to", required_argument, NULL, 't' },
	{ "path", required_argument, NULL, 'p' },
	{ "users", required_argument, NULL, 'u' },
	{ "server", required_argument, NULL, 's' },
	{ "subprotocol", required_argument, NULL, 'S' },
	{ "connections", required_argument, NULL, 'c' },
	{ "pairs", required_argument, NULL, 'P' },
	{ "idle", required_argument, NULL, 'i' },
	{ "in-flight", required_argument, NULL, 'k' },
	{ "text", required_argument, NULL, 'x' },
	{ "rate", required_argument, NULL, 'r' },
	{ "at-once", required_argument, NULL, 'a' },
	{ "warm", required_argument, NULL, 'w' },
	{ "run", required_argument, NULL, 'd' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "role", required_argument, NULL, 'R' },
	{ "name", required_argument, NULL, 'n' },
	{ "conditional", no_argument, NULL, 'C' },
	{ NULL, 0, NULL, 0 },
};

static void
usage(void)
{
	fputs("usage: load SCENARIO --to unix:PATH|tcp:PORT [--users FILE] [--server NAME=PID,...]"
	      "...\n",
	    stderr);
	for (unsigned i = 0; i < COUNT_OF(scenarios); i++)
		fprintf(stderr, "  %-10s %s\n", scenarios[i].name, scenarios[i].what);
	fputs("options, with a value each but the last:\n ", stderr);
	for (unsigned i = 0; long_options[i].name != NULL; i++)
		fprintf(stderr, " --%s", long_options[i].name);
	fputc('\n', stderr);
	exit(2);
}

static unsigned
number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end != '\0' || end == text || n > 1000000)
		die("not a number: %s", text);
	return (unsigned)n;
}

static void
set_text_option(struct options *o, int which, char *value)
{
	switch (which) {
	case 't':
		o->to = value;
		break;
	case 'p':
		o->path = value;
		break;
	case 'u':
		o->users_file = value;
		break;
	case 's':
		meter_group(value);
		break;
	case 'S':
		o->subprotocol = value;
		break;
	case 'R':
		o->role = value;
		break;
	case 'n':
		o->name = value;
		break;
	default:
		usage();
	}
}

static void
set_option(struct options *o, int which, char *value)
{
	switch (which) {
	case 'c':
		o->connections = number(value);
		break;
	case 'P':
		o->pairs = number(value);
		break;
	case 'i':
		o->idle = number(value);
		break;
	case 'k':
		o->in_flight = number(value);
		break;
	case 'x':
		o->text = number(value);
		break;
	case 'r':
		o->rate = number(value);
		break;
	case 'a':
		o->at_once = number(value);
		break;
	case 'w':
		o->warm_s = strtod(value, NULL);
		break;
	case 'd':
		o->run_s = strtod(value, NULL);
		break;
	case 'T':
		o->timeout_s = strtod(value, NULL);
		break;
	case 'C':
		o->conditional = true;
		break;
	default:
		set_text_option(o, which, value);
	}
}

int
main(int argc, char **argv)
{
	static struct options o = {
		.path = "/ws",
		.subprotocol = "",
		.role = "PATIENT",
		.name = "p",
		.connections = 200,
		.pairs = 50,
		.in_flight = 1,
		.text = 64,
		.rate = 50,
		.at_once = 128,
		.warm_s = 1,
		.run_s = 3,
		.timeout_s = 60,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(&o, c, optarg);
	if (optind != argc - 1 || o.to == NULL || o.text < MARK_DIGITS || o.connections == 0 ||
	    o.in_flight == 0)
		usage();
	for (unsigned i = 0; i < COUNT_OF(scenarios); i++) {
		if (strcmp(argv[optind], scenarios[i].name) == 0)
			return scenarios[i].run(&o) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	usage();
}
