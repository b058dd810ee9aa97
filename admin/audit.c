/* telemed-admin audit: the trail, read, verified and archived. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "archive.h"
#include "audit/audit_files.h"
#include "audit/audit_text.h"
#include "base/clock.h"
#include "base/str.h"
#include "store/store_audit.h"
#include "store/store_backup.h"
#include "json/json.h"

enum { JSON_BYTES_MAX = 4096 };

struct options {
	const char *file; /* NULL: none */
	bool json;
	int64_t line; /* --since, --after */
	bool anchored;
	struct audit_mark anchor;
};

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
			if (!anchor_read(value, &o->anchor))
				return false;
			o->anchored = true;
		} else {
			return false;
		}
		args++;
	}
	return true;
}

static enum err
print_json(const struct audit_line *l)
{
	struct buf b;

	buf_init(&b, JSON_BYTES_MAX);
	audit_line_write(l, &b);
	return print_buf(&b);
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

static enum admin_exit
complain_of_archive(enum err e, const char *file)
{
	if (e == ERR_OK)
		return ADMIN_OK;
	if (e == ERR_INVALID)
		return complain_of(ADMIN_REFUSED, "%s is no archive of telemed's.", file);
	return complain_of(ADMIN_NO_INPUT, "%s cannot be read.", file);
}

/* The lines as they stand: whether they are whole is not looked at, so no key is needed. */
static enum err
list_archive(struct archive *archive, struct options *o)
{
	struct audit_source source = archive_source(archive);
	struct audit_line l;
	enum err e = source.rewind(source.context);

	while (e == ERR_OK && (e = source.next(source.context, &l)) == ERR_OK) {
		if (l.malformed || l.seq > o->line)
			e = print_line(o, &l);
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err
list_database(struct store *s, struct options *o)
{
	int64_t archived = 0;
	enum err e = store_audit_archived(s, &archived);

	if (e == ERR_OK && archived > o->line)
		fprintf(stderr,
		    "telemed-admin: Lines up to %lld are archived: see audit list ARCHIVE.\n",
		    (long long)archived);
	return e == ERR_OK ? store_audit_each(s, o->line, print_line, o) : e;
}

/* Of a backup, or of the database that a restore has kept. ERR_INVALID: it is none. */
static enum err
list_copy(struct options *o)
{
	struct store *copy = NULL;
	enum err e = store_open_copy(o->file, &copy);

	if (e == ERR_OK && (e = list_database(copy, o)) == ERR_INVALID)
		e = ERR_SYSTEM;
	store_close(copy);
	return e;
}

static enum err
list_file(struct options *o)
{
	struct audit_bounds bounds;
	struct archive archive;
	enum err e = archive_open(o->file, NULL, &archive, &bounds);

	if (e == ERR_INVALID)
		return list_copy(o);
	if (e != ERR_OK)
		return ERR_NOT_FOUND;
	e = list_archive(&archive, o);
	archive_close(&archive);
	return e;
}

enum admin_exit
audit_list(struct admin *a, int argc, char **argv)
{
	struct options o;
	enum err e;

	(void)argc;
	if (!read_options(argv, "--since", &o) || o.anchored)
		return usage_error("--since takes the number of a line.");
	e = o.file == NULL ? list_database(a->store, &o) : list_file(&o);
	switch (e) {
	case ERR_OK:
		return ADMIN_OK;
	case ERR_INVALID:
		return complain_of(ADMIN_REFUSED,
		    "%s is no archive of telemed's, nor a backup or a database.", o.file);
	case ERR_NOT_FOUND:
		return complain_of(ADMIN_NO_INPUT, "%s cannot be read.", o.file);
	case ERR_TOO_NEW:
		return complain_of_store(e);
	default:
		return complain(ADMIN_BROKEN, "The trail could not be read to its end.");
	}
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
	*source = archive_source(archive);
	return complain_of_archive(archive_open(file, key, archive, bounds), file);
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
	if (o.anchored && o.anchor.seq < o.line)
		return usage_error(
		    "--after leaves the line of --anchor out: it would not be checked.");
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
	return exit_of_report(&report);
}

/* Where some lines have left, or may have. */
static enum admin_exit
complain_of_a_part(enum err e, const struct options *o, const struct archive_made *made)
{
	return complain_of(e == ERR_BUSY ? ADMIN_TRY_LATER : ADMIN_BROKEN,
	    "The database %s, and not all is done: the lines up to %lld are in %s, which stays, "
	    "and up to %lld they are no more in the database. Those between are in both; if "
	    "you archive them once more, keep both files.",
	    e == ERR_BUSY ? "is locked" : "or the machine cannot take this now",
	    (long long)made->last, o->file, (long long)made->moved);
}

static enum admin_exit
complain_of_archiving(enum err e, const struct options *o, int64_t last)
{
	switch (e) {
	case ERR_CONFLICT:
		return complain_of(ADMIN_REFUSED, "There is a file %s already.", o->file);
	case ERR_DENIED:
		return complain_of(ADMIN_REFUSED, "%s cannot be made: %m.", o->file);
	case ERR_NOT_FOUND:
		if (last >= o->line)
			return complain_of(ADMIN_REFUSED,
			    "Line %lld is archived already, as all up to %lld are.",
			    (long long)o->line, (long long)last);
		return complain_of(ADMIN_REFUSED,
		    "There is no line %lld: the last before it is %lld. Nothing was moved.",
		    (long long)o->line, (long long)last);
	case ERR_INVALID:
		return complain(ADMIN_NO, "The trail is not whole: see audit verify.");
	default:
		return complain_of_store(e);
	}
}

static enum admin_exit
tell_archived(const struct options *o, const struct archive_made *made)
{
	struct answer answer;

	if (!o->json) {
		printf("Lines up to %lld are in the archive, and no more in the database.\n",
		    (long long)made->last);
		if (made->last < o->line)
			puts("An archive takes no more: make another one for those behind.");
		return ADMIN_OK;
	}
	answer_begin(&answer);
	jw_string(&answer.w, "file", o->file);
	jw_int(&answer.w, "until", made->last);
	jw_bool(&answer.w, "more", made->last < o->line);
	return answer_end(&answer, ADMIN_OK);
}

enum admin_exit
audit_archive(struct admin *a, int argc, char **argv)
{
	struct archive_made made;
	struct options o;
	enum err e;

	(void)argc;
	if (!read_options(argv, "--until", &o) || o.file == NULL || o.line == 0 || o.anchored)
		return usage_error("archive takes the name of a new file, and --until a line.");
	e = archive_make(a->store, o.file, o.line, &made);
	if (e != ERR_OK && made.stays)
		return complain_of_a_part(e, &o, &made);
	if (e != ERR_OK)
		return complain_of_archiving(e, &o, made.last);
	return tell_archived(&o, &made);
}
