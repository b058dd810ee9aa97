#include "tell.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/store_audit.h"

enum { ANSWER_BYTES_MAX = 1 << 16 };

enum admin_exit
complain(enum admin_exit code, const char *sentence)
{
	fprintf(stderr, "telemed-admin: %s\n", sentence);
	return code;
}

enum admin_exit
complain_of(enum admin_exit code, const char *format, ...)
{
	va_list args;

	fputs("telemed-admin: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

enum admin_exit
complain_of_store(enum err e)
{
	switch (e) {
	case ERR_OK:
		return ADMIN_OK;
	case ERR_TOO_NEW:
		return complain(ADMIN_CONFIG, store_sentence(e));
	case ERR_INVALID:
		return complain(ADMIN_BROKEN, store_sentence(e));
	case ERR_BUSY:
		return complain(ADMIN_TRY_LATER, "The database is locked. Nothing was changed.");
	default:
		return complain(ADMIN_BROKEN,
		    "The database or the machine cannot take this now. Nothing was changed.");
	}
}

enum admin_exit
complain_of_trail(enum err e)
{
	if (e == ERR_OK)
		return ADMIN_OK;
	if (e == ERR_BUSY)
		return complain_of_store(e);
	return complain(
	    store_audit_is_hopeless(e) ? ADMIN_CONFIG : ADMIN_BROKEN, store_audit_sentence(e));
}

enum err
print_buf(struct buf *b)
{
	bool ok = !b->failed && puts(b->data) >= 0;

	buf_fini(b);
	return ok ? ERR_OK : ERR_SYSTEM;
}

void
answer_begin(struct answer *a)
{
	buf_init(&a->text, ANSWER_BYTES_MAX);
	jw_init(&a->w, &a->text);
	jw_object(&a->w, NULL);
}

enum admin_exit
answer_end(struct answer *a, enum admin_exit code)
{
	jw_object_end(&a->w);
	if (print_buf(&a->text) == ERR_OK)
		return code;
	return complain(ADMIN_BROKEN, "There is no memory for the answer.");
}

void
listing_begin(struct listing *l, const char *name)
{
	l->count = 0;
	if (l->json)
		printf("{\"%s\":[", name);
}

void
listing_item(struct listing *l)
{
	if (l->json && l->count > 0)
		fputs(",\n", stdout);
	else if (!l->json && l->count == 0)
		puts(l->heading);
	l->count++;
}

enum err
listing_put(struct answer *a)
{
	enum err e;

	jw_object_end(&a->w);
	e = a->text.failed ? ERR_SYSTEM : ERR_OK;
	if (e == ERR_OK)
		fputs(a->text.data, stdout);
	buf_fini(&a->text);
	return e;
}

void
listing_end(const struct listing *l, const char *none)
{
	if (l->json)
		puts("]}");
	else if (l->count == 0)
		puts(none);
}

void
write_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
	char text[RFC3339_SIZE];

	if (wall_ms == 0)
		jw_raw(w, key, "null", 4);
	else
		jw_string(w, key, clock_rfc3339(wall_ms, text));
}
