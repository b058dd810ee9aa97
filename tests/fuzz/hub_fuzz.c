/* The hub, and what comes to it from outside, in the simulation's world and under its rules. The
 * first line of the input chooses settings and people; each that follows is what happens next:
 *
 *   c1, v1      person 1 wants to connect, with the seed's dialect or telemed.v1
 *   m0TEXT      the first of all clients says TEXT
 *   d0, x0      it is lost; its session is logged out first
 *   o1B         person 1 sets a status by REST: O, B or F for OFFLINE; one who is pending is
 * approved s, sf, sc   the store's thread does what waits: all well; nothing; starts meet another's
 *   r, r2       the loop takes all results, or two
 *   t0 ... t9   time passes: to the next timer, or from a millisecond to six hours
 *   l           who lags catches up
 *   k, q, u     the relay crashes, stops as planned, starts again
 *   a...        people, store and time act by chance, which is the bytes that follow
 *
 * Persons are counted from 1, clients from 0, each round and round. When all has happened, the
 * world comes to rest, as the simulation's does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/world.h"
#include "fuzz.h"
#include "strict.h"

static struct world world; /* it is large */

/* Every frame is JSON to somebody else as well. */
static void
read_strictly(const struct frame *f)
{
	struct strict *root = f == NULL ? NULL : strict_read(f->text, f->len);

	MUST(strict_is_object(root));
	strict_free(root);
}

static unsigned
digit(char c)
{
	return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned char)c;
}

static struct client *
pick_client(struct world *w, unsigned n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < w->people; i++)
		count += w->person[i].clients;
	for (unsigned i = 0, left = count == 0 ? 0 : n % count; i < CLIENTS_MAX; i++) {
		if (w->client[i].id.v != 0 && left-- == 0)
			return &w->client[i];
	}
	return NULL;
}

static struct person *
pick_person(struct world *w, unsigned n)
{
	return &w->person[(n + w->people - 1) % w->people];
}

static void
pass_time(struct world *w, unsigned n)
{
	static const int64_t spans_ms[] = { 0, 1, 50, 100, 1000, 2000, 10000, 45000, 600000,
		INT64_C(6) * 3600 * 1000 };
	int64_t due_ms = hub_deadline(w->hub);
	int64_t ms = spans_ms[n % COUNT_OF(spans_ms)];

	if (ms == 0 && due_ms != INT64_MAX && due_ms > w->now_ms)
		ms = due_ms - w->now_ms;
	w->now_ms += ms;
	w->wall_ms += ms;
	shell_tick(w);
}

static void
run_store(struct world *w, char how)
{
	w->store.fail_percent = how == 'f' ? 100 : 0;
	w->store.conflict_percent = how == 'c' ? 100 : 0;
	store_run(w);
}

static void
set_status(struct world *w, struct person *p, char status)
{
	if (p->row.pending)
		store_approve(w, p);
	else if (p->row.role == ROLE_DOCTOR)
		store_set_status(w, p,
		    status == 'O'   ? STATUS_ONLINE
		    : status == 'B' ? STATUS_BUSY
				    : STATUS_OFFLINE);
}

static void
lose(struct world *w, struct client *c, bool revoked)
{
	if (revoked)
		shell_revoke(w, c);
	if (!w->broken)
		shell_drop(w, c);
}

/* What a client does. */
static void
client_does(struct world *w, char what, struct client *c, const char *text, size_t len)
{
	if (c == NULL)
		return;
	if (what == 'm')
		(void)words_say(w, c, text, len);
	else
		lose(w, c, what == 'x');
}

static void
down_step(struct world *w, const char *line)
{
	if (line[0] == 'u')
		shell_start(w);
	else if (line[0] == 'o')
		set_status(w, pick_person(w, digit(line[1])), line[2]);
}

/* LINE has at least three characters, of which the last may be NULs behind its end. */
static void
step(struct world *w, const char *line, size_t len)
{
	unsigned n = digit(line[1]);

	w->prng.left = len - 1;
	w->prng.written = (const unsigned char *)line + 1;
	if (w->hub == NULL) {
		down_step(w, line);
		return;
	}
	switch (line[0]) {
	case 'c':
	case 'v':
		shell_connect(w, pick_person(w, n), line[0] == 'v');
		break;
	case 'm':
	case 'd':
	case 'x':
		client_does(w, line[0], pick_client(w, n), line + 2, len > 2 ? len - 2 : 0);
		break;
	case 'o':
		set_status(w, pick_person(w, n), line[2]);
		break;
	case 's':
		run_store(w, line[1]);
		break;
	case 'r':
		shell_results(w, line[1] == '\0' ? TASKS_MAX : n);
		break;
	case 't':
		pass_time(w, n);
		break;
	case 'l':
		shell_catch_up(w, 100);
		break;
	case 'k':
		shell_crash(w);
		break;
	case 'q':
		shell_stop(w);
		break;
	case 'a':
		act(w);
		break;
	default:
		break;
	}
}

static void
begin(struct world *w, const char *line, size_t len)
{
	w->witness = read_strictly;
	w->trace = getenv("TRACE") != NULL;
	w->prng.written = (const unsigned char *)line;
	w->prng.left = len;
	world_begin(w, len > 0 ? (unsigned char)line[0] : 0);
	shell_start(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	struct world *w = &world;
	char *lines[CLIENTS_MAX * 16] = { NULL };
	unsigned count = 0;
	const char *line;
	size_t len;

	if (!fuzz_line(&in, &line, &len))
		return 0;
	lines[count++] = fuzz_string(line, len);
	begin(w, lines[0], len);
	while (!w->broken && count < COUNT_OF(lines) && fuzz_line(&in, &line, &len)) {
		/* What is said may be read later. */
		lines[count] = calloc(1, len + 3);
		MUST(lines[count] != NULL);
		memcpy(lines[count], line, len);
		if (len > 0)
			step(w, lines[count], len);
		count++;
	}
	w->prng.left = 0;
	world_end(w);
	while (count > 0)
		free(lines[--count]);
	if (w->broken)
		fprintf(stderr, "%s: %s\n", rules[w->rule], w->why);
	MUST(!w->broken);
	return 0;
}
