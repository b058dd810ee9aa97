/* Strict JSON (RFC 8259) read into cJSON, and written into a buffer.
 *
 * cJSON alone takes invalid UTF-8, raw control bytes, 007, text after the value, and cuts strings
 * at \u0000. So every text passes a gate first, and cJSON sees only what the gate has taken. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct json; /* one value of a parsed text: an object, array, string... */

enum {
	JSON_DEPTH_MAX = 16, /* an object in an object is two deep */
	JSON_WHY_SIZE = 96,
};
#define JSON_EXACT_MAX INT64_C(9007199254740991) /* 2^53 - 1: whole numbers that a double holds */

/* The gate (json_gate.h), and the tree. On ERR_OK *ROOT is the caller's, to json_free().
 * ERR_INVALID: WHY says what is wrong and where, in at most JSON_WHY_SIZE bytes, without quoting
 * the text. ERR_SYSTEM: out of memory. */
MUST_USE enum err json_parse(
    const char *text, size_t len, struct json **root, char why[JSON_WHY_SIZE]);
void json_free(struct json *root); /* NULL is fine */

/* Looks at a value. Each takes NULL as "not there". What is returned lives as long as the root. */
bool json_is_object(const struct json *v);
const struct json *json_member(
    const struct json *object, const char *key); /* by exact name; NULL: none */
size_t json_members(const struct json *object);	 /* how many; 0 for what is no object */
const char *json_string(const struct json *v);	 /* NULL: not a string */
bool json_number(const struct json *v, double *out);

/* A whole number LO <= v <= HI, both within +-(2^53 - 1): what a double holds exactly. 7.0 is 7. */
bool json_integer(const struct json *v, int64_t lo, int64_t hi, int64_t *out);

/* An id: 1 to 2^53 - 1 as a number, or the same as a decimal string without sign, blank or leading
 * zero. */
bool json_id(const struct json *v, int64_t *out);

/* A value as it stands in its text: what is only passed on needs no tree and no copy. AT is NULL
 * where there is none, which every function below takes. Lives as long as the text. */
struct json_raw {
	const char *at;
	size_t len;
};

/* json_parse() without a tree. On ERR_OK *ROOT is TEXT, and *REWRITTEN NULL; where a key is written
 * with an escape, or an object has very many, *ROOT is TEXT written anew, in *REWRITTEN, which is
 * the caller's to free(). */
MUST_USE enum err json_raw_parse(
    const char *text, size_t len, struct json_raw *root, char **rewritten, char why[JSON_WHY_SIZE]);

/* Looks at a value of what json_raw_parse() took. Linear in its length. */
struct json_raw json_raw_member(struct json_raw object, const char *key); /* of an object only */
bool json_raw_is_object(struct json_raw v);
bool json_raw_is_string(struct json_raw v);
size_t json_raw_chars(struct json_raw string);	   /* code points between the quotes */
bool json_raw_id(struct json_raw v, int64_t *out); /* as json_id() */

/* The string V without its quotes and escapes, into the SIZE bytes at OUT. False, and "" there: it
 * is no string, or takes more with its end. */
bool json_raw_string(struct json_raw v, char *out, size_t size);

/* Writing. The commas are the writer's. KEY is NULL inside an array and for the root. Failure
 * sticks in the buffer. */
struct json_writer {
	struct buf *out;
	bool comma; /* a value stands before the next one */
};

void jw_init(struct json_writer *w, struct buf *out);
void jw_object(struct json_writer *w, const char *key);
void jw_object_end(struct json_writer *w);
void jw_array(struct json_writer *w, const char *key);
void jw_array_end(struct json_writer *w);
void jw_string(struct json_writer *w, const char *key,
    const char *value); /* UTF-8, escaped as section 7 wants */
void jw_int(struct json_writer *w, const char *key, int64_t value);
void jw_bool(struct json_writer *w, const char *key, bool value);
void jw_raw(
    struct json_writer *w, const char *key, const char *json, size_t len); /* JSON already */
