/* A second reader of JSON, which shares no code with ours: jansson, as strict as it goes. Behind
 * names of its own, for some of jansson's are ours too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct strict; /* a value; lives as long as the root */

/* The LEN bytes at TEXT are one JSON value with no key twice in an object, and nothing else? NULL:
 * no. To be freed. */
struct strict *strict_read(const char *text, size_t len);
void strict_free(struct strict *root); /* NULL is fine */

bool strict_is_object(const struct strict *v);
const struct strict *strict_member(const struct strict *object, const char *key); /* NULL: none */
size_t strict_members(const struct strict *object);
const char *strict_string(const struct strict *v); /* NULL: it is none */
bool strict_number(const struct strict *v, double *out);
unsigned strict_depth(const struct strict *v); /* how many lists stand within each other */

/* Calls FN for each member of OBJECT, and for each element of an array with KEY NULL. */
typedef void strict_fn(void *context, const char *key, const struct strict *value);
void strict_each(const struct strict *list, strict_fn *fn, void *context);

/* How many characters the longest number of a text has that has been read. (true and false hold an
 * "e": at least one.) */
size_t strict_longest_number(const char *text, size_t len);
