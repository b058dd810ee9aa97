/* What a command says, and how it ends. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

/* Exit codes, those of sysexits.h: a script can tell what to do from them. */
enum admin_exit {
	ADMIN_OK = 0,
	ADMIN_NO = 1,		/* what was checked is not as it should be */
	ADMIN_USAGE = 64,	/* the command line, or what was typed, is wrong */
	ADMIN_REFUSED = 65,	/* what was asked for does not go with what is there */
	ADMIN_NO_INPUT = 66,	/* there is no database, or no such file */
	ADMIN_NOBODY = 67,	/* there is no such user, session or call */
	ADMIN_NOT_RUNNING = 69, /* there is no relay that could do it */
	ADMIN_BROKEN = 74,	/* disk, memory, or the database is damaged */
	ADMIN_TRY_LATER = 75,
	ADMIN_CONFIG = 78, /* a setting is bad, or the database is a newer version's */
};

/* Says SENTENCE on standard error and returns CODE. */
enum admin_exit complain(enum admin_exit code, const char *sentence);

/* The same with what it is about. */
enum admin_exit complain_of(enum admin_exit code, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same for an outcome of the store that the caller has no word for; ADMIN_OK for ERR_OK. */
enum admin_exit complain_of_store(enum err e);

/* The same for store_audit_open() and store_audit_reading(). */
enum admin_exit complain_of_trail(enum err e);

/* Prints what stands in B, and a newline; frees B. ERR_SYSTEM: nobody takes it, or there was no
 * memory. */
MUST_USE enum err print_buf(struct buf *b);

/* An answer of one JSON object: begun, written with W, printed. */
struct answer {
	struct buf text;
	struct json_writer w;
};
void answer_begin(struct answer *a);
enum admin_exit answer_end(struct answer *a, enum admin_exit code); /* CODE, if it was printed */

/* A list: as one JSON object that has the member NAME, an array, or in lines under a HEADING. Each
 * item is an answer of its own, or a line that the caller prints. */
struct listing {
	bool json;
	const char *heading; /* printed before the first line */
	unsigned count;
};
void listing_begin(struct listing *l, const char *name);
void listing_item(struct listing *l); /* before each */
MUST_USE enum err listing_put(struct answer *a);
void listing_end(const struct listing *l, const char *none); /* what is said of an empty one */

/* Writes the time WALL_MS as the member KEY; null for 0. */
void write_time(struct json_writer *w, const char *key, int64_t wall_ms);
