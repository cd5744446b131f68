// Reading what came over the wire: every count and index is looked at before it is used. The format
// stands in wire.c.
#include "worker/wire_int.h"

enum {
    ARRAY_SIZE_MAX = 100000, // the engine's
    MEMBERS_MAX = 256,       // of a UNION: the tag is a byte
    DECIMAL_WIDTH_MAX = 38,
    BIT_PADDING_MAX = 7,
    TEXT_BYTES_MIN = 4,
    TYPE_BYTES_MIN = 5,
};

static const struct vec_type tag_type = {.kind = VEC_UINT8, .text = {"UTINYINT", 8}};

static bool is_bytes(enum vec_kind kind) {
    return kind == VEC_VARCHAR || kind == VEC_JSON || kind == VEC_BLOB || kind == VEC_BIT;
}

// How many u64 hold a bit per row.
static uint64_t bit_words(uint64_t rows) {
    return rows / 64 + (rows % 64 > 0 ? 1 : 0);
}

struct reader {
    const char *at, *end;
    uint64_t parts; // bytes that no part of a type has been promised yet
    struct arena *arena;
    struct err *err;
};

static enum err_code bad(struct reader *r, const char *what) {
    return err_set(r->err, ERR_DATA, "rows came in a form that is none: %s", what);
}

// The next count * size bytes.
static enum err_code take(struct reader *r, uint64_t count, size_t size, const char **ret) {
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(count, (uint64_t)size, &bytes) ||
        bytes > (uint64_t)(r->end - r->at)) {
        return bad(r, "they end too early");
    }
    *ret = r->at;
    r->at += bytes;
    return ERR_OK;
}

static enum err_code read_u8(struct reader *r, uint8_t *ret) {
    const char *at = NULL;
    TRY(take(r, 1, 1, &at));
    *ret = (uint8_t)*at;
    return ERR_OK;
}

static enum err_code read_u32(struct reader *r, uint32_t *ret) {
    const char *at = NULL;
    TRY(take(r, 1, sizeof(*ret), &at));
    memcpy(ret, at, sizeof(*ret));
    return ERR_OK;
}

static enum err_code read_text(struct reader *r, struct str *ret) {
    uint32_t len = 0;
    const char *at = NULL;
    TRY(read_u32(r, &len));
    TRY(take(r, len, 1, &at));
    *ret = (struct str){at, len};
    return str_is_utf8(*ret) ? ERR_OK : bad(r, "a name is not UTF-8");
}

// A number of things, each of which takes at least min_bytes, that no other thing has: types stand
// in one another, and memory is taken for all that one says before the first of them is read.
static enum err_code read_count(struct reader *r, size_t min_bytes, size_t max, size_t *ret) {
    uint32_t count = 0;
    TRY(read_u32(r, &count));
    if (count > max || count > MIN((uint64_t)(r->end - r->at), r->parts) / min_bytes) {
        return bad(r, "there are fewer parts than it says");
    }
    r->parts -= count * min_bytes;
    *ret = count;
    return ERR_OK;
}

static enum err_code read_type(struct reader *r, size_t depth, struct vec_type *t);

static enum err_code read_children(struct reader *r, size_t depth, size_t count, bool named,
                                   struct vec_type *t) {
    t->children = arena_array(r->arena, count, sizeof(*t->children));
    t->names = named ? arena_array(r->arena, count, sizeof(*t->names)) : NULL;
    t->child_count = count;
    for (size_t i = 0; i < count; i++) {
        if (named) {
            TRY(read_text(r, &t->names[i]));
        }
        TRY(read_type(r, depth + 1, &t->children[i]));
    }
    return ERR_OK;
}

static enum err_code read_members(struct reader *r, size_t depth, struct vec_type *t) {
    const size_t max = t->kind == VEC_UNION ? MEMBERS_MAX : SIZE_MAX;
    size_t count = 0;
    TRY(read_count(r, TEXT_BYTES_MIN + TYPE_BYTES_MIN, max, &count));
    if (count == 0) {
        return bad(r, "a type without members");
    }
    return read_children(r, depth, count, true, t);
}

