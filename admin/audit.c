/* telemed-admin audit: the trail, read and verified. Both only look. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "archive.h"
#include "audit/audit_files.h"
#include "audit/audit_text.h"
#include "base/clock.h"
#include "base/str.h"
#include "store/store_audit.h"
#include "json/json.h"

enum { JSON_BYTES_MAX = 4096 };

struct options {
	const char *file; /* NULL: none */
	bool json;
	int64_t line; /* --since, --after */
	bool anchored;
	struct audit_mark anchor;
};

/* LINE:MAC */
static bool
read_anchor(const char *text, struct audit_mark *out)
{
	size_t len = strcspn(text, ":");

	return text[len] == ':' && parse_int(text, len, 1, INT64_MAX, &out->seq) &&
	       audit_unhex(text + len + 1, out->mac);
}

/* LINE_OPTION is the name of the one that takes a line's number. */
static bool
read_options(char **args, const char *line_option, struct options *o)
{
	*o = (struct options){ .json = false };
	for (; *args != NULL; args++) {
		const char *value = args[1];

		if (strcmp(*args, "--json") == 0) {
			o->json = true;
			continue;
		}
		if (**args != '-' && o->file == NULL) {
			o->file = *args;
			continue;
		}
		if (value == NULL)
			return false;
		if (strcmp(*args, line_option) == 0) {
			if (!parse_int(value, strlen(value), 0, INT64_MAX, &o->line))
				return false;
		} else if (strcmp(*args, "--anchor") == 0) {
			if (!read_anchor(value, &o->anchor))
				return false;
			o->anchored = true;
		} else {
			return false;
		}
		args++;
	}
	return true;
}

/* Prints what stands in B and a newline. ERR_SYSTEM: nobody takes it, or there was no memory. */
static enum err
print_buf(const struct buf *b)
{
	return !b->failed && puts(b->data) >= 0 ? ERR_OK : ERR_SYSTEM;
}

static enum err
print_json(const struct audit_line *l)
{
	struct buf b;
	enum err e;

	buf_init(&b, JSON_BYTES_MAX);
	audit_line_write(l, &b);
	e = print_buf(&b);
	buf_fini(&b);
	return e;
}

/* What somebody else has put in the place of a line is not passed on to a terminal. */
static const char *
shown(const struct audit_line *l, const char *text)
{
	return audit_line_ok(l) ? text : "?";
}

static void
print_number(const char *name, int64_t n)
{
	if (n != 0)
		printf(" %s=%lld", name, (long long)n);
}

static enum err
print_text(const struct audit_line *l)
{
	char at[RFC3339_SIZE] = "?";

	if (audit_line_ok(l))
		clock_rfc3339(l->at_ms, at);
	printf("%lld %s %s %s", (long long)l->seq, at, shown(l, l->event), shown(l, l->outcome));
	print_number("user", l->user);
	print_number("peer", l->peer);
	print_number("call", l->call);
	print_number("left_out", l->left_out);
	if (l->source[0] != '\0')
		printf(" from=%s", shown(l, l->source));
	return putchar('\n') == EOF ? ERR_SYSTEM : ERR_OK;
}

static enum err
print_line(void *context, const struct audit_line *l)
{
	const struct options *o = context;

	return o->json ? print_json(l) : print_text(l);
}

enum admin_exit
audit_list(struct admin *a, int argc, char **argv)
{
	struct options o;

	(void)argc;
	if (!read_options(argv, "--since", &o) || o.anchored || o.file != NULL)
		return usage_error("--since takes the number of a line.");
	if (store_audit_each(a->store, o.line, print_line, &o) != ERR_OK)
		return complain(ADMIN_BROKEN, "The trail could not be read to its end.");
	return ADMIN_OK;
}

