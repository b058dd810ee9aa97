/* The doorbell: "something in the database has changed", from whoever committed to the relay. A
 * datagram on a Unix socket that carries nothing. It may be lost, doubled or late: the listener
 * reads the database, and looks by itself as well. */
#pragma once

#include "base/err.h"

/* Rings at PATH (doorbell_ring.c). Never waits; nobody listening or a full queue is no failure.
 * Ring after the commit. */
void doorbell_ring(const char *path);

/* Listens at PATH (doorbell_listen.c): *FD becomes readable when it rings. The caller closes it. */
MUST_USE enum err doorbell_listen(const char *path, int *fd);

/* Empties the queue of FD. */
void doorbell_drain(int fd);