static enum err_code read_map_type(struct reader *r, size_t depth, struct vec_type *t) {
    static const struct str names[] = {{"key", 3}, {"value", 5}};
    struct vec_type *pair = arena_array(r->arena, 1, sizeof(*pair));
    pair->kind = VEC_STRUCT;
    TRY(read_children(r, depth + 1, 2, false, pair));
    pair->names = arena_array(r->arena, 2, sizeof(*pair->names));
    memcpy(pair->names, names, sizeof(names));
    t->children = pair;
    t->child_count = 1;
    return ERR_OK;
}

static enum err_code read_symbols(struct reader *r, struct vec_type *t) {
    TRY(read_count(r, TEXT_BYTES_MIN, SIZE_MAX, &t->symbol_count));
    t->symbols = arena_array(r->arena, t->symbol_count, sizeof(*t->symbols));
    for (size_t i = 0; i < t->symbol_count; i++) {
        TRY(read_text(r, &t->symbols[i]));
    }
    return ERR_OK;
}

static enum err_code read_decimal_type(struct reader *r, struct vec_type *t) {
    uint8_t width = 0;
    uint8_t scale = 0;
    TRY(read_u8(r, &width));
    TRY(read_u8(r, &scale));
    if (width == 0 || width > DECIMAL_WIDTH_MAX || scale > width) {
        return bad(r, "a decimal of impossible width");
    }
    t->width = width;
    t->scale = scale;
    return ERR_OK;
}

static enum err_code read_array_type(struct reader *r, size_t depth, struct vec_type *t) {
    uint32_t size = 0;
    TRY(read_u32(r, &size));
    if (size == 0 || size > ARRAY_SIZE_MAX) {
        return bad(r, "an array of impossible size");
    }
    t->array_size = size;
    return read_children(r, depth, 1, false, t);
}

static enum err_code read_type(struct reader *r, size_t depth, struct vec_type *t) {
    uint8_t kind = 0;
    TRY(read_u8(r, &kind));
    if (kind >= VEC_OTHER) {
        return bad(r, "a type of no known kind");
    }
    if (depth > WIRE_DEPTH_MAX) {
        return bad(r, "types are nested too deep");
    }
    t->kind = (enum vec_kind)kind;
    TRY(read_text(r, &t->text));
    switch (t->kind) {
    case VEC_DECIMAL:
        return read_decimal_type(r, t);
    case VEC_LIST:
        return read_children(r, depth, 1, false, t);
    case VEC_ARRAY:
        return read_array_type(r, depth, t);
    case VEC_MAP:
        return read_map_type(r, depth, t);
    case VEC_STRUCT:
    case VEC_UNION:
        return read_members(r, depth, t);
    case VEC_ENUM:
        return read_symbols(r, t);
    default:
        return ERR_OK;
    }
}

enum err_code wire_read_columns(struct str bytes, struct arena *a, struct wire_column **ret,
                                size_t *ret_count, struct err *err) {
    const struct str copy = arena_str(a, bytes); // what names and texts point into
    struct reader r = {copy.ptr, copy.ptr + copy.len, copy.len, a, err};
    size_t count = 0;
    TRY(read_count(&r, TEXT_BYTES_MIN + TYPE_BYTES_MIN, WIRE_COLUMNS_MAX, &count));
    struct wire_column *columns = arena_array(a, count, sizeof(*columns));
    for (size_t i = 0; i < count; i++) {
        TRY(read_text(&r, &columns[i].name));
        TRY(read_type(&r, 1, &columns[i].type));
    }
    if (r.at != r.end) {
        return bad(&r, "there is more than its columns");
    }
    *ret = columns;
    *ret_count = count;
    return ERR_OK;
}

static enum err_code read_nulls(struct reader *r, uint64_t rows, struct vec *v) {
    const bool all = v->type->kind == VEC_NULLTYPE;
    uint8_t nulls = 0;
    const char *at = NULL;
    TRY(read_u8(r, &nulls));
    if (nulls > 1 || (all && nulls == 0)) {
        return bad(r, "NULLs are not told as they are");
    }
    if (nulls == 0) {
        return ERR_OK;
    }
    const uint64_t words = bit_words(rows);
    TRY(take(r, words, sizeof(uint64_t), &at));
    uint64_t *bits = arena_array(r->arena, words, sizeof(*bits));
    if (!all && words > 0) {
        memcpy(bits, at, words * sizeof(*bits));
    }
    v->validity = bits;
    return ERR_OK;
}

