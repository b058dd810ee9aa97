#include "audit/audit_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

enum {
	SEQ_DIGITS = 19,
	/* "SEQ MAC SEAL\n" */
	HEAD_LEN = SEQ_DIGITS + 1 + AUDIT_MAC_HEX + 1 + AUDIT_MAC_HEX + 1,
	PATH_SIZE = 1100,
};

static enum err
trouble(const char *what)
{
	LOG(LOG_ERROR, "audit_file_failed", F_STR("what", what), F_INT("errno", errno));
	return ERR_SYSTEM;
}

enum err
audit_key_read(const char *path, struct audit_key *out)
{
	struct stat st;
	enum err e = file_read(path, out->bytes, sizeof(out->bytes), &out->len);

	if (!audit_can_mac())
		return ERR_SYSTEM;
	if (e == ERR_TOO_BIG || (e == ERR_OK && out->len < AUDIT_KEY_BYTES_MIN))
		return ERR_INVALID;
	if (e == ERR_SYSTEM || (e == ERR_OK && stat(path, &st) != 0))
		return trouble("key");
	if (e == ERR_OK && (st.st_mode & (S_IWGRP | S_IRWXO)) != 0)
		return ERR_DENIED;
	return e;
}

static void
format_head(const struct audit_sealed *s, char out[HEAD_LEN + 1])
{
	char mac[AUDIT_MAC_HEX + 1];
	char seal[AUDIT_MAC_HEX + 1];

	audit_hex(s->mark.mac, mac);
	audit_hex(s->seal, seal);
	snprintf(out, HEAD_LEN + 1, "%019lld %s %s\n", (long long)s->mark.seq, mac, seal);
}

static bool
parse_head(char text[HEAD_LEN + 1], struct audit_sealed *out)
{
	char *mac = text + SEQ_DIGITS + 1;
	char *seal = mac + AUDIT_MAC_HEX + 1;
	size_t zeros = strspn(text, "0");

	if (text[SEQ_DIGITS] != ' ' || mac[AUDIT_MAC_HEX] != ' ' || seal[AUDIT_MAC_HEX] != '\n')
		return false;
	mac[AUDIT_MAC_HEX] = seal[AUDIT_MAC_HEX] = '\0';
	if (zeros >= SEQ_DIGITS)
		zeros = SEQ_DIGITS - 1;
	return parse_int(text + zeros, SEQ_DIGITS - zeros, 0, INT64_MAX, &out->mark.seq) &&
	       audit_unhex(mac, out->mark.mac) && audit_unhex(seal, out->seal);
}

enum err
audit_head_read(const char *path, const struct audit_key *key, struct audit_mark *out)
{
	char text[HEAD_LEN + 1];
	struct audit_sealed s;
	size_t len = 0;
	enum err e = file_read(path, text, HEAD_LEN, &len);

	if (e == ERR_TOO_BIG || (e == ERR_OK && len != HEAD_LEN))
		return ERR_INVALID;
	if (e == ERR_SYSTEM)
		return trouble("head");
	if (e != ERR_OK)
		return e;
	text[HEAD_LEN] = '\0';
	if (!parse_head(text, &s))
		return ERR_INVALID;
	*out = s.mark;
	return audit_unseal(key, AUDIT_HEAD, &s);
}

enum err
audit_head_write(
    const char *path, const struct audit_key *key, const struct audit_mark *m, bool fresh)
{
	char text[HEAD_LEN + 1];
	struct audit_sealed s;
	ssize_t n;
	int fd;

	if (audit_seal(key, AUDIT_HEAD, m, &s) != ERR_OK)
		return ERR_SYSTEM;
	format_head(&s, text);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (fresh ? O_TRUNC : 0), 0600);
	if (fd < 0)
		return trouble("head");
	n = pwrite(fd, text, HEAD_LEN, 0);
	close(fd);
	return n == HEAD_LEN ? ERR_OK : trouble("head");
}

enum err
audit_head_sync(const char *path, bool fresh)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return trouble("head");
	rc = fdatasync(fd);
	close(fd);
	if (rc != 0 || (fresh && file_sync_name(path) != ERR_OK))
		return trouble("head");
	return ERR_OK;
}

/* Writes the file at PATH under another name first; what has happened when it returns lasts. */
static enum err
write_whole(const char *path, const void *data, size_t len)
{
	char other[PATH_SIZE];
	ssize_t n = -1;
	int fd;
	int rc;

	if (snprintf(other, sizeof(other), "%s.new", path) >= (int)sizeof(other))
		return ERR_SYSTEM;
	unlink(other);
	if ((fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return trouble("new");
	n = write(fd, data, len);
	rc = n == (ssize_t)len ? fsync(fd) : -1;
	close(fd);
	if (rc == 0)
		rc = rename(other, path);
	if (rc != 0 || file_sync_name(path) != ERR_OK) {
		(void)trouble("new");
		unlink(other);
		return ERR_SYSTEM;
	}
	return ERR_OK;
}

enum err
audit_key_make(const char *key_path, const char *head_path, struct audit_key *out)
{
	struct audit_mark start = { .seq = 0 };
	struct audit_sealed s;
	char text[HEAD_LEN + 1];
	enum err e;

	out->len = AUDIT_KEY_BYTES_MIN;
	if (getrandom(out->bytes, out->len, 0) != (ssize_t)out->len)
		return trouble("random");
	/* The head first: where there is a key, there was a head. */
	if ((e = audit_seal(out, AUDIT_HEAD, &start, &s)) != ERR_OK)
		return e;
	format_head(&s, text);
	if ((e = write_whole(head_path, text, HEAD_LEN)) != ERR_OK)
		return e;
	return write_whole(key_path, out->bytes, out->len);
}
