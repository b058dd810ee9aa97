/* What each user is shown of the others, and whom she can reach. What an audience is shown is kept
 * once for all of it; what is somebody's own is herself, where her audience is not shown her. */
#include <stdlib.h>

#include "hub_state.h"

static enum audience
audience(const struct hub *h, const struct member *m)
{
	return audience_of(h->settings.visibility, m->role, m->hidden);
}

static const struct conn *
find_conn(const struct hub *h, struct conn_id id)
{
	const struct conn *c = NULL;

	HASH_FIND(hh, h->conns, &id, sizeof(id), c);
	return c;
}

bool
member_is_listed(const struct member *m)
{
	return m->present || (m->role == ROLE_DOCTOR && member_status(m) != STATUS_OFFLINE);
}

/* Does A have M in its list? */
static bool
has(enum audience a, const struct member *m)
{
	return member_is_listed(m) && audience_sees(a, m->role, m->hidden);
}

/* Is M shown to herself alone, among those of her audience? */
static bool
is_own(const struct hub *h, const struct member *m)
{
	return !audience_sees(audience(h, m), m->role, m->hidden);
}

bool
member_sees(const struct hub *h, const struct member *m, const struct member *other)
{
	return m == other || audience_sees(audience(h, m), other->role, other->hidden);
}

static uint64_t
newest(const struct hub *h, const struct member *m)
{
	return h->views[audience(h, m)].revision + m->own_revision;
}

void
view_changed(struct hub *h, struct member *m)
{
	for (unsigned a = 0; a < AUDIENCE__COUNT; a++) {
		if ((m->told & 1U << a) != 0 || has((enum audience)a, m))
			h->views[a].revision++;
	}
	if (is_own(h, m))
		m->own_revision++;
	h->list_due = true;
	m->changed_in = h->announcements + 1;
	if (m->changed)
		return;
	m->changed = true;
	DL_APPEND2(h->changed, m, changed_prev, changed_next);
}

void
view_admit(struct hub *h, struct member *m, enum role role, bool hidden)
{
	uint64_t before = newest(h, m);

	m->role = role;
	m->hidden = hidden;
	/* Revisions only rise. This wraps where the other audience has seen more, and the sum is
	 * right all the same. */
	m->own_revision = before + 1 - h->views[audience(h, m)].revision;
	m->whole_from = before + 1;
	view_forget_lists(h); /* one from before this would have a lower one */
}

/* Whoever has M in its list is to be told that she is there no more. */
static void
add_gone(struct hub *h, struct member *m)
{
	unsigned cap = h->gone_cap == 0 ? 16 : h->gone_cap * 2;
	struct gone *gone;

	if (m->told == 0)
		return;
	if (h->gone_count == h->gone_cap) {
		if ((gone = reallocarray(h->gone, cap, sizeof(*gone))) == NULL) {
			h->gone_lost = true;
			return;
		}
		h->gone = gone;
		h->gone_cap = cap;
	}
	h->gone[h->gone_count++] = (struct gone){ m->id, m->told };
	m->told = 0;
}

void
view_forget(struct hub *h, struct member *m)
{
	if (!m->changed)
		return;
	DL_DELETE2(h->changed, m, changed_prev, changed_next);
	add_gone(h, m);
}

void
view_hide(struct hub *h, struct member *m)
{
	add_gone(h, m);
	view_forget_lists(h); /* nobody who connects now is shown her */
}

void
view_write_user(const struct member *m, const char *key, struct json_writer *w)
{
	frame_write_user(w, key,
	    &(struct shown_user){ .id = m->id,
		.name = m->name,
		.role = m->role,
		.status = member_status(m),
		.pending = m->hidden });
}

/* The stem of a message of KIND. */
static struct json_writer *
begin(struct frame_stem *s, enum frame_kind kind)
{
	frame_stem_fini(s);
	frame_begin(&s->b, kind);
	return &s->b.w;
}

static void
keep_list(struct hub *h, enum audience a)
{
	struct view *v = &h->views[a];
	struct json_writer *w = begin(&v->list, FRAME_USERS);

	jw_array(w, "users");
	for (struct member *m = h->members; m != NULL; m = m->hh.next) {
		if (!has(a, m))
			continue;
		view_write_user(m, NULL, w);
		m->told |= 1U << a;
	}
	frame_stem_keep(&v->list);
	v->listed = true;
	v->list_revision = v->revision;
}

/* Ends the array of users that S leaves open, with OWN in it unless it is NULL. */
static struct frame *
end(struct frame_stem *s, const struct member *own, const uint64_t *revision)
{
	struct json_writer *w = frame_stem_grow(s);

	if (own != NULL)
		view_write_user(own, NULL, w);
	jw_array_end(w);
	if (revision != NULL)
		jw_int(w, "rev", (int64_t)*revision);
	jw_object_end(w);
	return frame_stem_end(s);
}

