/* The audit trail: what is done to it behind its back is found, wherever; and what is in order is
 * not complained of. */
#include "audit/audit_files.h"
#include "store/store_audit.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "store_fixture.h"
#include "unit.h"

#define KEY_FILE  "audit.key"
#define HEAD_FILE "audit.head"

enum { LINES = 12 };

static const struct audit_entry entry = { .event = AUDIT_LOGIN, .outcome = "ok", .user = { 7 } };

static void
add_lines(struct store *s, int n)
{
	struct audit_entry e = entry;

	for (int i = 0; i < n; i++) {
		e.user.v = i + 1;
		assert_int_equal(store_audit_note(s, &e), ERR_OK);
	}
}

/* A store with a trail of LINES lines. */
static int
trail_setup(void **state)
{
	if (store_setup(state) != 0 || store_audit_open(*state, KEY_FILE, HEAD_FILE) != ERR_OK)
		return -1;
	add_lines(*state, LINES);
	return 0;
}

static struct audit_report
verify_with(int64_t after, const struct audit_mark *anchor)
{
	struct audit_report r;
	struct audit_source source;
	struct audit_bounds b;
	struct audit_key key;
	struct store *s;

	assert_int_equal(store_open_reader(DB_FILE, &s), ERR_OK);
	assert_int_equal(store_audit_reading(s, KEY_FILE, HEAD_FILE, &key, &b), ERR_OK);
	b.after = after;
	if ((b.anchored = anchor != NULL))
		b.anchor = *anchor;
	source = store_audit_source(s);
	assert_int_equal(audit_verify(&key, &b, &source, &r), ERR_OK);
	store_audit_reading_end(s);
	store_close(s);
	return r;
}

static struct audit_report
verify(void)
{
	return verify_with(0, NULL);
}

static void
assert_report(
    const char *row, struct audit_report r, enum audit_trouble t, int64_t line, int64_t to)
{
	char said[AUDIT_SENTENCE_SIZE + 32];

	audit_sentence(&r, said);
	snprintf(said + strlen(said), 32, " (%d)", (int)r.trouble);
	if (r.trouble != t || (t != AUDIT_WHOLE && (r.line != line || r.to != to)))
		print_message("# %s\n", said);
	assert_row(row, r.trouble == t);
	assert_row(row, t == AUDIT_WHOLE || (r.line == line && r.to == to));
}

/* Runs the statements, separated by ';', without the triggers in their way. */
static void
tamper(const char *statements)
{
	char text[1024];
	char *save = NULL;

	raw_sql("DROP TRIGGER IF EXISTS audit_is_not_edited");
	raw_sql("DROP TRIGGER IF EXISTS audit_is_not_deleted");
	snprintf(text, sizeof(text), "%s", statements);
	for (char *st = strtok_r(text, ";", &save); st != NULL; st = strtok_r(NULL, ";", &save))
		raw_sql(st);
}

static void
a_trail_is_whole(void **state)
{
	struct audit_report r = verify();

	(void)state;
	assert_report("whole", r, AUDIT_WHOLE, 0, 0);
	assert_int_equal(r.lines, LINES);
	assert_int_equal(r.last.seq, LINES);
	assert_int_equal(r.past_head, 0);
	assert_int_equal(file_mode(KEY_FILE), 0600);
	assert_int_equal(file_mode(HEAD_FILE), 0600);
}

/* Exchanges the numbers of two lines. */
#define EXCHANGE(a, b)                                                                             \
	"UPDATE audit SET seq = 1000 WHERE seq = " a ";UPDATE audit SET seq = " a                  \
	" WHERE seq = " b ";UPDATE audit SET seq = " b " WHERE seq = 1000"

