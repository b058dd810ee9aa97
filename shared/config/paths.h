/* What stands where in the data directory: the one place that names it. */
#pragma once

#include "config/config.h"

struct data_paths {
	char database[CONFIG_TEXT_SIZE];
	char store_lock[CONFIG_TEXT_SIZE]; /* see store_open() */
	char relay_lock[CONFIG_TEXT_SIZE]; /* held by the one relay */
	char run_lock[CONFIG_TEXT_SIZE];   /* held by who runs all programs (scripts/run) */
	char run[CONFIG_TEXT_SIZE];	   /* the folder of the sockets and locks */
	char relay[CONFIG_TEXT_SIZE];	   /* ws-relay listens */
	char auth[CONFIG_TEXT_SIZE];	   /* fcgi-api's pool for passwords listens */
	char api[CONFIG_TEXT_SIZE];	   /* its pool for the rest */
	char doorbell[CONFIG_TEXT_SIZE];
	char metrics[CONFIG_TEXT_SIZE];
	char audit_key[CONFIG_TEXT_SIZE]; /* unless TELEMED_AUDIT_KEY_FILE names another */
	char audit_head[CONFIG_TEXT_SIZE];
};

/* Fills P. ERR_TOO_BIG: TELEMED_DATA_DIR is too long. */
MUST_USE enum err data_paths_find(const struct config *c, struct data_paths *p);
