#include "auth/turn.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { SHA1_BYTES = 20 };

/* The URLs of the TURN servers (RELAYS), or of the others. */
static void
write_urls(struct json_writer *w, const struct turn_settings *t, bool relays)
{
	jw_array(w, "urls");
	for (unsigned i = 0; i < t->url_count; i++) {
		if (t->urls[i].relays == relays)
			jw_string(w, NULL, t->urls[i].text);
	}
	jw_array_end(w);
}

static bool
has_stun(const struct turn_settings *t)
{
	for (unsigned i = 0; i < t->url_count; i++) {
		if (!t->urls[i].relays)
			return true;
	}
	return false;
}

bool
turn_credential_make(const struct turn_secret *secret, struct user_id user, int64_t now_s,
    struct turn_credential *out)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	snprintf(out->username, sizeof(out->username), "%lld:%lld", (long long)now_s + TURN_TTL_S,
	    (long long)user.v);
	if (HMAC(EVP_sha1(), secret->text, (int)secret->len, (const unsigned char *)out->username,
		strlen(out->username), mac, &len) == NULL ||
	    len != SHA1_BYTES)
		return false;
	EVP_EncodeBlock((unsigned char *)out->credential, mac, SHA1_BYTES);
	return true;
}

static void
write_turn(struct json_writer *w, const struct turn_grant *g, const struct turn_secret *secret)
{
	struct turn_credential c;

	if (!turn_credential_make(secret, g->user, g->now_s, &c)) {
		buf_fail(w->out);
		return;
	}
	jw_object(w, NULL);
	write_urls(w, g->settings, true);
	jw_string(w, "username", c.username);
	jw_string(w, "credential", c.credential);
	jw_object_end(w);
}

void
turn_write(struct json_writer *w, const char *key, const struct turn_grant *g)
{
	const struct turn_settings *t = g->settings;

	jw_array(w, key);
	if (has_stun(t)) {
		jw_object(w, NULL);
		write_urls(w, t, false);
		jw_object_end(w);
	}
	for (unsigned i = 0; i < t->secret_count; i++)
		write_turn(w, g, &t->secrets[i]);
	jw_array_end(w);
}
