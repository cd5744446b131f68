// Iceberg manifests and manifest lists, bytes in and bytes out.
//
// Source: Apache Iceberg table spec v2, "Manifests" and "Manifest Lists". All field ids are written
// and all reading is by field id. Everything lives in the caller's arena; what is read may be
// shared between threads.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "iceberg/schema.h"

enum ice_content { ICE_DATA = 0, ICE_POSITION_DELETES = 1, ICE_EQUALITY_DELETES = 2 };
enum ice_status { ICE_EXISTING = 0, ICE_ADDED = 1, ICE_DELETED = 2 };

// A map from leaf field id to a count or to bound bytes. Absent key: not known.
struct ice_count {
    int32_t id;
    int64_t value;
};
struct ice_counts {
    struct ice_count *items;
    size_t count;
};
struct ice_bound {
    int32_t id;
    struct str bytes; // single-value serialisation
};
struct ice_bounds {
    struct ice_bound *items;
    size_t count;
};

// One value of a partition tuple, as single-value bytes of the partition field's result type.
struct ice_partition_value {
    int32_t field_id; // 1000 and up
    bool is_null;
    struct str bytes;
};

struct ice_data_file {
    enum ice_content content;
    struct str path;   // full URI, one spelling for ever
    struct str format; // "PARQUET"
    int64_t record_count;
    int64_t file_bytes;
    struct ice_partition_value *partition;
    size_t partition_count;
    struct ice_counts column_bytes, value_counts, null_counts, nan_counts;
    struct ice_bounds lower, upper;
    int64_t *split_offsets;
    size_t split_count;
    int32_t *equality_ids;
    size_t equality_count;
    bool has_sort_order;
    int32_t sort_order_id;
    struct str referenced_data_file; // position deletes that concern one file; else empty
};

struct ice_entry {
    enum ice_status status;
    // Reader: nulls are filled in from the manifest list. Writer: a 0 of an ADDED entry becomes
    // null, so that one may keep an older sequence_number (rewritten rows).
    int64_t snapshot_id;
    int64_t sequence_number;      // of the data; decides which deletes apply
    int64_t file_sequence_number; // of the commit that brought the file
    bool inherit;                 // writer: leave the three null (new ADDED files)
    struct ice_data_file file;
};

struct ice_manifest {
    bool deletes;      // content of the whole manifest
    int32_t schema_id; // -1: the writer did not say
    const struct ice_schema *schema;
    int32_t spec_id;
    struct str spec_fields; // JSON array of the partition spec's fields; "[]" if unpartitioned
    struct ice_entry *entries;
    size_t entry_count;
};

// A manifest as its list describes it.
struct ice_manifest_ref {
    struct str path;
    int64_t bytes;
    int32_t spec_id;
    bool deletes;
    int64_t sequence_number, min_sequence_number;
    int64_t added_snapshot_id;
    // -1: a v1 writer did not say.
    int32_t added_files, existing_files, deleted_files;
    int64_t added_rows, existing_rows, deleted_rows;
    // The summaries of the partition fields as an encoded Avro array, written again verbatim when
    // the manifest is carried over; empty: there are none.
    struct str partitions;
};

// Encodes. The caller sets ref->path, added_snapshot_id and sequence_number (those of the commit
// that writes the manifest); the rest of *ref is filled from the entries: bytes, counts, the
// smallest data sequence number of live entries (those that inherit count as sequence_number) and
// the partition summaries. Partitioned manifests (spec_fields not "[]") write the entries' tuples;
// ERR_UNSUPPORTED when a transform's result type is not known.
MUST_CHECK enum err_code ice_manifest_write(const struct ice_manifest *m, struct arena *a,
                                            struct str *ret, struct ice_manifest_ref *ref,
                                            struct err *err);
// ref gives what entries inherit and the name for messages.
MUST_CHECK enum err_code ice_manifest_read(struct str data, const struct ice_manifest_ref *ref,
                                           struct arena *a, struct ice_manifest **ret,
                                           struct err *err);

struct ice_manifest_list {
    int64_t snapshot_id, parent_snapshot_id; // parent 0: none
    int64_t sequence_number;
    struct ice_manifest_ref *manifests;
    size_t manifest_count;
};
MUST_CHECK enum err_code ice_manifest_list_write(const struct ice_manifest_list *l, struct arena *a,
                                                 struct str *ret, struct err *err);
MUST_CHECK enum err_code ice_manifest_list_read(struct str data, struct str path, struct arena *a,
                                                struct ice_manifest_list *ret, struct err *err);
