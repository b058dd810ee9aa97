/* An archive of the audit trail: a file of JSON objects, one a line. The first is the mark behind
 * which its lines stand, the last the one that they lead to, both sealed under the trail's key; the
 * next archive, or the database, begins where it ends. */
#pragma once

#include <stdio.h>

#include "store/store_audit.h"

enum {
	ARCHIVE_LINES_MAX = 100000, /* of one archive */
	ARCHIVE_STEP = 1000,	    /* leave the database in one transaction */
};

struct archive_made {
	int64_t last;  /* the last line that is in the file */
	int64_t moved; /* the last that is no more in the database, as far as that can be read */
	bool stays;    /* the file does, for the database has been told to let lines go */
};

/* Moves the lines of S up to UNTIL, and no more than ARCHIVE_LINES_MAX, to the file at PATH (mode
 * 0600), which must not be there yet. The file is whole and on the disk before the first leaves;
 * writing it holds nobody up, and they leave in steps, between which others write.
 *
 * Any failure: what has left the database is in the file. Without OUT->stays nothing has, and the
 * file is gone. With it the lines behind OUT->moved are in both: the next archive takes them again;
 * or, where a COMMIT failed, they may yet be found to have left, which nobody can know before the
 * next commit: so the file is not removed.
 *
 * ERR_CONFLICT: there is such a file. ERR_DENIED: none can be made there, and errno says why.
 * ERR_NOT_FOUND: there is no line UNTIL; OUT->last is the last before it, or, where that is not
 * below UNTIL, the last that was archived already. ERR_INVALID: a line or the mark of what was
 * archived before is not ours. ERR_BUSY: others write for too long, or archive at the same time.
 * ERR_SYSTEM. */
MUST_USE enum err archive_make(
    struct store *s, const char *path, int64_t until, struct archive_made *out);

/* An archive that is read. */
struct archive {
	FILE *file;
	long begin;    /* where its first line stands */
	int64_t lines; /* without the marks */
	int64_t read;  /* of them, since the last rewind */
};

/* Opens the archive at PATH, and reads its marks into *B; KEY NULL: without checking them.
 * ERR_INVALID: the file is no archive. ERR_SYSTEM: it cannot be read. */
MUST_USE enum err archive_open(
    const char *path, const struct audit_key *key, struct archive *out, struct audit_bounds *b);
void archive_close(struct archive *a);
struct audit_source archive_source(struct archive *a);
