#include "turn_wire.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	PATIENCE_S = 5,	     /* for each thing that is waited for on a stream */
	FIRST_WAIT_MS = 500, /* over UDP, then twice as long each time */
	TRIES = 4,
};

struct turn_wire {
	int fd;
	bool stream;
	SSL_CTX *tls_context; /* NULL: without TLS */
	SSL *tls;
};

/* What of a URL matters here. */
struct way {
	char host[TURN_HOST_MAX + 1];
	char port[sizeof("65535")];
	bool tls;
	bool tcp;
};

static void
copy(char *out, size_t size, const char *from, size_t len)
{
	snprintf(out, size, "%.*s", (int)len, from);
}

static struct way
read_url(const char *url)
{
	const char *host = url + strcspn(url, ":") + 1;
	const char *query = strchr(url, '?');
	bool secure = host[-2] == 's'; /* stuns: and turns: */
	size_t len = strcspn(host, host[0] == '[' ? "]" : ":?");
	const char *behind = host + len + (host[len] == ']' ? 1 : 0);
	struct way w = { .tls = secure, .tcp = secure };

	if (query != NULL)
		w.tcp = strcmp(query, "?transport=tcp") == 0;
	if (host[0] == '[')
		copy(w.host, sizeof(w.host), host + 1, len - 1);
	else
		copy(w.host, sizeof(w.host), host, len);
	if (*behind == ':')
		copy(w.port, sizeof(w.port), behind + 1, strcspn(behind + 1, "?"));
	else
		copy(w.port, sizeof(w.port), secure ? "5349" : "3478", 4);
	return w;
}

/* A socket connected to one of the addresses of W; -1, and why not. */
static int
connect_to(const struct way *w, char why[TURN_WHY_SIZE])
{
	const struct addrinfo hints = { .ai_socktype = w->tcp ? SOCK_STREAM : SOCK_DGRAM };
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(w->host, w->port, &hints, &found);
	int fd = -1;

	if (rc != 0) {
		snprintf(why, TURN_WHY_SIZE, "Its name cannot be found: %s.", gai_strerror(rc));
		return -1;
	}
	snprintf(why, TURN_WHY_SIZE, "It has no address.");
	for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd < 0)
			continue;
		/* They bound connect(2) as well (socket(7)). */
		(void)!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		(void)!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		snprintf(why, TURN_WHY_SIZE, "It cannot be reached: %s.",
		    errno == EINPROGRESS ? "it does not answer" : strerror(errno));
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

/* The certificate must be the host's, as a browser wants it. */
static bool
expect_host(SSL *tls, char *host)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(tls);

	if (X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1)
		return true;
	ERR_clear_error();
	return SSL_set1_host(tls, host) == 1 && SSL_set_tlsext_host_name(tls, host) == 1;
}

static bool
shake_hands(struct turn_wire *w, char *host, char why[TURN_WHY_SIZE])
{
	long verdict;

	snprintf(why, TURN_WHY_SIZE, "There is no memory for TLS.");
	if ((w->tls_context = SSL_CTX_new(TLS_client_method())) == NULL)
		return false;
	SSL_CTX_set_verify(w->tls_context, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_default_verify_paths(w->tls_context) != 1 ||
	    (w->tls = SSL_new(w->tls_context)) == NULL || !expect_host(w->tls, host) ||
	    SSL_set_fd(w->tls, w->fd) != 1)
		return false;
	if (SSL_connect(w->tls) == 1)
		return true;
	verdict = SSL_get_verify_result(w->tls);
	if (verdict != X509_V_OK)
		snprintf(why, TURN_WHY_SIZE, "Its certificate is refused: %s.",
		    X509_verify_cert_error_string(verdict));
	else
		snprintf(why, TURN_WHY_SIZE, "It does not speak TLS.");
	return false;
}

enum err
turn_open(const char *url, struct turn_wire **out, char why[TURN_WHY_SIZE])
{
	struct way way = read_url(url);
	struct turn_wire *w;

	why[0] = '\0';
	if (way.tls && !way.tcp) {
		snprintf(why, TURN_WHY_SIZE, "Not checked: TLS over UDP is not spoken here.");
		return ERR_DENIED;
	}
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return ERR_SYSTEM;
	w->stream = way.tcp;
	w->fd = connect_to(&way, why);
	if (w->fd < 0 || (way.tls && !shake_hands(w, way.host, why))) {
		turn_close(w);
		return ERR_NOT_FOUND;
	}
	*out = w;
	return ERR_OK;
}

void
turn_close(struct turn_wire *w)
{
	if (w == NULL)
		return;
	SSL_free(w->tls);
	SSL_CTX_free(w->tls_context);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

static bool
put(struct turn_wire *w, const unsigned char *data, size_t len)
{
	if (w->tls != NULL)
		return SSL_write(w->tls, data, (int)len) == (int)len;
	return send(w->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Some of what has come: how much; 0 or less: nothing. */
static ssize_t
get(struct turn_wire *w, unsigned char *out, size_t size)
{
	if (w->tls != NULL)
		return SSL_read(w->tls, out, (int)size);
	return recv(w->fd, out, size, 0);
}

static bool
get_all(struct turn_wire *w, unsigned char *out, size_t len)
{
	ssize_t n;

	for (size_t at = 0; at < len; at += (size_t)n) {
		if ((n = get(w, out + at, len - at)) <= 0)
			return false;
	}
	return true;
}

static enum err
ask_stream(struct turn_wire *w, const unsigned char *message, size_t len,
    const struct stun_request *r, struct stun_answer *out)
{
	unsigned char got[STUN_MESSAGE_MAX];
	size_t size;

	if (!put(w, message, len))
		return ERR_SYSTEM;
	if (!get_all(w, got, STUN_HEADER_BYTES) || (size = stun_length(got)) == 0 ||
	    !get_all(w, got + STUN_HEADER_BYTES, size - STUN_HEADER_BYTES))
		return ERR_NOT_FOUND;
	return stun_read(got, size, r, out) == ERR_OK ? ERR_OK : ERR_NOT_FOUND;
}

/* Waits for the answer until the time is over; what is none is passed over. */
static bool
await(struct turn_wire *w, int wait_ms, const struct stun_request *r, struct stun_answer *out)
{
	int64_t end_ms = clock_monotonic_ms() + wait_ms;
	unsigned char got[STUN_MESSAGE_MAX];
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	int64_t left_ms;
	ssize_t n;

	while ((left_ms = end_ms - clock_monotonic_ms()) > 0 && poll(&p, 1, (int)left_ms) == 1) {
		n = recv(w->fd, got, sizeof(got), MSG_DONTWAIT);
		if (n > 0 && stun_read(got, (size_t)n, r, out) == ERR_OK)
			return true;
		if (n < 0 && errno != EAGAIN) /* nobody listens there */
			return false;
	}
	return false;
}

enum err
turn_ask(struct turn_wire *w, const struct stun_request *r, struct stun_answer *out)
{
	unsigned char message[STUN_MESSAGE_MAX];
	size_t len = stun_write(r, message);
	int wait_ms = FIRST_WAIT_MS;

	if (len == 0)
		return ERR_SYSTEM;
	if (w->stream)
		return ask_stream(w, message, len, r, out);
	for (int i = 0; i < TRIES; i++, wait_ms *= 2) {
		(void)put(w, message, len); /* refused by an earlier one's answer: again */
		if (await(w, wait_ms, r, out))
			return ERR_OK;
	}
	return ERR_NOT_FOUND;
}
