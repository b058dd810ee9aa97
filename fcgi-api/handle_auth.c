/* /auth/...: accounts and tokens. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "caller.h"
#include "doorbell/doorbell.h"
#include "handlers.h"
#include "metrics/metrics.h"
#include "problem.h"
#include "store/store_attempt.h"
#include "store/store_session.h"
#include "trail.h"

enum {
	FAILURES_MAX = 5, /* wrong passwords at once, for one account from one address */
	FAILURES_WINDOW_MS = 10 * 60 * 1000,
	MINUTE_MS = 60 * 1000,
	BUCKET_SIZE = ADDRESS_TEXT_SIZE + EMAIL_BYTES_MAX + 8,
};

static const struct attempt_rate account_rate = {
	.every_ms = FAILURES_WINDOW_MS / FAILURES_MAX,
	.burst = FAILURES_MAX,
};

/* The member FIELD as text; NULL, and a fault noted, where it is missing or something else. */
static const char *
text_field(struct request *q, const char *field)
{
	const struct json *member = json_member(q->json, field);
	const char *text = json_string(member);

	if (member == NULL)
		fault(q, field, "missing", "must be given");
	else if (text == NULL)
		fault(q, field, "wrong_type", "must be a string");
	return text;
}

/* The same, held against RULE. */
static const char *
ruled_field(struct request *q, const char *field, const char *(*rule)(const char *))
{
	const char *text = text_field(q, field);
	const char *broken = text == NULL ? NULL : rule(text);

	if (broken != NULL)
		fault(q, field, "out_of_bounds", broken);
	return text;
}

static enum role
role_field(struct request *q)
{
	const char *text = text_field(q, "role");
	enum role role = role_from_name(text);

	if (text != NULL && role == ROLE_NONE)
		fault(q, "role", "unknown", "must be PATIENT or DOCTOR");
	return role;
}

static void
name_field(struct request *q, char out[NAME_BYTES_MAX + 1])
{
	const char *text = text_field(q, "name");
	const char *broken = text == NULL ? NULL : name_rule(text, out);

	if (broken != NULL)
		fault(q, "name", "out_of_bounds", broken);
}

static struct attempt_rate
address_rate(const struct config *c)
{
	return (struct attempt_rate){ .every_ms = MINUTE_MS / c->auth_rate, .burst = c->auth_rate };
}

static void
name_address(const struct request *q, char bucket[BUCKET_SIZE])
{
	char key[ADDRESS_TEXT_SIZE];

	caller_address_key(q, key);
	snprintf(bucket, BUCKET_SIZE, "ip %s", key);
}

/* The account as seen from this address. An attacker elsewhere has a bucket of his own, and so
 * cannot keep the account's owner out. */
