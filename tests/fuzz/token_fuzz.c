/* A token as anybody may send it: the raw bytes. Who does not know the key makes none that is
 * taken. */
#include "../unit/token_fixture.h"
#include "fuzz.h"

/* A MAC of the test's own over all but the last segment says that it is the last. */
static bool
is_signed(const char *text, size_t len)
{
	struct buf b;
	size_t signed_len = len;
	bool right;

	while (signed_len > 0 && text[signed_len - 1] != '.')
		signed_len--;
	if (signed_len == 0)
		return false;
	buf_init(&b, 1 << 16);
	buf_add(&b, text, signed_len - 1);
	sign(&b, keys.first.bytes, keys.first.len);
	right = b.len == len && memcmp(b.data, text, len) == 0;
	buf_fini(&b);
	return right;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_bytes(data, size);
	struct claims c;
	enum err e = token_verify(&keys, text, size, NOW, &c);

	MUST(e == ERR_OK || e == ERR_DENIED);
	MUST(e == ERR_DENIED || is_signed(text, size));
	free(text);
	return 0;
}
