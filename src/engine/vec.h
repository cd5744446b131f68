// Vectors: columns of a result chunk as plain memory, without the engine's types.
//
// A chunk holds up to 2048 rows. Values stand in `data` in the layouts below; a row is NULL when
// its validity bit is clear, and its value is then undefined. Everything is borrowed from the
// chunk.
//
//   BOOL u8; INT8..INT64, UINT8..UINT64; FLOAT, DOUBLE
//   HUGEINT, UHUGEINT, UUID: struct vec_i128 (UUID with its top bit flipped, as the engine has it)
//   DECIMAL: INT16, INT32, INT64 or vec_i128 by width (<= 4, 9, 18, 38)
//   DATE i32 days; TIME i64 us; TIMETZ u64; TIMESTAMP and TIMESTAMPTZ i64 us; _S, _MS, _NS i64
//   INTERVAL struct vec_interval; VARCHAR, BLOB, BIT: vec_str(); ENUM u8, u16 or u32 index
//   LIST struct vec_list into child 0; ARRAY rows of type->array_size in child 0
//   STRUCT one child per field; MAP struct vec_list into child 0, a STRUCT of key and value
//   UNION child 0 the tag (u8), then one child per member
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// kind, SQL name
#define VEC_KINDS(X)                                                                               \
    X(BOOL, "BOOLEAN")                                                                             \
    X(INT8, "TINYINT")                                                                             \
    X(INT16, "SMALLINT")                                                                           \
    X(INT32, "INTEGER")                                                                            \
    X(INT64, "BIGINT")                                                                             \
    X(UINT8, "UTINYINT")                                                                           \
    X(UINT16, "USMALLINT")                                                                         \
    X(UINT32, "UINTEGER")                                                                          \
    X(UINT64, "UBIGINT")                                                                           \
    X(HUGEINT, "HUGEINT")                                                                          \
    X(UHUGEINT, "UHUGEINT")                                                                        \
    X(FLOAT, "FLOAT")                                                                              \
    X(DOUBLE, "DOUBLE")                                                                            \
    X(DECIMAL, "DECIMAL")                                                                          \
    X(DATE, "DATE")                                                                                \
    X(TIME, "TIME")                                                                                \
    X(TIMETZ, "TIME WITH TIME ZONE")                                                               \
    X(TIMESTAMP, "TIMESTAMP")                                                                      \
    X(TIMESTAMP_S, "TIMESTAMP_S")                                                                  \
    X(TIMESTAMP_MS, "TIMESTAMP_MS")                                                                \
    X(TIMESTAMP_NS, "TIMESTAMP_NS")                                                                \
    X(TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE")                                                     \
    X(INTERVAL, "INTERVAL")                                                                        \
    X(VARCHAR, "VARCHAR")                                                                          \
    X(JSON, "JSON")                                                                                \
    X(BLOB, "BLOB")                                                                                \
    X(BIT, "BIT")                                                                                  \
    X(UUID, "UUID")                                                                                \
    X(ENUM, "ENUM")                                                                                \
    X(LIST, "LIST")                                                                                \
    X(ARRAY, "ARRAY")                                                                              \
    X(STRUCT, "STRUCT")                                                                            \
    X(MAP, "MAP")                                                                                  \
    X(UNION, "UNION")                                                                              \
    X(NULLTYPE, "NULL")                                                                            \
    X(OTHER, "OTHER")

enum vec_kind {
#define X(kind, name) VEC_##kind,
    VEC_KINDS(X)
#undef X
};

struct vec_type {
    enum vec_kind kind;
    int width, scale;  // DECIMAL
    size_t array_size; // ARRAY
    struct str text;   // as SQL writes it: "DECIMAL(10,2)", "STRUCT(a INTEGER)[]"
    // STRUCT, UNION: members; LIST, ARRAY: one; MAP: one STRUCT(key, value).
    struct vec_type *children;
    struct str *names; // of STRUCT and UNION members
    size_t child_count;
    struct str *symbols; // ENUM dictionary
    size_t symbol_count;
};

struct vec_i128 {
    uint64_t lower;
    int64_t upper;
};
struct vec_interval {
    int32_t months, days;
    int64_t micros;
};
struct vec_list {
    uint64_t offset, length;
};

struct vec {
    const struct vec_type *type;
    const void *data;
    const uint64_t *validity; // NULL: no NULLs
    const struct vec *children;
};

struct vec_chunk {
    size_t rows;
    size_t column_count;
    const struct vec *columns;
};

// The engine's 16-byte string cell: length, then either 12 bytes inline or 4 of prefix and a
// pointer.
struct vec_string_cell {
    uint32_t len;
    char prefix[4];
    union {
        char rest[8];
        const char *ptr;
    };
};

static inline bool vec_is_null(const struct vec *v, size_t row) {
    return v->validity != NULL && (v->validity[row / 64] >> (row % 64) & 1) == 0;
}

static inline struct str vec_str(const struct vec *v, size_t row) {
    const struct vec_string_cell *cell = (const struct vec_string_cell *)v->data + row;
    const char *ptr = cell->len <= 12 ? cell->prefix : cell->ptr;
    return (struct str){ptr, cell->len};
}
