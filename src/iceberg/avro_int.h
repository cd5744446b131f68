// Inside of the Avro reader and writer: parsed schemas, and encoding into a plain buffer.
//
// Only files of this folder include this header.
#pragma once

#include "iceberg/avro.h"

#define AVRO_DEPTH_MAX 64                   // of a schema and of values
#define AVRO_UNPACKED_BYTES_MAX (256 << 20) // all blocks of a file together
#define AVRO_VALUES_MAX (8 << 20)           // in one record, or in all records of avro_read

enum avro_type {
    AVRO_T_NULL,
    AVRO_T_BOOLEAN,
    AVRO_T_INT,
    AVRO_T_LONG,
    AVRO_T_FLOAT,
    AVRO_T_DOUBLE,
    AVRO_T_BYTES,
    AVRO_T_STRING,
    AVRO_T_FIXED,
    AVRO_T_ENUM,
    AVRO_T_ARRAY,
    AVRO_T_MAP,
    AVRO_T_RECORD,
    AVRO_T_UNION,
};

struct avro_field {
    int32_t id; // "field-id"; -1: none
    const struct avro_schema *schema;
};

struct avro_schema {
    enum avro_type type;
    struct str name;    // full name of a record, an enum or a fixed
    struct str logical; // "logicalType"
    int64_t fixed_bytes;
    // Record: its fields. Union: its branches. Array: one, the items. Map: one, a record of key
    // and value.
    struct avro_field *fields;
    size_t field_count;
    struct str *symbols;
    size_t symbol_count;
};

// what names the file in messages.
MUST_CHECK enum err_code avro_schema_parse(struct str json, struct str what, struct arena *a,
                                           const struct avro_schema **ret, struct err *err);

enum avro_block_codec {
    AVRO_BLOCK_NULL,
    AVRO_BLOCK_DEFLATE,
    AVRO_BLOCK_ZSTANDARD,
    AVRO_BLOCK_SNAPPY,
};

// Appends what was packed. False when it is damaged or does not fit into out's maximum.
bool avro_unpack(enum avro_block_codec codec, struct str packed, struct buf *out);

// A field of a schema that is written: its name, its "field-id", the JSON of its type, and whether
// it is a union with null, in which null comes first and is the default.
struct avro_column {
    const char *name;
    int32_t id;
    const char *type;
    bool optional;
};
void avro_add_columns(struct buf *out, const struct avro_column *columns, size_t count);

// The binary encoding of a long and of bytes.
void avro_encode_long(struct buf *out, int64_t v);
void avro_encode_bytes(struct buf *out, struct str v);
