#include "store/store_tally.h"

#include <stdio.h>
#include <sys/stat.h>

#include "store/sql.h"

enum { PATH_SIZE = 4096 };

static int64_t
file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

enum err
store_tally(struct store *s, int64_t now_s, struct tally *out)
{
	int64_t *const counts[] = { &out->patients, &out->doctors, &out->pending, &out->disabled,
		&out->erased, &out->sessions, &out->connected, &out->ringing, &out->active,
		&out->audit_line };
	sqlite3_stmt *st = sql_get(s, SQL_TALLY);
	const char *path = sqlite3_db_filename(s->db, "main");
	char log[PATH_SIZE];
	enum err e;

	sqlite3_bind_int64(st, 1, now_s);
	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		*counts[i] = sqlite3_column_int64(st, (int)i);
	sqlite3_reset(st);
	snprintf(log, sizeof(log), "%s-wal", path);
	out->database_bytes = file_bytes(path);
	out->log_bytes = file_bytes(log);
	return ERR_OK;
}
