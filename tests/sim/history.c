/* A history: its settings and people, what happens, and how it ends. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { EVENTS_MIN = 60, EVENTS_SPREAD = 180, ACTS_MAX = 4000 };

const char *const rules[RULE__COUNT] = {
	[RULE_FRAMES] = "every frame is a message of the contract",
	[RULE_ONE_CALL] = "nobody is in two live calls, nor told so",
	[RULE_LIST] =
	    "the newest list shows who is there, and BUSY where there is a call or a choice",
	[RULE_LIST_SENT] = "every client is sent the newest list, and soon",
	[RULE_RESPONSE] = "every call_start has one call_response, and a call rings everywhere",
	[RULE_REFUSAL] = "what is refused must be, for the reason given, and nothing else is",
	[RULE_ANSWER] = "every message with an id has one answer, and a true one",
	[RULE_COMMITTED] = "nothing is promised before it is stored",
	[RULE_END] = "every connection in a call hears of its end, once",
	[RULE_REASON] = "a call ends for the reason that is given",
	[RULE_TIMERS] = "a call that is due to end ends",
	[RULE_ORDER] = "the signals of a call arrive all and in order",
	[RULE_THIRD_PARTY] = "nothing reaches, or comes from, a third party",
	[RULE_BOUNDS] = "effects, kept signals and the deadline keep their bounds",
	[RULE_MEMORY] = "the hub knows whom it must, and nobody else",
	[RULE_STORE] = "what is stored comes in order and fits what is there",
	[RULE_WELCOME] = "welcome comes first and is true, and only telemed.v1 gets what it adds",
	[RULE_PRESENCE] = "who puts the changes together knows the newest list",
	[RULE_CALL_STATE] = "call_state is true, and comes at every change",
	[RULE_RESUME] = "a call is on the connection that has it, and moves by call_resume",
	[RULE_ASKED] = "a call that is answered is on connections that have asked for it",
	[RULE_FAREWELL] = "a call that a restart has ended is told once to who comes back",
	[RULE_ICE] = "who is told of a call is told of its servers, with credentials of her own",
	[RULE_UNSEEN] =
	    "nobody can tell from what she is sent that one is there whom she is not shown",
	[RULE_REST] = "at rest no call is live, and the store says what is so",
};

void
broken(struct world *w, enum rule rule, const char *fmt, ...)
{
	va_list ap;

	if (w->broken)
		return;
	w->broken = true;
	w->rule = rule;
	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	trace(w, "BROKEN: %s: %s", rules[rule], w->why);
}

void
trace(const struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	printf("# %4u %10lld ", w->events, (long long)w->now_ms);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static int64_t
any_of(struct world *w, const int64_t *list, unsigned n)
{
	return list[prng_below(&w->prng, n)];
}

static void
choose_settings(struct world *w)
{
	static const int64_t graces[] = { 1000, 10000, 60000 };
	static const int64_t rings[] = { 5000, 45000 };
	static const int64_t call_graces[] = { 2000, 30000 };
	static const int64_t longest[] = { 20000, 600000, INT64_C(4) * 3600 * 1000 };

	w->settings = (struct hub_settings){
		.visibility = w->seed / 12 % 2 == 0 ? VISIBILITY_SCOPED : VISIBILITY_ALL,
		.presence_grace_ms = any_of(w, graces, COUNT_OF(graces)),
		.ring_timeout_ms = any_of(w, rings, COUNT_OF(rings)),
		.call_grace_ms = any_of(w, call_graces, COUNT_OF(call_graces)),
		.call_max_ms = any_of(w, longest, COUNT_OF(longest)),
		.turn = &w->turn,
		.heartbeat_ms = 25000,
		.messages_per_s = 50,
		.user_connections = CLIENTS_EACH_MAX,
		.list_interval_ms = 100,
		.list_fresh_max = w->seed % 3 == 0 ? 0 : PEOPLE_MAX / 2,
	};
}

/* Nothing, a STUN server, a TURN server, or all there can be. By the seed alone, so that it is the
 * same history with each. */
static void
choose_turn(struct world *w)
{
	static const struct {
		const char *urls, *secrets;
	} all[] = {
		{ "", "" },
		{ "stun:stun.example", "" },
		{ "turn:turn.example", "0123456789abcdef" },
		{ "turn:turn.example,stun:stun.example,turns:turn.example?transport=tcp",
		    "0123456789abcdef,a-new-secret-of-thirty-two-bytes" },
	};
	size_t i = w->seed % COUNT_OF(all);

	w->turn = (struct turn_settings){ .url_count = 0 };
	if (turn_urls_read(&w->turn, all[i].urls) != ERR_OK ||
	    turn_secrets_read(&w->turn, all[i].secrets) != ERR_OK)
		abort();
}

static void
choose_habits(struct world *w)
{
	static const unsigned often[] = { 100, 60, 30, 10 };
	static const unsigned failing[] = { 0, 0, 5, 40 };

	w->habits = (struct habits){
		.connect = 8 + prng_below(&w->prng, 3) * 8,
		.store = often[prng_below(&w->prng, COUNT_OF(often))],
		.deliver = often[prng_below(&w->prng, COUNT_OF(often))],
		.crash = prng_chance(&w->prng, 50) ? 15 : 0,
		.flood = prng_chance(&w->prng, 20) ? 30 : 0,
	};
	w->store.fail_percent = failing[prng_below(&w->prng, COUNT_OF(failing))];
	w->store.conflict_percent = w->store.fail_percent;
	w->store.rest_percent = prng_chance(&w->prng, 30) ? 20 : 0;
}

static void
populate(struct world *w)
{
	unsigned doctors = 1 + prng_below(&w->prng, 3);

	w->people = doctors + 1 + prng_below(&w->prng, 4);
	for (unsigned i = 0; i < w->people; i++) {
		struct person *p = &w->person[i];

		*p = (struct person){ .row = { .id = { i + 1 },
					  .role = i < doctors ? ROLE_DOCTOR : ROLE_PATIENT,
					  .status = STATUS_OFFLINE } };
		snprintf(p->row.name, sizeof(p->row.name), "%s \"%c\" \\{\xc3\xa9}",
		    i < doctors ? "Dr." : "Patient", 'A' + (char)i);
		p->row.pending = i < doctors && prng_chance(&w->prng, 15);
	}
}

void
world_begin(struct world *w, uint64_t seed)
{
	w->prng.state = w->seed = seed;
	w->broken = false;
	w->events = w->said_count = w->last_serial = w->life = 0;
	w->current = NULL;
	w->store.calls = 0;
	w->store.revision = 0;
	w->now_ms = prng_chance(&w->prng, 50) ? 1 : INT64_C(1) << 40;
	w->wall_ms = INT64_C(1800000000000);
	choose_settings(w);
	choose_turn(w);
	choose_habits(w);
	populate(w);
}

void
world_end(struct world *w)
{
	if (!w->broken)
		rest(w);
	if (w->hub != NULL)
		shell_crash(w);
}

void
run_history(struct world *w, uint64_t seed)
{
	unsigned events;

	world_begin(w, seed);
	events = EVENTS_MIN + prng_below(&w->prng, EVENTS_SPREAD);
	shell_start(w);
	for (unsigned i = 0; i < ACTS_MAX && w->events < events && !w->broken; i++)
		act(w);
	world_end(w);
}
