#include "journal.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "metrics/metrics.h"
#include "store/store_backup.h"
#include "store/store_call.h"
#include "store/store_session.h"
#include "store/store_user.h"
#include "trail.h"

enum { LOOK_MS = 250, CHECKPOINT_MS = 1000, DESCRIPTORS_MS = 10000 };

struct journal {
	pthread_t thread;
	pthread_mutex_t mutex; /* for what stands until the blank line */
	pthread_cond_t wanted;
	struct job_list todo;
	int64_t todo_us; /* since when the first of them waits */
	struct job_list done;
	bool rung;
	bool stop;

	/* The thread's own. */
	struct store *store;
	struct feed_position at;
	bool behind;	      /* a read has failed: there may be more */
	struct job_list kept; /* notes to be tried again */
	int64_t kept_ms;      /* when they were tried last */
	int64_t checkpoint_ms;
	int64_t descriptors_ms;
	journal_wake_fn *wake;
	void *context;
};

static enum err
apply(struct store *s, const struct persist *p, int64_t now_ms)
{
	switch (p->kind) {
	case PERSIST_PRESENT:
		return store_presence_add(s, p->user);
	case PERSIST_ABSENT:
		return store_presence_remove(s, p->user);
	case PERSIST_STATUS:
		return store_user_set_status(s, p->user, p->status, NULL);
	case PERSIST_CALL_START:
		return store_call_start(s, p->call_id, p->user, p->peer, now_ms);
	case PERSIST_CALL_ANSWER:
		return store_call_answer(s, p->user, now_ms);
	case PERSIST_CALL_END:
		return store_call_end(s, p->user, p->reason, now_ms);
	}
	return ERR_INVALID;
}

/* One job of the batch. A conflict is its own outcome and leaves the batch alone. */
static enum err
do_persist(struct store *s, struct job *j, int64_t now_ms)
{
	if (j->kind == JOB_NOTE)
		return j->outcome = store_audit_add(s, &j->note, now_ms);
	j->outcome = apply(s, &j->persist, now_ms);
	if (j->outcome == ERR_CONFLICT)
		return ERR_OK;
	if (j->outcome == ERR_OK)
		j->outcome = trail_add(s, &j->persist, &j->address, now_ms);
	if (j->outcome == ERR_OK && store_user_row(s, j->persist.user, &j->user) != ERR_OK)
		j->user.status = STATUS_NONE; /* a user who was erased meanwhile */
	return j->outcome;
}

/* All that is to be stored, in one transaction: it is there as a whole or not at all. */
static enum err
do_batch(struct journal *jl, struct job_list *jobs, int64_t since_us)
{
	int64_t now_ms = clock_wall_ms();
	enum err e = store_begin(jl->store);
	bool begun = e == ERR_OK;
	int64_t count = 0;

	for (struct job *j = jobs->first; j != NULL; j = j->next, count++) {
		if (e == ERR_OK)
			e = do_persist(jl->store, j, now_ms);
	}
	if (begun)
		e = store_end(jl->store, e);
	metric_add_own(METRIC_BATCHES, 0, 1);
	metric_observe_own(METRIC_BATCH_JOBS, 0, count);
	metric_observe_own(METRIC_BATCH_TIME, 0, clock_monotonic_us() - since_us);
	if (e == ERR_OK)
		return e;
	metric_add_own(METRIC_BATCHES_FAILED, 0, 1);
	LOG(LOG_ERROR, "batch_failed", F_STR("outcome", err_name(e)));
	for (struct job *j = jobs->first; j != NULL; j = j->next)
		j->outcome = e;
	return e;
}

/* Gives finished jobs to the loop. */
static void
publish(struct journal *jl, struct job_list *jobs)
{
	if (jobs->first == NULL)
		return;
	pthread_mutex_lock(&jl->mutex);
	job_list_move(&jl->done, jobs);
	pthread_mutex_unlock(&jl->mutex);
	jl->wake(jl->context);
}

/* The transaction of WRITES has failed: the notes are taken out of it, to be tried again. */
static void
keep_notes(struct journal *jl, struct job_list *writes)
{
	struct job *next;
	struct job *j = writes->first;

	if (jl->kept.first == NULL)
		jl->kept_ms = clock_monotonic_ms();
	job_list_init(writes);
	for (; j != NULL; j = next) {
		next = j->next;
		job_list_add(j->kind == JOB_NOTE ? &jl->kept : writes, j);
	}
}

