// Iceberg manifests: the data files, or the delete files, that a snapshot is made of.
//
// An Avro file of "manifest_entry" records, one per file; the tables below are all of the format,
// with the fields in the order and under the record names that Iceberg's own library uses. Its
// header holds the table's schema, the partition spec and what the entries are: data or deletes.
#include "iceberg/manifest.h"

#include "base/json.h"
#include "iceberg/avro_int.h"
#include "iceberg/manifest_int.h"

// A map from a column's field id is an array of pairs.
#define COLUMN_MAP(key_id, value_id, type)                                                         \
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"k" #key_id "_v" #value_id       \
    "\",\"fields\":[{\"name\":\"key\",\"type\":\"int\",\"field-id\":" #key_id                      \
    "},{\"name\":\"value\",\"type\":\"" type "\",\"field-id\":" #value_id                          \
    "}]},\"logicalType\":\"map\"}"

// The record "manifest_entry"; behind them comes data_file, field 2, a record "r2".
static const struct avro_column entry_columns[] = {
    {"status", 0, "\"int\"", false},
    {"snapshot_id", 1, "\"long\"", true},
    {"sequence_number", 3, "\"long\"", true},
    {"file_sequence_number", 4, "\"long\"", true},
};
// Fields of data_file before the partition, field 102, a record "r102" of the spec's fields.
static const struct avro_column file_columns[] = {
    {"content", 134, "\"int\"", false},
    {"file_path", 100, "\"string\"", false},
    {"file_format", 101, "\"string\"", false},
};
// And behind it.
static const struct avro_column more_columns[] = {
    {"record_count", 103, "\"long\"", false},
    {"file_size_in_bytes", 104, "\"long\"", false},
    {"column_sizes", 108, COLUMN_MAP(117, 118, "long"), true},
    {"value_counts", 109, COLUMN_MAP(119, 120, "long"), true},
    {"null_value_counts", 110, COLUMN_MAP(121, 122, "long"), true},
    {"nan_value_counts", 137, COLUMN_MAP(138, 139, "long"), true},
    {"lower_bounds", 125, COLUMN_MAP(126, 127, "bytes"), true},
    {"upper_bounds", 128, COLUMN_MAP(129, 130, "bytes"), true},
    {"key_metadata", 131, "\"bytes\"", true},
    {"split_offsets", 132, "{\"type\":\"array\",\"items\":\"long\",\"element-id\":133}", true},
    {"equality_ids", 135, "{\"type\":\"array\",\"items\":\"int\",\"element-id\":136}", true},
    {"sort_order_id", 140, "\"int\"", true},
    {"referenced_data_file", 143, "\"string\"", true},
};

