// Iceberg table metadata, format v2: the JSON file that says what a table is.
//
// Source: Apache Iceberg table spec v2, "Table Metadata" and appendix C. What a foreign writer put
// in and this server does not interpret (properties, partition specs, sort orders, statistics,
// unknown members) is kept and written again.
//
// A metadata value lives in its arena. The ice_metadata_* changes work on a copy made with
// ice_metadata_copy: parsed ones are shared and stay as they are.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "iceberg/schema.h"

struct ice_pair {
    struct str key, value;
};

struct ice_snapshot {
    int64_t id;
    int64_t parent_id; // 0: none
    int64_t sequence_number;
    int64_t timestamp_ms;
    struct str manifest_list;
    int32_t schema_id;        // -1: not given
    struct str operation;     // "append", "replace", "overwrite", "delete"
    struct ice_pair *summary; // without the operation
    size_t summary_count;
};

struct ice_log_entry {
    int64_t timestamp_ms;
    int64_t snapshot_id; // snapshot-log
    struct str metadata; // metadata-log
};

struct ice_metadata {
    struct str uuid;
    struct str location; // no trailing '/'
    int64_t last_sequence_number;
    int64_t last_updated_ms;
    int32_t last_column_id;
    struct ice_schema **schemas;
    size_t schema_count;
    int32_t current_schema_id;
    struct ice_snapshot *snapshots;
    size_t snapshot_count;
    int64_t current_snapshot_id; // 0: none (-1 and null are read so)
    struct ice_log_entry *snapshot_log;
    size_t snapshot_log_count;
    struct ice_log_entry *metadata_log;
    size_t metadata_log_count;
    struct ice_pair *properties;
    size_t property_count;
    int32_t default_spec_id;
    // Owned by the arena (arena_defer) and never changed: the whole document as it was read, NULL
    // for a new one; and refs, an object or NULL, whose "main" is current_snapshot_id. Members that
    // the fields above cover are written from the fields.
    json_t *document;
    json_t *refs;
};

// A new table without snapshots and properties (the caller may set them). The schema's ids are
// assigned already; schema_id becomes 0.
struct ice_metadata *ice_metadata_new(struct str uuid, struct str location,
                                      const struct ice_schema *schema, int64_t now_ms,
                                      struct arena *a);
// path stands in messages. ERR_CORRUPT says which member; a format version above 2 is
// ERR_UNSUPPORTED.
MUST_CHECK enum err_code ice_metadata_parse(struct str text, struct str path, struct arena *a,
                                            struct ice_metadata **ret, struct err *err);
struct str ice_metadata_text(const struct ice_metadata *m, struct arena *a);
// A copy whose lists may be appended to without touching the original.
struct ice_metadata *ice_metadata_copy(const struct ice_metadata *m, struct arena *a);

const struct ice_schema *ice_metadata_schema(const struct ice_metadata *m); // the current one
const struct ice_schema *ice_metadata_schema_by_id(const struct ice_metadata *m, int32_t id);
const struct ice_snapshot *ice_metadata_snapshot(const struct ice_metadata *m); // current or NULL
const struct ice_snapshot *ice_metadata_snapshot_by_id(const struct ice_metadata *m, int64_t id);
// The snapshot that was current at that time, by the snapshot log. NULL: before the first.
const struct ice_snapshot *ice_metadata_snapshot_at(const struct ice_metadata *m,
                                                    int64_t timestamp_ms);

// Makes s current: appends it, moves main and the snapshot log, last sequence number and time. Time
// never goes back: a timestamp before the table's last update becomes that.
void ice_metadata_add_snapshot(struct ice_metadata *m, const struct ice_snapshot *s,
                               struct arena *a);
// Makes the schema current: an equal one that is there already is used again, else it gets the next
// schema id. Raises last_column_id. Returns the schema id.
int32_t ice_metadata_set_schema(struct ice_metadata *m, const struct ice_schema *s,
                                struct arena *a);
// Notes where the previous metadata was, keeping at most write.metadata.previous-versions-max
// (default 100) entries.
void ice_metadata_log_previous(struct ice_metadata *m, struct str previous_path,
                               int64_t previous_updated_ms, struct arena *a);
// Positive, random, 53 bits (JavaScript readers keep it exact), unused in m.
int64_t ice_snapshot_id_new(const struct ice_metadata *m);
// The running totals of Iceberg's snapshot summary after `parent` (NULL: from nothing, all 0). -1:
// the parent does not say, so that no total can be written.
struct ice_totals {
    int64_t data_files, delete_files, records, file_bytes, position_deletes, equality_deletes;
};
struct ice_totals ice_totals_of(const struct ice_snapshot *parent);

// How long snapshots are kept.
struct ice_retention {
    int64_t now_ms;
    int64_t max_age_ms; // older ones go
    int64_t min_keep;   // but so many of a branch stay, counted from its head
    int64_t keep_max;   // and more of a branch do not, however young; 0: no such limit
};
// As the table's properties have it (history.expire.…), else five days and one.
struct ice_retention ice_metadata_retention(const struct ice_metadata *m, int64_t now_ms);
// Ids of the snapshots that may go. Branches and tags keep what they lead to, by their own limits
// where they have some; the current snapshot always stays.
int64_t *ice_metadata_expired(const struct ice_metadata *m, const struct ice_retention *r,
                              struct arena *a, size_t *ret_count);
// Takes them out, with their statistics, the refs that lead to one of them, and the snapshot log up
// to the last of them. The current one must not be among them.
void ice_metadata_remove_snapshots(struct ice_metadata *m, const int64_t *ids, size_t count,
                                   struct arena *a);
// Takes out what leads to earlier states' objects: the metadata log, and statistics, which hold
// what was measured of the rows that there were.
void ice_metadata_forget_past(struct ice_metadata *m, struct arena *a);
// Makes a snapshot of m current again.
void ice_metadata_set_main(struct ice_metadata *m, int64_t snapshot_id, int64_t now_ms,
                           struct arena *a);
// URIs of the statistics files; lives as long as m and the arena.
size_t ice_metadata_statistics(const struct ice_metadata *m, struct arena *a, struct str **ret);
