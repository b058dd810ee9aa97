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

/* The same, but that a whole number past 64 bits is refused, as jansson does by itself. */
bool strict_whole_fit(const char *text, size_t len);

/* Do they say the same? */
bool strict_same(const struct strict *a, const struct strict *b);

bool strict_is_object(const struct strict *v);
const struct strict *strict_member(const struct strict *object, const char *key); /* NULL: none */
size_t strict_members(const struct strict *object);
const char *strict_string(const struct strict *v); /* NULL: it is none */
bool strict_number(const struct strict *v, double *out);
unsigned strict_depth(const struct strict *v); /* how many lists stand within each other */

/* Calls FN for each member of OBJECT, and for each element of an array with KEY NULL. */
typedef void strict_fn(void *context, const char *key, const struct strict *value);
void strict_each(const struct strict *list, strict_fn *fn, void *context);

/* Does a text that was read keep the bounds that our gate has beside, which RFC 8259 section 9 lets
 * a reader set? Its lists are at most 16 deep (jansson: 2048), its numbers have at most 511
 * characters (jansson: any number). All else must be taken, or refused, by both. */
bool strict_is_within(const struct strict *root, const char *text, size_t len);
