/* telemed-admin users list, and users add. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "auth/password.h"
#include "base/clock.h"
#include "doorbell/doorbell.h"
#include "input.h"
#include "person.h"

enum { TYPED_SIZE = 1024 };

static enum err
put_json(const struct account *a, int64_t created_ms)
{
	struct answer item;

	answer_begin(&item);
	jw_int(&item.w, "id", a->user.id.v);
	jw_string(&item.w, "name", a->user.name);
	jw_string(&item.w, "email", a->email);
	jw_string(&item.w, "role", role_name(a->user.role));
	jw_string(&item.w, "status", status_name(a->user.status));
	jw_bool(&item.w, "pending", a->user.pending);
	jw_bool(&item.w, "disabled", a->user.disabled);
	jw_bool(&item.w, "erased", a->erased);
	write_time(&item.w, "createdAt", created_ms);
	return listing_put(&item);
}

static const char *
state_of(const struct account *a)
{
	if (a->erased)
		return "erased";
	if (a->user.disabled)
		return "disabled";
	return a->user.pending ? "pending" : status_name(a->user.status);
}

static enum err
list_one(void *context, const struct account *a, int64_t created_ms)
{
	struct listing *l = context;

	listing_item(l);
	if (l->json)
		return put_json(a, created_ms);
	printf("%8" PRId64 "  %-7s  %-8s  %-32s  %s\n", a->user.id.v, role_name(a->user.role),
	    state_of(a), a->email, a->user.name);
	return ERR_OK;
}

enum admin_exit
users_list(struct admin *a, int argc, char **argv)
{
	struct listing l = {
		.heading = "      ID  ROLE     STATUS    EMAIL                             NAME"
	};
	bool pending = false;
	const struct option options[] = { { "--pending", &pending, NULL },
		{ "--json", &l.json, NULL }, { .name = NULL } };
	enum err e;

	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("There is no such option.");
	listing_begin(&l, "users");
	e = store_accounts(a->store, pending, list_one, &l);
	listing_end(&l, pending ? "No doctor waits for approval." : "There are no users.");
	return complain_of_store(e);
}

/* Reads a line and holds it against its rule. *WHY is set where it breaks it. */
static enum err
ask(const char *what, bool secret, char line[TYPED_SIZE], const char **why)
{
	enum err e = input_line(what, secret, line, TYPED_SIZE);

	*why = NULL;
	if (e == ERR_NOT_FOUND)
		*why = "is missing: standard input has no such line";
	else if (e == ERR_TOO_BIG)
		*why = "is too long";
	else if (e == ERR_INVALID)
		*why = "must be UTF-8";
	return e;
}

static enum admin_exit
complain_of_line(enum err e, const char *what, const char *why)
{
	if (e == ERR_OK && why == NULL)
		return ADMIN_OK;
	if (why == NULL)
		return complain(ADMIN_BROKEN, "Standard input cannot be read.");
	return complain_of(ADMIN_USAGE, "The %s %s.", what, why);
}

enum admin_exit
password_read(int cost, char hash[PASSWORD_HASH_SIZE])
{
	char line[TYPED_SIZE];
	char again[TYPED_SIZE];
	enum admin_exit code;
	const char *why;
	enum err e = ask("Password", true, line, &why);

	if (e == ERR_OK)
		why = password_rule(line);
	if (e == ERR_OK && why == NULL && input_is_typed()) {
		if ((e = ask("Password, once more", true, again, &why)) == ERR_OK &&
		    strcmp(line, again) != 0)
			why = "is not the same twice";
	}
	code = complain_of_line(e, "password", why);
	if (code == ADMIN_OK && password_hash(line, cost, hash) != ERR_OK)
		code = complain(ADMIN_BROKEN, "There is no memory to hash the password.");
	explicit_bzero(line, sizeof(line));
	explicit_bzero(again, sizeof(again));
	return code;
}

static enum admin_exit
read_account(const struct config *c, struct account *out)
{
	enum admin_exit code;
	char line[TYPED_SIZE];
	const char *why;
	enum err e;

	if ((e = ask("Name", false, line, &why)) == ERR_OK)
		why = name_rule(line, out->user.name);
	if ((code = complain_of_line(e, "name", why)) != ADMIN_OK)
		return code;
	if ((e = ask("Email", false, line, &why)) == ERR_OK)
		why = email_rule(line);
	if ((code = complain_of_line(e, "email", why)) != ADMIN_OK)
		return code;
	memcpy(out->email, line, strlen(line) + 1); /* the rule bounds it */
	return password_read(c->bcrypt_cost, out->password_hash);
}

static enum err
create(struct store *s, struct account *account)
{
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	e = store_user_create(s, account, clock_wall_ms());
	if (e == ERR_OK)
		e = admin_note(s, "add", account->user.id, 0);
	return store_end(s, e);
}

enum admin_exit
users_add(struct admin *a, int argc, char **argv)
{
	bool json = false;
	const struct option options[] = { { "--json", &json, NULL }, { .name = NULL } };
	struct account account = { .email = "" };
	const char *role = NULL;
	enum admin_exit code;
	struct answer answer;
	enum err e;

	(void)argc;
	if (options_read(argv, options, &role, 1) != 1 ||
	    (account.user.role = role_from_name(role)) == ROLE_NONE)
		return usage_error("Say whether it is a PATIENT or a DOCTOR.");
	if ((code = read_account(a->config, &account)) != ADMIN_OK)
		return code;
	if ((e = create(a->store, &account)) == ERR_CONFLICT)
		return complain(ADMIN_REFUSED, "There is an account with this email.");
	if (e != ERR_OK)
		return complain_of_store(e);
	doorbell_ring(a->paths.doorbell);
	if (!json) {
		printf("%" PRId64 " is added\n", account.user.id.v);
		return ADMIN_OK;
	}
	answer_begin(&answer);
	jw_int(&answer.w, "id", account.user.id.v);
	jw_string(&answer.w, "act", "add");
	jw_bool(&answer.w, "changed", true);
	return answer_end(&answer, ADMIN_OK);
}
