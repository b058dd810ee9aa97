/* Tells a service manager how this process is, by the protocol of sd_notify(3): one datagram for
 * each word, to the socket that NOTIFY_SOCKET names. Without libsystemd, which would bring four
 * libraries for compression and encryption into a process that strangers talk to. */
#pragma once

/* Sends STATE ("READY=1", "STOPPING=1"), without waiting. Where NOTIFY_SOCKET is unset or no
 * address, or nobody takes it, nothing happens: who waits for the word has a time-out of its own.
 */
void notify_state(const char *state);

/* To be called once a second by what must not get stuck. Sends "WATCHDOG=1" where the manager has
 * asked this process for it (WATCHDOG_USEC, and WATCHDOG_PID where it is set); its patience should
 * therefore be several seconds. */
void notify_alive(void);
