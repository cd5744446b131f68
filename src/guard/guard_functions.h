// Functions that a statement may call.
//
// Admitted are pure functions of their arguments, and those that read the clock or draw random
// numbers. What reads or changes anything else is not here: files, settings, variables, sequences,
// the catalog, logs, sessions, serialised queries and types by name; nor what only sleeps or fails.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum guard_function_class { GUARD_SCALAR, GUARD_AGGREGATE, GUARD_WINDOW };

struct guard_function {
    const char *name;
    enum guard_function_class class;
    bool varies; // two runs over the same rows may differ: clock, random numbers
};

// NULL when it may not be called. Case does not matter.
const struct guard_function *guard_function_find(struct str name);
// The whole list, sorted by name.
const struct guard_function *guard_function_list(size_t *ret_count);
// Functions whose second argument names an aggregate: list_aggregate and its other names.
bool guard_function_by_name(struct str name);
