/* What only a connection of telemed.v1 is sent. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "world.h"
#include "json/json.h"

static bool
is_number(const struct json *v, int64_t right)
{
	int64_t n = -1;

	return json_integer(v, 0, (INT64_C(1) << 53) - 1, &n) && n == right;
}

static bool
is_text(const struct json *v, const char *right)
{
	const char *text = json_string(v);

	return text != NULL && strcmp(text, right) == 0;
}

/* The call that C may take up with call_resume. */
static void
check_active_call(struct world *w, const struct client *c, const struct json *call)
{
	const struct talk *t = c->user->talk;
	int side = t == NULL ? 0 : talk_side(t, c->user);

	if ((call != NULL) != c->resumes) {
		broken(w, RULE_WELCOME, "#%u is shown a call: %d", (unsigned)c->id.v, !c->resumes);
		return;
	}
	if (call != NULL && t != NULL &&
	    (!is_text(json_member(call, "callId"), t->id) ||
		!is_text(json_member(call, "state"), call_state_name(t->state)) ||
		!is_number(json_member(call, "peer"), t->party[1 - side]->row.id.v) ||
		!is_text(json_member(call, "direction"), side == 0 ? "out" : "in")))
		broken(w, RULE_WELCOME, "#%u is shown call %s wrongly", (unsigned)c->id.v, t->id);
}

static bool
limits_are_right(const struct world *w, const struct json *root)
{
	const struct json *limits = json_member(root, "limits");
	const struct json *reconnect = json_member(root, "reconnect");
	int64_t min_ms = 0;
	int64_t max_ms = 0;

	return is_number(json_member(limits, "messageBytes"), MESSAGE_BYTES_MAX) &&
	       is_number(json_member(limits, "chatCharacters"), CHAT_CHARS_MAX) &&
	       is_number(json_member(limits, "messagesPerSecond"), w->settings.messages_per_s) &&
	       is_number(json_member(limits, "connections"), w->settings.user_connections) &&
	       is_number(json_member(root, "heartbeatMs"), w->settings.heartbeat_ms) &&
	       json_integer(json_member(reconnect, "minMs"), 1, 60000, &min_ms) &&
	       json_integer(json_member(reconnect, "maxMs"), min_ms, 60000, &max_ms);
}

static void
read_welcome(struct world *w, struct client *c, const struct json *root)
{
	const struct json *user = json_member(root, "user");
	const struct person *p = c->user;
	char text[RFC3339_SIZE];

	if (c->welcomed)
		broken(w, RULE_WELCOME, "#%u is welcomed twice", (unsigned)c->id.v);
	c->welcomed = true;
	if (!is_number(json_member(user, "id"), p->row.id.v) ||
	    !is_text(json_member(user, "name"), p->row.name) ||
	    !is_text(json_member(user, "role"), role_name(p->row.role)) ||
	    !is_text(json_member(user, "status"), status_name(person_shown(p))) ||
	    (json_member(user, "pending") != NULL) != p->pending)
		broken(w, RULE_WELCOME, "#%u is welcomed as another", (unsigned)c->id.v);
	if (!is_text(json_member(root, "tokenExpiresAt"), clock_rfc3339(c->expires_ms, text)) ||
	    json_string(json_member(root, "version")) == NULL || !limits_are_right(w, root))
		broken(w, RULE_WELCOME, "#%u is told wrong limits", (unsigned)c->id.v);
	snprintf(text, sizeof(text), "%llx", (unsigned long long)c->shown_id);
	if (!is_text(json_member(root, "connectionId"), text))
		broken(w, RULE_WELCOME, "#%u is given another's id", (unsigned)c->id.v);
	check_active_call(w, c, json_member(root, "activeCall"));
}

/* Who is away, as the party SIDE is told: first of all, the other. -1: nobody. */
static int
missing_side(const struct talk *t, int side)
{
	if (t->state == CALL_ENDED)
		return -1;
	if (t->missing[1 - side])
		return 1 - side;
	return t->missing[side] ? side : -1;
}

