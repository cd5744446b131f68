// Position delete files: Parquet bytes for the deleted rows of one data file.
//
// Source: Apache Iceberg table spec v2, "Position Delete Files"; Apache Parquet format (file
// layout, Thrift compact protocol, PLAIN and RLE_DICTIONARY encodings).
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "iceberg/manifest.h"

#define ICE_DELETE_PATH_ID 2147483546
#define ICE_DELETE_POS_ID 2147483545

// The deleted rows of a data file: bit i is set if row i is one. At least one is.
struct ice_deleted {
    struct str data_path;
    const uint64_t *bits;
    int64_t rows; // of the data file
};
// Fills *file but for its path: counts, bytes, whole and equal bounds of file_path, the data file
// that it refers to.
MUST_CHECK enum err_code ice_position_deletes_write(const struct ice_deleted *d, struct arena *a,
                                                    struct str *ret, struct ice_data_file *file,
                                                    struct err *err);
