#include "request.h"

#include <unistd.h>

enum err
service_store(struct service *s)
{
	if (s->store != NULL && !store_gone(s->store))
		return ERR_OK;
	store_close(s->store);
	s->store = NULL;
	/* It was made before there were workers. To make an empty one now would hide that it is
	 * gone. */
	if (access(s->paths.database, F_OK) != 0)
		return ERR_SYSTEM;
	return store_open(s->paths.database, s->paths.store_lock, &s->store);
}

void
reply_begin(struct request *q, int status, struct json_writer *w)
{
	q->reply.status = status;
	q->reply.content_type = "application/json";
	jw_init(w, &q->reply.body);
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
	jw_object_end(w);
}
