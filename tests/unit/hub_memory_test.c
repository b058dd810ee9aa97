/* The hub when there is no memory: each of its allocations fails in its turn, in the midst of
 * people who come, talk, call and go. It must not crash or leak; whoever it cannot answer is
 * closed, no call and nobody's BUSY is left, and the next who come get on as if nothing had been.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "unit.h"

/* The linker puts what has "__wrap_" in its name in the place of the function without it. */
#define INSTEAD_OF(name) __asm__("__wrap_" #name)
#define REAL(name)	 __asm__("__real_" #name)
void *make(size_t size) INSTEAD_OF(malloc);
void *make_zeros(size_t n, size_t size) INSTEAD_OF(calloc);
void *make_other(void *p, size_t size) INSTEAD_OF(realloc);
void *make_others(void *p, size_t n, size_t size) INSTEAD_OF(reallocarray);
char *make_copy(const char *s) INSTEAD_OF(strdup);
void *real_malloc(size_t size) REAL(malloc);
void *real_calloc(size_t n, size_t size) REAL(calloc);
void *real_realloc(void *p, size_t size) REAL(realloc);
void *real_reallocarray(void *p, size_t n, size_t size) REAL(reallocarray);
char *real_strdup(const char *s) REAL(strdup);

static unsigned until_failure; /* allocations to the one that fails, with it; 0: none does */

