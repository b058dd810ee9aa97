/* telemed-admin users approve, disable, enable, reset-password and erase: what is done to an
 * account that is there. */
#include <inttypes.h>
#include <stdio.h>

#include "admin.h"
#include "base/clock.h"
#include "doorbell/doorbell.h"
#include "person.h"
#include "store/store_backup.h"
#include "store/store_session.h"

struct change {
	const char *word; /* in the audit trail, and as JSON */
	const char *done;
	const char *not_done; /* there was nothing to do */
	const char *refused;  /* NULL: it never is */
	bool ends_sessions;

	/* ERR_DENIED: not with this account. store_wrote(): there was something to do. */
	enum err (*make)(struct store *s, const struct account *a, const char *hash);
};

static enum err
approve(struct store *s, const struct account *a, const char *hash)
{
	(void)hash;
	return a->user.role == ROLE_DOCTOR ? store_user_approve(s, a->user.id) : ERR_DENIED;
}

static enum err
disable(struct store *s, const struct account *a, const char *hash)
{
	(void)hash;
	return store_user_disable(s, a->user.id);
}

static enum err
enable(struct store *s, const struct account *a, const char *hash)
{
	(void)hash;
	return a->erased ? ERR_DENIED : store_user_enable(s, a->user.id);
}

static enum err
set_password(struct store *s, const struct account *a, const char *hash)
{
	return a->erased ? ERR_DENIED : store_user_set_password(s, a->user.id, hash);
}

static enum err
erase(struct store *s, const struct account *a, const char *hash)
{
	(void)hash;
	return store_user_erase(s, a);
}

static const struct change approval = { "approve", "is approved", "was approved before",
	"The user is a patient, whom nobody has to approve.", false, approve };
static const struct change disabling = { "disable", "is disabled", "was disabled before", NULL,
	true, disable };
static const struct change enabling = { "enable", "is enabled", "was not disabled",
	"The user was erased: there is nobody to let in.", false, enable };
static const struct change new_password = { "reset_password", "has a new password", "",
	"The user was erased: there is nobody to let in.", true, set_password };
static const struct change erasure = { "erase", "is erased", "was erased before", NULL, true,
	erase };

/* In a transaction. *CHANGED: there was something to do, and a line of the trail says that it was
 * done. */
static enum err
make(struct store *s, const struct change *c, const struct account *a, const char *hash,
    bool *changed)
{
	enum err e = c->make(s, a, hash);

	*changed = e == ERR_OK && store_wrote(s);
	if (!*changed)
		return e;
	if (c->ends_sessions)
		e = store_sessions_end(s, a->user.id, clock_wall_ms());
	return e == ERR_OK ? admin_note(s, c->word, a->user.id, 0) : e;
}

static enum err
change(struct store *s, const struct change *c, const struct person *p, const char *hash,
    struct account *out, bool *changed)
{
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = person_find(s, p, out)) == ERR_OK)
		e = make(s, c, out, hash, changed);
	return store_end(s, e);
}

static enum admin_exit
tell(const struct change *c, struct user_id id, bool changed, bool json)
{
	struct answer answer;

	if (!json) {
		printf("%" PRId64 " %s\n", id.v, changed ? c->done : c->not_done);
		return ADMIN_OK;
	}
	answer_begin(&answer);
	jw_int(&answer.w, "id", id.v);
	jw_string(&answer.w, "act", c->word);
	jw_bool(&answer.w, "changed", changed);
	return answer_end(&answer, ADMIN_OK);
}

/* Does C to P; HASH is the new password's, where C sets one. */
static enum admin_exit
do_change(
    struct admin *a, const struct change *c, const struct person *p, const char *hash, bool json)
{
	bool changed = false;
	struct account found;
	enum err e = change(a->store, c, p, hash, &found, &changed);

	if (e == ERR_NOT_FOUND)
		return complain(ADMIN_NOBODY, "There is no such user.");
	if (e == ERR_DENIED)
		return complain(ADMIN_REFUSED, c->refused);
	if (e != ERR_OK)
		return complain_of_store(e);
	/* After the commit: the relay must be able to read what we announce. */
	doorbell_ring(a->paths.doorbell);
	return tell(c, found.user.id, changed, json);
}

/* The words of a command line: one user, --json, and --yes where YES is not NULL. */
static bool
read_words(char **argv, bool *json, bool *yes, struct person *p)
{
	const struct option options[] = { { "--json", json, NULL },
		{ yes == NULL ? NULL : "--yes", yes, NULL }, { .name = NULL } };
	const char *who = NULL;

	return options_read(argv, options, &who, 1) == 1 && person_read(who, p);
}

static enum admin_exit
change_named(struct admin *a, const struct change *c, char **argv)
{
	struct person p;
	bool json = false;

	if (!read_words(argv, &json, NULL, &p))
		return usage_error("Name one user, by an id or an email.");
	return do_change(a, c, &p, NULL, json);
}

enum admin_exit
users_approve(struct admin *a, int argc, char **argv)
{
	(void)argc;
	return change_named(a, &approval, argv);
}

enum admin_exit
users_disable(struct admin *a, int argc, char **argv)
{
	(void)argc;
	return change_named(a, &disabling, argv);
}

enum admin_exit
users_enable(struct admin *a, int argc, char **argv)
{
	(void)argc;
	return change_named(a, &enabling, argv);
}

/* Is there somebody, before a password is asked for? */
static enum admin_exit
check_there(struct admin *a, const struct person *p)
{
	struct account found;
	enum err e = person_find(a->store, p, &found);

	if (e == ERR_NOT_FOUND)
		return complain(ADMIN_NOBODY, "There is no such user.");
	return complain_of_store(e);
}

enum admin_exit
users_reset_password(struct admin *a, int argc, char **argv)
{
	char hash[PASSWORD_HASH_SIZE];
	enum admin_exit code;
	struct person p;
	bool json = false;

	(void)argc;
	if (!read_words(argv, &json, NULL, &p))
		return usage_error("Name one user, by an id or an email.");
	if ((code = check_there(a, &p)) != ADMIN_OK ||
	    (code = password_read(a->config->bcrypt_cost, hash)) != ADMIN_OK)
		return code;
	return do_change(a, &new_password, &p, hash, json);
}

enum admin_exit
users_erase(struct admin *a, int argc, char **argv)
{
	bool yes = false;
	enum admin_exit code;
	struct person p;
	bool json = false;

	(void)argc;
	if (!read_words(argv, &json, &yes, &p))
		return usage_error("Name one user, by an id or an email.");
	if (!yes)
		return usage_error("There is no way back from this: say --yes.");
	code = do_change(a, &erasure, &p, NULL, json);
	/* What the write-ahead log still holds of her; who reads just now keeps it a while longer.
	 */
	if (code == ADMIN_OK && store_empty_log(a->store) != ERR_OK)
		fputs("telemed-admin: Her name stands in telemed.db-wal until that is written "
		      "over.\n",
		    stderr);
	return code;
}
