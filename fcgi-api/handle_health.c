/* Whether it lives, and whether it can do its work. */
#include "handlers.h"
#include "health.h"

enum err
handle_livez(struct request *q)
{
	struct json_writer w;

	reply_begin(q, 200, &w);
	jw_object(&w, NULL);
	jw_string(&w, "status", "ok");
	jw_string(&w, "version", TELEMED_VERSION);
	jw_object_end(&w);
	return ERR_OK;
}

enum err
handle_readyz(struct request *q)
{
	const char *words[CHECK__COUNT];
	struct json_writer w;
	bool ok = true;

	for (unsigned c = 0; c < CHECK__COUNT; c++) {
		words[c] = health_check(q->service, (enum check)c);
		ok = ok && health_is_ok(words[c]);
	}
	reply_begin(q, ok ? 200 : 503, &w);
	jw_object(&w, NULL);
	jw_string(&w, "status", ok ? "ok" : "unavailable");
	jw_object(&w, "checks");
	for (unsigned c = 0; c < CHECK__COUNT; c++)
		jw_string(&w, check_names[c], words[c]);
	jw_object_end(&w);
	jw_object_end(&w);
	return ERR_OK;
}
