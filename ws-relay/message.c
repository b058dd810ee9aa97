#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* What has been read so far, and where a broken rule is put. */
struct reader {
	struct json_raw data; /* the member "data" */
	struct message *m;
	struct refusal *r;
};

enum { WORD_SIZE = 16 }; /* any of the contract's words, with its end */

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
	struct json_raw text = json_raw_member(rd->data, "message");

	if (!json_raw_is_string(text))
		return bad_message(rd, "data.message must be a string");
	if (text.len == strlen("\"\""))
		return bad_message(rd, "data.message must not be empty");
	/* No character takes less than a byte. */
	if (text.len > CHAT_CHARS_MAX + strlen("\"\"") && json_raw_chars(text) > CHAT_CHARS_MAX)
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
	char kind[WORD_SIZE];

	if (need_to(rd) != ERR_OK)
		return ERR_INVALID;
	(void)json_raw_string(json_raw_member(rd->data, "signalType"), kind, sizeof(kind));
	for (unsigned i = SIGNAL_OFFER; i < COUNT_OF(kinds); i++) {
		if (strcmp(kind, kinds[i]) == 0)
			rd->m->signal = (enum signal_kind)i;
	}
	if (rd->m->signal == SIGNAL_NONE)
		return bad_message(rd, "data.signalType must be offer, answer or ice-candidate");
	if (json_raw_member(rd->data, "sdpOrIce").at == NULL)
		return bad_message(rd, "data.sdpOrIce must be given");
	rd->m->data = rd->data;
	return ERR_OK;
}

/* data.callId where there is one; *BROKEN: it is not a call id. */
static void
read_call_id(struct reader *rd, bool *broken)
{
	struct json_raw id = json_raw_member(rd->data, "callId");
	struct message *m = rd->m;

	*broken = id.at != NULL &&
		  (!json_raw_string(id, m->call_id_room, sizeof(m->call_id_room)) ||
		      !call_id_ok(m->call_id_room));
	m->call_id = id.at == NULL || *broken ? NULL : m->call_id_room;
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
	struct json_raw reason = json_raw_member(rd->data, "reason");
	bool broken;

	read_call_id(rd, &broken);
	if (broken)
		return bad_message(rd, "data.callId must be 1 to 64 of A-Z a-z 0-9 . _ : -");
	if (reason.at != NULL && !json_raw_is_string(reason))
		return bad_message(rd, "data.reason must be a string");
	return ERR_OK;
}

static enum err
read_call_accept(struct reader *rd)
{
	if (json_raw_member(rd->data, "callId").at == NULL)
		return bad_message(rd, "data.callId must be given");
	return read_call_end(rd);
}

static enum err
read_set_status(struct reader *rd)
{
	char status[WORD_SIZE];

	(void)json_raw_string(json_raw_member(rd->data, "status"), status, sizeof(status));
	rd->m->status = status_from_name(status);
	if (rd->m->status == STATUS_NONE)
		return bad_message(rd, "data.status must be ONLINE, BUSY or OFFLINE");
	return ERR_OK;
}

static enum err
read_token_refresh(struct reader *rd)
{
	rd->m->token = json_raw_member(rd->data, "token");
	return json_raw_is_string(rd->m->token) ? ERR_OK
						: bad_message(rd, "data.token must be a string");
}

static const struct {
	const char *type;
	unsigned cost;
	read_fn *read;
	bool data_optional;
} shapes[MESSAGE__COUNT] = {
	[MESSAGE_UNKNOWN] = { "", 1, NULL, false },
	[MESSAGE_CHAT] = { "chat", 1, read_chat, false },
	[MESSAGE_SIGNAL] = { "signal", 1, read_signal, false },
	[MESSAGE_CALL_START] = { "call_start", 2, read_call_start, true },
	[MESSAGE_CALL_END] = { "call_end", 1, read_call_end, true },
	[MESSAGE_CALL_ACCEPT] = { "call_accept", 1, read_call_accept, false },
	[MESSAGE_CALL_REJECT] = { "call_reject", 1, read_call_accept, false },
	[MESSAGE_CALL_RESUME] = { "call_resume", 1, read_call_accept, false },
	[MESSAGE_TOKEN_REFRESH] = { "token_refresh", 4, read_token_refresh, false },
	[MESSAGE_SET_STATUS] = { "set_status", 2, read_set_status, false },
};

unsigned
message_cost(enum message_type type)
{
	return shapes[type].cost;
}

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

static bool
read_id(struct message *m, struct json_raw id)
{
	if (id.at == NULL)
		return true;
	if (!json_raw_string(id, m->id_room, sizeof(m->id_room)) || m->id_room[0] == '\0' ||
	    utf8_count(m->id_room, strlen(m->id_room)) > CLIENT_ID_MAX)
		return false;
	m->id = m->id_room;
	return true;
}

/* The members that every message may have. The id first: from then on an answer can carry it. */
static enum err
read_common(struct reader *rd, struct json_raw root)
{
	struct message *m = rd->m;
	struct json_raw to = json_raw_member(root, "to");
	struct json_raw type = json_raw_member(root, "type");

	if (json_raw_string(type, m->type_room, sizeof(m->type_room)))
		m->type_text = m->type_room;
	if (!read_id(m, json_raw_member(root, "id")))
		return bad_message(rd, "id must be a string of 1 to 64 characters");
	if (!json_raw_is_string(type))
		return bad_message(rd, "type must be a string");
	m->type = type_from_name(m->type_room);
	if (m->type == MESSAGE_UNKNOWN)
		return bad(rd->r, "unknown_type", "There is no message of this type");
	if (to.at != NULL && !json_raw_id(to, &m->to.v))
		return bad_message(rd, "to must be the id of a user");
	return ERR_OK;
}

enum err
message_read(const char *text, size_t len, struct message *out, struct refusal *r)
{
	struct reader rd = { .m = out, .r = r };
	struct json_raw root;
	enum err e;

	*out = (struct message){ .type = MESSAGE_UNKNOWN };
	if ((e = json_raw_parse(text, len, &root, &out->rewritten, r->why)) != ERR_OK)
		return e == ERR_INVALID ? bad(r, "bad_json", r->why) : e;
	if (!json_raw_is_object(root))
		return bad(r, "bad_json", "A message is an object");
	if ((e = read_common(&rd, root)) != ERR_OK)
		return e;
	rd.data = json_raw_member(root, "data");
	if (rd.data.at == NULL ? !shapes[out->type].data_optional : !json_raw_is_object(rd.data))
		return bad_message(&rd, "data must be an object");
	return shapes[out->type].read(&rd);
}

void
message_fini(struct message *m)
{
	free(m->rewritten);
	m->rewritten = NULL;
}
