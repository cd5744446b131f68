// Arrow IPC messages: the schema and the heads of record batches (Message.fbs, Schema.fbs).
#include "encode/encode_arrow_int.h"

enum { VERSION_V5 = 4 };
enum { HEADER_SCHEMA = 1, HEADER_BATCH = 3 };
enum { UNIT_SECOND, UNIT_MILLI, UNIT_MICRO, UNIT_NANO };

// The union Type of Schema.fbs.
enum arrow_type {
    ARROW_NULL = 1,
    ARROW_INT = 2,
    ARROW_FLOAT = 3,
    ARROW_BINARY = 4,
    ARROW_UTF8 = 5,
    ARROW_BOOL = 6,
    ARROW_DECIMAL = 7,
    ARROW_DATE = 8,
    ARROW_TIME = 9,
    ARROW_TIMESTAMP = 10,
    ARROW_INTERVAL = 11,
    ARROW_LIST = 12,
    ARROW_STRUCT = 13,
    ARROW_UNION = 14,
    ARROW_FIXED_BINARY = 15,
    ARROW_FIXED_LIST = 16,
    ARROW_MAP = 17,
};

// How many fields of the type table have a value, and which.
struct type_row {
    enum arrow_type type;
    int8_t buffers; // per array
    int32_t a, b;   // what the type table says; see add_type
};

static const struct type_row types[] = {
    [VEC_BOOL] = {ARROW_BOOL, 2, 0, 0},
    [VEC_INT8] = {ARROW_INT, 2, 8, 1},
    [VEC_INT16] = {ARROW_INT, 2, 16, 1},
    [VEC_INT32] = {ARROW_INT, 2, 32, 1},
    [VEC_INT64] = {ARROW_INT, 2, 64, 1},
    [VEC_UINT8] = {ARROW_INT, 2, 8, 0},
    [VEC_UINT16] = {ARROW_INT, 2, 16, 0},
    [VEC_UINT32] = {ARROW_INT, 2, 32, 0},
    [VEC_UINT64] = {ARROW_INT, 2, 64, 0},
    [VEC_HUGEINT] = {ARROW_DECIMAL, 2, 38, 0},
    [VEC_UHUGEINT] = {ARROW_DECIMAL, 2, 38, 0},
    [VEC_FLOAT] = {ARROW_FLOAT, 2, 1, 0},
    [VEC_DOUBLE] = {ARROW_FLOAT, 2, 2, 0},
    [VEC_DECIMAL] = {ARROW_DECIMAL, 2, 0, 0},
    [VEC_DATE] = {ARROW_DATE, 2, 0, 0},
    [VEC_TIME] = {ARROW_TIME, 2, UNIT_MICRO, 64},
    [VEC_TIMETZ] = {ARROW_UTF8, 3, 0, 0},
    [VEC_TIMESTAMP] = {ARROW_TIMESTAMP, 2, UNIT_MICRO, 0},
    [VEC_TIMESTAMP_S] = {ARROW_TIMESTAMP, 2, UNIT_SECOND, 0},
    [VEC_TIMESTAMP_MS] = {ARROW_TIMESTAMP, 2, UNIT_MILLI, 0},
    [VEC_TIMESTAMP_NS] = {ARROW_TIMESTAMP, 2, UNIT_NANO, 0},
    [VEC_TIMESTAMPTZ] = {ARROW_TIMESTAMP, 2, UNIT_MICRO, 1},
    [VEC_INTERVAL] = {ARROW_INTERVAL, 2, 2, 0},
    [VEC_VARCHAR] = {ARROW_UTF8, 3, 0, 0},
    [VEC_JSON] = {ARROW_UTF8, 3, 0, 0},
    [VEC_BLOB] = {ARROW_BINARY, 3, 0, 0},
    [VEC_BIT] = {ARROW_UTF8, 3, 0, 0},
    [VEC_UUID] = {ARROW_FIXED_BINARY, 2, 16, 0},
    [VEC_ENUM] = {ARROW_UTF8, 3, 0, 0},
    [VEC_LIST] = {ARROW_LIST, 2, 0, 0},
    [VEC_ARRAY] = {ARROW_FIXED_LIST, 1, 0, 0},
    [VEC_STRUCT] = {ARROW_STRUCT, 1, 0, 0},
    [VEC_MAP] = {ARROW_MAP, 2, 0, 0},
    [VEC_UNION] = {ARROW_UNION, 1, 0, 0},
    [VEC_NULLTYPE] = {ARROW_NULL, 0, 0, 0},
    [VEC_OTHER] = {ARROW_UTF8, 3, 0, 0},
};

