/* The handlers, a file for each part of the path. docs/protocol.md says what each answers. */
#pragma once

#include "router.h"

handler handle_register; /* handle_auth.c */
handler handle_login;
handler handle_me;
handler handle_refresh;
handler handle_logout;
handler handle_calls_list;   /* handle_calls.c */
handler handle_doctors_list; /* handle_doctors.c */
handler handle_doctors_status;
handler handle_turn;  /* handle_turn.c */
handler handle_livez; /* handle_health.c */
handler handle_readyz;
handler handle_metrics;	 /* handle_metrics.c */
handler handle_contract; /* handle_contract.c */
