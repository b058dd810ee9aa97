/* libwebsockets on the loop: it gets the sockets of who was admitted, and what it tells of them
 * goes to their connections (conn.h). */
#pragma once

#include "conn.h"
#include "gate.h"

struct ev_loop;
struct websockets;

/* With connections of CONNS. NULL: it could not be set up, or there is no memory. */
struct websockets *websockets_new(struct ev_loop *loop, struct conn_table *conns);

/* Closes all that are open, which their connections are told. NULL is fine. */
void websockets_free(struct websockets *ws);

/* Gives C, which is of conn_new(), the socket FD, whose client was admitted as A says: she gets her
 * 101, and C opens; where that does not come about both are given up. It is so when this returns.
 */
void websockets_open(
    struct websockets *ws, struct connection *c, int fd, const struct admission *a);
