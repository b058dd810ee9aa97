/* Puts a message together out of the pieces in which it comes: the frames that its client has cut
 * it into (RFC 6455 5.4), and of each what was read at a time. Bounded by what the frames claim,
 * before it is kept. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ASSEMBLY_MAX_MS = 10 * 1000 }; /* from a message's first piece to its last */

/* Something of a data frame, as it was read. */
struct piece {
	const void *data;
	size_t len;
	size_t left; /* bytes of the frame behind it, as the frame's head claims */
	bool binary;
	bool final; /* the frame is its message's last */
};

/* What has come of a message. A pointer to it is NULL where nothing has, or all of it. */
struct assembly;

/* Is P the end of its message? */
bool piece_is_last(const struct piece *p);

/* Is what has come with P, and with what is to come of P's frame, within MESSAGE_BYTES_MAX? */
bool assembly_takes(const struct assembly *a, const struct piece *p);

/* Adds P, which it takes, to *A, which may begin with it. False: out of memory, and there is no
 * message to be had any more; *A goes to assembly_free() in any case. */
bool assembly_add(struct assembly **a, const struct piece *p, int64_t now_ms);

/* The text so far, for as long as nothing is added; *LEN is its length. Never NULL. */
const char *assembly_text(const struct assembly *a, size_t *len);

/* Is a message under way, and has been for ASSEMBLY_MAX_MS? */
bool assembly_is_late(const struct assembly *a, int64_t now_ms);

void assembly_free(struct assembly *a); /* NULL is fine */
