// Tables: what happens to rows. Writing files into a dataset, and planning what a scan reads.
//
// A dataset is an Iceberg table (format v2) in a bucket: <dir>/metadata/… and <dir>/data/….
// Writing stages Parquet in the spool folder, moves it into the bucket, writes manifest, manifest
// list and metadata, and then makes one catalog transaction: until that, nothing is visible, and
// when it fails, everything that was staged is removed.
//
// Parsed metadata and manifests are immutable and kept in a bounded cache.
//
// Threads: any; a session that is passed in is used by the caller's thread.
#pragma once

#include "base/threads.h"
#include "catalog/catalog.h"
#include "engine/engine.h"
#include "iceberg/manifest.h"
#include "iceberg/metadata.h"
#include "iceberg/metrics.h"
#include "iceberg/schema.h"

struct tables;

struct tables_options {
    struct str spool;     // folder on the same file system as the primary bucket
    int64_t target_bytes; // aimed size of a data file
    int64_t cache_bytes;  // of parsed metadata and manifests
};

struct tables *tables_new(struct catalog *c, struct engine *e, const struct tables_options *o);
void tables_free(struct tables *t); // takes NULL
struct catalog *tables_catalog(struct tables *t);

// One dataset at one snapshot. Lives in the arena, which keeps what it points to in the cache.
struct table_pin {
    struct catalog_dataset dataset;
    const struct catalog_bucket *bucket;
    const struct ice_metadata *metadata;
    const struct ice_snapshot *snapshot; // NULL: a table without rows
    const struct ice_schema *schema;     // of that snapshot
    bool raw;                            // rows that are deleted count as well
    uint64_t ticket;                     // of its reader, for table_pin_again
};

enum table_at { TABLE_AT_NOW, TABLE_AT_VERSION, TABLE_AT_TIMESTAMP };

// Which dataset, as of when.
struct table_want {
    struct str name;
    bool raw; // with the rows that are deleted but still in live files
    enum table_at at;
    int64_t value; // VERSION: snapshot id or sequence number; TIMESTAMP: microseconds since 1970
};

// ERR_NOT_FOUND for a dataset, snapshot or time that there is not.
MUST_CHECK enum err_code table_pin_at(struct tables *t, const struct table_want *want,
                                      struct arena *a, struct table_pin *ret, struct err *err);

// Is the dataset still at the state that was pinned? (Asked after several pins: if all are, they
// belong to one moment.)
bool table_pin_current(struct tables *t, const struct table_pin *pin, struct arena *a);

// Rows of a data file that are deleted, also by tombstones (table_tombstone.h): bit i is row i.
struct table_deletes {
    const uint64_t *bits;
    int64_t rows, count;        // of the file; of bits that are set
    const uint64_t *tombstones; // those that only a tombstone hides; NULL: none
    int64_t tombstone_count;
};

struct table_file {
    const struct ice_data_file *file;
    const struct ice_entry *entry;             // that holds it
    struct str object;                         // name in the bucket
    struct str path;                           // local path for the engine
    const struct ice_schema *schema;           // that the file was written with
    const struct table_deletes *deletes;       // NULL: all rows live
    const struct ice_data_file **delete_files; // that made them
    size_t delete_file_count;
    const struct table_copy *copy; // that is read instead, see table_copy.h; NULL: none
    int64_t copy_start;            // number of its first row there
};
// Files that are read together (of one copy; or of one schema, all with deletes or none) stand so.
struct table_scan {
    struct table_file *files;
    size_t file_count;
    size_t pruned;   // files that the conditions excluded
    int64_t live_id; // of engine_live_add, as long as the arena; 0: no file has deletes
};
struct table_conditions {
    const struct ice_predicate *items;
    size_t count;
};
// Live data files of the pin that may hold a row for which all conditions are true.
MUST_CHECK enum err_code table_scan_plan(struct tables *t, const struct table_pin *pin,
                                         const struct table_conditions *conditions, struct arena *a,
                                         struct table_scan *ret, struct err *err);
// The scan as a complete SELECT: the pin's columns under their current names and types, in order,
// each mapped from its file by field id; deleted rows are left out. It is for session_query or
// engine_copy_to (ENGINE_FALSE_LATE is in it).
struct str table_scan_sql(const struct table_pin *pin, const struct table_scan *scan,
                          struct arena *a);
// The same with the row's place behind the columns: tarn_file (index into scan->files) and tarn_row
// (number in the file), both BIGINT. columns: which of the pin's; NULL: all. No file has a copy.
struct str table_scan_places_sql(const struct table_pin *pin, const struct table_scan *scan,
                                 const struct ice_schema *columns, struct arena *a);

