// Demonstration data: what `serve --demo` puts into an empty catalog.
#pragma once

#include "api/api.h"

// Ingests the sample files found in server.demo_data (flights, movies, birdstrikes, species,
// zipcodes) and a generated world (candidates, clients, placements), each unless a dataset of that
// name exists. A missing file is said and passed over. Talks to standard error.
MUST_CHECK enum err_code demo_load(struct api *api, struct err *err);
