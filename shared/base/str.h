/* Text: UTF-8 and numbers, read strictly. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one code point of the LEN bytes at S (RFC 3629: no overlong form, no surrogate, nothing
 * past U+10FFFF). Returns its length in bytes, or 0 where the bytes are not UTF-8 (LEN 0 included).
 */
size_t utf8_decode(const char *s, size_t len, uint32_t *code_point);

/* Writes CODE_POINT, which must be one that utf8_decode() reads, and returns its length. */
enum { UTF8_MAX = 4 };
size_t utf8_encode(uint32_t code_point, char out[UTF8_MAX]);

/* The number of code points; S must be valid UTF-8. */
size_t utf8_count(const char *s, size_t len);

/* Is it all UTF-8? */
bool utf8_valid(const char *s, size_t len);

/* How many of the LEN bytes at S, from the first on, stand in a JSON string as they are: printable
 * ASCII but '"' and '\\'. Sixteen bytes a step: it may stop up to
 * fifteen early. */
size_t plain_run(const char *s, size_t len);

/* V in decimal, at the end of OUT; returns where it begins. */
enum { INT_TEXT_SIZE = sizeof("-9223372036854775808") };
char *format_int(int64_t v, char out[INT_TEXT_SIZE]);

/* A decimal integer without sign, blank or leading zero, LO <= value <= HI. */
bool parse_int(const char *s, size_t len, int64_t lo, int64_t hi, int64_t *out);

/* Puts a copy of TEXT in the place of the string *AT, which is freed; both are the caller's. False:
 * out of memory, and *AT is as it was. */
bool str_replace(char **at, const char *text);
