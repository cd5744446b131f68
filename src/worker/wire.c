// Rows on the wire: the format, and writing it (wire_read.c reads it). Two kinds of message;
// numbers are in the machine's order and not aligned.
//
//   columns  u32 count, then per column: text name, type
//   text     u32 length, bytes (UTF-8)
//   type     u8 kind (vec_kind), text as SQL writes it, then
//            DECIMAL       u8 width, u8 scale
//            LIST          type
//            ARRAY         u32 size, type
//            MAP           type of the keys, type of the values
//            STRUCT, UNION u32 count, then per member: text name, type
//            ENUM          u32 count, then text per symbol
//
//   chunk    u32 columns, u32 rows, then a vector of that many rows per column
//   vector   u8: 1 if there are NULLs; then their bits, in u64, one for each value that is there;
//            of the type NULL it is always 1. Then, for n rows,
//            fixed width   n values; zeros where NULL
//            texts, bytes  n u32 lengths; the bytes of all of them
//            LIST, MAP     n u64 lengths; a vector of their sum (MAP: of the keys, of the values)
//            ARRAY         a vector of n times the size
//            STRUCT        a vector of n per member
//            UNION         n u8 tags; a vector of n per member, NULL where it is not the one
//
// Each row of each vector takes at least one bit, and lists have no offsets, so that they share
// nothing: neither the memory nor the time of a chunk is more than a multiple of its bytes.
#include "worker/wire_int.h"

#define ROW_NONE UINT64_MAX // a row that is NULL because what it is part of is

size_t wire_cell_size(const struct vec_type *t) {
    switch (t->kind) {
    case VEC_BOOL:
    case VEC_INT8:
    case VEC_UINT8:
        return 1;
    case VEC_INT16:
    case VEC_UINT16:
        return 2;
    case VEC_INT32:
    case VEC_UINT32:
    case VEC_FLOAT:
    case VEC_DATE:
        return 4;
    case VEC_HUGEINT:
    case VEC_UHUGEINT:
    case VEC_UUID:
    case VEC_INTERVAL:
        return 16;
    case VEC_DECIMAL:
        return t->width <= 4 ? 2 : t->width <= 9 ? 4 : t->width <= 18 ? 8 : 16;
    case VEC_ENUM:
        return t->symbol_count <= UINT8_MAX ? 1 : t->symbol_count <= UINT16_MAX ? 2 : 4;
    case VEC_VARCHAR:
    case VEC_JSON:
    case VEC_BLOB:
    case VEC_BIT:
    case VEC_LIST:
    case VEC_ARRAY:
    case VEC_STRUCT:
    case VEC_MAP:
    case VEC_UNION:
    case VEC_NULLTYPE:
    case VEC_OTHER:
        return 0;
    default:
        return 8;
    }
}

static void add_u8(size_t v, struct buf *out) {
    buf_add_char(out, (char)(unsigned char)v);
}

static void add_u32(size_t v, struct buf *out) {
    CHECK(v <= UINT32_MAX);
    const uint32_t n = (uint32_t)v;
    buf_add(out, &n, sizeof(n));
}

static void add_text(struct str s, struct buf *out) {
    add_u32(s.len, out);
    buf_add_str(out, s);
}

static void add_type(const struct vec_type *t, struct buf *out) {
    add_u8(t->kind, out);
    add_text(t->text, out);
    const struct vec_type *children = t->children;
    size_t count = t->child_count;
    bool named = false;
    switch (t->kind) {
    case VEC_DECIMAL:
        add_u8((size_t)t->width, out);
        add_u8((size_t)t->scale, out);
        break;
    case VEC_ARRAY:
        add_u32(t->array_size, out);
        break;
    case VEC_MAP:
        count = children->child_count;
        children = children->children;
        break;
    case VEC_STRUCT:
    case VEC_UNION:
        add_u32(count, out);
        named = true;
        break;
    case VEC_ENUM:
        add_u32(t->symbol_count, out);
        break;
    default:
        break;
    }
    for (size_t i = 0; i < count; i++) {
        if (named) {
            add_text(t->names[i], out);
        }
        add_type(&children[i], out);
    }
    for (size_t i = 0; i < t->symbol_count; i++) {
        add_text(t->symbols[i], out);
    }
}

void wire_write_columns(const struct wire_column *columns, size_t count, struct buf *out) {
    add_u32(count, out);
    for (size_t i = 0; i < count; i++) {
        add_text(columns[i].name, out);
        add_type(&columns[i].type, out);
    }
}