/* In a transaction that takes nothing else along if it fails, too. */
static void
write_kept(struct journal *jl)
{
	if (jl->kept.first == NULL)
		return;
	jl->kept_ms = clock_monotonic_ms();
	if (do_batch(jl, &jl->kept, clock_monotonic_us()) == ERR_OK)
		publish(jl, &jl->kept);
}

/* What was asked to be stored; and what could not be before, if there is a hope for it now. */
static void
do_writes(struct journal *jl, struct job_list *writes, int64_t since_us)
{
	bool hope = false;

	if (writes->first != NULL) {
		hope = do_batch(jl, writes, since_us) == ERR_OK;
		if (!hope)
			keep_notes(jl, writes);
		publish(jl, writes);
	}
	if (hope || clock_monotonic_ms() - jl->kept_ms >= NOTES_RETRY_MS)
		write_kept(jl);
}

/* A session that is ended after this comes as a change, behind it, and what it has let in is
 * closed.
 */
static void
do_lookup(struct store *s, struct job *j)
{
	bool of_token = j->session[0] != '\0';
	int64_t epoch = j->user.epoch;

	metric_add_own(METRIC_LOOKUPS, 0, 1);
	j->outcome = of_token ? store_session_check(s, j->session) : ERR_OK;
	if (j->outcome == ERR_OK)
		j->outcome = store_user_row(s, j->user.id, &j->user);
	if (j->outcome == ERR_OK && of_token && (j->user.disabled || j->user.epoch != epoch))
		j->outcome = ERR_DENIED;
}

/* Look-ups first: what they read is then older than what the batch brings about, and so is their
 * place in the order. */
static void
do_jobs(struct journal *jl, struct job_list *todo, int64_t since_us)
{
	struct job_list lookups;
	struct job_list writes;
	struct job *next;

	job_list_init(&lookups);
	job_list_init(&writes);
	for (struct job *j = todo->first; j != NULL; j = next) {
		next = j->next;
		job_list_add(j->kind == JOB_LOOKUP ? &lookups : &writes, j);
	}
	for (struct job *j = lookups.first; j != NULL; j = j->next)
		do_lookup(jl->store, j);
	publish(jl, &lookups);
	do_writes(jl, &writes, since_us);
}

/* On failure the next look goes on where this one got to. */
static void
read_changes(struct journal *jl)
{
	struct job_list changes;
	bool more = true;
	enum err e = ERR_OK;

	job_list_init(&changes);
	while (more && e == ERR_OK) {
		e = feed_read(jl->store, &jl->at, &changes, &more);
		publish(jl, &changes);
	}
	jl->behind = e != ERR_OK;
	metric_set(METRIC_FEED_REVISION, 0, jl->at.rev);
}

/* What is to be looked at now and then, off the loop. */
static void
look_around(struct journal *jl)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - jl->descriptors_ms >= DESCRIPTORS_MS) {
		metric_set(METRIC_DESCRIPTORS, METRIC_OF_RELAY, proc_descriptors());
		jl->descriptors_ms = now_ms;
	}
	if (now_ms - jl->checkpoint_ms < CHECKPOINT_MS)
		return;
	if (store_checkpoint(jl->store) != ERR_OK)
		LOG0(LOG_WARN, "checkpoint_failed");
	jl->checkpoint_ms = clock_monotonic_ms();
}

/* Waits for work, the doorbell, the end, or until it is time to look; takes the work, which waits
 * since *SINCE_US. False: it is the end. */
static bool
wait_for_work(struct journal *jl, struct job_list *todo, int64_t *since_us, bool *rung)
{
	struct timespec until;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&jl->mutex);
	while (jl->todo.first == NULL && !jl->rung && !jl->stop) {
		if (pthread_cond_timedwait(&jl->wanted, &jl->mutex, &until) != 0)
			break;
	}
	job_list_move(todo, &jl->todo);
	*since_us = jl->todo_us;
	*rung = jl->rung;
	jl->rung = false;
	go_on = !jl->stop || todo->first != NULL;
	pthread_mutex_unlock(&jl->mutex);
	return go_on;
}

