#include "trail.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/store_call.h"

/* A move of the call that P's caller has made last. */
static enum err
add_call(struct store *s, const struct persist *p, struct audit_entry *entry, int64_t now_ms)
{
	struct user_id callee = { 0 };
	enum err e = store_call_last(s, p->user, &entry->call, &callee);

	if (e != ERR_OK)
		return e == ERR_NOT_FOUND ? ERR_SYSTEM : e;
	entry->user = p->by;
	entry->peer = user_same(p->by, p->user) ? callee : p->user;
	return store_audit_add(s, entry, now_ms);
}

enum err
trail_add(struct store *s, const struct persist *p, const struct address *from, int64_t now_ms)
{
	struct audit_entry entry = { .user = p->user, .address = *from };

	if (!store_wrote(s))
		return ERR_OK;
	switch (p->kind) {
	case PERSIST_PRESENT:
	case PERSIST_ABSENT:
		return ERR_OK;
	case PERSIST_STATUS:
		entry.event = AUDIT_STATUS;
		entry.outcome = status_name(p->status);
		return store_audit_add(s, &entry, now_ms);
	case PERSIST_CALL_START:
		entry.event = AUDIT_CALL_STARTED;
		entry.outcome = "ringing";
		return add_call(s, p, &entry, now_ms);
	case PERSIST_CALL_ANSWER:
		entry.event = AUDIT_CALL_ANSWERED;
		entry.outcome = "active";
		return add_call(s, p, &entry, now_ms);
	case PERSIST_CALL_END:
		entry.event = AUDIT_CALL_ENDED;
		entry.outcome = call_reason_name(p->reason);
		return add_call(s, p, &entry, now_ms);
	}
	return ERR_INVALID;
}

static unsigned waiting;	       /* refusals that the store has not written yet */
static int64_t left_out[AUDIT__COUNT]; /* that found no place among them, since the last that did */
static int64_t lost;

void
trail_refusal(struct journal *j, enum audit_event event, const char *code, struct user_id user,
    struct user_id peer, const struct address *from)
{
	const struct audit_entry entry = {
		.event = event,
		.at_ms = clock_wall_ms(),
		.outcome = code,
		.user = user,
		.peer = peer,
		.address = *from,
		.left_out = left_out[event],
	};

	if (waiting == REFUSALS_WAITING_MAX || !journal_note(j, &entry)) {
		left_out[event]++;
		return;
	}
	waiting++;
	left_out[event] = 0;
}

void
trail_refusal_done(const struct job *j)
{
	waiting--;
	if (j->outcome != ERR_OK)
		lost += 1 + j->note.left_out;
	if (waiting > 0 || lost == 0)
		return;
	for (unsigned i = 0; i < AUDIT__COUNT; i++) {
		lost += left_out[i];
		left_out[i] = 0;
	}
	LOG(LOG_ERROR, "audit_lines_lost", F_INT("lines", lost));
	lost = 0;
}
