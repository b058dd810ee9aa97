/* SHA-1 (RFC 3174) of a short text in Base64: what answers a WebSocket handshake. */
#pragma once

#include <stddef.h>

enum { SHA1_BASE64_SIZE = 29 };

/* LEN is at most 247. */
void sha1_base64(const char *text, size_t len, char out[SHA1_BASE64_SIZE]);
