#include "audit/audit.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

/* The longest text that is authenticated: a word of ours, a MAC, and a line. */
enum { TEXT_MAX = 512 };

static const char *const event_names[AUDIT__COUNT] = {
	[AUDIT_REGISTERED] = "registered",
	[AUDIT_LOGIN] = "login",
	[AUDIT_LOGIN_FAILED] = "login_failed",
	[AUDIT_LIMITED] = "rate_limited",
	[AUDIT_DENIED] = "denied",
	[AUDIT_LOGOUT] = "logout",
	[AUDIT_STATUS] = "status",
	[AUDIT_CALL_STARTED] = "call_started",
	[AUDIT_CALL_ANSWERED] = "call_answered",
	[AUDIT_CALL_ENDED] = "call_ended",
	[AUDIT_ADMIN] = "admin",
	[AUDIT_ARCHIVED] = "archived",
	[AUDIT_HEAD_LOST] = "head_lost",
};

const char *
audit_event_name(enum audit_event e)
{
	return event_names[e];
}

static bool
made_of(const char *s, const char *allowed)
{
	return s[strspn(s, allowed)] == '\0';
}

static bool
word_ok(const char *s)
{
	return s[0] != '\0' &&
	       made_of(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

bool
audit_line_ok(const struct audit_line *l)
{
	return !l->malformed && l->seq > 0 && l->at_ms >= 0 && l->user >= 0 && l->peer >= 0 &&
	       l->call >= 0 && l->left_out >= 0 && word_ok(l->event) && word_ok(l->outcome) &&
	       made_of(l->source, "abcdefghijklmnopqrstuvwxyz0123456789.:");
}

bool
audit_can_mac(void)
{
	return OSSL_LIB_CTX_get0_global_default() != NULL;
}

static bool
mac_of(
    const struct audit_key *key, const char *text, size_t len, unsigned char out[AUDIT_MAC_BYTES])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;

	if (HMAC(EVP_sha256(), key->bytes, (int)key->len, (const unsigned char *)text, len, mac,
		&mac_len) == NULL ||
	    mac_len != AUDIT_MAC_BYTES)
		return false;
	memcpy(out, mac, AUDIT_MAC_BYTES);
	return true;
}

/* Each field ends with a newline, which none can hold; so two different lines are two texts. */
bool
audit_line_mac(const struct audit_key *key, const unsigned char previous[AUDIT_MAC_BYTES],
    const struct audit_line *l, unsigned char out[AUDIT_MAC_BYTES])
{
	char text[TEXT_MAX] = "line\n";
	size_t len = strlen(text);
	int n;

	memcpy(text + len, previous, AUDIT_MAC_BYTES);
	len += AUDIT_MAC_BYTES;
	n = snprintf(text + len, sizeof(text) - len,
	    "%lld\n%lld\n%s\n%s\n%lld\n%lld\n%lld\n%lld\n%s\n", (long long)l->seq,
	    (long long)l->at_ms, l->event, l->outcome, (long long)l->user, (long long)l->peer,
	    (long long)l->call, (long long)l->left_out, l->source);
	if (n < 0 || (size_t)n >= sizeof(text) - len)
		return false;
	return mac_of(key, text, len + (size_t)n, out);
}

bool
audit_mac_same(const unsigned char *a, const unsigned char *b)
{
	return CRYPTO_memcmp(a, b, AUDIT_MAC_BYTES) == 0;
}

static bool
seal_of(const struct audit_key *key, enum audit_mark_kind kind, const struct audit_mark *m,
    unsigned char out[AUDIT_MAC_BYTES])
{
	char text[TEXT_MAX];
	char hex[AUDIT_MAC_HEX + 1];
	int n;

	audit_hex(m->mac, hex);
	n = snprintf(text, sizeof(text), "%s\n%lld\n%s\n", kind == AUDIT_HEAD ? "head" : "base",
	    (long long)m->seq, hex);
	return n > 0 && mac_of(key, text, (size_t)n, out);
}

enum err
audit_seal(const struct audit_key *key, enum audit_mark_kind kind, const struct audit_mark *m,
    struct audit_sealed *out)
{
	out->mark = *m;
	return seal_of(key, kind, m, out->seal) ? ERR_OK : ERR_SYSTEM;
}

enum err
audit_unseal(const struct audit_key *key, enum audit_mark_kind kind, const struct audit_sealed *s)
{
	unsigned char seal[AUDIT_MAC_BYTES];

	if (!seal_of(key, kind, &s->mark, seal))
		return ERR_SYSTEM;
	return audit_mac_same(seal, s->seal) ? ERR_OK : ERR_INVALID;
}

void
audit_hex(const unsigned char mac[AUDIT_MAC_BYTES], char out[AUDIT_MAC_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < AUDIT_MAC_BYTES; i++) {
		out[2 * i] = digits[mac[i] >> 4];
		out[2 * i + 1] = digits[mac[i] & 15];
	}
	out[AUDIT_MAC_HEX] = '\0';
}

bool
audit_unhex(const char *text, unsigned char out[AUDIT_MAC_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != AUDIT_MAC_HEX || !made_of(text, digits))
		return false;
	for (size_t i = 0; i < AUDIT_MAC_BYTES; i++)
		out[i] = (unsigned char)((strchr(digits, text[2 * i]) - digits) << 4 |
					 (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}
