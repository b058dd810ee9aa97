/* The gate, for json.h's readers alone: is a text one JSON value and nothing else? It refuses what
 * RFC 8259 refuses (white space around the value is fine, a byte order mark is not), and also what
 * its sections 4, 8 and 9 leave open and two readers would take in two ways: equal keys of one
 * object, invalid UTF-8, lone surrogates, \u0000, numbers beyond a double or of JSON_NUMBER_SIZE
 * characters, nesting past JSON_DEPTH_MAX. */
#pragma once

#include "json/json.h"

enum {
	JSON_NUMBER_SIZE = 512,
	JSON_KEYS_COMPARED = 16, /* keys of one object that the gate looks at */
};

/* No allocation, and recursion is bounded by the depth. ERR_INVALID: WHY says what and at which
 * byte. *PLAIN_KEYS is false where the text passed but its keys were not all compared, since one is
 * written with an escape or an object has more of them than JSON_KEYS_COMPARED. */
MUST_USE enum err json_gate(
    const char *text, size_t len, bool *plain_keys, char why[JSON_WHY_SIZE]);

/* D as a whole number LO <= v <= HI, both within +-(2^53 - 1). */
bool json_whole(double d, int64_t lo, int64_t hi, int64_t *out);
