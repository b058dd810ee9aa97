/* Chat: pairs that answer each other's messages, and one who speaks to all. */
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { IDLE_S = 6 };

struct talker {
	struct shot shot;
	uint32_t sent;
	int64_t *sent_ns;  /* when, of the last as many as may be under way */
	uint32_t received; /* the next sequence number of the other side */
};

struct chat {
	const struct options *o;
	struct crowd crowd;
	struct talker *talkers;
	unsigned under_way; /* messages of one talker, at most: for a receiver that lags */
	bool running;
	uint64_t delivered;
	uint64_t wrong; /* out of order, twice, or not what was sent */
	uint64_t awaited;
	struct histogram delay;
};

static bool
is_chat(const char *text, size_t len)
{
	static const char begins[] = "{\"type\":\"chat\"";

	return len > sizeof(begins) && memcmp(text, begins, sizeof(begins) - 1) == 0;
}

/* TO: an id; NULL: to everyone. */
static void
talker_init(struct chat *chat, unsigned i, const char *to)
{
	struct talker *t = &chat->talkers[i];

	t->sent_ns = need(calloc(chat->under_way, sizeof(int64_t)));
	shot_init(&t->shot, i, to, chat->o->text);
}

static void
talkers_free(struct chat *chat)
{
	for (unsigned i = 0; i < chat->o->connections; i++) {
		shot_fini(&chat->talkers[i].shot);
		free(chat->talkers[i].sent_ns);
	}
	free(chat->talkers);
}

static void
speak(struct chat *chat, unsigned i)
{
	struct talker *t = &chat->talkers[i];
	int64_t ns = now_ns();

	t->sent_ns[t->sent % chat->under_way] = ns;
	shot_mark(&t->shot, i, t->sent++, ns);
	client_send(&chat->crowd, &chat->crowd.clients[i], t->shot.bytes, t->shot.len);
}

/* True: this is the next of what FROM has sent to TO, as it was sent. */
static bool
in_order(struct chat *chat, unsigned to, unsigned from, const char *text, size_t len)
{
	const struct talker *sender = &chat->talkers[from];
	struct talker *t = &chat->talkers[to];
	struct mark m;

	if (!mark_read(text, len, chat->o->text, &m) || m.sender != from ||
	    m.sequence != t->received || m.sequence >= sender->sent ||
	    m.ns != sender->sent_ns[m.sequence % chat->under_way]) {
		chat->wrong++;
		return false;
	}
	t->received++;
	chat->delivered++;
	histogram_add(&chat->delay, now_ns() - m.ns);
	return true;
}

/* Each message that arrives is answered, so that as many stay under way. */
static void
on_pair_text(void *context, struct client *c, const char *text, size_t len)
{
	struct chat *chat = context;

	if (!is_chat(text, len))
		return;
	if (c->index >= 2 * chat->o->pairs) {
		chat->wrong++;
		return;
	}
	if (in_order(chat, c->index, c->index ^ 1, text, len) && chat->running)
		speak(chat, c->index);
}

static uint64_t
missing(const struct chat *chat)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 2 * chat->o->pairs; i++)
		n += chat->talkers[i ^ 1].sent - chat->talkers[i].received;
	return n;
}

/* Waits for what is under way. */
static void
drain(struct chat *chat, uint64_t (*left)(const struct chat *))
{
	int64_t end = now_ns() + (int64_t)(chat->o->timeout_s * 1e9);

	chat->running = false;
	while (left(chat) > 0 && chat->wrong == 0 && chat->crowd.lost == 0 && now_ns() < end)
		crowd_poll(&chat->crowd, 0, 10);
	crowd_run(&chat->crowd, 0.1); /* for what should not come any more */
}

static bool
report_chat(const char *name, struct chat *chat, const struct usage *from, const struct usage *to,
    uint64_t delivered, uint64_t left)
{
	bool ok = left == 0 && chat->wrong == 0 && chat->crowd.lost == 0 && delivered > 0;

	report_open(name);
	report_count("delivered", delivered);
	report_usage(from, to, delivered);
	report_number("delay_p50_us", histogram_us(&chat->delay, 0.5));
	report_number("delay_p99_us", histogram_us(&chat->delay, 0.99));
	report_count("missing", left);
	report_count("wrong", chat->wrong);
	report_count("lost", chat->crowd.lost);
	if (chat->crowd.why[0] != '\0')
		report_text("why", chat->crowd.why);
	return ok;
}

