// SQL engine: the only door to libduckdb.
//
// An engine is one in-memory instance with its settings locked: no extension is ever installed or
// loaded, time zone UTC. A session is one connection; it belongs to one thread at a time.
// Statements that the server runs here are its own or come canonical from the guard: never a
// client's bytes.
//
// Results stream: rows are made as they are fetched, a bounded buffer ahead. Cancelling from
// another thread (session_interrupt) makes the running or next call end with ERR_CANCELLED; like a
// deadline that has passed, this holds for every call until the session is closed.
//
// Errors: the engine's text goes to the message, err->position is where in the statement. ERR_SQL
// for what the statement did wrong, ERR_REFUSED for what the instance's settings forbid,
// ERR_TOO_LARGE for its memory limit, ERR_CANCELLED, ERR_TIMEOUT, ERR_IO and ERR_NO_SPACE for
// files, ERR_INTERNAL for the rest.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/vec.h"

struct engine;
struct session;
struct rows;

struct engine_options {
    int threads;            // 0: all processors
    int64_t memory_bytes;   // 0: half of the machine's (or the cgroup's)
    struct str temp_dir;    // spill files; empty: no spilling
    bool no_files;          // cannot open any file: for parsing only
    struct str only_folder; // if not empty: cannot open a file elsewhere, however it is asked
    // If not NULL: called when the instance is there, with one thread and before there are others
    // (threads then says how many), for a process that gives up its rights.
    enum err_code (*confine)(void *ctx, struct err *err);
    void *confine_ctx;
};

MUST_CHECK enum err_code engine_open(const struct engine_options *o, struct engine **ret,
                                     struct err *err);
void engine_close(struct engine *e);                 // takes NULL; all sessions closed before
int64_t engine_memory_bytes(const struct engine *e); // that it may use
const char *engine_version(void);                    // "v1.5.6"
// The version that this program was built and tested for.
#define ENGINE_VERSION_TESTED "v1.5.6"

// A session is a fresh connection (5 us): nothing of another one is seen in it.
MUST_CHECK enum err_code session_open(struct engine *e, struct session **ret, struct err *err);
void session_close(struct session *s); // all rows closed before; takes NULL
void session_closep(struct session **s);
// From any thread; the session must stay open meanwhile.
void session_interrupt(struct session *s);
// Time after which statements of this session end with ERR_TIMEOUT; 0: none. A watcher thread of
// the engine interrupts them.
void session_deadline(struct session *s, int64_t mono_us);

// When a part of a statement fails the engine ends the other parts, and now and then tells of their
// end instead of the reason. From session_run that is ERR_BUSY ("run it again"). session_query runs
// the statement again, up to its end, until the reason is known: it must be one that may be run
// twice, as all are that only read.

// Runs statements whose rows, if any, are of no interest.
MUST_CHECK enum err_code session_run(struct session *s, struct str sql, struct err *err);
// Starts one statement. *ret must be closed before the session. Columns of types that vec.h has no
// layout for (BIGNUM, GEOMETRY, VARIANT, TIME_NS) are ERR_SQL: the statement must cast them.
MUST_CHECK enum err_code session_query(struct session *s, struct str sql, struct rows **ret,
                                       struct err *err);
// Stands for false in a statement of session_query (or engine_copy_to, session_text). A statement
// that reads Parquet is planned when it is prepared and again when it runs; one that has this among
// the options of its readers only when it runs.
#define ENGINE_FALSE_LATE "$1"
// One text argument for ?, for the server's own helper statements.
MUST_CHECK enum err_code session_query_text(struct session *s, const char *sql, struct str arg,
                                            struct rows **ret, struct err *err);

// Column names and types; they live as long as the rows.
size_t rows_column_count(const struct rows *r);
struct str rows_column_name(const struct rows *r, size_t column);
const struct vec_type *rows_column_type(const struct rows *r, size_t column);
// The next chunk: *ret_chunk is NULL at the end. A chunk lives until the next call or rows_close.
MUST_CHECK enum err_code rows_next(struct rows *r, const struct vec_chunk **ret_chunk,
                                   struct err *err);
void rows_close(struct rows *r); // takes NULL
// Rows that come from elsewhere than a session. Names and types live as long as the rows; next as
// rows_next; close is called once, by rows_close.
struct rows_source {
    size_t column_count;
    const struct str *names;
    const struct vec_type *types;
    enum err_code (*next)(void *ctx, const struct vec_chunk **ret_chunk, struct err *err);
    void (*close)(void *ctx);
    void *ctx;
};
struct rows *rows_from(const struct rows_source *s);
void rows_closep(struct rows **r);

// One value (text, truth value or integer; the first column of the first row), for small answers;
// empty when NULL or no row.
MUST_CHECK enum err_code session_text(struct session *s, struct str sql, struct arena *a,
                                      struct str *ret, struct err *err);

