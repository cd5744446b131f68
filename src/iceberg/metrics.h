// Column metrics: bounds in Iceberg's single-value form, and what they allow a scan to skip.
//
// Source: Apache Iceberg table spec, appendix D "Binary single-value serialization", and the
// truncation rules of "write.metadata.metrics". Wrong bounds are wrong answers, missing ones are
// only slow: whenever a text or a type is not understood exactly, there is no bound.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "iceberg/manifest.h"
#include "iceberg/schema.h"

#define ICE_TRUNCATE_DEFAULT 16 // code points of strings, bytes of binaries

// From the text form in which the engine gives minima and maxima (ISO dates and timestamps in UTC,
// booleans 0/1 or false/true, binary as hex pairs, decimals in full) to bound bytes. False: leave
// it out. Strings and binaries are cut to `truncate` (0: not cut) so that the bound still holds: a
// lower one to the prefix, an upper one to the next greater prefix.
bool ice_lower_bound(const struct ice_type *t, struct str text, int truncate, struct arena *a,
                     struct str *ret);
bool ice_upper_bound(const struct ice_type *t, struct str text, int truncate, struct arena *a,
                     struct str *ret);

// Order of two single values of one primitive type: <0, 0, >0. Values of the type before a widening
// (4 bytes for a long, 4 for a double) compare right. *ok false: not comparable.
int ice_value_cmp(const struct ice_type *t, struct str a, struct str b, bool *ok);

enum ice_op {
    ICE_OP_EQ,
    ICE_OP_NE,
    ICE_OP_LT,
    ICE_OP_LE,
    ICE_OP_GT,
    ICE_OP_GE,
    ICE_OP_IS_NULL,
    ICE_OP_NOT_NULL,
    ICE_OP_IN,
};

// A condition on one column, all of which hold for every row of the answer. Values are SQL
// constants as they are written: their text, and whether it was a number or a string literal. A
// constant of a floating type (1e3) keeps its exponent, because the engine compares as floating
// point then; a boolean is the text "true" or "false"; a cast is no constant unless it is to the
// column's own type.
struct ice_literal {
    struct str text;
    bool is_number;
};
struct ice_predicate {
    int32_t field_id;
    enum ice_op op;
    const struct ice_literal *values; // one, or the list of IN
    size_t value_count;
};

// False only if no row of the file can satisfy the condition.
bool ice_may_match(const struct ice_type *t, const struct ice_data_file *f,
                   const struct ice_predicate *p, struct arena *a);
// A constant as single-value bytes of t, exactly; false when it has no exact form (1.5 for a long).
// For a float and a double it is the nearest; a timestamptz without an offset is taken as UTC.
bool ice_literal_value(const struct ice_type *t, const struct ice_literal *v, struct arena *a,
                       struct str *ret);
