/* What the targets share. Each is a file with one LLVMFuzzerTestOneInput(): clang's libFuzzer calls
 * it with inputs of its own making, driver.c with those of the corpus. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program, and says what does not hold: libFuzzer keeps the input then. */
#define MUST(truth) ((truth) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #truth))
void fuzz_fail(const char *file, int line, const char *what) __attribute__((noreturn));

/* A copy of the LEN bytes at TEXT that ends where they do, so that a sanitizer sees whoever reads
 * past; with a NUL behind them where it is to be a string. To be freed. */
char *fuzz_bytes(const void *text, size_t len);
char *fuzz_string(const void *text, size_t len);

/* Takes the next line off the input, without its end: *LINE, of *LEN bytes. False: there is none.
 */
struct fuzz_input {
	const char *at;
	size_t left;
};
int fuzz_line(struct fuzz_input *in, const char **line, size_t *len);

/* A directory of the process's own, empty, in memory where there is such a file system; it is the
 * current one from then on and goes with the process. Once. */
void fuzz_scratch(void);
