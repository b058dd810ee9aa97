#include "domain/call.h"

#include <string.h>

#include "base/err.h"

static const char *const state_names[] = {
	[CALL_RINGING] = "RINGING",
	[CALL_ACTIVE] = "ACTIVE",
	[CALL_ENDED] = "ENDED",
};

const char *
call_state_name(enum call_state s)
{
	return state_names[s];
}

enum call_state
call_state_from_name(const char *name)
{
	for (unsigned i = CALL_RINGING; i < COUNT_OF(state_names); i++) {
		if (strcmp(state_names[i], name) == 0)
			return (enum call_state)i;
	}
	return CALL_NONE;
}

static const char *const reason_names[] = {
	[CALL_HANGUP] = "hangup",
	[CALL_REJECTED] = "rejected",
	[CALL_CANCELLED] = "cancelled",
	[CALL_NO_ANSWER] = "no_answer",
	[CALL_ANSWERED_ELSEWHERE] = "answered_elsewhere",
	[CALL_DISCONNECTED] = "disconnected",
	[CALL_MAX_DURATION] = "max_duration",
	[CALL_SERVER_RESTART] = "server_restart",
	[CALL_REVOKED] = "revoked",
};

const char *
call_reason_name(enum call_reason r)
{
	return reason_names[r];
}

enum call_reason
call_reason_from_name(const char *name)
{
	for (unsigned i = CALL_HANGUP; name != NULL && i < COUNT_OF(reason_names); i++) {
		if (strcmp(reason_names[i], name) == 0)
			return (enum call_reason)i;
	}
	return CALL_REASON_NONE;
}

bool
call_id_ok(const char *id)
{
	size_t len = strlen(id);

	return len >= 1 && len <= CALL_ID_MAX &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") ==
		   len;
}