static enum err_code check_bools(struct reader *r, const struct vec *v, uint64_t rows) {
    for (uint64_t i = 0; i < rows; i++) {
        if (((const uint8_t *)v->data)[i] > 1) {
            return bad(r, "a truth value that is neither");
        }
    }
    return ERR_OK;
}

static uint64_t symbol_at(const struct vec *v, uint64_t row) {
    switch (wire_cell_size(v->type)) {
    case 1:
        return ((const uint8_t *)v->data)[row];
    case 2:
        return ((const uint16_t *)v->data)[row];
    default:
        return ((const uint32_t *)v->data)[row];
    }
}

static enum err_code check_symbols(struct reader *r, const struct vec *v, uint64_t rows) {
    for (uint64_t i = 0; i < rows; i++) {
        if (!vec_is_null(v, i) && symbol_at(v, i) >= v->type->symbol_count) {
            return bad(r, "an ENUM value that is none of its symbols");
        }
    }
    return ERR_OK;
}

static enum err_code read_cells(struct reader *r, uint64_t rows, struct vec *v) {
    const size_t size = wire_cell_size(v->type);
    const char *at = NULL;
    TRY(take(r, rows, size, &at));
    char *data = arena_array(r->arena, rows, size);
    if (rows > 0) {
        memcpy(data, at, rows * size);
    }
    v->data = data;
    if (v->type->kind == VEC_BOOL) {
        return check_bools(r, v, rows);
    }
    return v->type->kind == VEC_ENUM ? check_symbols(r, v, rows) : ERR_OK;
}

static enum err_code check_bytes(struct reader *r, enum vec_kind kind, struct str s) {
    if (kind == VEC_BIT && (s.len == 0 || (unsigned char)s.ptr[0] > BIT_PADDING_MAX)) {
        return bad(r, "a BIT that does not tell its length");
    }
    if ((kind == VEC_VARCHAR || kind == VEC_JSON) && !str_is_utf8(s)) {
        return bad(r, "a text that is not UTF-8");
    }
    return ERR_OK;
}

static enum err_code read_bytes(struct reader *r, uint64_t rows, struct vec *v) {
    const char *lengths = NULL;
    TRY(take(r, rows, sizeof(uint32_t), &lengths));
    struct vec_string_cell *cells = arena_array(r->arena, rows, sizeof(*cells));
    for (uint64_t i = 0; i < rows; i++) {
        struct vec_string_cell *cell = &cells[i];
        const char *at = NULL;
        memcpy(&cell->len, lengths + i * sizeof(uint32_t), sizeof(uint32_t));
        TRY(take(r, cell->len, 1, &at));
        if (cell->len <= sizeof(cell->prefix) + sizeof(cell->rest)) {
            memcpy((char *)cell + offsetof(struct vec_string_cell, prefix), at, cell->len);
        } else {
            memcpy(cell->prefix, at, sizeof(cell->prefix));
            cell->ptr = at;
        }
        if (!vec_is_null(v, i)) {
            TRY(check_bytes(r, v->type->kind, (struct str){at, cell->len}));
        }
    }
    v->data = cells;
    return ERR_OK;
}

static enum err_code read_vector(struct reader *r, uint64_t rows, struct vec *v);

// Gives v `count` vectors for its children; the types from `first` on are those of t.
static struct vec *add_children(struct reader *r, struct vec *v, const struct vec_type *t,
                                size_t first) {
    struct vec *children = arena_array(r->arena, first + t->child_count, sizeof(*children));
    for (size_t i = 0; i < t->child_count; i++) {
        children[first + i].type = &t->children[i];
    }
    v->children = children;
    return children;
}

