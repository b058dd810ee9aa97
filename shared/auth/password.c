#include "auth/password.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COST_MIN = 4 }; /* of bcrypt itself */

/* bcrypt under SETTING (a salt or a whole hash). ERR_INVALID: SETTING is not bcrypt's. The work
 * area is 32 KiB and holds the password: wiped, and not on the stack. */
static enum err
bcrypt(const char *password, const char *setting, char out[PASSWORD_HASH_SIZE])
{
	struct crypt_data *work = calloc(1, sizeof(*work));
	enum err e = ERR_SYSTEM;
	const char *h;

	if (work == NULL)
		return e;
	h = crypt_r(password, setting, work);
	if (h != NULL && h[0] != '*' && strlen(h) == PASSWORD_HASH_SIZE - 1) {
		memcpy(out, h, PASSWORD_HASH_SIZE);
		e = ERR_OK;
	} else if (errno == EINVAL) {
		e = ERR_INVALID;
	}
	explicit_bzero(work, sizeof(*work));
	free(work);
	return e;
}

enum err
password_hash(const char *password, int cost, char out[PASSWORD_HASH_SIZE])
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (crypt_gensalt_rn("$2b$", (unsigned long)cost, NULL, 0, setting, (int)sizeof(setting)) ==
	    NULL)
		return ERR_SYSTEM;
	return bcrypt(password, setting, out);
}

/* Constant time in the content. */
static bool
same_hash(const char *a, const char *b)
{
	unsigned char differs = 0;

	for (size_t i = 0; i < PASSWORD_HASH_SIZE - 1; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}

static bool
is_bcrypt(const char *hash)
{
	return strlen(hash) == PASSWORD_HASH_SIZE - 1 &&
	       (strncmp(hash, "$2b$", 4) == 0 || strncmp(hash, "$2y$", 4) == 0);
}

enum err
password_verify(const char *password, const char *hash)
{
	char made[PASSWORD_HASH_SIZE];
	enum err e;

	if (!is_bcrypt(hash))
		return ERR_DENIED;
	if ((e = bcrypt(password, hash, made)) != ERR_OK)
		return e == ERR_INVALID ? ERR_DENIED : e;
	return same_hash(made, hash) ? ERR_OK : ERR_DENIED;
}

enum err
password_verify_nobody(const char *password, int cost)
{
	char setting[PASSWORD_HASH_SIZE];
	char made[PASSWORD_HASH_SIZE];
	enum err e;

	snprintf(setting, sizeof(setting), "$2b$%02d$telemedTelemedTelemedO", cost);
	e = bcrypt(password, setting, made);
	return e == ERR_OK ? ERR_DENIED : e;
}

int
password_cost(const char *hash)
{
	int tens;
	int ones;

	if (!is_bcrypt(hash) || hash[6] != '$')
		return 0;
	tens = hash[4] - '0'; /* "$2b$12$" */
	ones = hash[5] - '0';
	if (tens < 0 || tens > 3 || ones < 0 || ones > 9)
		return 0;
	return 10 * tens + ones;
}

enum err
password_make_up(const char *password, const char *hash, int cost)
{
	int at = password_cost(hash);
	enum err e = ERR_DENIED;

	if (at < COST_MIN)
		return password_verify_nobody(password, cost);
	/* One step more is twice the work, so 2^COST is 2^AT and all of 2^AT to 2^(COST - 1). */
	for (; at < cost && e == ERR_DENIED; at++)
		e = password_verify_nobody(password, at);
	return e;
}
