// Arrow IPC streams: a schema message, a record batch per chunk, an end-of-stream marker.
//
//   message  FF FF FF FF, i32 bytes of the metadata, metadata (FlatBuffers, padded to 8), body
//   body     the buffers that the metadata lists, each padded to 8 bytes
//   end      FF FF FF FF 00 00 00 00
//
// A column gives, depth first, one field node (rows, NULLs) per array and its buffers: validity
// bits (none when nothing is NULL), offsets for what has a variable length, data. What stands
// in the place of a NULL is zero: the engine's memory may hold what nobody should see there.
//
// The metadata of all record batches of one schema have the same length. So room is left for it,
// the buffers are written straight behind, and the metadata goes in last.
#include "encode/encode_arrow_int.h"

#define ROW_NONE UINT64_MAX // a row that is NULL because what holds it is

// Which rows of a vector make an array: a run, or a list of them.
struct span {
    const uint64_t *rows; // NULL: first, first + 1, ...
    uint64_t first;
    size_t count;
};

struct writer {
    struct buf *out;
    size_t body; // where it starts in out
    struct arena *scratch;
    int64_t *nodes;   // pairs: length, null count
    int64_t *buffers; // pairs: offset, length
    size_t node_count, buffer_count;
};

static inline uint64_t row_at(const struct span *s, size_t i) {
    return s->rows ? s->rows[i] : s->first + i;
}

static inline bool null_at(const struct vec *v, uint64_t row) {
    return row == ROW_NONE || vec_is_null(v, row);
}

// A new buffer of len zero bytes at the end of the body; NULL on overflow.
static char *add_buffer(struct writer *w, size_t len) {
    const size_t padded = (len + 7) & ~(size_t)7;
    int64_t *entry = &w->buffers[2 * w->buffer_count++];
    entry[0] = (int64_t)(w->out->len - w->body);
    entry[1] = (int64_t)len;
    char *at = buf_reserve(w->out, padded);
    if (at) {
        memset(at, 0, padded + 1);
        w->out->len += padded;
    }
    return at;
}

// The node of an array and its validity bits. Returns how many rows are NULL.
static size_t add_node(struct writer *w, const struct vec *v, const struct span *s) {
    int64_t *node = &w->nodes[2 * w->node_count++];
    node[0] = (int64_t)s->count;
    node[1] = 0;
    size_t nulls = 0;
    if (v->validity || s->rows) {
        for (size_t i = 0; i < s->count; i++) {
            nulls += null_at(v, row_at(s, i)) ? 1U : 0U;
        }
    }
    char *bits = add_buffer(w, nulls > 0 ? (s->count + 7) / 8 : 0);
    for (size_t i = 0; bits && nulls > 0 && i < s->count; i++) {
        const unsigned valid = null_at(v, row_at(s, i)) ? 0 : 1;
        bits[i / 8] = (char)(bits[i / 8] | (char)(valid << i % 8));
    }
    node[1] = (int64_t)nulls;
    return nulls;
}

// Cells that are the same in both worlds.
static void add_cells(struct writer *w, const struct vec *v, const struct span *s, size_t size) {
    const size_t nulls = add_node(w, v, s);
    const char *data = v->data;
    char *at = add_buffer(w, s->count * size);
    if (!at || s->count == 0) {
        return;
    }
    if (!s->rows) {
        memcpy(at, data + s->first * size, s->count * size);
    }
    for (size_t i = 0; (s->rows || nulls > 0) && i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        if (null_at(v, row)) {
            memset(at + i * size, 0, size);
        } else {
            memcpy(at + i * size, data + row * size, size);
        }
    }
}

static void add_bools(struct writer *w, const struct vec *v, const struct span *s) {
    (void)add_node(w, v, s);
    char *at = add_buffer(w, (s->count + 7) / 8);
    for (size_t i = 0; at && i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        const unsigned set = !null_at(v, row) && ((const uint8_t *)v->data)[row] ? 1 : 0;
        at[i / 8] = (char)(at[i / 8] | (char)(set << i % 8));
    }
}

