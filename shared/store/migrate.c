/* Numbered, forward-only migrations; PRAGMA user_version says which have been applied. */
#include <stdio.h>

#include "base/log.h"
#include "store/sql.h"

/* Each is made from schema/NNN_*.sql by the Makefile. */
#include "schema_001.h"
#include "schema_002.h"
#include "schema_003.h"
#include "schema_004.h"
#include "schema_005.h"
#include "schema_006.h"
#include "schema_007.h"

static const char *const migrations[STORE_SCHEMA_VERSION] = {
	schema_001,
	schema_002,
	schema_003,
	schema_004,
	schema_005,
	schema_006,
	schema_007,
};

enum err
migrate_version(struct store *s, int *out)
{
	sqlite3_stmt *st = NULL;
	enum err e;

	e = sql_outcome(
	    s, sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL), "version");
	if (e == ERR_OK)
		e = sql_row(s, st);
	if (e == ERR_OK)
		*out = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return e;
}

static enum err
apply(struct store *s, int version)
{
	char set_version[64];
	enum err e;

	snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", version);
	e = sql_run(s, sql_get(s, SQL_BEGIN));
	if (e == ERR_OK)
		e = sql_outcome(
		    s, sqlite3_exec(s->db, migrations[version - 1], NULL, NULL, NULL), "migrate");
	if (e == ERR_OK)
		e = sql_outcome(s, sqlite3_exec(s->db, set_version, NULL, NULL, NULL), "migrate");
	if (e == ERR_OK)
		e = sql_run(s, sql_get(s, SQL_COMMIT));
	if (e != ERR_OK && !sqlite3_get_autocommit(s->db) &&
	    sql_run(s, sql_get(s, SQL_ROLLBACK)) != ERR_OK)
		LOG0(LOG_ERROR, "store_rollback_failed");
	return e;
}

enum err
migrate_check(struct store *s)
{
	int version = 0;
	enum err e;

	if ((e = migrate_version(s, &version)) != ERR_OK)
		return e;
	if (version > STORE_SCHEMA_VERSION)
		return ERR_TOO_NEW;
	return version < 0 ? ERR_INVALID : ERR_OK;
}

enum err
migrate(struct store *s)
{
	int version = 0;
	enum err e;

	if ((e = migrate_version(s, &version)) != ERR_OK)
		return e;
	while (version < STORE_SCHEMA_VERSION) {
		if ((e = apply(s, ++version)) != ERR_OK)
			return e;
		LOG(LOG_INFO, "store_migrated", F_INT("version", version));
	}
	return ERR_OK;
}
