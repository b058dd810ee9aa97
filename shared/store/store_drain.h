/* An operator's word to the relay that runs: take no new calls; or take them again. */
#pragma once

#include "store/store.h"

struct drain_order {
	int64_t number; /* counts them: a relay follows those that came after its start */
	bool active;	/* drain; else no more */
};

MUST_USE enum err store_drain_get(struct store *s, struct drain_order *out);

/* In a transaction. */
MUST_USE enum err store_drain_order(struct store *s, bool active);