static bool
fails(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *
make(size_t size)
{
	return fails() ? NULL : real_malloc(size);
}

void *
make_zeros(size_t n, size_t size)
{
	return fails() ? NULL : real_calloc(n, size);
}

void *
make_other(void *p, size_t size)
{
	return fails() ? NULL : real_realloc(p, size);
}

void *
make_others(void *p, size_t n, size_t size)
{
	return fails() ? NULL : real_reallocarray(p, n, size);
}

char *
make_copy(const char *s)
{
	return fails() ? NULL : real_strdup(s);
}

enum { CONNS = 16, WRITES = 64, GRACE_MS = 1000 };

struct world {
	struct hub *hub;
	struct effects fx;
	int64_t now_ms;
	bool open[CONNS]; /* by the number of a connection */
	bool v1[CONNS];
	bool give_up[CONNS]; /* there was no memory for what it was to be sent */
	uint64_t known[CONNS];
	struct persist writes[WRITES]; /* on their way to the store */
	unsigned write_count;
	bool refuse_writes;
	unsigned accepted; /* call_responses that said ok */
	unsigned lists;
};

static const struct user people[] = {
	{ .id = { 1 }, .role = ROLE_PATIENT, .status = STATUS_OFFLINE, .name = "Pat" },
	{ .id = { 2 }, .role = ROLE_DOCTOR, .status = STATUS_OFFLINE, .name = "Dr. \"D\"" },
	{ .id = { 3 }, .role = ROLE_DOCTOR, .status = STATUS_ONLINE, .name = "Dr. E" },
};

static void
send_list(struct world *w, unsigned conn)
{
	if (hub_list(w->hub, (struct conn_id){ conn }, &w->known[conn]) == NULL)
		w->give_up[conn] = true;
	else
		w->lists++;
}

static void
announce(struct world *w)
{
	for (unsigned i = 1; i < CONNS; i++) {
		struct conn_id id = { i };
		uint64_t revision = hub_list_revision(w->hub, id);

		if (!w->open[i] || revision == w->known[i])
			continue;
		if (w->v1[i] && hub_presence(w->hub, id, w->known[i]) != NULL)
			w->known[i] = revision;
		else
			send_list(w, i);
	}
}

static void
carry_out(struct world *w, const struct effect *e)
{
	unsigned conn = (unsigned)e->conn.v;

	if (e->kind == EFFECT_SEND && w->open[conn]) {
		w->give_up[conn] |= e->frame == NULL;
		w->accepted += e->frame != NULL && strstr(e->frame->text, "\"ok\":true") != NULL;
	} else if (e->kind == EFFECT_LIST && w->open[conn]) {
		send_list(w, conn);
	} else if (e->kind == EFFECT_ANNOUNCE) {
		announce(w);
	} else if (e->kind == EFFECT_PERSIST) {
		assert_true(w->write_count < WRITES);
		w->writes[w->write_count++] = e->persist;
	}
}

static void
step(struct world *w, const struct event *ev)
{
	hub_step(w->hub, ev, w->now_ms, 1800000000000 + w->now_ms, &w->fx);
	for (unsigned i = 0; i < w->fx.count; i++)
		carry_out(w, &w->fx.list[i]);
	effects_fini(&w->fx);
}

static void
lose(struct world *w, unsigned conn)
{
	w->open[conn] = w->give_up[conn] = false;
	step(w, &(struct event){ .kind = EVENT_LOST, .conn = { conn } });
}

/* What the store and the network have to say to that. */
static void
settle(struct world *w)
{
	for (unsigned i = 0; i < w->write_count; i++) {
		struct persist p = w->writes[i];

		step(w, &(struct event){ .kind = EVENT_PERSISTED,
			    .persist = &p,
			    .status = p.kind == PERSIST_STATUS	 ? p.status
				      : p.kind == PERSIST_ABSENT ? STATUS_OFFLINE
								 : STATUS_ONLINE,
			    .outcome = w->refuse_writes ? ERR_SYSTEM : ERR_OK });
	}
	w->write_count = 0;
	for (unsigned i = 1; i < CONNS; i++) {
		if (w->give_up[i])
			lose(w, i);
	}
}

static void
pass_ms(struct world *w, int64_t ms)
{
	int64_t end_ms = w->now_ms + ms;

	while (hub_deadline(w->hub) <= end_ms) {
		w->now_ms = hub_deadline(w->hub) > w->now_ms ? hub_deadline(w->hub) : w->now_ms + 1;
		step(w, &(struct event){ .kind = EVENT_TICK });
		settle(w);
	}
	w->now_ms = end_ms;
}

static void
come(struct world *w, unsigned conn, const struct user *u, bool v1)
{
	w->open[conn] = true;
	w->v1[conn] = v1;
	w->known[conn] = 0;
	step(w,
	    &(struct event){
		.kind = EVENT_CONNECTED, .conn = { conn }, .user = u, .v1 = v1, .shown_id = conn });
	settle(w);
	pass_ms(w, 300);
}

static void
say(struct world *w, unsigned conn, const char *text)
{
	struct refusal refusal;
	struct message m;

	if (!w->open[conn])
		return;
	if (message_read(text, strlen(text), &m, &refusal) == ERR_OK) {
		m.to_role = ROLE_NONE;
		step(w, &(struct event){ .kind = EVENT_MESSAGE, .conn = { conn }, .message = &m });
	} else {
		w->give_up[conn] = true;
	}
	message_fini(&m);
	settle(w);
	pass_ms(w, 10);
}

#define START "{\"type\":\"call_start\",\"id\":\"s\",\"to\":2,\"data\":{\"callId\":\"c\"}}"
#define OFFER                                                                                      \
	"{\"type\":\"signal\",\"id\":\"o\",\"to\":2,\"data\":{\"signalType\":\"offer\","           \
	"\"sdpOrIce\":"                                                                            \
	"\"x\"}}"
#define ANSWER                                                                                     \
	"{\"type\":\"signal\",\"id\":\"a\",\"to\":1,\"data\":{\"signalType\":\"answer\","          \
	"\"sdpOrIce\":\"x\"}}"

/* All that takes memory: on 1 the patient is, on 2 and 3 the doctor, 4 and 5 are who come back. */
static void
live(struct world *w)
{
	struct user renamed = people[2];

	step(w, &(struct event){ .kind = EVENT_CHANGED, .user = &people[2] });
	step(w, &(struct event){ .kind = EVENT_LOADED });
	come(w, 1, &people[0], false);
	come(w, 2, &people[1], true);
	come(w, 3, &people[1], false);
	say(w, 1, "{\"type\":\"chat\",\"id\":\"1\",\"to\":2,\"data\":{\"message\":\"x\"}}");
	say(w, 1, "{\"type\":\"ch\\u0061t\",\"i\\u0064\":\"2\",\"data\":{\"message\":\"x\"}}");
	say(w, 2, "{\"type\":\"set_status\",\"id\":\"3\",\"data\":{\"status\":\"BUSY\"}}");
	say(w, 2, "{\"type\":\"set_status\",\"id\":\"4\",\"data\":{\"status\":\"ONLINE\"}}");
	say(w, 1, "{\"type\":\"chat\",\"id\":\"5\",\"to\":9,\"data\":{\"message\":\"x\"}}");
	snprintf(renamed.name, sizeof(renamed.name), "Dr. Emma");
	step(w, &(struct event){ .kind = EVENT_CHANGED, .user = &renamed });
	pass_ms(w, 300);
	say(w, 1, START);
	say(w, 1, OFFER);
	say(w, 1, OFFER);
	say(w, 2, ANSWER);
	say(w, 3, OFFER);
	if (w->open[2])
		lose(w, 2);
	say(w, 1, OFFER);
	come(w, 4, &people[1], true);
	say(w, 4, "{\"type\":\"call_resume\",\"id\":\"r\",\"data\":{\"callId\":\"c\"}}");
	say(w, 4, ANSWER);
	say(w, 1, "{\"type\":\"call_end\",\"id\":\"e\"}");
	say(w, 1, "{\"type\":\"call_start\",\"id\":\"m\",\"to\":2}");
	say(w, 4, "{\"type\":\"call_reject\",\"id\":\"n\",\"data\":{\"callId\":\"x\"}}");
	if (w->open[1])
		lose(w, 1);
	come(w, 5, &people[0], true);
	w->refuse_writes = true;
	say(w, 5, "{\"type\":\"call_end\",\"id\":\"f\"}");
	w->refuse_writes = false;
	say(w, 5, "{\"type\":\"call_end\",\"id\":\"g\"}");
}

/* Everybody goes, all that waits for its time has it, and then two others call each other. */
static void
assert_in_order(struct world *w)
{
	until_failure = 0;
	settle(w);
	for (unsigned i = 1; i < CONNS; i++) {
		if (w->open[i])
			lose(w, i);
	}
	pass_ms(w, 100 * GRACE_MS);
	assert_int_equal(hub_calls(w->hub), 0);
	w->accepted = w->lists = 0;
	come(w, 10, &people[0], true);
	come(w, 11, &people[1], false);
	say(w, 10, START);
	assert_int_equal(w->accepted, 1);
	assert_true(w->lists >= 2 && w->open[10] && w->open[11]);
	say(w, 10, "{\"type\":\"call_end\",\"id\":\"e\"}");
	assert_int_equal(hub_calls(w->hub), 0);
}

/* False: the scene has ended before the Nth allocation. */
static bool
fail_at(unsigned n, enum visibility visibility)
{
	static struct turn_settings turn;
	const struct hub_settings settings = { .visibility = visibility,
		.presence_grace_ms = GRACE_MS,
		.ring_timeout_ms = 5 * GRACE_MS,
		.call_grace_ms = 2 * GRACE_MS,
		.call_max_ms = 50 * GRACE_MS,
		.turn = &turn,
		.user_connections = 8,
		.list_interval_ms = 200,
		.list_fresh_max = 256 };
	static struct world w; /* its effects are large */
	bool failed;

	w = (struct world){ .hub = hub_new(&settings), .now_ms = 1 };
	assert_non_null(w.hub);
	until_failure = n;
	live(&w);
	failed = until_failure == 0;
	assert_in_order(&w);
	hub_free(w.hub);
	return failed;
}

static void
no_allocation_is_one_that_must_not_fail(void **state)
{
	(void)state;
	for (enum visibility v = VISIBILITY_ALL; v <= VISIBILITY_SCOPED; v++) {
		unsigned n = 1;

		while (fail_at(n, v))
			n++;
		print_message("# %u allocations\n", n - 1);
		assert_true(n > 50);
	}
}

static void
without_memory_there_is_no_hub(void **state)
{
	const struct hub_settings settings = { .presence_grace_ms = 1 };

	(void)state;
	until_failure = 1;
	assert_null(hub_new(&settings));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_allocation_is_one_that_must_not_fail),
		cmocka_unit_test(without_memory_there_is_no_hub),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
