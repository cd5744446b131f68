// Rows between a worker and its server: column types and chunks as bytes, and back.
//
// The reader trusts nothing: the writer may have been taken over by what it ran. Whatever the bytes
// say, a chunk that wire_read_chunk gives can be read through vec.h without leaving its memory.
// Numbers are in the machine's byte order: both ends are one program on one machine.
//
// Threads: any.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/vec.h"

#define WIRE_COLUMNS_MAX 100000
#define WIRE_DEPTH_MAX 64  // of nested types
#define WIRE_ROWS_MAX 2048 // of a chunk

struct wire_column {
    struct str name;
    struct vec_type type;
};

void wire_write_columns(const struct wire_column *columns, size_t count, struct buf *out);
// ERR_DATA for bytes that are no such list. Everything lives in the arena.
MUST_CHECK enum err_code wire_read_columns(struct str bytes, struct arena *a,
                                           struct wire_column **ret, size_t *ret_count,
                                           struct err *err);
// Appends the chunk; lists and strings are made compact.
void wire_write_chunk(const struct vec_chunk *chunk, struct buf *out);
// The bytes must live as long as the chunk, which lives in the arena.
MUST_CHECK enum err_code wire_read_chunk(struct str bytes, const struct wire_column *columns,
                                         size_t count, struct arena *a, struct vec_chunk *ret,
                                         struct err *err);