static void
tampering_is_found(void **state)
{
	static const struct {
		const char *sql;
		enum audit_trouble trouble;
		int64_t line, to;
	} rows[] = {
		{ "UPDATE audit SET user_id = 8 WHERE seq = 5", AUDIT_EDITED, 5, 5 },
		{ "UPDATE audit SET peer_id = 8 WHERE seq = 5", AUDIT_EDITED, 5, 5 },
		{ "UPDATE audit SET call = 8 WHERE seq = 5", AUDIT_EDITED, 5, 5 },
		{ "UPDATE audit SET left_out = 1 WHERE seq = 1", AUDIT_EDITED, 1, 1 },
		{ "UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 12", AUDIT_EDITED, 12, 12 },
		{ "UPDATE audit SET event = 'logout' WHERE seq = 12", AUDIT_EDITED, 12, 12 },
		{ "UPDATE audit SET outcome = 'no' WHERE seq = 2", AUDIT_EDITED, 2, 2 },
		{ "UPDATE audit SET source = '::1' WHERE seq = 2", AUDIT_EDITED, 2, 2 },
		{ "UPDATE audit SET mac = zeroblob(32) WHERE seq = 3", AUDIT_EDITED, 3, 3 },
		{ "UPDATE audit SET mac = zeroblob(31) WHERE seq = 3", AUDIT_EDITED, 3, 3 },
		{ "UPDATE audit SET mac = x'' WHERE seq = 12", AUDIT_EDITED, 12, 12 },
		/* What would be the same text, if a field could hold the end of a field. */
		{ "UPDATE audit SET event = event || char(10) || outcome WHERE seq = 4",
		    AUDIT_EDITED, 4, 4 },
		{ "UPDATE audit SET outcome = '' WHERE seq = 4", AUDIT_EDITED, 4, 4 },
		{ "UPDATE audit SET outcome = hex(zeroblob(9999)) WHERE seq = 4", AUDIT_EDITED, 4,
		    4 },
		{ "UPDATE audit SET outcome = 'ok' || char(0) WHERE seq = 4", AUDIT_EDITED, 4, 4 },
		{ "UPDATE audit SET user_id = -1 WHERE seq = 4", AUDIT_EDITED, 4, 4 },
		{ "DELETE FROM audit WHERE seq = 5", AUDIT_MISSING, 5, 5 },
		{ "DELETE FROM audit WHERE seq BETWEEN 5 AND 9", AUDIT_MISSING, 5, 9 },
		{ "DELETE FROM audit WHERE seq = 1", AUDIT_MISSING, 1, 1 },
		{ "DELETE FROM audit WHERE seq <= 11", AUDIT_MISSING, 1, 11 },
		{ "DELETE FROM audit WHERE seq = 5;UPDATE audit SET seq = seq - 1 WHERE seq > 5",
		    AUDIT_RENUMBERED, 5, 5 },
		{ "DELETE FROM audit WHERE seq BETWEEN 3 AND 7;"
		  "UPDATE audit SET seq = seq - 5 WHERE seq > 7",
		    AUDIT_RENUMBERED, 3, 7 },
		{ EXCHANGE("5", "6"), AUDIT_SWAPPED, 5, 6 },
		{ EXCHANGE("1", "12"), AUDIT_SWAPPED, 1, 12 },
		{ EXCHANGE("3", "9"), AUDIT_SWAPPED, 3, 9 },
		{ "UPDATE audit SET seq = 1000 WHERE seq = 7", AUDIT_SWAPPED, 7, 1000 },
		{ "DELETE FROM audit WHERE seq = 12", AUDIT_CUT, 12, 12 },
		{ "DELETE FROM audit WHERE seq > 4", AUDIT_CUT, 5, 12 },
		{ "DELETE FROM audit", AUDIT_CUT, 1, 12 },
		{ "INSERT INTO audit SELECT seq + 12, at_ms, event, outcome, user_id, peer_id, "
		  "call, left_out, source, mac FROM audit WHERE seq = 1",
		    AUDIT_EDITED, 13, 13 },
		{ "INSERT INTO audit SELECT 0, at_ms, event, outcome, user_id, peer_id, "
		  "call, left_out, source, mac FROM audit WHERE seq = 2",
		    AUDIT_EDITED, 1, 1 },
		{ "DELETE FROM audit WHERE seq <= 3;INSERT INTO audit_base "
		  "SELECT 1, 3, zeroblob(32), zeroblob(32)",
		    AUDIT_NO_BASE, 1, 1 },
		/* Two at once: the first is told of. */
		{ "DELETE FROM audit WHERE seq = 8;UPDATE audit SET call = 1 WHERE seq = 3",
		    AUDIT_EDITED, 3, 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store *s = *state;

		tamper(rows[i].sql);
		assert_report(rows[i].sql, verify(), rows[i].trouble, rows[i].line, rows[i].to);
		/* Nothing that is written later covers it up. */
		if (store_audit_note(s, &entry) == ERR_OK)
			assert_row(rows[i].sql, verify().trouble != AUDIT_WHOLE);
		store_close(s);
		*state = NULL;
		assert_int_equal(scratch_leave(NULL), 0);
		assert_int_equal(trail_setup(state), 0);
	}
}

static void
what_is_written_after_a_cut_leaves_the_gap(void **state)
{
	tamper("DELETE FROM audit WHERE seq > 9");
	add_lines(*state, 2);
	assert_report("gap", verify(), AUDIT_MISSING, 10, 12);
	assert_int_equal(verify().behind, 13);
	assert_report("known", verify_with(13, NULL), AUDIT_WHOLE, 0, 0);
	assert_report("not its end", verify_with(11, NULL), AUDIT_MISSING, 10, 12);
	assert_int_equal(verify_with(11, NULL).behind, 13);
	tamper("DELETE FROM audit WHERE seq > 13");
	assert_report("another", verify_with(13, NULL), AUDIT_CUT, 14, 14);
	tamper("DELETE FROM audit WHERE seq > 12");
	assert_report("the known one", verify_with(13, NULL), AUDIT_CUT, 10, 14);
}

static enum err
compare(void)
{
	return store_audit_compare(DB_FILE, LOCK_FILE, KEY_FILE, HEAD_FILE);
}

static void
a_database_without_the_last_line_is_told_from_one_with_it(void **state)
{
	assert_int_equal(compare(), ERR_OK);
	tamper("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)");
	assert_int_equal(compare(), ERR_CONFLICT);
	tamper("DELETE FROM audit");
	assert_int_equal(compare(), ERR_CONFLICT);
	add_lines(*state, 1); /* behind the head, as a program does that runs meanwhile */
	assert_int_equal(compare(), ERR_OK);
}

static void
a_database_that_is_gone_is_missed_and_not_made(void **state)
{
	store_close(*state);
	*state = NULL;
	assert_int_equal(rename(DB_FILE, "away"), 0);
	assert_int_equal(compare(), ERR_CONFLICT);
	assert_int_equal(access(DB_FILE, F_OK), -1);
	write_file(DB_FILE, "", 0);
	assert_int_equal(compare(), ERR_CONFLICT);
	assert_int_equal(access(DB_FILE "-wal", F_OK), 0);
	assert_int_equal(rename("away", DB_FILE), 0);
	assert_int_equal(compare(), ERR_OK);
}

/* There is nothing that tells of more, and store_audit_open() has its own word for some of it. */
static void
without_a_head_of_the_key_there_is_nothing_to_compare(void **state)
{
	(void)state;
	tamper("DELETE FROM audit");
	assert_int_equal(rename(KEY_FILE, "key"), 0);
	assert_int_equal(compare(), ERR_OK);
	assert_int_equal(rename("key", KEY_FILE), 0);
	assert_int_equal(compare(), ERR_CONFLICT);
	write_file(HEAD_FILE, "no head", 7);
	assert_int_equal(compare(), ERR_OK);
	assert_int_equal(remove(HEAD_FILE), 0);
	assert_int_equal(compare(), ERR_OK);
}

static void
a_line_to_begin_behind_must_be_there(void **state)
{
	(void)state;
	assert_report("the last", verify_with(LINES, NULL), AUDIT_WHOLE, 0, 0);
	assert_report("none", verify_with(LINES + 1, NULL), AUDIT_NO_LINE, LINES + 1, LINES);
	tamper("DELETE FROM audit");
	assert_report("cut", verify_with(LINES + 1, NULL), AUDIT_CUT, 1, LINES);
}

/* Behind what was found there is a way on, whatever was done to the line. */
static void
what_is_behind_a_place_can_be_looked_at(void **state)
{
	static const struct {
		const char *sql;
		int64_t behind;
	} rows[] = {
		{ "UPDATE audit SET user_id = 8 WHERE seq = 5", 5 },
		{ "UPDATE audit SET mac = zeroblob(32) WHERE seq = 5", 5 },
		{ "UPDATE audit SET mac = x'' WHERE seq = 5", 6 },
		{ "UPDATE audit SET outcome = hex(zeroblob(9999)) WHERE seq = 5", 6 },
		{ "DELETE FROM audit WHERE seq BETWEEN 5 AND 6", 7 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct audit_report r;
		int64_t after = 0;

		tamper(rows[i].sql);
		assert_row(rows[i].sql, verify().behind == rows[i].behind);
		for (int tries = 0; tries < 3 && (r = verify_with(after, NULL)).behind != 0;
		     tries++)
			after = r.behind;
		assert_row(rows[i].sql, after > 4 && after < 8);
		assert_report(rows[i].sql, verify_with(after, NULL), AUDIT_WHOLE, 0, 0);
		store_close(*state);
		*state = NULL;
		assert_int_equal(scratch_leave(NULL), 0);
		assert_int_equal(trail_setup(state), 0);
	}
}

static struct audit_mark
mark_of(int64_t line)
{
	struct audit_mark m = { .seq = line };
	struct audit_line l;
	struct audit_source source;
	struct store *s;

	assert_int_equal(store_open_reader(DB_FILE, &s), ERR_OK);
	source = store_audit_source(s);
	assert_int_equal(source.rewind(source.context), ERR_OK);
	do
		assert_int_equal(source.next(source.context, &l), ERR_OK);
	while (l.seq != line);
	memcpy(m.mac, l.mac, sizeof(m.mac));
	store_audit_reading_end(s);
	store_close(s);
	return m;
}

static void
an_anchor_is_compared_or_said_not_to_be(void **state)
{
	struct store *s = *state;
	struct audit_mark anchors[LINES + 1] = { { .seq = 0 } };

	for (int i = 1; i <= LINES; i++)
		anchors[i] = mark_of(i);
	add_lines(s, 1);
	committed(s, store_audit_drop(s, &anchors[0], &anchors[5]));
	for (int i = 1; i <= LINES; i++) {
		struct audit_mark other = { .seq = i };

		if (i < 5) {
			assert_report("archived", verify_with(0, &anchors[i]),
			    AUDIT_ANCHOR_ELSEWHERE, i, LINES + 1);
			continue;
		}
		assert_report("here", verify_with(0, &anchors[i]), AUDIT_WHOLE, 0, 0);
		assert_report("another", verify_with(0, &other), AUDIT_NOT_ANCHOR, i, i);
		assert_report("begun behind", verify_with(i, &anchors[i]), AUDIT_WHOLE, 0, 0);
		assert_report("another", verify_with(i, &other), AUDIT_NOT_ANCHOR, i, i);
	}
	/* What is broken is told of first. */
	tamper("DELETE FROM audit WHERE seq = 8");
	assert_report("broken", verify_with(0, &anchors[2]), AUDIT_MISSING, 8, 8);
}

static void
one_and_many_are_told_apart(void **state)
{
	static const struct {
		const char *want;
		struct audit_report r;
	} rows[] = {
		{ "Line 25 was deleted.", { .trouble = AUDIT_MISSING, .line = 25, .to = 25 } },
		{ "Lines 25 to 26 were deleted.",
		    { .trouble = AUDIT_MISSING, .line = 25, .to = 26 } },
		{ "The trail was cut: line 4, the last, is missing.",
		    { .trouble = AUDIT_CUT, .line = 4, .to = 4 } },
		{ "Line 4 was deleted, and those behind it have other numbers.",
		    { .trouble = AUDIT_RENUMBERED, .line = 4, .to = 4 } },
	};
	char said[AUDIT_SENTENCE_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		audit_sentence(&rows[i].r, said);
		assert_string_equal(said, rows[i].want);
	}
	for (int t = AUDIT_WHOLE; t <= AUDIT_ANCHOR_ELSEWHERE; t++) {
		struct audit_report r = {
			.trouble = (enum audit_trouble)t, .line = INT64_MAX - 1, .to = INT64_MAX
		};

		audit_sentence(&r, said);
		assert_row(said, said[strlen(said) - 1] == '.');
	}
}

static void
the_head_is_missed(void **state)
{
	static const char forged[] = "0000000000000000012 x";
	size_t len;
	char *head = read_file(HEAD_FILE, &len);

	assert_int_equal(unlink(HEAD_FILE), 0);
	assert_report("gone", verify(), AUDIT_NO_HEAD, 12, 12);
	write_file(HEAD_FILE, forged, strlen(forged));
	assert_report("short", verify(), AUDIT_NO_HEAD, 12, 12);
	for (size_t i = 0; i < len; i++) {
		char *other = exact_copy(head, len);

		other[i] ^= 1;
		write_file(HEAD_FILE, other, len);
		assert_row("a flipped bit", verify().trouble == AUDIT_NO_HEAD);
		free(other);
	}
	/* The next line says that it was so, and the head is a head again. */
	add_lines(*state, 1);
	assert_report("told", verify(), AUDIT_LOST_HEAD, 13, 13);
	assert_report("known", verify_with(13, NULL), AUDIT_WHOLE, 0, 0);
	write_file(HEAD_FILE, head, len);
	free(head);
	assert_int_equal(verify_with(13, NULL).past_head, 1);
}

static void
an_old_head_and_an_old_trail_are_found_by_a_mark_that_was_noted(void **state)
{
	struct audit_mark noted;
	size_t len;
	char *head;

	raw_sql("PRAGMA wal_checkpoint(TRUNCATE)");
	head = read_file(HEAD_FILE, &len);
	add_lines(*state, 3);
	noted = verify().last;
	assert_report("as noted", verify_with(0, &noted), AUDIT_WHOLE, 0, 0);
	tamper("DELETE FROM audit WHERE seq > 12");
	write_file(HEAD_FILE, head, len);
	free(head);
	/* All that it takes to cut without being found out. */
	assert_report("both put back", verify(), AUDIT_WHOLE, 0, 0);
	assert_report("but for the mark", verify_with(0, &noted), AUDIT_CUT, 13, 15);
	add_lines(*state, 4);
	assert_report("and later", verify_with(0, &noted), AUDIT_NOT_ANCHOR, 15, 15);
}

static void
a_head_that_lags_is_not_a_cut(void **state)
{
	size_t len;
	char *head = read_file(HEAD_FILE, &len);
	struct audit_report r;

	add_lines(*state, 2);
	write_file(HEAD_FILE, head, len); /* as a kill right behind the commit leaves it */
	free(head);
	r = verify();
	assert_report("lags", r, AUDIT_WHOLE, 0, 0);
	assert_int_equal(r.past_head, 2);
	add_lines(*state, 1);
	r = verify();
	assert_report("caught up", r, AUDIT_WHOLE, 0, 0);
	assert_int_equal(r.past_head, 0);
	assert_int_equal(r.last.seq, LINES + 3);
}

static void
what_is_rolled_back_leaves_no_line(void **state)
{
	struct store *s = *state;

	assert_int_equal(store_begin(s), ERR_OK);
	assert_int_equal(store_audit_add(s, &entry, 5), ERR_OK);
	assert_int_equal(store_end(s, ERR_CONFLICT), ERR_CONFLICT);
	assert_report("as before", verify(), AUDIT_WHOLE, 0, 0);
	assert_int_equal(verify().last.seq, LINES);
	assert_int_equal(store_begin(s), ERR_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_audit_add(s, &entry, 5), ERR_OK);
	assert_int_equal(store_end(s, ERR_OK), ERR_OK);
	assert_report("several", verify(), AUDIT_WHOLE, 0, 0);
	assert_int_equal(verify().last.seq, LINES + 3);
}

static int
outcome_of(const char *sql)
{
	sqlite3 *db = NULL;
	int rc;

	assert_int_equal(sqlite3_open(DB_FILE, &db), SQLITE_OK);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return rc;
}

static void
a_line_cannot_be_changed_by_mistake(void **state)
{
	(void)state;
	assert_int_equal(outcome_of("UPDATE audit SET user_id = 8"), SQLITE_CONSTRAINT);
	assert_int_equal(outcome_of("DELETE FROM audit WHERE seq = 12"), SQLITE_CONSTRAINT);
	assert_report("untouched", verify(), AUDIT_WHOLE, 0, 0);
}

static void
another_key_is_another_trail(void **state)
{
	static const char other[] = "another key of more than thirty-two bytes";

	write_file(KEY_FILE, other, strlen(other));
	assert_int_equal(chmod(KEY_FILE, 0600), 0);
	assert_report("all", verify(), AUDIT_EDITED, 1, 1);
	/* Whoever begins under another key on purpose goes on behind the old lines. */
	store_close(*state);
	*state = open_store();
	assert_int_equal(store_audit_open(*state, KEY_FILE, HEAD_FILE), ERR_OK);
	add_lines(*state, 2);
	assert_report("behind", verify_with(LINES + 1, NULL), AUDIT_WHOLE, 0, 0);
}

static void
a_key_is_private_long_and_there(void **state)
{
	static const struct {
		const char *row;
		unsigned mode;
		enum err expect;
	} modes[] = {
		{ "owner", 0600, ERR_OK },
		{ "owner reads", 0400, ERR_OK },
		{ "group reads", 0640, ERR_OK },
		{ "group writes", 0660, ERR_DENIED },
		{ "all read", 0604, ERR_DENIED },
		{ "all write", 0602, ERR_DENIED },
	};
	static const char text[AUDIT_KEY_BYTES_MAX + 1];
	struct store *s = open_store();
	struct audit_key key;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		assert_int_equal(chmod(KEY_FILE, modes[i].mode), 0);
		assert_row(modes[i].row, audit_key_read(KEY_FILE, &key) == modes[i].expect);
	}
	assert_int_equal(chmod(KEY_FILE, 0600), 0);
	write_file(KEY_FILE, text, AUDIT_KEY_BYTES_MIN - 1);
	assert_int_equal(store_audit_open(s, KEY_FILE, HEAD_FILE), ERR_INVALID);
	write_file(KEY_FILE, text, AUDIT_KEY_BYTES_MAX + 1);
	assert_int_equal(store_audit_open(s, KEY_FILE, HEAD_FILE), ERR_INVALID);
	/* Gone, with lines under it: none is made in its place. */
	assert_int_equal(unlink(KEY_FILE), 0);
	assert_int_equal(store_audit_open(s, KEY_FILE, HEAD_FILE), ERR_NOT_FOUND);
	assert_int_equal(access(KEY_FILE, F_OK), -1);
	store_close(s);
}

static int
write_lines(void *arg)
{
	const int *n = arg;
	struct store *s;

	if (store_open(DB_FILE, LOCK_FILE, &s) != ERR_OK ||
	    store_audit_open(s, KEY_FILE, HEAD_FILE) != ERR_OK)
		return 1;
	for (int i = 0; i < *n; i++) {
		if (store_audit_note(s, &entry) != ERR_OK)
			return 2;
		if (i % 10 == 0 && store_checkpoint(s) != ERR_OK)
			return 3;
	}
	store_close(s);
	return 0;
}

static void
several_processes_keep_one_chain(void **state)
{
	pid_t pids[4];
	int n = 60;

	store_close(*state);
	*state = NULL;
	for (size_t i = 0; i < COUNT_OF(pids); i++)
		pids[i] = child_start(write_lines, &n);
	/* And whoever looks meanwhile sees it whole. */
	for (int i = 0; i < 20; i++)
		assert_report("meanwhile", verify(), AUDIT_WHOLE, 0, 0);
	for (size_t i = 0; i < COUNT_OF(pids); i++)
		assert_int_equal(child_status(pids[i]), 0);
	assert_report("after", verify(), AUDIT_WHOLE, 0, 0);
	assert_int_equal(verify().last.seq, LINES + 4 * n);
}

static int
start_trail(void *arg)
{
	struct store *s;

	(void)arg;
	return store_open("new.db", "new.lock", &s) != ERR_OK ||
	       store_audit_open(s, "new.key", "new.head") != ERR_OK ||
	       store_audit_note(s, &entry) != ERR_OK;
}

static void
programs_that_start_at_once_make_one_key(void **state)
{
	struct audit_mark head;
	struct audit_key key;
	pid_t pids[6];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pids); i++)
		pids[i] = child_start(start_trail, NULL);
	for (size_t i = 0; i < COUNT_OF(pids); i++)
		assert_int_equal(child_status(pids[i]), 0);
	assert_int_equal(audit_key_read("new.key", &key), ERR_OK);
	assert_int_equal(audit_head_read("new.head", &key, &head), ERR_OK);
	assert_int_equal(head.seq, COUNT_OF(pids));
}

