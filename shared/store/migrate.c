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

/* Applies to MODEL what made a schema of VERSION. */
static int
make_model(sqlite3 *model, int version)
{
	int rc = SQLITE_OK;

	for (int i = 0; i < version && rc == SQLITE_OK; i++)
		rc = sqlite3_exec(model, migrations[i], NULL, NULL, NULL);
	return rc;
}

/* Is there in S all that OWN, a statement, lists of the model? THEIRS looks for one of S. */
static enum err
compare_schema(struct store *s, sqlite3_stmt *own, sqlite3_stmt *theirs)
{
	enum err e;

	while ((e = sql_row(s, own)) == ERR_OK) {
		const char *name = (const char *)sqlite3_column_text(own, 1);

		sqlite3_bind_value(theirs, 1, sqlite3_column_value(own, 0));
		sqlite3_bind_value(theirs, 2, sqlite3_column_value(own, 1));
		e = sql_row(s, theirs);
		sqlite3_reset(theirs);
		if (e == ERR_NOT_FOUND) {
			LOG(LOG_ERROR, "store_schema_lacks", F_STR("name", name));
			return ERR_INVALID;
		}
		if (e != ERR_OK)
			return e;
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err
migrate_is_whole(struct store *s)
{
	/* The trail's triggers are no more than a hint: its MACs tell of what they would refuse. */
	static const char list[] =
	    "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' "
	    "AND NOT (type = 'trigger' AND tbl_name = 'audit')";
	static const char find[] = "SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2";
	sqlite3_stmt *theirs = NULL;
	sqlite3_stmt *own = NULL;
	sqlite3 *model = NULL;
	int version = 0;
	enum err e;
	int rc;

	if ((e = migrate_version(s, &version)) != ERR_OK)
		return e;
	rc = sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = make_model(model, version);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(model, list, -1, &own, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, find, -1, &theirs, NULL);
	e = sql_outcome(s, rc, "schema");
	if (e == ERR_OK)
		e = compare_schema(s, own, theirs);
	sqlite3_finalize(theirs);
	sqlite3_finalize(own);
	sqlite3_close(model);
	return e;
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
