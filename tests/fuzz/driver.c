/* In libFuzzer's place: runs a target over its corpus, and says so in TAP.
 *
 * NAME_fuzz [FILE...]: with no file, all of tests/fuzz/corpus/NAME, from the repository's top. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { PATH_SIZE = 1024 };

static char running[PATH_SIZE]; /* the file whose turn it is */

/* A sanitizer, where there is one, ends the program by itself, and calls FN before. */
void at_sanitizers_end(void (*fn)(void)) __asm__("__sanitizer_set_death_callback")
    __attribute__((weak));

/* A target fails by ending the program: which file it was must not be lost. */
static void
say_last_words(void)
{
	static const char head[] = "not ok 1 - ended by ";

	if (running[0] == '\0')
		return;
	(void)!write(STDOUT_FILENO, head, sizeof(head) - 1);
	(void)!write(STDOUT_FILENO, running, strlen(running));
	(void)!write(STDOUT_FILENO, "\n", 1);
	running[0] = '\0';
}

static void
on_signal(int number)
{
	say_last_words();
	signal(number, SIG_DFL);
	raise(number);
}

/* DIR is open: a target may have gone into another folder. */
static void
run_file(int dir, const char *name)
{
	struct stat st;
	uint8_t *data;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	snprintf(running, sizeof(running), "%s", name);
	MUST(fd >= 0 && fstat(fd, &st) == 0);
	MUST((data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1)) != NULL);
	MUST(read(fd, data, (size_t)st.st_size) == st.st_size);
	close(fd);
	MUST(LLVMFuzzerTestOneInput(data, (size_t)st.st_size) == 0);
	free(data);
}

/* In the order of their names: a target may keep what it makes once. */
static unsigned
run_corpus(const char *path)
{
	struct dirent **list;
	unsigned count = 0;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int n = scandir(path, &list, NULL, alphasort);

	snprintf(running, sizeof(running), "%s", path);
	MUST(dir >= 0 && n >= 0);
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			run_file(dir, list[i]->d_name);
			count++;
		}
		free(list[i]);
	}
	free(list);
	close(dir);
	return count;
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash == NULL ? argv[0] : slash + 1;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char corpus[PATH_SIZE];
	unsigned count = 0;

	snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%.*s",
	    (int)(strlen(name) - strlen("_fuzz")), name);
	signal(SIGABRT, on_signal);
	if (at_sanitizers_end != NULL)
		at_sanitizers_end(say_last_words);
	else
		signal(SIGSEGV, on_signal);
	if (argc > 1) {
		for (int i = 1; i < argc; i++, count++)
			run_file(here, argv[i]);
	} else {
		count = run_corpus(corpus);
	}
	running[0] = '\0';
	printf("1..1\n%s 1 - %u inputs of %s\n", count > 0 ? "ok" : "not ok", count,
	    argc > 1 ? "the command line" : corpus);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
