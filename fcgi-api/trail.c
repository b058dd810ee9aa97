#include "trail.h"

#include "base/clock.h"

static struct audit_entry
entry_of(struct request *q, enum audit_event event, const char *outcome, struct user_id user)
{
	return (struct audit_entry){
		.event = event, .outcome = outcome, .user = user, .address = q->address
	};
}

enum err
trail_add(struct request *q, enum audit_event event, const char *outcome, struct user_id user)
{
	const struct audit_entry entry = entry_of(q, event, outcome, user);

	return store_audit_add(q->service->store, &entry, clock_wall_ms());
}

enum err
trail_note(struct request *q, enum audit_event event, const char *outcome, struct user_id user)
{
	const struct audit_entry entry = entry_of(q, event, outcome, user);

	return store_audit_note(q->service->store, &entry);
}

enum err
trail_refusal(struct request *q)
{
	enum audit_event event = q->reply.status == 429 ? AUDIT_LIMITED : AUDIT_DENIED;
	int status = q->reply.status;
	enum err e;

	if (q->claims.user.v == 0 || (status != 401 && status != 403 && status != 429))
		return ERR_DENIED;
	e = trail_note(q, event, q->reply.code, q->claims.user);
	return e == ERR_OK ? ERR_DENIED : e;
}
