// Iceberg table metadata, reading: from the JSON document to a struct, with its rules checked.
//
// Snapshots, schemas and logs become lists; everything else stays in the document, from which the
// writer takes it again.
#include "iceberg/metadata_int.h"

struct reading {
    const json_t *doc;
    struct str path;
    struct arena *a;
    struct err *err;
    struct ice_metadata *m;
};

static enum err_code bad(const struct reading *r, const char *member, const char *what) {
    return err_set(r->err, ERR_CORRUPT, STR_FMT ": table metadata: \"%s\" %s", STR_ARG(r->path),
                   member, what);
}

static void decref(void *json) {
    json_decref(json);
}

json_t *ice_json_own(json_t *json, struct arena *a) {
    CHECK(json);
    arena_defer(a, decref, json);
    return json;
}

void ice_json_set(json_t *obj, const char *key, json_t *value) {
    CHECK(value && json_object_set_new_nocheck(obj, key, value) == 0);
}

json_t *ice_refs_with_main(json_t *refs, int64_t snapshot_id, struct arena *a) {
    json_t *copy = ice_json_own(refs ? json_copy(refs) : json_object(), a);
    json_t *old = json_object_get(copy, "main");
    json_t *main_ref = old ? json_copy(old) : json_object();
    ice_json_set(main_ref, "snapshot-id", json_integer(snapshot_id));
    ice_json_set(main_ref, "type", json_string("branch"));
    ice_json_set(copy, "main", main_ref);
    return copy;
}

static enum err_code need_i64(const struct reading *r, const json_t *obj, const char *key,
                              int64_t *ret) {
    if (!json_is_integer(json_object_get(obj, key))) {
        return bad(r, key, "is missing or not an integer");
    }
    *ret = json_integer_value(json_object_get(obj, key));
    return ERR_OK;
}

static enum err_code need_i32(const struct reading *r, const json_t *obj, const char *key,
                              int32_t *ret) {
    int64_t v = 0;
    TRY(need_i64(r, obj, key, &v));
    if (v < 0 || v > INT32_MAX) {
        return bad(r, key, "is out of range");
    }
    *ret = (int32_t)v;
    return ERR_OK;
}

static struct str text_of(const json_t *json) {
    return (struct str){json_string_value(json), json_string_length(json)};
}

static enum err_code need_text(const struct reading *r, const json_t *obj, const char *key,
                               struct str *ret) {
    const json_t *v = json_object_get(obj, key);
    if (!json_is_string(v) || json_string_length(v) == 0) {
        return bad(r, key, "is missing or not a text");
    }
    *ret = arena_str(r->a, text_of(v));
    return ERR_OK;
}

// A list that need not be there; NULL when it is absent or null.
static enum err_code optional_list(const struct reading *r, const char *key, const json_t **ret) {
    const json_t *v = json_object_get(r->doc, key);
    if (v && !json_is_null(v) && !json_is_array(v)) {
        return bad(r, key, "is not a list");
    }
    *ret = json_is_array(v) ? v : NULL;
    return ERR_OK;
}

// Text pairs of an object. Other writers put numbers where texts belong: their JSON text serves.
static struct ice_pair *read_pairs(const struct reading *r, json_t *obj, const char *without,
                                   size_t *ret_count) {
    struct ice_pair *pairs = arena_array(r->a, json_object_size(obj), sizeof(*pairs));
    const char *key = NULL;
    json_t *value = NULL;
    *ret_count = 0;
    json_object_foreach(obj, key, value) {
        if (without && str_is(str_from(key), without)) {
            continue;
        }
        pairs[(*ret_count)++] = (struct ice_pair){
            arena_str(r->a, str_from(key)),
            json_is_string(value) ? arena_str(r->a, text_of(value)) : json_text(value, r->a),
        };
    }
    return pairs;
}

static enum err_code read_schemas(const struct reading *r) {
    const json_t *list = NULL;
    TRY(optional_list(r, "schemas", &list));
    size_t count = list ? json_array_size(list) : 0;
    if (!count) {
        return bad(r, "schemas", "is missing or empty");
    }
    r->m->schemas = arena_array(r->a, count, sizeof(struct ice_schema *));
    for (size_t i = 0; i < count; i++) {
        struct ice_schema *s = NULL;
        const json_t *json = json_array_get(list, i);
        if (ice_schema_parse(json, r->a, &s, r->err) != ERR_OK) {
            return err_prefix(r->err, STR_FMT ": ", STR_ARG(r->path));
        }
        TRY(need_i32(r, json, "schema-id", &s->schema_id));
        if (ice_metadata_schema_by_id(r->m, s->schema_id)) {
            return bad(r, "schemas", "has a schema-id twice");
        }
        r->m->schemas[r->m->schema_count++] = s;
        r->m->last_column_id = MAX(r->m->last_column_id, ice_schema_highest_id(s));
    }
    TRY(need_i32(r, r->doc, "current-schema-id", &r->m->current_schema_id));
    if (!ice_metadata_schema_by_id(r->m, r->m->current_schema_id)) {
        return bad(r, "current-schema-id", "is not among the schemas");
    }
    return ERR_OK;
}

