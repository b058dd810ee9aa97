#include "auth/turn.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum {
	SHA1_BYTES = 20,
	CREDENTIAL_SIZE = (SHA1_BYTES + 2) / 3 * 4 + 1,	    /* base64, and the NUL */
	USERNAME_SIZE = 2 * sizeof("-9223372036854775808"), /* two numbers, a colon, the NUL */
};

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

static bool
make_credential(const struct turn_secret *secret, const char *username, char out[CREDENTIAL_SIZE])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (HMAC(EVP_sha1(), secret->text, (int)secret->len, (const unsigned char *)username,
		strlen(username), mac, &len) == NULL ||
	    len != SHA1_BYTES)
		return false;
	EVP_EncodeBlock((unsigned char *)out, mac, SHA1_BYTES);
	return true;
}

static void
write_turn(struct json_writer *w, const struct turn_grant *g, const struct turn_secret *secret)
{
	char credential[CREDENTIAL_SIZE];
	char username[USERNAME_SIZE];
	int64_t expiry_s = g->now_s + TURN_TTL_S;

	snprintf(
	    username, sizeof(username), "%lld:%lld", (long long)expiry_s, (long long)g->user.v);
	if (!make_credential(secret, username, credential)) {
		buf_fail(w->out);
		return;
	}
	jw_object(w, NULL);
	write_urls(w, g->settings, true);
	jw_string(w, "username", username);
	jw_string(w, "credential", credential);
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
