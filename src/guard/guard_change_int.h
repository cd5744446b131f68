// Guard, statements that write: what the reader of the head hands to the maker of the SELECT.
#pragma once

#include "guard/guard_change.h"
#include "guard/guard_int.h"
#include "guard/guard_token.h"

// Bytes [start, end) of the client's text.
struct guard_part {
    size_t start, end;
};

struct guard_head {
    struct str sql;
    struct arena *arena;
    struct err *err;
    struct token *tokens; // the last is TOKEN_END
    size_t count, at;
    struct guard_change *change;
    struct str alias;          // UPDATE, DELETE: under which the target is spoken of
    struct guard_part query;   // INSERT, CREATE
    struct guard_part *values; // UPDATE: one for each column that is set
    struct guard_part where;
    bool has_where;
    size_t column_cap, value_cap;
};

const struct token *guard_ahead(const struct guard_head *h, size_t count);
// Makes the SELECT, has it checked, and looks at its form.
MUST_CHECK enum err_code guard_change_rows(struct engine *parser, struct guard_head *h);
