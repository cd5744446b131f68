// Iceberg table metadata, writing: new tables, changes, and the JSON document.
//
// A document that was read is written again with the members that the struct covers put in their
// places; what else it had stays as it was, in snapshots and refs too. Members of a new document:
//
//   format-version 2, table-uuid, location, last-sequence-number, last-updated-ms, last-column-id,
//   schemas, current-schema-id, partition-specs, default-spec-id, last-partition-id, sort-orders,
//   default-sort-order-id, properties, current-snapshot-id, refs, snapshots, snapshot-log,
//   metadata-log
//
// A table without a current snapshot has neither current-snapshot-id nor main.
#include "iceberg/metadata_int.h"

#include "base/hash.h"

#define LOG_PREVIOUS_DEFAULT 100

struct ice_metadata *ice_metadata_new(struct str uuid, struct str location,
                                      const struct ice_schema *schema, int64_t now_ms,
                                      struct arena *a) {
    struct ice_metadata *m = arena_alloc(a, sizeof(*m));
    m->uuid = arena_str(a, uuid);
    m->location = arena_str(a, location);
    while (m->location.len > 1 && m->location.ptr[m->location.len - 1] == '/') {
        m->location.len--;
    }
    m->last_updated_ms = now_ms;
    struct ice_schema *copy = ice_schema_copy(schema, a);
    copy->schema_id = 0;
    m->last_column_id = ice_schema_highest_id(copy);
    m->schemas = arena_array(a, 1, sizeof(struct ice_schema *));
    m->schemas[0] = copy;
    m->schema_count = 1;
    return m;
}

static struct ice_pair *copy_pairs(const struct ice_pair *pairs, size_t count, struct arena *a) {
    struct ice_pair *copy = arena_array(a, count, sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = (struct ice_pair){arena_str(a, pairs[i].key), arena_str(a, pairs[i].value)};
    }
    return copy;
}

static struct ice_snapshot copy_snapshot(const struct ice_snapshot *s, struct arena *a) {
    struct ice_snapshot copy = *s;
    copy.manifest_list = arena_str(a, s->manifest_list);
    copy.operation = arena_str(a, s->operation);
    copy.summary = copy_pairs(s->summary, s->summary_count, a);
    return copy;
}

static struct ice_log_entry *copy_log(const struct ice_log_entry *log, size_t count, size_t room,
                                      struct arena *a) {
    struct ice_log_entry *copy = arena_array(a, count + room, sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = log[i];
        copy[i].metadata = arena_str(a, log[i].metadata);
    }
    return copy;
}

struct ice_metadata *ice_metadata_copy(const struct ice_metadata *m, struct arena *a) {
    struct ice_metadata *copy = arena_alloc(a, sizeof(*copy));
    *copy = *m;
    copy->uuid = arena_str(a, m->uuid);
    copy->location = arena_str(a, m->location);
    copy->schemas = arena_array(a, m->schema_count, sizeof(struct ice_schema *));
    for (size_t i = 0; i < m->schema_count; i++) {
        copy->schemas[i] = ice_schema_copy(m->schemas[i], a);
    }
    copy->snapshots = arena_array(a, m->snapshot_count, sizeof(*copy->snapshots));
    for (size_t i = 0; i < m->snapshot_count; i++) {
        copy->snapshots[i] = copy_snapshot(&m->snapshots[i], a);
    }
    copy->snapshot_log = copy_log(m->snapshot_log, m->snapshot_log_count, 0, a);
    copy->metadata_log = copy_log(m->metadata_log, m->metadata_log_count, 0, a);
    copy->properties = copy_pairs(m->properties, m->property_count, a);
    // The trees are only read from now on, and their counts are atomic.
    copy->document = m->document ? ice_json_own(json_incref(m->document), a) : NULL;
    copy->refs = m->refs ? ice_json_own(json_incref(m->refs), a) : NULL;
    return copy;
}

void ice_metadata_add_snapshot(struct ice_metadata *m, const struct ice_snapshot *s,
                               struct arena *a) {
    struct ice_snapshot *list = arena_array(a, m->snapshot_count + 1, sizeof(*list));
    for (size_t i = 0; i < m->snapshot_count; i++) {
        list[i] = m->snapshots[i];
    }
    struct ice_snapshot *added = &list[m->snapshot_count];
    *added = copy_snapshot(s, a);
    // Readers refuse a table whose log goes back in time, as a wall clock may.
    added->timestamp_ms = MAX(s->timestamp_ms, m->last_updated_ms);
    m->snapshots = list;
    m->snapshot_count++;
    m->snapshot_log = copy_log(m->snapshot_log, m->snapshot_log_count, 1, a);
    m->snapshot_log[m->snapshot_log_count++] = (struct ice_log_entry){
        .timestamp_ms = added->timestamp_ms,
        .snapshot_id = s->id,
    };
    m->current_snapshot_id = s->id;
    m->refs = ice_refs_with_main(m->refs, s->id, a);
    m->last_sequence_number = MAX(m->last_sequence_number, s->sequence_number);
    m->last_updated_ms = added->timestamp_ms;
}

