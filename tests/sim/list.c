/* The user list: read as a client reads it, and held against the model. */
#include <stdlib.h>
#include <string.h>

#include "world.h"
#include "json/json.h"

/* A list that is being read. */
struct reading {
	struct world *w;
	const struct client *c;
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
	if (!person_sees(w, r->c->user, p) || (json_member(u, "pending") != NULL) != p->pending)
		broken(w, RULE_UNSEEN, "%d is shown %d", (int)r->c->user->row.id.v, (int)id);
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
read_entries(
    struct world *w, const struct client *c, const char *text, size_t len, enum status *shown)
{
	struct reading r = { .w = w, .c = c };

	r.shown = shown;
	if (!list_each(text, len, read_entry, &r))
		broken(w, RULE_LIST, "an entry of the list is not JSON");
}

/* What C's user must be shown of P. */
static enum status
right_for(const struct world *w, const struct client *c, const struct person *p)
{
	bool shown = person_is_listed(p) && person_sees(w, c->user, p);

	return shown ? person_shown(p) : STATUS_NONE;
}

static const char *
name_of(enum status s)
{
	return s == STATUS_NONE ? "absent" : status_name(s);
}

/* KNOWN is what C has of the newest list. */
static void
check_known(struct world *w, enum rule rule, const struct client *c, const enum status *known)
{
	for (unsigned i = 0; i < w->people; i++) {
		enum status right = right_for(w, c, &w->person[i]);

		if (known[i] != right)
			broken(w, rule, "#%u has %u as %s, who is %s", (unsigned)c->id.v, i + 1,
			    name_of(known[i]), name_of(right));
	}
}

/* Reads the users message F for C. */
static void
read_users(struct world *w, const struct client *c, const struct frame *f, enum status *known)
{
	char why[JSON_WHY_SIZE];
	struct json_raw root;
	struct json_raw users;
	char *rewritten = NULL;

	memset(known, 0, sizeof(enum status) * PEOPLE_MAX);
	if (f == NULL || json_raw_parse(f->text, f->len, &root, &rewritten, why) != ERR_OK ||
	    rewritten != NULL || (users = json_raw_member(root, "users")).at == NULL) {
		broken(w, RULE_FRAMES, "the list is not JSON");
		return;
	}
	if ((json_raw_member(root, "rev").at != NULL) != c->v1)
		broken(w, RULE_WELCOME, "only telemed.v1 is sent a revision");
	read_entries(w, c, users.at, users.len, known);
}

/* What somebody would be sent now. */
void
list_read(struct world *w)
{
	const struct client *c = &w->client[w->events % CLIENTS_MAX];
	enum status known[PEOPLE_MAX];
	uint64_t revision = 0;
	struct frame *f;

	for (unsigned i = 0; i < CLIENTS_MAX && c->id.v == 0; i++)
		c = &w->client[(w->events + i) % CLIENTS_MAX];
	if (c->id.v == 0)
		return;
	f = hub_list(w->hub, c->id, &revision);
	read_users(w, c, f, known);
	if (revision == hub_list_revision(w->hub, c->id))
		check_known(w, RULE_LIST, c, known);
}

/* C is told of something: there must be something that it is shown. */
static void
note_told(struct world *w, struct client *c, uint64_t revision)
{
	unsigned stirs = model_stirs(w, c->user);

	if (c->list_revision != 0 && stirs == c->stirs)
		broken(w, RULE_UNSEEN, "#%u of %d is sent a list, and nothing has changed for her",
		    (unsigned)c->id.v, (int)c->user->row.id.v);
	/* In a crowd the first list is an older one. */
	c->stirs = revision == hub_list_revision(w->hub, c->id) ? stirs : stirs - 1;
	c->list_revision = revision;
}

void
list_take(struct world *w, struct client *c, const struct frame *f, uint64_t revision)
{
	if (c->v1) {
		client_reads(w, c, f);
		if (c->list_revision != revision)
			broken(w, RULE_PRESENCE, "#%u is sent another revision", (unsigned)c->id.v);
		return;
	}
	if (f != NULL)
		trace(w, "  #%u < %.*s", (unsigned)c->id.v, (int)f->len, f->text);
	read_users(w, c, f, c->known);
	note_told(w, c, revision);
}

/* Takes those out whom TEXT, an array of ids, names. */
static void
fold_gone(struct world *w, struct client *c, const char *text, size_t len, const enum status *set)
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
		if (!person_sees_such(w, c->user, p)) /* she may have been hidden since */
			broken(w, RULE_UNSEEN, "#%u of %d is told that %d is gone",
			    (unsigned)c->id.v, (int)c->user->row.id.v, (int)id);
		c->known[p - w->person] = STATUS_NONE;
	}
}

void
list_fold(struct world *w, struct client *c, const struct frame *f, const struct json *root)
{
	enum status set[PEOPLE_MAX] = { STATUS_NONE };
	uint64_t newest = hub_list_revision(w->hub, c->id);
	bool whole = json_member(root, "users") != NULL;
	struct json_raw text = { f->text, f->len };
	struct json_raw list = json_raw_member(text, whole ? "users" : "set");
	int64_t rev = 0;

	if (!json_integer(json_member(root, "rev"), 1, INT64_C(1) << 53, &rev) ||
	    (uint64_t)rev > newest || (uint64_t)rev <= c->list_revision ||
	    (!whole && (c->list_revision == 0 || (uint64_t)rev != newest)))
		broken(w, RULE_PRESENCE, "#%u is sent revision %d after %d", (unsigned)c->id.v,
		    (int)rev, (int)c->list_revision);
	note_told(w, c, (uint64_t)rev);
	if (list.at == NULL) {
		broken(w, RULE_FRAMES, "#%u is told of no users", (unsigned)c->id.v);
		return;
	}
	read_entries(w, c, list.at, list.len, set);
	for (unsigned i = 0; i < PEOPLE_MAX; i++) {
		if (whole || set[i] != STATUS_NONE)
			c->known[i] = set[i];
	}
	if (whole)
		return;
	if ((list = json_raw_member(text, "del")).at != NULL)
		fold_gone(w, c, list.at, list.len, set);
	else
		broken(w, RULE_FRAMES, "#%u is not told who is gone", (unsigned)c->id.v);
}

void
list_check(struct world *w)
{
	bool waits = hub_deadline(w->hub) - w->now_ms <= w->settings.list_interval_ms;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &w->client[i];

		if (c->id.v == 0)
			continue;
		if (c->list_revision == hub_list_revision(w->hub, c->id))
			check_known(w, RULE_PRESENCE, c, c->known);
		else if (!waits && !c->lags)
			broken(w, RULE_LIST_SENT, "#%u is never sent the newest list",
			    (unsigned)c->id.v);
	}
}
