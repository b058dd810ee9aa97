#include "wheel.h"

#include <stddef.h>
#include <utlist.h>

void
wheel_add(struct wheel *w, struct wheel_entry *e, int64_t after_ms)
{
	int64_t seconds = after_ms < 0 ? 1 : after_ms / 1000 + 1;

	if (seconds >= WHEEL_SLOTS)
		seconds = WHEEL_SLOTS - 1;
	e->slot = (w->hand + (unsigned)seconds) % WHEEL_SLOTS;
	DL_APPEND(w->slots[e->slot], e);
}

void
wheel_remove(struct wheel *w, struct wheel_entry *e)
{
	DL_DELETE(w->slots[e->slot], e);
}

void
wheel_hasten(struct wheel *w, struct wheel_entry *e, int64_t after_ms)
{
	unsigned left_s = (e->slot + WHEEL_SLOTS - w->hand) % WHEEL_SLOTS;

	if ((int64_t)left_s * 1000 <= after_ms)
		return;
	wheel_remove(w, e);
	wheel_add(w, e, after_ms);
}

void
wheel_turn(struct wheel *w, wheel_visit_fn *visit, void *context)
{
	struct wheel_entry *due;
	struct wheel_entry *e;
	struct wheel_entry *next;

	w->hand = (w->hand + 1) % WHEEL_SLOTS;
	due = w->slots[w->hand];
	w->slots[w->hand] = NULL;
	DL_FOREACH_SAFE (due, e, next) {
		DL_DELETE(due, e);
		wheel_add(w, e, visit(context, e));
	}
}