static enum err_code check_38(const struct vec *v, __int128 n, struct err *err) {
    const __int128 ten_19 = UINT64_C(10000000000000000000);
    const __int128 limit = ten_19 * ten_19; // 10^38
    const bool unsigned_big = v->type->kind == VEC_UHUGEINT && n < 0;
    if (unsigned_big || n >= limit || n <= -limit) {
        return err_set(err, ERR_SQL,
                       "a " STR_FMT " has more than the 38 digits of an Arrow decimal: cast it to"
                       " VARCHAR",
                       STR_ARG(v->type->text));
    }
    return ERR_OK;
}

// DECIMAL, HUGEINT and UHUGEINT become 128 bits.
static enum err_code add_decimals(struct writer *w, const struct vec *v, const struct span *s,
                                  struct err *err) {
    (void)add_node(w, v, s);
    char *at = add_buffer(w, s->count * 16);
    for (size_t i = 0; at && i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        if (null_at(v, row)) {
            continue;
        }
        const bool decimal = v->type->kind == VEC_DECIMAL;
        const __int128 n = decimal ? vec_decimal(v, row) : vec_hugeint(v, row);
        if (!decimal) {
            TRY(check_38(v, n, err));
        }
        memcpy(at + i * 16, &n, 16);
    }
    return ERR_OK;
}

static enum err_code add_intervals(struct writer *w, const struct vec *v, const struct span *s,
                                   struct err *err) {
    (void)add_node(w, v, s);
    char *at = add_buffer(w, s->count * 16);
    for (size_t i = 0; at && i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        if (null_at(v, row)) {
            continue;
        }
        const struct vec_interval *cell = (const struct vec_interval *)v->data + row;
        int64_t ns = 0;
        if (__builtin_mul_overflow(cell->micros, INT64_C(1000), &ns)) {
            return err_set(err, ERR_SQL,
                           "an INTERVAL is too long for Arrow's nanoseconds: cast it to VARCHAR");
        }
        memcpy(at + i * 16, cell, 8); // months, days
        memcpy(at + i * 16 + 8, &ns, 8);
    }
    return ERR_OK;
}

static void add_uuids(struct writer *w, const struct vec *v, const struct span *s) {
    (void)add_node(w, v, s);
    char *at = add_buffer(w, s->count * 16);
    for (size_t i = 0; at && i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        if (!null_at(v, row)) {
            uint8_t bytes[16];
            vec_uuid_bytes((const struct vec_i128 *)v->data + row, bytes);
            memcpy(at + i * 16, bytes, 16);
        }
    }
}

static enum err_code too_long(struct err *err) {
    return err_set(err, ERR_TOO_LARGE, "2048 rows of a column have more than 2 GiB");
}

static inline struct str string_at(const struct vec *v, uint64_t row) {
    if (null_at(v, row)) {
        return STR_NONE;
    }
    return v->type->kind == VEC_ENUM ? vec_symbol(v, row) : vec_str(v, row);
}

static enum err_code add_strings(struct writer *w, const struct vec *v, const struct span *s,
                                 struct err *err) {
    (void)add_node(w, v, s);
    char *offsets = add_buffer(w, (s->count + 1) * 4);
    int64_t total = 0;
    for (size_t i = 0; offsets && i < s->count; i++) {
        total += (int64_t)string_at(v, row_at(s, i)).len;
        if (total > INT32_MAX) {
            return too_long(err);
        }
        const int32_t end = (int32_t)total;
        memcpy(offsets + 4 * (i + 1), &end, 4);
    }
    char *at = add_buffer(w, (size_t)total);
    for (size_t i = 0; at && i < s->count; i++) {
        const struct str text = string_at(v, row_at(s, i));
        if (text.len > 0) {
            memcpy(at, text.ptr, text.len);
            at += text.len;
        }
    }
    return ERR_OK;
}

// TIMETZ and BIT have no type in Arrow: their text.
static enum err_code add_texts(struct writer *w, const struct vec *v, const struct span *s,
                               struct err *err) {
    (void)add_node(w, v, s);
    DEFER(buf_release) struct buf text = BUF(INT32_MAX);
    const size_t offsets = w->out->len;
    (void)add_buffer(w, (s->count + 1) * 4);
    for (size_t i = 0; !w->out->overflow && i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        if (!null_at(v, row)) {
            encode_text(v, row, &text);
        }
        const uint32_t end = (uint32_t)text.len;
        memcpy(w->out->ptr + offsets + 4 * (i + 1), &end, 4);
    }
    if (text.overflow) {
        return too_long(err);
    }
    char *at = add_buffer(w, text.len);
    if (at && text.len > 0) {
        memcpy(at, text.ptr, text.len);
    }
    return ERR_OK;
}

