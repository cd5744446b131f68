// FlatBuffers: a builder for small messages, as Arrow's metadata are.
//
// A buffer grows from its end to its front: what an object refers to is made before the object. A
// reference is the distance of an object from the end of the buffer; 0 is none. Names of fields
// are their numbers in the schema.
#pragma once

#include "base/str.h"

#define FLATBUF_FIELDS_MAX 8

typedef uint32_t flatbuf_ref;

struct flatbuf {
    char *ptr; // cap bytes, of which the last len are in use
    size_t cap, len;
    size_t align; // the strictest that was asked for
    // The table that is being made: where each field is, 0 when it has none.
    uint32_t fields[FLATBUF_FIELDS_MAX];
    size_t table_start;
};

#define FLATBUF ((struct flatbuf){.align = 1})

void flatbuf_release(struct flatbuf *f); // also for DEFER
void flatbuf_reset(struct flatbuf *f);   // empty, memory kept

flatbuf_ref flatbuf_str(struct flatbuf *f, struct str s);
// A vector of count elements of size bytes each, which are aligned to `align`.
flatbuf_ref flatbuf_vector(struct flatbuf *f, const void *data, size_t count, size_t size,
                           size_t align);
flatbuf_ref flatbuf_refs(struct flatbuf *f, const flatbuf_ref *refs, size_t count);

// A table: _begin, each field at most once, _end. Nothing else is made in between.
void flatbuf_table(struct flatbuf *f);
void flatbuf_u8(struct flatbuf *f, size_t field, uint8_t v);
void flatbuf_i16(struct flatbuf *f, size_t field, int16_t v);
void flatbuf_i32(struct flatbuf *f, size_t field, int32_t v);
void flatbuf_i64(struct flatbuf *f, size_t field, int64_t v);
void flatbuf_link(struct flatbuf *f, size_t field, flatbuf_ref ref); // none for ref 0
flatbuf_ref flatbuf_table_end(struct flatbuf *f);

// The finished message, whose root is that table; valid until the next call.
struct str flatbuf_finish(struct flatbuf *f, flatbuf_ref root);
