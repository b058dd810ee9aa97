/* uthash as it is used here: what an element needs beside its UT_hash_handle is a bool HASHED, true
 * before it is added, and false afterwards where there was no memory to add it. */
#pragma once

#include <stddef.h>

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(elt) ((elt)->hashed = false)
/* Not malloc() where it is used: gcc's analyzer does not see that a table keeps it, and may look
 * for that for ever. */
#define uthash_malloc(size) hash_memory(size)

/* For a table itself, to end with free(). NULL: out of memory. */
void *hash_memory(size_t size);

#include <uthash.h>
