#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "store/sql.h"

enum { WAL_BYTES_MAX = 4 << 20 };

/* Takes the lock between processes, within WAIT_MS. */
static enum err
lock_within(struct store *s, int wait_ms)
{
	int64_t deadline = clock_monotonic_ms() + wait_ms;
	struct timespec nap = { .tv_nsec = 100000 };
	bool waits = false;

	while (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return ERR_SYSTEM;
		if (!waits)
			metric_add(METRIC_STORE_LOCK_WAITS, 0, 1);
		waits = true;
		if (clock_monotonic_ms() >= deadline) {
			metric_add(METRIC_STORE_BUSY, 0, 1);
			LOG(LOG_WARN, "store_lock_timeout", F_INT("ms", wait_ms));
			return ERR_BUSY;
		}
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < 5000000)
			nap.tv_nsec *= 2;
	}
	return ERR_OK;
}

enum err
store_lock(struct store *s)
{
	return lock_within(s, STORE_BUSY_MS);
}

void
store_unlock(struct store *s)
{
	(void)flock(s->lock_fd, LOCK_UN); /* of a lock that is held: cannot fail */
}

/* Whatever is not ours to write is left before anything in it changes: a change of journal mode is
 * a write, and so is the checkpoint at the close of a last connection. */
static enum err
configure(struct store *s)
{
	static const char pragmas[] =
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
	    "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; "
	    "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;";
	enum err e;
	int rc;

	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (sqlite3_db_readonly(s->db, "main") != 0)
		return sql_outcome(s, SQLITE_READONLY, "open");
	if ((e = migrate_check(s)) != ERR_OK || (e = migrate_is_whole(s)) != ERR_OK)
		return e;
	rc = sqlite3_exec(s->db, pragmas, NULL, NULL, NULL);
	return sql_outcome(s, rc, "open");
}

static enum err
open_locked(struct store *s, const char *path)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	enum err e;
	mode_t mask;
	int rc;

	mask = umask(0077);
	rc = sqlite3_open_v2(path, &s->db, flags, NULL);
	e = s->db == NULL ? ERR_SYSTEM : sql_outcome(s, rc, "open");
	if (e == ERR_OK)
		e = configure(s);
	if (e == ERR_OK)
		e = migrate(s);
	umask(mask);
	return e;
}

enum err
store_new(const char *lock_path, struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_SYSTEM;
	s->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0) {
		LOG(LOG_ERROR, "store_open_failed", F_INT("errno", errno));
		store_close(s);
		return ERR_SYSTEM;
	}
	*out = s;
	return ERR_OK;
}

bool
store_is_empty(const char *path)
{
	struct stat st;

	return stat(path, &st) != 0 ? errno == ENOENT : st.st_size <= 1;
}

enum err
store_open(const char *path, const char *lock_path, struct store **out)
{
	struct store *s = NULL;
	enum err e = store_new(lock_path, &s);

	if (e != ERR_OK)
		return e;
	if (asprintf(&s->wal_path, "%s-wal", path) < 0) {
		s->wal_path = NULL;
		e = ERR_SYSTEM;
		goto failed;
	}
	/* Under the lock: two programs that start at once must not both make the file or both
	 * migrate it. */
	if ((e = store_lock(s)) != ERR_OK)
		goto failed;
	e = open_locked(s, path);
	store_unlock(s);
	if (e != ERR_OK)
		goto failed;
	*out = s;
	return ERR_OK;
failed:
	store_close(s);
	return e;
}

static enum err
open_reader(struct store *s, const char *path)
{
	int version = 0;
	enum err e;
	int rc;

	rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if ((e = s->db == NULL ? ERR_SYSTEM : sql_outcome(s, rc, "open")) != ERR_OK)
		return e;
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	if ((e = migrate_version(s, &version)) != ERR_OK)
		return e;
	if (version > STORE_SCHEMA_VERSION)
		return ERR_TOO_NEW;
	return version < STORE_SCHEMA_VERSION ? ERR_DENIED : migrate_is_whole(s);
}

