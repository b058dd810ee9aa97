/* In the place of the relay's journal: a database of five people, and a thread that works when it
 * is told to. What it does is right; whether it can is the fuzzer's choice. */
#pragma once

#include "journal.h"

enum { PEOPLE = 5 }; /* of whom the first two are doctors, and the second is pending */

void db_reset(void);
struct user db_row(int64_t id); /* of a person, 1 to PEOPLE */

/* Does all that waits; FAILS: it cannot. The results are for journal_take(). */
void db_run(bool fails);
void db_tells(const struct job *j); /* a result that nobody has asked for */
void db_approve(int64_t id);
bool db_is_idle(void);

/* Everybody is gone: it says so, and nobody is in a call. */
void db_check(void);
