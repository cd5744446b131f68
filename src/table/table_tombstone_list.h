// The list of a dataset as it is changed, and its keys as they are looked for. For the files of
// table/ and for upkeep/.
#pragma once

#include "table/table_commit.h"
#include "table/table_keys.h"
#include "table/table_tombstone.h"

// Writes the list as a content object of the attempt, and makes it the dataset's; an empty one
// needs no object.
MUST_CHECK enum err_code table_tombstone_list_put(struct table_commit *c,
                                                  const struct table_tombstone_list *list,
                                                  struct table_edit *e, struct err *err);
// Takes out the items for which gone is true, and remembers them as applied if the metadata has
// snapshots from before `sequence`; and forgets what needs not be remembered any more.
struct table_tombstone_list table_tombstone_list_apply(const struct table_tombstone_list *list,
                                                       const bool *gone, int64_t sequence,
                                                       const struct ice_metadata *m,
                                                       struct arena *a);
// Is something remembered that no snapshot of the metadata needs?
bool table_tombstone_list_forgets(const struct table_tombstone_list *list,
                                  const struct ice_metadata *m);

// Those of the values that the field can hold.
struct table_keys table_tombstone_keys(const struct str *values, size_t count,
                                       const struct ice_field *field, struct arena *a);
// The column that tombstones are for in a schema, also an older one: by id, else by name. NULL: it
// has none.
const struct ice_field *table_tombstone_field(struct str column, int32_t field_id,
                                              const struct ice_schema *s);
// Rows of a scan that live become hidden by tombstones, beside what is so already. bits: by file,
// NULL for none; get the earlier ones too.
MUST_CHECK enum err_code table_hidden_add(struct table_commit *c, const struct table_scan *scan,
                                          uint64_t *const *bits, struct table_edit *e,
                                          struct err *err);
