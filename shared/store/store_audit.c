#include "store/store_audit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit_files.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/sql.h"
#include "store/store_attempt.h"

static const struct attempt_rate refusals_rate = { AUDIT_REFUSALS_EVERY_MS, AUDIT_REFUSALS_BURST };
static const struct attempt_rate all_rate = { AUDIT_ALL_EVERY_MS, AUDIT_ALL_BURST };
static const struct attempt_rate status_rate = { AUDIT_STATUS_EVERY_MS, AUDIT_STATUS_BURST };
static const char of_all[] = "audit all"; /* the bucket of all that are refusals */

enum { BUCKET_SIZE = 96 };

static bool
was_begun(struct store *s)
{
	struct audit_key none = { .len = AUDIT_KEY_BYTES_MIN };
	struct audit_mark tail = { .seq = 0 };

	return trail_read_tail(s, &none, &tail) != ERR_OK || tail.seq > 0;
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
	return "The audit trail's key cannot be read or made (TELEMED_AUDIT_KEY_FILE): does it, or "
	       "its folder, belong to whom telemed runs as?";
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
	if (!audit_line_ok(l)) {
		LOG(LOG_ERROR, "audit_line_refused", F_INT("user", l->user),
		    F_INT("call", l->call));
		return ERR_SYSTEM;
	}
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
	if ((e = trail_read_tail(s, &t->key, &t->last)) != ERR_OK)
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

static struct attempt_rate
rate_of(const struct audit_entry *n)
{
	return n->event == AUDIT_STATUS ? status_rate : refusals_rate;
}

static bool
is_rationed(enum audit_event e)
{
	return e == AUDIT_LOGIN_FAILED || e == AUDIT_LIMITED || e == AUDIT_DENIED ||
	       e == AUDIT_STATUS;
}

/* ERR_BUSY: there have been too many of these lately for a line each. */
static enum err
ration(struct store *s, const struct audit_entry *n, int64_t now_ms)
{
	struct attempt_rate rate = rate_of(n);
	char bucket[BUCKET_SIZE];
	int64_t wait_ms = 0;
	enum err e;

	name_bucket(n, bucket);
	if ((e = store_attempt_check(s, bucket, rate, now_ms, &wait_ms)) != ERR_OK)
		return e;
	if (n->event != AUDIT_STATUS) {
		if ((e = store_attempt_check(s, of_all, all_rate, now_ms, &wait_ms)) != ERR_OK)
			return e;
		if ((e = store_attempt_count(s, of_all, all_rate, now_ms)) != ERR_OK)
			return e;
	}
	return store_attempt_count(s, bucket, rate, now_ms);
}

/* The same as far as it can be known without a transaction. */
static bool
is_spent(struct store *s, const struct audit_entry *n, int64_t now_ms)
{
	char bucket[BUCKET_SIZE];

	if (!is_rationed(n->event))
		return false;
	name_bucket(n, bucket);
	return store_attempt_wait(s, bucket, rate_of(n), now_ms) > 0 ||
	       (n->event != AUDIT_STATUS && store_attempt_wait(s, of_all, all_rate, now_ms) > 0);
}

static void
make_line(struct trail *t, const struct audit_entry *n, int64_t now_ms, struct audit_line *l)
{
	int64_t left_out = t->left_out[n->event] + t->more[n->event] - t->told[n->event];

	*l = (struct audit_line){ .at_ms = n->at_ms != 0 ? n->at_ms : now_ms,
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
	t->more[entry->event] += entry->left_out;
	if (is_rationed(entry->event)) {
		e = ration(s, entry, now_ms);
		if (e == ERR_BUSY) {
			t->more[entry->event]++;
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
	int64_t now_ms = clock_wall_ms();
	enum err e;

	if (is_spent(s, entry, now_ms)) {
		s->trail->left_out[entry->event] += 1 + entry->left_out;
		return ERR_OK;
	}
	if ((e = store_begin(s)) != ERR_OK)
		return e;
	return store_end(s, store_audit_add(s, entry, now_ms));
}

bool
trail_end(struct trail *t, enum err outcome)
{
	bool wrote_head = false;

	if (t == NULL)
		return false;
	/* The lines are there whatever becomes of the head: the next one takes it along. */
	if (outcome == ERR_OK && t->writing)
		wrote_head = audit_head_write(t->head_path, &t->key, &t->last, t->head_is_fresh) ==
			     ERR_OK;
	for (unsigned i = 0; i < AUDIT__COUNT; i++) {
		if (outcome == ERR_OK)
			t->left_out[i] += t->more[i] - t->told[i];
		t->more[i] = t->told[i] = 0;
	}
	t->writing = false;
	return wrote_head;
}

void
trail_sync(const struct trail *t)
{
	(void)!audit_head_sync(t->head_path, t->head_is_fresh); /* as above */
}
