#include "sha1.h"

#include <stdint.h>
#include <string.h>

static uint32_t
rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static void
add_block(uint32_t h[5], const unsigned char *block)
{
	static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t w[80];
	uint32_t v[5];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	memcpy(v, h, sizeof(v));
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f = v[1] ^ v[2] ^ v[3];

		if (i < 20)
			f = (v[1] & v[2]) | (~v[1] & v[3]);
		else if (i >= 40 && i < 60)
			f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]);
		f += rotate(v[0], 5) + v[4] + w[i] + k[i / 20];
		v[4] = v[3];
		v[3] = v[2];
		v[2] = rotate(v[1], 30);
		v[1] = v[0];
		v[0] = f;
	}
	for (unsigned i = 0; i < 5; i++)
		h[i] += v[i];
}

static void
base64(const unsigned char digest[21], char out[SHA1_BASE64_SIZE])
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (unsigned i = 0; i < 7; i++) {
		const unsigned char *p = digest + (size_t)3 * i;
		uint32_t three = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		for (unsigned j = 0; j < 4; j++)
			out[4 * i + j] = digits[three >> (18 - 6 * j) & 63];
	}
	out[27] = '='; /* twenty bytes: the last three are two */
	out[28] = '\0';
}

void
sha1_base64(const char *text, size_t len, char out[SHA1_BASE64_SIZE])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	unsigned char padded[256] = { 0 };
	unsigned char digest[21] = { 0 };
	size_t blocks = (len + 8) / 64 + 1;

	memcpy(padded, text, len);
	padded[len] = 0x80;
	padded[blocks * 64 - 2] = (unsigned char)(len * 8 >> 8);
	padded[blocks * 64 - 1] = (unsigned char)(len * 8);
	for (size_t i = 0; i < blocks; i++)
		add_block(h, padded + i * 64);
	for (unsigned i = 0; i < 20; i++)
		digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
	base64(digest, out);
}
