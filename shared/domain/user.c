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

static bool
has_control(const char *s, size_t len)
{
	uint32_t c = 0;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		if ((n = utf8_decode(s + i, len - i, &c)) == 0 || is_control(c))
			return true;
	}
	return false;
}

const char *
name_rule(const char *name, char out[NAME_BYTES_MAX + 1])
{
	static const char blank[] = " \t\r\n\f\v";
	size_t len;

	name += strspn(name, blank);
	len = strlen(name);
	while (len > 0 && strchr(blank, name[len - 1]) != NULL)
		len--;
	if (len == 0)
		return "must not be empty";
	if (utf8_count(name, len) > NAME_CHARS_MAX)
		return "must have at most 100 characters";
	if (has_control(name, len))
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
	if (has_control(email, len) || strpbrk(email, " ") != NULL)
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
