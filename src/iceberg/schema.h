// Iceberg schemas: types, fields, their JSON, their identity.
//
// Source: Apache Iceberg table spec, "Schemas and Data Types" and appendix C. A schema lives in the
// arena that it was made in and is not changed afterwards; sharing it between threads is free.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

// Format v2 types. name: the word of the JSON form ("" where the form is an object or has
// parameters).
#define ICE_KINDS(X)                                                                               \
    X(BOOLEAN, "boolean")                                                                          \
    X(INT, "int")                                                                                  \
    X(LONG, "long")                                                                                \
    X(FLOAT, "float")                                                                              \
    X(DOUBLE, "double")                                                                            \
    X(DATE, "date")                                                                                \
    X(TIME, "time")                                                                                \
    X(TIMESTAMP, "timestamp")                                                                      \
    X(TIMESTAMPTZ, "timestamptz")                                                                  \
    X(STRING, "string")                                                                            \
    X(UUID, "uuid")                                                                                \
    X(BINARY, "binary")                                                                            \
    X(DECIMAL, "")                                                                                 \
    X(FIXED, "")                                                                                   \
    X(STRUCT, "")                                                                                  \
    X(LIST, "")                                                                                    \
    X(MAP, "")

enum ice_kind {
#define X(kind, name) ICE_##kind,
    ICE_KINDS(X)
#undef X
};

struct ice_field;

struct ice_type {
    enum ice_kind kind;
    int32_t precision, scale; // decimal
    int32_t length;           // fixed
    // struct: its fields; list: one, "element"; map: two, "key" and "value".
    struct ice_field *fields;
    size_t field_count;
};

struct ice_field {
    int32_t id; // 0: not assigned yet
    struct str name;
    bool required;
    struct str doc;
    struct ice_type type;
};

struct ice_schema {
    int32_t schema_id;
    struct ice_field *fields;
    size_t field_count;
    int32_t *identifier_ids;
    size_t identifier_count;
};

#define ICE_SCHEMA_DEPTH_MAX 32
#define ICE_SCHEMA_FIELDS_MAX 10000 // nested ones counted

// ERR_CORRUPT with the path of the field ("address.lines.element") that is wrong; types of later
// format versions are ERR_UNSUPPORTED.
MUST_CHECK enum err_code ice_schema_parse(const json_t *json, struct arena *a,
                                          struct ice_schema **ret, struct err *err);
json_t *ice_schema_json(const struct ice_schema *s); // new reference
// "long", "decimal(10,2)", "list<string>", "struct<a: int, b: list<double>>", "map<string, long>"
struct str ice_type_text(const struct ice_type *t, struct arena *a);
// SHA-256 (hex) of the canonical form: names, types and nullability in order, without ids.
struct str ice_schema_fingerprint(const struct ice_schema *s, struct arena *a);

// Gives every field with id 0, nested ones too, the next id above *last_column_id.
void ice_schema_assign_ids(struct ice_schema *s, int32_t *last_column_id);
int32_t ice_schema_highest_id(const struct ice_schema *s);
// Top-level field by name: exact first, then ASCII case-insensitive. NULL if none.
const struct ice_field *ice_schema_find(const struct ice_schema *s, struct str name);
// Field at any depth by id. NULL if none.
const struct ice_field *ice_schema_find_id(const struct ice_schema *s, int32_t id);
struct ice_schema *ice_schema_copy(const struct ice_schema *s, struct arena *a); // deep
bool ice_type_eq(const struct ice_type *a, const struct ice_type *b); // ids and docs ignored
// Same fields with the same ids, names, types and nullability, in the same order.
bool ice_schema_eq(const struct ice_schema *a, const struct ice_schema *b);
// May a column of type `from` be widened to `to` (int to long, float to double, a longer decimal
// of the same scale)? Equal primitive types may too.
bool ice_type_widens(const struct ice_type *from, const struct ice_type *to);
