#include "server.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/proc.h"
#include "dispatch.h"
#include "doorbell/doorbell.h"
#include "drain.h"
#include "handshake.h"
#include "metrics/metrics.h"
#include "websockets.h"

enum {
	FD_RESERVE = 64,	/* descriptors for all that is not a client */
	HANDSHAKES_MAX = 4096,	/* at a time */
	LIST_INTERVAL_MS = 200, /* between two user lists */
	LIST_FRESH_MAX = 256,	/* users: 40 us of work */
	CALL_MAX_MS = 4 * 3600 * 1000,
};

/* A credential outlives the call that it is for, and the longest ring before it. */
_Static_assert(TURN_TTL_S > CALL_MAX_MS / 1000 + 3600, "TURN_TTL_S is too short");

struct server {
	struct relay relay;
	struct ev_loop *loop;
	struct websockets *websockets;
	struct handshakes *handshakes;
	int doorbell_fd;
	ev_io doorbell;
	ev_async results; /* the store thread has some */
	ev_timer hub_timer;
	int64_t hub_due_ms; /* what it is set to; INT64_MAX: it is not */
	ev_timer second;
	ev_timer draining; /* ten times a second, once that has begun */
	struct heap heap;
	ev_signal sigterm;
	ev_signal sigint;
	ev_signal sighup;
	enum err store_outcome; /* of reading what it holds */
	struct config *config;	/* the relay's, to be changed by on_reload() */
	struct drain drain;
};

/* Why one connection more of USER is not to stay; CLOSE_NONE: it may. */
static enum close_code
one_too_many(const struct server *s, const struct admission *a, const struct user *user)
{
	int from_there = (int)conn_table_count_from(s->relay.conns, a->address);
	int most = s->relay.config->address_connections;

	if (hub_connections(s->relay.hub, user->id) >= USER_CONNECTIONS_MAX)
		return CLOSE_TOO_MANY_CONNECTIONS;
	return most > 0 && from_there >= most ? CLOSE_TRY_LATER : CLOSE_NONE;
}

/* Gives an admitted client her connection. */
static void
on_admitted(void *context, int fd, const struct admission *a, const struct user *user)
{
	struct server *s = context;
	const struct conn_origin origin = {
		.user = user,
		.session = a->claims.session,
		.epoch = a->claims.epoch,
		.address = a->address,
		.expires_s = a->claims.expires_s,
		.v1 = a->v1,
		.close = one_too_many(s, a, user),
		.request = a->request,
	};
	struct connection *c = conn_new(s->relay.conns, &origin);

	if (c == NULL) {
		close(fd);
		return;
	}
	LOG(LOG_DEBUG, "connected", F_STR("request", a->request), F_INT("user", user->id.v));
	websockets_open(s->websockets, c, fd, a);
}

static bool
is_full(void *context, unsigned handshakes)
{
	const struct server *s = context;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return true;
	return conn_table_count(s->relay.conns) + handshakes + FD_RESERVE >= limit.rlim_cur;
}

static void
on_doorbell(struct ev_loop *loop, ev_io *w, int events)
{
	struct server *s = w->data;

	(void)loop;
	(void)events;
	doorbell_drain(s->doorbell_fd);
	journal_ring(s->relay.journal);
}

/* On the store thread. */
static void
wake_loop(void *context)
{
	struct server *s = context;

	ev_async_send(s->loop, &s->results);
}

static void
on_results(struct ev_loop *loop, ev_async *w, int events)
{
	(void)loop;
	(void)events;
	relay_results(w->data);
}

static void
wake_hub_at(void *context, int64_t due_ms)
{
	struct server *s = context;
	int64_t wait_ms;

	if (due_ms == s->hub_due_ms)
		return;
	s->hub_due_ms = due_ms;
	wait_ms = due_ms - clock_monotonic_ms();
	if (due_ms == INT64_MAX) {
		ev_timer_stop(s->loop, &s->hub_timer);
		return;
	}
	ev_now_update(s->loop);
	s->hub_timer.repeat = wait_ms <= 0 ? 0.001 : (double)wait_ms / 1000.0 + 0.001;
	ev_timer_again(s->loop, &s->hub_timer);
}

static void
on_hub_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct server *s = w->data;

	(void)events;
	ev_timer_stop(loop, w);
	s->hub_due_ms = INT64_MAX;
	relay_event(&s->relay, &(struct event){ .kind = EVENT_TICK });
}

static void
on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
	struct server *s = w->data;

	(void)events;
	drain_begin(&s->drain, clock_monotonic_ms());
	ev_timer_start(loop, &s->draining);
}

