// CHUNKS of a result: as many rows as make a message worth while, as few as it has room for.
#include "worker/wire_int.h"
#include "worker/worker_int.h"

#define WORD_ROWS 64 // of validity: chunks are cut at multiples

// Bytes of a row in its vector's data.
static size_t row_bytes(const struct vec_type *t) {
    switch (t->kind) {
    case VEC_VARCHAR:
    case VEC_JSON:
    case VEC_BLOB:
    case VEC_BIT:
        return sizeof(struct vec_string_cell);
    case VEC_LIST:
    case VEC_MAP:
        return sizeof(struct vec_list);
    case VEC_STRUCT:
    case VEC_ARRAY:
    case VEC_UNION:
    case VEC_NULLTYPE:
        return 0;
    default:
        return wire_cell_size(t);
    }
}

// The vector from row `first` on, a multiple of WORD_ROWS. Lists keep their child.
static void slice(const struct vec *v, size_t first, struct arena *a, struct vec *ret) {
    const struct vec_type *t = v->type;
    const char *data = v->data;
    *ret = *v;
    ret->data = data ? data + first * row_bytes(t) : NULL;
    ret->validity = v->validity ? v->validity + first / WORD_ROWS : NULL;
    if (t->kind != VEC_STRUCT && t->kind != VEC_ARRAY && t->kind != VEC_UNION) {
        return;
    }
    const size_t step = t->kind == VEC_ARRAY ? t->array_size : 1;
    const size_t count = t->child_count + (t->kind == VEC_UNION ? 1 : 0);
    struct vec *children = arena_array(a, count, sizeof(*children));
    for (size_t i = 0; i < count; i++) {
        slice(&v->children[i], first * step, a, &children[i]);
    }
    ret->children = children;
}

static bool add_rows(const struct vec_chunk *chunk, size_t first, size_t rows, struct buf *out) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const size_t start = out->len;
    uint32_t len = 0;
    struct vec *columns = arena_array(&a, chunk->column_count, sizeof(*columns));
    for (size_t i = 0; i < chunk->column_count; i++) {
        slice(&chunk->columns[i], first, &a, &columns[i]);
    }
    const struct vec_chunk part = {rows, chunk->column_count, columns};
    buf_add(out, &len, sizeof(len));
    wire_write_chunk(&part, out);
    if (out->overflow) {
        out->overflow = false;
        out->len = start;
        return false;
    }
    len = (uint32_t)(out->len - start - sizeof(len));
    memcpy(out->ptr + start, &len, sizeof(len));
    return true;
}

// As many rows as fit, beginning with all; false when not even the fewest do.
static bool add_some(struct chunks *c, struct buf *out) {
    size_t rows = c->chunk->rows - c->first;
    while (!add_rows(c->chunk, c->first, rows, out)) {
        if (rows <= WORD_ROWS) {
            return false;
        }
        rows = (rows / 2 + WORD_ROWS - 1) / WORD_ROWS * WORD_ROWS;
    }
    c->first += rows;
    return true;
}

static enum err_code fetch(struct chunks *c, struct err *err) {
    if (c->chunk && c->first < c->chunk->rows) {
        return ERR_OK;
    }
    c->first = 0;
    return rows_next(c->rows, &c->chunk, err);
}

enum err_code chunks_write(struct chunks *c, struct buf *out, struct err *err) {
    const uint8_t none = 0;
    const size_t start = message_begin(MESSAGE_CHUNKS, out);
    const size_t flag = out->len;
    buf_add(out, &none, sizeof(none));
    const size_t empty = out->len;
    TRY(fetch(c, err));
    while (c->chunk && out->len - start < MESSAGE_AIM && add_some(c, out)) {
        TRY(fetch(c, err));
    }
    if (c->chunk && out->len == empty) {
        return err_set(err, ERR_TOO_LARGE,
                       "%d rows of the answer take more than %u MiB: ask for fewer or smaller "
                       "columns, or sort and LIMIT",
                       WORD_ROWS, MESSAGE_MAX >> 20);
    }
    out->ptr[flag] = c->chunk ? 0 : 1;
    message_end(start, out);
    c->last = c->chunk == NULL;
    return ERR_OK;
}
