// Suppression lists as the catalog has them: keys of erased subjects whose rows are kept out.
//
// They belong to the name of a dataset, whatever its case: they are there before it is made and
// after it was dropped. Who gives the dataset or a listed column another name has the lists copied
// to the new name in the same transaction; the old name keeps them.
//
// Entity "suppression:<name in lower case>":
//   {"name", "lists": [{"column", "count", "content": {"object", "sha256"}}]}
// with the HMACs in the content (table_suppress.h). Lists may share a content, and a column may
// have several.
//
// Threads: any.
#pragma once

#include "base/json.h"
#include "catalog/catalog.h"

struct str catalog_suppression_key(struct str dataset, struct arena *a);

// Both add to an array of changes, or do not where there is nothing to copy.
void catalog_suppression_dataset_renamed(struct catalog *c, struct str from, struct str to,
                                         json_t *changes);
struct catalog_column_renamed {
    struct str from, to;
};
void catalog_suppression_columns_renamed(struct catalog *c, struct str dataset,
                                         const struct catalog_column_renamed *renamed, size_t count,
                                         json_t *changes);