static enum err_code read_specs(const struct reading *r) {
    const json_t *list = NULL;
    TRY(optional_list(r, "partition-specs", &list));
    TRY(need_i32(r, r->doc, "default-spec-id", &r->m->default_spec_id));
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        int32_t id = 0;
        TRY(need_i32(r, json_array_get(list, i), "spec-id", &id));
        if (id == r->m->default_spec_id) {
            return ERR_OK;
        }
    }
    return bad(r, "default-spec-id", "is not among the partition-specs");
}

static enum err_code read_snapshot(const struct reading *r, const json_t *json,
                                   struct ice_snapshot *ret) {
    TRY(need_i64(r, json, "snapshot-id", &ret->id));
    TRY(need_i64(r, json, "timestamp-ms", &ret->timestamp_ms));
    TRY(need_text(r, json, "manifest-list", &ret->manifest_list));
    (void)json_get_i64(json, "parent-snapshot-id", &ret->parent_id);
    // Snapshots from the time when the table was v1 have no sequence number: 0.
    (void)json_get_i64(json, "sequence-number", &ret->sequence_number);
    ret->schema_id = -1;
    if (json_is_integer(json_object_get(json, "schema-id"))) {
        TRY(need_i32(r, json, "schema-id", &ret->schema_id));
    }
    json_t *summary = json_object_get(json, "summary");
    struct str operation = STR_NONE;
    (void)json_get_str(summary, "operation", &operation);
    ret->operation = arena_str(r->a, operation);
    ret->summary = read_pairs(r, summary, "operation", &ret->summary_count);
    return ret->id > 0 ? ERR_OK : bad(r, "snapshot-id", "is not positive");
}

static enum err_code read_snapshots(const struct reading *r) {
    const json_t *list = NULL;
    TRY(optional_list(r, "snapshots", &list));
    size_t count = list ? json_array_size(list) : 0;
    DEFER(json_decrefp) json_t *seen = json_object();
    r->m->snapshots = arena_array(r->a, count, sizeof(*r->m->snapshots));
    for (size_t i = 0; i < count; i++) {
        struct ice_snapshot *s = &r->m->snapshots[i];
        TRY(read_snapshot(r, json_array_get(list, i), s));
        const char *id = arena_printf(r->a, "%lld", (long long)s->id).ptr;
        if (json_object_get(seen, id)) {
            return bad(r, "snapshots", "has a snapshot-id twice");
        }
        ice_json_set(seen, id, json_true());
    }
    r->m->snapshot_count = count;
    return ERR_OK;
}

// main is the current snapshot; a table without refs has it by that member alone.
static enum err_code read_current(const struct reading *r) {
    struct ice_metadata *m = r->m;
    int64_t current = -1;
    (void)json_get_i64(r->doc, "current-snapshot-id", &current);
    m->current_snapshot_id = current == -1 ? 0 : current;
    if (m->current_snapshot_id && !ice_metadata_snapshot(m)) {
        return bad(r, "current-snapshot-id", "is not among the snapshots");
    }
    json_t *refs = json_object_get(r->doc, "refs");
    if (refs && !json_is_null(refs) && !json_is_object(refs)) {
        return bad(r, "refs", "is not an object");
    }
    int64_t main_id = 0;
    const json_t *main_ref = json_object_get(refs, "main");
    if (main_ref) {
        TRY(need_i64(r, main_ref, "snapshot-id", &main_id));
    }
    if (main_ref && main_id != m->current_snapshot_id) {
        return bad(r, "refs", "has a main that is not the current snapshot");
    }
    m->refs = json_is_object(refs) ? refs : NULL;
    if (m->current_snapshot_id && !main_ref) {
        m->refs = ice_refs_with_main(m->refs, m->current_snapshot_id, r->a);
    }
    return ERR_OK;
}

static enum err_code read_log(const struct reading *r, const char *key, bool snapshots,
                              struct ice_log_entry **ret, size_t *ret_count) {
    const json_t *list = NULL;
    TRY(optional_list(r, key, &list));
    size_t count = list ? json_array_size(list) : 0;
    struct ice_log_entry *log = arena_array(r->a, count, sizeof(*log));
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        TRY(need_i64(r, entry, "timestamp-ms", &log[i].timestamp_ms));
        if (snapshots) {
            TRY(need_i64(r, entry, "snapshot-id", &log[i].snapshot_id));
        } else {
            TRY(need_text(r, entry, "metadata-file", &log[i].metadata));
        }
    }
    *ret = log;
    *ret_count = count;
    return ERR_OK;
}

