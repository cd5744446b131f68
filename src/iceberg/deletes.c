// Position delete files as Parquet.
//
//   "PAR1"
//   column file_path: a dictionary page with the one path, then data pages (all indexes are 0)
//   column pos:       data pages of PLAIN int64, ascending
//   footer: FileMetaData in Thrift's compact protocol, its length (4 bytes LE), "PAR1"
//
// Both columns are REQUIRED, so that there are no levels. A page holds up to 65536 rows and is
// packed with zstd. One row group. Thrift compact: a field is a byte of (id delta << 4 | type),
// integers are zigzag varints, a list is a byte of (count << 4 | element type), a struct ends with
// 0.

#include "iceberg/deletes.h"

#include <zstd.h>

#define PAGE_ROWS 65536
#define FILE_MAX (1ULL << 30)
#define ZSTD_LEVEL 3

enum { T_I32 = 5, T_I64 = 6, T_BINARY = 8, T_LIST = 9, T_STRUCT = 12 };
enum { TYPE_INT64 = 2, TYPE_BYTE_ARRAY = 6 };
enum { PLAIN = 0, RLE = 3, RLE_DICTIONARY = 8 };
enum { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };
enum { CODEC_ZSTD = 6 };

static void put_varint(struct buf *out, uint64_t v) {
    while (v >= 0x80) {
        buf_add_char(out, (char)(v | 0x80));
        v >>= 7;
    }
    buf_add_char(out, (char)v);
}

