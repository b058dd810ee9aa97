#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "audit/audit_text.h"
#include "base/clock.h"
#include "base/fd.h"

enum { LINE_SIZE = AUDIT_TEXT_MAX + 1 };

/* What is being written. */
struct making {
	FILE *file;
	int64_t until;
	int64_t count;
	struct audit_mark from; /* behind which it begins */
	struct audit_mark last;
	/* The last line of each step in which they leave. */
	struct audit_mark steps[ARCHIVE_LINES_MAX / ARCHIVE_STEP + 1];
	unsigned step_count;
};

static enum err
put(FILE *f, struct buf *b)
{
	bool ok = !b->failed && fprintf(f, "%s\n", b->data) > 0;

	buf_fini(b);
	return ok ? ERR_OK : ERR_SYSTEM;
}

static enum err
put_mark(FILE *f, const char *kind, const struct audit_sealed *s)
{
	struct buf b;

	buf_init(&b, AUDIT_TEXT_MAX);
	audit_sealed_write(kind, s, &b);
	return put(f, &b);
}

/* ERR_TOO_BIG ends the reading. */
static enum err
put_line(void *context, const struct audit_line *l)
{
	struct making *m = context;
	struct buf b;

	if (l->seq > m->until || m->count == ARCHIVE_LINES_MAX)
		return ERR_TOO_BIG;
	if (!audit_line_ok(l))
		return ERR_INVALID;
	m->count++;
	m->last.seq = l->seq;
	memcpy(m->last.mac, l->mac, sizeof(m->last.mac));
	if (m->count % ARCHIVE_STEP == 0)
		m->steps[m->step_count++] = m->last;
	buf_init(&b, AUDIT_TEXT_MAX);
	audit_line_write(l, &b);
	return put(m->file, &b);
}

static enum err
put_lines(struct store *s, struct making *m)
{
	struct audit_sealed base;
	enum err e;

	if ((e = store_audit_base(s, &base)) != ERR_OK ||
	    (e = put_mark(m->file, "from", &base)) != ERR_OK)
		return e;
	m->from = m->last = base.mark;
	e = store_audit_each(s, base.mark.seq, put_line, m);
	if (e != ERR_OK && e != ERR_TOO_BIG)
		return e;
	if (m->count != ARCHIVE_LINES_MAX && (m->count == 0 || m->last.seq != m->until))
		return ERR_NOT_FOUND;
	if (m->count % ARCHIVE_STEP != 0)
		m->steps[m->step_count++] = m->last;
	return ERR_OK;
}

/* As one state of the database has it, without the writers' lock. */
static enum err
put_whole(struct store *s, struct making *m)
{
	struct audit_sealed to;
	enum err e;

	if ((e = put_lines(s, m)) != ERR_OK || (e = store_audit_seal(s, &m->last, &to)) != ERR_OK ||
	    (e = put_mark(m->file, "to", &to)) != ERR_OK)
		return e;
	return fflush(m->file) == 0 && fsync(fileno(m->file)) == 0 ? ERR_OK : ERR_SYSTEM;
}

/* The lines of one step leave; with the first of them, a line tells of it. */
static enum err
drop_step(struct store *s, const struct making *m, unsigned step, bool *asked)
{
	const struct audit_entry entry = {
		.event = AUDIT_ARCHIVED, .outcome = "lines", .source = admin_source()
	};
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	/* The line goes behind the last one, which may be among those that leave. */
	if (step == 0)
		e = store_audit_add(s, &entry, clock_wall_ms());
	if (e == ERR_OK)
		e = store_audit_drop(
		    s, step == 0 ? &m->from : &m->steps[step - 1], &m->steps[step]);
	if (e == ERR_CONFLICT) /* somebody else archives, or worse */
		e = ERR_BUSY;
	*asked |= e == ERR_OK;
	return store_end(s, e);
}

/* Between two steps others find the lock free. */
static enum err
drop_all(struct store *s, const struct making *m, bool *asked)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000000 };
	enum err e = ERR_OK;

	for (unsigned i = 0; i < m->step_count && e == ERR_OK; i++) {
		if (i > 0)
			nanosleep(&nap, NULL);
		e = drop_step(s, m, i, asked);
	}
	return e;
}

