// Inside of the manifest reader and writer: partition tuples.
//
// Only files of this folder include this header.
#pragma once

#include "iceberg/avro.h"
#include "iceberg/manifest.h"

// A field of a partition spec, with the type that its transform results in.
struct ice_partition_field {
    int32_t id;
    struct str name;
    struct ice_type type;
};
struct ice_partition_type {
    struct ice_partition_field *fields;
    size_t field_count;
};

// From the JSON array of a spec's fields. ERR_CORRUPT, or ERR_UNSUPPORTED for a transform that is
// not known.
MUST_CHECK enum err_code ice_partition_parse(struct str spec_fields,
                                             const struct ice_schema *schema, struct arena *a,
                                             struct ice_partition_type *ret, struct err *err);
// The Avro schemas of the fields, with commas between them.
void ice_partition_avro(const struct ice_partition_type *t, struct buf *out, struct arena *a);
// The tuple of a file, encoded. ERR_INVALID when a value has not the form of its type.
MUST_CHECK enum err_code ice_partition_put(const struct ice_partition_type *t,
                                           const struct ice_data_file *f, struct avro_writer *w,
                                           struct err *err);
// A tuple from a record of any writer.
MUST_CHECK enum err_code ice_partition_read(const struct avro_value *record, struct arena *a,
                                            struct ice_data_file *ret, struct err *err);
// The summaries of all entries: the encoded array of the manifest list's "partitions".
struct str ice_partition_summaries(const struct ice_partition_type *t, const struct ice_entry *e,
                                   size_t count, struct arena *a);

// "decimal" bytes without what repeats the sign: the minimal big-endian two's complement.
struct str ice_decimal_minimal(struct str bytes);
