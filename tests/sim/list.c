/* The user list: read as a client reads it, and held against the model. */
#include <string.h>

#include "world.h"
#include "json/json.h"

static void
read_entry(struct world *w, const struct json *u)
{
	struct person *p = NULL;
	int64_t id = 0;
	const char *name = json_string(json_member(u, "name"));
	enum status status = status_from_name(json_string(json_member(u, "status")));

	if (json_id(json_member(u, "id"), &id))
		p = person_of(w, (struct user_id){ id });
	if (p == NULL || w->shown[p - w->person] != STATUS_NONE || status == STATUS_NONE ||
	    name == NULL || strcmp(name, p->row.name) != 0 ||
	    role_from_name(json_string(json_member(u, "role"))) != p->row.role) {
		broken(w, RULE_LIST, "the list has a wrong entry for %d", (int)id);
		return;
	}
	w->shown[p - w->person] = status;
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

static void
read_entries(struct world *w, const char *text, size_t len)
{
	char why[JSON_WHY_SIZE];
	struct json *u;

	for (size_t at = 1, n; at < len && (n = object_len(text + at, len - at)) > 0; at += n) {
		size_t comma = text[at] == ',' ? 1 : 0;

		if (json_parse(text + at + comma, n - comma, &u, why) != ERR_OK) {
			broken(w, RULE_LIST, "an entry of the list is not JSON");
			return;
		}
		read_entry(w, u);
		json_free(u);
	}
}

void
list_read(struct world *w)
{
	struct frame *f = hub_list(w->hub, false);
	char why[JSON_WHY_SIZE];
	const char *text;
	size_t len;

	if (f == w->list && f != NULL)
		return;
	frame_unref(w->list);
	w->list = frame_ref(f);
	memset(w->shown, 0, sizeof(w->shown));
	if (f == NULL || json_check(f->text, f->len, why) != ERR_OK ||
	    !json_raw_member(f->text, f->len, "users", &text, &len)) {
		broken(w, RULE_FRAMES, "the list is not JSON");
		return;
	}
	trace(w, "  list %.*s", (int)len, text);
	read_entries(w, text, len);
}

static const char *
name_of(enum status s)
{
	return s == STATUS_NONE ? "absent" : status_name(s);
}

void
list_check(struct world *w)
{
	uint64_t newest = hub_list_revision(w->hub);
	bool waits = hub_deadline(w->hub) - w->now_ms <= w->settings.list_interval_ms;

	for (unsigned i = 0; i < w->people; i++) {
		const struct person *p = &w->person[i];
		enum status right = person_is_listed(p) ? person_shown(p) : STATUS_NONE;

		if (w->shown[i] != right)
			broken(w, RULE_LIST, "%d is listed as %s and is %s", (int)p->row.id.v,
			    name_of(w->shown[i]), name_of(right));
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];

		if (c->id.v != 0 && c->list_revision != newest && !waits)
			broken(w, RULE_LIST_SENT, "#%u is never sent the newest list",
			    (unsigned)c->id.v);
	}
}
