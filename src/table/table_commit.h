// Commits: what one changes, and the loop that makes it happen once. For the files of table/ and
// for upkeep/.
#pragma once

#include "table/table_int.h"

// Objects of a commit under way, to be removed when it fails.
struct table_objects {
    struct str *names;
    size_t count, cap;
};
struct table_entries {
    struct ice_entry *items;
    size_t count, cap;
};
struct table_paths {
    struct str *items;
    size_t count, cap;
};
// Both live in the arena.
struct ice_entry *table_entry_add(struct table_entries *e, struct arena *a);
void table_path_add(struct table_paths *p, struct str path, struct arena *a);

// What one attempt of a commit changes.
struct table_edit {
    struct str operation;            // of the new snapshot; empty: there is none
    const struct ice_schema *schema; // becomes current; NULL: as it is
    int32_t last_column_id;          // with the schema
    struct table_entries added;      // data files that lie in the bucket
    struct table_entries deletes;    // position delete files that lie there
    struct table_paths removed;      // URIs of data and delete files that go
    bool removes_all;                // every live file goes
    bool nothing;                    // there is nothing to commit: it succeeds without a trace
    // What the dataset's tombstones become; NULL: they stay. Their old list is removed afterwards.
    const struct catalog_tombstones *tombstones;
    bool forgets_source; // the file that it was made from is not what it holds any more
    // Further changes of the new metadata, after the snapshot was added; may be NULL. It may make
    // another snapshot current.
    enum err_code (*amend)(void *ctx, struct ice_metadata *next, struct arena *a, struct err *err);
    void *amend_ctx;
};

// A commit: filled by the caller, then run. prepare makes the edit, anew for each attempt, from
// the state in `base`; what it puts into the bucket it notes, in `kept` if a later attempt uses it
// again. Its failure is the commit's, ERR_CONFLICT too: only a lost race at the catalog is tried
// again.
struct table_commit {
    struct tables *tables;
    struct str dataset, bucket; // bucket empty: the dataset's, or primary
    struct str dataset_id;      // not empty: it must still be this one
    bool creates;               // a missing dataset is made: base.metadata is NULL then
    struct catalog_author who;
    struct str source_sha256; // noted with the dataset where the edit removes all or it is new
    struct str source_lists;  // with it: suppression lists that kept rows of that file out
    enum err_code (*prepare)(struct table_commit *c, struct table_edit *e, struct err *err);
    // Further changes of the catalog's transaction: an array, as a new reference. May be NULL, and
    // may give NULL. The snapshot is known by then.
    json_t *(*extras)(struct table_commit *c);
    void *ctx;
    struct arena *arena;

    struct table_pin base;
    struct str dir, location;
    struct table_objects kept, attempt;
    size_t settled;              // of those kept
    struct catalog_content list; // of tombstones, that the attempt has written

    // After success.
    struct catalog_dataset after;
    const struct ice_metadata *metadata;
    int64_t snapshot_id; // 0: none was made
};
// Everything that it wrote before a failure is removed again, unless the outcome is not known. The
// dataset's write lock is held by the caller.
MUST_CHECK enum err_code table_commit_run(struct table_commit *c, struct err *err);
// Removes what was put for a commit that is not run after all, or had nothing to change.
void table_commit_undo(struct table_commit *c);
// Puts objects and notes them; they are settled before the catalog changes. name is in the bucket.
MUST_CHECK enum err_code table_object_put(struct table_commit *c, struct table_objects *o,
                                          struct str name, struct str data, struct err *err);
// The URI of an object of the table.
struct str table_object_uri(const struct table_commit *c, struct str object);
// Moves staged files into the bucket as data files written with the schema, notes them, and adds
// their entries.
MUST_CHECK enum err_code table_data_put(struct table_commit *c, struct table_objects *o,
                                        const struct table_staged *staged,
                                        const struct ice_schema *schema, struct table_entries *ret,
                                        struct err *err);
// Rows of one data file that go: writes the one ordinary delete file that it then has, in place of
// earlier ones, or takes out the data file when no row of it is left. Rows that tombstones hide
// stay as they are.
struct table_gone {
    const struct table_file *file;
    uint64_t *bits; // of the rows that go; gets the earlier ones too
};
MUST_CHECK enum err_code table_gone_put(struct table_commit *c, const struct table_gone *g,
                                        struct table_edit *e, struct err *err);
// The rows of one data file that tombstones hide become these: writes its one such delete file
// anew, or takes it out when there are none. The data file stays.
MUST_CHECK enum err_code table_hidden_put(struct table_commit *c, const struct table_gone *g,
                                          struct table_edit *e, struct err *err);

// Rows of the added files whose keys have tombstones become hidden by the same commit.
// ERR_CONFLICT: the key column would go or get another type. table_commit_run calls it after
// prepare.
MUST_CHECK enum err_code table_tombstones_hide(struct table_commit *c, struct table_edit *e,
                                               struct err *err);
// For c->base of which an earlier snapshot was made the current one: what tombstones of now hide is
// hidden there too, and nothing else that tombstones of then hid.
MUST_CHECK enum err_code table_tombstones_hide_base(struct table_commit *c, struct table_edit *e,
                                                    struct err *err);

// Names of data files of deltas begin so.
#define TABLE_DELTA_PREFIX "delta-"
// Small files of earlier deltas that go into the file of a delta.
struct table_fold {
    // From the caller: the rows that it takes away, by file of its scan (gone NULL: none), and how
    // many it brings.
    const struct table_scan *scan;
    uint64_t *const *gone;
    int64_t rows;
    // What table_fold_plan found: nothing, or files and the SELECT of what is left of their rows.
    struct table_file *files;
    size_t count;
    struct str select;
};
MUST_CHECK enum err_code table_fold_plan(struct tables *t, const struct table_pin *base,
                                         struct table_fold *fold, struct arena *a, struct err *err);
bool table_fold_has(const struct table_fold *fold, const struct table_file *f);
// The files go, and their delete files.
void table_fold_edit(const struct table_fold *fold, struct table_edit *e, struct arena *a);

// How much there is, or comes, or goes.
struct table_tally {
    int64_t files, rows, bytes;
    int64_t delete_files, deleted_rows, delete_bytes;
};
// What the new snapshot is made of: the manifests that it adds are put, the rest carried over.
struct table_change {
    const struct ice_snapshot *snapshot;
    const struct ice_schema *schema; // that is current with it
    struct ice_manifest_list list;
    struct table_tally added, removed;
};
// From snapshot and schema: the list and the tallies.
MUST_CHECK enum err_code table_manifests_make(struct table_commit *c, const struct table_edit *e,
                                              struct table_change *change, struct err *err);
// What the journal tells of a commit, as a new reference: what its author had to say (given; NULL:
// nothing), and what has changed from `before` (NULL: there was nothing) to `after`.
struct table_telling {
    const json_t *given;
    const struct ice_metadata *before, *after;
    const struct ice_snapshot *made; // NULL: no snapshot was
    const struct table_change *change;
    const struct catalog_dataset *dataset; // after it
};
json_t *table_details(const struct table_telling *t, struct arena *a);
// Adds a live file to what there is.
void table_tally_add(struct table_tally *t, const struct ice_data_file *f);
// What a pin has.
MUST_CHECK enum err_code table_tally_of(struct tables *t, const struct table_pin *pin,
                                        struct arena *a, struct table_tally *ret, struct err *err);
