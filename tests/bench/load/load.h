/* The load generator: one thread, one epoll, and nothing of the server's but its wire. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum {
	GROUPS_MAX = 8,	      /* of a server's processes */
	PIDS_MAX = 64,	      /* in one group */
	USER_CONNECTIONS = 8, /* what one user may have */
	MARK_DIGITS = 32,     /* sender, sequence and time in a chat's text, in hexadecimal */
};

/* A user of the server, as one line of the file of users: ID ROLE NAME TOKEN. */
struct account {
	char id[24];
	char name[64];
	bool doctor;
	char *token;
};

struct options {
	const char *to;	  /* unix:PATH or tcp:PORT */
	const char *path; /* of the requests */
	const char *users_file;
	const char *subprotocol; /* "": none */
	const char *role;
	const char *name;
	unsigned connections;
	unsigned pairs;
	unsigned idle;
	unsigned in_flight; /* messages, in one pair or broadcast */
	unsigned text;	    /* characters of a chat's text */
	unsigned rate;	    /* flips a second */
	unsigned at_once;   /* handshakes under way */
	double warm_s;
	double run_s;
	double timeout_s; /* for all to be connected, and the like */
	bool conditional; /* If-None-Match with the ETag of the first answer */
	struct account *accounts;
	unsigned account_count;
};

/* base.c */

/* Says why and ends the program. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *need(void *memory); /* dies where there is none */
int64_t now_ns(void);	  /* monotonic */

/* Reads the file of users into O. At least LEAST of them. */
void accounts_read(struct options *o, unsigned least);

/* Starts to connect to TO; *WAIT says that it is not connected yet. -1: a queue is full, try again
 * later. Dies where nobody listens. */
int net_connect(const char *to, bool *wait);

/* How long things took, in nanoseconds, in buckets an eighth of a power of two wide. */
struct histogram {
	uint64_t count;
	uint64_t buckets[64 * 8];
};
void histogram_add(struct histogram *h, int64_t ns);
double histogram_us(const struct histogram *h, double quantile);

/* meter.c: what the server's processes and the machine have used. */
struct usage {
	int64_t at_ns;
	int64_t cpu_ns[GROUPS_MAX];
	int64_t rss_bytes[GROUPS_MAX];
	int64_t own_ns;	 /* the generator */
	int64_t busy_ns; /* all processors, in steps of 10 ms */
};
void meter_group(char *spec); /* NAME=PID,PID...; kept */
void meter_read(struct usage *u);
int64_t meter_cpu_ns(const struct usage *from, const struct usage *to); /* all groups */

/* A line of JSON on standard output. */
void report_open(const char *scenario);
void report_text(const char *key, const char *value);
void report_count(const char *key, uint64_t value);
void report_number(const char *key, double value);
/* seconds, cpu_s, cpu_us (for each of UNITS), parts, own_cpu_s, foreign_cpu_s */
void report_usage(const struct usage *from, const struct usage *to, uint64_t units);
/* memory (bytes a connection, from FROM to IDLE) and its parts, rss of each server, memory_at_first
 */
void report_memory(const struct usage *from, const struct usage *at_first, const struct usage *idle,
    unsigned connections);
void report_close(void);

/* crowd.c: WebSocket clients. */
enum client_state { CLIENT_OFF, CLIENT_CONNECTING, CLIENT_UPGRADING, CLIENT_OPEN, CLIENT_GONE };

struct client {
	int fd;
	enum client_state state;
	unsigned index;
	const struct account *account;
	unsigned char *in; /* what has come of a frame */
	size_t in_len;
	size_t in_cap;
	uint64_t skip;	    /* bytes still to come of a frame that nobody wants */
	unsigned char *out; /* what the socket did not take */
	size_t out_len;
	int64_t started_ns;
	bool heard; /* has had a list of users */
};

struct crowd {
	const struct options *o;
	int epoll;
	struct client *clients;
	unsigned count;
	unsigned started;
	unsigned upgrading;
	unsigned open;
	unsigned heard;
	unsigned refused; /* an answer other than 101 */
	unsigned lost;	  /* closed, before or after that */
	uint64_t bytes_in;
	uint64_t frames_in;
	uint64_t ignore_below; /* a text shorter than this is counted and not looked at */
	const char *subprotocol;
	char why[256]; /* what the first refusal said */
	struct histogram opening;
	void (*on_text)(void *context, struct client *c, const char *text, size_t len);
	void *context;
};

/* COUNT clients; client i is account i, or, where there are fewer, as many connections of each as
 * are needed. */
void crowd_init(struct crowd *w, const struct options *o, unsigned count, void *context,
    void (*on_text)(void *context, struct client *c, const char *text, size_t len));
void crowd_fini(struct crowd *w);

/* Client I is the account A. */
void crowd_seat(struct crowd *w, unsigned i, const struct account *a);

/* Starts what may be started of the first UNTIL clients, waits for events, handles them. */
void crowd_poll(struct crowd *w, unsigned until, int timeout_ms);
void crowd_run(struct crowd *w, double seconds);

/* Until the first UNTIL are all open; false: some were refused or lost, or the time was up. */
bool crowd_connect(struct crowd *w, unsigned until);

/* Until nothing has come for QUIET_S. */
void crowd_settle(struct crowd *w, double quiet_s);
void client_send(struct crowd *w, struct client *c, const void *bytes, size_t len);

/* A chat's frame, masked, made once; only what marks it is written anew for every message. */
struct shot {
	unsigned char *bytes;
	size_t len;
	size_t mark; /* offset of the digits */
	unsigned char mask[4];
};
/* TO: an id; NULL: to everyone. */
void shot_init(struct shot *s, unsigned index, const char *to, unsigned text);
void shot_fini(struct shot *s);
void shot_mark(struct shot *s, unsigned sender, uint32_t sequence, int64_t ns);

struct mark {
	unsigned sender;
	uint32_t sequence;
	int64_t ns;
};
/* False: this is not a chat with a text of ours of that length, to the last character. */
bool mark_read(const char *message, size_t len, unsigned text, struct mark *out);

/* Appends one masked frame with this payload to OUT, which has room for 14 bytes more; its length.
 */
size_t frame_make(unsigned char *out, unsigned opcode, const void *payload, size_t len,
    const unsigned char *mask);

/* The scenarios. Each prints one line; false: something was lost, doubled, wrong or refused. */
bool run_chat(struct options *o);
bool run_broadcast(struct options *o);
bool run_connect(struct options *o);
bool run_flip(struct options *o);
bool run_storm(struct options *o);
bool run_http(struct options *o);
bool run_users(struct options *o);