static bool
absence_is_right(const struct world *w, const struct talk *t, const struct json *data, int away)
{
	int64_t left_ms;

	if (away < 0)
		return json_member(data, "missing") == NULL &&
		       json_member(data, "resumeInMs") == NULL;
	left_ms = t->party_ms[away] + w->settings.call_grace_ms - w->now_ms;
	return is_number(json_member(data, "missing"), t->party[away]->row.id.v) &&
	       is_number(json_member(data, "resumeInMs"), left_ms < 0 ? 0 : left_ms);
}

static void
read_call_state(struct world *w, struct client *c, const struct json *data)
{
	const struct talk *t = c->user->talk;
	const struct call_made *made;
	int side;

	if (c->farewell[0] != '\0' && is_text(json_member(data, "callId"), c->farewell)) {
		if (c->farewell_state ||
		    !is_text(json_member(data, "state"), call_state_name(CALL_ENDED)))
			broken(w, RULE_FAREWELL, "#%u is told a wrong state of %s",
			    (unsigned)c->id.v, c->farewell);
		c->farewell_state = true;
		return;
	}
	if (t == NULL || t->state == CALL_NONE || !is_text(json_member(data, "callId"), t->id)) {
		broken(w, RULE_CALL_STATE, "#%u is told of a call that is not hers",
		    (unsigned)c->id.v);
		return;
	}
	side = talk_side(t, c->user);
	made = store_last_call(w, c->user, t->id);
	c->states++;
	if (!is_text(json_member(data, "state"), call_state_name(t->state)) ||
	    !is_number(json_member(data, "peer"), t->party[1 - side]->row.id.v))
		broken(w, RULE_CALL_STATE, "#%u is told of another state of %s", (unsigned)c->id.v,
		    t->id);
	if (made == NULL || made->state < t->state)
		broken(w, RULE_COMMITTED, "the state of %s is not stored", t->id);
	if (!absence_is_right(w, t, data, missing_side(t, side)))
		broken(w, RULE_CALL_STATE, "#%u is told wrongly who is missing in %s",
		    (unsigned)c->id.v, t->id);
}

enum added { ADDED_NOT, ADDED_WELCOME, ADDED_USERS, ADDED_PRESENCE, ADDED_CALL_STATE };

static enum added
added_type(const char *type)
{
	static const char *const names[] = { [ADDED_WELCOME] = "welcome",
		[ADDED_USERS] = "users",
		[ADDED_PRESENCE] = "presence",
		[ADDED_CALL_STATE] = "call_state" };

	for (unsigned i = ADDED_WELCOME; type != NULL && i < COUNT_OF(names); i++) {
		if (strcmp(type, names[i]) == 0)
			return (enum added)i;
	}
	return ADDED_NOT;
}

bool
v1_reads(struct world *w, struct client *c, const struct frame *f, const struct json *root)
{
	const char *type = json_string(json_member(root, "type"));
	enum added added = added_type(type);

	if (!c->v1 && added != ADDED_NOT)
		broken(w, RULE_WELCOME, "#%u has not asked for %s", (unsigned)c->id.v, type);
	if (!c->v1)
		return false;
	if (added != ADDED_WELCOME &&
	    (!c->welcomed || (c->list_revision == 0 && added != ADDED_USERS)))
		broken(
		    w, RULE_WELCOME, "#%u is not told first what comes first", (unsigned)c->id.v);
	if (added == ADDED_WELCOME)
		read_welcome(w, c, root);
	else if (added == ADDED_USERS || added == ADDED_PRESENCE)
		list_fold(w, c, f, root);
	else if (added == ADDED_CALL_STATE)
		read_call_state(w, c, json_member(root, "data"));
	return added != ADDED_NOT;
}

/* Every client was told in this step what it must have been, and no more. */
void
v1_check(struct world *w)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];
		const struct talk *t = c->id.v == 0 ? NULL : c->user->talk;
		unsigned due = t == NULL || !c->v1 ? 0 : t->states_due;

		if (c->id.v == 0)
			continue;
		if (c->v1 && !c->welcomed)
			broken(w, RULE_WELCOME, "#%u is not welcomed", (unsigned)c->id.v);
		if (c->states != due)
			broken(w, RULE_CALL_STATE, "#%u is told %u times of %u how the call stands",
			    (unsigned)c->id.v, c->states, due);
		if (c->farewell[0] != '\0')
			broken(w, RULE_FAREWELL, "#%u is not told that %s is over",
			    (unsigned)c->id.v, c->farewell);
	}
}
