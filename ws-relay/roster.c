#include <stdlib.h>
#include <string.h>

#include "hub_state.h"

enum { RETRY_MS = 1000 };

struct member *
member_find(struct hub *h, struct user_id id)
{
	struct member *m = NULL;

	HASH_FIND(hh, h->members, &id, sizeof(id), m);
	return m;
}

struct conn *
conn_find(struct hub *h, struct conn_id id)
{
	struct conn *c = NULL;

	HASH_FIND(hh, h->conns, &id, sizeof(id), c);
	return c;
}

enum status
member_status(const struct member *m)
{
	/* A call whose start is not stored yet is nobody's business. */
	if (m->call != NULL && m->call->state != CALL_NONE)
		return STATUS_BUSY;
	return m->status;
}

/* M is shown in another way, or no more, or anew. */
void
roster_changed(struct hub *h, struct member *m)
{
	h->list_revision++;
	h->list_due = true;
	if (m->changed)
		return;
	m->changed = true;
	DL_APPEND2(h->changed, m, changed_prev, changed_next);
}

/* Notes that M, whom some clients have in their list, is about to be forgotten. */
static void
note_gone(struct hub *h, const struct member *m)
{
	unsigned cap = h->gone_cap == 0 ? 16 : h->gone_cap * 2;
	struct user_id *gone;

	if (h->gone_count == h->gone_cap) {
		if ((gone = reallocarray(h->gone, cap, sizeof(*gone))) == NULL) {
			h->gone_lost = true;
			return;
		}
		h->gone = gone;
		h->gone_cap = cap;
	}
	h->gone[h->gone_count++] = m->id;
}

/* Everyone connected (or just gone), and every doctor who is not OFFLINE. */
static bool
is_listed(const struct member *m)
{
	return m->present || (m->role == ROLE_DOCTOR && member_status(m) != STATUS_OFFLINE);
}

static struct frame *
make_list(struct hub *h, bool v1)
{
	struct frame_builder b;

	frame_begin(&b);
	jw_object(&b.w, NULL);
	jw_string(&b.w, "type", "users");
	if (v1)
		jw_int(&b.w, "rev", (int64_t)h->list_revision);
	jw_array(&b.w, "users");
	for (const struct member *m = h->members; m != NULL; m = m->hh.next) {
		if (is_listed(m))
			frame_write_user(&b.w, NULL, m->id, m->name, m->role, member_status(m));
	}
	jw_array_end(&b.w);
	jw_object_end(&b.w);
	return frame_end(&b);
}

struct frame *
hub_list(struct hub *h, bool v1, uint64_t *revision)
{
	struct kept_list *list = &h->lists[v1];

	if (list->frame == NULL) {
		list->frame = make_list(h, v1);
		list->revision = h->list_revision;
	}
	*revision = list->revision;
	return list->frame;
}

void
roster_forget_lists(struct hub *h)
{
	for (unsigned i = 0; i < COUNT_OF(h->lists); i++) {
		frame_unref(h->lists[i].frame);
		h->lists[i].frame = NULL;
	}
}

struct frame *
roster_presence(struct hub *h)
{
	struct frame_builder b;

	if (h->gone_lost)
		return NULL;
	frame_begin(&b);
	jw_object(&b.w, NULL);
	jw_string(&b.w, "type", "presence");
	jw_int(&b.w, "rev", (int64_t)h->list_revision);
	jw_array(&b.w, "set");
	for (const struct member *m = h->changed; m != NULL; m = m->changed_next) {
		if (is_listed(m))
			frame_write_user(&b.w, NULL, m->id, m->name, m->role, member_status(m));
	}
	jw_array_end(&b.w);
	jw_array(&b.w, "del");
	for (const struct member *m = h->changed; m != NULL; m = m->changed_next) {
		if (!is_listed(m))
			jw_int(&b.w, NULL, m->id.v);
	}
	for (unsigned i = 0; i < h->gone_count; i++) {
		if (member_find(h, h->gone[i]) == NULL) /* who is back is among those above */
			jw_int(&b.w, NULL, h->gone[i].v);
	}
	jw_array_end(&b.w);
	jw_object_end(&b.w);
	return frame_end(&b);
}

void
roster_announced(struct hub *h)
{
	struct member *m;

	while ((m = h->changed) != NULL) {
		m->changed = false;
		DL_DELETE2(h->changed, m, changed_prev, changed_next);
	}
	roster_forget_lists(h);
	h->gone_count = 0;
	h->gone_lost = false;
	h->list_due = false;
}

static struct member *
member_new(struct hub *h, const struct user *u)
{
	struct member *m = calloc(1, sizeof(*m));
	char *name = strdup(u->name);

	if (m == NULL || name == NULL)
		goto no_memory;
	*m = (struct member){ .id = u->id, .role = u->role, .status = u->status, .hashed = true };
	m->name = name;
	timer_init(&m->presence_timer, TIMER_PRESENCE, m);
	timer_init(&m->retry_timer, TIMER_PRESENCE_RETRY, m);
	timer_init(&m->farewell_timer, TIMER_FAREWELL, m);
	HASH_ADD(hh, h->members, id, sizeof(m->id), m);
	if (!m->hashed)
		goto no_memory;
	return m;
no_memory:
	free(name);
	free(m);
	return NULL;
}

static void
member_free(struct hub *h, struct member *m)
{
	timer_disarm(h, &m->presence_timer);
	timer_disarm(h, &m->retry_timer);
	timer_disarm(h, &m->farewell_timer);
	frame_unref(m->farewell);
	frame_unref(m->farewell_state);
	if (m->changed) {
		note_gone(h, m);
		DL_DELETE2(h->changed, m, changed_prev, changed_next);
	}
	HASH_DEL(h->members, m);
	free(m->name);
	free(m);
}

