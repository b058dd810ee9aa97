#include "request.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum err
service_store(struct service *s)
{
	const struct data_paths *p = &s->paths;
	enum err e;

	if (s->store != NULL && !store_gone(s->store))
		return ERR_OK;
	store_close(s->store);
	s->store = NULL;
	s->doctors.etag[0] = '\0'; /* it was the other connection's */
	/* It was made before there were workers. To make an empty one now would hide that it is
	 * gone. */
	if (access(p->database, F_OK) != 0)
		return ERR_SYSTEM;
	e = store_audit_compare(p->database, p->store_lock, p->audit_key, p->audit_head);
	if (e == ERR_OK)
		e = store_open(p->database, p->store_lock, &s->store);
	if (e != ERR_OK)
		return e == ERR_CONFLICT ? ERR_SYSTEM : e;
	if (store_audit_open(s->store, p->audit_key, p->audit_head) != ERR_OK) {
		store_close(s->store);
		s->store = NULL;
		return ERR_SYSTEM; /* it was read at the start */
	}
	return ERR_OK;
}

bool
service_auth_waits(const struct service *s)
{
	struct pollfd p = { .fd = s->auth_fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
}

void
reply_begin(struct request *q, int status, struct json_writer *w)
{
	q->reply.status = status;
	q->reply.content_type = "application/json";
	jw_init(w, &q->reply.body);
}

void
kept_answer_name(struct kept_answer *kept)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < kept->body.len; i++)
		hash = (hash ^ (unsigned char)kept->body.data[i]) * UINT64_C(0x100000001b3);
	snprintf(kept->etag, sizeof(kept->etag), "\"%016llx\"", (unsigned long long)hash);
}

/* Does LIST, the value of an If-None-Match, hold ETAG, which ends with its quote? */
static bool
list_holds(const char *list, const char *etag)
{
	size_t len = strlen(etag);

	if (strcmp(list, "*") == 0)
		return true;
	while (*list != '\0') {
		list += strspn(list, " \t,");
		if (strncmp(list, "W/", 2) == 0) /* a weak comparison, RFC 9110 8.8.3.2 */
			list += 2;
		if (strncmp(list, etag, len) == 0)
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

void
reply_kept(struct request *q, const struct kept_answer *kept)
{
	q->reply.etag = kept->etag;
	if (list_holds(q->if_none_match, kept->etag)) {
		q->reply.status = 304;
		return;
	}
	q->reply.status = 200;
	q->reply.content_type = "application/json";
	buf_add(&q->reply.body, kept->body.data, kept->body.len);
}

void
write_user(struct json_writer *w, const char *key, const struct user *u, const char *email)
{
	jw_object(w, key);
	jw_int(w, "id", u->id.v);
	jw_string(w, "name", u->name);
	if (email != NULL)
		jw_string(w, "email", email);
	jw_string(w, "role", role_name(u->role));
	jw_string(w, "status", status_name(u->status));
	if (u->pending)
		jw_bool(w, "pending", true);
	jw_object_end(w);
}
