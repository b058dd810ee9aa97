#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/proc.h"
#include "metrics/metrics.h"

enum { STOP_MS = 5000, RESTART_PAUSE_MS = 200, MEMORY_MS = 5000 };

struct worker {
	pid_t pid;	    /* 0: none now */
	int fd;		    /* the socket of its pool */
	int64_t started_ms; /* monotonic; 0: it need not rest before it is started */
};

struct crew {
	struct worker workers[WORKERS_MAX];
	unsigned count;
	int leash[2]; /* a pipe: who has the end for reading ends when the other is closed, by the
			 parent or with it */
	worker_fn *run;
	void *context;
	/* What each takes, bytes, in memory that they share: systemd may hide from the parent what
	 * is in /proc of a process that may not be looked into (ProtectProc=). */
	_Atomic int64_t *memory;
};

/* In a worker: for its socket and its end of the leash; and where it notes what it takes. */
static int watch = -1;
static int leash_end = -1;
static _Atomic int64_t *memory;

/* Now and then. */
static void
note_own_memory(void)
{
	static int64_t noted_ms = -MEMORY_MS;
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - noted_ms < MEMORY_MS)
		return;
	noted_ms = now_ms;
	*memory = proc_memory();
}

/* Of the workers that wait, the kernel wakes one. */
static enum worker_turn
next_turn(void)
{
	enum worker_turn turn = WORKER_GOES_ON;
	struct epoll_event ready[2];
	int n;

	do {
		note_own_memory();
		n = epoll_wait(watch, ready, 2, MEMORY_MS);
	} while (n == 0);
	for (int i = 0; i < n; i++) {
		if (ready[i].data.fd == leash_end)
			return WORKER_ENDS;
		if ((ready[i].events & EPOLLHUP) != 0) /* it was shut down */
			turn = WORKER_WINDS_UP;
	}
	return turn;
}

static bool
watch_both(int fd)
{
	struct epoll_event request = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = fd };
	struct epoll_event end = { .events = EPOLLIN, .data.fd = leash_end };

	return (watch = epoll_create1(EPOLL_CLOEXEC)) >= 0 &&
	       epoll_ctl(watch, EPOLL_CTL_ADD, fd, &request) == 0 &&
	       epoll_ctl(watch, EPOLL_CTL_ADD, leash_end, &end) == 0;
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

/* In the child. A signal for all processes (Ctrl-C, a supervisor's) is the parent's to understand;
 * here it would only cut a request short. */
static void
become_worker(struct crew *c, unsigned which)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;
	int fd = c->workers[which].fd;

	memory = &c->memory[which];
	for (size_t i = 0; i < COUNT_OF(signals); i++)
		sigaction(signals[i], &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(c->leash[1]);
	leash_end = c->leash[0];
	be_patient();
	if (!watch_both(fd)) {
		LOG(LOG_ERROR, "worker_cannot_wait", F_INT("errno", errno));
		_exit(EXIT_FAILURE);
	}
	c->run(c->context, fd, next_turn);
	close(watch);
	close(leash_end);
	_exit(EXIT_SUCCESS);
}

static void
start(struct crew *c, unsigned which)
{
	struct worker *w = &c->workers[which];

	c->memory[which] = 0;
	w->started_ms = clock_monotonic_ms();
	w->pid = fork();
	if (w->pid == 0)
		become_worker(c, which);
	if (w->pid < 0) {
		LOG(LOG_ERROR, "worker_not_started", F_INT("errno", errno));
		w->pid = 0;
	}
}

/* Notes the workers that have ended; returns how many are left. */
static unsigned
reap(struct crew *c)
{
	unsigned left = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < c->count; i++) {
			if (c->workers[i].pid == pid)
				c->workers[i].pid = 0;
		}
		if (WIFSIGNALED(status))
			LOG(LOG_WARN, "worker_died", F_INT("worker", pid),
			    F_INT("signal", WTERMSIG(status)));
	}
	for (unsigned i = 0; i < c->count; i++)
		left += c->workers[i].pid != 0;
	return left;
}

static void
start_missing(struct crew *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct worker *w = &c->workers[i];
		bool rested = clock_monotonic_ms() - w->started_ms >= RESTART_PAUSE_MS;

		if (w->pid == 0 && (w->started_ms == 0 || rested))
			start(c, i);
	}
}