static void
measure(struct chat *chat, struct usage *from, struct usage *to, uint64_t *delivered)
{
	crowd_run(&chat->crowd, chat->o->warm_s);
	memset(&chat->delay, 0, sizeof(chat->delay));
	meter_read(from);
	*delivered = chat->delivered;
	crowd_run(&chat->crowd, chat->o->run_s);
	*delivered = chat->delivered - *delivered;
	meter_read(to);
}

/* What is promised is the memory of connections that are idle. The relay waits some seconds to see
 * that a burst is over before it gives its memory back. */
static void
sit_idle(struct chat *chat, struct usage *at_first, struct usage *idle)
{
	crowd_settle(&chat->crowd, 0.5);
	meter_read(at_first);
	if (chat->o->idle > 0)
		crowd_run(&chat->crowd, IDLE_S);
	meter_read(idle);
}

/* The talkers are connected first; then those who only sit there, several of each user. */
static bool
seat_and_connect(struct chat *chat, struct options *o)
{
	unsigned total = o->connections + o->idle;
	unsigned users = o->connections + (o->idle + USER_CONNECTIONS - 1) / USER_CONNECTIONS;

	if (o->pairs * 2 > o->connections)
		die("%u connections are not %u pairs", o->connections, o->pairs);
	if (o->account_count < users)
		die("%u users, %u are needed", o->account_count, users);
	crowd_init(&chat->crowd, o, total, chat, on_pair_text);
	for (unsigned i = 0; i < total; i++)
		crowd_seat(&chat->crowd, i,
		    &o->accounts[i < o->connections
				     ? i
				     : o->connections + (i - o->connections) / USER_CONNECTIONS]);
	return crowd_connect(&chat->crowd, total);
}

bool
run_chat(struct options *o)
{
	struct chat chat = { .o = o, .running = true, .under_way = o->in_flight };
	struct usage before;
	struct usage at_first;
	struct usage idle;
	struct usage from;
	struct usage to;
	uint64_t delivered;
	bool ok;

	accounts_read(o, 1);
	chat.talkers = need(calloc(o->connections, sizeof(struct talker)));
	meter_read(&before);
	if (!seat_and_connect(&chat, o))
		return false;
	sit_idle(&chat, &at_first, &idle);
	for (unsigned i = 0; i < 2 * o->pairs; i++)
		talker_init(&chat, i, chat.crowd.clients[i ^ 1].account->id);
	for (unsigned n = 0; n < o->in_flight; n++) {
		for (unsigned p = 0; p < o->pairs; p++)
			speak(&chat, 2 * p + n % 2);
	}
	measure(&chat, &from, &to, &delivered);
	drain(&chat, missing);
	ok = report_chat("chat", &chat, &from, &to, delivered, missing(&chat));
	report_memory(&before, &at_first, &idle, o->connections + o->idle);
	report_count("connections", o->connections + o->idle);
	report_close();
	talkers_free(&chat);
	crowd_fini(&chat.crowd);
	return ok;
}

/* Client 0 speaks again when everyone has heard. */
static void
on_broadcast_text(void *context, struct client *c, const char *text, size_t len)
{
	struct chat *chat = context;

	if (!is_chat(text, len))
		return;
	if (c->index == 0) { /* what it says is for the others */
		chat->wrong++;
		return;
	}
	if (!in_order(chat, c->index, 0, text, len))
		return;
	if (--chat->awaited % (chat->o->connections - 1) == 0 && chat->running) {
		chat->awaited += chat->o->connections - 1;
		speak(chat, 0);
	}
}

static uint64_t
still_awaited(const struct chat *chat)
{
	return chat->awaited;
}

bool
run_broadcast(struct options *o)
{
	struct chat chat = { .o = o, .running = true };
	struct usage from;
	struct usage to;
	uint64_t delivered;
	bool ok;

	accounts_read(o, 1);
	chat.talkers = need(calloc(o->connections, sizeof(struct talker)));
	chat.under_way = o->in_flight * (o->connections - 1);
	crowd_init(&chat.crowd, o, o->connections, &chat, on_broadcast_text);
	if (o->connections < 2 || !crowd_connect(&chat.crowd, o->connections))
		return false;
	crowd_settle(&chat.crowd, 0.5);
	talker_init(&chat, 0, NULL);
	for (unsigned n = 0; n < o->in_flight; n++) {
		chat.awaited += o->connections - 1;
		speak(&chat, 0);
	}
	measure(&chat, &from, &to, &delivered);
	drain(&chat, still_awaited);
	ok = report_chat("broadcast", &chat, &from, &to, delivered, chat.awaited);
	report_count("connections", o->connections);
	report_close();
	talkers_free(&chat);
	crowd_fini(&chat.crowd);
	return ok;
}
