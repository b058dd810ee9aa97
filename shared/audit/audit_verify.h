/* Is the audit trail as it was written? Pure: the lines come from whoever has them, the database or
 * a file. */
#pragma once

#include "audit/audit.h"

enum audit_trouble {
	AUDIT_WHOLE,
	AUDIT_EDITED,  /* LINE is not what was written there; or was not written under this key */
	AUDIT_MISSING, /* LINE to TO were deleted, or were never there */
	AUDIT_RENUMBERED,	/* the same, and the lines behind have been given their numbers */
	AUDIT_SWAPPED,		/* in the place of LINE stands TO, or the other way round */
	AUDIT_CUT,		/* LINE to TO, the last, are missing */
	AUDIT_NO_HEAD,		/* the head is missing, or not one that was made under this key */
	AUDIT_OTHER_HEAD,	/* LINE, where the head is, is another one than it was */
	AUDIT_LOST_HEAD,	/* LINE says that the head was missing when it was written */
	AUDIT_NO_BASE,		/* the mark of what was archived was not made under this key */
	AUDIT_NOT_ANCHOR,	/* LINE has not the MAC that was noted */
	AUDIT_NO_LINE,		/* there is no LINE to begin behind: the trail ends before it */
	AUDIT_ENDS_EARLY,	/* of an archive: it ends behind LINE, and has no mark there */
	AUDIT_ANCHOR_ELSEWHERE, /* all is in order, but LINE, the anchor's, is not among it */
};

/* The lines in their order, from the first. REWIND: NEXT gives the first again. NEXT: ERR_NOT_FOUND
 * after the last. */
struct audit_source {
	void *context;
	enum err (*rewind)(void *context);
	enum err (*next)(void *context, struct audit_line *out);
};

/* What is known of the trail besides its lines. */
struct audit_bounds {
	bool base_ok;		/* false: BASE was not made under the key */
	struct audit_mark base; /* 0 where nothing was archived */
	bool head_ok;		/* false: there is none that was made under the key */
	struct audit_mark head; /* of an archive: the mark at its end */
	bool archive;		/* what is behind the head is elsewhere */
	bool unfinished;	/* an archive that has no mark at its end, good or bad */
	int64_t after; /* what stands before this line is not looked at, and its MAC is taken as it
			  stands; 0: all is */
	bool anchored;
	struct audit_mark anchor; /* noted by somebody at an earlier time; not before AFTER */
};

struct audit_report {
	enum audit_trouble trouble; /* the first; what is behind it was not looked at */
	int64_t line;
	int64_t to;
	int64_t behind;		/* as AFTER it goes on behind the place; 0: nothing is known to */
	int64_t lines;		/* found in order */
	struct audit_mark last; /* of them */
	int64_t past_head; /* of them, behind the head: written, and their program killed before the
			      head was */
};

/* Reads all lines of SOURCE, twice where it must find out what has happened to them. Any failure is
 * the source's, or ERR_SYSTEM: no memory. */
MUST_USE enum err audit_verify(const struct audit_key *key, const struct audit_bounds *b,
    const struct audit_source *source, struct audit_report *out);

/* A word for it, like "edited"; and a sentence for an operator, in OUT. */
const char *audit_trouble_name(enum audit_trouble t);
enum { AUDIT_SENTENCE_SIZE = 256 };
void audit_sentence(const struct audit_report *r, char out[AUDIT_SENTENCE_SIZE]);