/* Now and then: what they all take. */
static void
note_memory(const struct crew *c)
{
	static int64_t noted_ms = -MEMORY_MS;
	int64_t now_ms = clock_monotonic_ms();
	int64_t sum = 0;

	if (now_ms - noted_ms < MEMORY_MS)
		return;
	noted_ms = now_ms;
	for (unsigned i = 0; i < c->count; i++)
		sum += c->workers[i].pid == 0 ? 0 : c->memory[i];
	metric_set(METRIC_MEMORY, METRIC_OF_API, sum + proc_memory());
}

/* Waits for one of SIGNALS, a tenth of a second at the most; 0: none came. */
static int
wait_signal(const sigset_t *signals)
{
	const struct timespec tenth = { .tv_nsec = 100 * 1000000 };
	int sig = sigtimedwait(signals, NULL, &tenth);

	return sig < 0 ? 0 : sig;
}

static bool
is_stop(int sig)
{
	return sig == SIGTERM || sig == SIGINT;
}

/* Waits until all workers have ended, and kills those that take longer than WAIT_MS. True: a signal
 * to stop has come meanwhile, and they may not have. */
static bool
wait_for_end(struct crew *c, int64_t wait_ms)
{
	int64_t deadline = clock_monotonic_ms() + wait_ms;
	sigset_t signals;

	sigemptyset(&signals); /* but not SIGHUP, which waits its turn */
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	while (reap(c) > 0) {
		for (unsigned i = 0; i < c->count && clock_monotonic_ms() >= deadline; i++) {
			if (c->workers[i].pid != 0)
				kill(c->workers[i].pid, SIGKILL);
		}
		if (is_stop(wait_signal(&signals)))
			return true;
	}
	return false;
}

/* What waits at a socket that was shut down is still accepted. */
static void
stop_all(struct crew *c, const struct pool *pools, unsigned count)
{
	for (unsigned p = 0; p < count; p++)
		shutdown(pools[p].fd, SHUT_RDWR);
	if (wait_for_end(c, STOP_MS)) {
		while (wait_for_end(c, 0))
			continue;
	}
}

static void
let_go(struct crew *c)
{
	close(c->leash[0]);
	close(c->leash[1]);
}

/* The one who was told to end may meet what only the next can know, such as a token under a new
 * key: so no other begins before all have ended. True: a signal to stop has come. */
static bool
replace_all(struct crew *c)
{
	int leash[2];

	if (pipe2(leash, O_CLOEXEC) != 0) {
		LOG(LOG_ERROR, "workers_not_replaced", F_INT("errno", errno));
		return false;
	}
	let_go(c);
	memcpy(c->leash, leash, sizeof(leash));
	for (unsigned i = 0; i < c->count; i++)
		c->workers[i].started_ms = 0;
	return wait_for_end(c, STOP_MS);
}

static void
hire(struct crew *c, const struct pool *pools, unsigned count)
{
	for (unsigned p = 0; p < count; p++) {
		(void)!fcntl(pools[p].fd, F_SETFL, O_NONBLOCK);
		for (unsigned i = 0; i < pools[p].size && c->count < WORKERS_MAX; i++)
			c->workers[c->count++].fd = pools[p].fd;
	}
}

bool
pools_run(
    const struct pool *pools, unsigned count, worker_fn *run, reload_fn *reload, void *context)
{
	static struct crew crew;
	sigset_t signals;
	bool stop = false;

	crew.run = run;
	crew.context = context;
	hire(&crew, pools, count);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	crew.memory = mmap(NULL, WORKERS_MAX * sizeof(*crew.memory), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew.memory == MAP_FAILED || pipe2(crew.leash, O_CLOEXEC) != 0)
		return false;
	notify_state("READY=1"); /* what comes before the workers do waits at the sockets */
	while (!stop) {
		int sig;

		(void)reap(&crew);
		start_missing(&crew);
		note_memory(&crew);
		sig = wait_signal(&signals);
		stop = is_stop(sig);
		if (sig == SIGHUP && reload(context))
			stop = replace_all(&crew);
	}
	stop_all(&crew, pools, count);
	let_go(&crew);
	return true;
}
