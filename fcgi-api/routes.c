#include "handlers.h"

const struct route routes[] = {
	/* method     path             access     body   handler */
	{ HTTP_POST, "/auth/register", ANYONE, true, handle_register },
	{ HTTP_POST, "/auth/login", ANYONE, true, handle_login },
	{ HTTP_GET, "/auth/me", SIGNED_IN, false, handle_me },
	{ HTTP_POST, "/auth/refresh", SIGNED_IN, false, handle_refresh },
	{ HTTP_POST, "/auth/logout", SIGNED_IN, false, handle_logout },
	{ HTTP_GET, "/calls", SIGNED_IN, false, handle_calls_list },
	{ HTTP_GET, "/doctors", SIGNED_IN, false, handle_doctors_list },
	{ HTTP_POST, "/doctors/status", DOCTORS, true, handle_doctors_status },
	{ HTTP_GET, "/turn", SIGNED_IN, false, handle_turn },
	{ HTTP_GET, "/livez", ANYONE, false, handle_livez },
	{ HTTP_GET, "/readyz", ANYONE, false, handle_readyz },
	{ HTTP_GET, "/metrics", LOOPBACK, false, handle_metrics },
	{ HTTP_GET, "/openapi.yaml", ANYONE, false, handle_contract },
	{ HTTP_GET, "/asyncapi.yaml", ANYONE, false, handle_contract },
	{ .handle = NULL },
};