struct writer {
    struct buf *out;
    struct arena scratch; // rows of spans
};

// Which rows of a vector are written: `count` from `first` on, or those of a list.
struct span {
    const uint64_t *rows; // or NULL
    uint64_t first;
    uint64_t count;
};

static uint64_t row_at(const struct span *s, uint64_t i) {
    return s->rows ? s->rows[i] : s->first + i;
}

// The fewest bits that a row takes.
static uint64_t row_bits(const struct vec_type *t) {
    uint64_t bits = 0;
    switch (t->kind) {
    case VEC_NULLTYPE:
        return 1;
    case VEC_VARCHAR:
    case VEC_JSON:
    case VEC_BLOB:
    case VEC_BIT:
        return 32;
    case VEC_LIST:
    case VEC_MAP:
        return 64;
    case VEC_ARRAY:
        return t->array_size * row_bits(&t->children[0]);
    case VEC_STRUCT:
    case VEC_UNION:
        for (size_t i = 0; i < t->child_count; i++) {
            bits += row_bits(&t->children[i]);
        }
        return bits;
    default:
        return 8 * wire_cell_size(t);
    }
}

// Many rows may share one list. Before memory is taken for all that they come to: can it be
// written?
static bool fits(struct writer *w, const struct vec_type *t, uint64_t rows) {
    const double bytes = (double)rows * (double)row_bits(t) / 8;
    if (bytes > (double)(w->out->max - w->out->len)) {
        w->out->overflow = true;
    }
    return !w->out->overflow;
}

static bool null_at(const struct vec *v, uint64_t row) {
    return row == ROW_NONE || vec_is_null(v, row);
}

static bool any_null(const struct vec *v, const struct span *s) {
    for (uint64_t i = 0; (v->validity || s->rows) && i < s->count; i++) {
        if (null_at(v, row_at(s, i))) {
            return true;
        }
    }
    return false;
}

// Returns whether there are NULLs.
static bool add_nulls(struct writer *w, const struct vec *v, const struct span *s) {
    const bool all = v->type->kind == VEC_NULLTYPE;
    const bool nulls = all || any_null(v, s);
    add_u8(nulls ? 1 : 0, w->out);
    for (uint64_t i = 0; nulls && i < s->count; i += 64) {
        uint64_t word = 0;
        for (uint64_t k = i; !all && k < MIN(i + 64, s->count); k++) {
            word |= (uint64_t)(null_at(v, row_at(s, k)) ? 0 : 1) << (k - i);
        }
        buf_add(w->out, &word, sizeof(word));
    }
    return nulls;
}

static void add_cells(struct writer *w, const struct vec *v, const struct span *s, bool nulls) {
    const size_t size = wire_cell_size(v->type);
    const char *data = v->data;
    char *at = s->count > 0 ? buf_reserve(w->out, s->count * size) : NULL;
    if (!at) {
        return;
    }
    w->out->len += s->count * size;
    if (!s->rows && !nulls) {
        memcpy(at, data + s->first * size, s->count * size);
        return;
    }
    for (uint64_t i = 0; i < s->count; i++, at += size) {
        const uint64_t row = row_at(s, i);
        if (null_at(v, row)) {
            memset(at, 0, size);
        } else {
            memcpy(at, data + row * size, size);
        }
    }
}

static struct str bytes_at(const struct vec *v, uint64_t row) {
    return null_at(v, row) ? STR_NONE : vec_str(v, row);
}

static void add_bytes(struct writer *w, const struct vec *v, const struct span *s) {
    uint64_t total = 0;
    char *at = buf_reserve(w->out, s->count * sizeof(uint32_t));
    for (uint64_t i = 0; at && i < s->count; i++) {
        const uint32_t len = (uint32_t)bytes_at(v, row_at(s, i)).len;
        memcpy(at + i * sizeof(len), &len, sizeof(len));
        total += len;
    }
    w->out->len += at ? s->count * sizeof(uint32_t) : 0;
    at = buf_reserve(w->out, total);
    for (uint64_t i = 0; at && i < s->count; i++) {
        const struct str text = bytes_at(v, row_at(s, i));
        if (text.len > 0) {
            memcpy(at, text.ptr, text.len);
            at += text.len;
        }
    }
    w->out->len += at ? total : 0;
}

static void add_vector(struct writer *w, const struct vec *v, const struct span *s);

static struct vec_list list_at(const struct vec *v, uint64_t row) {
    const struct vec_list none = {0};
    return null_at(v, row) ? none : ((const struct vec_list *)v->data)[row];
}

