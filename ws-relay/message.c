#include "message.h"

#include <string.h>

#include "base/str.h"

/* What has been read so far, and where a broken rule is put. */
struct reader {
	const char *text;
	size_t len;
	const struct json *data; /* the member "data", NULL: none */
	struct message *m;
	struct refusal *r;
};

enum { TYPE_MAX = 64 };

typedef enum err read_fn(struct reader *rd);

static enum err
bad(struct refusal *r, const char *code, const char *message)
{
	r->code = code;
	r->message = message;
	return ERR_INVALID;
}

static enum err
bad_message(struct reader *rd, const char *message)
{
	return bad(rd->r, "bad_message", message);
}

static enum err
need_to(struct reader *rd)
{
	return rd->m->to.v != 0 ? ERR_OK : bad_message(rd, "to must be given");
}

static enum err
read_chat(struct reader *rd)
{
	const char *text = json_string(json_member(rd->data, "message"));
	size_t len;

	if (text == NULL)
		return bad_message(rd, "data.message must be a string");
	if (text[0] == '\0')
		return bad_message(rd, "data.message must not be empty");
	len = strlen(text);
	if (len > CHAT_CHARS_MAX && utf8_count(text, len) > CHAT_CHARS_MAX)
		return bad_message(rd, "data.message must have at most 4000 characters");
	rd->m->text = text;
	return ERR_OK;
}

static enum err
read_signal(struct reader *rd)
{
	static const char *const kinds[] = {
		[SIGNAL_OFFER] = "offer",
		[SIGNAL_ANSWER] = "answer",
		[SIGNAL_CANDIDATE] = "ice-candidate",
	};
	const char *kind = json_string(json_member(rd->data, "signalType"));

	if (need_to(rd) != ERR_OK)
		return ERR_INVALID;
	for (unsigned i = SIGNAL_OFFER; kind != NULL && i < COUNT_OF(kinds); i++) {
		if (strcmp(kind, kinds[i]) == 0)
			rd->m->signal = (enum signal_kind)i;
	}
	if (rd->m->signal == SIGNAL_NONE)
		return bad_message(rd, "data.signalType must be offer, answer or ice-candidate");
	if (json_member(rd->data, "sdpOrIce") == NULL)
		return bad_message(rd, "data.sdpOrIce must be given");
	if (!json_raw_member(rd->text, rd->len, "data", &rd->m->data, &rd->m->data_len))
		return bad_message(rd, "data must be written without escapes in its key");
	return ERR_OK;
}

/* data.callId where there is one; *BROKEN: it is not a call id. */
static void
read_call_id(struct reader *rd, bool *broken)
{
	const struct json *member = json_member(rd->data, "callId");
	const char *id = json_string(member);

	*broken = member != NULL && (id == NULL || !call_id_ok(id));
	rd->m->call_id = *broken ? NULL : id;
}

static enum err
read_call_start(struct reader *rd)
{
	if (need_to(rd) != ERR_OK)
		return ERR_INVALID;
	/* Answered with a call_response like every other refusal of a call. */
	read_call_id(rd, &rd->m->bad_call_id);
	return ERR_OK;
}

static enum err
read_call_end(struct reader *rd)
{
	const struct json *reason = json_member(rd->data, "reason");
	bool broken;

	read_call_id(rd, &broken);
	if (broken)
		return bad_message(rd, "data.callId must be 1 to 64 of A-Z a-z 0-9 . _ : -");
	if (reason != NULL && json_string(reason) == NULL)
		return bad_message(rd, "data.reason must be a string");
	return ERR_OK;
}

static enum err
read_call_accept(struct reader *rd)
{
	if (json_member(rd->data, "callId") == NULL)
		return bad_message(rd, "data.callId must be given");
	return read_call_end(rd);
}

static enum err
read_set_status(struct reader *rd)
{
	rd->m->status = status_from_name(json_string(json_member(rd->data, "status")));
	if (rd->m->status == STATUS_NONE)
		return bad_message(rd, "data.status must be ONLINE, BUSY or OFFLINE");
	return ERR_OK;
}

static enum err
read_token_refresh(struct reader *rd)
{
	rd->m->token = json_string(json_member(rd->data, "token"));
	return rd->m->token != NULL ? ERR_OK : bad_message(rd, "data.token must be a string");
}

static const struct {
	const char *type;
	read_fn *read;
	bool data_optional;
} shapes[MESSAGE__COUNT] = {
	[MESSAGE_CHAT] = { "chat", read_chat, false },
	[MESSAGE_SIGNAL] = { "signal", read_signal, false },
	[MESSAGE_CALL_START] = { "call_start", read_call_start, true },
	[MESSAGE_CALL_END] = { "call_end", read_call_end, true },
	[MESSAGE_CALL_ACCEPT] = { "call_accept", read_call_accept, false },
	[MESSAGE_CALL_REJECT] = { "call_reject", read_call_accept, false },
	[MESSAGE_CALL_RESUME] = { "call_resume", read_call_accept, false },
	[MESSAGE_TOKEN_REFRESH] = { "token_refresh", read_token_refresh, false },
	[MESSAGE_SET_STATUS] = { "set_status", read_set_status, false },
};

const char *
message_type_name(enum message_type type)
{
	return shapes[type].type;
}

static enum message_type
type_from_name(const char *name)
{
	for (unsigned i = 1; i < MESSAGE__COUNT; i++) {
		if (strcmp(shapes[i].type, name) == 0)
			return (enum message_type)i;
	}
	return MESSAGE_UNKNOWN;
}

/* The members that every message may have. The id first: from then on an answer can carry it. */
static enum err
read_common(struct reader *rd)
{
	struct message *m = rd->m;
	const struct json *id = json_member(m->json, "id");
	const struct json *to = json_member(m->json, "to");
	const char *type = json_string(json_member(m->json, "type"));
	const char *text = json_string(id);

	if (type != NULL && strlen(type) <= TYPE_MAX)
		m->type_text = type; /* longer, it is not said again */
	if (id != NULL &&
	    (text == NULL || text[0] == '\0' || utf8_count(text, strlen(text)) > CLIENT_ID_MAX))
		return bad_message(rd, "id must be a string of 1 to 64 characters");
	m->id = text;
	if (type == NULL)
		return bad_message(rd, "type must be a string");
	m->type = type_from_name(type);
	if (m->type == MESSAGE_UNKNOWN)
		return bad(rd->r, "unknown_type", "There is no message of this type");
	if (to != NULL && !json_id(to, &m->to.v))
		return bad_message(rd, "to must be the id of a user");
	return ERR_OK;
}

enum err
message_read(const char *text, size_t len, struct message *out, struct refusal *r)
{
	struct reader rd = { .text = text, .len = len, .m = out, .r = r };
	enum err e;

	*out = (struct message){ .type = MESSAGE_UNKNOWN };
	if ((e = json_parse(text, len, &out->json, r->why)) != ERR_OK)
		return e == ERR_INVALID ? bad(r, "bad_json", r->why) : e;
	if (!json_is_object(out->json))
		return bad(r, "bad_json", "A message is an object");
	if ((e = read_common(&rd)) != ERR_OK)
		return e;
	rd.data = json_member(out->json, "data");
	if (rd.data == NULL ? !shapes[out->type].data_optional : !json_is_object(rd.data))
		return bad_message(&rd, "data must be an object");
	return shapes[out->type].read(&rd);
}

void
message_fini(struct message *m)
{
	json_free(m->json);
	m->json = NULL;
}
