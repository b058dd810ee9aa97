/* The user list: read as a client reads it, and held against the model. */
#include <stdlib.h>
#include <string.h>

#include "world.h"
#include "json/json.h"

/* A list that is being read. */
struct reading {
	struct world *w;
	enum status *shown;
};

static void
read_entry(void *context, const struct json *u)
{
	const struct reading *r = context;
	struct world *w = r->w;
	enum status *shown = r->shown;
	struct person *p = NULL;
	int64_t id = 0;
	const char *name = json_string(json_member(u, "name"));
	enum status status = status_from_name(json_string(json_member(u, "status")));

	if (json_id(json_member(u, "id"), &id))
		p = person_of(w, (struct user_id){ id });
	if (p == NULL || shown[p - w->person] != STATUS_NONE || status == STATUS_NONE ||
	    name == NULL || strcmp(name, p->row.name) != 0 ||
	    role_from_name(json_string(json_member(u, "role"))) != p->row.role) {
		broken(w, RULE_LIST, "the list has a wrong entry for %d", (int)id);
		return;
	}
	shown[p - w->person] = status;
}

/* The length of the object that TEXT begins with; 0: there is none. */
static size_t
object_len(const char *text, size_t len)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && text[i] == '{')
			depth++;
		else if (!quoted && text[i] == '}' && --depth == 0)
			return i + 1;
	}
	return 0;
}

bool
list_each(const char *text, size_t len, void (*fn)(void *context, const struct json *entry),
    void *context)
{
	char why[JSON_WHY_SIZE];
	struct json *entry;

	for (size_t at = 1, n; at < len && (n = object_len(text + at, len - at)) > 0; at += n) {
		size_t comma = text[at] == ',' ? 1 : 0;

		if (json_parse(text + at + comma, n - comma, &entry, why) != ERR_OK)
			return false;
		fn(context, entry);
		json_free(entry);
	}
	return true;
}

static void
read_entries(struct world *w, const char *text, size_t len, enum status *shown)
{
	struct reading r;

	r.w = w;
	r.shown = shown;
	if (!list_each(text, len, read_entry, &r))
		broken(w, RULE_LIST, "an entry of the list is not JSON");
}

void
list_read(struct world *w)
{
	struct frame *f = hub_list(w->hub, false, &w->list_revision);
	char why[JSON_WHY_SIZE];
	struct json_raw root;
	struct json_raw users;
	char *rewritten = NULL;

	if (f == w->list && f != NULL)
		return;
	frame_unref(w->list);
	w->list = frame_ref(f);
	memset(w->shown, 0, sizeof(w->shown));
	if (f == NULL || json_raw_parse(f->text, f->len, &root, &rewritten, why) != ERR_OK ||
	    rewritten != NULL || (users = json_raw_member(root, "users")).at == NULL) {
		broken(w, RULE_FRAMES, "the list is not JSON");
		return;
	}
	trace(w, "  list %.*s", (int)users.len, users.at);
	if (json_raw_member(root, "rev").at != NULL)
		broken(w, RULE_WELCOME, "every client is sent a revision");
	read_entries(w, users.at, users.len, w->shown);
}

/* Takes those out whom TEXT, an array of ids, names. */
static void
fold_gone(struct world *w, const char *text, size_t len, const enum status *set, enum status *known)
{
	const char *end = text + len;
	char *next;

	for (text++; text < end && *text != ']'; text = *next == ',' ? next + 1 : next) {
		long long id = strtoll(text, &next, 10);
		struct person *p = person_of(w, (struct user_id){ id });

		if (p == NULL || set[p - w->person] != STATUS_NONE || next == text) {
			broken(w, RULE_PRESENCE, "%d is gone and is not", (int)id);
			return;
		}
		known[p - w->person] = STATUS_NONE;
	}
}

void
list_fold(struct world *w, struct client *c, const struct frame *f, const struct json *root)
{
	enum status set[PEOPLE_MAX] = { STATUS_NONE };
	bool whole = json_member(root, "users") != NULL;
	struct json_raw text = { f->text, f->len };
	struct json_raw list = json_raw_member(text, whole ? "users" : "set");
	int64_t rev = 0;

	if (!json_integer(json_member(root, "rev"), 1, INT64_C(1) << 53, &rev) ||
	    (uint64_t)rev > hub_list_revision(w->hub) || (uint64_t)rev <= c->list_revision ||
	    (!whole && (c->list_revision == 0 || (uint64_t)rev != hub_list_revision(w->hub))))
		broken(w, RULE_PRESENCE, "#%u is sent revision %d after %d", (unsigned)c->id.v,
		    (int)rev, (int)c->list_revision);
	c->list_revision = (uint64_t)rev;
	if (list.at == NULL) {
		broken(w, RULE_FRAMES, "#%u is told of no users", (unsigned)c->id.v);
		return;
	}
	read_entries(w, list.at, list.len, set);
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		if (whole || set[i] != STATUS_NONE)
			c->known[i] = set[i];
	}
	if (whole)
		return;
	if ((list = json_raw_member(text, "del")).at != NULL)
		fold_gone(w, list.at, list.len, set, c->known);
	else
		broken(w, RULE_FRAMES, "#%u is not told who is gone", (unsigned)c->id.v);
}

static const char *
name_of(enum status s)
{
	return s == STATUS_NONE ? "absent" : status_name(s);
}

/* What C has put together is what the newest list says. */
static void
check_known(struct world *w, const struct client *c)
{
	for (unsigned i = 0; i < w->people; i++) {
		if (c->known[i] != w->shown[i])
			broken(w, RULE_PRESENCE, "#%u has %u as %s, who is %s", (unsigned)c->id.v,
			    i + 1, name_of(c->known[i]), name_of(w->shown[i]));
	}
}

void
list_check(struct world *w)
{
	uint64_t newest = hub_list_revision(w->hub);
	bool waits = hub_deadline(w->hub) - w->now_ms <= w->settings.list_interval_ms;

	if (w->list_revision != newest && !waits)
		broken(w, RULE_LIST, "what has changed is not about to be announced");
	for (unsigned i = 0; i < w->people; i++) {
		const struct person *p = &w->person[i];
		enum status right = person_is_listed(p) ? person_shown(p) : STATUS_NONE;

		if (w->list_revision == newest && w->shown[i] != right)
			broken(w, RULE_LIST, "%d is listed as %s and is %s", (int)p->row.id.v,
			    name_of(w->shown[i]), name_of(right));
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];

		if (c->id.v != 0 && c->list_revision != newest && !waits && !c->lags)
			broken(w, RULE_LIST_SENT, "#%u is never sent the newest list",
			    (unsigned)c->id.v);
		if (c->id.v != 0 && c->v1 && c->list_revision == newest &&
		    w->list_revision == newest)
			check_known(w, c);
	}
}
