#include "conn_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* What the database has. */
static struct {
	enum status status[PEOPLE + 1];
	bool pending[PEOPLE + 1];
	int64_t peer[PEOPLE + 1]; /* whom one is in a call with; 0: nobody */
	struct jobs {
		struct job *first;
		struct job *last;
	} todo, done;
} db;

void
db_reset(void)
{
	memset(&db, 0, sizeof(db));
	for (int i = 1; i <= PEOPLE; i++)
		db.status[i] = STATUS_OFFLINE;
	db.pending[2] = true;
}

static void
append(struct jobs *list, const struct job *job)
{
	struct job *j = malloc(sizeof(*j));

	MUST(j != NULL);
	*j = *job;
	j->next = NULL;
	if (list->first == NULL)
		list->first = j;
	else
		list->last->next = j;
	list->last = j;
}

bool
journal_persist(struct journal *j, const struct persist *p, const struct address *from)
{
	(void)j;
	(void)from;
	append(&db.todo, &(struct job){ .kind = JOB_PERSIST, .persist = *p });
	return true;
}

bool
journal_lookup(struct journal *j, struct user_id user, void *cookie)
{
	(void)j;
	append(&db.todo, &(struct job){ .kind = JOB_LOOKUP, .user.id = user, .cookie = cookie });
	return true;
}

bool
journal_lookup_token(struct journal *j, const struct claims *token, void *cookie)
{
	struct job job = { .kind = JOB_LOOKUP, .user.id = token->user, .cookie = cookie };

	(void)j;
	memcpy(job.session, token->session, sizeof(job.session));
	append(&db.todo, &job);
	return true;
}

bool
journal_note(struct journal *j, const struct audit_entry *note)
{
	(void)j;
	(void)note;
	return true;
}

struct job *
journal_take(struct journal *j)
{
	struct job *done = db.done.first;

	(void)j;
	db.done.first = NULL;
	return done;
}

struct user
db_row(int64_t id)
{
	struct user u = { .id = { id }, .role = id <= 2 ? ROLE_DOCTOR : ROLE_PATIENT };

	u.status = db.status[id];
	u.pending = db.pending[id];
	snprintf(u.name, sizeof(u.name), "N\"%d\"", (int)id);
	return u;
}

static enum err
start_call(const struct persist *p)
{
	if (db.peer[p->user.v] != 0 || db.peer[p->peer.v] != 0)
		return ERR_CONFLICT;
	db.peer[p->user.v] = p->peer.v;
	db.peer[p->peer.v] = p->user.v;
	return ERR_OK;
}

static enum err
apply(const struct persist *p)
{
	enum status *status = &db.status[p->user.v];

	switch (p->kind) {
	case PERSIST_PRESENT:
		*status = *status == STATUS_OFFLINE ? STATUS_ONLINE : *status;
		break;
	case PERSIST_ABSENT:
		*status = STATUS_OFFLINE;
		break;
	case PERSIST_STATUS:
		*status = p->status;
		break;
	case PERSIST_CALL_START:
		return start_call(p);
	case PERSIST_CALL_ANSWER:
		MUST(db.peer[p->user.v] != 0);
		break;
	case PERSIST_CALL_END:
		MUST(db.peer[p->user.v] != 0);
		db.peer[db.peer[p->user.v]] = 0;
		db.peer[p->user.v] = 0;
		break;
	}
	return ERR_OK;
}

static void
do_job(struct job *j, bool fails)
{
	int64_t id = j->kind == JOB_PERSIST ? j->persist.user.v : j->user.id.v;
	bool known = id >= 1 && id <= PEOPLE;

	if (fails)
		j->outcome = ERR_SYSTEM;
	else if (j->kind == JOB_PERSIST)
		j->outcome = apply(&j->persist);
	else
		j->outcome = known ? ERR_OK : ERR_NOT_FOUND;
	if (known)
		j->user = db_row(id);
}

void
db_run(bool fails)
{
	struct job *next;

	for (struct job *j = db.todo.first; j != NULL; j = next) {
		next = j->next;
		do_job(j, fails);
		append(&db.done, j);
		free(j);
	}
	db.todo.first = NULL;
}

void
db_tells(const struct job *j)
{
	append(&db.done, j);
}

void
db_approve(int64_t id)
{
	db.pending[id] = false;
	db_tells(&(struct job){ .kind = JOB_CHANGED, .user = db_row(id) });
}

bool
db_is_idle(void)
{
	return db.todo.first == NULL && db.done.first == NULL;
}

void
db_check(void)
{
	for (int i = 1; i <= PEOPLE; i++)
		MUST(db.peer[i] == 0 && db.status[i] == STATUS_OFFLINE);
}
