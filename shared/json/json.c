#include "json/json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "json/json_gate.h"

/* struct json is cJSON's node under a name that does not let its header out. */
static const cJSON *
node(const struct json *v)
{
	return (const cJSON *)v;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum err
check_keys(const cJSON *object, char why[JSON_WHY_SIZE])
{
	enum err e = ERR_OK;
	const char **keys;
	size_t count = 0;
	size_t n = 0;

	for (const cJSON *m = object->child; m != NULL; m = m->next)
		count++;
	if ((keys = calloc(count, sizeof(*keys))) == NULL)
		return ERR_SYSTEM;
	for (const cJSON *m = object->child; m != NULL; m = m->next)
		keys[n++] = m->string;
	qsort(keys, count, sizeof(*keys), by_key);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(keys[i - 1], keys[i]) == 0) {
			snprintf(why, JSON_WHY_SIZE, "a key stands twice in one object");
			e = ERR_INVALID;
		}
	}
	free(keys);
	return e;
}

/* The depth is the gate's: this recursion is bounded by it. */
static enum err
check_all_keys(const cJSON *v, char why[JSON_WHY_SIZE])
{
	enum err e = ERR_OK;

	if (cJSON_IsObject(v) && v->child != NULL && v->child->next != NULL)
		e = check_keys(v, why);
	for (const cJSON *m = v->child; m != NULL && e == ERR_OK; m = m->next) {
		if (m->child != NULL)
			e = check_all_keys(m, why);
	}
	return e;
}

enum err
json_parse(const char *text, size_t len, struct json **root, char why[JSON_WHY_SIZE])
{
	bool plain_keys;
	cJSON *tree;
	enum err e;

	if ((e = json_gate(text, len, &plain_keys, why)) != ERR_OK)
		return e;
	/* The gate took it, so what can still fail is memory. */
	if ((tree = cJSON_ParseWithLength(text, len)) == NULL)
		return ERR_SYSTEM;
	if (!plain_keys && (e = check_all_keys(tree, why)) != ERR_OK) {
		cJSON_Delete(tree);
		return e;
	}
	*root = (struct json *)tree;
	return ERR_OK;
}

void
json_free(struct json *root)
{
	cJSON_Delete((cJSON *)root);
}

bool
json_is_object(const struct json *v)
{
	return cJSON_IsObject(node(v));
}

const struct json *
json_member(const struct json *object, const char *key)
{
	if (!json_is_object(object))
		return NULL;
	return (const struct json *)cJSON_GetObjectItemCaseSensitive(node(object), key);
}

size_t
json_members(const struct json *object)
{
	return json_is_object(object) ? (size_t)cJSON_GetArraySize(node(object)) : 0;
}

const char *
json_string(const struct json *v)
{
	return cJSON_GetStringValue(node(v));
}

bool
json_number(const struct json *v, double *out)
{
	if (!cJSON_IsNumber(node(v)))
		return false;
	*out = node(v)->valuedouble;
	return true;
}

bool
json_whole(double d, int64_t lo, int64_t hi, int64_t *out)
{
	if (d < (double)-JSON_EXACT_MAX || d > (double)JSON_EXACT_MAX)
		return false;
	if (d != (double)(int64_t)d || (int64_t)d < lo || (int64_t)d > hi)
		return false;
	*out = (int64_t)d;
	return true;
}

bool
json_integer(const struct json *v, int64_t lo, int64_t hi, int64_t *out)
{
	double d;

	return json_number(v, &d) && json_whole(d, lo, hi, out);
}

bool
json_id(const struct json *v, int64_t *out)
{
	const char *s = json_string(v);

	if (s != NULL)
		return parse_int(s, strlen(s), 1, JSON_EXACT_MAX, out);
	return json_integer(v, 1, JSON_EXACT_MAX, out);
}
