/* What a user is, and the rules for what people type about themselves. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "domain/ids.h"

enum role { ROLE_NONE, ROLE_PATIENT, ROLE_DOCTOR };
enum status { STATUS_NONE, STATUS_ONLINE, STATUS_BUSY, STATUS_OFFLINE };

enum {
	NAME_CHARS_MAX = 100,
	NAME_BYTES_MAX = NAME_CHARS_MAX * 4, /* UTF-8's longest */
	EMAIL_BYTES_MAX = 254,		     /* RFC 5321 4.5.3.1.3, less the angle brackets */
	PASSWORD_BYTES_MIN = 8,
	PASSWORD_BYTES_MAX = 72, /* bcrypt reads no further */
};

struct user {
	struct user_id id;
	enum role role;
	enum status status;
	bool pending;  /* a doctor whom no operator has approved yet */
	bool disabled; /* by an operator: cannot log in, and is as nobody to others */
	int64_t epoch; /* of her sessions: a token of another one is dead */
	char name[NAME_BYTES_MAX + 1];
};

/* Is she shown to nobody but herself? */
static inline bool
user_is_hidden(const struct user *u)
{
	return u->pending || u->disabled;
}

/* TELEMED_VISIBILITY: does everybody see everybody, or a patient only doctors and herself? */
enum visibility { VISIBILITY_ALL, VISIBILITY_SCOPED };

/* What of others somebody is shown, and can send something to. Herself she always is, besides. */
enum audience {
	AUDIENCE_ALL,	  /* everybody */
	AUDIENCE_DOCTORS, /* doctors alone */
	AUDIENCE__COUNT
};
enum audience audience_of(enum visibility v, enum role role, bool hidden);

/* Is one of ROLE shown to AUDIENCE? One who is hidden is shown to nobody. */
bool audience_sees(enum audience audience, enum role role, bool hidden);

/* The names on the wire and in the database, and back; *_NONE for any other text, NULL included. */
const char *role_name(enum role r);
const char *status_name(enum status s);
enum role role_from_name(const char *name);
enum status status_from_name(const char *name);

/* Each rule takes valid UTF-8 and returns NULL where it holds, or else a static sentence for the
 * person who typed. */

/* Copies NAME without the white space at its ends into OUT. 1 to 100 characters, none of them a
 * control character. */
const char *name_rule(const char *name, char out[NAME_BYTES_MAX + 1]);
const char *email_rule(const char *email);
const char *password_rule(const char *password);
