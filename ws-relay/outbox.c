#include "outbox.h"

#include <stdlib.h>

static bool
grow(struct outbox *o)
{
	unsigned cap = o->cap == 0 ? 4 : o->cap * 2;
	struct frame **ring;

	if ((ring = calloc(cap, sizeof(struct frame *))) == NULL)
		return false;
	for (unsigned i = 0; i < o->count; i++)
		ring[i] = o->ring[(o->head + i) & (o->cap - 1)];
	free(o->ring);
	o->ring = ring;
	o->head = 0;
	o->cap = cap;
	return true;
}

static bool
put(struct outbox *o, struct frame *frame)
{
	if (o->count == o->cap && !grow(o))
		return false;
	o->ring[(o->head + o->count++) & (o->cap - 1)] = frame;
	return true;
}

void
outbox_fini(struct outbox *o)
{
	struct frame *frame;

	while (outbox_take(o, &frame))
		frame_unref(frame);
	free(o->ring);
	*o = (struct outbox){ .ring = NULL };
}

enum err
outbox_add(struct outbox *o, struct frame *frame)
{
	if (frame->len > OUTBOX_BYTES_MAX - o->bytes || o->count >= OUTBOX_FRAMES_MAX)
		return ERR_TOO_BIG;
	if (!put(o, frame))
		return ERR_SYSTEM;
	frame_ref(frame);
	o->bytes += frame->len;
	return ERR_OK;
}

enum err
outbox_add_list(struct outbox *o)
{
	if (o->has_list)
		return ERR_OK;
	if (!put(o, NULL))
		return ERR_SYSTEM;
	o->has_list = true;
	return ERR_OK;
}

bool
outbox_take(struct outbox *o, struct frame **frame)
{
	if (o->count == 0)
		return false;
	*frame = o->ring[o->head];
	o->head = (o->head + 1) & (o->cap - 1);
	o->count--;
	if (*frame == NULL)
		o->has_list = false;
	else
		o->bytes -= (*frame)->len;
	if (o->count == 0) { /* most connections have nothing waiting most of the time */
		free(o->ring);
		o->ring = NULL;
		o->cap = 0;
	}
	return true;
}
