/* /calls: what calls one has had. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "handlers.h"
#include "problem.h"
#include "store/store_call.h"

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 100 };

/* A page that is being written. One call more is asked for than it holds: whether there is a next
 * page. */
struct page {
	struct json_writer w;
	int64_t room;
	int64_t last; /* the number of the last one written */
	bool more;
};

/* The whole number NAME of the query, 1 to MAX; FALLBACK where it is not given. A fault is noted
 * where it is no such number. */
static int64_t
query_number(struct request *q, const char *name, int64_t max, int64_t fallback)
{
	size_t len = strlen(name);
	int64_t value = fallback;

	for (const char *at = q->query; *at != '\0';) {
		size_t part = strcspn(at, "&");

		if (part > len && strncmp(at, name, len) == 0 && at[len] == '=' &&
		    !parse_int(at + len + 1, part - len - 1, 1, max, &value))
			fault(q, name, "out_of_bounds", "must be a whole number within its bounds");
		at += part;
		at += *at == '&';
	}
	return value;
}

/* Null for what has not happened. */
static void
write_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
	char text[RFC3339_SIZE];

	if (wall_ms == 0)
		jw_raw(w, key, "null", 4);
	else
		jw_string(w, key, clock_rfc3339(wall_ms, text));
}

static void
write_peer(struct json_writer *w, const struct user *peer)
{
	jw_object(w, "peer");
	jw_int(w, "id", peer->id.v);
	jw_string(w, "name", peer->name);
	jw_string(w, "role", role_name(peer->role));
	jw_object_end(w);
}

static enum err
write_call(void *context, const struct call_record *c)
{
	struct page *p = context;
	struct json_writer *w = &p->w;

	if (p->room-- == 0) {
		p->more = true;
		return ERR_OK;
	}
	p->last = c->number;
	jw_object(w, NULL);
	jw_string(w, "callId", c->call_id);
	write_peer(w, &c->peer);
	jw_string(w, "direction", c->outgoing ? "out" : "in");
	jw_string(w, "state", call_state_name(c->state));
	write_time(w, "startedAt", c->started_ms);
	write_time(w, "answeredAt", c->answered_ms);
	write_time(w, "endedAt", c->ended_ms);
	if (c->reason == CALL_REASON_NONE)
		jw_raw(w, "reason", "null", 4);
	else
		jw_string(w, "reason", call_reason_name(c->reason));
	jw_object_end(w);
	return ERR_OK;
}

enum err
handle_calls_list(struct request *q)
{
	int64_t before = query_number(q, "before", INT64_MAX, 0);
	int64_t limit = query_number(q, "limit", LIMIT_MAX, LIMIT_DEFAULT);
	struct page p = { .room = limit };
	enum err e;

	if ((e = refuse_faults(q)) != ERR_OK)
		return e;
	reply_begin(q, 200, &p.w);
	jw_object(&p.w, NULL);
	jw_array(&p.w, "calls");
	e = store_calls_of(q->service->store, q->who.user.id, q->who.user.role, before,
	    (int)limit + 1, write_call, &p);
	jw_array_end(&p.w);
	if (p.more)
		jw_int(&p.w, "next", p.last);
	jw_object_end(&p.w);
	return e;
}
