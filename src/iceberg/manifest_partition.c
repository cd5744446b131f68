// Partition tuples of manifests: their type from a partition spec, their values in Avro.
//
// Source: Apache Iceberg table spec, "Partitioning" and appendix A (Avro types). In memory a value
// is the single-value bytes of the transform's result type, whatever Avro type a file gives it.
#include "iceberg/manifest_int.h"

#include "base/json.h"
#include "iceberg/avro_int.h"
#include "iceberg/metrics.h"

// Transforms by the word in front of their parameter. result ICE_STRUCT: the type of the source.
static const struct {
    const char *name;
    enum ice_kind result;
} transforms[] = {
    {"identity", ICE_STRUCT}, {"truncate[", ICE_STRUCT}, {"void", ICE_STRUCT}, {"bucket[", ICE_INT},
    {"year", ICE_INT},        {"month", ICE_INT},        {"day", ICE_DATE},    {"hour", ICE_INT},
};

static bool result_type(struct str transform, const struct ice_type *source, struct ice_type *ret) {
    for (size_t i = 0; i < ARRAY_LEN(transforms); i++) {
        struct str name = str_from(transforms[i].name);
        bool parameter = name.ptr[name.len - 1] == '[';
        if (parameter ? str_starts(transform, name) : str_eq(transform, name)) {
            *ret = transforms[i].result == ICE_STRUCT
                       ? *source
                       : (struct ice_type){.kind = transforms[i].result};
            return ret->kind < ICE_STRUCT;
        }
    }
    return false;
}

static enum err_code parse_field(const json_t *json, const struct ice_schema *schema,
                                 struct arena *a, struct ice_partition_field *ret,
                                 struct err *err) {
    struct str name = STR_NONE;
    struct str transform = STR_NONE;
    int64_t id = 0;
    int64_t source_id = 0;
    if (!json_get_str(json, "name", &name) || !json_get_str(json, "transform", &transform) ||
        !json_get_i64(json, "field-id", &id) || id <= 0 || id > INT32_MAX ||
        !json_get_i64(json, "source-id", &source_id) || source_id <= 0 || source_id > INT32_MAX) {
        return err_set(err, ERR_CORRUPT, "partition spec: a field lacks a member");
    }
    ret->id = (int32_t)id;
    ret->name = arena_str(a, name);
    const struct ice_field *source = ice_schema_find_id(schema, (int32_t)source_id);
    if (!source || !result_type(transform, &source->type, &ret->type)) {
        return err_set(err, ERR_UNSUPPORTED,
                       "partition field \"" STR_FMT "\": transform \"" STR_FMT
                       "\" of field %d is not supported",
                       STR_ARG(name), STR_ARG(transform), (int)source_id);
    }
    return ERR_OK;
}

