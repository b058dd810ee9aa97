#include "person.h"

#include <string.h>

#include "base/str.h"

bool
person_read(const char *text, struct person *out)
{
	*out = (struct person){ .email = strchr(text, '@') != NULL ? text : NULL };
	return out->email != NULL || parse_int(text, strlen(text), 1, INT64_MAX, &out->id.v);
}

enum err
person_find(struct store *s, const struct person *p, struct account *out)
{
	return p->email != NULL ? store_user_by_email(s, p->email, out)
				: store_user_by_id(s, p->id, out);
}
