/* A message to clients, serialised once and shared by all who get it. Immutable but for its count
 * of owners; for the loop's thread alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/turn.h"
#include "base/buf.h"
#include "domain/call.h"
#include "domain/user.h"
#include "json/json.h"

enum {
	FRAME_HEADROOM = 16,	    /* writable bytes ahead of the text, for the WebSocket header */
	FRAME_BYTES_MAX = 16 << 20, /* of text: a list of about 100,000 users */
};

/* The "type" on the wire. */
enum frame_kind {
	FRAME_USERS,
	FRAME_PRESENCE,
	FRAME_CHAT,
	FRAME_SIGNAL,
	FRAME_INCOMING_CALL,
	FRAME_CALL_RESPONSE,
	FRAME_CALL_END,
	FRAME_CALL_STATE,
	FRAME_ACK,
	FRAME_ERROR,
	FRAME_WELCOME,
	FRAME_TOKEN_EXPIRING,
	FRAME_GOAWAY,
	FRAME__COUNT
};

struct frame {
	unsigned refs;
	enum frame_kind kind;
	size_t len;
	unsigned char headroom[FRAME_HEADROOM];
	char text[];
};

/* Both take NULL. frame_ref() returns its argument; the last frame_unref() frees. */
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f);

/* Building: begin, which opens an object with its "type", write its other members with W and close
 * it, end. The caller owns what frame_end() returns; NULL: out of memory. */
struct frame_builder {
	struct buf buf;
	struct json_writer w;
};
void frame_begin(struct frame_builder *b, enum frame_kind kind);
MUST_USE struct frame *frame_end(struct frame_builder *b);

/* A message that many get, each with an end of her own: what all have of it is serialised once, and
 * the end is written over the last one's. begin with frame_begin(&stem.b, KIND), write what all
 * have, leave its objects and arrays open, and keep. */
struct frame_stem {
	struct frame_builder b;
	size_t len;
	bool comma;
};
void frame_stem_keep(struct frame_stem *s);
void frame_stem_fini(struct frame_stem *s); /* fine on one that is all zero, and leaves it so */

/* Where the next end is to be written; the last one is gone, and with it the frame that had it. */
struct json_writer *frame_stem_grow(struct frame_stem *s);

/* The whole message, until the next frame_stem_grow(): no reference can be kept. NULL: out of
 * memory, and S is as after frame_stem_fini(). */
MUST_USE struct frame *frame_stem_end(struct frame_stem *s);

/* The messages of docs/protocol.md, "Server to client". ID is the client's own, or NULL. Each
 * returns a frame of the caller's, or NULL when out of memory. */
struct frame *frame_error(const char *code, const char *message, const char *re, const char *id);
struct frame *frame_chat(struct user_id from, struct user_id to, struct json_raw text,
    int64_t wall_ms); /* TO 0: to all; TEXT: a string */
struct frame *frame_signal(struct user_id from, struct json_raw data);
struct frame *frame_call_end(struct user_id from, const char *call_id, enum call_reason reason);
struct frame *frame_token_expiring(int64_t in_ms);
struct frame *frame_goaway(const char *reason, int64_t reconnect_in_ms);
struct frame *frame_ack_token(const char *id, int64_t expires_ms);
struct frame *frame_ack_delivered(const char *id, unsigned delivered);
struct frame *frame_ack_call(const char *id, const char *call_id);
struct frame *frame_ack_status(const char *id, enum status status);

/* What a call begins with; GRANT is for its iceServers, and to who receives it. */
struct frame *frame_incoming_call(struct user_id from, const char *call_id, const char *name,
    int64_t expires_in_ms, const struct turn_grant *grant);

/* Both are a call_response. A refusal's CALL_ID may be NULL. */
struct frame *frame_call_started(
    struct user_id from, const char *call_id, const struct turn_grant *grant, const char *id);
struct frame *frame_call_refused(
    struct user_id from, const char *call_id, const char *reason, const char *id);

/* call_state: MISSING is the party who is away, for RESUME_IN_MS more at the most; 0: none is. */
struct frame *frame_call_state(const char *call_id, enum call_state state, struct user_id peer,
    struct user_id missing, int64_t resume_in_ms);

/* A user as she is shown: an element of a users message (KEY is NULL), or the member KEY. Only a
 * pending doctor has the member "pending". */
struct shown_user {
	struct user_id id;
	const char *name;
	enum role role;
	enum status status;
	bool pending;
};
void frame_write_user(struct json_writer *w, const char *key, const struct shown_user *u);
