/* A timing wheel, for what is to be looked after within a second of its time: adding, moving and
 * taking out cost the same however much is on it. */
#pragma once

#include <stdint.h>

enum {
	WHEEL_SLOTS = 32
}; /* of a second each: nothing is put off for longer than WHEEL_SLOTS - 1 */

/* Stands in what is to be looked after, which owns it. */
struct wheel_entry {
	unsigned slot;
	struct wheel_entry *prev;
	struct wheel_entry *next;
};

/* All zeros: an empty one. */
struct wheel {
	struct wheel_entry *slots[WHEEL_SLOTS];
	unsigned hand;
};

/* Has E, which is on no wheel, visited AFTER_MS from now, within a second. */
void wheel_add(struct wheel *w, struct wheel_entry *e, int64_t after_ms);
void wheel_remove(struct wheel *w, struct wheel_entry *e);

/* Has E, which is on W, visited AFTER_MS from now, unless it is sooner anyway. */
void wheel_hasten(struct wheel *w, struct wheel_entry *e, int64_t after_ms);

/* Looks after E and returns in how many milliseconds to do so again. It must not touch the wheel.
 */
typedef int64_t wheel_visit_fn(void *context, struct wheel_entry *e);

/* Once a second: visits those whose time has come. */
void wheel_turn(struct wheel *w, wheel_visit_fn *visit, void *context);
