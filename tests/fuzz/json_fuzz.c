/* The JSON gate and both readers behind it, the tree and the slices, against jansson: all take a
 * text, or all refuse it, and they read the same out of it. Where they differ on purpose,
 * strict_is_within() says so. Equal keys, \u0000, lone surrogates, a number beyond a double and
 * text behind the value are refused by both. */
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fuzz.h"
#include "strict.h"

/* What our writer makes of a string reads as that string. */
static void
check_written(const char *text)
{
	struct json_writer w;
	struct strict *back;
	struct buf out;

	buf_init(&out, 1 << 20);
	jw_init(&w, &out);
	jw_string(&w, NULL, text);
	MUST(!out.failed);
	back = strict_read(out.data, out.len);
	MUST(strict_string(back) != NULL && strcmp(strict_string(back), text) == 0);
	strict_free(back);
	buf_fini(&out);
}

/* A value as both of our readers have it: in the tree, and where it stands in the text. */
struct ours {
	const struct json *tree;
	struct json_raw raw;
};

static void check_value(struct ours ours, const struct strict *right);

/* Does our writer write it with a backslash? */
static bool
needs_escape(const char *key)
{
	for (; *key != '\0'; key++) {
		if (*key == '"' || *key == '\\' || *key == 0x7f || (unsigned char)*key < 0x20)
			return true;
	}
	return false;
}

static void
check_member(void *context, const char *key, const struct strict *right)
{
	const struct ours *object = context;
	struct ours ours = { json_member(object->tree, key), json_raw_member(object->raw, key) };

	check_written(key);
	MUST(ours.tree != NULL);
	if (ours.raw.at == NULL && needs_escape(key))
		return; /* of such a name nobody asks for */
	MUST(ours.raw.at > object->raw.at &&
	     ours.raw.at + ours.raw.len < object->raw.at + object->raw.len);
	check_value(ours, right);
}

static void
check_string(struct ours ours, const char *right)
{
	size_t size = strlen(right) + 1;
	char *room = malloc(size);

	MUST(room != NULL);
	MUST(strcmp(json_string(ours.tree), right) == 0);
	MUST(utf8_valid(right, size - 1));
	MUST(json_raw_chars(ours.raw) == utf8_count(right, size - 1));
	MUST(json_raw_string(ours.raw, room, size) && strcmp(room, right) == 0);
	if (size > 1)
		MUST(!json_raw_string(ours.raw, room, size - 1) && room[0] == '\0');
	free(room);
	check_written(right);
}

/* The same is an id to both, and is one. */
static void
check_id(struct ours ours, const struct strict *right)
{
	const char *string = strict_string(right);
	int64_t raw_id = 0;
	int64_t id = 0;
	double d = 0;
	bool is = json_id(ours.tree, &id);

	MUST(is == json_raw_id(ours.raw, &raw_id) && id == raw_id);
	if (!is)
		return;
	MUST(id >= 1 && id < INT64_C(1) << 53);
	if (string == NULL)
		MUST(strict_number(right, &d) && (double)id == d);
	else
		MUST(strtoll(string, NULL, 10) == id && string[0] >= '1' && string[0] <= '9');
}

static void
check_value(struct ours ours, const struct strict *right)
{
	const char *string = strict_string(right);
	double d = 0;
	double number = 0;

	MUST(json_is_object(ours.tree) == strict_is_object(right));
	MUST(json_raw_is_object(ours.raw) == strict_is_object(right));
	MUST((json_string(ours.tree) == NULL) == (string == NULL));
	MUST(json_raw_is_string(ours.raw) == (string != NULL));
	if (string != NULL)
		check_string(ours, string);
	MUST(json_number(ours.tree, &d) == strict_number(right, &number));
	MUST(d == number);
	check_id(ours, right);
	if (!strict_is_object(right))
		return; /* into an array nobody looks */
	MUST(json_members(ours.tree) == strict_members(right));
	MUST((json_member(ours.tree, "a") == NULL) == (strict_member(right, "a") == NULL));
	MUST((json_raw_member(ours.raw, "a").at == NULL) == (strict_member(right, "a") == NULL));
	strict_each(right, check_member, &ours);
}

/* Written anew, it says the same. */
static void
check_rewritten(struct json_raw raw, const struct strict *right)
{
	struct strict *again = strict_read(raw.at, raw.len);

	MUST(again != NULL && strict_same(again, right));
	strict_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_bytes(data, size);
	struct strict *right = strict_read(text, size);
	bool must_take = right != NULL && strict_is_within(right, text, size);
	char why[JSON_WHY_SIZE] = "";
	struct json *tree = NULL;
	struct ours ours = { .tree = NULL };
	char *rewritten = NULL;
	enum err e = json_parse(text, size, &tree, why);

	MUST(e == (must_take ? ERR_OK : ERR_INVALID));
	MUST(json_raw_parse(text, size, &ours.raw, &rewritten, why) == e);
	ours.tree = tree;
	if (must_take) {
		if (strict_is_object(right)) /* nobody looks into another root */
			check_value(ours, right);
		check_rewritten(ours.raw, right);
	} else {
		MUST(why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
	}
	json_free(tree);
	free(rewritten);
	strict_free(right);
	free(text);
	return 0;
}
