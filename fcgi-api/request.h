/* One REST request on its way from the server through the router to a handler, and its reply on the
 * way back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/known_tokens.h"
#include "base/address.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/request_id.h"
#include "config/paths.h"
#include "store/store_audit.h"
#include "store/store_user.h"
#include "json/json.h"

enum {
	FAULTS_MAX = 8,
	REPLY_BYTES_MAX = 16 << 20,
	ETAG_SIZE = sizeof("\"0123456789abcdef\""),
};

/* An answer that is the same for all until the database changes. */
struct kept_answer {
	struct buf body;
	char etag[ETAG_SIZE]; /* RFC 9110 8.8.3; "": nothing is kept */
	uint32_t state;	      /* store_state() of what it says */
};

/* What a worker process has for all its requests. */
struct service {
	const struct config *config;
	struct token_keys keys;
	struct known_tokens known;
	struct store *store; /* NULL while the database cannot be opened */
	struct data_paths paths;
	struct kept_answer doctors;
	int auth_fd;	   /* where logins and registrations come in; -1: nowhere */
	int64_t probed_ms; /* monotonic: when the database could be written to; 0: it could not */
};

enum method { HTTP_OTHER, HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OPTIONS };

/* A field of the body that breaks a rule. All static text. */
struct fault {
	const char *field;
	const char *code;
	const char *detail;
};

struct reply {
	int status;	  /* 0: none yet */
	const char *code; /* of the problem; NULL: it is none */
	const char *content_type;
	const char *authenticate; /* WWW-Authenticate, or NULL */
	char allow[64];		  /* Allow, or empty */
	int64_t retry_after_s;	  /* Retry-After, or 0 */
	const char *etag;	  /* ETag, or NULL: not to be kept by anybody */
	struct buf body;
};

struct request {
	struct service *service;
	char id[REQUEST_ID_SIZE]; /* in the log line, X-Request-Id and every problem's instance,
				     and with the changes that it makes */

	/* As lighttpd handed it over; "" or NULL where there is none. Owned by the server. */
	enum method method;
	const char *path;
	const char *query; /* as it was sent */
	const char *authorization;
	const char *origin;
	const char *if_none_match;
	const char *scheme;
	const char *host;
	struct address
	    address; /* the peer's, by lighttpd's word; no header of the client changes it */
	struct buf body;
	bool body_too_large;

	/* What the router has found out before the handler runs. */
	const char *route;    /* the path of the row that matched, for the log; NULL: none */
	struct claims claims; /* SIGNED_IN and DOCTORS: what the token says */
	struct account who;   /* SIGNED_IN and DOCTORS: the caller as the database has it now */
	struct json *json;    /* rows with a body: its object */

	struct fault faults[FAULTS_MAX];
	unsigned fault_count;
	struct reply reply;
};

/* The database, opened again where it was lost or another stands in its place. ERR_OK:
 * service->store is there. */
MUST_USE enum err service_store(struct service *s);

/* Does a login or a registration wait for a worker? */
bool service_auth_waits(const struct service *s);

/* Starts a 2xx JSON reply; the handler writes one object with W. */
void reply_begin(struct request *q, int status, struct json_writer *w);

/* Answers with KEPT: 200, or 304 where the client has it already (If-None-Match, RFC 9110 13.1.2).
 */
void reply_kept(struct request *q, const struct kept_answer *kept);

/* Names what stands in KEPT's body, by its content. */
void kept_answer_name(struct kept_answer *kept);

/* Writes a user as the member KEY; EMAIL is one's own, or NULL. Only a pending doctor has the
 * member "pending". */
void write_user(struct json_writer *w, const char *key, const struct user *u, const char *email);
