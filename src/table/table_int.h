// What the table files share: the service, its cache, and the steps of a write.
#pragma once

#include <pthread.h>

#include "base/cache.h"
#include "base/scratch.h"
#include "table/table_files.h"

#define TABLE_LOCKS 64

struct table_use;

struct tables {
    struct catalog *catalog;
    struct engine *engine;
    char *spool;
    int64_t target_bytes;
    struct cache *cache;
    pthread_mutex_t write_locks[TABLE_LOCKS]; // one writer of a dataset at a time, by hash of name
    pthread_mutex_t use_lock;                 // guards uses
    struct table_use *uses;                   // folders that pins read from
    uint64_t use_ticket;                      // of the newest reader or removal
    pthread_cond_t use_ended;                 // a reader has gone
};

// Object name in the bucket of a URI in the table's metadata. Locations are compared as they were
// written, so a bucket that was moved still opens. ERR_CORRUPT when the URI lies outside the table.
MUST_CHECK enum err_code table_object_name(const struct ice_metadata *m,
                                           const struct catalog_dataset *d, struct str uri,
                                           struct arena *a, struct str *ret, struct err *err);

// Parsed objects from the cache; they stay while the arena does.
MUST_CHECK enum err_code table_metadata_load(struct tables *t, const struct catalog_dataset *d,
                                             struct arena *a, const struct ice_metadata **ret,
                                             struct err *err);
MUST_CHECK enum err_code table_manifest_list_load(struct tables *t, const struct table_pin *pin,
                                                  struct arena *a,
                                                  const struct ice_manifest_list **ret,
                                                  struct err *err);
MUST_CHECK enum err_code table_manifest_load(struct tables *t, const struct table_pin *pin,
                                             const struct ice_manifest_ref *ref, struct arena *a,
                                             const struct ice_manifest **ret, struct err *err);

// A source as the engine describes it.
struct table_column {
    struct str name;
    const struct vec_type *type; // in the arena
};
struct table_shape {
    struct table_column *columns;
    size_t count;
};
// source: SQL that can stand behind FROM.
MUST_CHECK enum err_code table_describe(struct session *s, struct str source, struct arena *a,
                                        struct table_shape *ret, struct err *err);

// What a write makes of its source: the schema that the file has and what to select.
struct table_target {
    struct ice_schema *schema; // with ids; what the dataset's schema becomes
    int32_t last_column_id;
    struct str select;      // SELECT list FROM source
    bool evolved;           // differs from the dataset's schema
    int32_t base_schema_id; // append: of the schema that it was made from
};
// ERR_DATA for a name that this server's own statements use beside a dataset's columns.
MUST_CHECK enum err_code table_check_column(struct str name, struct err *err);
// ERR_EXISTS: what is created has the name of a dataset; or of a view, of which whoever creates it
// may not know.
MUST_CHECK enum err_code table_taken(struct str name, const char *by, struct err *err);
// For a dataset that is new (base NULL) or replaced (reuses the ids of equal names and types).
MUST_CHECK enum err_code table_target_new(const struct table_shape *shape,
                                          const struct ice_metadata *base,
                                          const struct table_write *w, struct arena *a,
                                          struct table_target *ret, struct err *err);
MUST_CHECK enum err_code table_target_append(const struct table_shape *shape,
                                             const struct ice_metadata *base,
                                             const struct table_write *w, struct arena *a,
                                             struct table_target *ret, struct err *err);

// May files with the target's ids come into a table that is now in this state? Not when another
// write has given one of the ids to another column meanwhile.
bool table_target_fits(const struct table_target *target, const struct ice_metadata *now);

// Data files that were written, on their way into a bucket.
struct table_staged {
    struct engine_file_stats *stats;
    size_t count; // files with rows
    int64_t rows, bytes;
    const char *prefix; // of their names in the bucket; NULL: none
};
// The folder that files are staged in, below the spool folder; removed with what is left in it.
struct table_folder {
    const char *path;
    struct scratch scratch;
};
MUST_CHECK enum err_code table_folder_make(struct tables *t, struct arena *a,
                                           struct table_folder *ret, struct err *err);
