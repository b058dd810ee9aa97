#include "frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "message.h"

struct frame *
frame_ref(struct frame *f)
{
	if (f != NULL)
		f->refs++;
	return f;
}

void
frame_unref(struct frame *f)
{
	if (f != NULL && --f->refs == 0)
		free(f);
}

static const char *const kind_names[FRAME__COUNT] = {
	[FRAME_USERS] = "users",
	[FRAME_PRESENCE] = "presence",
	[FRAME_CHAT] = "chat",
	[FRAME_SIGNAL] = "signal",
	[FRAME_INCOMING_CALL] = "incoming_call",
	[FRAME_CALL_RESPONSE] = "call_response",
	[FRAME_CALL_END] = "call_end",
	[FRAME_CALL_STATE] = "call_state",
	[FRAME_ACK] = "ack",
	[FRAME_ERROR] = "error",
	[FRAME_WELCOME] = "welcome",
	[FRAME_TOKEN_EXPIRING] = "token_expiring",
	[FRAME_GOAWAY] = "goaway",
};

/* The text grows right behind the frame's own members, so nothing is copied at the end. */
void
frame_begin(struct frame_builder *b, enum frame_kind kind)
{
	const struct frame blank = { .refs = 1, .kind = kind };

	buf_init(&b->buf, sizeof(blank) + FRAME_BYTES_MAX);
	buf_add(&b->buf, &blank, offsetof(struct frame, text));
	jw_init(&b->w, &b->buf);
	jw_object(&b->w, NULL);
	jw_string(&b->w, "type", kind_names[kind]);
}

struct frame *
frame_end(struct frame_builder *b)
{
	struct frame *f = (struct frame *)(void *)b->buf.data;

	if (b->buf.failed) {
		buf_fini(&b->buf);
		return NULL;
	}
	f->len = b->buf.len - offsetof(struct frame, text);
	return f;
}

void
frame_stem_keep(struct frame_stem *s)
{
	s->len = s->b.buf.len;
	s->comma = s->b.w.comma;
}

void
frame_stem_fini(struct frame_stem *s)
{
	buf_fini(&s->b.buf);
	*s = (struct frame_stem){ .len = 0 };
}

struct json_writer *
frame_stem_grow(struct frame_stem *s)
{
	s->b.buf.len = s->len;
	s->b.w.comma = s->comma;
	return &s->b.w;
}

struct frame *
frame_stem_end(struct frame_stem *s)
{
	struct frame *f = frame_end(&s->b);

	if (f == NULL)
		frame_stem_fini(s);
	return f;
}

/* The caller goes on, and closes with finish(). */
static struct json_writer *
start(struct frame_builder *b, enum frame_kind kind)
{
	frame_begin(b, kind);
	return &b->w;
}

static struct frame *
finish(struct frame_builder *b)
{
	jw_object_end(&b->w);
	return frame_end(b);
}

struct frame *
frame_error(const char *code, const char *message, const char *re, const char *id)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_ERROR);

	jw_string(w, "code", code);
	jw_string(w, "message", message);
	if (re != NULL)
		jw_string(w, "re", re);
	if (id != NULL)
		jw_string(w, "id", id);
	return finish(&b);
}

/* As it stands; but escapes that made it long are not what all receivers pay for. */
static void
write_text(struct json_writer *w, struct json_raw text)
{
	char *plain;

	if (text.len <= CHAT_CHARS_MAX * UTF8_MAX + strlen("\"\"")) {
		jw_raw(w, "message", text.at, text.len);
	} else if ((plain = malloc(text.len)) == NULL || !json_raw_string(text, plain, text.len)) {
		free(plain);
		buf_fail(w->out);
	} else {
		jw_string(w, "message", plain);
		free(plain);
	}
}

struct frame *
frame_chat(struct user_id from, struct user_id to, struct json_raw text, int64_t wall_ms)
{
	char ts[RFC3339_SIZE];
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_CHAT);

	jw_int(w, "from", from.v);
	if (to.v != 0)
		jw_int(w, "to", to.v);
	jw_object(w, "data");
	write_text(w, text);
	jw_object_end(w);
	jw_string(w, "ts", clock_rfc3339(wall_ms, ts));
	return finish(&b);
}

struct frame *
frame_signal(struct user_id from, struct json_raw data)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_SIGNAL);

	jw_int(w, "from", from.v);
	jw_raw(w, "data", data.at, data.len);
	return finish(&b);
}

