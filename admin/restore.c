/* telemed-admin restore: a backup in the database's place. All is made ready beside it, and what
 * was there is kept. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "audit/audit_files.h"
#include "audit/audit_verify.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "store/store_backup.h"
#include "store/store_session.h"

enum { PATH_SIZE = CONFIG_TEXT_SIZE + 64, STAMP_SIZE = sizeof("20260101T000000.000Z") };

struct restoring {
	struct admin *admin;
	const char *file;
	bool json;
	bool broken_trail;	    /* it may be so */
	struct audit_bounds wanted; /* after, and the anchor */

	char database[PATH_SIZE]; /* what is made ready */
	char head[PATH_SIZE];
	char kept[PATH_SIZE]; /* where the old database is; "": there was none */
	struct store *store;
	int locks[2];
};

static bool
read_words(char **argv, struct restoring *r)
{
	const char *anchor = NULL;
	const char *after = NULL;
	const struct option options[] = { { "--anchor", NULL, &anchor },
		{ "--after", NULL, &after }, { "--broken-trail", &r->broken_trail, NULL },
		{ "--json", &r->json, NULL }, { .name = NULL } };

	if (options_read(argv, options, &r->file, 1) != 1)
		return false;
	if (anchor != NULL && !anchor_read(anchor, &r->wanted.anchor))
		return false;
	if (after != NULL && !parse_int(after, strlen(after), 0, INT64_MAX, &r->wanted.after))
		return false;
	r->wanted.anchored = anchor != NULL;
	return anchor == NULL || r->wanted.anchor.seq >= r->wanted.after;
}

/* The folders that a new place has not got yet. */
static enum admin_exit
make_folders(const struct admin *a)
{
	const char *const folders[] = { a->config->data_dir, a->paths.run };

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		if (mkdir(folders[i], 0700) != 0 && errno != EEXIST)
			return complain_of(
			    ADMIN_BROKEN, "TELEMED_DATA_DIR cannot be written to: %m.");
	}
	return ADMIN_OK;
}

/* Holds the locks of who would start meanwhile; the kernel frees them with this process. */
static enum admin_exit
keep_others_out(struct restoring *r)
{
	const struct data_paths *p = &r->admin->paths;
	const char *const paths[] = { p->run_lock, p->relay_lock };

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		switch (lock_try(paths[i], &r->locks[i])) {
		case ERR_OK:
			break;
		case ERR_BUSY:
			return complain(ADMIN_REFUSED, "Telemed runs: stop it first.");
		default:
			return complain(ADMIN_BROKEN, "TELEMED_DATA_DIR/run cannot be written to.");
		}
	}
	if (somebody_listens(p->relay) || somebody_listens(p->api) || somebody_listens(p->auth))
		return complain(ADMIN_REFUSED, "Telemed runs: stop it first.");
	return ADMIN_OK;
}

static void
remove_log(const char *database)
{
	static const char *const ends[] = { "-wal", "-shm", "-journal" };
	char path[PATH_SIZE + 16];

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", database, ends[i]);
		unlink(path);
	}
}

static void
remove_with_log(const char *database)
{
	unlink(database);
	remove_log(database);
}

