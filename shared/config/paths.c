#include "config/paths.h"

enum err
data_paths_find(const struct config *c, struct data_paths *p)
{
	const struct {
		const char *name;
		char *out;
	} paths[] = {
		{ "telemed.db", p->database },
		{ "run/store.lock", p->store_lock },
		{ "run/relay.lock", p->relay_lock },
		{ "run/relay.sock", p->relay },
		{ "run/auth.sock", p->auth },
		{ "run/api.sock", p->api },
		{ "run/doorbell.sock", p->doorbell },
		{ "run/metrics", p->metrics },
	};
	enum err e = ERR_OK;

	for (size_t i = 0; i < COUNT_OF(paths) && e == ERR_OK; i++)
		e = config_path(c, paths[i].name, paths[i].out);
	return e;
}
