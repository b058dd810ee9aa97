#include "stun.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	COOKIE = 0x2112A442,
	CLASS_MASK = 0x0110,
	CLASS_SUCCESS = 0x0100,
	CLASS_ERROR = 0x0110,
	MAC_BYTES = 20,
	KEY_BYTES = 16,
	ATTRIBUTE_BYTES = 4, /* before its value */
	UDP = 17,
};

enum attribute {
	USERNAME = 0x0006,
	MESSAGE_INTEGRITY = 0x0008,
	ERROR_CODE = 0x0009,
	LIFETIME = 0x000D,
	REALM = 0x0014,
	NONCE = 0x0015,
	XOR_RELAYED_ADDRESS = 0x0016,
	REQUESTED_TRANSPORT = 0x0019,
	XOR_MAPPED_ADDRESS = 0x0020,
};

static unsigned
get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void
put16(unsigned char *p, size_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static void
put32(unsigned char *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* A value takes a multiple of four bytes. */
static size_t
padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* A message that is being written; LEN 0: it did not fit. */
struct writing {
	unsigned char *out;
	size_t len;
};

static void
add(struct writing *w, enum attribute type, const void *value, size_t len)
{
	unsigned char *at = w->out + w->len;

	if (w->len == 0 || w->len + ATTRIBUTE_BYTES + padded(len) > STUN_MESSAGE_MAX) {
		w->len = 0;
		return;
	}
	put16(at, type);
	put16(at + 2, len);
	memset(at + ATTRIBUTE_BYTES, 0, padded(len));
	memcpy(at + ATTRIBUTE_BYTES, value, len);
	w->len += ATTRIBUTE_BYTES + padded(len);
	put16(w->out + 2, w->len - STUN_HEADER_BYTES);
}

/* RFC 8489 9.2.2: MD5 of username, realm and password. */
static bool
make_key(const struct stun_login *l, unsigned char out[KEY_BYTES])
{
	char text[3 * STUN_TEXT_SIZE];
	int n = snprintf(text, sizeof(text), "%s:%s:%s", l->username, l->realm, l->password);

	return n > 0 && n < (int)sizeof(text) &&
	       EVP_Digest(text, (size_t)n, out, NULL, EVP_md5(), NULL) == 1;
}

/* The MAC of the first LEN bytes of MESSAGE, as if the attribute that holds it were their last. */
static bool
make_mac(const struct stun_login *l, const unsigned char *message, size_t len,
    unsigned char out[MAC_BYTES])
{
	unsigned char copy[STUN_MESSAGE_MAX];
	unsigned char key[KEY_BYTES];
	unsigned mac_len = 0;

	memcpy(copy, message, len);
	put16(copy + 2, len + ATTRIBUTE_BYTES + MAC_BYTES - STUN_HEADER_BYTES);
	return make_key(l, key) &&
	       HMAC(EVP_sha1(), key, KEY_BYTES, copy, len, out, &mac_len) != NULL &&
	       mac_len == MAC_BYTES;
}

static void
add_login(struct writing *w, const struct stun_login *l)
{
	unsigned char mac[MAC_BYTES];

	add(w, USERNAME, l->username, strlen(l->username));
	add(w, NONCE, l->nonce, strlen(l->nonce));
	add(w, REALM, l->realm, strlen(l->realm));
	if (w->len > 0 && !make_mac(l, w->out, w->len, mac))
		w->len = 0;
	add(w, MESSAGE_INTEGRITY, mac, sizeof(mac));
}

size_t
stun_write(const struct stun_request *r, unsigned char out[STUN_MESSAGE_MAX])
{
	static const unsigned char none[4];
	static const unsigned char udp[4] = { UDP };
	struct writing w = { .out = out, .len = STUN_HEADER_BYTES };

	put16(out, r->method);
	put16(out + 2, 0);
	put32(out + 4, COOKIE);
	memcpy(out + 8, r->id, STUN_ID_BYTES);
	if (r->method == TURN_ALLOCATE)
		add(&w, REQUESTED_TRANSPORT, udp, sizeof(udp));
	if (r->method == TURN_REFRESH)
		add(&w, LIFETIME, none, sizeof(none));
	if (r->login != NULL)
		add_login(&w, r->login);
	return w.len;
}

size_t
stun_length(const unsigned char data[STUN_HEADER_BYTES])
{
	unsigned char cookie[4];
	size_t len = get16(data + 2);

	put32(cookie, COOKIE);
	if ((data[0] & 0xc0) != 0 || len % 4 != 0 || memcmp(data + 4, cookie, 4) != 0)
		return 0;
	return len + STUN_HEADER_BYTES > STUN_MESSAGE_MAX ? 0 : len + STUN_HEADER_BYTES;
}

/* Text that we send back or show: a byte that is not printable ASCII makes it none. */
static void
read_text(const unsigned char *value, size_t len, char out[STUN_TEXT_SIZE])
{
	out[0] = '\0';
	if (len >= STUN_TEXT_SIZE)
		return;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < ' ' || value[i] > '~')
			return;
	}
	memcpy(out, value, len);
	out[len] = '\0';
}

