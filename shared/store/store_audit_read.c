/* What stands in the trail: read, and moved out of it. */
#include <string.h>
#include <time.h>

#include "audit/audit_files.h"
#include "base/log.h"
#include "store/sql.h"
#include "store/store_audit.h"

enum { HEAD_TRIES = 20 };

/* Column I as a MAC. False: it is something else. */
static bool
read_mac(sqlite3_stmt *st, int i, unsigned char out[AUDIT_MAC_BYTES])
{
	const void *blob = sqlite3_column_blob(st, i);

	if (blob == NULL || sqlite3_column_bytes(st, i) != AUDIT_MAC_BYTES)
		return false;
	memcpy(out, blob, AUDIT_MAC_BYTES);
	return true;
}

/* Column I as text. False: it does not fit. */
static bool
read_text(sqlite3_stmt *st, int i, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(st, i);
	size_t len = text == NULL ? 0 : strlen(text);

	if (text == NULL || len >= size || (int)len != sqlite3_column_bytes(st, i))
		return false;
	memcpy(out, text, len + 1);
	return true;
}

static void
read_line(sqlite3_stmt *st, struct audit_line *l)
{
	*l = (struct audit_line){ .seq = sqlite3_column_int64(st, 0) };
	l->at_ms = sqlite3_column_int64(st, 1);
	l->user = sqlite3_column_int64(st, 4);
	l->peer = sqlite3_column_int64(st, 5);
	l->call = sqlite3_column_int64(st, 6);
	l->left_out = sqlite3_column_int64(st, 7);
	l->malformed = !read_text(st, 2, l->event, sizeof(l->event)) ||
		       !read_text(st, 3, l->outcome, sizeof(l->outcome)) ||
		       !read_text(st, 8, l->source, sizeof(l->source)) || !read_mac(st, 9, l->mac);
}

enum err
trail_read_base(struct store *s, const struct audit_key *key, struct audit_mark *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_AUDIT_BASE);
	struct audit_sealed base = { .mark = { .seq = 0 } };
	bool ok;
	enum err e;

	*out = base.mark;
	if ((e = sql_row(s, st)) != ERR_OK)
		return e == ERR_NOT_FOUND ? ERR_OK : e;
	base.mark.seq = sqlite3_column_int64(st, 0);
	ok = read_mac(st, 1, base.mark.mac) && read_mac(st, 2, base.seal);
	sqlite3_reset(st);
	*out = base.mark;
	return ok && base.mark.seq > 0 ? audit_unseal(key, AUDIT_BASE, &base) : ERR_INVALID;
}

enum err
trail_read_tail(struct store *s, const struct audit_key *key, struct audit_mark *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_AUDIT_TAIL);
	enum err e = sql_row(s, st);

	if (e == ERR_NOT_FOUND) {
		e = trail_read_base(s, key, out);
		return e == ERR_INVALID ? ERR_OK : e; /* audit_verify() tells of it */
	}
	if (e != ERR_OK)
		return e;
	*out = (struct audit_mark){ .seq = sqlite3_column_int64(st, 0) };
	(void)!read_mac(st, 1, out->mac); /* a broken one, too, is only to be told of */
	sqlite3_reset(st);
	return ERR_OK;
}

static enum err
rewind_to(struct store *s, int64_t after)
{
	sqlite3_stmt *st = sql_get(s, SQL_AUDIT_AFTER);

	if (st == NULL)
		return ERR_SYSTEM;
	sqlite3_reset(st);
	sqlite3_bind_int64(st, 1, after);
	return ERR_OK;
}

static enum err
rewind_all(void *context)
{
	return rewind_to(context, INT64_MIN); /* a line that somebody put before the first, too */
}

static enum err
next_line(void *context, struct audit_line *out)
{
	struct store *s = context;
	sqlite3_stmt *st = sql_get(s, SQL_AUDIT_AFTER);
	enum err e;

	if ((e = sql_row(s, st)) == ERR_OK)
		read_line(st, out);
	return e;
}

enum err
store_audit_base(struct store *s, struct audit_sealed *out)
{
	struct audit_mark base;
	enum err e = trail_read_base(s, &s->trail->key, &base);

	return e != ERR_OK ? e : store_audit_seal(s, &base, out);
}

enum err
store_audit_seal(const struct store *s, const struct audit_mark *m, struct audit_sealed *out)
{
	return audit_seal(&s->trail->key, AUDIT_BASE, m, out);
}

