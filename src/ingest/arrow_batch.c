// Arrow record batches: the buffers of each column, checked down to the last value.
#include "ingest/arrow_int.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define ROWS_ALWAYS 65536        // that a batch without bytes may have
#define UNPACKED_MAX (1LL << 30) // bytes of a batch that was compressed
#define ZSTD_RATIO 65536         // rows are not more than this many times the bits
enum { BATCH_ROWS, BATCH_NODES, BATCH_BUFFERS, BATCH_COMPRESSION };

static const uint64_t nothing[4]; // for buffers without bytes

struct loader {
    const struct arrow_body *body;
    struct fb *fb;
    struct fb_vector nodes, buffers;
    size_t node, buffer; // next
    bool packed;
    int64_t unpacked, rows_max;
    struct err *err;
};

static enum err_code unpack(struct loader *l, struct str packed, struct str *ret) {
    int64_t size = 0;
    if (packed.len < 8) {
        return arrow_damaged(l->err, "a compressed buffer without its size");
    }
    memcpy(&size, packed.ptr, 8);
    packed = str_slice(packed, 8, packed.len);
    if (size == -1) {
        *ret = packed;
        return ERR_OK;
    }
    if (size < 0 || size > UNPACKED_MAX - l->unpacked) {
        return err_set(l->err, ERR_TOO_LARGE,
                       "an Arrow batch has more than %lld bytes unpacked; write smaller batches",
                       UNPACKED_MAX);
    }
    l->unpacked += size;
    char *out = arena_alloc(l->body->arena, (size_t)size + 8);
    const size_t got = ZSTD_decompress(out, (size_t)size, packed.ptr, packed.len);
    if (ZSTD_isError(got) || got != (size_t)size) {
        return arrow_damaged(l->err, "a compressed buffer");
    }
    *ret = (struct str){out, (size_t)size};
    return ERR_OK;
}

// The next buffer, aligned.
static enum err_code next_buffer(struct loader *l, struct str *ret) {
    if (l->buffer >= l->buffers.count) {
        return arrow_damaged(l->err, "a column without its buffers");
    }
    const size_t at = l->buffers.at + 16 * l->buffer++;
    const uint64_t offset = fb_int(l->fb, at, 8);
    const uint64_t len = fb_int(l->fb, at + 8, 8);
    const struct str body = l->body->bytes;
    if (offset > body.len || len > body.len - offset) {
        return arrow_damaged(l->err, "a buffer lies outside of its batch");
    }
    struct str found = str_slice(body, offset, offset + len);
    if (l->packed && len > 0) {
        TRY(unpack(l, found, &found));
    }
    if ((uintptr_t)found.ptr % 8 != 0 && found.len > 0) {
        found = arena_str(l->body->arena, found);
    }
    *ret = found.len > 0 ? found : (struct str){(const char *)nothing, 0};
    return ERR_OK;
}

static enum err_code need(struct loader *l, struct str buffer, int64_t count, int64_t width) {
    int64_t all = 0;
    if (__builtin_mul_overflow(count, width, &all) || (uint64_t)all / 8 > buffer.len ||
        ((uint64_t)all + 7) / 8 > buffer.len) {
        return arrow_damaged(l->err, "a buffer is too short for its rows");
    }
    return ERR_OK;
}

static bool is_valid(const struct ArrowArray *a, int64_t i) {
    const uint8_t *mask = a->buffers[0];
    return mask == NULL || (mask[i / 8] >> (i % 8) & 1) != 0;
}

