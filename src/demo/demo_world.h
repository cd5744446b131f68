// Demonstration data: a staffing agency's candidates, clients and placements, all made up.
//
// The rows are computed by the engine from their numbers alone, so every run makes the same ones.
// Names come from short lists, e-mail addresses are at example domains, phone numbers are 555-01xx.
#pragma once

#include "base/err.h"
#include "engine/engine.h"

enum {
    DEMO_CANDIDATES = 100000,
    DEMO_CLIENTS = 2000,
    DEMO_PLACEMENTS = 1470000,
};

// Writes candidates.parquet, clients.parquet and placements.parquet into the folder, which exists.
// Each placement names a candidate and a client that are there.
MUST_CHECK enum err_code demo_world_write(struct engine *e, const char *folder, struct err *err);
