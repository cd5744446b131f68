// Avro container files, reading: the header, the blocks, and values as the file's schema lays out.
//
// Nothing that a file says is believed before it is checked: a length must lie within the bytes
// that are left, a count may not be larger than them, nesting, unpacked bytes and the number of
// values have maxima.
#include "iceberg/avro_int.h"

#define SYNC_BYTES 16
#define META_MAX 1000

struct cursor {
    const uint8_t *ptr;
    size_t left;
};

struct avro_reader {
    struct arena *a;
    struct str what;
    struct cursor in; // what is left of the file, from the next block on
    struct avro_file file;
    struct str sync;
    enum avro_block_codec codec;
    size_t unpacked_bytes;
    struct cursor block; // what is left of the current block
    int64_t block_records;
    size_t values_max; // per record unless avro_read shares it out
    size_t values;
};

static enum err_code damaged(const struct avro_reader *r, struct err *err, const char *why) {
    return err_set(err, ERR_CORRUPT, STR_FMT ": damaged Avro file: %s", STR_ARG(r->what), why);
}

static bool take_long(struct cursor *c, int64_t *ret) {
    uint64_t zigzag = 0;
    for (unsigned shift = 0; shift < 64 && c->left; shift += 7) {
        uint8_t byte = *c->ptr++;
        c->left--;
        if (shift == 63 && byte > 1) {
            return false;
        }
        zigzag |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return true;
        }
    }
    return false;
}

static bool take(struct cursor *c, int64_t len, struct str *ret) {
    if (len < 0 || (uint64_t)len > c->left) {
        return false;
    }
    *ret = (struct str){(const char *)c->ptr, (size_t)len};
    c->ptr += len;
    c->left -= (size_t)len;
    return true;
}

static bool take_bytes(struct cursor *c, struct str *ret) {
    int64_t len = 0;
    return take_long(c, &len) && take(c, len, ret);
}

// The head of a block of an array or a map: a negative count stands before the block's byte size.
static bool take_count(struct cursor *c, int64_t *ret) {
    int64_t count = 0;
    int64_t bytes = 0;
    if (!take_long(c, &count) || count == INT64_MIN) {
        return false;
    }
    if (count < 0) {
        count = -count;
        if (!take_long(c, &bytes) || bytes < 0 || (uint64_t)bytes > c->left) {
            return false;
        }
    }
    *ret = count;
    return (uint64_t)count <= c->left;
}

static uint64_t little_endian(struct str s) {
    uint64_t bits = 0;
    for (size_t i = s.len; i > 0; i--) {
        bits = bits << 8 | (uint8_t)s.ptr[i - 1];
    }
    return bits;
}

static bool decode_float(struct cursor *c, bool wide, struct avro_value *ret) {
    struct str s;
    if (!take(c, wide ? 8 : 4, &s)) {
        return false;
    }
    uint64_t bits = little_endian(s);
    if (wide) {
        memcpy(&ret->d, &bits, sizeof(ret->d));
        return true;
    }
    uint32_t low = (uint32_t)bits;
    float f = 0;
    memcpy(&f, &low, sizeof(f));
    ret->d = (double)f;
    return true;
}

static bool decode_enum(struct cursor *c, const struct avro_schema *s, struct avro_value *ret) {
    int64_t i = 0;
    if (!take_long(c, &i) || i < 0 || (uint64_t)i >= s->symbol_count) {
        return false;
    }
    ret->s = s->symbols[i];
    return true;
}

// Everything that is one value without others in it.
static bool decode_scalar(struct cursor *c, const struct avro_schema *s, struct avro_value *ret) {
    struct str bytes;
    switch (s->type) {
    case AVRO_T_NULL:
        ret->kind = AVRO_K_NULL;
        return true;
    case AVRO_T_BOOLEAN:
        ret->kind = AVRO_K_BOOL;
        if (!take(c, 1, &bytes) || (uint8_t)bytes.ptr[0] > 1) {
            return false;
        }
        ret->b = bytes.ptr[0] == 1;
        return true;
    case AVRO_T_INT:
        ret->kind = AVRO_K_LONG;
        return take_long(c, &ret->i) && ret->i >= INT32_MIN && ret->i <= INT32_MAX;
    case AVRO_T_LONG:
        ret->kind = AVRO_K_LONG;
        return take_long(c, &ret->i);
    case AVRO_T_FLOAT:
    case AVRO_T_DOUBLE:
        ret->kind = AVRO_K_FLOAT;
        return decode_float(c, s->type == AVRO_T_DOUBLE, ret);
    case AVRO_T_STRING:
        ret->kind = AVRO_K_BYTES;
        return take_bytes(c, &ret->s) && str_is_utf8(ret->s);
    case AVRO_T_BYTES:
        ret->kind = AVRO_K_BYTES;
        return take_bytes(c, &ret->s);
    case AVRO_T_FIXED:
        ret->kind = AVRO_K_BYTES;
        return take(c, s->fixed_bytes, &ret->s);
    default:
        ret->kind = AVRO_K_BYTES;
        return decode_enum(c, s, ret);
    }
}

