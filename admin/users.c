/* telemed-admin users: accounts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "base/clock.h"
#include "base/str.h"
#include "doorbell/doorbell.h"
#include "store/store_user.h"
#include "json/json.h"

struct listing {
	bool json;
	unsigned count;
};

static enum err
print_json(const struct account *a, int64_t created_ms)
{
	char text[RFC3339_SIZE];
	struct json_writer w;
	struct buf out;

	buf_init(&out, 1 << 14);
	jw_init(&w, &out);
	jw_object(&w, NULL);
	jw_int(&w, "id", a->user.id.v);
	jw_string(&w, "name", a->user.name);
	jw_string(&w, "email", a->email);
	jw_string(&w, "role", role_name(a->user.role));
	jw_string(&w, "status", status_name(a->user.status));
	jw_bool(&w, "pending", a->user.pending);
	jw_string(&w, "createdAt", clock_rfc3339(created_ms, text));
	jw_object_end(&w);
	if (!out.failed)
		fputs(out.data, stdout);
	else
		created_ms = -1;
	buf_fini(&out);
	return created_ms < 0 ? ERR_SYSTEM : ERR_OK;
}

static enum err
list_one(void *context, const struct account *a, int64_t created_ms)
{
	struct listing *l = context;
	const char *state = a->user.pending ? "pending" : status_name(a->user.status);

	if (l->json && l->count > 0)
		fputs(",\n", stdout);
	else if (!l->json && l->count == 0)
		printf("%8s  %-7s  %-7s  %-32s  %s\n", "ID", "ROLE", "STATUS", "EMAIL", "NAME");
	l->count++;
	if (l->json)
		return print_json(a, created_ms);
	printf("%8" PRId64 "  %-7s  %-7s  %-32s  %s\n", a->user.id.v, role_name(a->user.role),
	    state, a->email, a->user.name);
	return ERR_OK;
}

enum admin_exit
users_list(struct admin *a, int argc, char **argv)
{
	struct listing l = { .json = false };
	bool pending = false;
	enum err e;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--pending") == 0)
			pending = true;
		else if (strcmp(argv[i], "--json") == 0)
			l.json = true;
		else
			return usage_error("There is no such option.");
	}
	if (l.json)
		fputs("{\"users\":[", stdout);
	e = store_accounts(a->store, pending, list_one, &l);
	if (l.json)
		puts("]}");
	else if (l.count == 0 && e == ERR_OK)
		puts(pending ? "No doctor waits for approval." : "There are no users.");
	return complain_of_store(e);
}

/* The account of EMAIL, or where that is NULL the one of ID. */
static enum err
approve(struct store *s, const char *email, struct user_id id, struct account *out)
{
	struct audit_entry entry = {
		.event = AUDIT_ADMIN, .outcome = "approve", .source = admin_source()
	};
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	e = email != NULL ? store_user_by_email(s, email, out) : store_user_by_id(s, id, out);
	if (e == ERR_OK)
		e = out->user.role == ROLE_DOCTOR ? store_user_approve(s, out->user.id)
						  : ERR_DENIED;
	if (e == ERR_OK && out->user.pending) {
		entry.peer = out->user.id;
		e = store_audit_add(s, &entry, clock_wall_ms());
	}
	return store_end(s, e);
}

enum admin_exit
users_approve(struct admin *a, int argc, char **argv)
{
	struct user_id id = { 0 };
	struct account found;
	const char *email;
	enum err e;

	if (argc != 1)
		return usage_error("Name one user.");
	email = strchr(argv[0], '@') != NULL ? argv[0] : NULL;
	if (email == NULL && !parse_int(argv[0], strlen(argv[0]), 1, INT64_MAX, &id.v))
		return usage_error("A user is named by an id or an email.");
	e = approve(a->store, email, id, &found);
	if (e == ERR_NOT_FOUND)
		return complain(ADMIN_NO_USER, "There is no such user.");
	if (e == ERR_DENIED)
		return complain(
		    ADMIN_REFUSED, "The user is a patient, whom nobody has to approve.");
	if (e != ERR_OK)
		return complain_of_store(e);
	/* After the commit: the relay must be able to read what we announce. */
	doorbell_ring(a->paths.doorbell);
	printf("%" PRId64 " %s\n", found.user.id.v,
	    found.user.pending ? "is approved" : "was approved before");
	return ADMIN_OK;
}
