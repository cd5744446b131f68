// Guard, row filters: one condition on the rows of one dataset, as a view has it.
//
// The text is made "SELECT * FROM base WHERE (filter)" and checked like any statement; the tree
// must then have that form, so that no text can be more than the condition that it stands for. It
// may ask other datasets in subqueries (and the base once more), at no other time than now; it may
// not ask tables of system, raw tables or common table expressions around it, it must give the same
// answer each time: no clock, no random numbers, and it may not take the base's row as a value (the
// base's name alone), which would depend on all columns.
#pragma once

#include "guard/guard.h"

struct guard_filter {
    // tables[base] is the base; guard_bind gives all columns of the rows that it lets through.
    const struct guard_statement *statement;
    size_t base;
    // The parts of all names in the filter, as written, each once (without regard to case): a
    // column of the base that it speaks of is among them. Other things are too: tables, columns of
    // other datasets, fields of structs.
    struct str *columns;
    size_t column_count;
};
// Errors as guard_check; the positions are in the filter, or -1.
MUST_CHECK enum err_code guard_check_filter(struct engine *parser, struct str base,
                                            struct str filter, struct arena *a,
                                            struct guard_filter **ret, struct err *err);