static void
name_account(const struct request *q, const char *email, char bucket[BUCKET_SIZE])
{
	char key[ADDRESS_TEXT_SIZE];

	caller_address_key(q, key);
	snprintf(bucket, BUCKET_SIZE, "login %s %s", key, email);
	for (char *c = bucket; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
}

/* How long this attempt is not within the rates, as far as that can be known without holding other
 * writers up; 0: take_attempt() decides. */
static int64_t
known_wait(struct request *q, const char *address, const char *account)
{
	struct store *s = q->service->store;
	int64_t now = clock_wall_ms();
	int64_t wait_ms;

	wait_ms = store_attempt_wait(s, address, address_rate(q->service->config), now);
	if (wait_ms == 0 && account != NULL)
		wait_ms = store_attempt_wait(s, account, account_rate, now);
	return wait_ms;
}

/* Checks and counts in one transaction. ERR_BUSY: it is not within the rates for *WAIT_MS. */
static enum err
take_attempt(struct request *q, const char *address, const char *account, int64_t *wait_ms)
{
	struct attempt_rate by_address = address_rate(q->service->config);
	struct store *s = q->service->store;
	int64_t now = clock_wall_ms();
	bool limited;
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e == ERR_BUSY ? ERR_SYSTEM : e;
	e = store_attempt_check(s, address, by_address, now, wait_ms);
	if (e == ERR_OK && account != NULL)
		e = store_attempt_check(s, account, account_rate, now, wait_ms);
	limited = e == ERR_BUSY;
	if (e == ERR_OK)
		e = store_attempt_count(s, address, by_address, now);
	if (e == ERR_OK && account != NULL)
		e = store_attempt_count(s, account, account_rate, now);
	if (store_end(s, limited ? ERR_OK : e) != ERR_OK)
		return ERR_SYSTEM;
	return limited ? ERR_BUSY : ERR_OK;
}

/* Before any bcrypt: is this attempt within the rates? ACCOUNT is NULL for a registration. */
static enum err
throttle(struct request *q, const char *address, const char *account)
{
	const struct user_id nobody = { 0 };
	int64_t wait_ms;
	enum err e;

	if (q->service->config->auth_rate == 0)
		return ERR_OK;
	if ((wait_ms = known_wait(q, address, account)) == 0) {
		e = take_attempt(q, address, account, &wait_ms);
		if (e != ERR_BUSY)
			return e;
	}
	if ((e = trail_note(q, AUDIT_LIMITED, "attempts", nobody)) != ERR_OK)
		return e;
	metric_add(METRIC_LOGINS_LIMITED, 0, 1);
	return refuse_until(q, wait_ms);
}

/* What stood in the request of one that failed is not recorded, nor anything made from it. */
static enum err
log_failure(struct request *q, const char *outcome, struct user_id user)
{

	return trail_note(q, AUDIT_LOGIN_FAILED, outcome, user);
}

static void
write_token(struct request *q, int status, const char *token, const struct account *a)
{
	struct json_writer w;

	reply_begin(q, status, &w);
	jw_object(&w, NULL);
	jw_string(&w, "token", token);
	write_user(&w, "user", &a->user, a->email);
	jw_object_end(&w);
}

/* In the transaction of what made A known: a session of A begins, and the answer has its token. */
static enum err
begin_session(struct request *q, int status, const struct account *a)
{
	const struct config *c = q->service->config;
	int ttl_s = c->token_ttl_s < c->session_max_s ? c->token_ttl_s : c->session_max_s;
	struct claims claims = { .user = a->user.id, .role = a->user.role, .epoch = a->user.epoch };
	struct session_row row = { .user = a->user.id };
	struct buf token;
	enum err e;

	buf_init(&token, TOKEN_BYTES_MAX);
	e = token_issue(&q->service->keys.first, &claims, clock_wall_ms() / 1000, ttl_s, &token);
	if (e == ERR_OK) {
		memcpy(row.session, claims.session, sizeof(row.session));
		row.began_s = claims.login_s;
		row.ends_s = claims.login_s + c->session_max_s;
		address_write(&q->address, row.source);
		e = store_session_begin(q->service->store, &row);
	}
	if (e == ERR_OK)
		write_token(q, status, token.data, a);
	buf_fini(&token);
	return e == ERR_OK && q->reply.body.failed ? ERR_SYSTEM : e;
}

/* The answer is made before the commit: a 503 says that nothing was changed. */
static enum err
insert_account(struct request *q, struct account *a)
{
	enum err e = store_user_create(q->service->store, a, clock_wall_ms());

	if (e == ERR_OK)
		e = trail_add(q, AUDIT_REGISTERED, role_name(a->user.role), a->user.id);
	return e == ERR_OK ? begin_session(q, 201, a) : e;
}

/* One that began at START_US. */
static void
count_hash(int64_t start_us)
{
	metric_observe(METRIC_PASSWORD_TIME, 0, clock_monotonic_us() - start_us);
}

static enum err
create_account(struct request *q, struct account *a, const char *password)
{
	struct store *s = q->service->store;
	struct account other;
	int64_t start_us;
	enum err e;

	/* Looked up before the slow hash; the table's own constraint decides a race. */
	e = store_user_by_email(s, a->email, &other);
	if (e == ERR_NOT_FOUND) {
		start_us = clock_monotonic_us();
		e = password_hash(password, q->service->config->bcrypt_cost, a->password_hash);
		count_hash(start_us);
	} else if (e == ERR_OK) {
		e = ERR_CONFLICT;
	}
	if (e == ERR_OK && (e = store_begin(s)) == ERR_OK)
		e = store_end(s, insert_account(q, a));
	return e;
}

enum err
handle_register(struct request *q)
{
	char address[BUCKET_SIZE];
	struct account a = { .email = "" };
	const char *password;
	const char *email;
	enum err e;

	name_field(q, a.user.name);
	email = ruled_field(q, "email", email_rule);
	password = ruled_field(q, "password", password_rule);
	a.user.role = role_field(q);
	a.user.pending = a.user.role == ROLE_DOCTOR &&
			 q->service->config->doctor_signup == SIGNUP_APPROVE;
	if ((e = refuse_faults(q)) != ERR_OK || (e = service_store(q->service)) != ERR_OK)
		return e;
	snprintf(a.email, sizeof(a.email), "%s", email);
	name_address(q, address);
	if ((e = throttle(q, address, NULL)) != ERR_OK)
		return e;
	e = create_account(q, &a, password);
	if (e == ERR_CONFLICT)
		return refuse(q, PROBLEM_EMAIL_TAKEN, "Log in, or register with another email.");
	if (e != ERR_OK)
		return e;
	metric_add(METRIC_REGISTRATIONS, 0, 1);
	return ERR_OK;
}

/* A login on its way. */
struct login {
	const char *email;
	const char *password;
	char bucket[BUCKET_SIZE];	/* of its account, see name_account() */
	struct account a;		/* of id 0: there is none */
	char fresh[PASSWORD_HASH_SIZE]; /* the hash that A gets; "": it keeps its own */
	const char *outcome;		/* of one that is denied, for the trail */
};

/* ERR_DENIED for a wrong password and for an unknown email, after the same work. */
static enum err
check_credentials(struct request *q, struct login *l)
{
	int cost = q->service->config->bcrypt_cost;
	enum err e = store_user_by_email(q->service->store, l->email, &l->a);
	int64_t start_us = clock_monotonic_us();

	if (e == ERR_NOT_FOUND) {
		l->a.user.id.v = 0;
		l->outcome = "unknown_account";
		e = password_verify_nobody(l->password, cost);
	} else if (e == ERR_OK) {
		l->outcome = "wrong_password";
		e = password_verify(l->password, l->a.password_hash);
		if (password_make_up(l->password, l->a.password_hash, cost) != ERR_DENIED)
			e = ERR_SYSTEM;
	} else {
		return e;
	}
	count_hash(start_us);
	return e;
}

/* One whose hash was made at another cost than is set now gets another: nobody else ever knows the
 * password. */
static enum err
make_fresh_hash(const struct request *q, struct login *l)
{
	int cost = q->service->config->bcrypt_cost;

	l->fresh[0] = '\0';
	if (password_cost(l->a.password_hash) == cost)
		return ERR_OK;
	return password_hash(l->password, cost, l->fresh);
}

/* A login that succeeded leaves no failures behind, but its line in the trail. The account is read
 * again: it took a while to hash, and meanwhile an operator may have disabled her. ERR_CONFLICT:
 * her hash is another by now, an operator's or another login's. */
static enum err
admit(struct request *q, struct login *l)
{
	struct store *s = q->service->store;
	struct account now;
	enum err e = store_user_by_id(s, l->a.user.id, &now);

	if (e == ERR_OK && strcmp(now.password_hash, l->a.password_hash) != 0)
		return ERR_CONFLICT;
	if (e == ERR_OK && now.user.disabled) {
		l->outcome = "disabled";
		return ERR_DENIED;
	}
	if (e == ERR_OK && q->service->config->auth_rate != 0)
		e = store_attempt_forget(s, l->bucket);
	if (e == ERR_OK && l->fresh[0] != '\0')
		e = store_user_set_password(s, now.user.id, l->fresh);
	if (e == ERR_OK)
		e = trail_add(q, AUDIT_LOGIN, "ok", now.user.id);
	return e == ERR_OK ? begin_session(q, 200, &now) : e;
}

static enum err
log_in(struct request *q, struct login *l)
{
	enum err e;

	if ((e = make_fresh_hash(q, l)) != ERR_OK || (e = store_begin(q->service->store)) != ERR_OK)
		return e;
	return store_end(q->service->store, admit(q, l));
}

enum err
handle_login(struct request *q)
{
	char address[BUCKET_SIZE];
	struct login l = { .outcome = "" };
	enum err e;

	l.email = ruled_field(q, "email", email_rule);
	l.password = ruled_field(q, "password", password_rule);
	if ((e = refuse_faults(q)) != ERR_OK || (e = service_store(q->service)) != ERR_OK)
		return e;
	name_address(q, address);
	name_account(q, l.email, l.bucket);
	if ((e = throttle(q, address, l.bucket)) != ERR_OK)
		return e;
	do {
		if ((e = check_credentials(q, &l)) == ERR_OK)
			e = log_in(q, &l);
	} while (e == ERR_CONFLICT);
	if (e == ERR_DENIED) {
		if ((e = log_failure(q, l.outcome, l.a.user.id)) != ERR_OK)
			return e;
		metric_add(METRIC_LOGINS_REFUSED, 0, 1);
		return refuse(q, PROBLEM_BAD_CREDENTIALS, "Check both and try again.");
	}
	if (e == ERR_OK)
		metric_add(METRIC_LOGINS, 0, 1);
	return e;
}

enum err
handle_me(struct request *q)
{
	struct json_writer w;

	reply_begin(q, 200, &w);
	jw_object(&w, NULL);
	write_user(&w, "user", &q->who.user, q->who.email);
	jw_object_end(&w);
	return ERR_OK;
}

enum err
handle_refresh(struct request *q)
{
	const struct config *c = q->service->config;
	struct buf token;
	enum err e;

	buf_init(&token, TOKEN_BYTES_MAX);
	e = token_renew(&q->service->keys.first, &q->claims, q->who.user.role,
	    clock_wall_ms() / 1000, c->token_ttl_s, c->session_max_s, &token);
	if (e == ERR_OK)
		write_token(q, 200, token.data, &q->who);
	buf_fini(&token);
	if (e == ERR_DENIED)
		return refuse(q, PROBLEM_INVALID_TOKEN, "The session is over. Log in again.");
	return e;
}

/* Of two logouts at once the second finds nothing to do. */
static enum err
end_session(struct request *q, int64_t last_s)
{
	const struct claims *c = &q->claims;
	struct store *s = q->service->store;
	enum err e = store_session_check(s, c->session);

	if (e != ERR_OK)
		return e == ERR_DENIED ? ERR_OK : e;
	e = store_session_revoke(s, c->user, c->session, last_s, clock_wall_ms() / 1000, q->id);
	return e == ERR_OK ? trail_add(q, AUDIT_LOGOUT, "ok", c->user) : e;
}

enum err
handle_logout(struct request *q)
{
	const struct claims *c = &q->claims;
	struct store *s = q->service->store;
	int64_t last_s = c->login_s + q->service->config->session_max_s;
	enum err e;

	if (last_s < c->expires_s)
		last_s = c->expires_s;
	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = store_end(s, end_session(q, last_s))) != ERR_OK)
		return e;
	doorbell_ring(q->service->paths.doorbell); /* the relay closes the session's sockets */
	q->reply.status = 204;
	return ERR_OK;
}
