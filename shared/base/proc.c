#include "base/proc.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

int64_t
proc_memory(void)
{
	char text[128];
	const char *second;
	size_t len;

	if (file_read("/proc/self/statm", text, sizeof(text) - 1, &len) != ERR_OK)
		return 0;
	text[len] = '\0';
	second = strchr(text, ' ');
	return second == NULL ? 0 : strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE);
}

int64_t
proc_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t n = -3; /* ".", "..", and the directory's own */

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n < 0 ? 0 : n;
}
