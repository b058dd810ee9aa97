#include "audit/audit_verify.h"

#include <stdio.h>
#include <string.h>

/* How many deleted lines are looked for where those behind have been given other numbers. */
enum { RENUMBERED_MAX = 1000 };

struct walk {
	const struct audit_key *key;
	const struct audit_bounds *bounds;
	const struct audit_source *source;
	struct audit_report *report;
	struct audit_mark at; /* the last line that is in order */
};

static void
found(struct walk *w, enum audit_trouble trouble, int64_t line, int64_t to)
{
	w->report->trouble = trouble;
	w->report->line = line;
	w->report->to = to;
}

/* The same, and how to go on. */
static void
found_at(struct walk *w, enum audit_trouble trouble, int64_t line, int64_t to, int64_t behind)
{
	found(w, trouble, line, to);
	w->report->behind = behind;
}

/* Does L stand rightly behind the MAC of PREVIOUS, if its number were SEQ? */
static bool
fits(const struct walk *w, const unsigned char *previous, const struct audit_line *l, int64_t seq)
{
	unsigned char mac[AUDIT_MAC_BYTES];
	struct audit_line as = *l;

	as.seq = seq;
	return audit_line_ok(&as) && audit_line_mac(w->key, previous, &as, mac) &&
	       audit_mac_same(mac, l->mac);
}

/* By how much the number of L, which stands behind PREVIOUS, was lowered; 0: it is its own. -1:
 * neither. */
static int64_t
lowered_by(
    const struct walk *w, const unsigned char previous[AUDIT_MAC_BYTES], const struct audit_line *l)
{
	for (int64_t by = 0; by <= RENUMBERED_MAX; by++) {
		if (fits(w, previous, l, l->seq + by))
			return by;
	}
	return -1;
}

/* BAD stands where the line behind w->at should. What stands behind it tells why. */
static enum err
find_out(struct walk *w, const struct audit_line *bad)
{
	int64_t want = w->at.seq + 1;
	bool is_next = false; /* L is the one behind BAD */
	int64_t lowered = -1;
	struct audit_line l;
	enum err e;

	if ((e = w->source->rewind(w->source->context)) != ERR_OK)
		return e;
	while ((e = w->source->next(w->source->context, &l)) == ERR_OK) {
		if (fits(w, w->at.mac, &l, want)) {
			if (l.seq == want && bad->seq < want) /* BAD was put between */
				found_at(w, AUDIT_EDITED, want, want, want);
			else
				found(w, AUDIT_SWAPPED, want, l.seq == want ? bad->seq : l.seq);
			return ERR_OK;
		}
		if (is_next)
			lowered = lowered_by(w, bad->mac, &l);
		is_next = audit_mac_same(l.mac, bad->mac) && l.seq == bad->seq;
	}
	if (e != ERR_NOT_FOUND)
		return e;
	if (bad->seq > want && !bad->malformed)
		found_at(w, AUDIT_MISSING, want, bad->seq - 1, bad->seq);
	else if (lowered > 0)
		found(w, AUDIT_RENUMBERED, want, want + lowered - 1);
	else
		found_at(w, AUDIT_EDITED, want, want, bad->malformed ? want + 1 : want);
	return ERR_OK;
}

static bool
is_anchor_wrong(const struct audit_bounds *b, int64_t seq, const unsigned char *mac)
{
	return b->anchored && seq == b->anchor.seq && !audit_mac_same(mac, b->anchor.mac);
}

/* L is in order. */
static void
pass(struct walk *w, const struct audit_line *l)
{
	const struct audit_bounds *b = w->bounds;

	w->at.seq = l->seq;
	memcpy(w->at.mac, l->mac, sizeof(w->at.mac));
	w->report->lines++;
	if (b->head_ok && l->seq > b->head.seq)
		w->report->past_head++;
	if (is_anchor_wrong(b, l->seq, l->mac))
		found(w, AUDIT_NOT_ANCHOR, l->seq, l->seq);
	else if (b->head_ok && l->seq == b->head.seq && !audit_mac_same(l->mac, b->head.mac))
		found_at(w, AUDIT_OTHER_HEAD, l->seq, l->seq, l->seq);
	else if (strcmp(l->event, audit_event_name(AUDIT_HEAD_LOST)) == 0)
		found_at(w, AUDIT_LOST_HEAD, l->seq, l->seq, l->seq);
}

/* L is known already: its MAC is taken as it stands, so that what is behind it can be looked at. */
static void
skip(struct walk *w, const struct audit_line *l)
{
	if (l->malformed) {
		if (l->seq == w->bounds->after)
			found_at(w, AUDIT_EDITED, l->seq, l->seq, l->seq + 1);
		return;
	}
	w->at.seq = l->seq;
	memcpy(w->at.mac, l->mac, sizeof(w->at.mac));
	if (is_anchor_wrong(w->bounds, l->seq, l->mac))
		found(w, AUDIT_NOT_ANCHOR, l->seq, l->seq);
}

static enum err
look_at(struct walk *w, const struct audit_line *l)
{
	if (w->at.seq < w->bounds->after) {
		if (l->seq <= w->bounds->after)
			skip(w, l);
		else
			found_at(w, AUDIT_MISSING, w->at.seq + 1, l->seq - 1, l->seq);
		return ERR_OK;
	}
	if (l->seq == w->at.seq + 1 && fits(w, w->at.mac, l, l->seq)) {
		pass(w, l);
		return ERR_OK;
	}
	return find_out(w, l);
}