/* Copies the backup beside the database. */
static enum admin_exit
copy(struct restoring *r)
{
	struct store *backup = NULL;
	enum err e;
	int fd;

	if (access(r->file, R_OK) != 0)
		return complain_of(ADMIN_NO_INPUT, "%s cannot be read: %m.", r->file);
	e = store_open_copy(r->file, &backup);
	if (e == ERR_TOO_NEW)
		return complain_of(
		    ADMIN_CONFIG, "%s was made by a newer version of telemed.", r->file);
	if (e == ERR_OK) {
		remove_with_log(r->database);
		fd = open(r->database, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		e = fd < 0 ? ERR_SYSTEM : store_copy(backup, r->database);
		if (fd >= 0)
			close(fd);
		store_close(backup);
	}
	if (e == ERR_INVALID)
		return complain_of(ADMIN_REFUSED,
		    "%s is no backup of telemed's, or is damaged. Nothing was changed.", r->file);
	return complain_of_store(e);
}

/* The head of what was copied: a backup has none of its own. ERR_NOT_FOUND: there is no key, and no
 * line under one. */
static enum err
make_head(struct restoring *r)
{
	struct audit_mark last;
	struct audit_key key;
	enum err e = store_audit_last(r->store, &last);

	if (e == ERR_OK)
		e = audit_key_read(r->admin->paths.audit_key, &key);
	if (e == ERR_NOT_FOUND && last.seq > 0)
		return ERR_DENIED;
	if (e != ERR_OK)
		return e;
	unlink(r->head);
	e = audit_head_write(r->head, &key, &last, true);
	explicit_bzero(&key, sizeof(key));
	return e;
}

static enum err
verify(struct restoring *r, struct audit_report *report)
{
	struct audit_source source = store_audit_source(r->store);
	struct audit_bounds bounds;
	struct audit_key key;
	enum err e;

	e = store_audit_reading(r->store, r->admin->paths.audit_key, r->head, &key, &bounds);
	if (e != ERR_OK)
		return e;
	bounds.after = r->wanted.after;
	bounds.anchored = r->wanted.anchored;
	bounds.anchor = r->wanted.anchor;
	e = audit_verify(&key, &bounds, &source, report);
	store_audit_reading_end(r->store);
	explicit_bzero(&key, sizeof(key));
	return e;
}

/* Is the trail in the backup whole? Where it may be broken, its head is left out: the next line
 * says so. */
static enum admin_exit
judge_trail(struct restoring *r)
{
	struct audit_report report;
	enum err e = make_head(r);

	if (e == ERR_NOT_FOUND)
		return ADMIN_OK;
	if (e == ERR_DENIED)
		return complain(ADMIN_CONFIG, store_audit_sentence(ERR_NOT_FOUND));
	if (e == ERR_OK)
		e = verify(r, &report);
	if (e != ERR_OK)
		return complain_of_trail(e);
	if (report.trouble == AUDIT_WHOLE)
		return ADMIN_OK;
	if (r->broken_trail)
		return unlink(r->head) == 0 ? ADMIN_OK : complain_of_store(ERR_SYSTEM);
	if (print_report(&report, r->json) != ERR_OK)
		return complain_of_store(ERR_SYSTEM);
	complain(ADMIN_NO,
	    "The audit trail in the backup is not whole. Nothing was changed. With --broken-trail "
	    "it is put there as it is.");
	return exit_of_report(&report);
}

/* What was ended after the backup must not come back to life, so everybody has to log in again; and
 * the trail says what was done. */
static enum err
mark(struct store *s)
{
	const struct user_id everybody = { 0 };
	enum err e;

	if ((e = store_begin(s)) != ERR_OK)
		return e;
	if ((e = store_sessions_end(s, everybody, clock_wall_ms())) == ERR_OK)
		e = admin_note(s, "restore", everybody, 0);
	return store_end(s, e);
}

static enum admin_exit
make_ready(struct restoring *r)
{
	const struct data_paths *p = &r->admin->paths;
	enum admin_exit code;
	enum err e;

	if ((code = copy(r)) != ADMIN_OK)
		return code;
	e = store_open(r->database, p->store_lock, &r->store); /* an older one is migrated */
	if ((code = complain_of_store(e)) != ADMIN_OK || (code = judge_trail(r)) != ADMIN_OK)
		return code;
	if ((e = store_audit_open(r->store, p->audit_key, r->head)) != ERR_OK)
		return complain_of_trail(e);
	if ((e = mark(r->store)) == ERR_OK)
		e = store_empty_log(r->store);
	store_close(r->store);
	r->store = NULL;
	if (e == ERR_OK)
		remove_log(r->database); /* there is nothing in it any more */
	return complain_of_store(e);
}

static bool
keep(const char *path, const char *end, const char *stamp, char kept[PATH_SIZE])
{
	char from[PATH_SIZE];

	snprintf(from, sizeof(from), "%s%s", path, end);
	snprintf(kept, PATH_SIZE, "%s.before-%s%s", path, stamp, end);
	if (link(from, kept) == 0)
		return true;
	kept[0] = '\0';
	return errno == ENOENT;
}

/* The time, as part of a file's name. */
static void
write_stamp(char out[STAMP_SIZE])
{
	char text[RFC3339_SIZE];
	size_t n = 0;

	clock_rfc3339(clock_wall_ms(), text);
	for (const char *at = text; *at != '\0'; at++) {
		if (*at != '-' && *at != ':')
			out[n++] = *at;
	}
	out[n] = '\0';
}

/* The old database, with its log, and the head get other names beside their own; nothing is taken
 * away before the new one can take their place. */
static bool
keep_old(struct restoring *r)
{
	const struct data_paths *p = &r->admin->paths;
	char other[PATH_SIZE];
	char stamp[STAMP_SIZE];

	/* Its log is to be taken away. Where it is not in order it is kept with it. */
	store_audit_settle(p->database, p->store_lock, p->audit_key, p->audit_head);
	write_stamp(stamp);
	return keep(p->database, "-wal", stamp, other) && keep(p->audit_head, "", stamp, other) &&
	       keep(p->database, "", stamp, r->kept);
}

/* The head first: one that is behind its database does no harm. An old log beside the new database
 * would, so it goes before that comes. */
static enum admin_exit
put_in_place(struct restoring *r)
{
	const struct data_paths *p = &r->admin->paths;
	char log[PATH_SIZE];
	char shm[PATH_SIZE];
	bool ok = keep_old(r) && file_sync_name(p->database) == ERR_OK;

	snprintf(log, sizeof(log), "%s-wal", p->database);
	snprintf(shm, sizeof(shm), "%s-shm", p->database);
	ok = ok && rename(r->head, p->audit_head) == 0;
	ok = ok && (unlink(log) == 0 || errno == ENOENT);
	ok = ok && (unlink(shm) == 0 || errno == ENOENT);
	ok = ok && rename(r->database, p->database) == 0;
	if (ok && file_sync_name(p->database) == ERR_OK)
		return ADMIN_OK;
	return complain_of(
	    ADMIN_BROKEN, "The files in TELEMED_DATA_DIR could not be put in their places: %m.");
}

static enum admin_exit
tell(const struct restoring *r)
{
	struct answer answer;

	if (!r->json) {
		printf("%s is in its place.\n", r->file);
		if (r->kept[0] != '\0')
			printf("What was there is %s now.\n", r->kept);
		puts("Everybody has to log in again. What was disabled or erased since the backup "
		     "is as it was then.");
		return ADMIN_OK;
	}
	answer_begin(&answer);
	jw_string(&answer.w, "file", r->file);
	if (r->kept[0] != '\0')
		jw_string(&answer.w, "kept", r->kept);
	return answer_end(&answer, ADMIN_OK);
}

static void
name_files(struct restoring *r)
{
	const struct data_paths *p = &r->admin->paths;

	snprintf(r->database, sizeof(r->database), "%s.restoring", p->database);
	snprintf(r->head, sizeof(r->head), "%s.restoring", p->audit_head);
}

enum admin_exit
backup_restore(struct admin *a, int argc, char **argv)
{
	static struct restoring r;
	enum admin_exit code;

	(void)argc;
	r.admin = a;
	if (!read_words(argv, &r))
		return usage_error("Name one file; --anchor takes LINE:MAC, --after a LINE that is "
				   "not behind it.");
	name_files(&r);
	umask(0077);
	if ((code = make_folders(a)) != ADMIN_OK || (code = keep_others_out(&r)) != ADMIN_OK)
		return code;
	if ((code = make_ready(&r)) == ADMIN_OK && (code = put_in_place(&r)) == ADMIN_OK)
		return tell(&r);
	store_close(r.store);
	remove_with_log(r.database);
	unlink(r.head);
	return code;
}
