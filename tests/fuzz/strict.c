#include "strict.h"

#include <jansson.h>
#include <string.h>

static json_t *
node(const struct strict *v)
{
	json_t *n;

	memcpy(&n, &v, sizeof(void *)); /* jansson knows no const */
	return n;
}

static struct strict *
value(json_t *v)
{
	return (struct strict *)v;
}

/* RFC 8259's text is any value. */
static struct strict *
read_with(const char *text, size_t len, size_t flags)
{
	json_error_t why;

	/* A NUL stands nowhere in JSON; jansson 2.14 overlooks one that follows a number. */
	if (len > 0 && memchr(text, '\0', len) != NULL)
		return NULL;
	return value(json_loadb(text, len, flags | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why));
}

struct strict *
strict_read(const char *text, size_t len)
{
	return read_with(text, len, JSON_DECODE_INT_AS_REAL);
}

bool
strict_whole_fit(const char *text, size_t len)
{
	struct strict *root = read_with(text, len, 0);

	strict_free(root);
	return root != NULL;
}

void
strict_free(struct strict *root)
{
	json_decref(node(root));
}

bool
strict_same(const struct strict *a, const struct strict *b)
{
	return json_equal(node(a), node(b)) == 1;
}

bool
strict_is_object(const struct strict *v)
{
	return v != NULL && json_is_object(node(v));
}

const struct strict *
strict_member(const struct strict *object, const char *key)
{
	return value(json_object_get(node(object), key));
}

size_t
strict_members(const struct strict *object)
{
	return json_object_size(node(object));
}

const char *
strict_string(const struct strict *v)
{
	return v == NULL ? NULL : json_string_value(node(v));
}

bool
strict_number(const struct strict *v, double *out)
{
	if (v == NULL || !json_is_number(node(v)))
		return false;
	*out = json_number_value(node(v));
	return true;
}

void
strict_each(const struct strict *list, strict_fn *fn, void *context)
{
	for (void *at = json_object_iter(node(list)); at != NULL;
	     at = json_object_iter_next(node(list), at))
		fn(context, json_object_iter_key(at), value(json_object_iter_value(at)));
	for (size_t i = 0; i < json_array_size(node(list)); i++)
		fn(context, NULL, value(json_array_get(node(list), i)));
}

static void
deepest(void *context, const char *key, const struct strict *v)
{
	unsigned *most = context;
	unsigned depth = strict_depth(v);

	(void)key;
	if (depth > *most)
		*most = depth;
}

unsigned
strict_depth(const struct strict *v)
{
	unsigned most = 0;

	if (!json_is_object(node(v)) && !json_is_array(node(v)))
		return 0;
	strict_each(v, deepest, &most);
	return most + 1;
}

/* How many characters the longest number of TEXT has. The "e" of true and false makes it one. */
static size_t
longest_number(const char *text, size_t len)
{
	bool quoted = false;
	size_t longest = 0;
	size_t run = 0;

	for (size_t i = 0; i < len; i++) {
		bool digit = !quoted && text[i] != '\0' &&
			     strchr("+-.0123456789eE", text[i]) != NULL;

		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		run = digit ? run + 1 : 0;
		if (run > longest)
			longest = run;
	}
	return longest;
}

bool
strict_is_within(const struct strict *root, const char *text, size_t len)
{
	enum { DEPTH_MAX = 16, NUMBER_MAX = 511 };

	return strict_depth(root) <= DEPTH_MAX && longest_number(text, len) <= NUMBER_MAX;
}