// The same in everything but the id: docs and identifier fields count too.
static bool same_schema(const struct ice_schema *x, const struct ice_schema *y) {
    if (!ice_schema_eq(x, y)) {
        return false;
    }
    DEFER(json_decrefp) json_t *a = ice_schema_json(x);
    DEFER(json_decrefp) json_t *b = ice_schema_json(y);
    ice_json_set(a, "schema-id", json_integer(0));
    ice_json_set(b, "schema-id", json_integer(0));
    return json_equal(a, b);
}

int32_t ice_metadata_set_schema(struct ice_metadata *m, const struct ice_schema *s,
                                struct arena *a) {
    int32_t next_id = 0;
    for (size_t i = 0; i < m->schema_count; i++) {
        if (same_schema(m->schemas[i], s)) {
            m->current_schema_id = m->schemas[i]->schema_id;
            return m->current_schema_id;
        }
        next_id = MAX(next_id, m->schemas[i]->schema_id + 1);
    }
    struct ice_schema **list = arena_array(a, m->schema_count + 1, sizeof(struct ice_schema *));
    for (size_t i = 0; i < m->schema_count; i++) {
        list[i] = m->schemas[i];
    }
    list[m->schema_count] = ice_schema_copy(s, a);
    list[m->schema_count]->schema_id = next_id;
    m->schemas = list;
    m->schema_count++;
    m->current_schema_id = next_id;
    m->last_column_id = MAX(m->last_column_id, ice_schema_highest_id(s));
    return next_id;
}

static size_t log_previous_max(const struct ice_metadata *m) {
    int64_t max = LOG_PREVIOUS_DEFAULT;
    for (size_t i = 0; i < m->property_count; i++) {
        if (str_is(m->properties[i].key, "write.metadata.previous-versions-max")) {
            (void)str_to_i64(m->properties[i].value, &max);
        }
    }
    return (size_t)MAX(max, 1);
}

void ice_metadata_log_previous(struct ice_metadata *m, struct str previous_path,
                               int64_t previous_updated_ms, struct arena *a) {
    struct ice_log_entry *log = copy_log(m->metadata_log, m->metadata_log_count, 1, a);
    size_t count = m->metadata_log_count;
    log[count++] = (struct ice_log_entry){
        .timestamp_ms = previous_updated_ms,
        .metadata = arena_str(a, previous_path),
    };
    size_t drop = count > log_previous_max(m) ? count - log_previous_max(m) : 0;
    m->metadata_log = log + drop;
    m->metadata_log_count = count - drop;
}

int64_t ice_snapshot_id_new(const struct ice_metadata *m) {
    int64_t id = 0;
    do {
        id = (int64_t)(random_u64() >> 11);
    } while (id == 0 || ice_metadata_snapshot_by_id(m, id));
    return id;
}

static void append(json_t *array, json_t *value) {
    CHECK(value && json_array_append_new(array, value) == 0);
}

// The element of a list of the document that has this id, or NULL. Lists keep their order, so the
// search goes on where the last one ended.
static json_t *find_in(const json_t *list, const char *key, int64_t id, size_t *at) {
    size_t size = json_array_size(list);
    for (size_t i = 0; i < size; i++) {
        json_t *element = json_array_get(list, (*at + i) % size);
        const json_t *v = json_object_get(element, key);
        if (json_is_integer(v) && json_integer_value(v) == id) {
            *at = (*at + i + 1) % size;
            return element;
        }
    }
    return NULL;
}

// A schema never changes under its id: the text that was read holds what this server does not know.
static json_t *schemas_json(const struct ice_metadata *m) {
    const json_t *old = json_object_get(m->document, "schemas");
    json_t *array = json_array();
    size_t at = 0;
    for (size_t i = 0; i < m->schema_count; i++) {
        json_t *known = find_in(old, "schema-id", m->schemas[i]->schema_id, &at);
        append(array, known ? json_incref(known) : ice_schema_json(m->schemas[i]));
    }
    return array;
}

