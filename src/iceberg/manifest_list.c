// Iceberg manifest lists: the manifests of one snapshot.
//
// An Avro file of "manifest_file" records; the tables below are all of the format, with the fields
// in the order of Iceberg's own library. Reading is by field id: older writers had other names.
#include "iceberg/avro.h"
#include "iceberg/avro_int.h"
#include "iceberg/manifest.h"

static const struct avro_column summary_columns[] = {
    {"contains_null", 509, "\"boolean\"", false},
    {"contains_nan", 518, "\"boolean\"", true},
    {"lower_bound", 510, "\"bytes\"", true},
    {"upper_bound", 511, "\"bytes\"", true},
};
static const struct avro_column list_columns[] = {
    {"manifest_path", 500, "\"string\"", false},
    {"manifest_length", 501, "\"long\"", false},
    {"partition_spec_id", 502, "\"int\"", false},
    {"content", 517, "\"int\"", false},
    {"sequence_number", 515, "\"long\"", false},
    {"min_sequence_number", 516, "\"long\"", false},
    {"added_snapshot_id", 503, "\"long\"", false},
    {"added_files_count", 504, "\"int\"", false},
    {"existing_files_count", 505, "\"int\"", false},
    {"deleted_files_count", 506, "\"int\"", false},
    {"added_rows_count", 512, "\"long\"", false},
    {"existing_rows_count", 513, "\"long\"", false},
    {"deleted_rows_count", 514, "\"long\"", false},
};

// Behind the columns stand partitions, field 507, a list of records "r508", and key_metadata.
static void add_schema(struct buf *out) {
    buf_add_cstr(out, "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[");
    avro_add_columns(out, list_columns, ARRAY_LEN(list_columns));
    buf_add_cstr(out, ",{\"name\":\"partitions\",\"type\":[\"null\",{\"type\":\"array\",\"items\":"
                      "{\"type\":\"record\",\"name\":\"r508\",\"fields\":[");
    avro_add_columns(out, summary_columns, ARRAY_LEN(summary_columns));
    buf_add_cstr(out, "]},\"element-id\":508}],\"default\":null,\"field-id\":507},"
                      "{\"name\":\"key_metadata\",\"type\":[\"null\",\"bytes\"],"
                      "\"default\":null,\"field-id\":519}]}");
}

static void put_manifest(struct avro_writer *w, const struct ice_manifest_ref *m) {
    avro_put_bytes(w, m->path);
    avro_put_long(w, m->bytes);
    avro_put_long(w, m->spec_id);
    avro_put_long(w, m->deletes ? 1 : 0);
    avro_put_long(w, m->sequence_number);
    avro_put_long(w, m->min_sequence_number);
    avro_put_long(w, m->added_snapshot_id);
    avro_put_long(w, m->added_files);
    avro_put_long(w, m->existing_files);
    avro_put_long(w, m->deleted_files);
    avro_put_long(w, m->added_rows);
    avro_put_long(w, m->existing_rows);
    avro_put_long(w, m->deleted_rows);
    avro_put_long(w, m->partitions.len ? 1 : 0);
    avro_put_fixed(w, m->partitions); // encoded already
    avro_put_long(w, 0);              // key_metadata
    avro_writer_record(w);
}

enum err_code ice_manifest_list_write(const struct ice_manifest_list *l, struct arena *a,
                                      struct str *ret, struct err *err) {
    const struct avro_pair meta[] = {
        {STR("snapshot-id"), arena_printf(a, "%lld", (long long)l->snapshot_id)},
        {STR("parent-snapshot-id"), l->parent_snapshot_id
                                        ? arena_printf(a, "%lld", (long long)l->parent_snapshot_id)
                                        : STR("null")},
        {STR("sequence-number"), arena_printf(a, "%lld", (long long)l->sequence_number)},
        {STR("format-version"), STR("2")},
    };
    DEFER(buf_release) struct buf schema = BUF(1 << 20);
    add_schema(&schema);
    DEFER(avro_writer_freep)
    struct avro_writer *w = avro_writer_new(buf_str(&schema), meta, ARRAY_LEN(meta), AVRO_DEFLATE);
    for (size_t i = 0; i < l->manifest_count; i++) {
        put_manifest(w, &l->manifests[i]);
    }
    return avro_writer_finish(w, a, ret, err);
}

// A number of the record, or what *ret holds when it has none.
static bool read_number(const struct avro_value *record, int32_t id, int64_t low, int64_t high,
                        int64_t *ret) {
    const struct avro_value *v = avro_by_id(record, id);
    if (!v) {
        return true;
    }
    if (v->kind != AVRO_K_LONG || v->i < low || v->i > high) {
        return false;
    }
    *ret = v->i;
    return true;
}

static bool read_count(const struct avro_value *record, int32_t id, int32_t *ret) {
    int64_t v = -1;
    if (!read_number(record, id, 0, INT32_MAX, &v)) {
        return false;
    }
    *ret = (int32_t)v;
    return true;
}

static bool read_rows(const struct avro_value *record, int32_t id, int64_t *ret) {
    *ret = -1;
    return read_number(record, id, 0, INT64_MAX, ret);
}

