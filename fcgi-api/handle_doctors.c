/* /doctors: who there is, and a doctor's own status. */
#include "doorbell/doorbell.h"
#include "handlers.h"
#include "problem.h"
#include "trail.h"

static enum err
write_doctor(void *context, const struct user *u)
{
	write_user(context, NULL, u, NULL);
	return ERR_OK;
}

static enum err
write_list(struct store *store, struct kept_answer *list)
{
	struct json_writer w;
	enum err e;

	list->etag[0] = '\0';
	buf_fini(&list->body);
	buf_init(&list->body, REPLY_BYTES_MAX);
	jw_init(&w, &list->body);
	jw_object(&w, NULL);
	jw_array(&w, "doctors");
	e = store_doctors(store, write_doctor, &w);
	jw_array_end(&w);
	jw_object_end(&w);
	if (e == ERR_OK && list->body.failed)
		e = ERR_SYSTEM;
	if (e != ERR_OK)
		return e;
	list->state = store_state(store);
	kept_answer_name(list);
	return ERR_OK;
}

/* Written again when anything was committed: also the calls, for who is in one is BUSY. What says
 * so is the read of the caller's account, just before; a read of its own would take SQLite's locks
 * once more. */
enum err
handle_doctors_list(struct request *q)
{
	struct kept_answer *list = &q->service->doctors;
	enum err e;

	if (list->etag[0] == '\0' || list->state != store_state(q->service->store)) {
		if ((e = write_list(q->service->store, list)) != ERR_OK)
			return e;
	}
	reply_kept(q, list);
	return ERR_OK;
}

/* The answer: read again, for a doctor in a call is BUSY whatever she has set. */
static enum err
reply_user(struct request *q)
{
	struct json_writer w;
	enum err e;

	if ((e = store_user_by_id(q->service->store, q->who.user.id, &q->who)) != ERR_OK)
		return e;
	reply_begin(q, 200, &w);
	jw_object(&w, NULL);
	write_user(&w, "user", &q->who.user, NULL);
	jw_object_end(&w);
	return q->reply.body.failed ? ERR_SYSTEM : ERR_OK;
}

/* The answer is made before the commit: a 503 says that nothing was changed. */
static enum err
set_status(struct request *q, enum status status)
{
	struct store *s = q->service->store;
	struct user_id id = q->who.user.id;
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	e = store_user_set_status(s, id, status, q->id);
	if (e == ERR_OK && store_wrote(s))
		e = trail_add(q, AUDIT_STATUS, status_name(status), id);
	if (e == ERR_OK)
		e = reply_user(q);
	return store_end(s, e);
}

enum err
handle_doctors_status(struct request *q)
{
	const struct json *member = json_member(q->json, "status");
	const char *text = json_string(member);
	enum status status = status_from_name(text);
	enum err e;

	if (member == NULL)
		fault(q, "status", "missing", "must be given");
	else if (text == NULL)
		fault(q, "status", "wrong_type", "must be a string");
	else if (status == STATUS_NONE)
		fault(q, "status", "unknown", "must be ONLINE, BUSY or OFFLINE");
	if ((e = refuse_faults(q)) != ERR_OK)
		return e;
	if ((e = set_status(q, status)) != ERR_OK)
		return e;
	/* After the commit: the relay must be able to read what we announce. */
	doorbell_ring(q->service->paths.doorbell);
	return ERR_OK;
}