static enum err_code read_version(const struct reading *r) {
    int64_t version = 0;
    TRY(need_i64(r, r->doc, "format-version", &version));
    if (version != 2) {
        return err_set(r->err, ERR_UNSUPPORTED,
                       STR_FMT ": table metadata: format version %lld is not supported, only 2",
                       STR_ARG(r->path), (long long)version);
    }
    return ERR_OK;
}

static struct str without_slashes(struct str location) {
    while (location.len > 1 && location.ptr[location.len - 1] == '/') {
        location.len--;
    }
    return location;
}

static enum err_code read_members(const struct reading *r) {
    struct ice_metadata *m = r->m;
    TRY(read_version(r));
    TRY(need_text(r, r->doc, "table-uuid", &m->uuid));
    TRY(need_text(r, r->doc, "location", &m->location));
    m->location = without_slashes(m->location);
    TRY(need_i64(r, r->doc, "last-sequence-number", &m->last_sequence_number));
    TRY(need_i64(r, r->doc, "last-updated-ms", &m->last_updated_ms));
    TRY(need_i32(r, r->doc, "last-column-id", &m->last_column_id));
    TRY(read_schemas(r));
    TRY(read_specs(r));
    TRY(read_snapshots(r));
    TRY(read_current(r));
    TRY(read_log(r, "snapshot-log", true, &m->snapshot_log, &m->snapshot_log_count));
    TRY(read_log(r, "metadata-log", false, &m->metadata_log, &m->metadata_log_count));
    json_t *properties = json_object_get(r->doc, "properties");
    if (properties && !json_is_null(properties) && !json_is_object(properties)) {
        return bad(r, "properties", "is not an object");
    }
    m->properties = read_pairs(r, properties, NULL, &m->property_count);
    return ERR_OK;
}

enum err_code ice_metadata_parse(struct str text, struct str path, struct arena *a,
                                 struct ice_metadata **ret, struct err *err) {
    json_t *doc = NULL;
    TRY(json_parse_stored(text, arena_cstr(a, path), &doc, err));
    struct ice_metadata *m = arena_alloc(a, sizeof(*m));
    m->document = ice_json_own(doc, a);
    if (!json_is_object(doc)) {
        return err_set(err, ERR_CORRUPT, STR_FMT ": table metadata: not an object", STR_ARG(path));
    }
    struct reading r = {doc, path, a, err, m};
    TRY(read_members(&r));
    *ret = m;
    return ERR_OK;
}

const struct ice_schema *ice_metadata_schema(const struct ice_metadata *m) {
    return ice_metadata_schema_by_id(m, m->current_schema_id);
}

const struct ice_schema *ice_metadata_schema_by_id(const struct ice_metadata *m, int32_t id) {
    for (size_t i = 0; i < m->schema_count; i++) {
        if (m->schemas[i]->schema_id == id) {
            return m->schemas[i];
        }
    }
    return NULL;
}

const struct ice_snapshot *ice_metadata_snapshot(const struct ice_metadata *m) {
    return m->current_snapshot_id ? ice_metadata_snapshot_by_id(m, m->current_snapshot_id) : NULL;
}

const struct ice_snapshot *ice_metadata_snapshot_by_id(const struct ice_metadata *m, int64_t id) {
    for (size_t i = m->snapshot_count; i > 0; i--) {
        if (m->snapshots[i - 1].id == id) {
            return &m->snapshots[i - 1];
        }
    }
    return NULL;
}

const struct ice_snapshot *ice_metadata_snapshot_at(const struct ice_metadata *m,
                                                    int64_t timestamp_ms) {
    for (size_t i = m->snapshot_log_count; i > 0; i--) {
        if (m->snapshot_log[i - 1].timestamp_ms <= timestamp_ms) {
            return ice_metadata_snapshot_by_id(m, m->snapshot_log[i - 1].snapshot_id);
        }
    }
    return NULL;
}

struct ice_totals ice_totals_of(const struct ice_snapshot *parent) {
    struct ice_totals totals = {0};
    struct {
        const char *key;
        int64_t *value;
    } const names[] = {
        {"total-data-files", &totals.data_files},
        {"total-delete-files", &totals.delete_files},
        {"total-records", &totals.records},
        {"total-files-size", &totals.file_bytes},
        {"total-position-deletes", &totals.position_deletes},
        {"total-equality-deletes", &totals.equality_deletes},
    };
    for (size_t i = 0; parent && i < ARRAY_LEN(names); i++) {
        *names[i].value = -1;
        for (size_t k = 0; k < parent->summary_count; k++) {
            const struct ice_pair *pair = &parent->summary[k];
            int64_t v = -1;
            if (str_is(pair->key, names[i].key) && str_to_i64(pair->value, &v) && v >= 0) {
                *names[i].value = v;
            }
        }
    }
    return totals;
}
