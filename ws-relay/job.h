/* What the loop asks of the store thread, what comes of that, and what the store thread tells of
 * its own accord: records of one kind, in lists that keep their order. */
#pragma once

#include <stdbool.h>

#include "auth/token.h"
#include "base/address.h"
#include "base/request_id.h"
#include "domain/user.h"
#include "hub.h"
#include "store/store_audit.h"

enum job_kind {
	JOB_PERSIST, /* in: persist. out: outcome, user.status */
	JOB_NOTE,    /* in: note. out: outcome, when it is written; or at the thread's end */
	JOB_LOOKUP,  /* in: user.id, session and user.epoch, cookie. out: outcome (ERR_NOT_FOUND: no
			such user; ERR_DENIED: the session was ended), user */
	JOB_CHANGED, /* out only: user, a row that has changed; request */
	JOB_REVOKED, /* out only: user.id, session: it was logged out; request */
	JOB_END_CALL, /* out only: call, by its caller and id: an operator wants it ended */
	JOB_DRAIN,    /* out only: drain: an operator wants the relay drained, or no more */
};

struct job {
	enum job_kind kind;
	struct persist persist;
	struct address address; /* of JOB_PERSIST: where it was asked for */
	struct audit_entry note;
	struct user user; /* its status is the chosen one */
	struct live_call call;
	char session[JTI_MAX + 1];     /* empty: none to look at */
	char request[REQUEST_ID_SIZE]; /* whose doing it is, by the id of a REST request; "": none
					  is known */
	void *cookie;		       /* the caller's, for JOB_LOOKUP */
	bool drain;
	enum err outcome;
	struct job *next;
};

struct job_list {
	struct job *first;
	struct job **last; /* where the next one is put */
};

/* One of KIND, all else of it zero; the caller's, to free(). NULL: out of memory. */
struct job *job_new(enum job_kind kind);

void job_list_init(struct job_list *l);		      /* empty */
void job_list_add(struct job_list *l, struct job *j); /* at the end; J is the list's then */
void job_list_move(struct job_list *to, struct job_list *from); /* all of it; FROM is empty then */
void job_list_free(struct job_list *l);				/* the jobs; L is empty then */
