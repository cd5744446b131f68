// Rows in Arrow's layout into a temporary table of a session.
//
// The two structs are those of Arrow's C data interface, whose layout is fixed. What they point to
// stays the caller's and has been checked by it: the engine trusts offsets, lengths and indices.
//
// Threads: as a session.
#pragma once

#include "engine/engine.h"

struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct session_arrow;

// For structs whose memory has another owner: a release that frees nothing.
void arrow_schema_keep(struct ArrowSchema *s);
void arrow_array_keep(struct ArrowArray *a);

// The temporary table exists; its columns are those of the schema, a struct. The schema must live
// as long. *ret is closed before the session.
MUST_CHECK enum err_code session_arrow_open(struct session *s, struct ArrowSchema *schema,
                                            const char *table, struct session_arrow **ret,
                                            struct err *err);
// Adds rows; the batch (a struct without an offset) is borrowed for the call, its offsets change.
MUST_CHECK enum err_code session_arrow_add(struct session_arrow *w, struct ArrowArray *batch,
                                           struct err *err);
// The rows are in the table.
MUST_CHECK enum err_code session_arrow_end(struct session_arrow *w, struct err *err);
void session_arrow_closep(struct session_arrow **w);
