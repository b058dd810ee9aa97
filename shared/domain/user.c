#include "domain/user.h"

#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

static const char *const role_names[] = { [ROLE_PATIENT] = "PATIENT", [ROLE_DOCTOR] = "DOCTOR" };
static const char *const status_names[] = {
	[STATUS_ONLINE] = "ONLINE",
	[STATUS_BUSY] = "BUSY",
	[STATUS_OFFLINE] = "OFFLINE",
};

/* The index of NAME in NAMES, 0 for none; entry 0 is the "none" of each enum. */
static unsigned
find(const char *const *names, unsigned count, const char *name)
{
	for (unsigned i = 1; name != NULL && i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return 0;
}

const char *
role_name(enum role r)
{
	return role_names[r];
}

const char *
status_name(enum status s)
{
	return status_names[s];
}

enum role
role_from_name(const char *name)
{
	return (enum role)find(role_names, COUNT_OF(role_names), name);
}

enum status
status_from_name(const char *name)
{
	return (enum status)find(status_names, COUNT_OF(status_names), name);
}

enum audience
audience_of(enum visibility v, enum role role, bool hidden)
{
	return v == VISIBILITY_SCOPED && (role != ROLE_DOCTOR || hidden) ? AUDIENCE_DOCTORS
									 : AUDIENCE_ALL;
}

bool
audience_sees(enum audience audience, enum role role, bool hidden)
{
	return !hidden && (audience == AUDIENCE_ALL || role == ROLE_DOCTOR);
}

static bool
is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

/* Unicode's White_Space, but for what is_control() has of it past ASCII. */
static bool
is_white(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == ' ' || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Has S, which is UTF-8, a character that IS says? */
static bool
has(const char *s, size_t len, bool (*is)(uint32_t c))
{
	uint32_t c = 0;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		if ((n = utf8_decode(s + i, len - i, &c)) == 0 || is(c))
			return true;
	}
	return false;
}

/* Of the LEN bytes at *S what is left without the white space at both ends. */
static size_t
trim(const char **s, size_t len)
{
	const char *at = *s;
	size_t end = 0; /* of the last character that is not white */
	uint32_t c = 0;
	size_t n;

	while ((n = utf8_decode(at, len, &c)) > 0 && is_white(c)) {
		at += n;
		len -= n;
	}
	for (size_t i = 0; (n = utf8_decode(at + i, len - i, &c)) > 0; i += n) {
		if (!is_white(c))
			end = i + n;
	}
	*s = at;
	return end;
}

const char *
name_rule(const char *name, char out[NAME_BYTES_MAX + 1])
{
	size_t len = trim(&name, strlen(name));

	if (len == 0)
		return "must not be empty";
	if (utf8_count(name, len) > NAME_CHARS_MAX)
		return "must have at most 100 characters";
	if (has(name, len, is_control))
		return "must not contain control characters";
	memcpy(out, name, len);
	out[len] = '\0';
	return NULL;
}

const char *
email_rule(const char *email)
{
	size_t len = strlen(email);
	const char *at = strchr(email, '@');

	if (len > EMAIL_BYTES_MAX)
		return "must have at most 254 bytes";
	if (at == NULL || at == email || at[1] == '\0' || strchr(at + 1, '@') != NULL)
		return "must be an address with one @";
	if (has(email, len, is_control) || has(email, len, is_white))
		return "must not contain blanks or control characters";
	return NULL;
}

const char *
password_rule(const char *password)
{
	size_t len = strlen(password);

	if (len < PASSWORD_BYTES_MIN)
		return "must have at least 8 bytes";
	if (len > PASSWORD_BYTES_MAX)
		return "must have at most 72 bytes";
	return NULL;
}
