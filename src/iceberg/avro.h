// Avro object container files: just what Iceberg's manifests need, written and read exactly.
//
// Source: Apache Avro 1.11 specification, "Object Container Files" and "Binary Encoding". Layout:
// "Obj" 0x01, header map (avro.schema, avro.codec, the caller's keys), 16 sync bytes, then blocks
// of (count, byte length, data, sync).
//
// Memory: everything lives in the caller's arena. Hostile input is ERR_CORRUPT: lengths and counts
// are checked against what is left before anything is allocated, nesting is bounded.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

enum avro_codec { AVRO_NULL, AVRO_DEFLATE };

struct avro_pair {
    struct str key, value;
};

// Writer: records are encoded with the avro_put_* functions in schema order, each ended with
// avro_writer_record. _finish gives the whole file; a small one is not packed, whatever
// the codec.
struct avro_writer;
struct avro_writer *avro_writer_new(struct str schema_json, const struct avro_pair *meta,
                                    size_t meta_count, enum avro_codec codec);
void avro_writer_free(struct avro_writer *w); // takes NULL
void avro_writer_freep(struct avro_writer **w);
void avro_writer_record(struct avro_writer *w); // ends one record; full blocks are closed
MUST_CHECK enum err_code avro_writer_finish(struct avro_writer *w, struct arena *a, struct str *ret,
                                            struct err *err);

void avro_put_long(struct avro_writer *w, int64_t v); // also int, union branch, array count
void avro_put_bool(struct avro_writer *w, bool v);
void avro_put_float(struct avro_writer *w, float v);
void avro_put_double(struct avro_writer *w, double v);
void avro_put_bytes(struct avro_writer *w, struct str v); // also string
void avro_put_fixed(struct avro_writer *w, struct str v); // raw, no length

// Reader: codecs null, deflate, zstandard, snappy (its CRC checked). The schema in the file decides
// the layout; values come out as a tree.
enum avro_kind {
    AVRO_K_NULL,
    AVRO_K_BOOL,
    AVRO_K_LONG,  // int and long
    AVRO_K_FLOAT, // float and double, in d
    AVRO_K_BYTES, // bytes, string, fixed, enum symbol
    AVRO_K_ARRAY, // also Avro map: records of two, key and value
    AVRO_K_RECORD,
};

struct avro_value {
    enum avro_kind kind;
    union {
        bool b;
        int64_t i;
        double d;
        struct str s;
        struct {
            struct avro_value *items;
            size_t count;
        } array;
        struct {
            const struct avro_schema *schema;
            struct avro_value *fields; // in schema order
        } record;
    };
};

struct avro_schema; // opaque: a parsed schema

struct avro_file {
    struct avro_pair *meta;
    size_t meta_count;
    const struct avro_schema *schema;
    struct avro_value *records;
    size_t record_count;
};

// what names the file in messages.
MUST_CHECK enum err_code avro_read(struct str data, struct str what, struct arena *a,
                                   struct avro_file *ret, struct err *err);
// The same record by record, for files whose tree would be large. *ret lives as long as a; the
// value of a record lives as long as the arena given to _next, its bytes as long as a. *ret NULL:
// there are no more.
struct avro_reader;
MUST_CHECK enum err_code avro_reader_open(struct str data, struct str what, struct arena *a,
                                          struct avro_reader **ret, struct err *err);
MUST_CHECK enum err_code avro_reader_next(struct avro_reader *r, struct arena *a,
                                          const struct avro_value **ret, struct err *err);
const struct avro_file *avro_reader_file(const struct avro_reader *r); // without records

// How many fields a record has.
size_t avro_field_count(const struct avro_value *record);
// Header value by key; STR_NONE when absent.
struct str avro_meta(const struct avro_file *f, const char *key);
// Field of a record by its Iceberg "field-id" attribute; NULL when the file has none or it is null.
const struct avro_value *avro_by_id(const struct avro_value *record, int32_t field_id);
