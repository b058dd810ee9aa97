#include "audit/audit_text.h"

#include <string.h>

enum { NUMBER_MAX_BITS = 53 }; /* what JSON's readers hold exactly */

static const int64_t number_max = (INT64_C(1) << NUMBER_MAX_BITS) - 1;

static void
write_mac(struct json_writer *w, const char *key, const unsigned char mac[AUDIT_MAC_BYTES])
{
	char hex[AUDIT_MAC_HEX + 1];

	audit_hex(mac, hex);
	jw_string(w, key, hex);
}

static bool
read_mac(const struct json *object, const char *key, unsigned char out[AUDIT_MAC_BYTES])
{
	const char *hex = json_string(json_member(object, key));

	return hex != NULL && audit_unhex(hex, out);
}

void
audit_line_write(const struct audit_line *l, struct buf *out)
{
	bool ok = audit_line_ok(l);
	struct json_writer w;

	jw_init(&w, out);
	jw_object(&w, NULL);
	jw_int(&w, "line", l->seq);
	jw_int(&w, "at_ms", l->at_ms);
	jw_string(&w, "event", ok ? l->event : "?");
	jw_string(&w, "outcome", ok ? l->outcome : "?");
	jw_int(&w, "user", l->user);
	jw_int(&w, "peer", l->peer);
	jw_int(&w, "call", l->call);
	jw_int(&w, "left_out", l->left_out);
	jw_string(&w, "source", ok ? l->source : "?");
	write_mac(&w, "mac", l->mac);
	jw_object_end(&w);
}

static bool
read_number(const struct json *object, const char *key, int64_t *out)
{
	return json_integer(json_member(object, key), 0, number_max, out);
}

static bool
read_text(const struct json *object, const char *key, char *out, size_t size)
{
	const char *text = json_string(json_member(object, key));

	if (text == NULL || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static bool
read_members(const struct json *o, struct audit_line *l)
{
	return json_members(o) == 10 && read_number(o, "line", &l->seq) &&
	       read_number(o, "at_ms", &l->at_ms) &&
	       read_text(o, "event", l->event, sizeof(l->event)) &&
	       read_text(o, "outcome", l->outcome, sizeof(l->outcome)) &&
	       read_number(o, "user", &l->user) && read_number(o, "peer", &l->peer) &&
	       read_number(o, "call", &l->call) && read_number(o, "left_out", &l->left_out) &&
	       read_text(o, "source", l->source, sizeof(l->source)) && read_mac(o, "mac", l->mac);
}

enum err
audit_line_read(const char *text, size_t len, struct audit_line *out)
{
	char why[JSON_WHY_SIZE];
	struct json *root = NULL;
	enum err e = ERR_INVALID;

	*out = (struct audit_line){ .seq = 0 };
	if (len <= AUDIT_TEXT_MAX)
		e = json_parse(text, len, &root, why);
	if (e == ERR_SYSTEM)
		return e;
	out->malformed = e != ERR_OK || !read_members(root, out);
	json_free(root);
	return ERR_OK;
}

void
audit_sealed_write(const char *kind, const struct audit_sealed *s, struct buf *out)
{
	struct json_writer w;

	jw_init(&w, out);
	jw_object(&w, NULL);
	jw_int(&w, kind, s->mark.seq);
	write_mac(&w, "mac", s->mark.mac);
	write_mac(&w, "seal", s->seal);
	jw_object_end(&w);
}

enum err
audit_sealed_read(const char *kind, const char *text, size_t len, struct audit_sealed *out)
{
	char why[JSON_WHY_SIZE];
	struct json *root = NULL;
	enum err e = ERR_INVALID;

	if (len <= AUDIT_TEXT_MAX)
		e = json_parse(text, len, &root, why);
	if (e == ERR_OK &&
	    (json_members(root) != 3 || !read_number(root, kind, &out->mark.seq) ||
		!read_mac(root, "mac", out->mark.mac) || !read_mac(root, "seal", out->seal)))
		e = ERR_INVALID;
	json_free(root);
	return e;
}
