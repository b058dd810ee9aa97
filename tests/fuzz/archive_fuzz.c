/* An archive of the audit trail that somebody may have edited, each line of the input one of its
 * own, but that of these the target makes one under the right key:
 *
 *   <7       the mark that the archive begins behind line 7
 *   +        the next line of the trail
 *   =TEXT    the line that TEXT is, with the right MAC behind the one before
 *   >        the mark that it ends here
 *
 * It is whole where it has nothing but these, in their order; else what is wrong is found. */
#include "../../admin/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../admin/admin.h"
#include "audit/audit_text.h"
#include "fuzz.h"
#include "strict.h"

static const struct audit_key key = { .bytes = "0123456789abcdef0123456789abcdef", .len = 32 };

/* What is being made. */
struct making {
	struct buf text;
	struct audit_mark last;
	bool begun;
	bool ended;
	bool whole;
};

/* The command's, for what it writes down itself. */
const char *
admin_source(void)
{
	return "uid:0";
}

static void
put_mark(struct making *m, const char *kind)
{
	struct audit_sealed s;

	MUST(audit_seal(&key, AUDIT_BASE, &m->last, &s) == ERR_OK);
	audit_sealed_write(kind, &s, &m->text);
}

static void
put_line(struct making *m, struct audit_line *l)
{
	m->whole = m->whole && m->begun && !m->ended && l->seq == m->last.seq + 1 &&
		   strcmp(l->event, audit_event_name(AUDIT_HEAD_LOST)) != 0;
	MUST(audit_line_mac(&key, m->last.mac, l, l->mac));
	m->last.seq = l->seq;
	memcpy(m->last.mac, l->mac, sizeof(l->mac));
	audit_line_write(l, &m->text);
}

static void
put_next(struct making *m)
{
	struct audit_line l = { .seq = m->last.seq + 1, .at_ms = 1, .event = "login", .user = 7 };

	memcpy(l.outcome, "ok", 3);
	put_line(m, &l);
}

/* Somebody's text, read, and written as a line where it is one. */
static void
put_signed(struct making *m, const char *text, size_t len)
{
	struct audit_line l;
	struct strict *back;
	struct buf b;

	MUST(audit_line_read(text, len, &l) == ERR_OK);
	buf_init(&b, AUDIT_TEXT_MAX);
	audit_line_write(&l, &b);
	back = strict_read(b.data, b.len);
	MUST(!b.failed && strict_is_object(back));
	strict_free(back);
	buf_fini(&b);
	if (!l.malformed && audit_line_ok(&l)) {
		put_line(m, &l);
		return;
	}
	m->whole = false;
	buf_add(&m->text, text, len);
}

static void
put(struct making *m, const char *line, size_t len)
{
	char *exact = fuzz_bytes(line, len);

	if (len > 0 && line[0] == '<' && !m->begun) {
		m->last.seq = len > 1 && line[1] >= '0' && line[1] <= '9' ? line[1] - '0' : 0;
		m->begun = true;
		m->whole = m->whole && !m->ended;
		put_mark(m, "from");
	} else if (len == 1 && line[0] == '>' && !m->ended) {
		m->ended = true;
		put_mark(m, "to");
	} else if (len == 1 && line[0] == '+') {
		put_next(m);
	} else if (len > 0 && line[0] == '=') {
		put_signed(m, exact + 1, len - 1);
	} else {
		m->whole = false;
		buf_add(&m->text, exact, len);
	}
	buf_add(&m->text, "\n", 1);
	free(exact);
}

static void
check_archive(bool whole)
{
	char said[AUDIT_SENTENCE_SIZE];
	struct audit_source source;
	struct audit_report r;
	struct audit_bounds b;
	struct archive a;
	enum err e;

	e = archive_open("archive", &key, &a, &b);
	MUST(e == ERR_OK || (e == ERR_INVALID && !whole));
	if (e != ERR_OK)
		return;
	source = archive_source(&a);
	MUST(audit_verify(&key, &b, &source, &r) == ERR_OK);
	archive_close(&a);
	MUST((r.trouble == AUDIT_WHOLE) == whole);
	MUST(audit_trouble_name(r.trouble) != NULL);
	audit_sentence(&r, said);
	MUST(memchr(said, '\0', sizeof(said)) != NULL && said[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool here;
	struct fuzz_input in = { (const char *)data, size };
	struct making m = { .whole = true };
	const char *line;
	size_t len;
	FILE *f;

	if (!here)
		fuzz_scratch();
	here = true;
	buf_init(&m.text, 1 << 20);
	while (fuzz_line(&in, &line, &len))
		put(&m, line, len);
	f = fopen("archive", "wb");
	MUST(f != NULL && !m.text.failed);
	MUST(fwrite(m.text.len > 0 ? m.text.data : "", 1, m.text.len, f) == m.text.len);
	MUST(fclose(f) == 0);
	check_archive(m.whole && m.begun && m.ended);
	buf_fini(&m.text);
	return 0;
}
