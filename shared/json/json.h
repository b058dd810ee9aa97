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

/* The gate: is TEXT one JSON value and nothing else? It refuses what RFC 8259 refuses (white space
 * around the value is fine, a byte order mark is not), and also what its section 4, 8 and 9 leave
 * open and two readers would take in two ways: invalid UTF-8, lone surrogates, \u0000, numbers
 * beyond a double, nesting past JSON_DEPTH_MAX. Equal keys of one object are json_parse()'s to
 * refuse. No allocation, and recursion is bounded by the depth. ERR_INVALID: WHY says what and at
 * which byte, in at most JSON_WHY_SIZE bytes, without quoting the text. */
MUST_USE enum err json_check(const char *text, size_t len, char why[JSON_WHY_SIZE]);

/* The gate, the tree, and the refusal of equal keys within one object. On ERR_OK *ROOT is the
 * caller's, to json_free(). ERR_INVALID as above; ERR_SYSTEM: out of memory. */
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

/* The bytes of the member KEY of the object that is TEXT, as they stand there, to be passed on
 * untouched. TEXT must have passed json_parse(). KEY is matched against the raw key. False: no such
 * member. */
bool json_raw_member(
    const char *text, size_t len, const char *key, const char **raw, size_t *raw_len);

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
