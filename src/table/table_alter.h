// Altering: columns that change, by field id, in one commit without rows.
//
// Files that are there stay as they are and are read under the new names and types; ids of columns
// that are gone are never given again; older snapshots keep their schema.
//
// Threads: any.
#pragma once

#include "table/table.h"

enum table_column_op {
    TABLE_COLUMN_ADD, // at the end, empty in the rows that there are
    TABLE_COLUMN_DROP,
    TABLE_COLUMN_RENAME,
    TABLE_COLUMN_WIDEN,    // to a type that holds all its values
    TABLE_COLUMN_NULLABLE, // may hold NULLs
};
struct table_column_change {
    enum table_column_op op;
    struct str name;
    struct str to;   // RENAME
    struct str type; // ADD and WIDEN, see table_type_parse
    bool lenient;    // ADD of one that there is, DROP of one that there is not: nothing
};
struct table_alter {
    struct str dataset;
    const struct table_column_change *changes; // one after the other
    size_t count;
    struct catalog_author who;
};
struct table_altered {
    struct catalog_dataset dataset; // as it is now
    const struct ice_schema *schema;
    bool unchanged;
};
// All changes in one commit. ERR_INVALID names the column that cannot be changed so; ERR_NOT_FOUND:
// no such dataset or column.
MUST_CHECK enum err_code table_alter(struct tables *t, const struct table_alter *r, struct arena *a,
                                     struct table_altered *ret, struct err *err);
