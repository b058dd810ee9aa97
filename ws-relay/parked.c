#include "parked.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct parked {
	struct lookup lookup; /* first: the cookie of its look-up */
	struct relay *relay;
	struct conn_id conn;
	struct user_id from;
	struct user_id to; /* 0: it asks about a token */
	parked_fn *go_on;
	int64_t since_us;
	struct parked *prev; /* oldest first */
	struct parked *next;
	size_t len;
	_Alignas(max_align_t) unsigned char what[];
};

static struct parked *parked_list;
static unsigned parked_count;

static void
answered(struct lookup *l, const struct job *j)
{
	struct parked *p = (struct parked *)(void *)l;
	struct connection *c = conn_find_id(p->relay->conns, p->conn);

	DL_DELETE(parked_list, p);
	parked_count--;
	if (c != NULL)
		p->go_on(p->relay, c, p->what, p->len, p->since_us, j);
	free(p);
}

/* May one more question of FROM's wait? */
static bool
has_room(struct user_id from)
{
	const struct parked *p = NULL;
	unsigned count = 0;

	DL_FOREACH (parked_list, p) {
		count += user_same(p->from, from);
	}
	return parked_count < PARKED_MAX && count < PARKED_USER_MAX;
}

/* NULL: there is no room for it. */
static struct parked *
keep(struct relay *r, struct connection *c, const void *what, size_t len, int64_t since_us,
    parked_fn *go_on)
{
	struct parked *p;

	if (!has_room(conn_user_id(c)) || (p = malloc(sizeof(*p) + len)) == NULL)
		return NULL;
	*p = (struct parked){
		.lookup.done = answered,
		.relay = r,
		.conn = conn_id_of(c),
		.from = conn_user_id(c),
		.go_on = go_on,
		.since_us = since_us,
		.len = len,
	};
	memcpy(p->what, what, len);
	return p;
}

/* P waits, if its question was ASKED. */
static bool
enter(struct parked *p, bool asked)
{
	if (!asked) {
		free(p);
		return false;
	}
	DL_APPEND(parked_list, p);
	parked_count++;
	return true;
}

bool
parked_ask_user(struct relay *r, struct connection *c, struct user_id to, const void *what,
    size_t len, int64_t since_us, parked_fn *go_on)
{
	struct parked *p = keep(r, c, what, len, since_us, go_on);

	if (p == NULL)
		return false;
	p->to = to;
	return enter(p, journal_lookup(r->journal, to, &p->lookup));
}

bool
parked_ask_token(struct relay *r, struct connection *c, const struct claims *token,
    const void *what, size_t len, int64_t since_us, parked_fn *go_on)
{
	struct parked *p = keep(r, c, what, len, since_us, go_on);

	return p != NULL && enter(p, journal_lookup_token(r->journal, token, &p->lookup));
}

bool
parked_waits(struct conn_id conn, struct user_id to)
{
	const struct parked *p = NULL;

	DL_FOREACH (parked_list, p) {
		if (conn_same(p->conn, conn) && user_same(p->to, to))
			return true;
	}
	return false;
}