static enum err_code add_array(struct writer *w, const struct vec *v, const struct span *s,
                               struct err *err);

static struct vec_list list_at(const struct vec *v, uint64_t row) {
    const struct vec_list none = {0};
    return null_at(v, row) ? none : ((const struct vec_list *)v->data)[row];
}

// LIST and MAP: the child rows of all lists one after the other.
static enum err_code add_lists(struct writer *w, const struct vec *v, const struct span *s,
                               struct err *err) {
    struct span items = {0};
    bool run = true; // whether the child rows lie in that order already
    (void)add_node(w, v, s);
    char *offsets = add_buffer(w, (s->count + 1) * 4);
    for (size_t i = 0; i < s->count; i++) {
        const struct vec_list list = list_at(v, row_at(s, i));
        if (list.length > 0) {
            items.first = items.count == 0 ? list.offset : items.first;
            run = run && list.offset == items.first + items.count;
        }
        items.count += list.length;
        if (items.count > INT32_MAX) {
            return too_long(err);
        }
        const int32_t end = (int32_t)items.count;
        if (offsets) {
            memcpy(offsets + 4 * (i + 1), &end, 4);
        }
    }
    if (!run) {
        uint64_t *rows = arena_array(w->scratch, items.count, sizeof(*rows));
        size_t count = 0;
        for (size_t i = 0; i < s->count; i++) {
            const struct vec_list list = list_at(v, row_at(s, i));
            for (uint64_t k = 0; k < list.length; k++) {
                rows[count++] = list.offset + k;
            }
        }
        items.rows = rows;
    }
    return add_array(w, &v->children[0], &items, err);
}

// The rows of a child with `size` rows per row; NULLs are handed down.
static struct span child_span(struct writer *w, const struct vec *v, const struct span *s,
                              size_t size, size_t nulls) {
    if (!s->rows && nulls == 0) {
        return (struct span){.first = s->first * size, .count = s->count * size};
    }
    uint64_t *rows = arena_array(w->scratch, s->count * size, sizeof(*rows));
    for (size_t i = 0; i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        for (size_t k = 0; k < size; k++) {
            rows[i * size + k] = null_at(v, row) ? ROW_NONE : row * size + k;
        }
    }
    return (struct span){.rows = rows, .count = s->count * size};
}

static enum err_code add_structs(struct writer *w, const struct vec *v, const struct span *s,
                                 struct err *err) {
    const size_t nulls = add_node(w, v, s);
    const size_t size = v->type->kind == VEC_ARRAY ? v->type->array_size : 1;
    const struct span rows = child_span(w, v, s, size, nulls);
    for (size_t i = 0; i < v->type->child_count; i++) {
        TRY(add_array(w, &v->children[i], &rows, err));
    }
    return ERR_OK;
}

// A sparse union: the tags, then all members in full length, NULL where another one counts. A NULL
// is a NULL of member 0; there are no validity bits.
static enum err_code add_unions(struct writer *w, const struct vec *v, const struct span *s,
                                struct err *err) {
    const uint8_t *tags = v->children[0].data;
    if (v->type->child_count > 127) {
        return err_set(err, ERR_SQL, "an Arrow union has at most 127 members: cast to VARCHAR");
    }
    int64_t *node = &w->nodes[2 * w->node_count++];
    node[0] = (int64_t)s->count;
    node[1] = 0;
    char *at = add_buffer(w, s->count);
    for (size_t i = 0; at && i < s->count; i++) {
        const uint64_t row = row_at(s, i);
        at[i] = null_at(v, row) ? 0 : (char)tags[row];
    }
    for (size_t m = 0; m < v->type->child_count; m++) {
        uint64_t *rows = arena_array(w->scratch, s->count, sizeof(*rows));
        for (size_t i = 0; i < s->count; i++) {
            const uint64_t row = row_at(s, i);
            rows[i] = null_at(v, row) || tags[row] != m ? ROW_NONE : row;
        }
        const struct span member = {.rows = rows, .count = s->count};
        TRY(add_array(w, &v->children[1 + m], &member, err));
    }
    return ERR_OK;
}

