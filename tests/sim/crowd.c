/* More timers due at one moment than one step has effects for. */
#include <stdio.h>

#include "world.h"

enum { CROWD = 3000, GRACE_MS = 10000 };

/* Everybody comes, or everybody goes; all of it at NOW_MS. */
static void
all_do(struct hub *h, enum event_kind kind, int64_t now_ms, struct effects *fx)
{
	for (int64_t i = 1; i <= CROWD; i++) {
		struct user u = { .id = { i }, .role = ROLE_PATIENT, .status = STATUS_OFFLINE };
		struct event ev = { .kind = kind, .conn = { (uint64_t)i }, .user = &u };

		hub_step(h, &ev, now_ms, now_ms, fx);
		effects_fini(fx);
	}
}

static unsigned
count_writes(const struct effects *fx)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fx->count; i++)
		n += fx->list[i].kind == EFFECT_PERSIST ? 1 : 0;
	return n;
}

const char *
crowd_leaves(struct effects *fx)
{
	const struct hub_settings settings = { .presence_grace_ms = GRACE_MS,
		.ring_timeout_ms = 1000,
		.call_grace_ms = 1000,
		.call_max_ms = 1000,
		.list_interval_ms = 100 };
	struct hub *h = hub_new(&settings);
	unsigned writes = 0;
	unsigned steps = 0;

	hub_step(h, &(struct event){ .kind = EVENT_LOADED }, 1, 1, fx);
	effects_fini(fx);
	all_do(h, EVENT_CONNECTED, 1, fx);
	all_do(h, EVENT_LOST, 1, fx);
	for (; steps < CROWD && hub_deadline(h) <= 1 + GRACE_MS; steps++) {
		hub_step(h, &(struct event){ .kind = EVENT_TICK }, 1 + GRACE_MS, 1, fx);
		writes += count_writes(fx);
		effects_fini(fx);
	}
	hub_free(h);
	if (writes != CROWD)
		return "not everybody is stored as absent";
	return steps > 1 ? NULL : "all of it came in one step";
}
