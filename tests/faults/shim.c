/* Preloaded into the programs by tests/faults: lets one allocation fail, of all or of the program's
 * own, and moves the wall clock. A file that the test and all processes map says what; its name is
 * in FAULT_SHIM. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* As tests/support/trouble.py writes and reads it. */
struct control {
	_Atomic int64_t left;	 /* allocations from now to the one that fails, with it; 0: none */
	_Atomic int64_t failed;	 /* how many have failed */
	_Atomic int64_t ahead_s; /* of the wall clock */
	_Atomic int64_t own;	 /* not 0: those of libraries do not count */
};

static struct control nothing;
static struct control *control = &nothing;

/* glibc's own, by the names that it exports for this. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
/* NOLINTEND(bugprone-reserved-identifier) */

/* Where the program's own code is. */
static uintptr_t own_from;
static uintptr_t own_to;

/* Of the first, which is the program. */
static int
find_own(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || (p->p_flags & PF_X) == 0)
			continue;
		own_from = info->dlpi_addr + p->p_vaddr;
		own_to = own_from + p->p_memsz;
	}
	return 1;
}

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("FAULT_SHIM");
	void *map = MAP_FAILED;
	int fd;

	dl_iterate_phdr(find_own, NULL);
	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return;
	map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		control = map;
}

/* CALLER: where the code goes on that wants memory. */
static int
fails(const void *caller)
{
	bool own = (uintptr_t)caller >= own_from && (uintptr_t)caller < own_to;

	if (atomic_load(&control->left) <= 0 || (!own && atomic_load(&control->own) != 0) ||
	    atomic_fetch_sub(&control->left, 1) != 1)
		return 0;
	atomic_fetch_add(&control->failed, 1);
	errno = ENOMEM;
	return 1;
}

EXPORT void *
malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

EXPORT void *
calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

EXPORT void *
realloc(void *p, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

EXPORT int
clock_gettime(clockid_t which, struct timespec *t)
{
	long rc = syscall(SYS_clock_gettime, which, t);

	if (rc == 0 && which == CLOCK_REALTIME)
		t->tv_sec += atomic_load(&control->ahead_s);
	return (int)rc;
}

EXPORT time_t
time(time_t *out)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t);
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}

EXPORT int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t = { 0 };

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}
