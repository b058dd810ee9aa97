/* /turn: the STUN and TURN servers for a call. */
#include "auth/turn.h"
#include "base/clock.h"
#include "handlers.h"

enum err
handle_turn(struct request *q)
{
	const struct turn_grant grant = { .settings = &q->service->config->turn,
		.user = q->who.user.id,
		.now_s = clock_wall_ms() / 1000 };
	struct json_writer w;

	reply_begin(q, 200, &w);
	jw_object(&w, NULL);
	turn_write(&w, "iceServers", &grant);
	jw_object_end(&w);
	return ERR_OK;
}
