#include "trail.h"

#include "base/clock.h"

enum err
trail_add(struct request *q, enum audit_event event, const char *outcome, struct user_id user)
{
	const struct audit_entry entry = {
		.event = event, .outcome = outcome, .user = user, .address = q->address
	};

	return store_audit_add(q->service->store, &entry, clock_wall_ms());
}

enum err
trail_refusal(struct request *q)
{
	const struct audit_entry entry = {
		.event = q->reply.status == 429 ? AUDIT_LIMITED : AUDIT_DENIED,
		.outcome = q->reply.code,
		.user = q->claims.user,
		.address = q->address,
	};
	int status = q->reply.status;
	enum err e;

	if (entry.user.v == 0 || (status != 401 && status != 403 && status != 429))
		return ERR_DENIED;
	e = store_audit_note(q->service->store, &entry);
	return e == ERR_OK ? ERR_DENIED : e;
}
