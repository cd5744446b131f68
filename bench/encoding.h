// Encoding measured: the same rows as a jansson tree, as NDJSON and as Arrow.
#pragma once

#include <stdint.h>

// Prints one JSON line; see baseline.c.
void encoding_measure(int64_t rows);