static enum err
print_report_json(const struct audit_report *r, const char *sentence)
{
	char mac[AUDIT_MAC_HEX + 1];
	struct json_writer w;
	struct buf b;
	enum err e;

	audit_hex(r->last.mac, mac);
	buf_init(&b, JSON_BYTES_MAX);
	jw_init(&w, &b);
	jw_object(&w, NULL);
	jw_bool(&w, "whole", r->trouble == AUDIT_WHOLE);
	jw_string(&w, "found", audit_trouble_name(r->trouble));
	if (r->trouble != AUDIT_WHOLE) {
		jw_int(&w, "line", r->line);
		jw_int(&w, "to", r->to);
	}
	jw_string(&w, "says", sentence);
	jw_int(&w, "lines", r->lines);
	jw_int(&w, "past_head", r->past_head);
	jw_object(&w, "last");
	jw_int(&w, "line", r->last.seq);
	jw_string(&w, "mac", mac);
	jw_object_end(&w);
	jw_object_end(&w);
	e = print_buf(&b);
	buf_fini(&b);
	return e;
}

static enum err
print_report(const struct audit_report *r, bool json)
{
	char sentence[AUDIT_SENTENCE_SIZE];
	char mac[AUDIT_MAC_HEX + 1];

	audit_sentence(r, sentence);
	if (json)
		return print_report_json(r, sentence);
	audit_hex(r->last.mac, mac);
	printf("%s\n%lld lines in order; the last is %lld:%s\n", sentence, (long long)r->lines,
	    (long long)r->last.seq, mac);
	return ERR_OK;
}

/* What is known of the trail, and its lines: the database's, or an archive's. */
static enum admin_exit
find_trail(struct admin *a, const char *file, struct archive *archive, struct audit_key *key,
    struct audit_bounds *bounds, struct audit_source *source)
{
	enum err e;

	if (file == NULL) {
		*source = store_audit_source(a->store);
		return complain_of_trail(store_audit_reading(
		    a->store, a->paths.audit_key, a->paths.audit_head, key, bounds));
	}
	if ((e = audit_key_read(a->paths.audit_key, key)) != ERR_OK)
		return complain_of_trail(e);
	if (archive_open(file, key, archive, bounds) != ERR_OK)
		return complain(ADMIN_NO_INPUT, "The archive cannot be read.");
	*source = archive_source(archive);
	return ADMIN_OK;
}

enum admin_exit
audit_verify_trail(struct admin *a, int argc, char **argv)
{
	struct archive archive = { .file = NULL };
	struct audit_source source;
	struct audit_report report;
	struct audit_bounds bounds;
	struct audit_key key;
	enum admin_exit code;
	struct options o;
	enum err e;

	(void)argc;
	if (!read_options(argv, "--after", &o))
		return usage_error(
		    "--after takes the number of a line, --anchor that and its MAC.");
	code = find_trail(a, o.file, &archive, &key, &bounds, &source);
	if (code != ADMIN_OK)
		return code;
	bounds.after = o.line;
	bounds.anchored = o.anchored;
	bounds.anchor = o.anchor;
	e = audit_verify(&key, &bounds, &source, &report);
	store_audit_reading_end(a->store);
	archive_close(&archive);
	explicit_bzero(&key, sizeof(key));
	if (e == ERR_OK)
		e = print_report(&report, o.json);
	if (e != ERR_OK)
		return complain(ADMIN_BROKEN, "The trail could not be read to its end.");
	return report.trouble == AUDIT_WHOLE ? ADMIN_OK : ADMIN_NOT_WHOLE;
}

/* Lines that nobody has archived are still in the database: where this fails, nothing is lost. */
enum admin_exit
audit_archive(struct admin *a, int argc, char **argv)
{
	struct options o;
	int64_t last = 0;
	enum err e;

	(void)argc;
	if (!read_options(argv, "--until", &o) || o.file == NULL || o.line == 0 || o.anchored ||
	    o.json)
		return usage_error("archive takes the name of a new file, and --until a line.");
	e = archive_make(a->store, o.file, o.line, &last);
	if (e == ERR_CONFLICT)
		return complain(
		    ADMIN_REFUSED, "The file is there already, or the line is not in the trail.");
	if (e == ERR_INVALID)
		return complain(ADMIN_NOT_WHOLE, "The trail is not whole: see audit verify.");
	if (e != ERR_OK)
		return complain_of_store(e);
	printf(
	    "Lines up to %lld are in the archive, and no more in the database.\n", (long long)last);
	return ADMIN_OK;
}
