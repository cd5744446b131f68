// What the files of the Arrow reader share: FlatBuffers read with every offset checked.
#pragma once

#include "ingest/arrow_read.h"

// A message's metadata. Whatever lies outside sets `bad` and reads as nothing.
struct fb {
    struct str data;
    bool bad;
};
struct fb_table {
    struct fb *fb;
    size_t at, vtable, vtable_len; // at 0: none
};
struct fb_vector {
    size_t at, count;
};

uint64_t fb_int(struct fb *f, size_t at, size_t size); // little-endian
struct fb_table fb_root(struct fb *f);
int64_t fb_number(const struct fb_table *t, size_t field, size_t size, int64_t otherwise);
struct fb_table fb_link(const struct fb_table *t, size_t field);
struct str fb_text(const struct fb_table *t, size_t field);
// Elements of size bytes each.
struct fb_vector fb_vector(const struct fb_table *t, size_t field, size_t size);
struct fb_table fb_vector_table(struct fb *f, struct fb_vector v, size_t i);

enum err_code arrow_damaged(struct err *err, const char *what);
// The fields of a schema message into r->root.
MUST_CHECK enum err_code arrow_read_fields(struct arrow_reader *r, const struct fb_table *schema,
                                           struct err *err);
// One record batch's columns as an array of that field's layout, in a.
struct arrow_body {
    const struct fb_table *batch;
    struct str bytes;
    struct arena *arena;
};
MUST_CHECK enum err_code arrow_read_batch(const struct arrow_body *b, const struct arrow_field *f,
                                          struct ArrowArray **ret, struct err *err);