struct progress {
	_Atomic int written;
};

static int
write_until_killed(void *arg)
{
	struct progress *p = arg;
	struct store *s;

	if (store_open(DB_FILE, LOCK_FILE, &s) != ERR_OK ||
	    store_audit_open(s, KEY_FILE, HEAD_FILE) != ERR_OK)
		return 1;
	for (;;) {
		if (store_audit_note(s, &entry) != ERR_OK || store_checkpoint(s) != ERR_OK)
			return 2;
		atomic_fetch_add(&p->written, 1);
	}
}

static void
a_kill_leaves_it_whole(void **state)
{
	struct progress *p = mmap(
	    NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct audit_report r;
	int lines = LINES;

	store_close(*state);
	*state = NULL;
	assert_true(p != MAP_FAILED);
	for (int round = 0; round < 20; round++) {
		pid_t pid = child_start(write_until_killed, p);
		int before = atomic_load(&p->written);

		while (atomic_load(&p->written) <= before + round)
			usleep(200);
		usleep((useconds_t)(130 * round));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(child_status(pid), 256 + SIGKILL);
		r = verify();
		assert_report("killed", r, AUDIT_WHOLE, 0, 0);
		/* At most the one that there was no time to tell of. */
		assert_in_range(r.last.seq, lines + atomic_load(&p->written),
		    lines + atomic_load(&p->written) + 1);
		lines = (int)r.last.seq - atomic_load(&p->written);
	}
	munmap(p, 4096);
}

/* A trail in memory, for what no database would give. */
struct made {
	struct audit_line line[8];
	size_t n, at;
};

static enum err
made_rewind(void *context)
{
	struct made *m = context;

	m->at = 0;
	return ERR_OK;
}

static enum err
made_next(void *context, struct audit_line *out)
{
	struct made *m = context;

	if (m->at == m->n)
		return ERR_NOT_FOUND;
	*out = m->line[m->at++];
	return ERR_OK;
}

/* Random bytes over a line: never taken, never past a bound. */
static void
noise_is_never_taken(void **state)
{
	struct audit_key key = { .bytes = "a key of thirty-two bytes, or so", .len = 32 };
	struct audit_bounds b = { .base_ok = true, .head_ok = true };
	unsigned seed = 4711;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		struct made m = { .n = COUNT_OF(m.line) };
		struct audit_source source = { &m, made_rewind, made_next };
		struct audit_mark last = { .seq = 0 };
		struct audit_report r;
		unsigned char *victim;
		size_t at, hit;

		for (size_t i = 0; i < m.n; i++) {
			m.line[i] = (struct audit_line){ .seq = (int64_t)i + 1, .user = 3 };
			snprintf(m.line[i].event, sizeof(m.line[i].event), "login");
			snprintf(m.line[i].outcome, sizeof(m.line[i].outcome), "ok");
			assert_true(audit_line_mac(&key, last.mac, &m.line[i], m.line[i].mac));
			last.seq = m.line[i].seq;
			memcpy(last.mac, m.line[i].mac, sizeof(last.mac));
		}
		b.head = last;
		hit = (size_t)rand_r(&seed) % m.n;
		victim = (unsigned char *)&m.line[hit];
		at = (size_t)rand_r(&seed) % offsetof(struct audit_line, malformed);
		/* Behind a text's end, and between members, nothing is read. */
		if ((at >= offsetof(struct audit_line, event) + 6 &&
			at < offsetof(struct audit_line, outcome)) ||
		    (at >= offsetof(struct audit_line, outcome) + 3 &&
			at < offsetof(struct audit_line, user)) ||
		    (at > offsetof(struct audit_line, source) &&
			at < offsetof(struct audit_line, mac)))
			continue;
		victim[at] ^= (unsigned char)(1 + rand_r(&seed) % 255);
		m.line[hit].event[AUDIT_WORD_MAX] = m.line[hit].outcome[AUDIT_WORD_MAX] = '\0';
		assert_int_equal(audit_verify(&key, &b, &source, &r), ERR_OK);
		assert_row("noise", r.trouble != AUDIT_WHOLE);
	}
}

