#include "store/store_audit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/audit_files.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/sql.h"
#include "store/store_attempt.h"

static const struct attempt_rate refusals_rate = { AUDIT_REFUSALS_EVERY_MS, AUDIT_REFUSALS_BURST };
static const struct attempt_rate all_rate = { AUDIT_ALL_EVERY_MS, AUDIT_ALL_BURST };
static const struct attempt_rate status_rate = { AUDIT_STATUS_EVERY_MS, AUDIT_STATUS_BURST };

enum { BUCKET_SIZE = 96, HEAD_TRIES = 20 };

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

/* The mark of what was archived. ERR_INVALID: it is not one of ours, and *OUT what it says. */
static enum err
read_base(struct store *s, const struct audit_key *key, struct audit_mark *out)
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

/* The last line that stands in the database. */
static enum err
read_tail(struct store *s, const struct audit_key *key, struct audit_mark *out)
{
	sqlite3_stmt *st = sql_get(s, SQL_AUDIT_TAIL);
	enum err e = sql_row(s, st);

	if (e == ERR_NOT_FOUND) {
		e = read_base(s, key, out);
		return e == ERR_INVALID ? ERR_OK : e; /* audit_verify() tells of it */
	}
	if (e != ERR_OK)
		return e;
	*out = (struct audit_mark){ .seq = sqlite3_column_int64(st, 0) };
	(void)!read_mac(st, 1, out->mac); /* a broken one, too, is only to be told of */
	sqlite3_reset(st);
	return ERR_OK;
}

static bool
was_begun(struct store *s)
{
	struct audit_key none = { .len = AUDIT_KEY_BYTES_MIN };
	struct audit_mark tail = { .seq = 0 };

	return read_tail(s, &none, &tail) != ERR_OK || tail.seq > 0;
}

static enum err
open_trail(struct store *s, struct trail *t)
{
	enum err e = audit_key_read(t->key_path, &t->key);

	if (e != ERR_NOT_FOUND || was_begun(s))
		return e;
	if ((e = audit_key_make(t->key_path, t->head_path, &t->key)) == ERR_OK)
		LOG0(LOG_INFO, "audit_key_made");
	return e;
}

enum err
store_audit_open(struct store *s, const char *key_path, const char *head_path)
{
	struct trail *t = calloc(1, sizeof(*t));
	enum err e = ERR_SYSTEM;

	if (t == NULL)
		return e;
	t->key_path = strdup(key_path);
	t->head_path = strdup(head_path);
	/* Two programs that start at once make one key. */
	if (t->key_path != NULL && t->head_path != NULL && (e = store_lock(s)) == ERR_OK) {
		e = open_trail(s, t);
		store_unlock(s);
	}
	if (e != ERR_OK) {
		trail_free(t);
		return e;
	}
	s->trail = t;
	return ERR_OK;
}

void
trail_free(struct trail *t)
{
	if (t == NULL)
		return;
	free(t->key_path);
	free(t->head_path);
	explicit_bzero(&t->key, sizeof(t->key));
	free(t);
}

const char *
store_audit_sentence(enum err e)
{
	if (e == ERR_NOT_FOUND)
		return "The audit trail's key is gone (TELEMED_AUDIT_KEY_FILE): put it back, or "
		       "see "
		       "docs/audit.md.";
	if (e == ERR_DENIED)
		return "The audit trail's key (TELEMED_AUDIT_KEY_FILE) can be read or written by "
		       "others: chmod 600.";
	if (e == ERR_INVALID)
		return "The audit trail's key (TELEMED_AUDIT_KEY_FILE) must have 32 to 1024 bytes.";
	return "The audit trail's key cannot be read or made (TELEMED_AUDIT_KEY_FILE).";
}

bool
store_audit_is_hopeless(enum err e)
{
	return e == ERR_NOT_FOUND || e == ERR_DENIED || e == ERR_INVALID;
}