static void put_zigzag(struct buf *out, int64_t v) {
    put_varint(out, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

// A Thrift struct under construction.
struct thrift {
    struct buf *out;
    int last; // field id
};

static void field(struct thrift *t, int id, int type) {
    buf_add_char(t->out, (char)((unsigned)(id - t->last) << 4 | (unsigned)type));
    t->last = id;
}

static void field_int(struct thrift *t, int id, int type, int64_t v) {
    field(t, id, type);
    put_zigzag(t->out, v);
}

static void put_binary(struct buf *out, struct str s) {
    put_varint(out, s.len);
    buf_add_str(out, s);
}

static void field_binary(struct thrift *t, int id, struct str s) {
    field(t, id, T_BINARY);
    put_binary(t->out, s);
}

static void field_list(struct thrift *t, int id, size_t count, int type) {
    CHECK(count < 15);
    field(t, id, T_LIST);
    buf_add_char(t->out, (char)((unsigned)count << 4 | (unsigned)type));
}

static struct thrift begin(struct buf *out) {
    return (struct thrift){.out = out};
}

static void end(struct thrift *t) {
    buf_add_char(t->out, 0);
}

static void put_le64(struct buf *out, int64_t v) {
    char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (char)((uint64_t)v >> (8 * i));
    }
    buf_add(out, bytes, sizeof(bytes));
}

// A column chunk while its pages are written.
struct column {
    int64_t dictionary_at, data_at;    // offsets in the file
    int64_t plain_bytes, packed_bytes; // pages with their heads
};

struct page {
    int type, encoding;
    int64_t values;
    struct str data;
};

static enum err_code put_page(struct buf *out, struct column *c, const struct page *p,
                              struct err *err) {
    DEFER(buf_release) struct buf packed = BUF(FILE_MAX);
    const size_t before = out->len;
    char *to = buf_reserve(&packed, ZSTD_compressBound(p->data.len));
    if (to == NULL) {
        return err_set(err, ERR_TOO_LARGE, "a delete file has too many rows");
    }
    packed.len =
        ZSTD_compress(to, ZSTD_compressBound(p->data.len), p->data.ptr, p->data.len, ZSTD_LEVEL);
    if (ZSTD_isError(packed.len)) {
        packed.len = 0;
        return err_set(err, ERR_INTERNAL, "zstd cannot pack a delete file");
    }
    struct thrift head = begin(out);
    field_int(&head, 1, T_I32, p->type);
    field_int(&head, 2, T_I32, (int64_t)p->data.len);
    field_int(&head, 3, T_I32, (int64_t)packed.len);
    field(&head, p->type == PAGE_DATA ? 5 : 7, T_STRUCT);
    struct thrift kind = begin(out);
    field_int(&kind, 1, T_I32, p->values);
    field_int(&kind, 2, T_I32, p->encoding);
    if (p->type == PAGE_DATA) {
        field_int(&kind, 3, T_I32, RLE);
        field_int(&kind, 4, T_I32, RLE);
    }
    end(&kind);
    end(&head);
    c->plain_bytes += (int64_t)(out->len - before + p->data.len);
    c->packed_bytes += (int64_t)(out->len - before + packed.len);
    buf_add_str(out, buf_str(&packed));
    return ERR_OK;
}

static enum err_code put_paths(struct buf *out, struct str path, int64_t count, struct column *c,
                               struct err *err) {
    DEFER(buf_release) struct buf data = BUF(FILE_MAX);
    for (int i = 0; i < 4; i++) {
        buf_add_char(&data, (char)(path.len >> (8 * i)));
    }
    buf_add_str(&data, path);
    c->dictionary_at = (int64_t)out->len;
    const struct page dictionary = {PAGE_DICTIONARY, PLAIN, 1, buf_str(&data)};
    TRY(put_page(out, c, &dictionary, err));
    c->data_at = (int64_t)out->len;
    for (int64_t done = 0; done < count; done += PAGE_ROWS) {
        const int64_t rows = MIN(count - done, PAGE_ROWS);
        buf_reset(&data);
        buf_add_char(&data, 1);                 // bit width
        put_varint(&data, (uint64_t)rows << 1); // a run
        buf_add_char(&data, 0);                 // of index 0
        const struct page page = {PAGE_DATA, RLE_DICTIONARY, rows, buf_str(&data)};
        TRY(put_page(out, c, &page, err));
    }
    return ERR_OK;
}

static enum err_code put_positions(struct buf *out, const uint64_t *bits, int64_t rows,
                                   struct column *c, struct err *err) {
    DEFER(buf_release) struct buf data = BUF(FILE_MAX);
    c->data_at = (int64_t)out->len;
    for (int64_t word = 0; word < (rows + 63) / 64; word++) {
        for (uint64_t rest = bits[word]; rest != 0; rest &= rest - 1) {
            put_le64(&data, word * 64 + __builtin_ctzll(rest));
        }
        const bool last = word + 1 == (rows + 63) / 64;
        if (data.len > 0 && (last || data.len / 8 >= PAGE_ROWS - 64)) {
            const struct page page = {PAGE_DATA, PLAIN, (int64_t)(data.len / 8), buf_str(&data)};
            TRY(put_page(out, c, &page, err));
            buf_reset(&data);
        }
    }
    return ERR_OK;
}

static void put_element(struct buf *out, int type, const char *name, int32_t id) {
    struct thrift t = begin(out);
    field_int(&t, 1, T_I32, type);
    field_int(&t, 3, T_I32, 0); // REQUIRED
    field_binary(&t, 4, str_from(name));
    if (type == TYPE_BYTE_ARRAY) {
        field_int(&t, 6, T_I32, 0); // UTF8
    }
    field_int(&t, 9, T_I32, id);
    if (type == TYPE_BYTE_ARRAY) {
        field(&t, 10, T_STRUCT); // LogicalType: STRING
        struct thrift logical = begin(out);
        field(&logical, 1, T_STRUCT);
        buf_add_char(out, 0);
        end(&logical);
    }
    end(&t);
}

// What the footer says of a column.
struct described {
    const char *name;
    int type, encoding;
    struct str min, max;
    const struct column *column;
};

static void put_chunk(struct buf *out, const struct described *d, int64_t count) {
    const struct column *c = d->column;
    struct thrift chunk = begin(out);
    field_int(&chunk, 2, T_I64, c->dictionary_at > 0 ? c->dictionary_at : c->data_at);
    field(&chunk, 3, T_STRUCT);
    struct thrift meta = begin(out);
    field_int(&meta, 1, T_I32, d->type);
    field_list(&meta, 2, 2, T_I32);
    put_zigzag(out, d->encoding);
    put_zigzag(out, RLE);
    field_list(&meta, 3, 1, T_BINARY);
    put_binary(out, str_from(d->name));
    field_int(&meta, 4, T_I32, CODEC_ZSTD);
    field_int(&meta, 5, T_I64, count);
    field_int(&meta, 6, T_I64, c->plain_bytes);
    field_int(&meta, 7, T_I64, c->packed_bytes);
    field_int(&meta, 9, T_I64, c->data_at);
    if (c->dictionary_at > 0) {
        field_int(&meta, 11, T_I64, c->dictionary_at);
    }
    field(&meta, 12, T_STRUCT);
    struct thrift stats = begin(out);
    field_int(&stats, 3, T_I64, 0); // NULLs
    field_binary(&stats, 5, d->max);
    field_binary(&stats, 6, d->min);
    end(&stats);
    end(&meta);
    end(&chunk);
}

static void put_pair(struct buf *out, const char *key, const char *value) {
    struct thrift t = begin(out);
    field_binary(&t, 1, str_from(key));
    field_binary(&t, 2, str_from(value));
    end(&t);
}

static void put_footer(struct buf *out, const struct described *columns, int64_t count) {
    static const char schema[] =
        "{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
        "{\"id\":2147483546,\"name\":\"file_path\",\"required\":true,\"type\":\"string\"},"
        "{\"id\":2147483545,\"name\":\"pos\",\"required\":true,\"type\":\"long\"}]}";
    const size_t start = out->len;
    struct thrift t = begin(out);
    field_int(&t, 1, T_I32, 1);
    field_list(&t, 2, 3, T_STRUCT);
    struct thrift root = begin(out);
    field_binary(&root, 4, STR("table"));
    field_int(&root, 5, T_I32, 2);
    end(&root);
    put_element(out, columns[0].type, columns[0].name, ICE_DELETE_PATH_ID);
    put_element(out, columns[1].type, columns[1].name, ICE_DELETE_POS_ID);
    field_int(&t, 3, T_I64, count);
    field_list(&t, 4, 1, T_STRUCT);
    struct thrift group = begin(out);
    field_list(&group, 1, 2, T_STRUCT);
    put_chunk(out, &columns[0], count);
    put_chunk(out, &columns[1], count);
    field_int(&group, 2, T_I64, columns[0].column->plain_bytes + columns[1].column->plain_bytes);
    field_int(&group, 3, T_I64, count);
    end(&group);
    field_list(&t, 5, 2, T_STRUCT);
    put_pair(out, "delete-type", "position");
    put_pair(out, "iceberg.schema", schema);
    field_binary(&t, 6, STR("tarn"));
    end(&t);
    const size_t len = out->len - start;
    for (int i = 0; i < 4; i++) {
        buf_add_char(out, (char)(len >> (8 * i)));
    }
    buf_add_cstr(out, "PAR1");
}

// Count, first and last of the rows that are set.
struct extent {
    int64_t count, first, last;
};

static struct extent extent_of(const uint64_t *bits, int64_t rows) {
    struct extent e = {.first = -1, .last = -1};
    for (int64_t word = 0; word < (rows + 63) / 64; word++) {
        if (bits[word] != 0) {
            e.first = e.first < 0 ? word * 64 + __builtin_ctzll(bits[word]) : e.first;
            e.last = word * 64 + 63 - __builtin_clzll(bits[word]);
            e.count += __builtin_popcountll(bits[word]);
        }
    }
    return e;
}

static struct str le64(int64_t v, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(16);
    put_le64(&out, v);
    return arena_str(a, buf_str(&out));
}

static void describe_file(struct str data_path, const struct extent *e, struct arena *a,
                          struct ice_data_file *file) {
    struct ice_bound *lower = arena_array(a, 2, sizeof(*lower));
    struct ice_bound *upper = arena_array(a, 2, sizeof(*upper));
    lower[0] = upper[0] = (struct ice_bound){ICE_DELETE_PATH_ID, data_path};
    lower[1] = (struct ice_bound){ICE_DELETE_POS_ID, le64(e->first, a)};
    upper[1] = (struct ice_bound){ICE_DELETE_POS_ID, le64(e->last, a)};
    *file = (struct ice_data_file){.content = ICE_POSITION_DELETES,
                                   .format = STR("PARQUET"),
                                   .record_count = e->count,
                                   .lower = {lower, 2},
                                   .upper = {upper, 2},
                                   .referenced_data_file = data_path};
}

enum err_code ice_position_deletes_write(const struct ice_deleted *d, struct arena *a,
                                         struct str *ret, struct ice_data_file *file,
                                         struct err *err) {
    DEFER(buf_release) struct buf out = BUF(FILE_MAX);
    const struct extent e = extent_of(d->bits, d->rows);
    struct column path = {0};
    struct column pos = {0};
    CHECK(e.count > 0);
    buf_add_cstr(&out, "PAR1");
    TRY(put_paths(&out, d->data_path, e.count, &path, err));
    TRY(put_positions(&out, d->bits, d->rows, &pos, err));
    const struct described columns[] = {
        {"file_path", TYPE_BYTE_ARRAY, RLE_DICTIONARY, d->data_path, d->data_path, &path},
        {"pos", TYPE_INT64, PLAIN, le64(e.first, a), le64(e.last, a), &pos}};
    put_footer(&out, columns, e.count);
    if (out.overflow) {
        return err_set(err, ERR_TOO_LARGE, "a delete file has too many rows");
    }
    describe_file(d->data_path, &e, a, file);
    file->file_bytes = (int64_t)out.len;
    *ret = arena_str(a, buf_str(&out));
    return ERR_OK;
}
