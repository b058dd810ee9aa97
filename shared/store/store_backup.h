/* Copies of the database: one file each, without a log beside it. */
#pragma once

#include "store/store.h"

/* Copies S, as it is at one moment, to the file at PATH, which is there and empty; others go on
 * reading and writing meanwhile. The copy is whole and on the disk, and every page and index of it
 * has been checked: ERR_INVALID: it is damaged, and so is S. ERR_BUSY, ERR_SYSTEM. What stands at
 * PATH after a failure is of no use. */
MUST_USE enum err store_copy(struct store *s, const char *path);

/* Opens a copy at PATH, to be read or copied; changes nothing. ERR_TOO_NEW: a newer program made
 * it. ERR_INVALID: it is no database of ours. ERR_SYSTEM: it cannot be read. On ERR_OK *OUT is the
 * caller's, to store_close(). */
MUST_USE enum err store_open_copy(const char *path, struct store **out);

/* Moves all that the log holds into the database, and empties it. ERR_BUSY: somebody reads what it
 * holds, and it is left as it is. */
MUST_USE enum err store_empty_log(struct store *s);
