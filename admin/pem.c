#include "pem.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <unistd.h>

static bool
load(SSL_CTX *ctx, const char *path)
{
	/* A key that wants a password is none: nobody is asked for it. */
	static char nothing[] = "";

	SSL_CTX_set_default_passwd_cb_userdata(ctx, nothing);
	return SSL_CTX_use_certificate_chain_file(ctx, path) == 1 &&
	       SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1 &&
	       SSL_CTX_check_private_key(ctx) == 1;
}

enum pem_state
pem_look(const char *path, int *days)
{
	enum pem_state state = PEM_BROKEN;
	int seconds = 0;
	SSL_CTX *ctx;

	if (access(path, R_OK) != 0)
		return PEM_UNREADABLE;
	if ((ctx = SSL_CTX_new(TLS_server_method())) == NULL)
		return PEM_BROKEN;
	if (load(ctx, path) && ASN1_TIME_diff(days, &seconds, NULL,
				   X509_get0_notAfter(SSL_CTX_get0_certificate(ctx))) == 1) {
		state = PEM_GOOD;
		if (*days == 0 && seconds <= 0)
			*days = -1;
	}
	SSL_CTX_free(ctx);
	return state;
}
