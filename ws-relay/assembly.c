#include "assembly.h"

#include <stdlib.h>

#include "base/buf.h"
#include "message.h"

struct assembly {
	struct buf text; /* so far */
	int64_t since_ms;
};

bool
piece_is_last(const struct piece *p)
{
	return p->final && p->left == 0;
}

bool
assembly_takes(const struct assembly *a, const struct piece *p)
{
	size_t so_far = a == NULL ? 0 : a->text.len;

	return p->left <= MESSAGE_BYTES_MAX && so_far + p->len + p->left <= MESSAGE_BYTES_MAX;
}

bool
assembly_add(struct assembly **a, const struct piece *p, int64_t now_ms)
{
	if (*a == NULL) {
		if ((*a = malloc(sizeof(**a))) == NULL)
			return false;
		buf_init(&(*a)->text, MESSAGE_BYTES_MAX);
		(*a)->since_ms = now_ms;
	}
	buf_add(&(*a)->text, p->data, p->len);
	return !(*a)->text.failed;
}

const char *
assembly_text(const struct assembly *a, size_t *len)
{
	*len = a->text.len;
	return *len > 0 ? a->text.data : "";
}

bool
assembly_is_late(const struct assembly *a, int64_t now_ms)
{
	return a != NULL && now_ms - a->since_ms >= ASSEMBLY_MAX_MS;
}

void
assembly_free(struct assembly *a)
{
	if (a != NULL)
		buf_fini(&a->text);
	free(a);
}
