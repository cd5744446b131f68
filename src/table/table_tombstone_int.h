// What the files about tombstones share.
#pragma once

#include "table/table_commit.h"
#include "table/table_keys.h"
#include "table/table_tombstone.h"

// The column that tombstones are for in a schema, also an older one: by id, else by name. NULL: it
// has none.
const struct ice_field *table_tombstone_field(const struct catalog_tombstones *t,
                                              const struct ice_schema *s);
// The values of all items that the field can hold.
struct table_keys table_tombstone_keys(const struct table_tombstone_list *list,
                                       const struct ice_field *field, struct arena *a);
// What was found in a scan of live rows becomes hidden by tombstones, beside what is so already.
MUST_CHECK enum err_code table_hidden_add(struct table_commit *c, const struct table_scan *scan,
                                          const struct table_key_rows *found, struct table_edit *e,
                                          struct err *err);
