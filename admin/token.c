/* telemed-admin token explain. The token itself is a credential: it is read from standard input,
 * and never said. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "auth/token.h"
#include "base/clock.h"
#include "input.h"
#include "store/store_session.h"
#include "store/store_user.h"

/* Why a token is no good, or that it is. */
struct verdict {
	bool good;
	const char *word;
	const char *sentence;
};

static const struct verdict verdicts[] = {
	[TOKEN_GOOD] = { true, "good", "It is good." },
	[TOKEN_MALFORMED] = { false, "malformed",
	    "It is no token: not three parts in base64url, the last of 32 bytes." },
	[TOKEN_HEADER] = { false, "header",
	    "Its header is not one of ours: HS256, and nothing else." },
	[TOKEN_FORGED] = { false, "signature",
	    "It was not signed with this secret, or was changed since: what it says is anybody's "
	    "word." },
	[TOKEN_CLAIMS] = { false, "claims", "It is signed, and lacks what a token of ours says." },
	[TOKEN_EARLY] = { false, "early",
	    "It was issued in what is still the future: compare the clocks." },
	[TOKEN_EXPIRED] = { false, "expired", "It has expired." },
};

static const struct verdict logged_out = { false, "logged_out",
	"Its session was logged out, or ended by an operator." };
static const struct verdict nobody = { false, "no_user", "There is no such user." };
static const struct verdict disabled = { false, "disabled", "Its user is disabled." };
static const struct verdict ended = { false, "ended",
	"All sessions of its user were ended since it was made." };

/* What the database says of a token that is good by itself. */
static enum err
look(struct store *s, const struct claims *c, const struct verdict **out)
{
	struct account a;
	enum err e = store_user_by_id(s, c->user, &a);

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	if (e == ERR_NOT_FOUND)
		*out = &nobody;
	else if (a.user.disabled)
		*out = &disabled;
	else if (a.user.epoch != c->epoch)
		*out = &ended;
	else if ((e = store_session_check(s, c->session)) == ERR_DENIED)
		*out = &logged_out;
	else if (e != ERR_OK)
		return e;
	return ERR_OK;
}

static void
write_claims(struct json_writer *w, const struct claims *c)
{
	jw_int(w, "user", c->user.v);
	jw_string(w, "role", role_name(c->role));
	write_time(w, "issuedAt", c->issued_s * 1000);
	write_time(w, "expiresAt", c->expires_s * 1000);
	write_time(w, "loggedInAt", c->login_s * 1000);
	jw_string(w, "session", c->session);
	jw_int(w, "epoch", c->epoch);
}

static void
print_claims(const struct claims *c)
{
	char text[RFC3339_SIZE];

	printf("user       %" PRId64 "\n", c->user.v);
	printf("role       %s\n", role_name(c->role));
	printf("issued     %s\n", clock_rfc3339(c->issued_s * 1000, text));
	printf("expires    %s\n", clock_rfc3339(c->expires_s * 1000, text));
	printf("logged in  %s\n", clock_rfc3339(c->login_s * 1000, text));
	printf("session    %s\n", c->session);
}

/* A jti of somebody else's making is not passed on to a terminal. */
static void
tame(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~')
			*text = '?';
	}
}

static enum admin_exit
tell(const struct claims *c, const struct verdict *v, bool json)
{
	enum admin_exit code = v->good ? ADMIN_OK : ADMIN_NO;
	struct answer answer;

	if (!json) {
		puts(v->sentence);
		if (c->user.v != 0 && c->role != ROLE_NONE)
			print_claims(c);
		return code;
	}
	answer_begin(&answer);
	jw_bool(&answer.w, "good", v->good);
	jw_string(&answer.w, "found", v->word);
	jw_string(&answer.w, "says", v->sentence);
	if (c->user.v != 0 && c->role != ROLE_NONE) {
		jw_object(&answer.w, "token");
		write_claims(&answer.w, c);
		jw_object_end(&answer.w);
	}
	return answer_end(&answer, code);
}

static enum admin_exit
read_secret(struct config *c)
{
	char why[CONFIG_WHY_SIZE];

	if (config_load(c, why) != ERR_OK)
		return complain(ADMIN_CONFIG, why);
	config_hide_secrets();
	return ADMIN_OK;
}

/* Without a database the token alone is judged. */
static enum err
look_up(const struct config *config, const struct claims *c, const struct verdict **verdict)
{
	struct data_paths paths;
	struct store *s = NULL;
	enum err e;

	if (data_paths_find(config, &paths) != ERR_OK)
		return ERR_SYSTEM;
	e = store_open_reader(paths.database, &s);
	if (e == ERR_OK)
		e = look(s, c, verdict);
	store_close(s);
	return e;
}

enum admin_exit
token_read(struct admin *a, int argc, char **argv)
{
	static struct config config;
	static char text[TOKEN_BYTES_MAX + 2];
	bool json = false;
	const struct option options[] = { { "--json", &json, NULL }, { .name = NULL } };
	const struct verdict *verdict;
	enum token_fault fault;
	struct token_keys keys;
	struct claims claims;
	enum admin_exit code;
	enum err e;

	(void)a;
	(void)argc;
	if (options_read(argv, options, NULL, 0) < 0)
		return usage_error("The token is read from standard input, not from here.");
	if ((code = read_secret(&config)) != ADMIN_OK)
		return code;
	e = input_line("Token", true, text, sizeof(text));
	if (e == ERR_NOT_FOUND)
		return complain(ADMIN_USAGE, "Standard input has no token.");
	if (e == ERR_SYSTEM)
		return complain(ADMIN_BROKEN, "Standard input cannot be read.");
	if (e != ERR_OK) /* longer than any, or not text: no part of it counts */
		text[0] = '\0';
	keys = token_keys_of(&config);
	e = token_explain(&keys, text, strlen(text), clock_wall_ms() / 1000, &claims, &fault);
	explicit_bzero(text, sizeof(text));
	verdict = &verdicts[fault];
	if (e == ERR_OK)
		e = look_up(&config, &claims, &verdict);
	if (e == ERR_NOT_FOUND)
		return complain(ADMIN_NO_INPUT,
		    "There is no database in TELEMED_DATA_DIR to look its user up in.");
	if (e != ERR_OK && e != ERR_DENIED)
		return complain_of_store(e);
	tame(claims.jti);
	tame(claims.session);
	return tell(&claims, verdict, json);
}
