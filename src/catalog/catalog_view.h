// Views: what of a dataset is shown to whom may not see it whole.
//
// The entity "view:NAME" names its base by name and id, and the content object that holds its
// definitions, the one that holds and the earlier ones: a row filter may quote a value of a person,
// so it never stands in the log. Each change of a definition is a new version, counted from 1.
//
// A name is a dataset's or a view's, never both, whatever its case: whoever makes a dataset expects
// in the same transaction that there is no such view, and whoever makes a view that there is no
// dataset of exactly that name; one that differs in case is looked for just before. If two make
// such a pair at the same moment, the dataset wins for those who may know of both.
//
// What a view points to is parsed once and kept by the catalog: it stays until the arena is
// released, which must come before the catalog is closed.
//
// Threads: any.
#pragma once

#include "catalog/catalog_content.h"
#include "catalog/catalog_role.h"
#include "mask/mask.h"

#define CATALOG_VIEW_COLUMNS_MAX 10000
#define CATALOG_VIEW_FILTER_MAX 65536 // bytes
#define CATALOG_VIEW_VERSIONS_MAX 100 // that are kept; older ones are in the journal by their hash

struct catalog_view_column {
    struct str name;  // of the base's column, and of the view's
    int32_t field_id; // of the base's column
    struct mask mask;
};

// A column that the row filter speaks of. A dataset that it asks without any of its columns has one
// without a name.
struct catalog_view_use {
    struct str name;
    int32_t field_id;
    struct str dataset_id; // empty: the base
};

struct catalog_view {
    struct str name;
    uint64_t version; // of the entity, to be expected by the next change; 0: does not exist yet
    struct str id;    // of the view: one that is made again under its name has another
    int64_t number;   // of the definition: 1, 2, …
    struct str base, base_id; // dataset: its name now, and its id
    const struct catalog_view_column *columns;
    size_t column_count;
    struct str row_filter; // as it was given; empty: all rows
    const struct catalog_view_use *uses;
    size_t use_count;
    struct catalog_content content;
    struct str author; // who made this definition
    int64_t created_us, updated_us;
};

// By its name, whatever its case. For the server's own work.
MUST_CHECK enum err_code catalog_view_get(struct catalog *c, struct str name, struct arena *a,
                                          struct catalog_view *ret, struct err *err);
// The same without its definition: no columns, filter or author.
bool catalog_view_find(struct catalog *c, struct str name, struct arena *a,
                       struct catalog_view *ret);
bool catalog_view_has_name(struct catalog *c, struct str name);
// An earlier definition of it. ERR_NOT_FOUND: no such version, or it is not kept any more.
MUST_CHECK enum err_code catalog_view_at(struct catalog *c, const struct catalog_view *v,
                                         int64_t number, struct arena *a, struct catalog_view *ret,
                                         struct err *err);
// All of its definitions that are kept, oldest first; updated_us is when each was made.
MUST_CHECK enum err_code catalog_view_versions(struct catalog *c, const struct catalog_view *v,
                                               struct arena *a, struct catalog_view **ret,
                                               size_t *ret_count, struct err *err);
// All, by name; of one dataset (its id), or of every one (empty).
MUST_CHECK enum err_code catalog_view_list(struct catalog *c, struct str base_id, struct arena *a,
                                           struct catalog_view **ret, size_t *ret_count,
                                           struct err *err);
// Those that one with these rights may read, by name. The others are not even looked at, so that
// nothing of them is told, nor when they are damaged.
MUST_CHECK enum err_code catalog_view_list_permitted(struct catalog *c,
                                                     const struct catalog_rights *rights,
                                                     struct arena *a, struct catalog_view **ret,
                                                     size_t *ret_count, struct err *err);
// Creates (version 0) or replaces: v->version, number and times are set. ERR_EXISTS: a dataset or,
// with version 0, a view has the name. ERR_CONFLICT: somebody was quicker.
MUST_CHECK enum err_code catalog_view_put(struct catalog *c, struct catalog_view *v,
                                          const struct catalog_author *who, struct err *err);
MUST_CHECK enum err_code catalog_view_remove(struct catalog *c, const struct catalog_view *v,
                                             const struct catalog_author *who, struct err *err);
// Adds to an array of changes of a dataset that is made under a name, or renamed to it: there is no
// view of that name.
void catalog_view_must_not_exist(struct str name, json_t *changes);
// And of a rename: its views name the dataset anew.
void catalog_view_dataset_renamed(struct catalog *c, const struct catalog_dataset *d, struct str to,
                                  json_t *changes);
// Drops the parsed definitions: for an erasure.
void catalog_view_forget(struct catalog *c);
// Erasure: row filters of earlier definitions that quote something lose their text, and the objects
// that had it are removed. What stands there instead is a filter that nobody can put again.
#define CATALOG_VIEW_FILTER_ERASED "-- erased"
struct catalog_view_eraser {
    bool (*quotes)(void *ctx, struct str filter);
    void *ctx;
};
struct catalog_view_erased {
    int64_t filters;
    struct catalog_content_swept objects; // that are gone; in the arena
};
MUST_CHECK enum err_code catalog_view_erase(struct catalog *c,
                                            const struct catalog_view_eraser *eraser,
                                            const struct catalog_author *who, struct arena *a,
                                            struct catalog_view_erased *ret, struct err *err);

// For whoever makes a dataset or renames it: ERR_EXISTS if a view that they may know of has the
// name. (Of one that they may not know of, the change is refused as if it were a dataset.)
MUST_CHECK enum err_code catalog_permit_name(struct catalog *c, const struct catalog_rights *r,
                                             struct str name, struct err *err);
// The view, if they may read it. ERR_NOT_FOUND, perhaps with a similar name of a view that they
// may read.
MUST_CHECK enum err_code catalog_view_permit(struct catalog *c, struct str name,
                                             const struct catalog_rights *r, struct arena *a,
                                             struct catalog_view *ret, struct err *err);
// What a name in SQL means for somebody: a dataset that they may know of, else a view that they may
// read; wish->need is asked for of a dataset. The names that they have no right on do not exist for
// them, see catalog_dataset_permit; the message for a missing name is that of a dataset, with a
// similar name of either kind.
struct catalog_table {
    bool is_view;
    struct catalog_dataset dataset;
    struct catalog_view view;
};
MUST_CHECK enum err_code catalog_table_permit(struct catalog *c, struct str name,
                                              const struct catalog_wish *wish, struct arena *a,
                                              struct catalog_table *ret, struct err *err);
