#include "store/store_backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "store/sql.h"

enum { URI_SIZE = 3 * 1100, EMPTY_BUSY_MS = 500 };

static enum err
run(struct store *s, const char *sql)
{
	return sql_outcome(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL), "copy");
}

/* All in one step: one state, whatever is written meanwhile. */
static enum err
copy_pages(struct store *from, struct store *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
	int rc;

	if (b == NULL)
		return sql_outcome(to, sqlite3_errcode(to->db), "copy");
	rc = sqlite3_backup_step(b, -1);
	(void)sqlite3_backup_finish(b); /* says what the step has said */
	return sql_outcome(to, rc, "copy");
}

/* A store of nothing but the file at PATH, or at the URI of it. */
static enum err
open_file(const char *path, int flags, struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	enum err e;
	int rc;

	if (s == NULL)
		return ERR_SYSTEM;
	s->lock_fd = -1;
	rc = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if ((e = s->db == NULL ? ERR_SYSTEM : sql_outcome(s, rc, "open")) != ERR_OK) {
		store_close(s);
		return e;
	}
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	*out = s;
	return ERR_OK;
}

enum err
store_copy(struct store *s, const char *path)
{
	struct store *copy = NULL;
	enum err e;

	if ((e = open_file(path, SQLITE_OPEN_READWRITE, &copy)) != ERR_OK)
		return e;
	e = run(copy, "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF");
	if (e == ERR_OK)
		e = copy_pages(s, copy);
	/* It says that it has a log, as the original does. */
	if (e == ERR_OK)
		e = run(copy, "PRAGMA journal_mode = DELETE");
	if (e == ERR_OK)
		e = sql_check(copy, "PRAGMA integrity_check(1)");
	store_close(copy);
	return e == ERR_OK ? file_sync_name(path) : e;
}

/* A path as SQLite's URI: what is not plain is written as %XX. False: it does not fit. */
static bool
write_uri(const char *path, const char *query, char out[URI_SIZE])
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
	size_t n = (size_t)snprintf(out, URI_SIZE, "file:");

	for (; *path != '\0' && n + 4 < URI_SIZE; path++) {
		if (strchr(plain, *path) != NULL)
			out[n++] = *path;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)*path);
	}
	if (*path != '\0' || n + strlen(query) >= URI_SIZE)
		return false;
	memcpy(out + n, query, strlen(query) + 1);
	return true;
}

/* Is there a log with something in it? Then PATH is no copy of ours, and all the same is read as a
 * whole. */
static bool
has_log(const char *path)
{
	char log[URI_SIZE];
	struct stat st;

	return snprintf(log, sizeof(log), "%s-wal", path) < (int)sizeof(log) &&
	       stat(log, &st) == 0 && st.st_size > 0;
}

enum err
store_open_untouched(const char *path, struct store **out)
{
	/* Immutable: no locks, and no files beside it. */
	const char *query = has_log(path) ? "?mode=ro" : "?mode=ro&immutable=1";
	struct store *s = NULL;
	char uri[URI_SIZE];
	enum err e;

	if (!write_uri(path, query, uri))
		return ERR_SYSTEM;
	if ((e = open_file(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &s)) != ERR_OK)
		return e;
	if ((e = migrate_check(s)) != ERR_OK || (e = migrate_is_whole(s)) != ERR_OK) {
		store_close(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

enum err
store_open_copy(const char *path, struct store **out)
{
	struct store *s = NULL;
	int version = 0;
	enum err e;

	if ((e = store_open_untouched(path, &s)) != ERR_OK)
		return e;
	if ((e = migrate_version(s, &version)) == ERR_OK && version < 1)
		e = ERR_INVALID; /* an empty file, or another program's */
	if (e != ERR_OK) {
		store_close(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

enum err
store_empty_log(struct store *s)
{
	enum err e;
	int rc;

	if ((e = store_lock(s)) != ERR_OK)
		return e;
	/* Who writes waits for this. */
	sqlite3_busy_timeout(s->db, EMPTY_BUSY_MS);
	rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	store_unlock(s);
	return (rc & 0xff) == SQLITE_BUSY ? ERR_BUSY : sql_outcome(s, rc, "checkpoint");
}
