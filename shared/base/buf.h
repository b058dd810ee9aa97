/* A growing run of bytes with a ceiling. Failure sticks: append as often as you like, then ask
 * once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct buf {
	char *data; /* always followed by a NUL that is not counted; NULL while nothing was appended
		     */
	size_t len;
	size_t cap;
	size_t max;  /* never more than this many bytes */
	bool failed; /* out of memory, or past MAX: what was appended since is lost */
};

void buf_init(struct buf *b, size_t max);
void buf_over(struct buf *b, char *room, size_t size); /* within ROOM, of SIZE > 0 bytes, NUL
							  included; not for buf_fini() */
void buf_fini(struct buf *b);  /* frees; B can be used again after buf_init() */
void buf_clear(struct buf *b); /* forgets the content and a failure, keeps the memory */

void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What belongs here could not be made: B fails, as if there were no memory for it. */
void buf_fail(struct buf *b);