static enum err
insert(struct store *s, const struct audit_line *l)
{
	sqlite3_stmt *st = sql_get(s, SQL_AUDIT_INSERT);

	sqlite3_bind_int64(st, 1, l->seq);
	sqlite3_bind_int64(st, 2, l->at_ms);
	sqlite3_bind_text(st, 3, l->event, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, l->outcome, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, l->user);
	sqlite3_bind_int64(st, 6, l->peer);
	sqlite3_bind_int64(st, 7, l->call);
	sqlite3_bind_int64(st, 8, l->left_out);
	sqlite3_bind_text(st, 9, l->source, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 10, l->mac, AUDIT_MAC_BYTES, SQLITE_STATIC);
	return sql_run(s, st);
}

/* Puts L behind the last line. */
static enum err
append(struct store *s, struct audit_line *l)
{
	struct trail *t = s->trail;
	enum err e;

	if (t->last.seq < 0 || t->last.seq == INT64_MAX) /* nothing of ours stands there */
		return ERR_SYSTEM;
	l->seq = t->last.seq + 1;
	assert(audit_line_ok(l));
	if (!audit_line_mac(&t->key, t->last.mac, l, l->mac))
		return ERR_SYSTEM;
	if ((e = insert(s, l)) != ERR_OK)
		return e == ERR_CONFLICT ? ERR_SYSTEM : e;
	t->last.seq = l->seq;
	memcpy(t->last.mac, l->mac, sizeof(t->last.mac));
	return ERR_OK;
}

/* Finds the place behind which the transaction's first line goes. Where the database ends before
 * the head it was cut, or an older one put in its place: the numbers go on from the head, so that
 * the gap stays. Where the head is gone, a line says so. */
static enum err
find_place(struct store *s, int64_t now_ms)
{
	struct audit_line lost = { .at_ms = now_ms, .outcome = "found" };
	struct trail *t = s->trail;
	struct audit_mark head;
	enum err on_head = audit_head_read(t->head_path, &t->key, &head);
	enum err e;

	if (on_head == ERR_SYSTEM)
		return on_head;
	if ((e = read_tail(s, &t->key, &t->last)) != ERR_OK)
		return e;
	t->writing = true;
	t->head_is_fresh = on_head != ERR_OK;
	if (on_head == ERR_OK) {
		if (head.seq > t->last.seq)
			t->last = head;
		return ERR_OK;
	}
	LOG(LOG_ERROR, "audit_head_lost", F_INT("line", t->last.seq + 1));
	snprintf(lost.event, sizeof(lost.event), "%s", audit_event_name(AUDIT_HEAD_LOST));
	return append(s, &lost);
}

/* Of the user where one has logged in. Where not, of the network: whether an account exists must
 * not show in how long a refusal takes. */
static void
name_bucket(const struct audit_entry *n, char out[BUCKET_SIZE])
{
	struct address network = address_network(&n->address);
	char text[ADDRESS_TEXT_SIZE];

	if (n->event == AUDIT_STATUS)
		snprintf(out, BUCKET_SIZE, "audit status %lld", (long long)n->user.v);
	else if (n->user.v != 0 && n->event != AUDIT_LOGIN_FAILED)
		snprintf(out, BUCKET_SIZE, "audit user %lld", (long long)n->user.v);
	else
		snprintf(out, BUCKET_SIZE, "audit ip %s", address_write(&network, text));
}

/* ERR_BUSY: there have been too many of these lately for a line each. */
static enum err
ration(struct store *s, const struct audit_entry *n, int64_t now_ms)
{
	static const char all[] = "audit all";
	struct attempt_rate rate = n->event == AUDIT_STATUS ? status_rate : refusals_rate;
	char bucket[BUCKET_SIZE];
	int64_t wait_ms = 0;
	enum err e;

	name_bucket(n, bucket);
	if ((e = store_attempt_check(s, bucket, rate, now_ms, &wait_ms)) != ERR_OK)
		return e;
	if (n->event != AUDIT_STATUS) {
		if ((e = store_attempt_check(s, all, all_rate, now_ms, &wait_ms)) != ERR_OK)
			return e;
		if ((e = store_attempt_count(s, all, all_rate, now_ms)) != ERR_OK)
			return e;
	}
	return store_attempt_count(s, bucket, rate, now_ms);
}