static enum err_code read_map_items(struct reader *r, uint64_t rows, struct vec *pairs) {
    struct vec *children = add_children(r, pairs, pairs->type, 0);
    TRY(read_vector(r, rows, &children[0]));
    for (uint64_t i = 0; children[0].validity && i < rows; i++) {
        if (vec_is_null(&children[0], i)) {
            return bad(r, "a key of a MAP is NULL");
        }
    }
    return read_vector(r, rows, &children[1]);
}

static enum err_code read_lists(struct reader *r, uint64_t rows, struct vec *v) {
    const char *lengths = NULL;
    TRY(take(r, rows, sizeof(uint64_t), &lengths));
    struct vec_list *lists = arena_array(r->arena, rows, sizeof(*lists));
    uint64_t total = 0;
    for (uint64_t i = 0; i < rows; i++) {
        lists[i].offset = total;
        memcpy(&lists[i].length, lengths + i * sizeof(uint64_t), sizeof(uint64_t));
        if (__builtin_add_overflow(total, lists[i].length, &total)) {
            return bad(r, "lists of impossible length");
        }
    }
    v->data = lists;
    struct vec *children = add_children(r, v, v->type, 0);
    return v->type->kind == VEC_MAP ? read_map_items(r, total, &children[0])
                                    : read_vector(r, total, &children[0]);
}

static enum err_code read_structs(struct reader *r, uint64_t rows, struct vec *v) {
    const size_t size = v->type->kind == VEC_ARRAY ? v->type->array_size : 1;
    uint64_t child_rows = 0;
    if (__builtin_mul_overflow(rows, (uint64_t)size, &child_rows)) {
        return bad(r, "arrays of impossible length");
    }
    struct vec *children = add_children(r, v, v->type, 0);
    for (size_t i = 0; i < v->type->child_count; i++) {
        TRY(read_vector(r, child_rows, &children[i]));
    }
    return ERR_OK;
}

static enum err_code read_unions(struct reader *r, uint64_t rows, struct vec *v) {
    struct vec *children = add_children(r, v, v->type, 1);
    children[0].type = &tag_type;
    TRY(read_cells(r, rows, &children[0]));
    for (uint64_t i = 0; i < rows; i++) {
        if (((const uint8_t *)children[0].data)[i] >= v->type->child_count) {
            return bad(r, "a UNION value that is of none of its members");
        }
    }
    for (size_t i = 0; i < v->type->child_count; i++) {
        TRY(read_vector(r, rows, &children[1 + i]));
    }
    return ERR_OK;
}

static enum err_code read_vector(struct reader *r, uint64_t rows, struct vec *v) {
    TRY(read_nulls(r, rows, v));
    if (is_bytes(v->type->kind)) {
        return read_bytes(r, rows, v);
    }
    switch (v->type->kind) {
    case VEC_LIST:
    case VEC_MAP:
        return read_lists(r, rows, v);
    case VEC_ARRAY:
    case VEC_STRUCT:
        return read_structs(r, rows, v);
    case VEC_UNION:
        return read_unions(r, rows, v);
    case VEC_NULLTYPE:
        return ERR_OK;
    default:
        return read_cells(r, rows, v);
    }
}

enum err_code wire_read_chunk(struct str bytes, const struct wire_column *columns, size_t count,
                              struct arena *a, struct vec_chunk *ret, struct err *err) {
    struct reader r = {bytes.ptr, bytes.ptr + bytes.len, bytes.len, a, err};
    uint32_t said = 0;
    uint32_t rows = 0;
    TRY(read_u32(&r, &said));
    TRY(read_u32(&r, &rows));
    if (said != count || rows > WIRE_ROWS_MAX || count > bytes.len) {
        return bad(&r, "a chunk of other columns, or of too many rows");
    }
    struct vec *vecs = arena_array(a, count, sizeof(*vecs));
    for (size_t i = 0; i < count; i++) {
        vecs[i].type = &columns[i].type;
        TRY(read_vector(&r, rows, &vecs[i]));
    }
    if (r.at != r.end) {
        return bad(&r, "there is more than its rows");
    }
    *ret = (struct vec_chunk){.rows = rows, .column_count = count, .columns = vecs};
    return ERR_OK;
}
