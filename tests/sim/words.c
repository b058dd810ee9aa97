/* A message in words of somebody else's: what of it tells the model which one it is, its id, its
 * chat's text and its sdpOrIce, begins with its number; all else stays as it was written. */
#include <stdio.h>
#include <string.h>

#include "world.h"

enum { WORDS_MAX = 1 << 16 };

/* The bytes of one member after NUMBER has been put into it. */
struct marked {
	char text[WORDS_MAX];
	size_t len;
};

static void
add(struct marked *m, const char *text, size_t len)
{
	if (len > sizeof(m->text) - m->len)
		len = sizeof(m->text) - m->len;
	memcpy(m->text + m->len, text, len);
	m->len += len;
}

static struct json_raw
mark_chat(struct marked *m, struct json_raw string, const char *number)
{
	add(m, "\"", 1);
	add(m, number, strlen(number));
	add(m, " ", 1);
	add(m, string.at + 1, string.len - 1);
	return (struct json_raw){ m->text, m->len };
}

static struct json_raw
mark_signal(struct marked *m, struct json_raw data, const char *number)
{
	struct json_raw v = json_raw_member(data, "sdpOrIce");
	size_t before = (size_t)(v.at - data.at);

	add(m, data.at, before);
	add(m, "\"", 1);
	add(m, number, strlen(number));
	add(m, "\"", 1);
	add(m, v.at + v.len, data.len - before - v.len);
	return (struct json_raw){ m->text, m->len };
}

/* Reads S, and notes what the model must know of it. False: it is not for the hub. */
static bool
read_words(struct said *s, struct message *m)
{
	struct refusal r;

	if (message_read(s->text, s->text_len, m, &r) != ERR_OK ||
	    m->type == MESSAGE_TOKEN_REFRESH) {
		message_fini(m);
		return false;
	}
	s->type = m->type;
	s->signal = m->signal;
	s->to = m->to.v;
	s->status = m->status;
	s->with_id = m->id != NULL;
	s->bad_call_id = m->bad_call_id;
	s->with_call_id = m->call_id != NULL;
	snprintf(s->call_id, sizeof(s->call_id), "%s", s->with_call_id ? m->call_id : "");
	return true;
}

void
words_hand_over(struct world *w, struct said *s, enum role to_role)
{
	static struct marked marked;
	char id[CLIENT_ID_SIZE + 16];
	char number[16];
	struct message m;

	if (!read_words(s, &m)) {
		broken(w, RULE_FRAMES, "message %u cannot be read again", (unsigned)(s - w->said));
		return;
	}
	m.to_role = to_role;
	marked.len = 0;
	snprintf(number, sizeof(number), "%u", (unsigned)(s - w->said));
	snprintf(id, sizeof(id), "%s:%s", number, s->with_id ? m.id : "");
	m.id = s->with_id ? id : NULL;
	if (s->type == MESSAGE_CHAT)
		m.text = mark_chat(&marked, m.text, number);
	if (s->type == MESSAGE_SIGNAL)
		m.data = mark_signal(&marked, m.data, number);
	s->handed = true;
	w->current = s;
	shell_event(w, &(struct event){ .kind = EVENT_MESSAGE, .conn = s->conn, .message = &m });
	w->current = NULL;
	message_fini(&m);
}

bool
words_say(struct world *w, const struct client *c, const char *text, size_t len)
{
	struct said s = { .conn = c->id, .from = c->user, .life = w->life, .text = text };
	struct message m;

	s.text_len = len;
	if (w->said_count == SAID_MAX || !read_words(&s, &m))
		return false;
	message_fini(&m);
	w->said[w->said_count] = s;
	shell_say(w, &w->said[w->said_count++]);
	return true;
}
