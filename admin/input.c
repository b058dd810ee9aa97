#include "input.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/str.h"

static struct termios seen; /* the terminal, as it was before a password was asked for */

/* Whenever it comes: the terminal is as it was, and then the signal takes effect. */
static void
on_stop(int sig)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &seen);
	raise(sig);
}

bool
input_is_typed(void)
{
	return isatty(STDIN_FILENO) != 0;
}

/* Byte by byte: what is behind the line is not ours. */
static enum err
read_line(char *out, size_t size)
{
	size_t len = 0;
	bool fits = true;
	ssize_t n;
	char c;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (len + 1 < size)
			out[len++] = c;
		else
			fits = false;
	}
	out[len] = '\0';
	if (n < 0 || (n == 0 && len == 0))
		return n < 0 ? ERR_SYSTEM : ERR_NOT_FOUND;
	if (!fits)
		return ERR_TOO_BIG;
	return strlen(out) == len && utf8_valid(out, len) ? ERR_OK : ERR_INVALID;
}

/* Without echo, from before the prompt on: what was typed ahead is thrown away. A signal must not
 * leave the terminal so. */
static enum err
read_unseen(const char *prompt, char *out, size_t size)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	const struct sigaction catch = { .sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND };
	struct sigaction before[COUNT_OF(stops)];
	struct termios unseen;
	enum err e;

	if (tcgetattr(STDIN_FILENO, &seen) != 0)
		return ERR_SYSTEM;
	unseen = seen;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	for (size_t i = 0; i < COUNT_OF(stops); i++) {
		sigaction(stops[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(stops[i], &catch, NULL);
	}
	e = tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) == 0 ? ERR_OK : ERR_SYSTEM;
	fprintf(stderr, "%s: ", prompt);
	if (e == ERR_OK)
		e = read_line(out, size);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &seen);
	for (size_t i = 0; i < COUNT_OF(stops); i++)
		sigaction(stops[i], &before[i], NULL);
	fputc('\n', stderr);
	return e;
}

enum err
input_line(const char *prompt, bool secret, char *out, size_t size)
{
	if (!input_is_typed())
		return read_line(out, size);
	if (secret)
		return read_unseen(prompt, out, size);
	fprintf(stderr, "%s: ", prompt);
	return read_line(out, size);
}
