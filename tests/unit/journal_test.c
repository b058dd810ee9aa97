/* The store thread and the loop that feeds it, at full speed: for ThreadSanitizer above all. */
#include "journal.h"

#include <stdatomic.h>
#include <time.h>

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
	assert_true(journal_lookup(c->journal, c->doctor, "", &cookies[n]));
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(every_job_is_answered_once_and_in_order),
		TEST(what_others_write_meanwhile_is_told),
		TEST(a_stop_leaves_no_job_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