static json_t *pairs_json(const struct ice_pair *pairs, size_t count, json_t *obj) {
    for (size_t i = 0; i < count; i++) {
        DEFER(arena_release) struct arena a = ARENA(1024);
        ice_json_set(obj, arena_cstr(&a, pairs[i].key), json_new_str(pairs[i].value));
    }
    return obj;
}

static json_t *snapshot_json(const struct ice_snapshot *s, json_t *known) {
    json_t *obj = known ? json_copy(known) : json_object();
    ice_json_set(obj, "snapshot-id", json_integer(s->id));
    if (s->parent_id) {
        ice_json_set(obj, "parent-snapshot-id", json_integer(s->parent_id));
    }
    ice_json_set(obj, "sequence-number", json_integer(s->sequence_number));
    ice_json_set(obj, "timestamp-ms", json_integer(s->timestamp_ms));
    ice_json_set(obj, "manifest-list", json_new_str(s->manifest_list));
    json_t *summary = json_object();
    if (s->operation.len) {
        ice_json_set(summary, "operation", json_new_str(s->operation));
    }
    ice_json_set(obj, "summary", pairs_json(s->summary, s->summary_count, summary));
    if (s->schema_id >= 0) {
        ice_json_set(obj, "schema-id", json_integer(s->schema_id));
    }
    return obj;
}

static json_t *snapshots_json(const struct ice_metadata *m) {
    const json_t *old = json_object_get(m->document, "snapshots");
    json_t *array = json_array();
    size_t at = 0;
    for (size_t i = 0; i < m->snapshot_count; i++) {
        append(array, snapshot_json(&m->snapshots[i],
                                    find_in(old, "snapshot-id", m->snapshots[i].id, &at)));
    }
    return array;
}

static json_t *log_json(const struct ice_log_entry *log, size_t count, bool snapshots) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *obj = json_object();
        if (snapshots) {
            ice_json_set(obj, "snapshot-id", json_integer(log[i].snapshot_id));
        } else {
            ice_json_set(obj, "metadata-file", json_new_str(log[i].metadata));
        }
        ice_json_set(obj, "timestamp-ms", json_integer(log[i].timestamp_ms));
        append(array, obj);
    }
    return array;
}

static json_t *default_list(const char *id_key) {
    return json_pack("[{s:i,s:[]}]", id_key, 0, "fields");
}

// What only a new document needs: one unpartitioned spec, one order that does not sort.
static void set_default(json_t *doc, const char *key, json_t *value) {
    if (json_object_get(doc, key)) {
        json_decref(value);
    } else {
        ice_json_set(doc, key, value);
    }
}

static void set_structure(json_t *doc, const struct ice_metadata *m) {
    ice_json_set(doc, "format-version", json_integer(2));
    ice_json_set(doc, "table-uuid", json_new_str(m->uuid));
    ice_json_set(doc, "location", json_new_str(m->location));
    ice_json_set(doc, "last-sequence-number", json_integer(m->last_sequence_number));
    ice_json_set(doc, "last-updated-ms", json_integer(m->last_updated_ms));
    ice_json_set(doc, "last-column-id", json_integer(m->last_column_id));
    ice_json_set(doc, "schemas", schemas_json(m));
    ice_json_set(doc, "current-schema-id", json_integer(m->current_schema_id));
    set_default(doc, "partition-specs", default_list("spec-id"));
    ice_json_set(doc, "default-spec-id", json_integer(m->default_spec_id));
    set_default(doc, "last-partition-id", json_integer(999));
    set_default(doc, "sort-orders", default_list("order-id"));
    set_default(doc, "default-sort-order-id", json_integer(0));
    ice_json_set(doc, "properties", pairs_json(m->properties, m->property_count, json_object()));
}

static void set_history(json_t *doc, const struct ice_metadata *m) {
    if (m->current_snapshot_id) {
        ice_json_set(doc, "current-snapshot-id", json_integer(m->current_snapshot_id));
    } else {
        (void)json_object_del(doc, "current-snapshot-id");
    }
    ice_json_set(doc, "refs", m->refs ? json_incref(m->refs) : json_object());
    ice_json_set(doc, "snapshots", snapshots_json(m));
    ice_json_set(doc, "snapshot-log", log_json(m->snapshot_log, m->snapshot_log_count, true));
    ice_json_set(doc, "metadata-log", log_json(m->metadata_log, m->metadata_log_count, false));
}

struct str ice_metadata_text(const struct ice_metadata *m, struct arena *a) {
    DEFER(json_decrefp) json_t *doc = m->document ? json_copy(m->document) : json_object();
    CHECK(doc);
    set_structure(doc, m);
    set_history(doc, m);
    return json_text(doc, a);
}