// Bytes of the kinds whose cells are copied; 0 for the others.
static size_t cell_size(enum vec_kind kind) {
    switch (kind) {
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
    case VEC_INT64:
    case VEC_UINT64:
    case VEC_DOUBLE:
    case VEC_TIME:
    case VEC_TIMESTAMP:
    case VEC_TIMESTAMP_S:
    case VEC_TIMESTAMP_MS:
    case VEC_TIMESTAMP_NS:
    case VEC_TIMESTAMPTZ:
        return 8;
    default:
        return 0;
    }
}

static enum err_code add_array(struct writer *w, const struct vec *v, const struct span *s,
                               struct err *err) {
    const size_t size = cell_size(v->type->kind);
    if (size > 0) {
        add_cells(w, v, s, size);
        return ERR_OK;
    }
    switch (v->type->kind) {
    case VEC_BOOL:
        add_bools(w, v, s);
        return ERR_OK;
    case VEC_HUGEINT:
    case VEC_UHUGEINT:
    case VEC_DECIMAL:
        return add_decimals(w, v, s, err);
    case VEC_INTERVAL:
        return add_intervals(w, v, s, err);
    case VEC_UUID:
        add_uuids(w, v, s);
        return ERR_OK;
    case VEC_VARCHAR:
    case VEC_JSON:
    case VEC_BLOB:
    case VEC_ENUM:
        return add_strings(w, v, s, err);
    case VEC_LIST:
    case VEC_MAP:
        return add_lists(w, v, s, err);
    case VEC_ARRAY:
    case VEC_STRUCT:
        return add_structs(w, v, s, err);
    case VEC_UNION:
        return add_unions(w, v, s, err);
    case VEC_NULLTYPE:
        w->nodes[2 * w->node_count] = (int64_t)s->count;
        w->nodes[2 * w->node_count++ + 1] = (int64_t)s->count;
        return ERR_OK;
    default: // TIMETZ, BIT
        return add_texts(w, v, s, err);
    }
}

static enum err_code add_batch(struct encoder *e, struct writer *w, const struct encode_rows *rows,
                               struct err *err) {
    const struct arrow_state *state = e->state;
    const struct span all = {.first = rows->first, .count = rows->count};
    w->nodes = arena_array(w->scratch, 2 * state->node_count, sizeof(*w->nodes));
    w->buffers = arena_array(w->scratch, 2 * state->buffer_count, sizeof(*w->buffers));
    for (size_t i = 0; i < e->column_count; i++) {
        TRY(add_array(w, &rows->chunk->columns[i], &all, err));
    }
    CHECK(w->node_count == state->node_count && w->buffer_count == state->buffer_count);
    return ERR_OK;
}

static enum err_code arrow_rows(struct encoder *e, const struct encode_rows *rows, struct buf *out,
                                struct err *err) {
    struct arrow_state *state = e->state;
    arena_reset(&e->scratch);
    struct writer w = {.out = out, .scratch = &e->scratch};
    const size_t head = out->len;
    if (!buf_reserve(out, state->batch_bytes)) {
        return ERR_OK;
    }
    out->len += state->batch_bytes;
    w.body = out->len;
    const enum err_code code = add_batch(e, &w, rows, err);
    if (code != ERR_OK || out->overflow) {
        out->len = head;
        return code;
    }
    const struct arrow_batch batch = {.rows = rows->count,
                                      .nodes = w.nodes,
                                      .buffers = w.buffers,
                                      .body_bytes = out->len - w.body};
    const struct str metadata = arrow_batch_message(state, &batch);
    CHECK(metadata.len == state->batch_bytes);
    memcpy(out->ptr + head, metadata.ptr, metadata.len);
    return ERR_OK;
}

static void arrow_head(struct encoder *e, struct buf *out) {
    arrow_schema_message(e, out);
}

static void arrow_tail(struct encoder *e, struct buf *out) {
    (void)e;
    buf_add(out, "\xFF\xFF\xFF\xFF\0\0\0\0", 8);
}

const struct encode_ops encode_arrow_ops = {arrow_open, arrow_head, arrow_rows, arrow_tail};