static void *
run(void *context)
{
	struct journal *jl = context;
	struct job_list todo;
	int64_t since_us;
	bool rung;

	job_list_init(&todo);
	while (wait_for_work(jl, &todo, &since_us, &rung)) {
		bool wrote = todo.first != NULL;

		do_jobs(jl, &todo, since_us);
		job_list_init(&todo);
		if (store_changed(jl->store) || rung || wrote || jl->behind)
			read_changes(jl);
		look_around(jl);
	}
	write_kept(jl);
	publish(jl, &jl->kept); /* the end: written or not */
	return NULL;
}

/* The thread takes no signals: they are the loop's. */
static int
start_thread(struct journal *jl)
{
	sigset_t all;
	sigset_t before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&jl->thread, NULL, run, jl);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

enum err
journal_start(struct store *store, struct feed_position at, journal_wake_fn *wake, void *context,
    struct journal **out)
{
	struct journal *jl = calloc(1, sizeof(*jl));
	pthread_condattr_t monotonic;

	if (jl == NULL)
		return ERR_SYSTEM;
	jl->store = store;
	jl->at = at;
	metric_set(METRIC_FEED_REVISION, 0, at.rev);
	jl->wake = wake;
	jl->context = context;
	jl->descriptors_ms = -DESCRIPTORS_MS; /* at once */
	job_list_init(&jl->todo);
	job_list_init(&jl->done);
	job_list_init(&jl->kept);
	pthread_mutex_init(&jl->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&jl->wanted, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (start_thread(jl) != 0) {
		free(jl);
		return ERR_SYSTEM;
	}
	*out = jl;
	return ERR_OK;
}

void
journal_stop(struct journal *jl)
{
	pthread_mutex_lock(&jl->mutex);
	jl->stop = true;
	pthread_cond_signal(&jl->wanted);
	pthread_mutex_unlock(&jl->mutex);
	pthread_join(jl->thread, NULL);
	(void)!store_empty_log(jl->store); /* or who ends last does it */
}

void
journal_free(struct journal *jl)
{
	if (jl == NULL)
		return;
	job_list_free(&jl->todo);
	job_list_free(&jl->done);
	store_close(jl->store);
	pthread_mutex_destroy(&jl->mutex);
	pthread_cond_destroy(&jl->wanted);
	free(jl);
}

static void
submit(struct journal *jl, struct job *j)
{
	pthread_mutex_lock(&jl->mutex);
	if (jl->todo.first == NULL)
		jl->todo_us = clock_monotonic_us();
	job_list_add(&jl->todo, j);
	pthread_cond_signal(&jl->wanted);
	pthread_mutex_unlock(&jl->mutex);
}

bool
journal_persist(struct journal *jl, const struct persist *p, const struct address *from)
{
	struct job *j = job_new(JOB_PERSIST);

	if (j == NULL)
		return false;
	j->persist = *p;
	j->address = *from;
	submit(jl, j);
	return true;
}

bool
journal_note(struct journal *jl, const struct audit_entry *note)
{
	struct job *j = job_new(JOB_NOTE);

	if (j == NULL)
		return false;
	j->note = *note;
	submit(jl, j);
	return true;
}

bool
journal_lookup(struct journal *jl, struct user_id user, void *cookie)
{
	const struct claims none = { .user = user };

	return journal_lookup_token(jl, &none, cookie);
}

bool
journal_lookup_token(struct journal *jl, const struct claims *token, void *cookie)
{
	struct job *j = job_new(JOB_LOOKUP);

	if (j == NULL)
		return false;
	j->user.id = token->user;
	j->user.epoch = token->epoch;
	j->cookie = cookie;
	memcpy(j->session, token->session, sizeof(j->session));
	submit(jl, j);
	return true;
}

void
journal_ring(struct journal *jl)
{
	pthread_mutex_lock(&jl->mutex);
	jl->rung = true;
	pthread_cond_signal(&jl->wanted);
	pthread_mutex_unlock(&jl->mutex);
}

struct job *
journal_take(struct journal *jl)
{
	struct job *first;

	pthread_mutex_lock(&jl->mutex);
	first = jl->done.first;
	job_list_init(&jl->done);
	pthread_mutex_unlock(&jl->mutex);
	return first;
}
