/* The store thread and the loop that feeds it, at full speed: for ThreadSanitizer above all. */
#include "journal.h"

#include <stdatomic.h>
#include <time.h>

#include "base/fd.h"
#include "store/store_audit.h"
#include "store/store_session.h"
#include "store_fixture.h"

enum { ROUNDS = 200, EACH = 8 };

static char cookies[ROUNDS * EACH + 1]; /* the n-th look-up's is the n-th one's address */

struct cast {
	struct journal *journal;
	struct store *store; /* of this thread, beside the journal's own */
	struct user_id doctor;
	atomic_uint wakes;
};

static void
wake(void *context)
{
	struct cast *c = context;

	atomic_fetch_add(&c->wakes, 1);
}

/* *STATE is a cast whose journal runs. */
static int
start(void **state)
{
	static struct cast cast;
	const struct feed_position at = { 0 };
	struct store *store;

	log_nothing();
	if (scratch_enter(state) != 0)
		return -1;
	cast = (struct cast){ .store = open_store() };
	cast.doctor = add_doctor(cast.store, "doc");
	*state = &cast;
	store = open_store();
	if (store_audit_open(store, "audit.key", "audit.head") != ERR_OK)
		return -1;
	return journal_start(store, at, wake, &cast, &cast.journal) == ERR_OK ? 0 : -1;
}

static int
end(void **state)
{
	struct cast *c = *state;

	journal_free(c->journal);
	store_close(c->store);
	return scratch_leave(state);
}

static struct persist
status_of_doctor(const struct cast *c, uint64_t seq)
{
	return (struct persist){ .kind = PERSIST_STATUS,
		.seq = seq,
		.user = c->doctor,
		.status = seq % 2 == 0 ? STATUS_ONLINE : STATUS_BUSY };
}

/* What has been taken so far. */
struct taken {
	uint64_t seq; /* of the last write */
	uint64_t lookups;
	unsigned revoked;
};

static void
take(struct cast *c, struct taken *t)
{
	for (struct job *j = journal_take(c->journal), *next; j != NULL; j = next) {
		next = j->next;
		assert_int_equal(j->outcome, ERR_OK);
		if (j->kind == JOB_PERSIST)
			assert_int_equal(j->persist.seq, ++t->seq);
		else if (j->kind == JOB_LOOKUP)
			assert_ptr_equal(j->cookie, &cookies[++t->lookups]);
		else
			t->revoked += j->kind == JOB_REVOKED;
		free(j);
	}
}

/* Takes until N writes and as many look-ups have come, and REVOKED sessions. */
static void
take_all(struct cast *c, struct taken *t, uint64_t n, unsigned revoked)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	while (t->seq < n || t->lookups < n || t->revoked < revoked) {
		take(c, t);
		nanosleep(&nap, NULL);
	}
	assert_int_equal(t->seq, n);
	assert_int_equal(t->lookups, n);
}

static void
ask(struct cast *c, uint64_t n)
{
	const struct persist p = status_of_doctor(c, n);
	const struct address nowhere = { 0 };

	assert_true(journal_persist(c->journal, &p, &nowhere));
	assert_true(journal_lookup(c->journal, c->doctor, &cookies[n]));
}

static void
every_job_is_answered_once_and_in_order(void **state)
{
	struct cast *c = *state;
	struct taken t = { 0 };
	uint64_t n = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned k = 0; k < EACH; k++)
			ask(c, ++n);
		journal_ring(c->journal);
		take(c, &t);
	}
	take_all(c, &t, n, 0);
	assert_true(atomic_load(&c->wakes) > 0);
	journal_stop(c->journal);
	take(c, &t);
	assert_int_equal(status_of(c->store, c->doctor), STATUS_ONLINE);
}

