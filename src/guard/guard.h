// Guard: what may this statement touch?
//
// The client's text goes to the engine's parser and to nothing else; the tree that comes back is
// walked whole. Whatever is not known to be harmless is refused: statements that are not one
// SELECT (or DESCRIBE, SUMMARIZE or EXPLAIN of one), table functions outside a short list,
// functions outside the allow-list, qualified or file-like table names, settings, parameters, user
// types, unknown node kinds. What is executed is the canonical text made from the checked tree, in
// which every table stands as a placeholder that only the binder can fill: a statement that names a
// table has no way to reach it by itself.
//
// Statements about a query go the same way: DESCRIBE, SUMMARIZE and EXPLAIN are put before the text
// that their query has become, and SHOW TABLES is a query of system.tables. They are statements of
// their own, no part of another one. EXPLAIN is the engine's plan of the text that would run,
// without options: it names the columns, conditions and numbers of rows of what may be read anyhow,
// and no file (which a test holds against every form of scan). EXPLAIN ANALYZE and the other forms,
// some of which do name files, are refused.
//
// No names are looked up here and no snapshot is known: the result depends on the text alone and
// may be kept and shared between threads.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/engine.h"
#include "iceberg/metrics.h"

#define GUARD_TEXT_MAX 262144 // bytes
#define GUARD_NODES_MAX 20000
#define GUARD_QUERIES_MAX 1000 // SELECTs: planning takes longer than their number grows
#define GUARD_DEPTH_MAX 200    // of the tree; deeper is refused before anything recurses

#define GUARD_RAW "__raw__" // before a dataset's name: with the rows that are deleted

// Tables of the server itself, in the schema "system".
enum guard_system {
    GUARD_NOT_SYSTEM,
    GUARD_SNAPSHOTS,
    GUARD_FILES,
    GUARD_QUERIES,
    GUARD_JOURNAL,
    GUARD_TOMBSTONES,
    GUARD_TABLES, // what the principal can name: datasets and views
};

// Statements about a query instead of its rows. SHOW TABLES is one about system.tables.
enum guard_show { GUARD_ROWS, GUARD_DESCRIBE, GUARD_SUMMARIZE, GUARD_EXPLAIN };

enum guard_at { GUARD_AT_NOW, GUARD_AT_VERSION, GUARD_AT_TIMESTAMP };

// What the constants of a condition were. They say what they seem to only on columns of these
// types; on any other the condition is to be dropped.
enum guard_literal {
    GUARD_LITERAL_NUMBER,      // integers, decimals, doubles; floats if it has no point
    GUARD_LITERAL_STRING,      // all but binary: the engine turns the string into the column's type
    GUARD_LITERAL_BOOLEAN,     // boolean: "true" or "false"
    GUARD_LITERAL_DATE,        // date, timestamp, timestamp with time zone
    GUARD_LITERAL_TIMESTAMP,   // timestamp, of microseconds
    GUARD_LITERAL_TIMESTAMPTZ, // timestamp with time zone, of microseconds
};

// A condition that every row of the table must satisfy to matter for the answer: found among the
// AND-ed parts of the WHERE beside the table, as column-operator-constant. For skipping files only.
// Where the table has no such column, the name means something else: drop the condition.
struct guard_condition {
    struct str column; // as the client wrote it
    enum ice_op op;
    enum guard_literal literal;
    struct ice_literal *values;
    size_t value_count;
};

// One mention of a table. The same name twice is two mentions.
struct guard_table {
    struct str name;  // as the client wrote it, without quotes and __raw__; never a CTE's
    int64_t position; // byte offset in the client's text, or -1
    bool raw;         // was written with __raw__
    enum guard_system system;
    enum guard_at at;
    int64_t version;      // snapshot id or sequence number
    int64_t timestamp_us; // UTC
    struct guard_condition *conditions;
    size_t condition_count;
};

// A piece of the canonical text: literal SQL, then the scan of tables[table] as a parenthesised
// query; the last piece has table -1.
struct guard_piece {
    struct str text;
    int32_t table;
};

struct guard_statement {
    struct guard_piece *pieces;
    size_t piece_count;
    struct guard_table *tables;
    size_t table_count;
    enum guard_show show; // the pieces begin with the word for it
    bool ordered;         // the outermost query has an ORDER BY
    bool varies; // reads the clock, draws random numbers or samples: no two answers need be equal
};

// Does the name begin with __raw__ (in any case)?
bool guard_is_raw(struct str name);

// ERR_SQL with position for bad syntax, ERR_REFUSED with position for what is not allowed (the
// message says what, and what to do instead), ERR_TOO_LARGE past the limits above. Everything lives
// in the arena. parser may be an engine of its own.
MUST_CHECK enum err_code guard_check(struct engine *parser, struct str sql, struct arena *a,
                                     struct guard_statement **ret, struct err *err);
// The text with scans[i] in the place of tables[i]. Each is a complete SELECT.
struct str guard_bind(const struct guard_statement *g, const struct str *scans, struct arena *a);
