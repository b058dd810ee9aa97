/* A WebSocket message, read by the relay and by a reader of our own that knows nothing but
 * docs/protocol.md: they refuse the same for the same reason, and read the same out of the rest. */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "frame.h"
#include "fuzz.h"
#include "strict.h"

/* What a message says. */
struct right {
	const char *code; /* NULL: it is taken */
	enum message_type type;
	int64_t to;
	const char *id;
	const struct strict *data;
};

static const struct strict *
member(const struct strict *object, const char *key)
{
	return strict_is_object(object) ? strict_member(object, key) : NULL;
}

static bool
is_one_of(const char *text, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (text != NULL && strcmp(text, *list) == 0)
			return true;
	}
	return false;
}

/* An id of a user: 1 to 2^53 - 1, as a number or in decimal without anything more. */
static bool
right_user(const struct strict *v, int64_t *out)
{
	const char *text = strict_string(v);
	char again[32];
	double d;

	if (text != NULL) {
		*out = strtoll(text, NULL, 10);
		snprintf(again, sizeof(again), "%lld", (long long)*out);
		return strcmp(again, text) == 0 && *out >= 1 && *out < INT64_C(1) << 53;
	}
	if (!strict_number(v, &d) || !(d >= 1 && d < 9007199254740992.0))
		return false;
	*out = (int64_t)d;
	return (double)*out == d;
}

static bool
right_call_id(const struct strict *v)
{
	const char *id = strict_string(v);
	size_t len = id == NULL ? 0 : strlen(id);

	return len >= 1 && len <= 64 &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") ==
		   len;
}

static bool
right_chat(const struct strict *data)
{
	const char *text = strict_string(member(data, "message"));

	return text != NULL && text[0] != '\0' && utf8_count(text, strlen(text)) <= 4000;
}

static bool
right_signal(const struct right *m)
{
	static const char *const kinds[] = { "offer", "answer", "ice-candidate", NULL };

	return m->to != 0 && is_one_of(strict_string(member(m->data, "signalType")), kinds) &&
	       member(m->data, "sdpOrIce") != NULL;
}

/* Of call_end, and of those that must name the call. */
static bool
right_end(const struct strict *data, bool must_name)
{
	const struct strict *id = member(data, "callId");
	const struct strict *reason = member(data, "reason");

	return (id == NULL ? !must_name : right_call_id(id)) &&
	       (reason == NULL || strict_string(reason) != NULL);
}

static bool
right_data(const struct right *m)
{
	static const char *const statuses[] = { "ONLINE", "BUSY", "OFFLINE", NULL };

	switch (m->type) {
	case MESSAGE_CHAT:
		return right_chat(m->data);
	case MESSAGE_SIGNAL:
		return right_signal(m);
	case MESSAGE_CALL_START:
		return m->to != 0; /* a bad callId is for a call_response to refuse */
	case MESSAGE_CALL_END:
		return right_end(m->data, false);
	case MESSAGE_SET_STATUS:
		return is_one_of(strict_string(member(m->data, "status")), statuses);
	case MESSAGE_TOKEN_REFRESH:
		return strict_string(member(m->data, "token")) != NULL;
	default:
		return right_end(m->data, true);
	}
}

static enum message_type
right_type(const char *name)
{
	static const char *const names[MESSAGE__COUNT] = { "", "chat", "signal", "call_start",
		"call_end", "call_accept", "call_reject", "call_resume", "set_status",
		"token_refresh" };

	for (unsigned i = 1; i < MESSAGE__COUNT; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum message_type)i;
	}
	return MESSAGE_UNKNOWN;
}

static void
read_right(const struct strict *root, struct right *m)
{
	const struct strict *id = member(root, "id");
	const struct strict *to = member(root, "to");
	const char *type = strict_string(member(root, "type"));
	bool optional;

	m->code = "bad_message";
	m->id = strict_string(id);
	if (id != NULL &&
	    (m->id == NULL || m->id[0] == '\0' || utf8_count(m->id, strlen(m->id)) > 64))
		return;
	if (type == NULL)
		return;
	m->type = right_type(type);
	if (m->type == MESSAGE_UNKNOWN)
		m->code = "unknown_type";
	m->data = member(root, "data");
	optional = m->type == MESSAGE_CALL_START || m->type == MESSAGE_CALL_END;
	if (m->type == MESSAGE_UNKNOWN || (to != NULL && !right_user(to, &m->to)) ||
	    (m->data == NULL ? !optional : !strict_is_object(m->data)) || !right_data(m))
		return;
	m->code = NULL;
}

static bool
same(const char *ours, const struct strict *right)
{
	const char *text = strict_string(right);

	return (ours == NULL) == (text == NULL) && (ours == NULL || strcmp(ours, text) == 0);
}

/* A frame of ours says the same again under "data", or under KEY in it; it goes. */
static void
check_frame(struct frame *f, const char *key, const struct strict *right)
{
	struct strict *root = strict_read(f->text, f->len);
	const struct strict *said = member(root, "data");

	if (key != NULL)
		said = member(said, key);
	MUST(said != NULL && strict_same(said, right));
	strict_free(root);
	frame_unref(f);
}

/* As token_refresh has it. */
static void
check_token(struct json_raw token, const struct strict *right)
{
	static char text[1 << 16];

	MUST(json_raw_string(token, text, sizeof(text)));
	MUST(strcmp(text, strict_string(right)) == 0);
}

static void
check_taken(const struct message *m, const struct right *right)
{
	const struct user_id from = { 7 };

	MUST(m->type == right->type && m->to.v == right->to);
	MUST((m->id == NULL) == (right->id == NULL));
	MUST(m->id == NULL || strcmp(m->id, right->id) == 0);
	if (m->type == MESSAGE_CHAT)
		check_frame(
		    frame_chat(from, m->to, m->text, 0), "message", member(right->data, "message"));
	if (m->type == MESSAGE_SIGNAL)
		check_frame(frame_signal(from, m->data), NULL, right->data);
	if (m->type == MESSAGE_SET_STATUS)
		MUST(same(status_name(m->status), member(right->data, "status")));
	if (m->type == MESSAGE_TOKEN_REFRESH)
		check_token(m->token, member(right->data, "token"));
	if (m->type == MESSAGE_CALL_START)
		MUST(m->bad_call_id == (member(right->data, "callId") != NULL &&
					   !right_call_id(member(right->data, "callId"))));
	if (m->call_id != NULL)
		MUST(same(m->call_id, member(right->data, "callId")));
}

/* A refusal as it is sent. */
static void
check_refusal(const struct message *m, const struct refusal *r)
{
	struct frame *f = frame_error(r->code, r->message, m->type_text, m->id);
	struct strict *root = strict_read(f->text, f->len);

	MUST(strcmp(strict_string(member(root, "code")), r->code) == 0);
	strict_free(root);
	frame_unref(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_bytes(data, size);
	struct strict *root = strict_read(text, size);
	struct right right = { .code = "bad_json" };
	struct refusal r = { .code = NULL };
	struct message m;
	enum err e = message_read(text, size, &m, &r);

	if (strict_is_object(root) && strict_is_within(root, text, size))
		read_right(root, &right);
	MUST(e == (right.code == NULL ? ERR_OK : ERR_INVALID));
	if (e == ERR_OK) {
		check_taken(&m, &right);
	} else {
		MUST(strcmp(r.code, right.code) == 0);
		check_refusal(&m, &r);
	}
	message_fini(&m);
	strict_free(root);
	free(text);
	return 0;
}