static bool
is_rationed(enum audit_event e)
{
	return e == AUDIT_LOGIN_FAILED || e == AUDIT_LIMITED || e == AUDIT_DENIED ||
	       e == AUDIT_STATUS;
}

static void
make_line(struct trail *t, const struct audit_entry *n, int64_t now_ms, struct audit_line *l)
{
	int64_t left_out = t->left_out[n->event] - t->told[n->event];

	*l = (struct audit_line){ .at_ms = now_ms,
		.user = n->user.v,
		.peer = n->peer.v,
		.call = n->call,
		.left_out = left_out };
	snprintf(l->event, sizeof(l->event), "%s", audit_event_name(n->event));
	snprintf(l->outcome, sizeof(l->outcome), "%s", n->outcome);
	if (n->source != NULL)
		snprintf(l->source, sizeof(l->source), "%s", n->source);
	else
		address_write(&n->address, l->source);
	t->told[n->event] += left_out;
}

enum err
store_audit_add(struct store *s, const struct audit_entry *entry, int64_t now_ms)
{
	struct trail *t = s->trail;
	struct audit_line l;
	enum err e;

	assert(t != NULL);
	if (is_rationed(entry->event)) {
		e = ration(s, entry, now_ms);
		if (e == ERR_BUSY) {
			t->left_out[entry->event]++;
			return ERR_OK;
		}
		if (e != ERR_OK)
			return e;
	}
	if (!t->writing && (e = find_place(s, now_ms)) != ERR_OK)
		return e;
	make_line(t, entry, now_ms, &l);
	return append(s, &l);
}

enum err
store_audit_note(struct store *s, const struct audit_entry *entry)
{
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	return store_end(s, store_audit_add(s, entry, clock_wall_ms()));
}

void
trail_end(struct trail *t, enum err outcome)
{
	if (t == NULL)
		return;
	/* The lines are there whatever becomes of the head: the next one takes it along. */
	if (outcome == ERR_OK && t->writing)
		(void)!audit_head_write(t->head_path, &t->key, &t->last, t->head_is_fresh);
	for (unsigned i = 0; i < AUDIT__COUNT; i++) {
		if (outcome == ERR_OK)
			t->left_out[i] -= t->told[i];
		t->told[i] = 0;
	}
	t->writing = false;
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
	enum err e = read_base(s, &s->trail->key, &base);

	return e != ERR_OK ? e : audit_seal(&s->trail->key, AUDIT_BASE, &base, out);
}

enum err
store_audit_archived(struct store *s, int64_t *out)
{
	const struct audit_key none = { .len = AUDIT_KEY_BYTES_MIN };
	struct audit_mark base;
	enum err e = read_base(s, &none, &base);

	*out = base.seq;
	return e == ERR_INVALID ? ERR_OK : e;
}

enum err
store_audit_last(struct store *s, struct audit_mark *out)
{
	const struct audit_key none = { .len = AUDIT_KEY_BYTES_MIN };

	return read_tail(s, &none, out);
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
store_audit_archive(
    struct store *s, const struct audit_mark *last, const char *source, struct audit_sealed *out)
{
	const struct audit_entry entry = {
		.event = AUDIT_ARCHIVED, .outcome = "lines", .source = source
	};
	sqlite3_stmt *drop = sql_get(s, SQL_AUDIT_DROP);
	enum err e;

	/* The line first: behind the last one, which may be among those that leave. */
	if ((e = find_line(s, last)) != ERR_OK ||
	    (e = store_audit_add(s, &entry, clock_wall_ms())) != ERR_OK ||
	    (e = audit_seal(&s->trail->key, AUDIT_BASE, last, out)) != ERR_OK ||
	    (e = set_base(s, out)) != ERR_OK)
		return e;
	sqlite3_bind_int64(drop, 1, last->seq);
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
	e = read_base(s, key, &b->base);
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
