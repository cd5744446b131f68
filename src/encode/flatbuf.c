// FlatBuffers builder, after the binary format's description: little-endian, offsets of 32 bits.
//
//   buffer  u32 offset to the root table
//   table   i32 distance back to its vtable, then its fields
//   vtable  u16 its own bytes, u16 the table's, u16 per field where it is in the table, 0 for none
//   vector  u32 count, then the elements; a string is a vector of bytes with a NUL behind
#include "encode/flatbuf.h"

#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are copied as they are");

void flatbuf_release(struct flatbuf *f) {
    free(f->ptr);
    *f = FLATBUF;
}

void flatbuf_reset(struct flatbuf *f) {
    f->len = 0;
    f->align = 1;
}

static void grow(struct flatbuf *f, size_t more) {
    if (f->cap - f->len >= more) {
        return;
    }
    const size_t cap = MAX(2 * f->cap, MAX(f->len + more, 1024));
    CHECK(cap < UINT32_MAX);
    char *ptr = xmalloc(cap);
    if (f->len > 0) {
        memcpy(ptr + cap - f->len, f->ptr + f->cap - f->len, f->len);
    }
    const size_t len = f->len;
    const size_t align = f->align;
    flatbuf_release(f);
    f->ptr = ptr;
    f->cap = cap;
    f->len = len;
    f->align = align;
}

static void push(struct flatbuf *f, const void *data, size_t len) {
    grow(f, len);
    f->len += len;
    if (len > 0) {
        memcpy(f->ptr + f->cap - f->len, data, len);
    }
}

// Zeros, so that what is aligned stands right once `more` bytes have been pushed.
static void pad(struct flatbuf *f, size_t more, size_t align) {
    static const char zeros[16];
    f->align = MAX(f->align, align);
    push(f, zeros, (0 - (f->len + more)) & (align - 1));
}

static void push_u32(struct flatbuf *f, uint32_t v) {
    pad(f, 4, 4);
    push(f, &v, 4);
}

static flatbuf_ref here(const struct flatbuf *f) {
    return (flatbuf_ref)f->len;
}

// An offset counts from where it stands.
static void push_ref(struct flatbuf *f, flatbuf_ref ref) {
    pad(f, 4, 4);
    push_u32(f, here(f) + 4 - ref);
}

flatbuf_ref flatbuf_vector(struct flatbuf *f, const void *data, size_t count, size_t size,
                           size_t align) {
    pad(f, count * size, 4);
    pad(f, count * size, align);
    push(f, data, count * size);
    push_u32(f, (uint32_t)count);
    return here(f);
}

flatbuf_ref flatbuf_str(struct flatbuf *f, struct str s) {
    pad(f, s.len + 1, 4);
    push(f, "", 1);
    push(f, s.ptr, s.len);
    push_u32(f, (uint32_t)s.len);
    return here(f);
}

flatbuf_ref flatbuf_refs(struct flatbuf *f, const flatbuf_ref *refs, size_t count) {
    pad(f, 4 * count, 4);
    for (size_t i = count; i > 0; i--) {
        push_ref(f, refs[i - 1]);
    }
    push_u32(f, (uint32_t)count);
    return here(f);
}

void flatbuf_table(struct flatbuf *f) {
    memset(f->fields, 0, sizeof(f->fields));
    f->table_start = f->len;
}

static void set_field(struct flatbuf *f, size_t field) {
    CHECK(field < FLATBUF_FIELDS_MAX);
    uint32_t *at = f->fields + field;
    CHECK(*at == 0);
    *at = here(f);
}

static void push_field(struct flatbuf *f, size_t field, const void *data, size_t size) {
    pad(f, size, size);
    push(f, data, size);
    set_field(f, field);
}

void flatbuf_u8(struct flatbuf *f, size_t field, uint8_t v) {
    push_field(f, field, &v, sizeof(v));
}

void flatbuf_i16(struct flatbuf *f, size_t field, int16_t v) {
    push_field(f, field, &v, sizeof(v));
}

void flatbuf_i32(struct flatbuf *f, size_t field, int32_t v) {
    push_field(f, field, &v, sizeof(v));
}

void flatbuf_i64(struct flatbuf *f, size_t field, int64_t v) {
    push_field(f, field, &v, sizeof(v));
}

void flatbuf_link(struct flatbuf *f, size_t field, flatbuf_ref ref) {
    if (ref > 0) {
        push_ref(f, ref);
        set_field(f, field);
    }
}

flatbuf_ref flatbuf_table_end(struct flatbuf *f) {
    size_t count = FLATBUF_FIELDS_MAX;
    while (count > 0 && f->fields[count - 1] == 0) {
        count--;
    }
    uint16_t vtable[2 + FLATBUF_FIELDS_MAX] = {0};
    const size_t vtable_bytes = 2 * (2 + count);
    // The vtable goes directly in front of the table.
    pad(f, 4, 4);
    const int32_t back = (int32_t)vtable_bytes;
    push(f, &back, 4);
    const flatbuf_ref table = here(f);
    vtable[0] = (uint16_t)vtable_bytes;
    vtable[1] = (uint16_t)(table - f->table_start);
    for (size_t i = 0; i < count; i++) {
        vtable[2 + i] = (uint16_t)(f->fields[i] > 0 ? table - f->fields[i] : 0);
    }
    push(f, vtable, vtable_bytes);
    return table;
}

struct str flatbuf_finish(struct flatbuf *f, flatbuf_ref root) {
    pad(f, 4, MAX(f->align, 4));
    push_ref(f, root);
    return (struct str){f->ptr + f->cap - f->len, f->len};
}