// The tags of a union: 0, 1, 2 ...; some readers need them said.
// The engine allows 256 members.
static flatbuf_ref add_tags(struct flatbuf *f, size_t count) {
    int32_t tags[256];
    CHECK(count <= ARRAY_LEN(tags));
    for (size_t i = 0; i < count; i++) {
        tags[i] = (int32_t)i;
    }
    return flatbuf_vector(f, tags, count, sizeof(tags[0]), 4);
}

// The table of the type itself.
static flatbuf_ref add_type(struct flatbuf *f, const struct vec_type *t) {
    const struct type_row *row = &types[t->kind];
    const flatbuf_ref zone = t->kind == VEC_TIMESTAMPTZ ? flatbuf_str(f, STR("UTC")) : 0;
    const flatbuf_ref tags = t->kind == VEC_UNION ? add_tags(f, t->child_count) : 0;
    flatbuf_table(f);
    switch (row->type) {
    case ARROW_INT:
        flatbuf_i32(f, 0, row->a);
        flatbuf_u8(f, 1, (uint8_t)row->b);
        break;
    case ARROW_DECIMAL:
        flatbuf_i32(f, 0, t->kind == VEC_DECIMAL ? t->width : row->a);
        flatbuf_i32(f, 1, t->scale);
        flatbuf_i32(f, 2, 128);
        break;
    case ARROW_TIME:
        flatbuf_i32(f, 1, row->b);
        flatbuf_i16(f, 0, (int16_t)row->a);
        break;
    case ARROW_TIMESTAMP:
        flatbuf_link(f, 1, zone);
        flatbuf_i16(f, 0, (int16_t)row->a);
        break;
    case ARROW_FLOAT:
    case ARROW_DATE:
    case ARROW_INTERVAL:
        flatbuf_i16(f, 0, (int16_t)row->a);
        break;
    case ARROW_UNION:
        flatbuf_link(f, 1, tags);
        flatbuf_i16(f, 0, 0); // sparse
        break;
    case ARROW_FIXED_BINARY:
        flatbuf_i32(f, 0, row->a);
        break;
    case ARROW_FIXED_LIST:
        flatbuf_i32(f, 0, (int32_t)t->array_size);
        break;
    default:
        break;
    }
    return flatbuf_table_end(f);
}

// Says that the 16 bytes are a UUID, to readers that know the extension.
static flatbuf_ref add_uuid_metadata(struct flatbuf *f) {
    static const char *const pairs[][2] = {{"ARROW:extension:name", "arrow.uuid"},
                                           {"ARROW:extension:metadata", ""}};
    flatbuf_ref refs[ARRAY_LEN(pairs)];
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const flatbuf_ref key = flatbuf_str(f, str_from(pairs[i][0]));
        const flatbuf_ref value = flatbuf_str(f, str_from(pairs[i][1]));
        flatbuf_table(f);
        flatbuf_link(f, 0, key);
        flatbuf_link(f, 1, value);
        refs[i] = flatbuf_table_end(f);
    }
    return flatbuf_refs(f, refs, ARRAY_LEN(refs));
}

static struct str child_name(const struct vec_type *t, size_t i) {
    if (t->kind == VEC_MAP) {
        return STR("entries");
    }
    return t->names ? t->names[i] : STR("item");
}

static flatbuf_ref add_field(struct arrow_state *s, const struct vec_type *t, struct str name,
                             bool nullable) {
    struct flatbuf *f = &s->flatbuf;
    flatbuf_ref *children = arena_array(&s->encoder->scratch, t->child_count, sizeof(*children));
    s->node_count++;
    s->buffer_count += (size_t)types[t->kind].buffers;
    for (size_t i = 0; i < t->child_count; i++) {
        // Only the pairs of a map are never NULL, and so are their keys.
        const bool child_nullable = t->kind != VEC_MAP && (nullable || i > 0);
        children[i] = add_field(s, &t->children[i], child_name(t, i), child_nullable);
    }
    const flatbuf_ref child_refs = flatbuf_refs(f, children, t->child_count);
    const flatbuf_ref metadata = t->kind == VEC_UUID ? add_uuid_metadata(f) : 0;
    const flatbuf_ref type = add_type(f, t);
    const flatbuf_ref name_ref = flatbuf_str(f, name);
    flatbuf_table(f);
    flatbuf_link(f, 0, name_ref);
    flatbuf_link(f, 3, type);
    flatbuf_link(f, 5, child_refs);
    flatbuf_link(f, 6, metadata);
    flatbuf_u8(f, 1, nullable ? 1 : 0);
    flatbuf_u8(f, 2, (uint8_t)types[t->kind].type);
    return flatbuf_table_end(f);
}

