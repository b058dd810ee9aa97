/* Presence: who is there, as each client has been told so far. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { ID_MAX = 1 << 20 };

struct presence {
	const struct options *o;
	struct crowd crowd;
	int *client_of; /* by user id; -1: not one of ours */
	/* connect */
	unsigned char *known; /* count x count bits: client i has been told of client j */
	unsigned *known_count;
	unsigned complete; /* clients that have been told of all */
	/* flip */
	char needle[32];    /* the doctor's entry begins so */
	const char *status; /* the last that she has set */
	bool *right;	    /* what client i was last told is that */
	unsigned right_count;
	int64_t flipped_ns; /* when; 0: nobody asks how long it takes */
	struct histogram delay;
};

static bool
starts(const char *text, size_t len, const char *with)
{
	return len > strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static void
know(struct presence *p, unsigned who, unsigned whom)
{
	size_t bit = (size_t)who * p->crowd.count + whom;

	if ((p->known[bit / 8] >> (bit % 8) & 1) != 0)
		return;
	p->known[bit / 8] |= (unsigned char)(1 << bit % 8);
	if (++p->known_count[who] == p->crowd.count)
		p->complete++;
}

static void
forget_all(struct presence *p, unsigned who)
{
	if (p->known_count[who] == 0)
		return;
	if (p->known_count[who] == p->crowd.count)
		p->complete--;
	for (size_t bit = (size_t)who * p->crowd.count; bit < ((size_t)who + 1) * p->crowd.count;
	     bit++)
		p->known[bit / 8] &= (unsigned char)~(1 << bit % 8);
	p->known_count[who] = 0;
}

/* A whole list, or (for telemed.v1) what has changed. */
static void
on_list(void *context, struct client *c, const char *text, size_t len)
{
	struct presence *p = context;
	const char *end = text + len;

	if (starts(text, len, "{\"type\":\"users\""))
		forget_all(p, c->index);
	else if (!starts(text, len, "{\"type\":\"presence\""))
		return;
	/* Who is gone is a number there, and no object. */
	while ((text = memmem(text, (size_t)(end - text), "\"id\":", 5)) != NULL) {
		unsigned long id = strtoul(text += 5, NULL, 10);

		if (id < ID_MAX && p->client_of[id] >= 0)
			know(p, c->index, (unsigned)p->client_of[id]);
	}
}

static void
seat_users(struct presence *p)
{
	p->client_of = need(malloc(ID_MAX * sizeof(int)));
	memset(p->client_of, 0xff, ID_MAX * sizeof(int));
	for (unsigned i = 0; i < p->crowd.count; i++) {
		unsigned long id = strtoul(p->o->accounts[i].id, NULL, 10);

		if (id >= ID_MAX)
			die("the id %lu is too large", id);
		p->client_of[id] = (int)i;
	}
}

/* A list with everyone in it is at least this long, so that the many shorter ones need no look. */
static uint64_t
least_list(const struct options *o)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < o->connections; i++)
		sum += strlen("{\"id\":,\"name\":\"\",\"role\":\"DOCTOR\",\"status\":\"BUSY\"},") +
		       strlen(o->accounts[i].id) + strlen(o->accounts[i].name);
	return sum;
}

/* All connect at once, until all have been told of all. */
bool
run_connect(struct options *o)
{
	struct presence p = { .o = o };
	struct usage from;
	struct usage to;
	uint64_t bytes;
	uint64_t frames;
	int64_t end;
	bool ok;

	accounts_read(o, o->connections);
	crowd_init(&p.crowd, o, o->connections, &p, on_list);
	if (o->subprotocol[0] == '\0')
		p.crowd.ignore_below = least_list(o);
	seat_users(&p);
	p.known = need(calloc((size_t)o->connections * o->connections / 8 + 1, 1));
	p.known_count = need(calloc(o->connections, sizeof(unsigned)));
	meter_read(&from);
	end = now_ns() + (int64_t)(o->timeout_s * 1e9);
	while (p.complete < o->connections && p.crowd.refused + p.crowd.lost == 0 && now_ns() < end)
		crowd_poll(&p.crowd, o->connections, 100);
	meter_read(&to);
	bytes = p.crowd.bytes_in;
	frames = p.crowd.frames_in;
	p.crowd.ignore_below = 0;
	crowd_settle(&p.crowd, 1.0); /* and it must stay so */
	ok = p.complete == o->connections && p.crowd.refused + p.crowd.lost == 0;
	report_open("connect");
	report_count("connections", o->connections);
	report_count("complete", p.complete);
	report_usage(&from, &to, o->connections);
	report_count("bytes", bytes);
	report_count("frames", frames);
	report_count("lost", p.crowd.refused + p.crowd.lost);
	if (p.crowd.why[0] != '\0')
		report_text("why", p.crowd.why);
	report_close();
	crowd_fini(&p.crowd);
	free(p.client_of);
	free(p.known);
	free(p.known_count);
	return ok;
}

