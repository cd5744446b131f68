// The scan of Avro: header, records, and in manifests the bounds as values of their columns.

#include <endian.h>

#include "erase/erase_scan_int.h"
#include "iceberg/avro.h"

#define RECORD_ARENA (1U << 30)

static int64_t in_header(const struct scanner *s, const struct avro_file *f) {
    int64_t n = 0;
    for (size_t i = 0; i < f->meta_count; i++) {
        n += erase_match_text(s->matcher, f->meta[i].key);
        n += erase_match_text(s->matcher, f->meta[i].value);
    }
    return n;
}

// The reader bounds the depth.
static int64_t in_value(const struct scanner *s, const struct avro_value *v) {
    int64_t n = 0;
    switch (v->kind) {
    case AVRO_K_BYTES:
        return erase_match_text(s->matcher, v->s);
    case AVRO_K_ARRAY:
        for (size_t i = 0; i < v->array.count; i++) {
            n += in_value(s, &v->array.items[i]);
        }
        return n;
    case AVRO_K_RECORD:
        for (size_t i = 0; i < avro_field_count(v); i++) {
            n += in_value(s, &v->record.fields[i]);
        }
        return n;
    default:
        return 0;
    }
}

static bool is_number(const struct scanner *s, struct str bytes) {
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (bytes.len == sizeof(wide)) {
        memcpy(&wide, bytes.ptr, sizeof(wide));
        return erase_match_integer(s->matcher, (int64_t)le64toh(wide));
    }
    if (bytes.len == sizeof(narrow)) {
        memcpy(&narrow, bytes.ptr, sizeof(narrow));
        return erase_match_integer(s->matcher, (int32_t)le32toh(narrow));
    }
    return false;
}

// A single value as the format writes it. *text gets what a search of the bytes finds too.
static int64_t in_bound(const struct scanner *s, const struct ice_field *field, struct str bytes,
                        int64_t *text) {
    const bool key = field != NULL && scan_is_key(s, field->name);
    const int64_t found = erase_match_text(s->matcher, bytes);
    *text += found;
    if (found > 0 || field == NULL) {
        return found;
    }
    switch (field->type.kind) {
    case ICE_STRING:
        return scan_text(s, bytes, key);
    case ICE_INT:
    case ICE_LONG:
        return key && is_number(s, bytes) ? 1 : 0;
    case ICE_UUID:
        return bytes.len == 16 && scan_is_uuid(s, (const uint8_t *)bytes.ptr) ? 1 : 0;
    default:
        return 0;
    }
}

struct bounds {
    struct scanner *scanner;
    struct str object;
    const struct ice_schema *schema;
    int64_t text;
};

static void in_bounds(struct bounds *b, const struct ice_bounds *all, const char *what) {
    for (size_t i = 0; i < all->count; i++) {
        const struct ice_bound *bound = &all->items[i];
        const struct ice_field *field =
            b->schema != NULL ? ice_schema_find_id(b->schema, bound->id) : NULL;
        const int64_t n = in_bound(b->scanner, field, bound->bytes, &b->text);
        scan_found_at(b->scanner, b->object, what, field != NULL ? field->name : STR("a column"),
                      n);
    }
}

// *ret_text: how much of what a search of the bytes finds was told so.
static enum err_code in_manifest(struct scanner *s, const struct ice_manifest_ref *ref,
                                 struct str data, int64_t *ret_text, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(RECORD_ARENA);
    struct ice_manifest *m;
    TRY(ice_manifest_read(data, ref, &a, &m, err));
    struct bounds b = {.scanner = s, .object = ref->path, .schema = m->schema};
    for (size_t i = 0; i < m->entry_count; i++) {
        in_bounds(&b, &m->entries[i].file.lower, "lower bound of");
        in_bounds(&b, &m->entries[i].file.upper, "upper bound of");
    }
    *ret_text = b.text;
    return ERR_OK;
}

static enum err_code in_records(struct scanner *s, struct avro_reader *r, int64_t *ret,
                                struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(RECORD_ARENA);
    for (;;) {
        const struct avro_value *v;
        TRY(avro_reader_next(r, &a, &v, err));
        if (v == NULL) {
            return ERR_OK;
        }
        *ret += in_value(s, v);
        arena_reset(&a);
    }
}

enum err_code scan_avro(struct scanner *s, struct str object, struct str data, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(RECORD_ARENA);
    struct avro_reader *r;
    enum err_code manifest = ERR_OK;
    int64_t told = 0;
    int64_t n = 0;
    TRY(avro_reader_open(data, object, &a, &r, err));
    const struct avro_file *f = avro_reader_file(r);
    scan_found(s, object, "header", in_header(s, f));
    if (avro_meta(f, "schema").len > 0 && avro_meta(f, "partition-spec").len > 0) {
        const struct ice_manifest_ref ref = {.path = object,
                                             .deletes = str_is(avro_meta(f, "content"), "deletes")};
        manifest = in_manifest(s, &ref, data, &told, err);
    }
    const enum err_code records = in_records(s, r, &n, err);
    scan_found(s, object, "record", n - told);
    return manifest != ERR_OK ? manifest : records;
}
