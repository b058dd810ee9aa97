/* A signer of JWTs that shares no code with the one under test: SHA-256 (FIPS 180-4), HMAC (RFC
 * 2104) and base64url, so that a test can put a right MAC under any header and payload. */
#pragma once

#include <string.h>

#include "base/buf.h"
#include "unit.h"

enum { SHA256_SIZE = 32, SHA256_BLOCK = 64 };

static inline uint32_t
rotated(uint32_t v, int n)
{
	return v >> n | v << (32 - n);
}

static inline void
sha256_block(uint32_t h[8], const unsigned char *p)
{
	static const uint32_t k[64] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
		0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
		0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
		0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
		0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
		0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
		0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
		0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
		0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };
	uint32_t w[64];
	uint32_t v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t b = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
	memcpy(v, h, sizeof(v));
	for (int i = 0; i < 64; i++) {
		uint32_t s1 = rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25);
		uint32_t s0 = rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22);
		uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
		uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

static inline void
sha256(const unsigned char *data, size_t len, unsigned char out[SHA256_SIZE])
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
		0x1f83d9ab, 0x5be0cd19 };
	unsigned char last[2 * SHA256_BLOCK] = { 0 };
	size_t rest = len % SHA256_BLOCK;
	size_t blocks = rest < SHA256_BLOCK - 8 ? 1 : 2;

	for (size_t i = 0; i + SHA256_BLOCK <= len; i += SHA256_BLOCK)
		sha256_block(h, data + i);
	if (rest > 0)
		memcpy(last, data + len - rest, rest);
	last[rest] = 0x80;
	for (size_t i = 0; i < 8; i++)
		last[blocks * SHA256_BLOCK - 1 - i] = (unsigned char)((uint64_t)len * 8 >> 8 * i);
	for (size_t i = 0; i < blocks; i++)
		sha256_block(h, last + i * SHA256_BLOCK);
	for (size_t i = 0; i < SHA256_SIZE; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* KEY_LEN: at most a block, which is all that the tests want. */
static inline void
hmac_sha256(
    const void *key, size_t key_len, const char *text, size_t len, unsigned char out[SHA256_SIZE])
{
	unsigned char outer[SHA256_BLOCK + SHA256_SIZE] = { 0 };
	struct buf inner;
	char pad;

	assert_true(key_len <= SHA256_BLOCK);
	memcpy(outer, key, key_len);
	buf_init(&inner, 1 << 20);
	for (size_t i = 0; i < SHA256_BLOCK; i++) {
		pad = (char)(outer[i] ^ 0x36);
		outer[i] ^= 0x5c;
		buf_add(&inner, &pad, 1);
	}
	buf_add(&inner, text, len);
	assert_false(inner.failed);
	sha256((const unsigned char *)inner.data, inner.len, outer + SHA256_BLOCK);
	sha256(outer, sizeof(outer), out);
	buf_fini(&inner);
}

/* Appends the LEN bytes at DATA as base64url without padding. */
static inline void
base64url(struct buf *out, const void *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *p = data;
	unsigned bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | p[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			buf_add(out, &digits[bits >> (have - 6) & 63], 1);
	}
	if (have > 0)
		buf_add(out, &digits[bits << (6 - have) & 63], 1);
}

/* Appends the third segment to what stands in OUT. */
static inline void
sign(struct buf *out, const void *key, size_t key_len)
{
	unsigned char mac[SHA256_SIZE];

	hmac_sha256(key, key_len, out->data, out->len, mac);
	buf_adds(out, ".");
	base64url(out, mac, sizeof(mac));
}
