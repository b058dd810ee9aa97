/* telemed-admin sessions: who is logged in. */
#include <inttypes.h>
#include <stdio.h>

#include "admin.h"
#include "base/clock.h"
#include "doorbell/doorbell.h"
#include "person.h"
#include "store/store_session.h"

static enum err
list_one(void *context, const struct session_row *row)
{
	struct listing *l = context;
	char began[RFC3339_SIZE];
	char ends[RFC3339_SIZE];
	struct answer item;

	listing_item(l);
	clock_rfc3339(row->began_s * 1000, began);
	clock_rfc3339(row->ends_s * 1000, ends);
	if (!l->json) {
		printf("%-32s  %8" PRId64 "  %.19sZ  %.19sZ  %s\n", row->session, row->user.v,
		    began, ends, row->source);
		return ERR_OK;
	}
	answer_begin(&item);
	jw_string(&item.w, "session", row->session);
	jw_int(&item.w, "user", row->user.v);
	jw_string(&item.w, "beganAt", began);
	jw_string(&item.w, "endsAt", ends);
	jw_string(&item.w, "from", row->source);
	return listing_put(&item);
}

/* The user of TEXT. On any other than ADMIN_OK it has complained. */
static enum admin_exit
find(struct store *s, const char *text, struct user_id *out)
{
	struct account found;
	struct person p;
	enum err e;

	if (!person_read(text, &p))
		return usage_error("A user is named by an id or an email.");
	if ((e = person_find(s, &p, &found)) == ERR_NOT_FOUND)
		return complain(ADMIN_NOBODY, "There is no such user.");
	*out = found.user.id;
	return complain_of_store(e);
}

enum admin_exit
sessions_list(struct admin *a, int argc, char **argv)
{
	struct listing l = { .heading = "SESSION                               USER  SINCE"
					"                 UNTIL AT MOST         FROM" };
	const char *who = NULL;
	const struct option options[] = { { "--user", NULL, &who }, { "--json", &l.json, NULL },
		{ .name = NULL } };
	struct user_id user = { 0 };
	enum admin_exit code;
	enum err e;

	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("There is no such option.");
	if (who != NULL && (code = find(a->store, who, &user)) != ADMIN_OK)
		return code;
	listing_begin(&l, "sessions");
	e = store_sessions(a->store, user, clock_wall_ms() / 1000, list_one, &l);
	listing_end(&l, "Nobody is logged in.");
	return complain_of_store(e);
}

static enum err
end_one(struct store *s, const char *session, struct user_id *user)
{
	int64_t now_s = clock_wall_ms() / 1000;
	struct session_row row;
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = store_session_find(s, session, now_s, &row)) == ERR_OK)
		e = store_session_revoke(s, row.user, session, row.ends_s, now_s, NULL);
	if (e == ERR_OK)
		e = admin_note(s, "kick", row.user, 0);
	if (e == ERR_OK)
		*user = row.user;
	return store_end(s, e);
}

static enum err
end_all(struct store *s, struct user_id user)
{
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = store_sessions_end(s, user, clock_wall_ms())) == ERR_OK)
		e = admin_note(s, "kick", user, 0);
	return store_end(s, e);
}

static enum admin_exit
tell(struct user_id user, const char *session, bool json)
{
	struct answer answer;

	if (!json) {
		printf(session == NULL ? "All sessions of %" PRId64 " are over\n"
				       : "A session of %" PRId64 " is over\n",
		    user.v);
		return ADMIN_OK;
	}
	answer_begin(&answer);
	jw_int(&answer.w, "user", user.v);
	if (session != NULL)
		jw_string(&answer.w, "session", session);
	jw_string(&answer.w, "act", "kick");
	return answer_end(&answer, ADMIN_OK);
}

enum admin_exit
sessions_kick(struct admin *a, int argc, char **argv)
{
	bool json = false;
	const char *session = NULL;
	const char *who = NULL;
	const struct option options[] = { { "--user", NULL, &who }, { "--json", &json, NULL },
		{ .name = NULL } };
	struct user_id user = { 0 };
	enum admin_exit code;
	enum err e;

	(void)argc;
	if (options_read(argv, options, &session, 1) < 0 || (session == NULL) == (who == NULL))
		return usage_error("Name a session, or --user and whose sessions.");
	if (who != NULL && (code = find(a->store, who, &user)) != ADMIN_OK)
		return code;
	e = who != NULL ? end_all(a->store, user) : end_one(a->store, session, &user);
	if (e == ERR_NOT_FOUND)
		return complain(ADMIN_NOBODY, "There is no such session, or it is over.");
	if (e != ERR_OK)
		return complain_of_store(e);
	doorbell_ring(a->paths.doorbell);
	return tell(user, session, json);
}
