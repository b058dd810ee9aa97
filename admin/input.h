/* What an operator types, or a script writes to standard input: names and passwords do not belong
 * on a command line, which every user of the machine can read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Reads a line, without its end, into the SIZE bytes at OUT; all of them are read, and no more: the
 * next line is for the next call. On a terminal PROMPT is shown, and SECRET text is not echoed.
 * ERR_NOT_FOUND: there is none. ERR_TOO_BIG: it does not fit. ERR_INVALID: it is not UTF-8, or
 * holds a NUL. ERR_SYSTEM. */
MUST_USE enum err input_line(const char *prompt, bool secret, char *out, size_t size);

/* Is it a terminal? */
bool input_is_typed(void);
