/* What a client has asked for, read out of one WebSocket message and checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "domain/call.h"
#include "domain/user.h"
#include "json/json.h"

enum {
	MESSAGE_BYTES_MAX = 64 << 10,
	CHAT_CHARS_MAX = 4000,
	MESSAGE_TYPE_MAX = 64, /* bytes of a type that is said again */
	CLIENT_ID_MAX = 64,    /* characters of a message's own "id" */
	CLIENT_ID_SIZE = CLIENT_ID_MAX * 4 + 1,
};

enum message_type {
	MESSAGE_UNKNOWN,
	MESSAGE_CHAT,
	MESSAGE_SIGNAL,
	MESSAGE_CALL_START,
	MESSAGE_CALL_END,
	MESSAGE_CALL_ACCEPT,
	MESSAGE_CALL_REJECT,
	MESSAGE_CALL_RESUME,
	MESSAGE_SET_STATUS,
	MESSAGE_TOKEN_REFRESH,
	MESSAGE__COUNT
};

enum signal_kind { SIGNAL_NONE, SIGNAL_OFFER, SIGNAL_ANSWER, SIGNAL_CANDIDATE };

/* What was read. Its slices and those of "data" live as long as the text that was read. It points
 * into itself: not to be copied. */
struct message {
	enum message_type type;
	const char
	    *type_text; /* as the client wrote it; NULL: none, or one too long to be said again */
	const char *id; /* NULL: none */
	struct user_id to;    /* 0: none */
	enum role to_role;    /* of a TO for whom hub_reaches() is false: looked up by the caller;
				 ROLE_NONE: there is no such user, or she is pending */
	struct json_raw text; /* chat: the string, to be passed on as it was written */
	enum signal_kind signal;
	struct json_raw data;  /* signal: all of "data", likewise */
	const char *call_id;   /* NULL: none given */
	bool bad_call_id;      /* call_start: one that breaks the rule was given */
	enum status status;    /* set_status */
	struct json_raw token; /* token_refresh: a string */

	char type_room[MESSAGE_TYPE_MAX + 1];
	char id_room[CLIENT_ID_SIZE];
	char call_id_room[CALL_ID_MAX + 1];
	char *rewritten; /* of json_raw_parse() */
};

/* Why a message was refused: the "error" message's code and sentence. Static text, or in WHY. */
struct refusal {
	const char *code;
	const char *message;
	char why[JSON_WHY_SIZE];
};

/* Reads the LEN bytes at TEXT. Whatever comes, *OUT holds what could be read (type and id for the
 * answer) and goes to message_fini(). ERR_INVALID: *R says why. ERR_SYSTEM: out of memory. */
MUST_USE enum err message_read(
    const char *text, size_t len, struct message *out, struct refusal *r);
void message_fini(struct message *m);

/* How many tokens of its sender's allowance it takes: more than one where it has us write to the
 * database or check a signature. What cannot be read costs one. */
unsigned message_cost(enum message_type type);

/* Its "type" on the wire. Static. */
const char *message_type_name(enum message_type type);