static void
on_draining(struct ev_loop *loop, ev_timer *w, int events)
{
	struct server *s = w->data;

	(void)events;
	if (drain_tick(&s->drain, clock_monotonic_ms()))
		ev_break(loop, EVBREAK_ALL);
}

/* Whatever is not copied out of the settings is read where it stands; the hub's TURN servers are.
 */
static void
on_reload(struct ev_loop *loop, ev_signal *w, int events)
{
	struct server *s = w->data;

	(void)loop;
	(void)events;
	if (!config_reload(s->config))
		return;
	s->relay.keys = token_keys_of(s->config);
	conn_table_set_rate(s->relay.conns, s->config->ws_rate);
	hub_set_rate(s->relay.hub, s->config->ws_rate);
}

static void
on_second(struct ev_loop *loop, ev_timer *w, int events)
{
	struct server *s = w->data;
	int64_t now_ms = clock_monotonic_ms();

	(void)loop;
	(void)events;
	metric_set(METRIC_RELAY_BEAT, 0, now_ms);
	conn_table_tick(s->relay.conns, now_ms, clock_wall_ms() / 1000);
	handshakes_tick(s->handshakes, now_ms);
	notify_alive(); /* from the loop: one that is stuck is not */
	/* Lists that sockets did not take at once: of 14,700 connections through lighttpd each had
	 * 8.6 KB, and has 4.1 with this. */
	(void)heap_tick(&s->heap);
	metric_set(METRIC_MEMORY, METRIC_OF_RELAY, s->heap.last);
}

/* libev's own would abort. All that a new process needs is stored, so this one makes room for it.
 */
static void *
reallocate(void *p, long size)
{
	void *room = NULL;

	if (size == 0) {
		free(p);
	} else if ((room = realloc(p, (size_t)size)) == NULL) {
		LOG0(LOG_ERROR, "out_of_memory");
		_Exit(EXIT_TEMPORARY);
	}
	return room;
}

static void
start_watchers(struct server *s)
{
	ev_io_init(&s->doorbell, on_doorbell, s->doorbell_fd, EV_READ);
	ev_timer_init(&s->second, on_second, 1.0, 1.0);
	ev_timer_init(&s->draining, on_draining, 0.1, 0.1);
	ev_signal_init(&s->sigterm, on_stop, SIGTERM);
	ev_signal_init(&s->sigint, on_stop, SIGINT);
	ev_signal_init(&s->sighup, on_reload, SIGHUP);
	s->doorbell.data = s->second.data = s->draining.data = s;
	s->sigterm.data = s->sigint.data = s->sighup.data = s;
	ev_io_start(s->loop, &s->doorbell);
	ev_timer_start(s->loop, &s->second);
	ev_signal_start(s->loop, &s->sigterm);
	ev_signal_start(s->loop, &s->sigint);
	ev_signal_start(s->loop, &s->sighup);
}

/* While the hub is told what the store holds, there is no thread yet to store what it wants stored.
 */
struct loading {
	struct relay *relay;
	struct persist *wanted;
	size_t count;
	enum err outcome;
};

static void
load_event(void *context, const struct event *ev)
{
	struct loading *l = context;
	struct effects *fx = &l->relay->fx;
	struct persist *more;

	hub_step(l->relay->hub, ev, clock_monotonic_ms(), clock_wall_ms(), fx);
	for (unsigned i = 0; i < fx->count; i++) {
		if (fx->list[i].kind != EFFECT_PERSIST)
			continue;
		if ((more = reallocarray(l->wanted, l->count + 1, sizeof(*more))) == NULL) {
			l->outcome = ERR_SYSTEM;
			break;
		}
		l->wanted = more;
		l->wanted[l->count++] = fx->list[i].persist;
	}
	effects_fini(fx);
}

/* Fills the hub from STORE and starts the store thread on it. */
static enum err
start_store(struct server *s, struct store *store)
{
	struct loading l = { .relay = &s->relay, .outcome = ERR_OK };
	struct feed_position at = { 0 };
	static const struct address nowhere;
	enum err e;

	e = feed_load(store, load_event, &l, &at);
	if (e == ERR_OK)
		e = l.outcome;
	if (e == ERR_OK)
		e = journal_start(store, at, wake_loop, s, &s->relay.journal);
	for (size_t i = 0; i < l.count && e == ERR_OK; i++) {
		if (!journal_persist(s->relay.journal, &l.wanted[i], &nowhere))
			e = ERR_SYSTEM;
	}
	free(l.wanted);
	return e;
}

static unsigned
connections_max(void)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)!setrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur > 1 << 20 ? 1 << 20 : (unsigned)limit.rlim_cur;
}

