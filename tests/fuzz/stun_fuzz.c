/* The answer of a STUN or TURN server that is none: the input is what it sends, which is read as
 * the answer to a request with its own id, and with and without a login. */
#include "../../admin/stun.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static bool
is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static void
read_as(enum stun_method method, const struct stun_login *login, const char *data, size_t len)
{
	struct stun_request r = { .method = method, .login = login };
	struct stun_answer a;

	if (len >= STUN_HEADER_BYTES)
		memcpy(r.id, data + 8, sizeof(r.id));
	if (stun_read((const unsigned char *)data, len, &r, &a) != ERR_OK)
		return;
	MUST(len == stun_length((const unsigned char *)data));
	MUST(a.granted || (a.error >= 300 && a.error <= 699));
	MUST(is_text(a.realm, sizeof(a.realm)) && is_text(a.nonce, sizeof(a.nonce)));
	MUST(is_text(a.mapped, sizeof(a.mapped)) && is_text(a.relayed, sizeof(a.relayed)));
	MUST(login != NULL || !a.proven);
	r.id[0] ^= 1;
	MUST(stun_read((const unsigned char *)data, len, &r, &a) == ERR_INVALID);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct stun_login login = {
		.username = "1:0", .password = "p", .realm = "r", .nonce = "n"
	};
	char *text = fuzz_bytes(data, size);

	read_as(STUN_BINDING, NULL, text, size);
	read_as(TURN_ALLOCATE, &login, text, size);
	free(text);
	return 0;
}