enum err
archive_make(struct store *s, const char *path, int64_t until, struct archive_made *out)
{
	struct making m = { .until = until };
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	enum err e;

	*out = (struct archive_made){ .stays = false };
	if (fd < 0)
		return errno == EEXIST ? ERR_CONFLICT : ERR_DENIED;
	if ((m.file = fdopen(fd, "w")) == NULL) {
		close(fd);
		unlink(path);
		return ERR_SYSTEM;
	}
	if ((e = put_whole(s, &m)) == ERR_OK)
		e = file_sync_name(path);
	fclose(m.file);
	if (e == ERR_OK)
		e = drop_all(s, &m, &out->stays);
	out->last = m.last.seq;
	if (!out->stays)
		unlink(path);
	else if (store_audit_archived(s, &out->moved) != ERR_OK)
		out->moved = m.from.seq;
	return e;
}

/* A line of text as it was read. */
struct text {
	char bytes[LINE_SIZE];
	size_t len; /* one that is longer is cut, and is none of ours then: past AUDIT_TEXT_MAX */
	bool ended; /* by a newline, not by the file's end */
};

/* The next line, without its end. False: there is none, and *T stays as it is. */
static bool
next_text(FILE *f, struct text *t)
{
	int c = getc_unlocked(f);

	if (c == EOF)
		return false;
	for (t->len = 0; c != EOF && c != '\n'; c = getc_unlocked(f)) {
		if (t->len < sizeof(t->bytes))
			t->bytes[t->len++] = (char)c;
	}
	t->ended = c == '\n';
	return true;
}

/* ERR_INVALID: TEXT is no mark of KIND. Else *OK: it was made under KEY. */
static enum err
read_mark(const char *kind, const struct text *t, const struct audit_key *key,
    struct audit_mark *out, bool *ok)
{
	struct audit_sealed s;
	enum err e = audit_sealed_read(kind, t->bytes, t->len, &s);

	if (e != ERR_OK)
		return e;
	*ok = key != NULL && audit_unseal(key, AUDIT_BASE, &s) == ERR_OK;
	*out = s.mark;
	return ERR_OK;
}

/* The first line: the mark, or one of the trail's where somebody took the mark away. */
static enum err
read_begin(struct archive *a, const struct audit_key *key, struct audit_bounds *b)
{
	struct audit_line l;
	struct text t;
	enum err e;

	if (!next_text(a->file, &t))
		return ferror(a->file) ? ERR_SYSTEM : ERR_INVALID;
	if ((a->begin = ftell(a->file)) < 0)
		return ERR_SYSTEM;
	if ((e = read_mark("from", &t, key, &b->base, &b->base_ok)) != ERR_INVALID)
		return e;
	a->begin = 0;
	a->lines = 1;
	e = audit_line_read(t.bytes, t.len, &l);
	return e == ERR_OK && l.malformed ? ERR_INVALID : e;
}

/* The last one: the mark, or one of the trail's where the file was cut short, maybe within it. */
static enum err
read_end(struct archive *a, const struct audit_key *key, struct audit_bounds *b)
{
	struct text t = { .ended = true };
	enum err e;

	while (next_text(a->file, &t))
		a->lines++;
	if (ferror(a->file))
		return ERR_SYSTEM;
	e = a->lines > 0 ? read_mark("to", &t, key, &b->head, &b->head_ok) : ERR_INVALID;
	b->unfinished = e == ERR_INVALID;
	if (a->lines > 0 && (e == ERR_OK || !t.ended))
		a->lines--;
	return e == ERR_INVALID ? ERR_OK : e;
}

enum err
archive_open(
    const char *path, const struct audit_key *key, struct archive *out, struct audit_bounds *b)
{
	enum err e;

	*out = (struct archive){ .file = fopen(path, "re") };
	*b = (struct audit_bounds){ .archive = true };
	if (out->file == NULL)
		return ERR_SYSTEM;
	if ((e = read_begin(out, key, b)) == ERR_OK)
		e = read_end(out, key, b);
	if (e != ERR_OK)
		archive_close(out);
	return e;
}

void
archive_close(struct archive *a)
{
	if (a->file != NULL)
		fclose(a->file);
	a->file = NULL;
}

static enum err
rewind_archive(void *context)
{
	struct archive *a = context;

	a->read = 0;
	return fseek(a->file, a->begin, SEEK_SET) == 0 ? ERR_OK : ERR_SYSTEM;
}

static enum err
next_line(void *context, struct audit_line *out)
{
	struct archive *a = context;
	struct text t;

	if (a->read == a->lines)
		return ERR_NOT_FOUND;
	if (!next_text(a->file, &t))
		return ERR_SYSTEM;
	a->read++;
	return audit_line_read(t.bytes, t.len, out);
}

struct audit_source
archive_source(struct archive *a)
{
	return (struct audit_source){ .context = a, .rewind = rewind_archive, .next = next_line };
}
