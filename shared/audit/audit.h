/* The audit trail: what a line is, and how the lines are chained. docs/audit.md says what is
 * recorded, and what the chain proves and what not.
 *
 * Every line has an HMAC-SHA256 (RFC 2104) over the one before it and its own text, under a key
 * that is not in the database. Lines are numbered from 1 without a gap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/err.h"
#include "domain/ids.h"

enum {
	AUDIT_MAC_BYTES = 32,
	AUDIT_MAC_HEX = 2 * AUDIT_MAC_BYTES,
	AUDIT_KEY_BYTES_MIN = 32,
	AUDIT_KEY_BYTES_MAX = 1024,
	AUDIT_WORD_MAX = 32, /* of an event and an outcome */
	AUDIT_SOURCE_SIZE = ADDRESS_TEXT_SIZE,
};

enum audit_event {
	AUDIT_REGISTERED,   /* outcome: the role */
	AUDIT_LOGIN,	    /* ok */
	AUDIT_LOGIN_FAILED, /* wrong_password, unknown_account (no user then) */
	AUDIT_LIMITED, /* attempts (before anybody looks whose), messages, flood (and is closed) */
	AUDIT_DENIED,  /* the code of the refusal, of a user who is known */
	AUDIT_LOGOUT,  /* ok: the session is over */
	AUDIT_STATUS,  /* the status that was chosen */
	AUDIT_CALL_STARTED,  /* ringing */
	AUDIT_CALL_ANSWERED, /* active */
	AUDIT_CALL_ENDED,    /* the reason; USER is whose act or absence ended it */
	AUDIT_ADMIN,	     /* the act; PEER is to whom */
	AUDIT_ARCHIVED,	     /* lines were moved to a file */
	AUDIT_HEAD_LOST,     /* the head (below) was gone: lines before this one may be, too */
	AUDIT__COUNT
};

/* Its name in the trail. Static. */
const char *audit_event_name(enum audit_event e);

/* One line, as it stands in the trail, which may have been written by another version or by
 * somebody else. */
struct audit_line {
	int64_t seq;
	int64_t at_ms; /* on the wall clock */
	char event[AUDIT_WORD_MAX + 1];
	char outcome[AUDIT_WORD_MAX + 1];
	int64_t user;	  /* 0: nobody that is known */
	int64_t peer;	  /* the other one; 0: none */
	int64_t call;	  /* the database's own number of it; 0: none */
	int64_t left_out; /* events of this kind that were too many for a line each, before it */
	char source[AUDIT_SOURCE_SIZE]; /* the peer's address; uid:N for a command; "": unknown */
	unsigned char mac[AUDIT_MAC_BYTES];
	bool malformed; /* it breaks a bound, and what stands above is what could be read */
};

struct audit_key {
	unsigned char bytes[AUDIT_KEY_BYTES_MAX];
	size_t len;
};

/* A place in the chain. Before the first line: 0, and a MAC of zeros. */
struct audit_mark {
	int64_t seq;
	unsigned char mac[AUDIT_MAC_BYTES];
};

/* A mark that stands somewhere else than the lines, with a MAC of its own so that nobody makes one
 * up. */
enum audit_mark_kind {
	AUDIT_HEAD, /* the last line, in a file beside the database: what is missing after a cut */
	AUDIT_BASE, /* the last line that was archived: where what is left begins */
};
struct audit_sealed {
	struct audit_mark mark;
	unsigned char seal[AUDIT_MAC_BYTES];
};

/* Is every field of L within its bounds: words of A-Z a-z 0-9 _, a source of a-z 0-9 . and :,
 * numbers not below 0, SEQ from 1 on? */
bool audit_line_ok(const struct audit_line *l);

/* To be asked before the first MAC. False: there was no memory for OpenSSL's own beginning, and it
 * would crash. */
bool audit_can_mac(void);

/* The MAC of L, which is audit_line_ok(), behind PREVIOUS. False: no memory. */
bool audit_line_mac(const struct audit_key *key, const unsigned char previous[AUDIT_MAC_BYTES],
    const struct audit_line *l, unsigned char out[AUDIT_MAC_BYTES]);

bool audit_mac_same(const unsigned char *a, const unsigned char *b); /* in constant time */

MUST_USE enum err audit_seal(const struct audit_key *key, enum audit_mark_kind kind,
    const struct audit_mark *m, struct audit_sealed *out);
/* ERR_INVALID: it was not made under KEY, as KIND. */
MUST_USE enum err audit_unseal(
    const struct audit_key *key, enum audit_mark_kind kind, const struct audit_sealed *s);

/* In lower case, with a NUL; and back. False: not as many hexadecimal digits and no more. */
void audit_hex(const unsigned char mac[AUDIT_MAC_BYTES], char out[AUDIT_MAC_HEX + 1]);
bool audit_unhex(const char *text, unsigned char out[AUDIT_MAC_BYTES]);
