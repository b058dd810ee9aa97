/* The JSON gate against jansson: both take a text, or both refuse it, and both read the same out of
 * it. Where they differ on purpose, strict_is_within() says so. Equal keys, \u0000, lone surrogates,
 * a number beyond a double and text behind the value are refused by both. */
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

static void check_value(const struct json *ours, const struct strict *right);

static void
check_member(void *context, const char *key, const struct strict *right)
{
	const struct json *ours = json_member(context, key);

	MUST(ours != NULL);
	check_value(ours, right);
	check_written(key);
}

static void
check_value(const struct json *ours, const struct strict *right)
{
	const char *string = strict_string(right);
	double d = 0;
	double number = 0;

	MUST(json_is_object(ours) == strict_is_object(right));
	MUST((json_string(ours) == NULL) == (string == NULL));
	if (string != NULL) {
		MUST(strcmp(json_string(ours), string) == 0);
		MUST(utf8_valid(string, strlen(string)));
		check_written(string);
	}
	MUST(json_number(ours, &d) == strict_number(right, &number));
	MUST(d == number);
	if (!strict_is_object(right))
		return; /* into an array nobody looks */
	MUST(json_members(ours) == strict_members(right));
	strict_each(right, check_member, (void *)(uintptr_t)ours);
}

/* The bytes of a member, cut out, are that member. */
struct cutting {
	const char *text;
	size_t len;
};

static void
check_cut(void *context, const char *key, const struct strict *right)
{
	const struct cutting *c = context;
	struct strict *cut;
	const char *raw;
	const char *string;
	size_t len;

	if (!json_raw_member(c->text, c->len, key, &raw, &len))
		return; /* the key is written with an escape */
	MUST(raw >= c->text && len <= c->len && raw + len <= c->text + c->len);
	cut = strict_read(raw, len);
	MUST(cut != NULL && strict_depth(cut) == strict_depth(right));
	MUST(strict_members(cut) == strict_members(right));
	string = strict_string(right);
	MUST((string == NULL) == (strict_string(cut) == NULL));
	MUST(string == NULL || strcmp(string, strict_string(cut)) == 0);
	strict_free(cut);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_bytes(data, size);
	struct strict *right = strict_read(text, size);
	struct cutting cutting = { text, size };
	char why[JSON_WHY_SIZE] = "";
	struct json *ours = NULL;
	enum err e = json_parse(text, size, &ours, why);

	MUST(e == ERR_OK || e == ERR_INVALID);
	if (e == ERR_OK) {
		MUST(right != NULL && strict_is_within(right, text, size));
		check_value(ours, right);
		if (strict_is_object(right))
			strict_each(right, check_cut, &cutting);
	} else {
		MUST(right == NULL || !strict_is_within(right, text, size));
		MUST(why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
	}
	json_free(ours);
	strict_free(right);
	free(text);
	return 0;
}
