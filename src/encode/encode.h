// Result encoders: chunks of rows to bytes of an answer.
//
// An encoder is used by one thread. Call _head once, _rows for rows in order, _tail once; each
// appends to out, which the caller empties between calls. Nothing is buffered inside beyond one
// chunk. out's overflow flag is the caller's to check.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/vec.h"

enum encode_format {
    ENCODE_JSON,   // the rows array of an answer: [{...},...] or [[...],...]
    ENCODE_NDJSON, // application/x-ndjson: one object (or array) a line
    ENCODE_CSV,    // text/csv, RFC 4180, header line, CRLF; NULL is an empty field, "" is text
    ENCODE_TSV,    // text/tab-separated-values: \t, \n, \r, \\ escaped; NULL is \N
    ENCODE_ARROW,  // application/vnd.apache.arrow.stream
};

struct encode_options {
    enum encode_format format;
    bool arrays;      // rows as arrays instead of objects (JSON, NDJSON)
    bool big_as_text; // integers past 2^53 and decimals as JSON strings
};

struct encode_column {
    struct str name; // names that occur twice get _1, _2 ... in objects, as the engine shows them
    const struct vec_type *type;
};

struct encoder;

// The columns are copied; their types must live as long as the encoder.
struct encoder *encoder_new(const struct encode_options *o, const struct encode_column *columns,
                            size_t column_count);
void encoder_free(struct encoder *e); // takes NULL
void encoder_freep(struct encoder **e);
void encoder_head(struct encoder *e, struct buf *out);
// Some rows of a chunk: all of them, or as many as an answer has room for.
struct encode_rows {
    const struct vec_chunk *chunk;
    size_t first, count; // first + count is at most chunk->rows
};
// Only Arrow fails: ERR_SQL for values that its types cannot hold, ERR_TOO_LARGE for more than
// 2 GiB in a column; out is then as before.
MUST_CHECK enum err_code encoder_rows(struct encoder *e, const struct encode_rows *rows,
                                      struct buf *out, struct err *err);
void encoder_tail(struct encoder *e, struct buf *out);

const char *encode_content_type(enum encode_format f);
// One value as plain text (as the engine casts it to VARCHAR) for CSV, tables and messages; nothing
// for NULL, and "?" for a kind without a layout.
void encode_text(const struct vec *v, size_t row, struct buf *out);
// {"name": …, "type": …} of each column as a JSON array.
void encode_columns(const struct encode_column *columns, size_t column_count, struct buf *out);