/* What the message says of the doctor, if it does. */
static void
on_status(void *context, struct client *c, const char *text, size_t len)
{
	static const char key[] = "\"status\":\"";
	struct presence *p = context;
	const char *end = text + len;
	const char *at;
	bool right;

	if (!starts(text, len, "{\"type\":\"users\"") &&
	    !starts(text, len, "{\"type\":\"presence\""))
		return;
	if ((at = memmem(text, len, p->needle, strlen(p->needle))) == NULL ||
	    (at = memmem(at, (size_t)(end - at), key, strlen(key))) == NULL)
		return;
	at += strlen(key);
	right = starts(at, (size_t)(end - at), p->status);
	if (right == p->right[c->index])
		return;
	p->right[c->index] = right;
	p->right_count += right ? 1 : -1U;
	if (right && p->flipped_ns != 0)
		histogram_add(&p->delay, now_ns() - p->flipped_ns);
}

static void
flip(struct presence *p)
{
	static const unsigned char mask[4] = { 0x11, 0x22, 0x44, 0x88 };
	unsigned char frame[128];
	char json[100];
	int n;

	p->status = strcmp(p->status, "BUSY") == 0 ? "ONLINE" : "BUSY";
	memset(p->right, 0, p->crowd.count * sizeof(bool));
	p->right_count = 0;
	n = snprintf(json, sizeof(json), "{\"type\":\"set_status\",\"data\":{\"status\":\"%s\"}}",
	    p->status);
	client_send(
	    &p->crowd, &p->crowd.clients[0], frame, frame_make(frame, 1, json, (size_t)n, mask));
}

/* Until every client was last told what the doctor has set last. */
static double
converge(struct presence *p)
{
	int64_t begin = now_ns();

	while (p->right_count < p->crowd.count && p->crowd.lost == 0 &&
	       (double)(now_ns() - begin) < p->o->timeout_s * 1e9)
		crowd_poll(&p->crowd, 0, 10);
	return (double)(now_ns() - begin) / 1e6;
}

static void
flip_at_rate(struct presence *p)
{
	unsigned flips = (unsigned)(p->o->run_s * p->o->rate);
	int64_t begin = now_ns();

	for (unsigned i = 0; i < flips; i++) {
		double left;

		flip(p);
		while ((left = (double)(i + 1) / p->o->rate - (double)(now_ns() - begin) / 1e9) > 0)
			crowd_poll(&p->crowd, 0, (int)(left * 1000) + 1);
	}
}

/* Client 0 is the doctor. */
static bool
connect_with_doctor(struct presence *p, struct options *o)
{
	unsigned doctor = 0;

	while (doctor < o->account_count && !o->accounts[doctor].doctor)
		doctor++;
	if (doctor == o->account_count || o->connections == 0)
		die("no doctor among the users");
	crowd_init(&p->crowd, o, o->connections, p, on_status);
	if (doctor < o->connections)
		crowd_seat(&p->crowd, doctor, &o->accounts[0]);
	crowd_seat(&p->crowd, 0, &o->accounts[doctor]);
	snprintf(p->needle, sizeof(p->needle), "\"id\":%s,", o->accounts[doctor].id);
	p->status = "ONLINE";
	p->right = need(calloc((size_t)o->connections + 1, sizeof(bool)));
	return crowd_connect(&p->crowd, o->connections);
}

bool
run_flip(struct options *o)
{
	struct presence p = { .o = o };
	struct usage from;
	struct usage to;
	double settled_ms;
	uint64_t bytes;
	uint64_t frames;
	bool ok;

	accounts_read(o, o->connections);
	if (!connect_with_doctor(&p, o))
		return false;
	crowd_settle(&p.crowd, 1.0);
	p.flipped_ns = now_ns();
	flip(&p);
	converge(&p);
	p.flipped_ns = 0;
	crowd_settle(&p.crowd, 1.0);
	ok = p.right_count == o->connections;
	bytes = p.crowd.bytes_in;
	frames = p.crowd.frames_in;
	meter_read(&from);
	flip_at_rate(&p);
	settled_ms = converge(&p);
	meter_read(&to);
	bytes = p.crowd.bytes_in - bytes;
	frames = p.crowd.frames_in - frames;
	crowd_settle(&p.crowd, 1.0); /* and it must stay so */
	ok = ok && p.right_count == o->connections && p.crowd.lost == 0;
	report_open("flip");
	report_count("connections", o->connections);
	report_count("right", p.right_count);
	report_usage(&from, &to, (uint64_t)(o->run_s * o->rate));
	report_number("first_p50_ms", histogram_us(&p.delay, 0.5) / 1000);
	report_number("first_last_ms", histogram_us(&p.delay, 0.9999) / 1000);
	report_number("settled_ms", settled_ms);
	report_count("bytes", bytes);
	report_count("frames", frames);
	report_count("lost", p.crowd.lost);
	report_close();
	crowd_fini(&p.crowd);
	free(p.right);
	return ok;
}