struct frame *
hub_list(struct hub *h, struct conn_id conn, uint64_t *revision)
{
	const struct conn *c = find_conn(h, conn);
	const struct member *m;
	struct frame *f;
	struct view *v;

	if (c == NULL)
		return NULL;
	m = c->user;
	v = &h->views[audience(h, m)];
	if (!v->listed)
		keep_list(h, audience(h, m));
	*revision = v->list_revision + m->own_revision;
	f = end(&v->list, is_own(h, m) ? m : NULL, c->v1 ? revision : NULL);
	v->listed = f != NULL;
	return f;
}

void
view_forget_lists(struct hub *h)
{
	for (unsigned a = 0; a < AUDIENCE__COUNT; a++) {
		struct view *v = &h->views[a];

		if (!v->listed || v->list_revision == v->revision)
			continue;
		frame_stem_fini(&v->list);
		v->listed = false;
	}
}

/* Who is no more in the list of A. */
static void
write_gone(struct hub *h, enum audience a, struct json_writer *w)
{
	unsigned bit = 1U << a;

	for (struct member *m = h->changed; m != NULL; m = m->changed_next) {
		if ((m->told & bit) == 0 || has(a, m))
			continue;
		jw_int(w, NULL, m->id.v);
		m->told &= ~bit;
	}
	for (unsigned i = 0; i < h->gone_count; i++) {
		const struct member *back = member_find(h, h->gone[i].id);

		if ((h->gone[i].told & bit) != 0 && (back == NULL || !has(a, back)))
			jw_int(w, NULL, h->gone[i].id.v);
	}
}

static void
keep_presence(struct hub *h, enum audience a)
{
	struct view *v = &h->views[a];
	struct json_writer *w = begin(&v->presence, FRAME_PRESENCE);

	jw_array(w, "del");
	write_gone(h, a, w);
	jw_array_end(w);
	jw_array(w, "set");
	for (struct member *m = h->changed; m != NULL; m = m->changed_next) {
		if (!has(a, m))
			continue;
		view_write_user(m, NULL, w);
		m->told |= 1U << a;
	}
	frame_stem_keep(&v->presence);
	v->told = !h->gone_lost;
}

void
view_announce(struct hub *h)
{
	struct member *m;

	keep_presence(h, AUDIENCE_ALL);
	if (h->settings.visibility == VISIBILITY_SCOPED)
		keep_presence(h, AUDIENCE_DOCTORS);
	h->announcements++;
	while ((m = h->changed) != NULL) {
		m->changed = false;
		DL_DELETE2(h->changed, m, changed_prev, changed_next);
	}
	view_forget_lists(h);
	h->gone_count = 0;
	h->gone_lost = false;
	h->list_due = false;
}

struct frame *
hub_presence(struct hub *h, struct conn_id conn, uint64_t known)
{
	const struct conn *c = find_conn(h, conn);
	const struct member *m = c == NULL ? NULL : c->user;
	bool has_changed;
	uint64_t revision;
	struct frame *f;
	struct view *v;

	if (m == NULL || known < m->whole_from)
		return NULL;
	v = &h->views[audience(h, m)];
	if (!v->told)
		return NULL;
	revision = newest(h, m);
	has_changed = is_own(h, m) && m->changed_in == h->announcements;
	f = end(&v->presence, has_changed ? m : NULL, &revision);
	v->told = f != NULL;
	return f;
}

/* 0 is the revision of no list. */
void
view_init(struct hub *h)
{
	for (unsigned a = 0; a < AUDIENCE__COUNT; a++)
		h->views[a].revision = 1;
}

void
view_free(struct hub *h)
{
	for (unsigned a = 0; a < AUDIENCE__COUNT; a++) {
		frame_stem_fini(&h->views[a].list);
		frame_stem_fini(&h->views[a].presence);
	}
	free(h->gone);
}

uint64_t
hub_list_revision(const struct hub *h, struct conn_id conn)
{
	const struct conn *c = find_conn(h, conn);

	return c == NULL ? 0 : newest(h, c->user);
}

bool
hub_hears(const struct hub *h, struct conn_id conn, struct conn_id from)
{
	const struct conn *c = find_conn(h, conn);
	const struct conn *speaker = find_conn(h, from);

	return c != NULL && speaker != NULL && c != speaker &&
	       member_sees(h, speaker->user, c->user);
}

bool
hub_reaches(const struct hub *h, struct conn_id conn, struct user_id user)
{
	const struct conn *c = find_conn(h, conn);
	const struct member *m = NULL;

	HASH_FIND(hh, h->members, &user, sizeof(user), m);
	return c != NULL && m != NULL && member_sees(h, c->user, m);
}

struct member *
view_addressee(struct hub *h, const struct conn *c, const struct message *m, enum role *role)
{
	struct member *to = member_find(h, m->to);

	if (to != NULL && !member_sees(h, c->user, to))
		to = NULL;
	if (to != NULL)
		*role = to->role;
	else
		*role = audience_sees(audience(h, c->user), m->to_role, false) ? m->to_role
									       : ROLE_NONE;
	return to;
}
