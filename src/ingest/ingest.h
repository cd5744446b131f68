// Ingest: files of any origin into datasets.
//
// An upload goes piece by piece into a spool folder of its own (hashed as it comes), is recognised,
// unpacked, brought to UTF-8 where it is text, typed over all its rows and written by table/. The
// whole never stands in memory. Whatever happens, the spool folder is gone at the end.
//
// Threads: an upload belongs to one thread at a time; the service to any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/err.h"
#include "base/str.h"
#include "base/threads.h"
#include "engine/engine.h"
#include "table/table.h"

enum ingest_format {
    INGEST_AUTO, // by content first, then by file name
    INGEST_CSV,
    INGEST_TSV,
    INGEST_JSON, // one array of objects, or one object
    INGEST_NDJSON,
    INGEST_PARQUET,
    INGEST_ARROW, // IPC: a stream or a file
};
bool ingest_format_parse(struct str text, enum ingest_format *ret);

// What a file's rows do to a dataset beyond being written to it.
enum ingest_change {
    INGEST_WRITE,  // as mode says
    INGEST_UPSERT, // take the place of rows with their keys; mode is TABLE_APPEND
    INGEST_DELETE, // take away rows with their keys; mode is TABLE_APPEND
};

enum ingest_tri { INGEST_DETECT, INGEST_YES, INGEST_NO };

struct ingest_request {
    struct str dataset, bucket;
    struct str filename; // as the client calls it: for detection and messages; may be empty
    enum ingest_format format;
    enum table_mode mode;
    enum ingest_change change;
    struct str keys;            // of a change: columns, with commas between
    bool last_wins;             // of a change: of rows with one key the last one counts
    struct str idempotency_key; // of a change or an append: done once under it; empty: none
    bool evolve;
    bool reject;            // on_error=reject: keep the good rows
    enum ingest_tri header; // CSV, TSV
    struct str delimiter;   // empty: detect
    struct str quote;       // empty: detect; "none": there are no quotes
    struct str encoding;    // empty: detect; "utf-8", "utf-16", "latin-1", "windows-1252"
    struct catalog_author who;
};

// A row that could not be read.
struct ingest_reject {
    int64_t line; // from 1, of the unpacked file; 0: not known
    struct str column, reason, text;
};

struct ingest_result {
    struct table_written written;
    enum ingest_format format;
    int64_t bytes_received;
    bool replayed;                   // it had been done before, under its idempotency key
    int64_t rejected;                // rows
    struct table_delta_batch change; // of a change
    struct ingest_reject *first;     // up to 10 of them
    size_t first_count;
    struct str rejects_id; // for ingest_rejects_path; empty when there are none
    int64_t duration_us;
};

struct ingest;
struct ingest_upload;

MUST_CHECK enum err_code ingest_open(const struct config *c, struct tables *t, struct engine *e,
                                     struct ingest **ret, struct err *err);
void ingest_close(struct ingest *i); // takes NULL
// ERR_OK while files can be taken in; else why not (the spool folder is gone, full, read-only).
MUST_CHECK enum err_code ingest_health(struct ingest *i, struct err *err);

// Checks the request (names, options) before a byte is read. ERR_BUSY past ingest.running_max.
MUST_CHECK enum err_code ingest_begin(struct ingest *i, const struct ingest_request *r,
                                      struct ingest_upload **ret, struct err *err);
MUST_CHECK enum err_code ingest_add(struct ingest_upload *u, struct str piece, struct err *err);
// Everything is there: read, write, commit. The answer stands in a, beyond ingest_end. Bad rows are
// ERR_DATA with line, column and reason unless the request keeps the good ones. cancel may be set
// from any thread meanwhile.
MUST_CHECK enum err_code ingest_finish(struct ingest_upload *u, struct arena *a,
                                       struct ingest_result *ret, struct err *err);
// From any thread, while ingest_finish runs.
void ingest_cancel(struct ingest_upload *u);
void ingest_end(struct ingest_upload *u); // takes NULL; removes the spool folder

// The CSV of bad rows (line, column, reason, text) of a finished ingest: kept an hour, at most 100
// of them. ERR_NOT_FOUND afterwards, and when it was another's than the actor's (empty: anybody's).
MUST_CHECK enum err_code ingest_rejects_path(struct ingest *i, struct str id, struct str actor,
                                             struct arena *a, struct str *ret, struct err *err);

// Rows as JSON objects, changed at once: small, many, from many callers. Those that wait together
// for one dataset become one commit, and each caller gets the outcome of its own rows. The types
// are the dataset's; a value that does not fit exactly is refused.
struct ingest_delta {
    struct str dataset;
    enum table_delta_mode mode; // APPEND, UPSERT or DELETE
    const struct str *keys;     // columns
    size_t key_count;
    bool last_wins;
    const json_t *rows; // array of objects
    struct catalog_author who;
    struct str idempotency_key; // empty: none
    struct str request_sha256;  // hex, of what was asked for; with the key
};
struct ingest_delta_done {
    struct str dataset;  // its name as it is
    int64_t snapshot_id; // 0: nothing had to change
    struct table_delta_batch rows;
    bool replayed; // it had been done before, under this idempotency key
    int64_t duration_us;
};
// Errors as table_delta; ERR_DATA names the row (from 1) and the column.
MUST_CHECK enum err_code ingest_delta(struct ingest *i, const struct ingest_delta *d,
                                      struct arena *a, struct ingest_delta_done *ret,
                                      struct err *err);
