#include "config/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* Reads the secret in the file PATH, which NAME says. *MODE is the file's. */
static enum err
read_secret_file(const char *name, const char *path, unsigned char out[SECRET_BYTES_MAX],
    size_t *len, mode_t *mode, char *why)
{
	struct stat st = { .st_mode = 0 };
	enum err e = file_read(path, out, SECRET_BYTES_MAX, len);

	if (e == ERR_OK && *len >= SECRET_BYTES_MIN) {
		if (stat(path, &st) == 0)
			*mode |= st.st_mode;
		return ERR_OK;
	}
	snprintf(why, CONFIG_WHY_SIZE, "%s must name a readable file of %d to %d bytes (%s).", name,
	    SECRET_BYTES_MIN, SECRET_BYTES_MAX, e == ERR_OK ? "it is shorter" : file_read_why(e));
	return ERR_INVALID;
}

/* Where a secret's file is: SET, or where that is empty FALLBACK in the data directory. ERR_TOO_BIG
 * is one that cannot be read either. */
static void
secret_path(const struct config *c, const char *set, const char *fallback, char *out)
{
	if (set[0] != '\0' || config_path(c, fallback, out) != ERR_OK)
		memcpy(out, set, strlen(set) + 1);
}

/* TELEMED_JWT_SECRET is the key itself and goes before the file. Every byte counts, a newline too.
 */
static enum err
read_first(struct config *c, const struct settings *from, mode_t *mode, char *why)
{
	const char *text = settings_get(from, "TELEMED_JWT_SECRET");
	char path[CONFIG_TEXT_SIZE];
	size_t len;

	if (text == NULL || text[0] == '\0') {
		secret_path(c, c->secret_file, "secret", path);
		return read_secret_file(
		    "TELEMED_JWT_SECRET_FILE", path, c->secret, &c->secret_len, mode, why);
	}
	len = strlen(text);
	if (len < SECRET_BYTES_MIN || len > SECRET_BYTES_MAX) {
		snprintf(why, CONFIG_WHY_SIZE, "TELEMED_JWT_SECRET must have %d to %d bytes.",
		    SECRET_BYTES_MIN, SECRET_BYTES_MAX);
		return ERR_INVALID;
	}
	memcpy(c->secret, text, len);
	c->secret_len = len;
	c->secret_is_text = true;
	return ERR_OK;
}

/* One that nobody has named may be missing. */
static enum err
read_second(struct config *c, mode_t *mode, char *why)
{
	char path[CONFIG_TEXT_SIZE];

	c->second_len = 0;
	secret_path(c, c->second_file, "secret.second", path);
	if (c->second_file[0] == '\0' && access(path, F_OK) != 0 && errno == ENOENT)
		return ERR_OK;
	return read_secret_file(
	    "TELEMED_JWT_SECRET_SECOND_FILE", path, c->second, &c->second_len, mode, why);
}

enum err
secrets_read(struct config *c, const struct settings *from, char why[CONFIG_WHY_SIZE])
{
	mode_t mode = 0;
	enum err e;

	if ((e = read_first(c, from, &mode, why)) != ERR_OK ||
	    (e = read_second(c, &mode, why)) != ERR_OK)
		return e;
	c->exposed = c->exposed || (mode & S_IRWXO) != 0;
	return ERR_OK;
}