static bool encode_bound(const struct avro_value *summary, int32_t id, struct buf *out) {
    const struct avro_value *v = avro_by_id(summary, id);
    avro_encode_long(out, v ? 1 : 0);
    if (v && v->kind == AVRO_K_BYTES) {
        avro_encode_bytes(out, v->s);
    }
    return !v || v->kind == AVRO_K_BYTES;
}

static bool encode_summary(const struct avro_value *summary, struct buf *out) {
    const struct avro_value *has_null = avro_by_id(summary, 509);
    const struct avro_value *has_nan = avro_by_id(summary, 518);
    if (!has_null || has_null->kind != AVRO_K_BOOL || (has_nan && has_nan->kind != AVRO_K_BOOL)) {
        return false;
    }
    buf_add_char(out, has_null->b ? 1 : 0);
    avro_encode_long(out, has_nan ? 1 : 0);
    if (has_nan) {
        buf_add_char(out, has_nan->b ? 1 : 0);
    }
    return encode_bound(summary, 510, out) && encode_bound(summary, 511, out);
}

// Into the layout of our own schema, whatever the file's was.
static bool read_partitions(const struct avro_value *record, struct arena *a, struct str *ret) {
    const struct avro_value *list = avro_by_id(record, 507);
    if (!list || list->kind != AVRO_K_ARRAY) {
        return !list;
    }
    DEFER(buf_release) struct buf out = BUF(AVRO_UNPACKED_BYTES_MAX);
    if (list->array.count) {
        avro_encode_long(&out, (int64_t)list->array.count);
    }
    for (size_t i = 0; i < list->array.count; i++) {
        if (!encode_summary(&list->array.items[i], &out)) {
            return false;
        }
    }
    avro_encode_long(&out, 0);
    *ret = arena_str(a, buf_str(&out));
    return !out.overflow;
}

static bool read_manifest(const struct avro_value *record, struct arena *a,
                          struct ice_manifest_ref *ret) {
    const struct avro_value *path = avro_by_id(record, 500);
    if (!path || path->kind != AVRO_K_BYTES || !path->s.len || !str_is_utf8(path->s)) {
        return false;
    }
    ret->path = arena_str(a, path->s);
    int64_t spec_id = 0;
    int64_t content = 0;
    ret->bytes = -1;
    bool ok = read_number(record, 501, 0, INT64_MAX, &ret->bytes) && ret->bytes >= 0 &&
              read_number(record, 502, 0, INT32_MAX, &spec_id) &&
              read_number(record, 517, 0, 1, &content) &&
              read_number(record, 515, 0, INT64_MAX, &ret->sequence_number) &&
              read_number(record, 516, 0, INT64_MAX, &ret->min_sequence_number) &&
              read_number(record, 503, INT64_MIN, INT64_MAX, &ret->added_snapshot_id);
    ret->spec_id = (int32_t)spec_id;
    ret->deletes = content == 1;
    return ok && read_count(record, 504, &ret->added_files) &&
           read_count(record, 505, &ret->existing_files) &&
           read_count(record, 506, &ret->deleted_files) &&
           read_rows(record, 512, &ret->added_rows) &&
           read_rows(record, 513, &ret->existing_rows) &&
           read_rows(record, 514, &ret->deleted_rows) &&
           read_partitions(record, a, &ret->partitions);
}

// A number of the header; 0 when it is absent or the word "null".
static bool header_number(const struct avro_file *f, const char *key, int64_t *ret) {
    struct str text = avro_meta(f, key);
    *ret = 0;
    return !text.len || str_is(text, "null") || str_to_i64(text, ret);
}

enum err_code ice_manifest_list_read(struct str data, struct str path, struct arena *a,
                                     struct ice_manifest_list *ret, struct err *err) {
    struct ice_manifest_list l = {0};
    struct avro_reader *reader = NULL;
    TRY(avro_reader_open(data, path, a, &reader, err));
    const struct avro_file *file = avro_reader_file(reader);
    if (!header_number(file, "snapshot-id", &l.snapshot_id) ||
        !header_number(file, "parent-snapshot-id", &l.parent_snapshot_id) ||
        !header_number(file, "sequence-number", &l.sequence_number)) {
        return err_set(err, ERR_CORRUPT, STR_FMT ": manifest list: bad header", STR_ARG(path));
    }
    DEFER(arena_release) struct arena scratch = ARENA(AVRO_UNPACKED_BYTES_MAX);
    size_t cap = 0;
    while (true) {
        const struct avro_value *record = NULL;
        arena_reset(&scratch);
        TRY(avro_reader_next(reader, &scratch, &record, err));
        if (!record) {
            *ret = l;
            return ERR_OK;
        }
        struct ice_manifest_ref m = {0};
        if (!read_manifest(record, a, &m)) {
            return err_set(err, ERR_CORRUPT, STR_FMT ": manifest list: bad entry", STR_ARG(path));
        }
        if (avro_by_id(record, 519)) {
            return err_set(err, ERR_UNSUPPORTED, STR_FMT ": encrypted manifests are not supported",
                           STR_ARG(path));
        }
        l.manifests = arena_grow(a, l.manifests, &cap, l.manifest_count + 1, sizeof(*l.manifests));
        l.manifests[l.manifest_count++] = m;
    }
}
