/* From what happens to a connection to the hub's events: above all from its texts, which are read,
 * charged to its allowance, and wait for the store where the hub cannot judge them alone. */
#pragma once

#include "conn.h"

/* For conn_table_new(), with the relay (relay.h) as their context. What is not carried out is
 * answered with an error, or closes the connection. */
extern const struct conn_events dispatch_events;
