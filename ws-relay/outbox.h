/* What is still to be written to one connection. Bounded; and the user list in it is a place, not a
 * copy: whatever the list is when its turn comes is what is sent, so a slow reader gets only the
 * newest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

enum { OUTBOX_BYTES_MAX = 1 << 20, OUTBOX_FRAMES_MAX = 16384 };

struct outbox {
	struct frame **ring; /* NULL in it: the user list */
	size_t bytes;	     /* of the frames, without the list */
	unsigned head;
	unsigned count;
	unsigned cap; /* a power of two, or 0 */
	bool has_list;
};

void outbox_fini(
    struct outbox *o); /* gives the frames back; O is empty then, and can be used again */

/* Adds FRAME and takes a reference. ERR_TOO_BIG: past the bound; ERR_SYSTEM: out of memory; neither
 * changes O. */
MUST_USE enum err outbox_add(struct outbox *o, struct frame *frame);

/* Adds the user list, unless it waits already. ERR_SYSTEM: out of memory. */
MUST_USE enum err outbox_add_list(struct outbox *o);

/* Takes the oldest; false: there is none. *FRAME is then the caller's reference, or NULL: the user
 * list is due. */
bool outbox_take(struct outbox *o, struct frame **frame);
