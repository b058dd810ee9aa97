/* telemed-admin backup: the database as one file, under another name until it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "base/fd.h"
#include "store/store_backup.h"

enum { PATH_SIZE = 4096 };

/* The copy's last line of the trail, whose mark an operator can note. */
static enum err
read_last(const char *path, struct audit_mark *out)
{
	struct store *copy = NULL;
	enum err e;

	if ((e = store_open_copy(path, &copy)) != ERR_OK)
		return e;
	e = store_audit_last(copy, out);
	store_close(copy);
	return e;
}

/* Copies to PART, which is there, and gives it the name PATH. */
static enum err
copy(struct store *s, const char *part, const char *path, struct audit_mark *last)
{
	enum err e;

	if ((e = store_copy(s, part)) != ERR_OK || (e = read_last(part, last)) != ERR_OK)
		return e;
	return rename(part, path) == 0 ? file_sync_name(path) : ERR_SYSTEM;
}

static enum err
note(struct store *s)
{
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	return store_end(s, admin_note(s, "backup", (struct user_id){ 0 }, 0));
}

static enum admin_exit
tell(const char *path, const struct audit_mark *last, bool json)
{
	char mac[AUDIT_MAC_HEX + 1];
	struct answer answer;
	struct stat st = { 0 };

	audit_hex(last->mac, mac);
	(void)!stat(path, &st);
	if (!json) {
		printf("%s: %lld bytes, checked; the audit trail in it ends with %lld:%s\n", path,
		    (long long)st.st_size, (long long)last->seq, mac);
		return ADMIN_OK;
	}
	answer_begin(&answer);
	jw_string(&answer.w, "file", path);
	jw_int(&answer.w, "bytes", st.st_size);
	jw_object(&answer.w, "last");
	jw_int(&answer.w, "line", last->seq);
	jw_string(&answer.w, "mac", mac);
	jw_object_end(&answer.w);
	return answer_end(&answer, ADMIN_OK);
}

/* Makes the empty file PART. */
static enum admin_exit
make_part(const char *part, const char *path)
{
	int fd;

	if (access(path, F_OK) == 0)
		return complain_of(ADMIN_REFUSED, "There is a file %s already.", path);
	fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST)
		return complain_of(ADMIN_REFUSED,
		    "There is a file %s: another backup runs, or was killed. Then remove it, and "
		    "%s-journal where there is one.",
		    part, part);
	if (fd < 0)
		return complain_of(ADMIN_REFUSED, "%s cannot be made: %m.", part);
	close(fd);
	return ADMIN_OK;
}

enum admin_exit
backup_make(struct admin *a, int argc, char **argv)
{
	bool json = false;
	const struct option options[] = { { "--json", &json, NULL }, { .name = NULL } };
	struct audit_mark last = { .seq = 0 };
	const char *path = NULL;
	enum admin_exit code;
	char part[PATH_SIZE];
	enum err e;

	(void)argc;
	if (options_read(argv, options, &path, 1) != 1)
		return usage_error("Name a new file.");
	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
		return usage_error("The name is too long.");
	if ((code = make_part(part, path)) != ADMIN_OK)
		return code;
	umask(0077);
	if ((e = note(a->store)) == ERR_OK)
		e = copy(a->store, part, path, &last);
	if (e == ERR_OK)
		return tell(path, &last, json);
	unlink(part);
	if (e == ERR_INVALID)
		return complain(ADMIN_BROKEN,
		    "The database is damaged: there is no backup. Keep those that you have.");
	return complain_of_store(e);
}