static void add_schema(struct buf *out, const struct ice_partition_type *partition,
                       struct arena *a) {
    buf_add_cstr(out, "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":[");
    avro_add_columns(out, entry_columns, ARRAY_LEN(entry_columns));
    buf_add_cstr(out, ",{\"name\":\"data_file\",\"type\":"
                      "{\"type\":\"record\",\"name\":\"r2\",\"fields\":[");
    avro_add_columns(out, file_columns, ARRAY_LEN(file_columns));
    buf_add_cstr(out, ",{\"name\":\"partition\",\"type\":"
                      "{\"type\":\"record\",\"name\":\"r102\",\"fields\":[");
    ice_partition_avro(partition, out, a);
    buf_add_cstr(out, "]},\"field-id\":102},");
    avro_add_columns(out, more_columns, ARRAY_LEN(more_columns));
    buf_add_cstr(out, "]},\"field-id\":2}]}");
}

#define ENTRY_BYTES_MAX (256 << 20) // of the values of one entry while it is read

static void put_counts(struct avro_writer *w, const struct ice_counts *c) {
    avro_put_long(w, c->count ? 1 : 0);
    if (!c->count) {
        return;
    }
    avro_put_long(w, (int64_t)c->count);
    for (size_t i = 0; i < c->count; i++) {
        avro_put_long(w, c->items[i].id);
        avro_put_long(w, c->items[i].value);
    }
    avro_put_long(w, 0);
}

static void put_bounds(struct avro_writer *w, const struct ice_bounds *b) {
    avro_put_long(w, b->count ? 1 : 0);
    if (!b->count) {
        return;
    }
    avro_put_long(w, (int64_t)b->count);
    for (size_t i = 0; i < b->count; i++) {
        avro_put_long(w, b->items[i].id);
        avro_put_bytes(w, b->items[i].bytes);
    }
    avro_put_long(w, 0);
}

static void put_optional_long(struct avro_writer *w, bool present, int64_t v) {
    avro_put_long(w, present ? 1 : 0);
    if (present) {
        avro_put_long(w, v);
    }
}

// Everything behind the partition.
static void put_rest(struct avro_writer *w, const struct ice_data_file *f) {
    avro_put_long(w, f->record_count);
    avro_put_long(w, f->file_bytes);
    put_counts(w, &f->column_bytes);
    put_counts(w, &f->value_counts);
    put_counts(w, &f->null_counts);
    put_counts(w, &f->nan_counts);
    put_bounds(w, &f->lower);
    put_bounds(w, &f->upper);
    avro_put_long(w, 0); // key_metadata
    put_optional_long(w, f->split_count > 0, (int64_t)f->split_count);
    for (size_t i = 0; i < f->split_count; i++) {
        avro_put_long(w, f->split_offsets[i]);
    }
    if (f->split_count) {
        avro_put_long(w, 0);
    }
    put_optional_long(w, f->equality_count > 0, (int64_t)f->equality_count);
    for (size_t i = 0; i < f->equality_count; i++) {
        avro_put_long(w, f->equality_ids[i]);
    }
    if (f->equality_count) {
        avro_put_long(w, 0);
    }
    put_optional_long(w, f->has_sort_order, f->sort_order_id);
    avro_put_long(w, f->referenced_data_file.len ? 1 : 0);
    if (f->referenced_data_file.len) {
        avro_put_bytes(w, f->referenced_data_file);
    }
}

static enum err_code put_entry(struct avro_writer *w, const struct ice_entry *e,
                               const struct ice_partition_type *partition, struct err *err) {
    bool added = e->status == ICE_ADDED;
    CHECK(added || !e->inherit);
    avro_put_long(w, e->status);
    put_optional_long(w, !e->inherit && !(added && !e->snapshot_id), e->snapshot_id);
    put_optional_long(w, !e->inherit && !(added && !e->sequence_number), e->sequence_number);
    put_optional_long(w, !e->inherit && !(added && !e->file_sequence_number),
                      e->file_sequence_number);
    avro_put_long(w, e->file.content);
    avro_put_bytes(w, e->file.path);
    avro_put_bytes(w, e->file.format);
    TRY(ice_partition_put(partition, &e->file, w, err));
    put_rest(w, &e->file);
    avro_writer_record(w);
    return ERR_OK;
}

static void count_entry(const struct ice_entry *e, struct ice_manifest_ref *ref) {
    int32_t *files = e->status == ICE_ADDED      ? &ref->added_files
                     : e->status == ICE_EXISTING ? &ref->existing_files
                                                 : &ref->deleted_files;
    int64_t *rows = e->status == ICE_ADDED      ? &ref->added_rows
                    : e->status == ICE_EXISTING ? &ref->existing_rows
                                                : &ref->deleted_rows;
    (*files)++;
    *rows += e->file.record_count;
}

// The smallest sequence number that live rows have; a new manifest's own when none is live.
static int64_t min_sequence_number(const struct ice_manifest *m, int64_t sequence_number) {
    int64_t lowest = sequence_number;
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct ice_entry *e = &m->entries[i];
        bool inherits = e->inherit || (e->status == ICE_ADDED && !e->sequence_number);
        if (e->status != ICE_DELETED && !inherits) {
            lowest = MIN(lowest, e->sequence_number);
        }
    }
    return lowest;
}

static void describe(const struct ice_manifest *m, const struct ice_partition_type *partition,
                     struct arena *a, struct ice_manifest_ref *ref) {
    *ref = (struct ice_manifest_ref){
        .path = ref->path,
        .added_snapshot_id = ref->added_snapshot_id,
        .sequence_number = ref->sequence_number,
        .spec_id = m->spec_id,
        .deletes = m->deletes,
    };
    ref->min_sequence_number = min_sequence_number(m, ref->sequence_number);
    for (size_t i = 0; i < m->entry_count; i++) {
        count_entry(&m->entries[i], ref);
    }
    ref->partitions = ice_partition_summaries(partition, m->entries, m->entry_count, a);
}

static struct str schema_text(const struct ice_schema *s, struct arena *a) {
    DEFER(json_decrefp) json_t *json = ice_schema_json(s);
    return json_text(json, a);
}

static struct avro_writer *open_writer(const struct ice_manifest *m,
                                       const struct ice_partition_type *partition,
                                       struct arena *a) {
    DEFER(buf_release) struct buf schema = BUF(16 << 20);
    add_schema(&schema, partition, a);
    int32_t schema_id = m->schema_id >= 0 ? m->schema_id : m->schema->schema_id;
    const struct avro_pair meta[] = {
        {STR("schema"), schema_text(m->schema, a)},
        {STR("schema-id"), arena_printf(a, "%d", schema_id)},
        {STR("partition-spec"), m->spec_fields.len ? m->spec_fields : STR("[]")},
        {STR("partition-spec-id"), arena_printf(a, "%d", m->spec_id)},
        {STR("format-version"), STR("2")},
        {STR("content"), m->deletes ? STR("deletes") : STR("data")},
    };
    return avro_writer_new(buf_str(&schema), meta, ARRAY_LEN(meta), AVRO_DEFLATE);
}

enum err_code ice_manifest_write(const struct ice_manifest *m, struct arena *a, struct str *ret,
                                 struct ice_manifest_ref *ref, struct err *err) {
    CHECK(m->schema);
    struct ice_partition_type partition;
    TRY(ice_partition_parse(m->spec_fields, m->schema, a, &partition, err));
    DEFER(avro_writer_freep) struct avro_writer *w = open_writer(m, &partition, a);
    for (size_t i = 0; i < m->entry_count; i++) {
        CHECK((m->entries[i].file.content != ICE_DATA) == m->deletes);
        TRY(put_entry(w, &m->entries[i], &partition, err));
    }
    struct str data = STR_NONE;
    TRY(avro_writer_finish(w, a, &data, err));
    describe(m, &partition, a, ref);
    ref->bytes = (int64_t)data.len;
    *ret = data;
    return ERR_OK;
}

// Reading: each helper passes over what is absent and says false to what has the wrong form.

static bool read_long(const struct avro_value *record, int32_t id, int64_t *ret) {
    const struct avro_value *v = avro_by_id(record, id);
    if (v && v->kind == AVRO_K_LONG) {
        *ret = v->i;
    }
    return !v || v->kind == AVRO_K_LONG;
}

static bool read_i32(const struct avro_value *record, int32_t id, int32_t *ret) {
    int64_t v = *ret;
    if (!read_long(record, id, &v) || v < INT32_MIN || v > INT32_MAX) {
        return false;
    }
    *ret = (int32_t)v;
    return true;
}

static bool read_text(const struct avro_value *record, int32_t id, struct str *ret) {
    const struct avro_value *v = avro_by_id(record, id);
    if (v && v->kind == AVRO_K_BYTES) {
        *ret = v->s;
    }
    return !v || (v->kind == AVRO_K_BYTES && str_is_utf8(v->s));
}

struct map_ids {
    int32_t map, key, value;
};

// Key of one pair of a map; *ret_value NULL: the value is null.
static bool read_pair(const struct avro_value *pair, const struct map_ids *ids, int32_t *ret_key,
                      const struct avro_value **ret_value) {
    const struct avro_value *key = avro_by_id(pair, ids->key);
    if (!key || key->kind != AVRO_K_LONG || key->i < INT32_MIN || key->i > INT32_MAX) {
        return false;
    }
    *ret_key = (int32_t)key->i;
    *ret_value = avro_by_id(pair, ids->value);
    return true;
}

static bool read_counts(const struct avro_value *file, struct map_ids ids, struct arena *a,
                        struct ice_counts *ret) {
    const struct avro_value *map = avro_by_id(file, ids.map);
    if (!map) {
        return true;
    }
    if (map->kind != AVRO_K_ARRAY) {
        return false;
    }
    ret->items = arena_array(a, map->array.count, sizeof(*ret->items));
    for (size_t i = 0; i < map->array.count; i++) {
        int32_t key = 0;
        const struct avro_value *value = NULL;
        if (!read_pair(&map->array.items[i], &ids, &key, &value) ||
            (value && value->kind != AVRO_K_LONG)) {
            return false;
        }
        if (value) {
            ret->items[ret->count++] = (struct ice_count){key, value->i};
        }
    }
    return true;
}

static bool read_bounds(const struct avro_value *file, struct map_ids ids, struct arena *a,
                        struct ice_bounds *ret) {
    const struct avro_value *map = avro_by_id(file, ids.map);
    if (!map) {
        return true;
    }
    if (map->kind != AVRO_K_ARRAY) {
        return false;
    }
    ret->items = arena_array(a, map->array.count, sizeof(*ret->items));
    for (size_t i = 0; i < map->array.count; i++) {
        int32_t key = 0;
        const struct avro_value *value = NULL;
        if (!read_pair(&map->array.items[i], &ids, &key, &value) ||
            (value && value->kind != AVRO_K_BYTES)) {
            return false;
        }
        if (value) {
            ret->items[ret->count++] = (struct ice_bound){key, value->s};
        }
    }
    return true;
}

static bool read_splits(const struct avro_value *file, struct arena *a, struct ice_data_file *ret) {
    const struct avro_value *list = avro_by_id(file, 132);
    if (!list || list->kind != AVRO_K_ARRAY) {
        return !list;
    }
    ret->split_count = list->array.count;
    ret->split_offsets = arena_array(a, ret->split_count, sizeof(*ret->split_offsets));
    for (size_t i = 0; i < ret->split_count; i++) {
        if (list->array.items[i].kind != AVRO_K_LONG) {
            return false;
        }
        ret->split_offsets[i] = list->array.items[i].i;
    }
    return true;
}

static bool read_equality_ids(const struct avro_value *file, struct arena *a,
                              struct ice_data_file *ret) {
    const struct avro_value *list = avro_by_id(file, 135);
    if (!list || list->kind != AVRO_K_ARRAY) {
        return !list;
    }
    ret->equality_count = list->array.count;
    ret->equality_ids = arena_array(a, ret->equality_count, sizeof(*ret->equality_ids));
    for (size_t i = 0; i < ret->equality_count; i++) {
        const struct avro_value *v = &list->array.items[i];
        if (v->kind != AVRO_K_LONG || v->i < INT32_MIN || v->i > INT32_MAX) {
            return false;
        }
        ret->equality_ids[i] = (int32_t)v->i;
    }
    return true;
}

static bool read_metrics(const struct avro_value *file, struct arena *a,
                         struct ice_data_file *ret) {
    return read_counts(file, (struct map_ids){108, 117, 118}, a, &ret->column_bytes) &&
           read_counts(file, (struct map_ids){109, 119, 120}, a, &ret->value_counts) &&
           read_counts(file, (struct map_ids){110, 121, 122}, a, &ret->null_counts) &&
           read_counts(file, (struct map_ids){137, 138, 139}, a, &ret->nan_counts) &&
           read_bounds(file, (struct map_ids){125, 126, 127}, a, &ret->lower) &&
           read_bounds(file, (struct map_ids){128, 129, 130}, a, &ret->upper);
}

struct reading {
    const struct ice_manifest_ref *ref;
    struct arena *a;
    struct err *err;
};

static enum err_code damaged(const struct reading *r, const char *what) {
    return err_set(r->err, ERR_CORRUPT, STR_FMT ": manifest entry: %s", STR_ARG(r->ref->path),
                   what);
}

static enum err_code read_file(const struct reading *r, const struct avro_value *file, bool deletes,
                               struct ice_data_file *ret) {
    int32_t content = ICE_DATA;
    ret->record_count = -1;
    ret->file_bytes = -1;
    if (!read_i32(file, 134, &content) || content < ICE_DATA || content > ICE_EQUALITY_DELETES) {
        return damaged(r, "bad content");
    }
    ret->content = (enum ice_content)content;
    if ((ret->content != ICE_DATA) != deletes) {
        return damaged(r, "data and deletes are mixed");
    }
    if (!read_text(file, 100, &ret->path) || !ret->path.len ||
        !read_text(file, 101, &ret->format) || !ret->format.len) {
        return damaged(r, "bad file_path or file_format");
    }
    if (!read_long(file, 103, &ret->record_count) || ret->record_count < 0 ||
        !read_long(file, 104, &ret->file_bytes) || ret->file_bytes < 0) {
        return damaged(r, "bad record_count or file_size_in_bytes");
    }
    if (avro_by_id(file, 131) || avro_by_id(file, 144)) {
        return err_set(r->err, ERR_UNSUPPORTED,
                       STR_FMT ": encrypted files and deletion vectors are not supported",
                       STR_ARG(r->ref->path));
    }
    ret->has_sort_order = avro_by_id(file, 140) != NULL;
    if (!read_metrics(file, r->a, ret) || !read_splits(file, r->a, ret) ||
        !read_equality_ids(file, r->a, ret) || !read_i32(file, 140, &ret->sort_order_id) ||
        !read_text(file, 143, &ret->referenced_data_file)) {
        return damaged(r, "a field has the wrong type");
    }
    enum err_code code = ice_partition_read(avro_by_id(file, 102), r->a, ret, r->err);
    return code ? err_prefix(r->err, STR_FMT ": ", STR_ARG(r->ref->path)) : ERR_OK;
}

// The rules of inheritance: what an added file leaves null is its manifest's. Manifests of v1
// tables have sequence number 0 and no numbers in any entry.
static enum err_code read_numbers(const struct reading *r, const struct avro_value *record,
                                  struct ice_entry *ret) {
    const struct ice_manifest_ref *ref = r->ref;
    bool inherits = ret->status == ICE_ADDED || ref->sequence_number == 0;
    ret->snapshot_id = ref->added_snapshot_id;
    ret->sequence_number = ref->sequence_number;
    if (!inherits && !avro_by_id(record, 3)) {
        return damaged(r, "a file that is not new has no sequence_number");
    }
    if (!read_long(record, 1, &ret->snapshot_id) || !read_long(record, 3, &ret->sequence_number)) {
        return damaged(r, "bad snapshot_id or sequence_number");
    }
    // Writers before Iceberg 1.0 left it out.
    ret->file_sequence_number = inherits ? ref->sequence_number : ret->sequence_number;
    if (!read_long(record, 4, &ret->file_sequence_number) || ret->sequence_number < 0) {
        return damaged(r, "bad sequence_number or file_sequence_number");
    }
    return ERR_OK;
}

static enum err_code read_entry(const struct reading *r, const struct avro_value *record,
                                bool deletes, struct ice_entry *ret) {
    int32_t status = -1;
    if (!read_i32(record, 0, &status) || status < ICE_EXISTING || status > ICE_DELETED) {
        return damaged(r, "bad status");
    }
    ret->status = (enum ice_status)status;
    TRY(read_numbers(r, record, ret));
    const struct avro_value *file = avro_by_id(record, 2);
    if (!file || file->kind != AVRO_K_RECORD) {
        return damaged(r, "no data_file");
    }
    return read_file(r, file, deletes, &ret->file);
}

static enum err_code header_id(const struct reading *r, const struct avro_file *f, const char *key,
                               int32_t *ret) {
    struct str text = avro_meta(f, key);
    int64_t v = *ret;
    if (text.len && (!str_to_i64(text, &v) || v < INT32_MIN || v > INT32_MAX)) {
        return err_set(r->err, ERR_CORRUPT, STR_FMT ": manifest header: bad %s",
                       STR_ARG(r->ref->path), key);
    }
    *ret = (int32_t)v;
    return ERR_OK;
}

// Some writers put the whole spec where the list of its fields belongs.
static enum err_code header_spec(const struct reading *r, const struct avro_file *f,
                                 struct str *ret) {
    struct str text = avro_meta(f, "partition-spec");
    *ret = STR("[]");
    if (!text.len) {
        return ERR_OK;
    }
    DEFER(json_decrefp) json_t *json = NULL;
    TRY(json_parse_stored(text, arena_cstr(r->a, r->ref->path), &json, r->err));
    const json_t *fields = json_is_object(json) ? json_object_get(json, "fields") : json;
    if (!json_is_array(fields)) {
        return err_set(r->err, ERR_CORRUPT, STR_FMT ": manifest header: bad partition-spec",
                       STR_ARG(r->ref->path));
    }
    if (json_array_size(fields)) {
        *ret = json_text(fields, r->a);
    }
    return ERR_OK;
}

static enum err_code header_schema(const struct reading *r, const struct avro_file *f,
                                   struct ice_manifest *m) {
    struct str text = avro_meta(f, "schema");
    if (!text.len) {
        return err_set(r->err, ERR_CORRUPT, STR_FMT ": manifest header: no schema",
                       STR_ARG(r->ref->path));
    }
    DEFER(json_decrefp) json_t *json = NULL;
    TRY(json_parse_stored(text, arena_cstr(r->a, r->ref->path), &json, r->err));
    struct ice_schema *schema = NULL;
    enum err_code code = ice_schema_parse(json, r->a, &schema, r->err);
    if (code != ERR_OK) {
        return err_prefix(r->err, STR_FMT ": ", STR_ARG(r->ref->path));
    }
    int64_t id = 0;
    if (m->schema_id < 0 && json_get_i64(json, "schema-id", &id)) {
        m->schema_id = schema->schema_id;
    }
    m->schema = schema;
    return ERR_OK;
}

static enum err_code read_header(const struct reading *r, const struct avro_file *f,
                                 struct ice_manifest *m) {
    m->schema_id = -1;
    m->spec_id = r->ref->spec_id;
    TRY(header_id(r, f, "schema-id", &m->schema_id));
    TRY(header_id(r, f, "partition-spec-id", &m->spec_id));
    TRY(header_schema(r, f, m));
    TRY(header_spec(r, f, &m->spec_fields));
    struct str content = avro_meta(f, "content");
    m->deletes = str_is(content, "deletes");
    if ((content.len && !m->deletes && !str_is(content, "data")) || m->deletes != r->ref->deletes) {
        return err_set(r->err, ERR_CORRUPT, STR_FMT ": manifest header: content is not %s",
                       STR_ARG(r->ref->path), r->ref->deletes ? "deletes" : "data");
    }
    return ERR_OK;
}

enum err_code ice_manifest_read(struct str data, const struct ice_manifest_ref *ref,
                                struct arena *a, struct ice_manifest **ret, struct err *err) {
    struct reading r = {ref, a, err};
    struct avro_reader *reader = NULL;
    TRY(avro_reader_open(data, ref->path, a, &reader, err));
    struct ice_manifest *m = arena_alloc(a, sizeof(*m));
    TRY(read_header(&r, avro_reader_file(reader), m));
    DEFER(arena_release) struct arena scratch = ARENA(ENTRY_BYTES_MAX);
    size_t cap = 0;
    while (true) {
        const struct avro_value *record = NULL;
        arena_reset(&scratch);
        TRY(avro_reader_next(reader, &scratch, &record, err));
        if (!record) {
            *ret = m;
            return ERR_OK;
        }
        struct ice_entry entry = {0};
        TRY(read_entry(&r, record, m->deletes, &entry));
        m->entries = arena_grow(a, m->entries, &cap, m->entry_count + 1, sizeof(*m->entries));
        m->entries[m->entry_count++] = entry;
    }
}
