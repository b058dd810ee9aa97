/* A user as an operator names her: by her id, or by her email. */
#pragma once

#include "admin.h"
#include "store/store_user.h"

struct person {
	const char *email; /* NULL: by id */
	struct user_id id;
};

/* False: TEXT is neither. */
bool person_read(const char *text, struct person *out);

/* The account of P. ERR_NOT_FOUND. */
MUST_USE enum err person_find(struct store *s, const struct person *p, struct account *out);

/* Reads a password from standard input, twice where it is typed, and hashes it with COST. On any
 * other than ADMIN_OK it has complained. */
enum admin_exit password_read(int cost, char hash[PASSWORD_HASH_SIZE]);