enum table_mode { TABLE_CREATE, TABLE_APPEND, TABLE_REPLACE };

struct table_write {
    struct str dataset;
    struct str bucket; // empty: the dataset's, or primary
    enum table_mode mode;
    bool evolve;              // append may add, widen or relax columns
    bool nullable;            // create, replace: columns may come to hold NULLs though none do now
    uint64_t version;         // replace: of the dataset that the source was made from; 0: any
    struct str source;        // SQL that can stand behind FROM
    struct str source_sha256; // of the file it reads, hex; may be empty
    struct catalog_author who;
    struct session *session;
};

struct table_written {
    struct catalog_dataset dataset; // as it is now
    const struct ice_schema *schema;
    int64_t rows, bytes, files; // that were added
    int64_t suppressed;         // rows that were kept out (table_suppress.h)
    bool unchanged, created;    // the same file was there already; there was no such dataset
};

// Reads the source once, writes it, commits. An append that lost a race is applied again to the new
// state. ERR_EXISTS (create over another), ERR_NOT_FOUND (append to nothing), ERR_SCHEMA names
// the columns that differ (the first of them and how many more), ERR_UNSUPPORTED names a column
// whose type has no form in the table format and says what to do, ERR_CONFLICT: the dataset is no
// longer at `version`.
MUST_CHECK enum err_code table_write(struct tables *t, const struct table_write *w, struct arena *a,
                                     struct table_written *ret, struct err *err);
struct table_change_sql {
    struct table_scan scan;
    struct str places; // SELECT of tarn_file, tarn_row
    struct str source; // behind FROM; empty: no rows come
};
// What became of one caller's rows.
struct table_delta_batch {
    int64_t rows;       // that were sent
    int64_t matched;    // of them, by key, there already
    int64_t suppressed; // of them, kept out (table_suppress.h)
};
struct table_delta_done {
    struct catalog_dataset dataset; // as it is now
    const struct ice_schema *schema;
    int64_t snapshot_id;               // 0: nothing had to change
    int64_t added, removed;            // rows
    int64_t suppressed;                // rows that were kept out
    struct table_delta_batch *batches; // one for each, at least one
};

// Rows that come and rows that go, in one commit: a new data file, and position deletes in the
// files that hold the old rows. No base file is written again.
enum table_delta_mode {
    TABLE_DELTA_APPEND, // rows come
    TABLE_DELTA_UPSERT, // rows come in the place of those with their keys
    TABLE_DELTA_DELETE, // rows with the keys go
    TABLE_DELTA_CHANGE, // rows that `places` finds go; rows of the source, if any, come
};
struct table_delta {
    struct str dataset;
    enum table_delta_mode mode;
    const struct str *keys; // columns; of UPSERT and DELETE
    size_t key_count;
    struct str source; // SQL that can stand behind FROM; DELETE reads only its key columns
    // A column of the source, INTEGER from 0, that tells several callers' rows apart: it is no
    // column of the dataset. Empty: there is one caller.
    struct str batch;
    size_t batch_count;
    bool last_wins; // of rows with one key the last one counts; else they are refused
    bool evolve;    // the source may add, widen and relax columns
    // CHANGE: both are made anew for each attempt, from the state that it builds on, and may run in
    // the session: SQL of a SELECT of tarn_file and tarn_row of *scan (which it plans with
    // table_scan_plan, and renders with table_scan_places_sql), and, unless it is left empty, what
    // stands behind FROM for the rows that come. Both queries see the state before the change.
    enum err_code (*places)(void *ctx, const struct table_pin *base, struct arena *a,
                            struct table_change_sql *ret, struct err *err);
    // Further changes of the catalog's transaction, from what is about to be committed: an array,
    // as a new reference, or NULL. May be NULL.
    json_t *(*extras)(void *ctx, const struct table_delta_done *done);
    void *ctx; // of both
    struct catalog_author who;
    struct session *session;
};
// ERR_DATA: a key is NULL, or twice in the rows; ERR_NOT_FOUND: no such dataset; ERR_INVALID: no
// such key column, or of a type that cannot be one; ERR_SCHEMA as table_write.
MUST_CHECK enum err_code table_delta(struct tables *t, const struct table_delta *d, struct arena *a,
                                     struct table_delta_done *ret, struct err *err);

// Takes the dataset out of the catalog, then removes its objects.
MUST_CHECK enum err_code table_drop(struct tables *t, struct str name,
                                    const struct catalog_author *who, uint64_t *ret_seq,
                                    struct err *err);