static void
addresses_are_read_and_written(void **state)
{
	static const struct {
		const char *in, *out, *network;
	} rows[] = {
		{ "192.0.2.7", "192.0.2.7", "192.0.2.7" },
		{ "::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7" },
		{ "2001:DB8:0:0:1:2:3:4", "2001:db8::1:2:3:4", "2001:db8::" },
		{ "::1", "::1", "" },
		{ "", "", "" },
		{ "192.0.2", "", "" },
		{ "192.0.2.7:80", "", "" },
		{ "unknown", "", "" },
		{ "fe80::1%eth0", "", "" },
	};
	char text[ADDRESS_TEXT_SIZE];
	struct address a, n;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_row(rows[i].in, address_read(rows[i].in, &a) == (rows[i].out[0] != '\0'));
		assert_string_equal(address_write(&a, text), rows[i].out);
		n = address_network(&a);
		assert_string_equal(address_write(&n, text), rows[i].network);
	}
	assert_false(address_read(NULL, &a));
	assert_true(address_read("127.9.9.9", &a) && address_is_loopback(&a));
	assert_true(address_read("::1", &a) && address_is_loopback(&a));
	assert_true(address_read("128.0.0.1", &a) && !address_is_loopback(&a));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trail_setup, store_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_trail_is_whole),
		TEST(tampering_is_found),
		TEST(what_is_written_after_a_cut_leaves_the_gap),
		TEST(a_database_without_the_last_line_is_told_from_one_with_it),
		TEST(a_database_that_is_gone_is_missed_and_not_made),
		TEST(without_a_head_of_the_key_there_is_nothing_to_compare),
		TEST(a_line_to_begin_behind_must_be_there),
		TEST(what_is_behind_a_place_can_be_looked_at),
		TEST(an_anchor_is_compared_or_said_not_to_be),
		TEST(one_and_many_are_told_apart),
		TEST(the_head_is_missed),
		TEST(an_old_head_and_an_old_trail_are_found_by_a_mark_that_was_noted),
		TEST(a_head_that_lags_is_not_a_cut),
		TEST(what_is_rolled_back_leaves_no_line),
		TEST(a_line_cannot_be_changed_by_mistake),
		TEST(another_key_is_another_trail),
		TEST(a_key_is_private_long_and_there),
		TEST(several_processes_keep_one_chain),
		TEST(programs_that_start_at_once_make_one_key),
		TEST(a_kill_leaves_it_whole),
		TEST(noise_is_never_taken),
		TEST(addresses_are_read_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
