#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

size_t
utf8_decode(const char *s, size_t len, uint32_t *code_point)
{
	const unsigned char *p = (const unsigned char *)s;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t n;

	if (len == 0)
		return 0;
	if (p[0] < 0x80) {
		*code_point = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;
	c = p[0] & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = (c << 6) | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code_point = c;
	return n;
}

size_t
utf8_encode(uint32_t code_point, char out[UTF8_MAX])
{
	static const uint32_t past[] = { 0x80, 0x800, 0x10000 };
	static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };
	size_t more = 0; /* bytes after the first */

	while (more < COUNT_OF(past) && code_point >= past[more])
		more++;
	for (size_t i = more; i > 0; i--, code_point >>= 6)
		out[i] = (char)(0x80 | (code_point & 0x3f));
	out[0] = (char)(lead[more] | code_point);
	return more + 1;
}

size_t
plain_run(const char *s, size_t len)
{
	typedef unsigned char bytes __attribute__((vector_size(16)));
	uint64_t special[sizeof(bytes) / sizeof(uint64_t)];
	bytes v;
	size_t n = 0;

	for (; len - n >= sizeof(v); n += sizeof(v)) {
		memcpy(&v, s + n, sizeof(v));
		v = (bytes)((v < 0x20) | (v >= 0x7f) | (v == '"') | (v == '\\'));
		memcpy(special, &v, sizeof(v));
		if ((special[0] | special[1]) != 0)
			break;
	}
	return n;
}

bool
utf8_valid(const char *s, size_t len)
{
	uint32_t code_point;
	size_t step;

	for (size_t n = 0; n < len; n += step) {
		if ((step = utf8_decode(s + n, len - n, &code_point)) == 0)
			return false;
	}
	return true;
}

size_t
utf8_count(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

char *
format_int(int64_t v, char out[INT_TEXT_SIZE])
{
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	char *at = out + INT_TEXT_SIZE - 1;

	*at = '\0';
	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) != 0);
	if (v < 0)
		*--at = '-';
	return at;
}

bool
parse_int(const char *s, size_t len, int64_t lo, int64_t hi, int64_t *out)
{
	int64_t v = 0;

	if (len == 0 || (len > 1 && s[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s[i] - '0', &v))
			return false;
	}
	if (v < lo || v > hi)
		return false;
	*out = v;
	return true;
}

bool
str_replace(char **at, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return false;
	free(*at);
	*at = copy;
	return true;
}
