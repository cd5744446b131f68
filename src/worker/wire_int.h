// What writing and reading share.
#pragma once

#include "worker/wire.h"

// Bytes of a value; 0 for the kinds that are no plain values.
size_t wire_cell_size(const struct vec_type *t);