static void
what_others_write_meanwhile_is_told(void **state)
{
	struct cast *c = *state;
	struct taken t = { 0 };
	uint64_t n = 0;
	char session[24];

	for (unsigned i = 0; i < 20; i++) {
		ask(c, ++n);
		snprintf(session, sizeof(session), "session-%u", i);
		committed(c->store,
		    store_session_revoke(c->store, c->doctor, session, INT64_MAX, 1, NULL));
		journal_ring(c->journal);
		take(c, &t);
	}
	take_all(c, &t, n, 20);
	journal_stop(c->journal);
	assert_int_equal(t.revoked, 20);
}

static void
a_stop_leaves_no_job_behind(void **state)
{
	struct cast *c = *state;
	struct taken t = { 0 };
	uint64_t n = 0;

	while (n < (uint64_t)ROUNDS)
		ask(c, ++n);
	journal_stop(c->journal);
	take(c, &t);
	assert_int_equal(t.seq, n);
	assert_int_equal(t.lookups, n);
}

static bool
note(struct cast *c, int64_t user)
{
	const struct audit_entry e = { .event = AUDIT_DENIED, .outcome = "no", .user = { user } };

	return journal_note(c->journal, &e);
}

/* Takes until the write has been answered; its outcome. Any note that comes is written. */
static enum err
outcome_of_write(struct cast *c, unsigned *notes)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	enum err outcome = ERR__COUNT;

	while (outcome == ERR__COUNT) {
		for (struct job *j = journal_take(c->journal), *next; j != NULL; j = next) {
			next = j->next;
			if (j->kind == JOB_PERSIST)
				outcome = j->outcome;
			else if (j->kind == JOB_NOTE && j->outcome == ERR_OK)
				++*notes;
			free(j);
		}
		nanosleep(&nap, NULL);
	}
	return outcome;
}

/* What was asked for beside them is told that it has not happened. */
static void
notes_are_kept_until_they_are_written(void **state)
{
	const struct address nowhere = { 0 };
	struct cast *c = *state;
	struct persist p = status_of_doctor(c, 1);
	unsigned notes = 0;
	int lock;

	assert_int_equal(lock_try(LOCK_FILE, &lock), ERR_OK);
	assert_true(note(c, 3));
	assert_true(journal_persist(c->journal, &p, &nowhere) && note(c, 4));
	assert_int_equal(outcome_of_write(c, &notes), ERR_BUSY);
	assert_int_equal(notes, 0);
	close(lock);
	p = status_of_doctor(c, 3);
	assert_true(journal_persist(c->journal, &p, &nowhere));
	assert_int_equal(outcome_of_write(c, &notes), ERR_OK);
	journal_stop(c->journal);
	for (struct job *j = journal_take(c->journal), *next; j != NULL; j = next) {
		next = j->next;
		notes += j->kind == JOB_NOTE && j->outcome == ERR_OK;
		free(j);
	}
	assert_int_equal(notes, 2);
	assert_int_equal(raw_sql("SELECT count(*) FROM audit WHERE event = 'denied'"), 2);
	assert_int_equal(raw_sql("SELECT sum(user_id) FROM audit WHERE event = 'denied'"), 7);
}

static void
a_note_that_cannot_be_written_by_the_end_is_answered_for(void **state)
{
	struct cast *c = *state;
	unsigned notes = 0;
	int lock;

	assert_int_equal(lock_try(LOCK_FILE, &lock), ERR_OK);
	assert_true(note(c, 3));
	journal_stop(c->journal);
	close(lock);
	for (struct job *j = journal_take(c->journal), *next; j != NULL; j = next) {
		next = j->next;
		notes += j->kind == JOB_NOTE && j->outcome == ERR_BUSY;
		free(j);
	}
	assert_int_equal(notes, 1);
	assert_int_equal(raw_sql("SELECT count(*) FROM audit"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(every_job_is_answered_once_and_in_order),
		TEST(what_others_write_meanwhile_is_told),
		TEST(a_stop_leaves_no_job_behind),
		TEST(notes_are_kept_until_they_are_written),
		TEST(a_note_that_cannot_be_written_by_the_end_is_answered_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
