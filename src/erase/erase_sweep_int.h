// What the files of the sweep share.
#pragma once

#include "base/scratch.h"
#include "erase/erase_int.h"

// erase_sweep_rejects.c: removes the files of rejected rows that hold a value. Returns how many.
int64_t erase_sweep_rejects(const struct erase *e, const struct erase_matcher *m);
