/* An empty directory of the test's own, the current one while the test runs, and files in it. */
#pragma once

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "unit.h"

static char scratch_dir[PATH_MAX];

/* Both are cmocka fixtures, for one test or for a group. */
static inline int
scratch_enter(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(scratch_dir, sizeof(scratch_dir), "%s/telemed-unit.XXXXXX",
	    tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	return mkdtemp(scratch_dir) != NULL && chdir(scratch_dir) == 0 ? 0 : -1;
}

static inline int
scratch_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int
scratch_leave(void **state)
{
	(void)state;
	if (chdir("/") != 0)
		return -1;
	return nftw(scratch_dir, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void
write_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* The whole file, to be freed. */
static inline char *
read_file(const char *name, size_t *len)
{
	FILE *f = fopen(name, "rb");
	struct stat st;
	char *data;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	*len = (size_t)st.st_size;
	assert_non_null(data = malloc(*len + 1));
	assert_int_equal(fread(data, 1, *len, f), *len);
	assert_int_equal(fclose(f), 0);
	return data;
}

static inline unsigned
file_mode(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_mode & 07777;
}
