/* The STUN and TURN servers that who is told of a call is told of. */
#include <stdlib.h>
#include <string.h>

#include "world.h"
#include "json/json.h"

/* A list that is being read. */
struct reading {
	struct world *w;
	const struct client *c;
	unsigned open; /* servers without credentials */
	unsigned closed;
};

/* A username is C's user's, and will be good for as long as a call can last. */
static void
check_username(const struct reading *r, const char *username)
{
	int64_t longest_ms = r->w->settings.call_max_ms + r->w->settings.ring_timeout_ms;
	char *end;
	long long expiry_s = strtoll(username, &end, 10);
	int64_t left_ms = expiry_s * 1000 - r->w->wall_ms;

	if (*end != ':' || strtoll(end + 1, &end, 10) != r->c->user->row.id.v || *end != '\0')
		broken(r->w, RULE_ICE, "%d is given the username %s", (int)r->c->user->row.id.v,
		    username);
	if (left_ms < longest_ms || left_ms > TURN_TTL_S * INT64_C(1000))
		broken(r->w, RULE_ICE, "%s is good for %lld ms", username, (long long)left_ms);
}

static void
read_server(void *context, const struct json *server)
{
	struct reading *r = context;
	const char *username = json_string(json_member(server, "username"));
	const char *credential = json_string(json_member(server, "credential"));

	if (json_member(server, "urls") == NULL || (username == NULL) != (credential == NULL))
		broken(r->w, RULE_ICE, "#%u is told of half a server", (unsigned)r->c->id.v);
	if (username == NULL || credential == NULL) {
		r->open++;
		return;
	}
	r->closed++;
	check_username(r, username);
	if (strlen(credential) != 28) /* the base64 of 20 bytes */
		broken(r->w, RULE_ICE, "#%u is given no credential", (unsigned)r->c->id.v);
}

static bool
has_stun(const struct turn_settings *t)
{
	for (unsigned i = 0; i < t->url_count; i++) {
		if (!t->urls[i].relays)
			return true;
	}
	return false;
}

void
ice_read(struct world *w, const struct client *c, const struct frame *f)
{
	struct reading r = { .w = w, .c = c };
	struct json_raw data = json_raw_member((struct json_raw){ f->text, f->len }, "data");
	struct json_raw list = json_raw_member(data, "iceServers");

	if (list.at == NULL || list.at[0] != '[' ||
	    !list_each(list.at, list.len, read_server, &r)) {
		broken(w, RULE_ICE, "#%u is told of no list of servers", (unsigned)c->id.v);
		return;
	}
	if (r.open != (has_stun(&w->turn) ? 1 : 0) || r.closed != w->turn.secret_count)
		broken(w, RULE_ICE, "#%u is told of %u and %u servers", (unsigned)c->id.v, r.open,
		    r.closed);
}
