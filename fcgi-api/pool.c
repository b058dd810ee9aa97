#include "pool.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"

enum { STOP_MS = 5000, RESTART_PAUSE_MS = 200 };

struct worker {
	pid_t pid;	    /* 0: none now */
	int fd;		    /* the socket of its pool */
	int64_t started_ms; /* monotonic */
};

static volatile sig_atomic_t worker_stop;

static void
on_stop(int sig)
{
	(void)sig;
	worker_stop = 1;
}

/* A worker that lighttpd has woken waits until lighttpd has nothing more to do, or another core
 * has. At once, it would have the core before the request was written, only to wait for that: a
 * fifth of what a GET costs under load. */
static void
be_patient(void)
{
	struct sched_param none = { 0 };

	(void)sched_setscheduler(0, SCHED_BATCH, &none); /* where it may not, it works as well */
}

/* In the child. Ctrl-C reaches the whole process group, so only the parent's word counts here. */
static void
become_worker(int fd, worker_fn *run, void *context, pid_t parent)
{
	struct sigaction act = {
		.sa_handler = on_stop
	}; /* without SA_RESTART: it ends a waiting accept */
	sigset_t none;

	sigaction(SIGTERM, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGPIPE, &act, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	be_patient();
	if (getppid() == parent)
		run(context, fd, &worker_stop);
	_exit(EXIT_SUCCESS);
}

static void
start(struct worker *w, worker_fn *run, void *context)
{
	pid_t parent = getpid();

	w->started_ms = clock_monotonic_ms();
	w->pid = fork();
	if (w->pid == 0)
		become_worker(w->fd, run, context, parent);
	if (w->pid < 0) {
		LOG(LOG_ERROR, "worker_not_started", F_INT("errno", errno));
		w->pid = 0;
	}
}

/* Notes the workers that have ended; returns how many are left. */
static unsigned
reap(struct worker *workers, unsigned n)
{
	unsigned left = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			if (workers[i].pid == pid)
				workers[i].pid = 0;
		}
		if (WIFSIGNALED(status))
			LOG(LOG_WARN, "worker_died", F_INT("worker", pid),
			    F_INT("signal", WTERMSIG(status)));
	}
	for (unsigned i = 0; i < n; i++)
		left += workers[i].pid != 0;
	return left;
}

static void
start_missing(struct worker *workers, unsigned n, worker_fn *run, void *context)
{
	for (unsigned i = 0; i < n; i++) {
		bool rested = clock_monotonic_ms() - workers[i].started_ms >= RESTART_PAUSE_MS;

		if (workers[i].pid == 0 && (workers[i].started_ms == 0 || rested))
			start(&workers[i], run, context);
	}
}

/* Waits for one of SIGNALS, a tenth of a second at the most; 0: none came. */
static int
wait_signal(const sigset_t *signals)
{
	const struct timespec tenth = { .tv_nsec = 100 * 1000000 };
	int sig = sigtimedwait(signals, NULL, &tenth);

	return sig < 0 ? 0 : sig;
}

/* A worker may be just about to wait when the signal comes, so it is told again until it has ended.
 */
static void
stop_all(struct worker *workers, unsigned n, const sigset_t *signals)
{
	int64_t deadline = clock_monotonic_ms() + STOP_MS;

	while (reap(workers, n) > 0) {
		int sig = clock_monotonic_ms() < deadline ? SIGTERM : SIGKILL;

		for (unsigned i = 0; i < n; i++) {
			if (workers[i].pid != 0)
				kill(workers[i].pid, sig);
		}
		(void)wait_signal(signals);
	}
}

void
pools_run(const struct pool *pools, unsigned count, worker_fn *run, void *context)
{
	static struct worker workers[WORKERS_MAX];
	sigset_t signals;
	unsigned n = 0;
	int sig = 0;

	for (unsigned p = 0; p < count; p++) {
		for (unsigned i = 0; i < pools[p].size && n < WORKERS_MAX; i++)
			workers[n++].fd = pools[p].fd;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	notify_state("READY=1"); /* what comes before the workers do waits at the sockets */
	while (sig != SIGTERM && sig != SIGINT) {
		(void)reap(workers, n);
		start_missing(workers, n, run, context);
		sig = wait_signal(&signals);
	}
	stop_all(workers, n, &signals);
}
