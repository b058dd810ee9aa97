/* A signal that comes while a program starts. */
#pragma once

/* From main()'s first line on: SIGTERM, SIGINT and SIGHUP wait until somebody takes them, so that a
 * start that they interrupt ends as any other stop does, in order and with 0, and one that a reload
 * meets is reloaded. Who takes them by a handler calls signals_release_stop() when that is there.
 */
void signals_hold_stop(void);
void signals_release_stop(void);
