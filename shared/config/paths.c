#include "config/paths.h"

#include <string.h>

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
		{ "run/run.lock", p->run_lock },
		{ "run", p->run },
		{ "run/relay.sock", p->relay },
		{ "run/auth.sock", p->auth },
		{ "run/api.sock", p->api },
		{ "run/doorbell.sock", p->doorbell },
		{ "run/metrics", p->metrics },
		{ "audit.key", p->audit_key },
		{ "audit.head", p->audit_head },
	};
	enum err e = ERR_OK;

	for (size_t i = 0; i < COUNT_OF(paths) && e == ERR_OK; i++)
		e = config_path(c, paths[i].name, paths[i].out);
	if (c->audit_key_file[0] != '\0')
		memcpy(p->audit_key, c->audit_key_file, sizeof(p->audit_key));
	return e;
}
