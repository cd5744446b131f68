// Types: between the engine's columns and Iceberg's.
//
// What Iceberg v2 lacks is cast without loss (unsigned one size up, HUGEINT to decimal(38,0) where
// it fits, ENUM and JSON to text, TIMESTAMP_S/_MS to microseconds, nanoseconds only where they are
// whole microseconds) or refused with a message that says what to do (INTERVAL, BIT, UNION, TIME
// WITH TIME ZONE).
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/vec.h"
#include "iceberg/schema.h"

// The type that a column becomes. ids are 0. column names it in messages.
MUST_CHECK enum err_code table_type_of(const struct vec_type *t, struct str column, struct arena *a,
                                       struct ice_type *ret, struct err *err);
// The type that a text names, in the engine's words or the table format's: BIGINT or long,
// DECIMAL(10,2), VARCHAR, TIMESTAMP WITH TIME ZONE, ..., and lists of them, INTEGER[]. ERR_INVALID
// lists them.
MUST_CHECK enum err_code table_type_parse(struct str text, struct arena *a, struct ice_type *ret,
                                          struct err *err);
// As the engine writes it: "BIGINT", "DECIMAL(10,2)", "STRUCT(\"a\" INTEGER)[]".
struct str table_type_sql(const struct ice_type *t, struct arena *a);
// SQL for the column as a value of `to`: the bare name where the engine's type is that already.
struct str table_column_sql(struct str column, const struct vec_type *from,
                            const struct ice_type *to, struct arena *a);
// FIELD_IDS literal of the schema: {"a": 1, "l": {__duckdb_field_id: 2, element: 3}}.
struct str table_field_ids_sql(const struct ice_schema *s, struct arena *a);
// The SELECT, whose columns are those of the schema, with zeros that have no sign in floating-point
// columns and in fields of structs. The engine's Parquet writer takes both zeros for one where it
// makes a dictionary, so that one negative zero would turn the others into such; and readers that
// compare bits skip files in which they look for 0. Zeros in lists and maps stay as they are.
struct str table_plain_zeros_sql(const struct ice_schema *s, struct str select, struct arena *a);
