#include "base/err.h"

const char *
err_name(enum err e)
{
	static const char *const names[ERR__COUNT] = {
		[ERR_OK] = "ok",
		[ERR_INVALID] = "invalid",
		[ERR_DENIED] = "denied",
		[ERR_NOT_FOUND] = "not_found",
		[ERR_CONFLICT] = "conflict",
		[ERR_TOO_BIG] = "too_big",
		[ERR_TOO_NEW] = "too_new",
		[ERR_BUSY] = "busy",
		[ERR_SYSTEM] = "system",
	};

	return (unsigned)e < ERR__COUNT ? names[e] : "unknown";
}