static int64_t int_at(const void *data, int64_t width, bool is_signed, int64_t i) {
    switch (width) {
    case 8:
        return is_signed ? ((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
    case 16:
        return is_signed ? ((const int16_t *)data)[i] : ((const uint16_t *)data)[i];
    case 32:
        return is_signed ? ((const int32_t *)data)[i] : (int64_t)((const uint32_t *)data)[i];
    default: // an unsigned one past the range becomes negative
        return ((const int64_t *)data)[i];
    }
}

static enum err_code check_offsets(struct loader *l, const struct arrow_field *f,
                                   const struct ArrowArray *a, int64_t end) {
    int64_t last = 0;
    for (int64_t i = 0; i <= a->length; i++) {
        const int64_t v = int_at(a->buffers[1], f->bits, true, i);
        if (v < last || v > end) {
            return arrow_damaged(l->err, "offsets that go back or beyond their data");
        }
        last = v;
    }
    return ERR_OK;
}

static enum err_code check_text(struct loader *l, const struct arrow_field *f,
                                const struct ArrowArray *a) {
    const char *data = a->buffers[2];
    for (int64_t i = 0; i < a->length; i++) {
        const int64_t from = int_at(a->buffers[1], f->bits, true, i);
        const int64_t to = int_at(a->buffers[1], f->bits, true, i + 1);
        if (to - from > INT32_MAX) {
            return err_set(l->err, ERR_TOO_LARGE, "a value has more than 2 GiB");
        }
        if (f->text && is_valid(a, i) &&
            !str_is_utf8((struct str){data + from, (size_t)(to - from)})) {
            return err_set(l->err, ERR_DATA, "column \"" STR_FMT "\" has a text that is not UTF-8",
                           STR_ARG(f->name));
        }
    }
    return ERR_OK;
}

static enum err_code check_decimals(struct loader *l, const struct arrow_field *f,
                                    const struct ArrowArray *a) {
    const char *values = a->buffers[1];
    __int128 limit = 1;
    CHECK(values != NULL);
    for (int i = 0; i < f->precision; i++) {
        limit *= 10;
    }
    for (int64_t i = 0; i < a->length; i++) {
        __int128 v = 0;
        memcpy(&v, values + 16 * i, sizeof(v));
        if (is_valid(a, i) && (v >= limit || v <= -limit)) {
            return err_set(l->err, ERR_DATA,
                           "column \"" STR_FMT "\" has a decimal of more than %d digits",
                           STR_ARG(f->name), f->precision);
        }
    }
    return ERR_OK;
}

// Numbers that the engine takes for granted.
static enum err_code check_range(struct loader *l, const struct arrow_field *f,
                                 const struct ArrowArray *a) {
    for (int64_t i = 0; i < a->length && f->max > 0; i++) {
        const int64_t v = int_at(a->buffers[1], f->bits, true, i);
        if (is_valid(a, i) && (v < 0 || v >= f->max)) {
            return err_set(l->err, ERR_DATA, "column \"" STR_FMT "\" has a time that no day has",
                           STR_ARG(f->name));
        }
    }
    return f->precision > 0 ? check_decimals(l, f, a) : ERR_OK;
}

// Indices of NULLs may be anything; here they become 0, so that nobody can follow them.
static enum err_code check_indices(struct loader *l, const struct arrow_field *f,
                                   struct ArrowArray *a) {
    const size_t width = (size_t)f->index_bits / 8;
    char *clean = NULL;
    for (int64_t i = 0; i < a->length; i++) {
        const int64_t v = int_at(a->buffers[1], f->index_bits, f->index_signed, i);
        if (v >= 0 && v < a->dictionary->length) {
            continue;
        }
        if (is_valid(a, i)) {
            return arrow_damaged(l->err, "an index beyond its dictionary");
        }
        if (clean == NULL) {
            const struct str all = {a->buffers[1], (size_t)a->length * width};
            clean = arena_alloc(l->body->arena, all.len);
            memcpy(clean, all.ptr, all.len);
            a->buffers[1] = clean;
        }
        memset(clean + (size_t)i * width, 0, width);
    }
    return ERR_OK;
}

static struct ArrowArray *array_new(struct loader *l, const struct arrow_field *f) {
    struct arena *arena = l->body->arena;
    struct ArrowArray *a = arena_alloc(arena, sizeof(*a));
    a->buffers = arena_array(arena, 3, sizeof(*a->buffers));
    a->release = arrow_array_keep;
    if (f->child_count > 0) {
        a->n_children = (int64_t)f->child_count;
        a->children = arena_array(arena, f->child_count, sizeof(struct ArrowArray *));
    }
    return a;
}

static enum err_code next_node(struct loader *l, struct ArrowArray *a) {
    if (l->node >= l->nodes.count) {
        return arrow_damaged(l->err, "a column is missing");
    }
    const size_t at = l->nodes.at + 16 * l->node++;
    a->length = (int64_t)fb_int(l->fb, at, 8);
    a->null_count = (int64_t)fb_int(l->fb, at + 8, 8);
    if (a->length < 0 || a->length > l->rows_max || a->null_count < 0 ||
        a->null_count > a->length) {
        return arrow_damaged(l->err, "a count of rows that cannot be");
    }
    return ERR_OK;
}

static enum err_code read_mask(struct loader *l, struct ArrowArray *a) {
    struct str mask = STR_NONE;
    TRY(next_buffer(l, &mask));
    if (mask.len == 0) {
        return a->null_count == 0 ? ERR_OK : arrow_damaged(l->err, "NULLs that are not marked");
    }
    TRY(need(l, mask, a->length, 1));
    a->buffers[0] = mask.ptr;
    // The marks count; but the engine looks at those of indices only when it is told of NULLs.
    a->null_count = MAX(a->null_count, 1);
    return ERR_OK;
}

static enum err_code read_values(struct loader *l, int64_t width, struct ArrowArray *a) {
    struct str values = STR_NONE;
    TRY(next_buffer(l, &values));
    a->buffers[1] = values.ptr;
    a->n_buffers = 2;
    return need(l, values, a->length, width);
}

static enum err_code read_offsets(struct loader *l, int64_t width, struct ArrowArray *a) {
    struct str offsets = STR_NONE;
    TRY(next_buffer(l, &offsets));
    a->buffers[1] = offsets.ptr;
    a->n_buffers = 2;
    return a->length == 0 && offsets.len == 0 ? ERR_OK : need(l, offsets, a->length + 1, width);
}

static enum err_code read_array(struct loader *l, const struct arrow_field *f, bool values,
                                struct ArrowArray **ret);

static enum err_code read_children(struct loader *l, const struct arrow_field *f,
                                   struct ArrowArray *a) {
    for (size_t i = 0; i < f->child_count; i++) {
        TRY(read_array(l, &f->children[i], false, &a->children[i]));
        if (f->layout == ARROW_STRUCT && a->children[i]->length != a->length) {
            return arrow_damaged(l->err, "columns of different lengths");
        }
    }
    if (f->layout == ARROW_LIST) {
        return check_offsets(l, f, a, a->children[0]->length);
    }
    const bool fixed = f->layout == ARROW_FIXED_LIST;
    return fixed && a->children[0]->length / f->bits < a->length
               ? arrow_damaged(l->err, "fixed lists without all their elements")
               : ERR_OK;
}

static enum err_code read_bytes(struct loader *l, const struct arrow_field *f,
                                struct ArrowArray *a) {
    struct str data = STR_NONE;
    TRY(read_offsets(l, f->bits, a));
    TRY(next_buffer(l, &data));
    a->buffers[2] = data.ptr;
    a->n_buffers = 3;
    TRY(check_offsets(l, f, a, (int64_t)data.len));
    return check_text(l, f, a);
}

// values: of a dictionary, not the indices into it.
static enum err_code read_array(struct loader *l, const struct arrow_field *f, bool values,
                                struct ArrowArray **ret) {
    struct ArrowArray *a = array_new(l, f);
    *ret = a;
    TRY(next_node(l, a));
    if (f->layout == ARROW_NOTHING) {
        return ERR_OK;
    }
    TRY(read_mask(l, a));
    if (f->index_bits > 0 && !values) {
        if (f->dictionary == NULL) {
            return arrow_damaged(l->err, "a dictionary is missing");
        }
        a->dictionary = f->dictionary;
        TRY(read_values(l, f->index_bits, a));
        return check_indices(l, f, a);
    }
    switch (f->layout) {
    case ARROW_BITS:
        TRY(read_values(l, f->bits, a));
        return check_range(l, f, a);
    case ARROW_BYTES:
        return read_bytes(l, f, a);
    case ARROW_LIST:
        TRY(read_offsets(l, f->bits, a));
        return read_children(l, f, a);
    default:
        a->n_buffers = 1;
        return read_children(l, f, a);
    }
}

static enum err_code read_compression(struct loader *l, const struct fb_table *batch) {
    const struct fb_table c = fb_link(batch, BATCH_COMPRESSION);
    if (c.at == 0) {
        return ERR_OK;
    }
    if (fb_number(&c, 0, 1, 0) != 1) {
        return err_set(l->err, ERR_UNSUPPORTED,
                       "the Arrow data is compressed with LZ4, which is not read; write it with "
                       "compression \"zstd\" or without");
    }
    l->packed = true;
    return ERR_OK;
}

enum err_code arrow_read_batch(const struct arrow_body *b, const struct arrow_field *f,
                               struct ArrowArray **ret, struct err *err) {
    struct loader l = {.body = b, .fb = b->batch->fb, .err = err};
    l.nodes = fb_vector(b->batch, BATCH_NODES, 16);
    l.buffers = fb_vector(b->batch, BATCH_BUFFERS, 16);
    TRY(read_compression(&l, b->batch));
    const int64_t bits = MIN((int64_t)b->bytes.len, 1LL << 36) * 8;
    l.rows_max = MAX(ROWS_ALWAYS, MIN(bits * (l.packed ? ZSTD_RATIO : 1), UNPACKED_MAX));
    const int64_t rows = fb_number(b->batch, BATCH_ROWS, 8, 0);
    struct ArrowArray *a = NULL;
    if (f->index_bits > 0) { // the values of a dictionary are its one column
        TRY(read_array(&l, f, true, &a));
    } else {
        a = array_new(&l, f);
        a->length = rows;
        a->n_buffers = 1;
        TRY(read_children(&l, f, a));
    }
    if (l.fb->bad || a->length != rows || l.node != l.nodes.count || l.buffer != l.buffers.count) {
        return arrow_damaged(err, "a batch does not fit its schema");
    }
    *ret = a;
    return ERR_OK;
}