enum err
store_audit_archived(struct store *s, int64_t *out)
{
	const struct audit_key none = { .len = AUDIT_KEY_BYTES_MIN };
	struct audit_mark base;
	enum err e = trail_read_base(s, &none, &base);

	*out = base.seq;
	return e == ERR_INVALID ? ERR_OK : e;
}

enum err
store_audit_last(struct store *s, struct audit_mark *out)
{
	const struct audit_key none = { .len = AUDIT_KEY_BYTES_MIN };

	return trail_read_tail(s, &none, out);
}

static enum err
set_base(struct store *s, const struct audit_sealed *base)
{
	sqlite3_stmt *st = sql_get(s, SQL_AUDIT_SET_BASE);

	sqlite3_bind_int64(st, 1, base->mark.seq);
	sqlite3_bind_blob(st, 2, base->mark.mac, AUDIT_MAC_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, base->seal, AUDIT_MAC_BYTES, SQLITE_STATIC);
	return sql_run(s, st);
}

/* Does the line of M stand there as M has it? */
static enum err
find_line(struct store *s, const struct audit_mark *m)
{
	struct audit_line l;
	enum err e = rewind_to(s, m->seq - 1);

	if (e == ERR_OK)
		e = next_line(s, &l);
	if (e != ERR_OK)
		return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
	sqlite3_reset(s->statements[SQL_AUDIT_AFTER]);
	return l.seq == m->seq && audit_mac_same(l.mac, m->mac) ? ERR_OK : ERR_CONFLICT;
}

enum err
store_audit_drop(struct store *s, const struct audit_mark *from, const struct audit_mark *to)
{
	sqlite3_stmt *drop = sql_get(s, SQL_AUDIT_DROP);
	struct audit_sealed begin;
	struct audit_sealed end;
	enum err e;

	if ((e = store_audit_base(s, &begin)) != ERR_OK)
		return e;
	if (begin.mark.seq != from->seq || !audit_mac_same(begin.mark.mac, from->mac))
		return ERR_CONFLICT;
	if ((e = find_line(s, to)) != ERR_OK || (e = store_audit_seal(s, to, &end)) != ERR_OK ||
	    (e = set_base(s, &end)) != ERR_OK)
		return e;
	sqlite3_bind_int64(drop, 1, to->seq);
	return sql_run(s, drop);
}

/* Without the lock, which busy writers hardly let go of: one that was just being written is another
 * a moment later. */
static enum err
read_head(const char *path, const struct audit_key *key, struct audit_mark *out)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000000 };
	enum err e = audit_head_read(path, key, out);

	for (int i = 0; e == ERR_INVALID && i < HEAD_TRIES; i++) {
		nanosleep(&nap, NULL);
		e = audit_head_read(path, key, out);
	}
	return e;
}

enum err
store_audit_reading(struct store *s, const char *key_path, const char *head_path,
    struct audit_key *key, struct audit_bounds *b)
{
	enum err e;

	*b = (struct audit_bounds){ .after = 0 };
	if ((e = audit_key_read(key_path, key)) != ERR_OK)
		return e;
	if ((e = read_head(head_path, key, &b->head)) == ERR_SYSTEM)
		return e;
	b->head_ok = e == ERR_OK;
	if ((e = sql_run(s, sql_get(s, SQL_BEGIN_READING))) != ERR_OK)
		return e;
	e = trail_read_base(s, key, &b->base);
	b->base_ok = e == ERR_OK;
	if (e != ERR_OK && e != ERR_INVALID) {
		store_audit_reading_end(s);
		return e;
	}
	return ERR_OK;
}

void
store_audit_reading_end(struct store *s)
{
	if (s->statements[SQL_AUDIT_AFTER] != NULL)
		sqlite3_reset(s->statements[SQL_AUDIT_AFTER]);
	if (!sqlite3_get_autocommit(s->db) && sql_run(s, sql_get(s, SQL_COMMIT)) != ERR_OK)
		LOG0(LOG_ERROR, "store_reading_not_ended");
}

enum err
store_audit_each(struct store *s, int64_t after, audit_line_fn *fn, void *context)
{
	struct audit_line l;
	enum err e = rewind_to(s, after);

	while (e == ERR_OK && (e = next_line(s, &l)) == ERR_OK)
		e = fn(context, &l);
	if (s->statements[SQL_AUDIT_AFTER] != NULL)
		sqlite3_reset(s->statements[SQL_AUDIT_AFTER]);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

struct audit_source
store_audit_source(struct store *s)
{
	return (struct audit_source){ .context = s, .rewind = rewind_all, .next = next_line };
}
