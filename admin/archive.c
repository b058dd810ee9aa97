#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "audit/audit_text.h"
#include "base/fd.h"

enum { LINE_SIZE = AUDIT_TEXT_MAX + 2 };

/* What is being written. */
struct making {
	FILE *file;
	int64_t until;
	int64_t count;
	struct audit_mark last;
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
	e = store_audit_each(s, base.mark.seq, put_line, m);
	if (e == ERR_TOO_BIG)
		e = ERR_OK;
	return e == ERR_OK && m->count == 0 ? ERR_CONFLICT : e;
}

static enum err
put_whole(struct store *s, struct making *m)
{
	struct audit_sealed to;
	enum err e;

	if ((e = put_lines(s, m)) != ERR_OK)
		return e;
	if ((e = store_audit_archive(s, &m->last, admin_source(), &to)) != ERR_OK ||
	    (e = put_mark(m->file, "to", &to)) != ERR_OK)
		return e;
	return fflush(m->file) == 0 && fsync(fileno(m->file)) == 0 ? ERR_OK : ERR_SYSTEM;
}

enum err
archive_make(struct store *s, const char *path, int64_t until, int64_t *last)
{
	struct making m = { .until = until };
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	enum err e;

	if (fd < 0)
		return errno == EEXIST ? ERR_CONFLICT : ERR_SYSTEM;
	if ((m.file = fdopen(fd, "w")) == NULL) {
		close(fd);
		unlink(path);
		return ERR_SYSTEM;
	}
	if ((e = store_begin(s)) == ERR_OK) {
		if ((e = put_whole(s, &m)) == ERR_OK)
			e = file_sync_name(path);
		e = store_end(s, e);
	}
	fclose(m.file);
	if (e != ERR_OK)
		unlink(path);
	*last = m.last.seq;
	return e;
}

/* The next line of text, without its end. False: there is none. One that is too long comes cut,
 * and is none of ours then. */
static bool
next_text(FILE *f, char text[LINE_SIZE], size_t *len)
{
	int c;

	if (fgets(text, LINE_SIZE, f) == NULL)
		return false;
	*len = strlen(text);
	if (*len > 0 && text[*len - 1] == '\n') {
		text[--*len] = '\0';
		return true;
	}
	while ((c = getc(f)) != EOF && c != '\n')
		text[0] = '?';
	return true;
}

enum err
archive_open(
    const char *path, const struct audit_key *key, struct archive *out, struct audit_bounds *b)
{
	char text[LINE_SIZE];
	struct audit_sealed mark;
	bool more;
	size_t len = 0;

	*out = (struct archive){ .file = fopen(path, "re") };
	*b = (struct audit_bounds){ .after = 0 };
	if (out->file == NULL)
		return ERR_SYSTEM;
	more = next_text(out->file, text, &len);
	b->base_ok = more && audit_sealed_read("from", text, len, &mark) == ERR_OK &&
		     audit_unseal(key, AUDIT_BASE, &mark) == ERR_OK;
	if (b->base_ok)
		b->base = mark.mark;
	if ((out->begin = ftell(out->file)) < 0) {
		archive_close(out);
		return ERR_SYSTEM;
	}
	while (next_text(out->file, text, &len))
		out->lines++;
	if (out->lines > 0 && audit_sealed_read("to", text, len, &mark) == ERR_OK) {
		out->lines--;
		b->head_ok = audit_unseal(key, AUDIT_BASE, &mark) == ERR_OK;
		b->head = mark.mark;
	}
	return ERR_OK;
}

void
archive_close(struct archive *a)
{
	if (a->file != NULL)
		fclose(a->file);
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
	char text[LINE_SIZE];
	size_t len = 0;

	if (a->read == a->lines)
		return ERR_NOT_FOUND;
	if (!next_text(a->file, text, &len))
		return ERR_SYSTEM;
	a->read++;
	return audit_line_read(text, len, out);
}

struct audit_source
archive_source(struct archive *a)
{
	return (struct audit_source){ .context = a, .rewind = rewind_archive, .next = next_line };
}
