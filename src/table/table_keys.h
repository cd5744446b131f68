// Row keys: the values that tell rows apart, and the rows that have them. For the files of table/,
// for upkeep/ and erase/.
//
// A key is looked up by its canonical text: an integer in decimal, a UUID in lower case with
// dashes, a text as it is.
//
// Threads: any; a session that is passed in is used by the caller's thread.
#pragma once

#include "table/table_int.h"
#include "table/table_tombstone.h"

// May a column of that type be the row key: a text, an integer, a UUID?
bool table_key_type_fits(const struct ice_type *t);
// Can keys of the one type be compared with those of the other?
bool table_key_types_agree(const struct ice_type *x, const struct ice_type *y);
// The key's canonical text, in the arena. False: it cannot be a value of that type.
bool table_key_text(const struct table_key *key, const struct ice_type *t, struct arena *a,
                    struct str *ret);

struct table_keys {
    const struct ice_field *field; // of the schema that rows are read with
    const struct str *values;      // canonical texts, each once
    size_t count;
};
// What a file must satisfy to hold any of them.
struct table_conditions table_keys_conditions(const struct table_keys *k, struct arena *a);
// Those of the keys that the bounds of the files do not exclude.
struct table_keys table_keys_within(const struct table_keys *k, const struct ice_schema *s,
                                    const struct table_scan *scan, struct arena *a);

// Where keys are looked for.
struct table_key_search {
    const struct table_pin *pin;
    const struct table_scan *scan; // planned with the engine of the tables
    struct table_keys keys;
    struct session *session; // NULL: one of its own
};
struct table_key_rows {
    uint64_t **bits; // by file of the scan; NULL: none of it
    int64_t *by_key; // how many each key has
    int64_t rows;
};
// Rows of the scan that live and have one of the keys, in one pass.
MUST_CHECK enum err_code table_keys_find(struct tables *t, const struct table_key_search *search,
                                         struct arena *a, struct table_key_rows *ret,
                                         struct err *err);
// A scan of the rows that tombstones hide, as if they lived and the others were deleted.
struct table_scan table_scan_hidden(struct tables *t, const struct table_scan *all,
                                    struct arena *a);
