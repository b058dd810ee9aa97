#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch[64];

void
fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
	abort();
}

static char *
copy(const void *text, size_t len, size_t more)
{
	char *to = malloc(len + more > 0 ? len + more : 1);

	MUST(to != NULL);
	if (len > 0)
		memcpy(to, text, len);
	return to;
}

char *
fuzz_bytes(const void *text, size_t len)
{
	return copy(text, len, 0);
}

char *
fuzz_string(const void *text, size_t len)
{
	char *to = copy(text, len, 1);

	to[len] = '\0';
	return to;
}

int
fuzz_line(struct fuzz_input *in, const char **line, size_t *len)
{
	const char *end;

	if (in->left == 0)
		return 0;
	end = memchr(in->at, '\n', in->left);
	*line = in->at;
	*len = end == NULL ? in->left : (size_t)(end - in->at);
	in->at += *len + (end == NULL ? 0 : 1);
	in->left -= *len + (end == NULL ? 0 : 1);
	return 1;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void
leave(void)
{
	if (chdir("/") == 0)
		(void)nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void
fuzz_scratch(void)
{
	const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(scratch, sizeof(scratch), "%s/telemed-fuzz.XXXXXX", memory);
	MUST(mkdtemp(scratch) != NULL && chdir(scratch) == 0);
	MUST(atexit(leave) == 0);
}
