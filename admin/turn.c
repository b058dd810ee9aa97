/* telemed-admin turn check: what a browser would meet at each of the servers of TELEMED_TURN_URLS.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "admin.h"
#include "auth/turn.h"
#include "base/clock.h"
#include "turn_wire.h"

enum { UNAUTHORIZED = 401, STALE_NONCE = 438, SAYS_SIZE = 256 };

struct finding {
	const char *url;
	bool good;
	bool checked;
	char says[SAYS_SIZE];
	char mapped[STUN_ADDRESS_SIZE];
	char relayed[STUN_ADDRESS_SIZE];
	int64_t took_ms;
};

static enum err
ask(struct turn_wire *w, enum stun_method method, const struct stun_login *login,
    struct stun_answer *out)
{
	struct stun_request r = { .method = method, .login = login };

	if (getrandom(r.id, sizeof(r.id), 0) != (ssize_t)sizeof(r.id))
		return ERR_SYSTEM;
	return turn_ask(w, &r, out);
}

static void
check_stun(struct turn_wire *w, struct finding *f)
{
	struct stun_answer got;

	if (ask(w, STUN_BINDING, NULL, &got) != ERR_OK) {
		snprintf(f->says, sizeof(f->says), "It does not answer.");
	} else if (!got.granted || got.mapped[0] == '\0') {
		snprintf(f->says, sizeof(f->says), "It answers with error %d.", got.error);
	} else {
		f->good = true;
		memcpy(f->mapped, got.mapped, sizeof(f->mapped));
		snprintf(f->says, sizeof(f->says), "It answers, and sees us at %s.", got.mapped);
	}
}

/* Asks for an address with LOGIN, whose nonce may have run out meanwhile. */
static enum err
allocate(struct turn_wire *w, struct stun_login *login, struct stun_answer *got)
{
	enum err e = ask(w, TURN_ALLOCATE, login, got);

	if (e == ERR_OK && !got->granted && got->error == STALE_NONCE) {
		memcpy(login->nonce, got->nonce, sizeof(login->nonce));
		e = ask(w, TURN_ALLOCATE, login, got);
	}
	return e;
}

/* With the credentials of one secret, on a connection of its own: a server gives one address to
 * each. True: they were taken, or F says what else is wrong. */
static bool
try_secret(struct finding *f, const struct turn_secret *secret, const struct stun_answer *refusal)
{
	const struct user_id nobody = { 0 };
	struct turn_credential c;
	struct stun_login login = { .username = c.username, .password = c.credential };
	struct stun_answer got;
	struct turn_wire *w = NULL;

	memcpy(login.realm, refusal->realm, sizeof(login.realm));
	memcpy(login.nonce, refusal->nonce, sizeof(login.nonce));
	if (!turn_credential_make(secret, nobody, clock_wall_ms() / 1000, &c) ||
	    turn_open(f->url, &w, f->says) != ERR_OK)
		return true;
	if (allocate(w, &login, &got) != ERR_OK) {
		snprintf(f->says, sizeof(f->says), "It does not answer who has credentials.");
	} else if (got.granted && got.proven) {
		f->good = true;
		memcpy(f->relayed, got.relayed, sizeof(f->relayed));
		snprintf(f->says, sizeof(f->says), "It takes our credentials, and relays from %s.",
		    got.relayed);
		(void)!ask(w, TURN_REFRESH, &login, &got); /* which gives it back */
	} else if (got.granted) {
		snprintf(f->says, sizeof(f->says),
		    "It gives an address, and does not prove that it knows the secret.");
	} else if (got.error == UNAUTHORIZED) {
		turn_close(w);
		return false;
	} else {
		snprintf(f->says, sizeof(f->says),
		    "It takes our credentials, and refuses an address: error %d.", got.error);
	}
	turn_close(w);
	return true;
}

static void
check_turn(struct turn_wire *w, const struct turn_settings *t, struct finding *f)
{
	struct stun_answer got;

	if (ask(w, TURN_ALLOCATE, NULL, &got) != ERR_OK) {
		snprintf(f->says, sizeof(f->says), "It does not answer.");
		return;
	}
	if (got.granted) {
		snprintf(f->says, sizeof(f->says),
		    "It relays for anybody: have it ask for credentials (use-auth-secret).");
		return;
	}
	if (got.error != UNAUTHORIZED || got.realm[0] == '\0' || got.nonce[0] == '\0') {
		snprintf(f->says, sizeof(f->says), "It answers with error %d.", got.error);
		return;
	}
	/* During a rotation it knows one of the two. */
	for (unsigned i = 0; i < t->secret_count; i++) {
		if (try_secret(f, &t->secrets[i], &got))
			return;
	}
	snprintf(f->says, sizeof(f->says),
	    "It refuses our credentials: is TELEMED_TURN_SECRET its static-auth-secret, and are "
	    "the clocks right?");
}

static void
check_server(const struct turn_settings *t, const struct turn_url *url, struct finding *f)
{
	int64_t started_ms = clock_monotonic_ms();
	struct turn_wire *w = NULL;
	enum err e;

	*f = (struct finding){ .url = url->text, .checked = true };
	if ((e = turn_open(url->text, &w, f->says)) == ERR_OK) {
		if (url->relays)
			check_turn(w, t, f);
		else
			check_stun(w, f);
	}
	f->checked = e != ERR_DENIED;
	turn_close(w);
	f->took_ms = clock_monotonic_ms() - started_ms;
}

static enum err
put_json(const struct finding *f)
{
	struct answer item;

	answer_begin(&item);
	jw_string(&item.w, "url", f->url);
	jw_bool(&item.w, "good", f->good);
	jw_bool(&item.w, "checked", f->checked);
	jw_string(&item.w, "says", f->says);
	if (f->mapped[0] != '\0')
		jw_string(&item.w, "mapped", f->mapped);
	if (f->relayed[0] != '\0')
		jw_string(&item.w, "relayed", f->relayed);
	jw_int(&item.w, "tookMs", f->took_ms);
	return listing_put(&item);
}

enum admin_exit
turn_check(struct admin *a, int argc, char **argv)
{
	const struct turn_settings *t = &a->config->turn;
	struct listing l = { .heading = "OUTCOME  SERVER" };
	const struct option options[] = { { "--json", &l.json, NULL }, { .name = NULL } };
	enum admin_exit code = ADMIN_OK;
	struct finding f;

	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("There is no such option.");
	listing_begin(&l, "servers");
	for (unsigned i = 0; i < t->url_count; i++) {
		check_server(t, &t->urls[i], &f);
		if (f.checked && !f.good)
			code = ADMIN_NO;
		listing_item(&l);
		if (l.json && put_json(&f) != ERR_OK)
			code = ADMIN_BROKEN;
		else if (!l.json)
			printf("%-7s  %s\n         %s\n",
			    f.good	? "good"
			    : f.checked ? "bad"
					: "-",
			    f.url, f.says);
	}
	listing_end(&l, "TELEMED_TURN_URLS names no servers.");
	return code;
}