enum err
store_open_reader(const char *path, struct store **out)
{
	struct store *s;
	enum err e;

	if (access(path, F_OK) != 0)
		return ERR_NOT_FOUND;
	if (store_is_empty(path))
		return ERR_DENIED;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return ERR_SYSTEM;
	s->lock_fd = -1;
	if ((e = open_reader(s, path)) != ERR_OK) {
		store_close(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SQL__COUNT; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->wal_path);
	trail_free(s->trail);
	free(s);
}

const char *
store_sentence(enum err e)
{
	if (e == ERR_TOO_NEW)
		return "The database was written by a newer version; it is left as it was.";
	if (e == ERR_INVALID)
		return "The database is damaged; it is left as it was. Restore a backup.";
	if (e == ERR_CONFLICT)
		return "The database lacks what audit.head says was written to it: telemed.db, or "
		       "telemed.db-wal beside it, was lost, cut or damaged. Nothing was changed. "
		       "Put the files back, or restore a backup; to go on without what is lost, "
		       "move audit.head away (docs/operations.md).";
	return "The database cannot be opened for writing.";
}

bool
store_is_hopeless(enum err e)
{
	return e == ERR_TOO_NEW || e == ERR_INVALID || e == ERR_CONFLICT;
}

enum err
store_check(struct store *s)
{
	return sql_check(s, "PRAGMA quick_check(1)");
}

enum err
store_begin(struct store *s)
{
	enum err e;

	if ((e = store_lock(s)) != ERR_OK)
		return e;
	if ((e = sql_run(s, sql_get(s, SQL_BEGIN))) != ERR_OK)
		store_unlock(s);
	return e;
}

enum err
store_end(struct store *s, enum err so_far)
{
	bool wrote_head;
	enum err e = so_far;

	if (e == ERR_OK)
		e = sql_run(s, sql_get(s, SQL_COMMIT));
	/* SQLite rolls some failures back by itself; autocommit is on again then. */
	if (e != ERR_OK && !sqlite3_get_autocommit(s->db) &&
	    sql_run(s, sql_get(s, SQL_ROLLBACK)) != ERR_OK)
		LOG0(LOG_ERROR, "store_rollback_failed");
	wrote_head = trail_end(s->trail, e);
	store_unlock(s);
	if (wrote_head) /* who is told of the line may take it that the head tells of it as well */
		trail_sync(s->trail);
	return e;
}

/* Under the lock: SQLite's own, which a program may hold that does not know of ours; and what the
 * database has become meanwhile. */
static enum err
try_to_write(struct store *s)
{
	enum err e = sql_run(s, sql_get(s, SQL_BEGIN));
	enum err end;

	if (e != ERR_OK)
		return e;
	e = migrate_check(s);
	end = sql_run(s, sql_get(s, SQL_ROLLBACK));
	return e == ERR_OK ? end : e;
}

enum err
store_probe(struct store *s, int wait_ms)
{
	enum err e = lock_within(s, wait_ms);

	if (e != ERR_OK)
		return e;
	sqlite3_busy_timeout(s->db, wait_ms);
	e = try_to_write(s);
	sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	store_unlock(s);
	return e;
}

bool
store_wrote(const struct store *s)
{
	return sqlite3_changes(s->db) > 0;
}

bool
store_gone(struct store *s)
{
	int moved = 0;

	return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	       moved != 0;
}

bool
store_changed(struct store *s)
{
	sqlite3_stmt *st = sql_get(s, SQL_DATA_VERSION);
	int version = s->data_version;

	if (sql_row(s, st) == ERR_OK) {
		version = sqlite3_column_int(st, 0);
		sqlite3_reset(st);
	}
	if (version == s->data_version)
		return false;
	s->data_version = version;
	return true;
}

uint32_t
store_state(struct store *s)
{
	unsigned version = 0;

	/* Unlike PRAGMA data_version it counts our own commits too, and takes no lock. It cannot
	 * fail for a database that is open. */
	(void)sqlite3_file_control(s->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
	return version;
}

enum err
store_checkpoint(struct store *s)
{
	struct stat st;
	enum err e;

	if (stat(s->wal_path, &st) != 0 || st.st_size < WAL_BYTES_MAX)
		return ERR_OK;
	if ((e = store_lock(s)) != ERR_OK)
		return e;
	e = sql_outcome(s,
	    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
	    "checkpoint");
	store_unlock(s);
	return e;
}