void
member_settle(struct hub *h, struct member *m)
{
	bool has_writes = m->writes > 0 || m->retry_timer.due_ms != 0;

	if (!h->loading && !is_listed(m) && m->call == NULL && m->farewell == NULL && !has_writes)
		member_free(h, m);
}

/* Takes what the database says; a status only where ours is not on its way there. */
static void
member_update(struct hub *h, struct member *m, const struct user *u)
{
	enum status status = m->writes > 0 ? m->status : u->status;
	char *name = NULL;

	if (m->role == u->role && m->status == status && strcmp(m->name, u->name) == 0)
		return;
	if (strcmp(m->name, u->name) != 0 && (name = strdup(u->name)) != NULL) {
		free(m->name);
		m->name = name;
	}
	m->role = u->role;
	m->status = status;
	roster_changed(h, m);
}

void
roster_row(struct hub *h, const struct user *u)
{
	struct member *m = member_find(h, u->id);

	if (m != NULL) {
		member_update(h, m, u);
		member_settle(h, m);
	} else if (h->loading || (u->role == ROLE_DOCTOR && u->status != STATUS_OFFLINE)) {
		if ((m = member_new(h, u)) != NULL)
			roster_changed(h, m);
	}
}

static void
store_presence_of(struct hub *h, struct member *m)
{
	timer_disarm(h, &m->retry_timer);
	if (persist(h, m->present ? PERSIST_PRESENT : PERSIST_ABSENT, m->id) != NULL)
		m->writes++;
}

void
roster_connected(struct hub *h, const struct event *ev)
{
	const struct user *u = ev->user;
	struct conn *c = calloc(1, sizeof(*c));
	struct member *m = NULL;

	if (c == NULL)
		goto no_memory;
	if ((m = member_find(h, u->id)) == NULL)
		m = member_new(h, u);
	else
		member_update(h, m, u);
	if (m == NULL)
		goto no_memory;
	*c = (struct conn){ .id = ev->conn, .user = m, .v1 = ev->v1, .hashed = true };
	HASH_ADD(hh, h->conns, id, sizeof(c->id), c);
	if (!c->hashed)
		goto no_memory;
	DL_APPEND(m->conns, c);
	m->conn_count++;
	timer_disarm(h, &m->presence_timer);
	if (!m->present || m->status == STATUS_OFFLINE) {
		m->present = true;
		if (m->status == STATUS_OFFLINE)
			m->status = STATUS_ONLINE;
		store_presence_of(h, m);
		roster_changed(h, m);
	}
	return;
no_memory:
	free(c);
	if (m != NULL)
		member_settle(h, m);
	send_frame(h, ev->conn, NULL);
}

void
roster_farewell(struct hub *h, struct member *m, struct frame *end, struct frame *state)
{
	roster_farewell_over(h, m);
	m->farewell = end;
	m->farewell_state = state;
	timer_arm(h, &m->farewell_timer, h->settings.call_grace_ms);
}

void
roster_farewell_over(struct hub *h, struct member *m)
{
	timer_disarm(h, &m->farewell_timer);
	frame_unref(m->farewell);
	frame_unref(m->farewell_state);
	m->farewell = NULL;
	m->farewell_state = NULL;
}

void
roster_lost(struct hub *h, struct conn *c)
{
	struct member *m = c->user;

	DL_DELETE(m->conns, c);
	m->conn_count--;
	HASH_DEL(h->conns, c);
	free(c);
	if (m->conn_count == 0)
		timer_arm(h, &m->presence_timer, h->settings.presence_grace_ms);
}

void
roster_presence_over(struct hub *h, struct member *m)
{
	m->present = false;
	m->status = STATUS_OFFLINE;
	store_presence_of(h, m);
	roster_changed(h, m);
	member_settle(h, m);
}

void
roster_presence_retry(struct hub *h, struct member *m)
{
	store_presence_of(h, m);
}

void
roster_persisted(struct hub *h, const struct event *ev)
{
	struct member *m = member_find(h, ev->persist->user);

	if (m == NULL)
		return;
	m->writes--;
	if (ev->outcome != ERR_OK) {
		timer_arm(h, &m->retry_timer, RETRY_MS);
		return;
	}
	/* The store's word, for REST may have written in between. A newer write of ours is worth
	 * more. */
	if (m->writes == 0 && ev->status != STATUS_NONE && m->status != ev->status) {
		m->status = ev->status;
		roster_changed(h, m);
	}
	member_settle(h, m);
}

/* The grace of those who were connected runs from the restart. */
void
roster_was_present(struct hub *h, struct user_id id)
{
	struct member *m = member_find(h, id);

	if (m == NULL)
		return;
	m->present = true;
	timer_arm(h, &m->presence_timer, h->settings.presence_grace_ms);
}

void
roster_loaded(struct hub *h)
{
	struct member *next;

	h->loading = false;
	for (struct member *m = h->members; m != NULL; m = next) {
		next = m->hh.next;
		member_settle(h, m);
	}
}

void
roster_free(struct hub *h)
{
	struct conn *c = h->conns;
	struct conn *next_conn;
	struct member *next;

	HASH_CLEAR(hh, h->conns); /* the table; what was in it is still linked */
	for (; c != NULL; c = next_conn) {
		next_conn = c->hh.next;
		free(c);
	}
	for (struct member *m = h->members; m != NULL; m = next) {
		next = m->hh.next;
		if (m->call != NULL)
			call_free(h, m->call);
		member_free(h, m);
	}
}
