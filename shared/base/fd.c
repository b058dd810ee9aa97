#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum err
file_read(const char *path, void *out, size_t max, size_t *len)
{
	char past;
	ssize_t n = 0;
	size_t have = 0;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
	while (have < max && (n = read(fd, (char *)out + have, max - have)) > 0)
		have += (size_t)n;
	if (n >= 0 && have == max)
		n = read(fd, &past, 1);
	close(fd);
	if (n < 0)
		return ERR_SYSTEM;
	if (n > 0)
		return ERR_TOO_BIG;
	*len = have;
	return ERR_OK;
}

const char *
file_read_why(enum err e)
{
	switch (e) {
	case ERR_NOT_FOUND:
		return "there is none";
	case ERR_TOO_BIG:
		return "it is longer";
	default:
		return strerror(errno);
	}
}

enum err
file_sync_name(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int len = slash == NULL ? 1 : (int)(slash - path + 1);
	int fd;
	int rc;

	if (len >= (int)sizeof(dir))
		return ERR_TOO_BIG;
	memcpy(dir, slash == NULL ? "." : path, (size_t)len);
	dir[len] = '\0';
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return ERR_SYSTEM;
	rc = fsync(fd);
	close(fd);
	return rc == 0 ? ERR_OK : ERR_SYSTEM;
}

enum err
lock_try(const char *path, int *fd)
{
	int f;

	if ((f = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
		return ERR_SYSTEM;
	if (flock(f, LOCK_EX | LOCK_NB) != 0) {
		enum err e = errno == EWOULDBLOCK ? ERR_BUSY : ERR_SYSTEM;

		close(f);
		return e;
	}
	*fd = f;
	return ERR_OK;
}

static enum err
unix_address(const char *path, struct sockaddr_un *a)
{
	if (strlen(path) >= sizeof(a->sun_path))
		return ERR_TOO_BIG;
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, path, strlen(path) + 1);
	return ERR_OK;
}

enum err
unix_bind(const char *path, int type, int backlog, int *fd)
{
	struct sockaddr_un a;
	mode_t mask;
	enum err e;
	int bound;
	int s;

	if ((e = unix_address(path, &a)) != ERR_OK)
		return e;
	if ((s = socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) < 0)
		return ERR_SYSTEM;
	unlink(path);
	mask = umask(0177);
	bound = bind(s, (const struct sockaddr *)&a, sizeof(a));
	umask(mask);
	if (bound != 0 || (type == SOCK_STREAM && listen(s, backlog) != 0)) {
		close(s);
		return ERR_SYSTEM;
	}
	*fd = s;
	return ERR_OK;
}

enum err
unix_connect(const char *path, int type, int *fd)
{
	struct sockaddr_un a;
	enum err e;
	int s;

	if ((e = unix_address(path, &a)) != ERR_OK)
		return e;
	if ((s = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return ERR_SYSTEM;
	if (connect(s, (const struct sockaddr *)&a, sizeof(a)) != 0) {
		e = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOT_FOUND : ERR_SYSTEM;
		close(s);
		return e;
	}
	*fd = s;
	return ERR_OK;
}