struct decoder {
    struct cursor *in;
    struct arena *a;
    size_t *values; // made so far
    size_t values_max;
};

static bool decode(struct decoder *d, const struct avro_schema *s, int depth,
                   struct avro_value *ret);

static bool may_make(struct decoder *d, size_t count) {
    if (count > d->values_max - *d->values) {
        return false;
    }
    *d->values += count;
    return true;
}

static bool decode_record(struct decoder *d, const struct avro_schema *s, int depth,
                          struct avro_value *ret) {
    if (!may_make(d, s->field_count)) {
        return false;
    }
    ret->kind = AVRO_K_RECORD;
    ret->record.schema = s;
    ret->record.fields = arena_array(d->a, s->field_count, sizeof(*ret->record.fields));
    for (size_t i = 0; i < s->field_count; i++) {
        if (!decode(d, s->fields[i].schema, depth, &ret->record.fields[i])) {
            return false;
        }
    }
    return true;
}

static bool decode_array(struct decoder *d, const struct avro_schema *s, int depth,
                         struct avro_value *ret) {
    ret->kind = AVRO_K_ARRAY;
    ret->array.items = NULL;
    ret->array.count = 0;
    size_t cap = 0;
    int64_t count = 0;
    while (true) {
        if (!take_count(d->in, &count) || !may_make(d, (size_t)count)) {
            return false;
        }
        if (count == 0) {
            return true;
        }
        size_t end = ret->array.count + (size_t)count;
        ret->array.items = arena_grow(d->a, ret->array.items, &cap, end, sizeof(*ret->array.items));
        for (; ret->array.count < end; ret->array.count++) {
            struct avro_value item = {0};
            if (!decode(d, s->fields[0].schema, depth, &item)) {
                return false;
            }
            ret->array.items[ret->array.count] = item;
        }
    }
}

static bool decode(struct decoder *d, const struct avro_schema *s, int depth,
                   struct avro_value *ret) {
    if (depth > AVRO_DEPTH_MAX) {
        return false;
    }
    int64_t branch = 0;
    switch (s->type) {
    case AVRO_T_RECORD:
        return decode_record(d, s, depth + 1, ret);
    case AVRO_T_ARRAY:
    case AVRO_T_MAP:
        return decode_array(d, s, depth + 1, ret);
    case AVRO_T_UNION:
        if (!take_long(d->in, &branch) || branch < 0 || (uint64_t)branch >= s->field_count) {
            return false;
        }
        return decode(d, s->fields[branch].schema, depth + 1, ret);
    default:
        return decode_scalar(d->in, s, ret);
    }
}

static bool take_meta(struct avro_reader *r) {
    size_t cap = 0;
    int64_t count = 0;
    while (true) {
        if (!take_count(&r->in, &count) || count > META_MAX ||
            r->file.meta_count + (size_t)count > META_MAX) {
            return false;
        }
        if (count == 0) {
            return true;
        }
        r->file.meta = arena_grow(r->a, r->file.meta, &cap, r->file.meta_count + (size_t)count,
                                  sizeof(*r->file.meta));
        for (int64_t i = 0; i < count; i++) {
            struct avro_pair pair;
            if (!take_bytes(&r->in, &pair.key) || !take_bytes(&r->in, &pair.value)) {
                return false;
            }
            pair = (struct avro_pair){arena_str(r->a, pair.key), arena_str(r->a, pair.value)};
            r->file.meta[r->file.meta_count++] = pair;
        }
    }
}

static enum err_code find_codec(struct avro_reader *r, struct err *err) {
    static const char *const names[] = {
        [AVRO_BLOCK_NULL] = "null",
        [AVRO_BLOCK_DEFLATE] = "deflate",
        [AVRO_BLOCK_ZSTANDARD] = "zstandard",
        [AVRO_BLOCK_SNAPPY] = "snappy",
    };
    struct str name = avro_meta(&r->file, "avro.codec");
    if (!name.len) {
        r->codec = AVRO_BLOCK_NULL; // the specification's word for a missing one
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_is(name, names[i])) {
            r->codec = (enum avro_block_codec)i;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_UNSUPPORTED, STR_FMT ": Avro codec \"" STR_FMT "\" is not supported",
                   STR_ARG(r->what), STR_ARG(str_slice(name, 0, 40)));
}