static void add_lists(struct writer *w, const struct vec *v, const struct span *s) {
    struct span items = {0};
    bool run = true; // whether the items lie in that order already
    for (uint64_t i = 0; i < s->count; i++) {
        const struct vec_list list = list_at(v, row_at(s, i));
        if (list.length > 0) {
            items.first = items.count == 0 ? list.offset : items.first;
            run = run && list.offset == items.first + items.count;
        }
        items.count += list.length;
        buf_add(w->out, &list.length, sizeof(list.length));
    }
    if (!fits(w, v->children[0].type, items.count)) {
        return;
    }
    if (!run) {
        uint64_t *rows = arena_array(&w->scratch, items.count, sizeof(*rows));
        uint64_t count = 0;
        for (uint64_t i = 0; i < s->count; i++) {
            const struct vec_list list = list_at(v, row_at(s, i));
            for (uint64_t k = 0; k < list.length; k++) {
                rows[count++] = list.offset + k;
            }
        }
        items.rows = rows;
    }
    const struct vec *child = &v->children[0];
    if (v->type->kind == VEC_LIST) {
        add_vector(w, child, &items);
        return;
    }
    add_vector(w, &child->children[0], &items);
    add_vector(w, &child->children[1], &items);
}

// The rows of a child with `size` rows per row; NULLs are handed down.
static struct span child_span(struct writer *w, const struct vec *v, const struct span *s,
                              size_t size, bool nulls) {
    if (!s->rows && !nulls) {
        return (struct span){.first = s->first * size, .count = s->count * size};
    }
    uint64_t *rows = arena_array(&w->scratch, s->count * size, sizeof(*rows));
    for (uint64_t i = 0; i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        for (size_t k = 0; k < size; k++) {
            rows[i * size + k] = null_at(v, row) ? ROW_NONE : row * size + k;
        }
    }
    return (struct span){.rows = rows, .count = s->count * size};
}

static void add_structs(struct writer *w, const struct vec *v, const struct span *s, bool nulls) {
    if (!fits(w, v->type, s->count)) {
        return;
    }
    const size_t size = v->type->kind == VEC_ARRAY ? v->type->array_size : 1;
    const struct span rows = child_span(w, v, s, size, nulls);
    for (size_t i = 0; i < v->type->child_count; i++) {
        add_vector(w, &v->children[i], &rows);
    }
}

static void add_unions(struct writer *w, const struct vec *v, const struct span *s) {
    const uint8_t *tags = v->children[0].data;
    for (uint64_t i = 0; i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        add_u8(null_at(v, row) ? 0 : tags[row], w->out);
    }
    for (size_t m = 0; m < v->type->child_count; m++) {
        uint64_t *rows = arena_array(&w->scratch, s->count, sizeof(*rows));
        for (uint64_t i = 0; i < s->count; i++) {
            const uint64_t row = row_at(s, i);
            rows[i] = null_at(v, row) || tags[row] != m ? ROW_NONE : row;
        }
        const struct span member = {.rows = rows, .count = s->count};
        add_vector(w, &v->children[1 + m], &member);
    }
}

static void add_vector(struct writer *w, const struct vec *v, const struct span *s) {
    const bool nulls = add_nulls(w, v, s);
    switch (v->type->kind) {
    case VEC_VARCHAR:
    case VEC_JSON:
    case VEC_BLOB:
    case VEC_BIT:
        add_bytes(w, v, s);
        break;
    case VEC_LIST:
    case VEC_MAP:
        add_lists(w, v, s);
        break;
    case VEC_ARRAY:
    case VEC_STRUCT:
        add_structs(w, v, s, nulls);
        break;
    case VEC_UNION:
        add_unions(w, v, s);
        break;
    case VEC_NULLTYPE:
        break;
    default:
        CHECK(v->type->kind != VEC_OTHER);
        add_cells(w, v, s, nulls);
    }
}

void wire_write_chunk(const struct vec_chunk *chunk, struct buf *out) {
    CHECK(chunk->rows <= WIRE_ROWS_MAX);
    struct writer w = {.out = out, .scratch = ARENA(SIZE_MAX)};
    const struct span all = {.count = chunk->rows};
    add_u32(chunk->column_count, out);
    add_u32(chunk->rows, out);
    for (size_t i = 0; i < chunk->column_count && !out->overflow; i++) {
        add_vector(&w, &chunk->columns[i], &all);
    }
    arena_release(&w.scratch);
}