enum err_code ice_partition_parse(struct str spec_fields, const struct ice_schema *schema,
                                  struct arena *a, struct ice_partition_type *ret,
                                  struct err *err) {
    *ret = (struct ice_partition_type){0};
    if (!spec_fields.len || str_is(spec_fields, "[]")) {
        return ERR_OK;
    }
    DEFER(json_decrefp) json_t *json = NULL;
    TRY(json_parse_stored(spec_fields, "partition spec", &json, err));
    if (!json_is_array(json)) {
        return err_set(err, ERR_CORRUPT, "partition spec: not a list of fields");
    }
    size_t count = json_array_size(json);
    ret->fields = arena_array(a, count, sizeof(*ret->fields));
    for (size_t i = 0; i < count; i++) {
        TRY(parse_field(json_array_get(json, i), schema, a, &ret->fields[i], err));
    }
    ret->field_count = count;
    return ERR_OK;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Code point at s[i], which is UTF-8, and its length in bytes.
static unsigned code_point(struct str s, size_t i, size_t *ret_len) {
    unsigned char lead = (unsigned char)s.ptr[i];
    size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    len = MIN(len, s.len - i);
    unsigned c = len == 1 ? lead : lead & (0x7fU >> len);
    for (size_t k = 1; k < len; k++) {
        c = c << 6 | ((unsigned char)s.ptr[i + k] & 0x3fU);
    }
    *ret_len = len;
    return c;
}

// Avro allows letters, digits and '_' in a name: the rest becomes "_x" and its code point in hex; a
// leading digit gets a '_' in front.
static void add_avro_name(struct buf *out, struct str name) {
    for (size_t i = 0; i < name.len;) {
        size_t len = 0;
        unsigned c = code_point(name, i, &len);
        if (is_letter(name.ptr[i]) || is_digit(name.ptr[i])) {
            buf_add_cstr(out, i == 0 && is_digit(name.ptr[i]) ? "_" : "");
            buf_add_char(out, name.ptr[i]);
        } else {
            buf_printf(out, "_x%X", c);
        }
        i += len;
    }
}

// Bytes of the fixed that holds a decimal of that precision: the fewest whose range has it.
static int decimal_bytes(int32_t precision) {
    __int128 highest = 1;
    for (int32_t i = 0; i < precision; i++) {
        highest *= 10;
    }
    int bytes = 1;
    while (bytes < 16 && (highest - 1) >> (8 * bytes - 1) != 0) {
        bytes++;
    }
    return bytes;
}

static const char *const avro_words[] = {
    [ICE_BOOLEAN] = "\"boolean\"",
    [ICE_INT] = "\"int\"",
    [ICE_LONG] = "\"long\"",
    [ICE_FLOAT] = "\"float\"",
    [ICE_DOUBLE] = "\"double\"",
    [ICE_DATE] = "{\"type\":\"int\",\"logicalType\":\"date\"}",
    [ICE_TIME] = "{\"type\":\"long\",\"logicalType\":\"time-micros\"}",
    [ICE_TIMESTAMP] =
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":false}",
    [ICE_TIMESTAMPTZ] =
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":true}",
    [ICE_STRING] = "\"string\"",
    [ICE_BINARY] = "\"bytes\"",
};

// The names of fixed types carry the field id, since a name may be defined only once.
static void add_avro_type(struct buf *out, const struct ice_partition_field *f) {
    switch (f->type.kind) {
    case ICE_UUID:
        buf_printf(out,
                   "{\"type\":\"fixed\",\"name\":\"uuid_fixed_%d\",\"size\":16,"
                   "\"logicalType\":\"uuid\"}",
                   f->id);
        break;
    case ICE_FIXED:
        buf_printf(out, "{\"type\":\"fixed\",\"name\":\"fixed_%d_%d\",\"size\":%d}", f->type.length,
                   f->id, f->type.length);
        break;
    case ICE_DECIMAL:
        buf_printf(out,
                   "{\"type\":\"fixed\",\"name\":\"decimal_%d_%d_%d\",\"size\":%d,"
                   "\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}",
                   f->type.precision, f->type.scale, f->id, decimal_bytes(f->type.precision),
                   f->type.precision, f->type.scale);
        break;
    default:
        buf_add_cstr(out, avro_words[f->type.kind]);
    }
}

void ice_partition_avro(const struct ice_partition_type *t, struct buf *out, struct arena *a) {
    for (size_t i = 0; i < t->field_count; i++) {
        const struct ice_partition_field *f = &t->fields[i];
        DEFER(buf_release) struct buf name = BUF(1 << 20);
        add_avro_name(&name, f->name);
        buf_printf(out, "%s{\"name\":", i ? "," : "");
        json_quote(out, arena_str(a, buf_str(&name)));
        buf_add_cstr(out, ",\"type\":[\"null\",");
        add_avro_type(out, f);
        buf_printf(out, "],\"default\":null,\"field-id\":%d", f->id);
        if (!str_eq(f->name, buf_str(&name))) {
            buf_add_cstr(out, ",\"iceberg-field-name\":");
            json_quote(out, f->name);
        }
        buf_add_char(out, '}');
    }
}

static const struct ice_partition_value *find_value(const struct ice_data_file *f, int32_t id) {
    for (size_t i = 0; i < f->partition_count; i++) {
        if (f->partition[i].field_id == id) {
            return f->partition[i].is_null ? NULL : &f->partition[i];
        }
    }
    return NULL;
}

// 4 or 8 little-endian bytes, with the sign.
static int64_t signed_value(struct str bytes) {
    uint64_t bits = 0;
    for (size_t i = bytes.len; i > 0; i--) {
        bits = bits << 8 | (uint8_t)bytes.ptr[i - 1];
    }
    return bytes.len == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits;
}

static void put_floating(struct avro_writer *w, const struct ice_type *t, struct str bytes) {
    double d = 0;
    float f = 0;
    if (bytes.len == 4) {
        memcpy(&f, bytes.ptr, sizeof(f));
        d = (double)f;
    } else {
        memcpy(&d, bytes.ptr, sizeof(d));
        f = (float)d;
    }
    if (t->kind == ICE_FLOAT) {
        avro_put_float(w, f);
    } else {
        avro_put_double(w, d);
    }
}

// Right-aligned in the fixed, filled up with the sign.
static void put_decimal(struct avro_writer *w, const struct ice_type *t, struct str bytes) {
    size_t size = (size_t)decimal_bytes(t->precision);
    bool negative = (uint8_t)bytes.ptr[0] & 0x80;
    for (size_t i = bytes.len; i < size; i++) {
        avro_put_fixed(w, negative ? STR("\xff") : (struct str){"\0", 1});
    }
    avro_put_fixed(w, bytes);
}

static bool well_formed(const struct ice_type *t, struct str bytes) {
    switch (t->kind) {
    case ICE_BOOLEAN:
        return bytes.len == 1;
    case ICE_INT:
    case ICE_DATE:
    case ICE_FLOAT:
        return bytes.len == 4;
    case ICE_LONG:
    case ICE_DOUBLE:
        return bytes.len == 4 || bytes.len == 8;
    case ICE_TIME:
    case ICE_TIMESTAMP:
    case ICE_TIMESTAMPTZ:
        return bytes.len == 8;
    case ICE_UUID:
        return bytes.len == 16;
    case ICE_FIXED:
        return bytes.len == (size_t)t->length;
    case ICE_DECIMAL:
        return bytes.len > 0 && bytes.len <= (size_t)decimal_bytes(t->precision);
    default:
        return true;
    }
}

static void put_value(struct avro_writer *w, const struct ice_type *t, struct str bytes) {
    switch (t->kind) {
    case ICE_BOOLEAN:
        avro_put_bool(w, bytes.ptr[0] != 0);
        break;
    case ICE_FLOAT:
    case ICE_DOUBLE:
        put_floating(w, t, bytes);
        break;
    case ICE_STRING:
    case ICE_BINARY:
        avro_put_bytes(w, bytes);
        break;
    case ICE_UUID:
    case ICE_FIXED:
        avro_put_fixed(w, bytes);
        break;
    case ICE_DECIMAL:
        put_decimal(w, t, bytes);
        break;
    default:
        avro_put_long(w, signed_value(bytes));
    }
}

enum err_code ice_partition_put(const struct ice_partition_type *t, const struct ice_data_file *f,
                                struct avro_writer *w, struct err *err) {
    for (size_t i = 0; i < t->field_count; i++) {
        const struct ice_type *type = &t->fields[i].type;
        const struct ice_partition_value *v = find_value(f, t->fields[i].id);
        avro_put_long(w, v ? 1 : 0);
        if (v && !well_formed(type, v->bytes)) {
            return err_set(err, ERR_INVALID,
                           "partition value of field %d has not the form of its type",
                           t->fields[i].id);
        }
        if (v) {
            put_value(w, type, v->bytes);
        }
    }
    return ERR_OK;
}

struct str ice_decimal_minimal(struct str bytes) {
    while (bytes.len > 1) {
        uint8_t first = (uint8_t)bytes.ptr[0];
        uint8_t sign = (uint8_t)bytes.ptr[1] & 0x80;
        if (first != (sign ? 0xff : 0x00)) {
            break;
        }
        bytes = str_slice(bytes, 1, bytes.len);
    }
    return bytes;
}

static struct str little_endian(uint64_t bits, size_t len, struct arena *a) {
    char *bytes = arena_alloc(a, len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(bits >> (8 * i) & 0xff);
    }
    return (struct str){bytes, len};
}

static struct str floating_bytes(const struct avro_schema *s, double d, struct arena *a) {
    uint64_t bits = 0;
    if (s->type == AVRO_T_DOUBLE) {
        memcpy(&bits, &d, sizeof(d));
        return little_endian(bits, sizeof(d), a);
    }
    float f = (float)d;
    uint32_t low = 0;
    memcpy(&low, &f, sizeof(f));
    return little_endian(low, sizeof(f), a);
}

// Single-value bytes by the Avro type that the writer chose.
static bool value_bytes(const struct avro_schema *s, const struct avro_value *v, struct arena *a,
                        struct str *ret) {
    switch (v->kind) {
    case AVRO_K_BOOL:
        *ret = little_endian(v->b ? 1 : 0, 1, a);
        return true;
    case AVRO_K_LONG:
        *ret = little_endian((uint64_t)v->i, s->type == AVRO_T_INT ? 4 : 8, a);
        return true;
    case AVRO_K_FLOAT:
        *ret = floating_bytes(s, v->d, a);
        return true;
    case AVRO_K_BYTES:
        *ret = arena_str(a, str_is(s->logical, "decimal") ? ice_decimal_minimal(v->s) : v->s);
        return true;
    default:
        return false;
    }
}

// The branch of an optional's union that is not null.
static const struct avro_schema *concrete(const struct avro_schema *s) {
    for (size_t i = 0; s->type == AVRO_T_UNION && i < s->field_count; i++) {
        if (s->fields[i].schema->type != AVRO_T_NULL) {
            return s->fields[i].schema;
        }
    }
    return s;
}

enum err_code ice_partition_read(const struct avro_value *record, struct arena *a,
                                 struct ice_data_file *ret, struct err *err) {
    if (!record) {
        return ERR_OK;
    }
    if (record->kind != AVRO_K_RECORD) {
        return err_set(err, ERR_CORRUPT, "the partition is not a record");
    }
    const struct avro_schema *s = record->record.schema;
    ret->partition_count = s->field_count;
    ret->partition = arena_array(a, s->field_count, sizeof(*ret->partition));
    for (size_t i = 0; i < s->field_count; i++) {
        const struct avro_value *v = &record->record.fields[i];
        struct ice_partition_value *p = &ret->partition[i];
        p->field_id = s->fields[i].id;
        p->is_null = v->kind == AVRO_K_NULL;
        if (p->field_id < 0) {
            return err_set(err, ERR_CORRUPT, "a partition field without an id");
        }
        if (!p->is_null && !value_bytes(concrete(s->fields[i].schema), v, a, &p->bytes)) {
            return err_set(err, ERR_CORRUPT, "a partition value is not a single value");
        }
    }
    return ERR_OK;
}

struct summary {
    bool contains_null, contains_nan, has_bounds;
    struct str lower, upper;
};

static bool is_nan(const struct ice_type *t, struct str bytes) {
    if (t->kind != ICE_FLOAT && t->kind != ICE_DOUBLE) {
        return false;
    }
    bool comparable = false;
    (void)ice_value_cmp(t, bytes, bytes, &comparable);
    return !comparable;
}

static void summarize(const struct ice_type *t, const struct ice_partition_value *v,
                      struct summary *s) {
    if (!v) {
        s->contains_null = true;
        return;
    }
    if (is_nan(t, v->bytes)) {
        s->contains_nan = true;
        return;
    }
    bool ok = true;
    if (!s->has_bounds || ice_value_cmp(t, v->bytes, s->lower, &ok) < 0) {
        s->lower = v->bytes;
    }
    if (!s->has_bounds || ice_value_cmp(t, v->bytes, s->upper, &ok) > 0) {
        s->upper = v->bytes;
    }
    s->has_bounds = true;
}

static void encode_bound(struct buf *out, bool has, struct str bytes) {
    avro_encode_long(out, has ? 1 : 0);
    if (has) {
        avro_encode_bytes(out, bytes);
    }
}

struct str ice_partition_summaries(const struct ice_partition_type *t, const struct ice_entry *e,
                                   size_t count, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(16 << 20);
    if (t->field_count) {
        avro_encode_long(&out, (int64_t)t->field_count);
    }
    for (size_t i = 0; i < t->field_count; i++) {
        const struct ice_partition_field *f = &t->fields[i];
        struct summary s = {0};
        for (size_t k = 0; k < count; k++) {
            summarize(&f->type, find_value(&e[k].file, f->id), &s);
        }
        buf_add_char(&out, s.contains_null ? 1 : 0);
        avro_encode_long(&out, 1);
        buf_add_char(&out, s.contains_nan ? 1 : 0);
        encode_bound(&out, s.has_bounds, s.lower);
        encode_bound(&out, s.has_bounds, s.upper);
    }
    avro_encode_long(&out, 0);
    return arena_str(a, buf_str(&out));
}