/* RFC 8489 14.2: hidden from middleboxes under the cookie and the id, which stand in the header at
 * MESSAGE. */
static void
read_address(const unsigned char *message, const unsigned char *value, size_t len,
    char out[STUN_ADDRESS_SIZE])
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];
	size_t size = len == 20 ? 16 : 4;
	bool is_v6 = len == 20;

	out[0] = '\0';
	if ((len != 8 && len != 20) || value[1] != (is_v6 ? 2 : 1))
		return;
	for (size_t i = 0; i < size; i++)
		address[i] = value[4 + i] ^ message[4 + i];
	if (inet_ntop(is_v6 ? AF_INET6 : AF_INET, address, text, sizeof(text)) != NULL)
		snprintf(out, STUN_ADDRESS_SIZE, is_v6 ? "[%s]:%u" : "%s:%u", text,
		    get16(value + 2) ^ get16(message + 4));
}

static int
read_error(const unsigned char *value, size_t len)
{
	return len < 4 ? 0 : (value[2] & 7) * 100 + value[3] % 100;
}

static bool
is_proven(const struct stun_login *l, const unsigned char *data, size_t at,
    const unsigned char *value, size_t len)
{
	unsigned char mac[MAC_BYTES];
	unsigned differs = 0;

	if (l == NULL || len != MAC_BYTES || !make_mac(l, data, at, mac))
		return false;
	for (size_t i = 0; i < MAC_BYTES; i++)
		differs |= mac[i] ^ value[i];
	return differs == 0;
}

/* The attribute at AT of the message DATA; what stands behind the MAC does not count. */
static void
read_attribute(
    const unsigned char *data, size_t at, const struct stun_request *r, struct stun_answer *out)
{
	const unsigned char *value = data + at + ATTRIBUTE_BYTES;
	size_t len = get16(data + at + 2);

	switch (get16(data + at)) {
	case ERROR_CODE:
		out->error = read_error(value, len);
		break;
	case REALM:
		read_text(value, len, out->realm);
		break;
	case NONCE:
		read_text(value, len, out->nonce);
		break;
	case XOR_MAPPED_ADDRESS:
		read_address(data, value, len, out->mapped);
		break;
	case XOR_RELAYED_ADDRESS:
		read_address(data, value, len, out->relayed);
		break;
	case MESSAGE_INTEGRITY:
		out->proven = is_proven(r->login, data, at, value, len);
		break;
	default:
		break;
	}
}

static bool
answers(const unsigned char *data, size_t len, const struct stun_request *r)
{
	unsigned type = len < STUN_HEADER_BYTES ? 0 : get16(data);
	unsigned class = type & CLASS_MASK;

	return len >= STUN_HEADER_BYTES && stun_length(data) == len &&
	       (type & ~(unsigned)CLASS_MASK) == (unsigned)r->method &&
	       (class == CLASS_SUCCESS || class == CLASS_ERROR) &&
	       memcmp(data + 8, r->id, STUN_ID_BYTES) == 0;
}

enum err
stun_read(
    const unsigned char *data, size_t len, const struct stun_request *r, struct stun_answer *out)
{
	size_t at = STUN_HEADER_BYTES;

	*out = (struct stun_answer){ .granted = false };
	if (!answers(data, len, r))
		return ERR_INVALID;
	while (at < len && get16(data + at) != MESSAGE_INTEGRITY) {
		if (len - at < ATTRIBUTE_BYTES ||
		    padded(get16(data + at + 2)) > len - at - ATTRIBUTE_BYTES)
			return ERR_INVALID;
		read_attribute(data, at, r, out);
		at += ATTRIBUTE_BYTES + padded(get16(data + at + 2));
	}
	if (at < len) {
		if (len - at < ATTRIBUTE_BYTES + MAC_BYTES || get16(data + at + 2) != MAC_BYTES)
			return ERR_INVALID;
		read_attribute(data, at, r, out);
	}
	out->granted = (get16(data) & CLASS_MASK) == CLASS_SUCCESS;
	if (!out->granted && (out->error < 300 || out->error > 699))
		return ERR_INVALID;
	return ERR_OK;
}