// The Message table around a header, and the bytes around that.
static struct str wrap(struct arrow_state *s, uint8_t type, flatbuf_ref header, size_t body_bytes) {
    struct flatbuf *f = &s->flatbuf;
    flatbuf_table(f);
    flatbuf_i64(f, 3, (int64_t)body_bytes);
    flatbuf_link(f, 2, header);
    flatbuf_i16(f, 0, VERSION_V5);
    flatbuf_u8(f, 1, type);
    const struct str metadata = flatbuf_finish(f, flatbuf_table_end(f));
    const uint32_t padded = (uint32_t)((metadata.len + 7) & ~(size_t)7);
    buf_reset(&s->message);
    buf_add(&s->message, "\xFF\xFF\xFF\xFF", 4);
    buf_add(&s->message, &padded, 4);
    buf_add_str(&s->message, metadata);
    buf_add(&s->message, "\0\0\0\0\0\0\0", padded - metadata.len);
    return buf_str(&s->message);
}

void arrow_schema_message(struct encoder *e, struct buf *out) {
    struct arrow_state *s = e->state;
    flatbuf_ref *fields = arena_array(&e->scratch, e->column_count, sizeof(*fields));
    flatbuf_reset(&s->flatbuf);
    s->node_count = 0;
    s->buffer_count = 0;
    for (size_t i = 0; i < e->column_count; i++) {
        fields[i] = add_field(s, e->columns[i].type, e->columns[i].name, true);
    }
    const flatbuf_ref refs = flatbuf_refs(&s->flatbuf, fields, e->column_count);
    flatbuf_table(&s->flatbuf);
    flatbuf_link(&s->flatbuf, 1, refs);
    flatbuf_i16(&s->flatbuf, 0, 0); // little-endian
    const flatbuf_ref schema = flatbuf_table_end(&s->flatbuf);
    buf_add_str(out, wrap(s, HEADER_SCHEMA, schema, 0));
    arena_reset(&e->scratch);
}

struct str arrow_batch_message(struct arrow_state *s, const struct arrow_batch *batch) {
    struct flatbuf *f = &s->flatbuf;
    flatbuf_reset(f);
    const flatbuf_ref buffers = flatbuf_vector(f, batch->buffers, s->buffer_count, 16, 8);
    const flatbuf_ref nodes = flatbuf_vector(f, batch->nodes, s->node_count, 16, 8);
    flatbuf_table(f);
    flatbuf_i64(f, 0, (int64_t)batch->rows);
    flatbuf_link(f, 1, nodes);
    flatbuf_link(f, 2, buffers);
    return wrap(s, HEADER_BATCH, flatbuf_table_end(f), batch->body_bytes);
}

static void state_release(void *arg) {
    struct arrow_state *s = arg;
    flatbuf_release(&s->flatbuf);
    buf_release(&s->message);
}

void arrow_open(struct encoder *e) {
    struct arrow_state *s = arena_alloc(&e->arena, sizeof(*s));
    s->encoder = e;
    s->flatbuf = FLATBUF;
    s->message = BUF(SIZE_MAX / 2);
    arena_defer(&e->arena, state_release, s);
    e->state = s;
    // Made once for the numbers that it leaves, before anybody asks for the bytes.
    DEFER(buf_release) struct buf unused = BUF(SIZE_MAX / 2);
    arrow_schema_message(e, &unused);
    int64_t *zeros = arena_array(&e->scratch, 2 * (s->node_count + s->buffer_count), 8);
    const struct arrow_batch empty = {.nodes = zeros, .buffers = zeros};
    s->batch_bytes = arrow_batch_message(s, &empty).len;
    arena_reset(&e->scratch);
}
