// The server: everything wired together, from configuration to shutdown.
#pragma once

#include "base/config.h"
#include "base/err.h"

// Serves until SIGTERM or SIGINT, then drains (http.drain_timeout; a second signal cuts it short).
// Prints address and, when it was just made, the admin token to standard output.
MUST_CHECK enum err_code server_run(const struct config *c, struct err *err);
