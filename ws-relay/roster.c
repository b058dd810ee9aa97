#include <stdlib.h>
#include <string.h>

#include "base/str.h"
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

static struct member *
member_new(struct hub *h, const struct user *u)
{
	struct member *m = calloc(1, sizeof(*m));
	char *name = strdup(u->name);

	if (m == NULL || name == NULL)
		goto no_memory;
	*m = (struct member){ .id = u->id,
		.role = u->role,
		.status = u->status,
		.hidden = user_is_hidden(u),
		.disabled = u->disabled,
		.hashed = true };
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
	view_forget(h, m);
	HASH_DEL(h->members, m);
	free(m->name);
	free(m);
}

void
member_settle(struct hub *h, struct member *m)
{
	bool has_writes = m->writes > 0 || m->retry_timer.due_ms != 0;
	bool is_needed = m->present || (member_is_listed(m) && !m->hidden);

	if (!h->loading && !is_needed && m->call == NULL && m->farewell == NULL && !has_writes)
		member_free(h, m);
}

/* Takes what the database says; a status only where ours is not on its way there. */
static void
member_update(struct hub *h, struct member *m, const struct user *u)
{
	enum status status = m->writes > 0 ? m->status : u->status;
	bool admitted = m->role != u->role || m->hidden != user_is_hidden(u);

	m->disabled = u->disabled;
	if (!admitted && m->status == status && strcmp(m->name, u->name) == 0)
		return;
	if (strcmp(m->name, u->name) != 0)
		(void)str_replace(&m->name, u->name); /* without memory, it is the old one */
	if (admitted)
		view_admit(h, m, u->role, user_is_hidden(u));
	m->status = status;
	view_changed(h, m);
	if (admitted && m->hidden)
		view_hide(h, m);
}

void
roster_row(struct hub *h, const struct user *u)
{
	struct member *m = member_find(h, u->id);

	if (m != NULL) {
		member_update(h, m, u);
		if (m->disabled && m->call != NULL)
			call_want_end(h, m->call, CALL_REVOKED, m->id);
		member_settle(h, m);
	} else if (h->loading ||
		   (u->role == ROLE_DOCTOR && u->status != STATUS_OFFLINE && !user_is_hidden(u))) {
		if ((m = member_new(h, u)) != NULL)
			view_changed(h, m);
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
	LL_APPEND(m->conns, c);
	m->conn_count++;
	timer_disarm(h, &m->presence_timer);
	if (!m->present || m->status == STATUS_OFFLINE) {
		m->present = true;
		if (m->status == STATUS_OFFLINE)
			m->status = STATUS_ONLINE;
		store_presence_of(h, m);
		view_changed(h, m);
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

	LL_DELETE(m->conns, c);
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
	view_changed(h, m);
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
		view_changed(h, m);
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
