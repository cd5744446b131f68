// Guard, statements that write: INSERT, UPDATE, DELETE, CREATE TABLE AS, DROP TABLE, ALTER TABLE.
//
// The engine's parser gives trees of SELECTs only. So the head of such a statement is read here,
// and what it says of rows is made a SELECT ("UPDATE t SET a = e WHERE p" asks for e and the
// columns of t where p), which guard_check walks whole, like any other. The tree must then have the
// form that was meant, so that no piece of the client's text can be more than the expression or
// query that it stands for. What is not known exactly is refused with a word on what is known.
//
//   INSERT INTO t [(a, …)] query
//   UPDATE t [[AS] x] SET a = e, … [WHERE p]
//   DELETE FROM t [[AS] x] [WHERE p]
//   CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t AS query
//   DROP TABLE [IF EXISTS] t
//   ALTER TABLE [IF EXISTS] t {ADD [COLUMN] [IF NOT EXISTS] a type | DROP [COLUMN] [IF EXISTS] a |
//     RENAME [COLUMN] a TO b | ALTER [COLUMN] a [SET DATA] TYPE type |
//     ALTER [COLUMN] a DROP NOT NULL}, … ; or RENAME TO t2
#pragma once

#include "guard/guard.h"

enum guard_change_kind {
    GUARD_INSERT,
    GUARD_UPDATE,
    GUARD_DELETE,
    GUARD_CREATE,
    GUARD_DROP,
    GUARD_ALTER,
};

struct guard_name {
    struct str text;
    int64_t position; // byte offset in the client's text
};

enum guard_alter_kind {
    GUARD_ADD_COLUMN,
    GUARD_DROP_COLUMN,
    GUARD_RENAME_COLUMN,
    GUARD_RETYPE_COLUMN,
    GUARD_ALLOW_NULLS,
    GUARD_RENAME_TABLE, // the only one of its statement
};

struct guard_alter {
    enum guard_alter_kind kind;
    struct guard_name column; // or the new name, of RENAME TO
    struct str to;            // of RENAME_COLUMN
    struct str type;          // as written; never a piece of any SQL
    bool lenient;             // IF EXISTS, IF NOT EXISTS
};

struct guard_change {
    enum guard_change_kind kind;
    const char *action;         // for the journal: "sql.update"
    struct guard_name target;   // as written
    bool replace;               // OR REPLACE
    bool lenient;               // IF EXISTS, IF NOT EXISTS
    struct guard_name *columns; // INSERT: those that are named, if any; UPDATE: those that are set
    size_t column_count;
    struct guard_alter *alters;
    size_t alter_count;
    // The rows: what INSERT and CREATE put in; DELETE: file and row of the places that go; UPDATE:
    // the new values in the order of `columns`, then the columns of the target, file and row.
    struct guard_statement *rows; // NULL: of DROP and ALTER
    // UPDATE and DELETE: which of rows->tables is the target. Its scan has two more columns behind
    // the target's own, under these names.
    size_t target_table;
    struct str file_column, row_column;
    // A name that means the target's whole row, with these two, unless a column is called so;
    // empty: the statement has none.
    struct str row_name;
};

// Does the text begin as a statement that writes, known here or not?
bool guard_writes(struct str sql);
// As guard_check; the positions are in the client's text.
MUST_CHECK enum err_code guard_check_change(struct engine *parser, struct str sql, struct arena *a,
                                            struct guard_change **ret, struct err *err);