static bool
start_relay(struct server *s, struct config *c)
{
	const struct hub_settings settings = {
		.visibility = (enum visibility)c->visibility,
		.presence_grace_ms = c->presence_grace_s * INT64_C(1000),
		.ring_timeout_ms = c->ring_timeout_s * INT64_C(1000),
		.call_grace_ms = c->call_grace_s * INT64_C(1000),
		.call_max_ms = CALL_MAX_MS,
		.turn = &c->turn,
		.heartbeat_ms = PING_INTERVAL_MS,
		.messages_per_s = c->ws_rate,
		.user_connections = USER_CONNECTIONS_MAX,
		.list_interval_ms = LIST_INTERVAL_MS,
		.list_fresh_max = LIST_FRESH_MAX,
	};
	struct conn_events events = dispatch_events;
	struct relay *r = &s->relay;

	events.context = r;
	s->config = c;
	r->config = c;
	r->keys = token_keys_of(c);
	r->wake_at = wake_hub_at;
	r->context = s;
	r->hub = hub_new(&settings);
	r->conns = conn_table_new(connections_max(), c->ws_rate, &events);
	drain_init(&s->drain, r, c->drain_s * INT64_C(1000));
	return r->hub != NULL && r->conns != NULL;
}

/* In the place of what the last relay left there. */
static void
start_metrics(struct server *s)
{
	struct rlimit limit = { .rlim_cur = 0 };

	(void)!getrlimit(RLIMIT_NOFILE, &limit);
	metric_set(METRIC_DESCRIPTORS_MAX, METRIC_OF_RELAY, (int64_t)limit.rlim_cur);
	metric_set(METRIC_START_TIME, METRIC_OF_RELAY, clock_wall_ms() / 1000);
	metric_set(METRIC_MEMORY, METRIC_OF_RELAY, proc_memory());
	metric_set(METRIC_DRAINING, 0, 0);
	metric_set(METRIC_CONNECTIONS, METRIC_OF_PATIENTS, 0);
	metric_set(METRIC_CONNECTIONS, METRIC_OF_DOCTORS, 0);
	metric_set(METRIC_OUTBOX_HIGH, 0, 0);
	metric_set(METRIC_CALLS_LIVE, 0, hub_calls(s->relay.hub));
	metric_set(METRIC_RELAY_BEAT, 0, clock_monotonic_ms());
}

static bool
set_up(struct server *s, struct config *config, struct store *store, int listen_fd)
{
	ev_set_allocator(reallocate);
	if ((s->loop = ev_loop_new(EVBACKEND_EPOLL)) == NULL || !start_relay(s, config)) {
		store_close(store);
		return false;
	}
	ev_async_init(&s->results, on_results);
	s->results.data = &s->relay;
	ev_async_start(s->loop, &s->results);
	ev_init(&s->hub_timer, on_hub_timer);
	s->hub_due_ms = INT64_MAX;
	s->hub_timer.data = s;
	if ((s->websockets = websockets_new(s->loop, s->relay.conns)) == NULL) {
		store_close(store);
		return false;
	}
	if ((s->store_outcome = start_store(s, store)) != ERR_OK) {
		if (s->relay.journal == NULL)
			store_close(store);
		return false;
	}
	start_metrics(s);
	start_watchers(s);
	wake_hub_at(s, hub_deadline(s->relay.hub));
	s->handshakes = handshakes_new(
	    &s->relay, s->loop, listen_fd, HANDSHAKES_MAX, is_full, on_admitted, s);
	return s->handshakes != NULL;
}

/* libwebsockets first: it still tells of connections that did not take their close frame. */
static void
tear_down(struct server *s)
{
	if (s->handshakes != NULL)
		handshakes_stop(s->handshakes);
	websockets_free(s->websockets);
	if (s->relay.journal != NULL) {
		journal_stop(s->relay.journal);
		relay_results(&s->relay);
	}
	handshakes_free(s->handshakes);
	journal_free(s->relay.journal);
	hub_free(s->relay.hub);
	conn_table_free(s->relay.conns);
	if (s->loop != NULL)
		ev_loop_destroy(s->loop);
}

enum server_end
server_run(
    struct config *config, struct store *store, int listen_fd, int doorbell_fd, void (*ready)(void))
{
	static struct server server; /* its effects are large */
	bool ok;

	server.doorbell_fd = doorbell_fd;
	if ((ok = set_up(&server, config, store, listen_fd))) {
		ready();
		ev_run(server.loop, 0);
	} else {
		LOG0(LOG_ERROR, "start_failed");
	}
	tear_down(&server);
	if (ok)
		return SERVER_STOPPED;
	return store_is_hopeless(server.store_outcome) ? SERVER_DAMAGED : SERVER_FAILED;
}
