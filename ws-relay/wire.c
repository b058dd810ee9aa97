#include "wire.h"

#include <libwebsockets.h>

#include "metrics/metrics.h"

_Static_assert(FRAME_HEADROOM >= LWS_PRE, "a frame has no room for libwebsockets' header");
_Static_assert((int)FRAME__COUNT == (int)METRIC_TYPES_OUT, "METRIC_MESSAGES_OUT has other types");

enum {
	BACKSTOP_S = 5, /* for a peer that does not take its close frame */
	WRITES_AT_ONCE = 16,
};

bool
wire_is_open(const struct wire *w)
{
	return w->wsi != NULL;
}

bool
wire_is_idle(const struct wire *w)
{
	return w->outbox.count == 0;
}

size_t
wire_waiting(const struct wire *w)
{
	return w->outbox.bytes;
}

void
wire_clear(struct wire *w)
{
	outbox_fini(&w->outbox);
}

void
wire_ask_for_turn(struct wire *w)
{
	lws_callback_on_writable(w->wsi);
}

/* Nothing waits to be written. Whether the kernel has room is not asked, which would be a system
 * call for each message: what it does not take of one, libwebsockets keeps. */
static bool
is_free(const struct wire *w)
{
	return wire_is_idle(w) && !lws_partial_buffered(w->wsi);
}

static enum written
write_frame(struct wire *w, struct frame *f)
{
	/* The header goes into the frame's headroom: the same bytes for every receiver, for a
	 * server never masks. */
	if (lws_write(w->wsi, (unsigned char *)f->text, f->len, LWS_WRITE_TEXT) < 0)
		return WRITE_FAILED;
	metric_add_own(METRIC_MESSAGES_OUT, f->kind, 1);
	metric_add_own(METRIC_BYTES_OUT, 0, (int64_t)f->len);
	return WRITTEN;
}

static enum written
write_list(struct wire *w, wire_list_fn *list, void *context)
{
	uint64_t revision = 0;
	struct frame *f = list(context, &revision);

	if (f == NULL)
		return WRITE_NO_MEMORY;
	if (w->list_revision == revision)
		return WRITTEN;
	w->list_revision = revision;
	return write_frame(w, f);
}

/* What came of adding to the outbox. */
static enum written
queued(struct wire *w, enum err e)
{
	if (e != ERR_OK)
		return e == ERR_TOO_BIG ? WRITE_TOO_MUCH : WRITE_NO_MEMORY;
	wire_ask_for_turn(w);
	return WRITE_QUEUED;
}

enum written
wire_send(struct wire *w, struct frame *frame)
{
	return is_free(w) ? write_frame(w, frame) : queued(w, outbox_add(&w->outbox, frame));
}

enum written
wire_send_list(struct wire *w, wire_list_fn *list, void *context)
{
	return is_free(w) ? write_list(w, list, context) : queued(w, outbox_add_list(&w->outbox));
}

enum written
wire_send_presence(
    struct wire *w, struct frame *frame, uint64_t revision, wire_list_fn *list, void *context)
{
	if (frame == NULL || !is_free(w))
		return wire_send_list(w, list, context);
	w->list_revision = revision;
	return write_frame(w, frame);
}

enum written
wire_go_on(struct wire *w, wire_list_fn *list, void *context)
{
	enum written got = WRITTEN;
	struct frame *f;

	for (int i = 0; got == WRITTEN && i < WRITES_AT_ONCE; i++) {
		if (lws_partial_buffered(w->wsi) || !outbox_take(&w->outbox, &f))
			break;
		got = f == NULL ? write_list(w, list, context) : write_frame(w, f);
		frame_unref(f);
	}
	if (got == WRITTEN && !wire_is_idle(w))
		wire_ask_for_turn(w);
	return got;
}

bool
wire_ping(struct wire *w)
{
	unsigned char ping[LWS_PRE + 1] = {
		0
	}; /* libwebsockets tells nothing of the pong to an empty one */

	return lws_write(w->wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) >= 0;
}

void
wire_begin_end(struct wire *w)
{
	lws_set_timeout(w->wsi, PENDING_TIMEOUT_USER_REASON_BASE, BACKSTOP_S);
	wire_ask_for_turn(w);
}

void
wire_say_goodbye(struct wire *w, enum close_code code)
{
	lws_close_reason(w->wsi, (enum lws_close_status)code, NULL, 0);
}

void
wire_kill(struct wire *w)
{
	lws_set_timeout(w->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}
