/* Descriptors and files. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Reads the whole file at PATH, at most MAX bytes, into OUT and sets *LEN. ERR_NOT_FOUND,
 * ERR_TOO_BIG, ERR_SYSTEM. */
MUST_USE enum err file_read(const char *path, void *out, size_t max, size_t *len);

/* Why the file_read() just before has come to E, for a sentence: "Permission denied". By errno, so
 * at once; good until the next strerror(). */
const char *file_read_why(enum err e);

/* That there is a file at PATH, made or renamed just now, outlives a power cut: fsync(2) of its
 * directory. */
MUST_USE enum err file_sync_name(const char *path);

/* Takes an exclusive flock(2) on the file at PATH, made (0600) where it lacks, without waiting. The
 * kernel frees it with the last copy of *FD, so a killed owner never leaves it behind. ERR_BUSY:
 * another process holds it. */
MUST_USE enum err lock_try(const char *path, int *fd);

/* Binds a Unix socket of TYPE at PATH with mode 0600, over a stale one, close-on-exec; for
 * SOCK_STREAM it listens with BACKLOG. It blocks, as a FastCGI worker wants it: a loop sets
 * O_NONBLOCK. On ERR_OK *FD is the caller's. ERR_TOO_BIG: PATH does not fit in a sockaddr_un. */
MUST_USE enum err unix_bind(const char *path, int type, int backlog, int *fd);

/* A socket of TYPE connected to PATH, close-on-exec and non-blocking. ERR_NOT_FOUND: nobody is
 * there. */
MUST_USE enum err unix_connect(const char *path, int type, int *fd);
