/* A file with a private key, its certificate and the chain, in PEM: lighttpd's. */
#pragma once

#include "base/err.h"

enum pem_state { PEM_GOOD, PEM_UNREADABLE, PEM_BROKEN /* no key, no certificate, or of another */ };

/* Looks at the file at PATH. *DAYS, where it is good: how many whole days the certificate is good
 * for yet; below 0: it has run out. */
MUST_USE enum pem_state pem_look(const char *path, int *days);
