/* What a program's exit says to who started it. 0: it was told to stop. */
#pragma once

enum {
	EXIT_PERMANENT = 100, /* not again before somebody has changed something */
	EXIT_TEMPORARY = 111, /* the same may work later */
};