struct frame *
frame_incoming_call(struct user_id from, const char *call_id, const char *name,
    int64_t expires_in_ms, const struct turn_grant *grant)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_INCOMING_CALL);

	jw_int(w, "from", from.v);
	jw_object(w, "data");
	jw_string(w, "callId", call_id);
	jw_string(w, "name", name);
	jw_int(w, "expiresInMs", expires_in_ms);
	turn_write(w, "iceServers", grant);
	jw_object_end(w);
	return finish(&b);
}

/* The end of a call_response: its data is complete but for the bracket. */
static struct frame *
finish_response(struct frame_builder *b, const char *id)
{
	jw_object_end(&b->w);
	if (id != NULL)
		jw_string(&b->w, "id", id);
	return finish(b);
}

struct frame *
frame_call_started(
    struct user_id from, const char *call_id, const struct turn_grant *grant, const char *id)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_CALL_RESPONSE);

	jw_int(w, "from", from.v);
	jw_object(w, "data");
	jw_string(w, "callId", call_id);
	jw_bool(w, "ok", true);
	turn_write(w, "iceServers", grant);
	return finish_response(&b, id);
}

struct frame *
frame_call_refused(struct user_id from, const char *call_id, const char *reason, const char *id)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_CALL_RESPONSE);

	jw_int(w, "from", from.v);
	jw_object(w, "data");
	if (call_id != NULL)
		jw_string(w, "callId", call_id);
	jw_bool(w, "ok", false);
	jw_string(w, "reason", reason);
	return finish_response(&b, id);
}

struct frame *
frame_call_end(struct user_id from, const char *call_id, enum call_reason reason)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_CALL_END);

	jw_int(w, "from", from.v);
	jw_object(w, "data");
	jw_string(w, "callId", call_id);
	jw_string(w, "reason", call_reason_name(reason));
	jw_object_end(w);
	return finish(&b);
}

/* {"type":"ack","id":ID,"data":{...: closed with ack_finish(). */
static struct json_writer *
ack_start(struct frame_builder *b, const char *id)
{
	struct json_writer *w = start(b, FRAME_ACK);

	jw_string(w, "id", id);
	jw_object(w, "data");
	return w;
}

static struct frame *
ack_finish(struct frame_builder *b)
{
	jw_object_end(&b->w);
	return finish(b);
}

struct frame *
frame_ack_delivered(const char *id, unsigned delivered)
{
	struct frame_builder b;

	jw_int(ack_start(&b, id), "delivered", delivered);
	return ack_finish(&b);
}

struct frame *
frame_ack_call(const char *id, const char *call_id)
{
	struct frame_builder b;

	jw_string(ack_start(&b, id), "callId", call_id);
	return ack_finish(&b);
}

struct frame *
frame_ack_status(const char *id, enum status status)
{
	struct frame_builder b;

	jw_string(ack_start(&b, id), "status", status_name(status));
	return ack_finish(&b);
}

void
frame_write_user(struct json_writer *w, const char *key, const struct shown_user *u)
{
	jw_object(w, key);
	jw_int(w, "id", u->id.v);
	jw_string(w, "name", u->name);
	jw_string(w, "role", role_name(u->role));
	jw_string(w, "status", status_name(u->status));
	if (u->pending)
		jw_bool(w, "pending", true);
	jw_object_end(w);
}

struct frame *
frame_token_expiring(int64_t in_ms)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_TOKEN_EXPIRING);

	jw_object(w, "data");
	jw_int(w, "inMs", in_ms);
	jw_object_end(w);
	return finish(&b);
}

struct frame *
frame_goaway(const char *reason, int64_t reconnect_in_ms)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_GOAWAY);

	jw_object(w, "data");
	jw_string(w, "reason", reason);
	jw_int(w, "reconnectInMs", reconnect_in_ms);
	jw_object_end(w);
	return finish(&b);
}

struct frame *
frame_ack_token(const char *id, int64_t expires_ms)
{
	char text[RFC3339_SIZE];
	struct frame_builder b;

	jw_string(ack_start(&b, id), "tokenExpiresAt", clock_rfc3339(expires_ms, text));
	return ack_finish(&b);
}

struct frame *
frame_call_state(const char *call_id, enum call_state state, struct user_id peer,
    struct user_id missing, int64_t resume_in_ms)
{
	struct frame_builder b;
	struct json_writer *w = start(&b, FRAME_CALL_STATE);

	jw_object(w, "data");
	jw_string(w, "callId", call_id);
	jw_string(w, "state", call_state_name(state));
	jw_int(w, "peer", peer.v);
	if (missing.v != 0) {
		jw_int(w, "missing", missing.v);
		jw_int(w, "resumeInMs", resume_in_ms);
	}
	jw_object_end(w);
	return finish(&b);
}
