/* What the two of a call are told of STUN and TURN servers. The credentials are those that coturn
 * checks under use-auth-secret (draft-uberti-behave-turn-rest-00): made of a secret that both know,
 * so that neither has to ask the other. Pure: no clock, no environment. */
#pragma once

#include <stdint.h>

#include "config/turn_settings.h"
#include "domain/ids.h"
#include "json/json.h"

/* How long a credential is good. A TURN server looks at it whenever a client wants an address
 * there, which one does whose network changes in the last minute of a call: so longer than the
 * longest call, four hours, after the longest ring, one. */
enum { TURN_TTL_S = 6 * 3600 };

/* Who is told, and when. */
struct turn_grant {
	const struct turn_settings *settings; /* the caller's */
	struct user_id user;
	int64_t now_s; /* Unix time */
};

/* A username "EXPIRY:USER" and the credential for it. */
struct turn_credential {
	char username[2 * sizeof("-9223372036854775808")];
	char credential[(20 + 2) / 3 * 4 + 1]; /* 20 bytes in base64 */
};

/* Makes one under SECRET, good for TURN_TTL_S. False: libcrypto could not. */
bool turn_credential_make(const struct turn_secret *secret, struct user_id user, int64_t now_s,
    struct turn_credential *out);

/* Writes the member KEY, a list of W3C's RTCIceServer ("WebRTC: Real-Time Communication in
 * Browsers" 4.2.2): one for all STUN servers, then one for each secret with all TURN servers, a
 * username "EXPIRY:USER" and the credential for it; [] where none is configured. With two secrets a
 * client is let in by a TURN server that knows either. Where libcrypto cannot make a credential the
 * writer's buffer has failed, as where there is no memory. */
void turn_write(struct json_writer *w, const char *key, const struct turn_grant *g);
