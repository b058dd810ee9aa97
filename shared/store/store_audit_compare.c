/* Is the database the one that the trail's head tells of? */
#include <string.h>
#include <unistd.h>

#include "audit/audit_files.h"
#include "base/log.h"
#include "store/sql.h"
#include "store/store_audit.h"
#include "store/store_backup.h"

enum { FIRST_VERSION = 4 }; /* the schema's, with a trail */

/* 0 where nothing tells of a line: no head, no key yet, or a head under another key. */
static enum err
read_told(const char *key_path, const char *head_path, int64_t *out)
{
	struct audit_key key;
	struct audit_mark head;
	enum err e;

	*out = 0;
	if (audit_key_read(key_path, &key) != ERR_OK)
		return ERR_OK; /* store_audit_open() tells of it */
	e = audit_head_read(head_path, &key, &head);
	explicit_bzero(&key, sizeof(key));
	if (e == ERR_OK)
		*out = head.seq;
	return e == ERR_SYSTEM ? e : ERR_OK;
}

/* The last line in the database at PATH; 0 where it has none, or is not there. */
static enum err
read_last(const char *path, int64_t *out)
{
	struct audit_mark last = { .seq = 0 };
	struct store *s = NULL;
	int version = 0;
	enum err e;

	*out = 0;
	if (store_is_empty(path))
		return ERR_OK;
	if ((e = store_open_untouched(path, &s)) != ERR_OK)
		return e;
	if ((e = migrate_version(s, &version)) == ERR_OK && version >= FIRST_VERSION)
		e = store_audit_last(s, &last);
	store_close(s);
	*out = last.seq;
	return e;
}

static enum err
compare(const char *path, const char *key_path, const char *head_path)
{
	int64_t told;
	int64_t last;
	enum err e;

	if ((e = read_told(key_path, head_path, &told)) != ERR_OK || told == 0)
		return e;
	if ((e = read_last(path, &last)) != ERR_OK || last >= told)
		return e;
	LOG(LOG_ERROR, "audit_lines_gone", F_INT("head", told), F_INT("last", last));
	return ERR_CONFLICT;
}

enum err
store_audit_compare(
    const char *path, const char *lock_path, const char *key_path, const char *head_path)
{
	struct store *s = NULL;
	enum err e;

	if ((e = store_new(lock_path, &s)) != ERR_OK)
		return e;
	if ((e = store_lock(s)) == ERR_OK) {
		e = compare(path, key_path, head_path);
		store_unlock(s);
	}
	store_close(s);
	return e;
}

void
store_audit_settle(
    const char *path, const char *lock_path, const char *key_path, const char *head_path)
{
	struct store *s = NULL;

	if (access(path, F_OK) != 0 ||
	    store_audit_compare(path, lock_path, key_path, head_path) != ERR_OK ||
	    store_open(path, lock_path, &s) != ERR_OK)
		return;
	(void)!store_empty_log(s);
	store_close(s);
}