/* All lines are in order. Are they all? */
static void
look_at_end(struct walk *w)
{
	const struct audit_bounds *b = w->bounds;

	if (!b->head_ok)
		found(w, b->unfinished ? AUDIT_ENDS_EARLY : AUDIT_NO_HEAD, w->at.seq, w->at.seq);
	else if (b->head.seq > w->at.seq)
		found(w, AUDIT_CUT, w->at.seq + 1, b->head.seq);
	else if (b->after > w->at.seq)
		found(w, AUDIT_NO_LINE, b->after, w->at.seq);
	else if (b->anchored && b->anchor.seq > w->at.seq && !b->archive)
		found(w, AUDIT_CUT, w->at.seq + 1, b->anchor.seq);
	else if (b->anchored && (b->anchor.seq > w->at.seq || b->anchor.seq < b->base.seq))
		found(w, AUDIT_ANCHOR_ELSEWHERE, b->anchor.seq, w->at.seq);
}

enum err
audit_verify(const struct audit_key *key, const struct audit_bounds *b,
    const struct audit_source *source, struct audit_report *out)
{
	struct walk w = { .key = key, .bounds = b, .source = source, .report = out, .at = b->base };
	struct audit_line l;
	enum err e;

	*out = (struct audit_report){ .trouble = AUDIT_WHOLE, .last = b->base };
	if (!b->base_ok) {
		found(&w, AUDIT_NO_BASE, 1, 1);
		return ERR_OK;
	}
	if (is_anchor_wrong(b, b->base.seq, b->base.mac)) {
		found(&w, AUDIT_NOT_ANCHOR, b->base.seq, b->base.seq);
		return ERR_OK;
	}
	e = source->rewind(source->context);
	while (e == ERR_OK && out->trouble == AUDIT_WHOLE) {
		if ((e = source->next(source->context, &l)) == ERR_OK)
			e = look_at(&w, &l);
	}
	out->last = w.at;
	if (e == ERR_NOT_FOUND) {
		look_at_end(&w);
		e = ERR_OK;
	}
	return e;
}

const char *
audit_trouble_name(enum audit_trouble t)
{
	static const char *const names[] = {
		[AUDIT_WHOLE] = "whole",
		[AUDIT_EDITED] = "edited",
		[AUDIT_MISSING] = "deleted",
		[AUDIT_RENUMBERED] = "deleted_and_renumbered",
		[AUDIT_SWAPPED] = "swapped",
		[AUDIT_CUT] = "cut",
		[AUDIT_NO_HEAD] = "no_head",
		[AUDIT_OTHER_HEAD] = "other_head",
		[AUDIT_LOST_HEAD] = "head_was_lost",
		[AUDIT_NO_BASE] = "no_base",
		[AUDIT_NOT_ANCHOR] = "not_the_anchor",
		[AUDIT_NO_LINE] = "no_such_line",
		[AUDIT_ENDS_EARLY] = "ends_early",
		[AUDIT_ANCHOR_ELSEWHERE] = "anchor_elsewhere",
	};

	return names[t];
}

void
audit_sentence(const struct audit_report *r, char out[AUDIT_SENTENCE_SIZE])
{
	/* ONE: of a single line, where it is said otherwise of LINE to TO. */
	static const struct {
		const char *text, *one;
	} sentences[] = {
		[AUDIT_WHOLE] = { "The trail is whole up to line %lld.", NULL },
		[AUDIT_EDITED] = { "Line %lld was edited, or written under another key: it is not "
				   "what was written there.",
		    NULL },
		[AUDIT_MISSING] = { "Lines %lld to %lld were deleted.", "Line %lld was deleted." },
		[AUDIT_RENUMBERED] = { "Lines %lld to %lld were deleted, and those behind them "
				       "have their numbers.",
		    "Line %lld was deleted, and those behind it have other numbers." },
		[AUDIT_SWAPPED] = { "Lines %lld and %lld were swapped.", NULL },
		[AUDIT_CUT] = { "The trail was cut: lines %lld to %lld, the last, are missing.",
		    "The trail was cut: line %lld, the last, is missing." },
		[AUDIT_NO_HEAD] = { "The head (of an archive: the mark at its end) is missing or "
				    "was not made under this key: what stood behind line %lld may "
				    "have been cut.",
		    NULL },
		[AUDIT_OTHER_HEAD] = { "Line %lld is another one than the head says.", NULL },
		[AUDIT_LOST_HEAD] = { "The head was missing when line %lld was written: lines "
				      "before it may have been cut.",
		    NULL },
		[AUDIT_NO_BASE] = { "The mark of what was archived was not made under this key: "
				    "what stood before the first line may have been deleted.",
		    NULL },
		[AUDIT_NOT_ANCHOR] = { "Line %lld has another MAC than the one that was noted.",
		    NULL },
		[AUDIT_NO_LINE] = { "There is no line %lld to begin behind: the last is %lld.",
		    NULL },
		[AUDIT_ENDS_EARLY] = { "The archive ends before its last line, behind line %lld: "
				       "the file was cut short, or not copied to its end.",
		    NULL },
		[AUDIT_ANCHOR_ELSEWHERE] = { "The anchor was not checked, for line %lld is not "
					     "here: verify the archive that has it, or the "
					     "database. What is here is whole up to line %lld.",
		    NULL },
	};
	int64_t line = r->trouble == AUDIT_WHOLE ? r->last.seq : r->line;
	const char *text = sentences[r->trouble].text;

	if (r->line == r->to && sentences[r->trouble].one != NULL)
		text = sentences[r->trouble].one;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(out, AUDIT_SENTENCE_SIZE, text, (long long)line, (long long)r->to);
#pragma GCC diagnostic pop
}