// The statements as the engine's parser sees them: the JSON of json_serialize_sql, where a missing
// query_location means nowhere. The text goes to nothing else before (no other call of the engine
// is free of side effects). A syntax error is ERR_SQL with err->position; other statements than
// SELECT are ERR_REFUSED. Any thread.
MUST_CHECK enum err_code engine_parse(struct engine *e, struct str sql, struct arena *a,
                                      struct str *ret_json, struct err *err);
// The canonical text of such a tree, and the tree of that text (or NULL: not wanted). Any thread.
MUST_CHECK enum err_code engine_unparse(struct engine *e, struct str json, struct arena *a,
                                        struct str *ret_sql, struct str *ret_json, struct err *err);

// Deleted rows, as the server's own statements leave them out: tarn_live(key, file, row) is false
// for row number `row` of file number `file` if its bit is set. Files are those of one
// registration; key is engine_live_key(id, first): file 0 of the statement is then file `first`.
// tarn_live_one(key, row) is the same for the only file of a statement.
// tarn_placed(key, count, row) is for `count` files from `first` on whose rows lie one after
// another in one table, sorted by where they start: true if row number `row` of the table is a row
// of one of them that is not deleted.
struct engine_live_file {
    const uint64_t *deleted; // bit per row; NULL: all rows live
    uint64_t rows;
    uint64_t start; // tarn_placed: number of its first row in the table
};
#define ENGINE_LIVE_FILES_MAX (1U << 24)
// Registers; files and bits are borrowed until _remove, which comes after the statements' end.
// Any thread.
int64_t engine_live_add(struct engine *e, const struct engine_live_file *files, size_t count);
void engine_live_remove(struct engine *e, int64_t id);
int64_t engine_live_key(int64_t id, size_t first);

// A function of the server's own statements that reads text: name(VARCHAR) is the value that `read`
// makes of it, and NULL for NULL. A text that `read` refuses ends the statement with ERR_SQL. It is
// called from any thread. The struct is borrowed for the engine's life.
struct engine_reader {
    const char *name;
    enum vec_kind kind; // BOOL, INT64, DOUBLE, DATE, TIME, TIMESTAMP or TIMESTAMPTZ
    // Into *ret as vec.h lays the kind out.
    bool (*read)(struct str text, void *ret);
};
MUST_CHECK enum err_code engine_reader_add(struct engine *e, const struct engine_reader *r,
                                           struct err *err);

// Rows as they pass, whatever their order: tarn_sum(id, hash(a, b)) is true for every row, and adds
// it to the sum of that number. For the server's own statements; the hash is over all columns that
// matter. Any thread; _end comes after the statement's end.
struct engine_sum {
    uint64_t rows, first, second;
};
int64_t engine_sum_begin(struct engine *e);
struct engine_sum engine_sum_end(struct engine *e, int64_t id);
bool engine_sum_eq(const struct engine_sum *x, const struct engine_sum *y);

// Texts as they pass: tarn_count(id, VARCHAR or BLOB) is what `count` makes of it, a BIGINT, and 0
// for NULL. It is called from any thread, for equal texts perhaps once. The struct is borrowed
// until _end, which comes after the statement's end.
struct engine_counter {
    int64_t (*count)(void *ctx, struct str text);
    void *ctx;
};
int64_t engine_count_begin(struct engine *e, const struct engine_counter *counter);
void engine_count_end(struct engine *e, int64_t id);

// COPY (select) TO path as Parquet, with the file's statistics.
struct engine_column_stats {
    struct str path;   // "a", "st.x", "l.list.element": the parts with dots between
    struct str *parts; // the same unambiguously
    size_t part_count;
    int64_t column_bytes, num_values, null_count; // -1: not known
    bool has_min, has_max, has_nan, nan_known;    // has_nan only where nan_known
    struct str min, max;                          // text forms
};
struct engine_file_stats {
    struct str path;
    int64_t rows, bytes, footer_bytes;
    struct engine_column_stats *columns;
    size_t column_count;
};
struct engine_copy {
    struct str select;    // what to write
    struct str path;      // file; or folder when file_bytes > 0
    struct str field_ids; // FIELD_IDS literal: {a: 1, ...}; empty: none
    struct str kv;        // KV_METADATA literal: {'iceberg.schema': '...'}; empty: none
    int64_t file_bytes;   // aimed size of each file; 0: one file
    int64_t group_rows;   // rows of a row group, which each thread holds in memory; 0: the default
    const char *codec;    // "zstd", "snappy", "lz4_raw"; NULL: zstd
};
MUST_CHECK enum err_code engine_copy_to(struct session *s, const struct engine_copy *c,
                                        struct arena *a, struct engine_file_stats **ret,
                                        size_t *ret_count, struct err *err);

// Text as a SQL string literal or a quoted identifier.
struct str sql_literal(struct str s, struct arena *a);
struct str sql_ident(struct str s, struct arena *a);
