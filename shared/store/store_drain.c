#include "store/store_drain.h"

#include "store/sql.h"

enum err
store_drain_get(struct store *s, struct drain_order *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_DRAIN_GET);
	enum err e;

	if ((e = sql_row(s, st)) != ERR_OK)
		return e;
	out->number = sqlite3_column_int64(st, 0);
	out->active = sqlite3_column_int(st, 1) != 0;
	sqlite3_reset(st);
	return ERR_OK;
}

enum err
store_drain_order(struct store *s, bool active)
{
	sqlite3_stmt *st = sql_get(s, SQL_DRAIN_ORDER);

	sqlite3_bind_int(st, 1, active);
	return sql_run(s, st);
}