enum err_code avro_reader_open(struct str data, struct str what, struct arena *a,
                               struct avro_reader **ret, struct err *err) {
    struct avro_reader *r = arena_alloc(a, sizeof(*r));
    r->a = a;
    r->what = arena_str(a, what);
    r->in = (struct cursor){(const uint8_t *)data.ptr, data.len};
    r->values_max = AVRO_VALUES_MAX;
    struct str magic;
    if (!take(&r->in, 4, &magic) || !str_eq(magic, STR("Obj\x01"))) {
        return damaged(r, err, "it does not start with \"Obj\" 1");
    }
    struct str sync = STR_NONE;
    if (!take_meta(r) || !take(&r->in, SYNC_BYTES, &sync)) {
        return damaged(r, err, "bad header");
    }
    r->sync = sync;
    struct str schema = avro_meta(&r->file, "avro.schema");
    if (!schema.len) {
        return damaged(r, err, "no schema");
    }
    TRY(find_codec(r, err));
    TRY(avro_schema_parse(schema, what, a, &r->file.schema, err));
    *ret = r;
    return ERR_OK;
}

const struct avro_file *avro_reader_file(const struct avro_reader *r) {
    return &r->file;
}

// Unpacks into the reader's arena, where it stays: the values point into it.
static enum err_code open_block(struct avro_reader *r, struct err *err) {
    struct str packed;
    struct str sync;
    if (!take_long(&r->in, &r->block_records) || !take_bytes(&r->in, &packed) ||
        !take(&r->in, SYNC_BYTES, &sync)) {
        return damaged(r, err, "a block is cut off");
    }
    if (!str_eq(sync, r->sync)) {
        return damaged(r, err, "a block does not end with the sync marker");
    }
    DEFER(buf_release) struct buf plain = BUF(AVRO_UNPACKED_BYTES_MAX - r->unpacked_bytes);
    if (!avro_unpack(r->codec, packed, &plain)) {
        return damaged(r, err, "a block does not unpack, or is too large");
    }
    r->unpacked_bytes += plain.len;
    if (r->block_records < 0 || (uint64_t)r->block_records > plain.len) {
        return damaged(r, err, "a block with more records than bytes");
    }
    struct str kept = arena_str(r->a, buf_str(&plain));
    r->block = (struct cursor){(const uint8_t *)kept.ptr, kept.len};
    return ERR_OK;
}

static enum err_code next(struct avro_reader *r, struct arena *a, bool *ret_more,
                          struct avro_value *ret, struct err *err) {
    while (r->block_records == 0) {
        if (r->block.left) {
            return damaged(r, err, "a block has bytes behind its records");
        }
        if (r->in.left == 0) {
            *ret_more = false;
            return ERR_OK;
        }
        TRY(open_block(r, err));
    }
    struct decoder d = {&r->block, a, &r->values, r->values_max};
    if (!decode(&d, r->file.schema, 0, ret)) {
        return damaged(r, err, "a record does not decode");
    }
    r->block_records--;
    *ret_more = true;
    return ERR_OK;
}

enum err_code avro_reader_next(struct avro_reader *r, struct arena *a,
                               const struct avro_value **ret, struct err *err) {
    struct avro_value *value = arena_alloc(a, sizeof(*value));
    bool more = false;
    r->values = 0;
    TRY(next(r, a, &more, value, err));
    *ret = more ? value : NULL;
    return ERR_OK;
}

enum err_code avro_read(struct str data, struct str what, struct arena *a, struct avro_file *ret,
                        struct err *err) {
    struct avro_reader *r = NULL;
    TRY(avro_reader_open(data, what, a, &r, err));
    CHECK(r);
    size_t cap = 0;
    while (true) {
        struct avro_value value = {0};
        bool more = false;
        TRY(next(r, a, &more, &value, err));
        if (!more) {
            *ret = r->file;
            return ERR_OK;
        }
        if (r->values++ >= r->values_max) {
            return damaged(r, err, "too many records");
        }
        r->file.records = arena_grow(a, r->file.records, &cap, r->file.record_count + 1,
                                     sizeof(*r->file.records));
        r->file.records[r->file.record_count++] = value;
    }
}

size_t avro_field_count(const struct avro_value *record) {
    return record->record.schema->field_count;
}

struct str avro_meta(const struct avro_file *f, const char *key) {
    for (size_t i = 0; i < f->meta_count; i++) {
        if (str_is(f->meta[i].key, key)) {
            return f->meta[i].value;
        }
    }
    return STR_NONE;
}

const struct avro_value *avro_by_id(const struct avro_value *record, int32_t field_id) {
    const struct avro_schema *s = record->kind == AVRO_K_RECORD ? record->record.schema : NULL;
    for (size_t i = 0; s && i < s->field_count; i++) {
        if (s->fields[i].id == field_id) {
            const struct avro_value *v = &record->record.fields[i];
            return v->kind == AVRO_K_NULL ? NULL : v;
        }
    }
    return NULL;
}
