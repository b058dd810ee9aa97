/* Inside the settings: the secrets that sign and verify tokens, from their files or as they are. */
#pragma once

#include "config/config.h"

/* Reads them into C, whose other settings are there. ERR_INVALID: WHY names the one that is not as
 * it must be. */
MUST_USE enum err secrets_read(
    struct config *c, const struct settings *from, char why[CONFIG_WHY_SIZE]);