void table_folder_release(struct table_folder *f);

struct table_stage_source {
    struct str select;               // rows, under the schema's names and types
    const struct ice_schema *schema; // of the files
    const char *folder;
    bool one_file;        // in the order of the select
    int64_t target_bytes; // of each file; 0: as the service is configured
};
MUST_CHECK enum err_code table_stage(struct tables *t, struct session *s,
                                     const struct table_stage_source *source, struct arena *a,
                                     struct table_staged *ret, struct err *err);
// Metrics of every leaf column from the engine's statistics.
void table_metrics(const struct ice_schema *s, const struct engine_file_stats *stats,
                   struct arena *a, struct ice_data_file *ret);
// NULLs of a top-level primitive column over all files; -1: not known.
int64_t table_staged_nulls(const struct table_staged *staged, const struct ice_field *f);

// May a row of the file satisfy all conditions, by its bounds?
bool table_file_may_match(const struct ice_schema *s, const struct ice_data_file *f,
                          const struct table_conditions *conditions, struct arena *a);
// Every live data file of the pin with its deletes, in the order of the manifests: also those all
// of whose rows are deleted. Not to be rendered: table_scan_of makes a scan of some of them.
MUST_CHECK enum err_code table_files_load(struct tables *t, const struct table_pin *pin,
                                          struct arena *a, struct table_scan *ret, struct err *err);
// The data file that a delete file is for; empty: it does not say, and may be for several.
struct str table_delete_target(const struct ice_data_file *f);
// Names of delete files that hold the rows which tombstones hide begin so.
#define TABLE_TOMBSTONES_PREFIX "tombstones-"
bool table_delete_is_tombstones(const struct ice_data_file *f);
// Deletes of the files of a scan, from its delete files; what was read is cached.
MUST_CHECK enum err_code table_deletes_load(struct tables *t, const struct table_pin *pin,
                                            const struct ice_manifest_list *list,
                                            struct table_scan *scan, struct arena *a,
                                            struct err *err);

// In a scan of an older snapshot: rows whose keys have tombstones now are deleted there too. It
// costs nothing where there are none, or the snapshot is the current one.
MUST_CHECK enum err_code table_tombstones_hide_past(struct tables *t, const struct table_pin *pin,
                                                    struct table_scan *scan, struct arena *a,
                                                    struct err *err);

// Removes what writes of dead processes left in the spool folder.
void table_stages_clean(const char *spool);

pthread_mutex_t *table_write_lock(struct tables *t, struct str dataset);
// Notes that the arena's owner reads from the dataset's folder; a drop waits with removing it. The
// reader's ticket.
uint64_t table_use_begin(struct tables *t, const struct catalog_dataset *d, struct arena *a);
// The same for another owner who reads what the one with that ticket does, and has not left yet.
void table_use_again(struct tables *t, const struct catalog_dataset *d, uint64_t ticket,
                     struct arena *a);
// The dataset as it is now, with its folder kept from removal until the arena goes.
MUST_CHECK enum err_code table_dataset_use(struct tables *t, struct str name, struct arena *a,
                                           struct catalog_dataset *ret, struct err *err);
// Removes the folder's objects now, or when the last reader has gone.
void table_folder_remove(struct tables *t, const struct catalog_dataset *d);
// Removes objects that nothing leads to since the last commit: now, or when every reader has gone
// that began before.
void table_objects_remove(struct tables *t, const struct catalog_dataset *d,
                          const struct str *names, size_t count);
// Waits until everyone has gone who reads from the dataset's folder now. False: not in that time.
bool table_uses_wait(struct tables *t, const struct catalog_dataset *d, int64_t wait_ms);
void table_uses_free(struct tables *t);
