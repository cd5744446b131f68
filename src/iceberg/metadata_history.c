// Iceberg table metadata, history: which snapshots may go, taking them out, and going back to one.
//
// Source: Apache Iceberg table spec, "Snapshot Retention Policy" and "Snapshot Log": a branch keeps
// its head and those before it that are young enough or among the first few; a tag keeps one
// snapshot; a ref may set limits of its own, and one that is too old itself keeps nothing (main
// never is). What no ref needs goes when it is old. A log with a gap would lie: it begins behind
// the last snapshot that was taken out.

#include "iceberg/metadata_int.h"

#include <stdlib.h>

#define AGE_DEFAULT_MS (INT64_C(5) * 24 * 60 * 60 * 1000)
#define KEEP_DEFAULT 1

static int64_t property(const struct ice_metadata *m, const char *key, int64_t otherwise) {
    for (size_t i = 0; i < m->property_count; i++) {
        int64_t value;
        if (str_is(m->properties[i].key, key) && str_to_i64(m->properties[i].value, &value)) {
            return value;
        }
    }
    return otherwise;
}

struct ice_retention ice_metadata_retention(const struct ice_metadata *m, int64_t now_ms) {
    return (struct ice_retention){
        .now_ms = now_ms,
        .max_age_ms = property(m, "history.expire.max-snapshot-age-ms", AGE_DEFAULT_MS),
        .min_keep = property(m, "history.expire.min-snapshots-to-keep", KEEP_DEFAULT),
    };
}

static int64_t ref_limit(const json_t *ref, const char *key, int64_t otherwise) {
    int64_t value;
    return json_get_i64(ref, key, &value) ? value : otherwise;
}

static size_t snapshot_index(const struct ice_metadata *m, int64_t id) {
    const struct ice_snapshot *s = ice_metadata_snapshot_by_id(m, id);
    return s != NULL ? (size_t)(s - m->snapshots) : SIZE_MAX;
}

static bool is_old(const struct ice_metadata *m, size_t at, int64_t now_ms, int64_t age_ms) {
    return now_ms - m->snapshots[at].timestamp_ms > age_ms;
}

// Marks the snapshots that a branch keeps, from its head back.
static void keep_branch(const struct ice_metadata *m, const struct ice_retention *r,
                        const json_t *ref, size_t head, bool *keep) {
    const int64_t age_ms = ref_limit(ref, "max-snapshot-age-ms", r->max_age_ms);
    const int64_t min_keep = ref_limit(ref, "min-snapshots-to-keep", r->min_keep);
    int64_t count = 0;
    for (size_t at = head; at != SIZE_MAX; at = snapshot_index(m, m->snapshots[at].parent_id)) {
        const bool many = r->keep_max > 0 && count >= MAX(r->keep_max, 1);
        const bool old = count >= MAX(min_keep, 1) && is_old(m, at, r->now_ms, age_ms);
        if (many || old || (size_t)count > m->snapshot_count) {
            break;
        }
        keep[at] = true;
        count++;
    }
}

static void keep_ref(const struct ice_metadata *m, const struct ice_retention *r, const char *name,
                     const json_t *ref, bool *keep) {
    struct str type = STR_NONE;
    int64_t id = 0;
    (void)json_get_str(ref, "type", &type);
    (void)json_get_i64(ref, "snapshot-id", &id);
    const size_t at = snapshot_index(m, id);
    const bool is_main = str_is(str_from(name), "main");
    const int64_t ref_age_ms =
        ref_limit(ref, "max-ref-age-ms", property(m, "history.expire.max-ref-age-ms", INT64_MAX));
    if (at == SIZE_MAX || (!is_main && is_old(m, at, r->now_ms, ref_age_ms))) {
        return;
    }
    if (str_is(type, "tag")) {
        keep[at] = true;
    } else {
        keep_branch(m, r, ref, at, keep);
    }
}

int64_t *ice_metadata_expired(const struct ice_metadata *m, const struct ice_retention *r,
                              struct arena *a, size_t *ret_count) {
    bool *keep = arena_array(a, m->snapshot_count, sizeof(*keep));
    int64_t *ids = arena_array(a, m->snapshot_count, sizeof(*ids));
    bool *of_ref = arena_array(a, m->snapshot_count, sizeof(*of_ref));
    const char *name;
    json_t *ref;
    *ret_count = 0;
    json_object_foreach(m->refs, name, ref) {
        keep_ref(m, r, name, ref, keep);
        const struct ice_retention all = {.max_age_ms = INT64_MAX, .min_keep = INT64_MAX};
        keep_branch(m, &all, NULL, snapshot_index(m, ref_limit(ref, "snapshot-id", 0)), of_ref);
    }
    for (size_t i = 0; i < m->snapshot_count; i++) {
        // Of what no ref leads to (a state that was rolled back from) only the old goes.
        const bool lost = !of_ref[i] && !is_old(m, i, r->now_ms, r->max_age_ms);
        if (!keep[i] && !lost) {
            ids[(*ret_count)++] = m->snapshots[i].id;
        }
    }
    return ids;
}

static int by_value(const void *x, const void *y) {
    const int64_t a = *(const int64_t *)x;
    const int64_t b = *(const int64_t *)y;
    return a < b ? -1 : a > b;
}

struct ids {
    int64_t *items; // sorted
    size_t count;
};

static bool has(const struct ids *ids, int64_t id) {
    return bsearch(&id, ids->items, ids->count, sizeof(id), by_value) != NULL;
}

static void cut_log(struct ice_metadata *m, const struct ids *gone, struct arena *a) {
    struct ice_log_entry *log = arena_array(a, m->snapshot_log_count, sizeof(*log));
    size_t count = 0;
    for (size_t i = 0; i < m->snapshot_log_count; i++) {
        if (has(gone, m->snapshot_log[i].snapshot_id)) {
            count = 0;
        } else {
            log[count++] = m->snapshot_log[i];
        }
    }
    m->snapshot_log = log;
    m->snapshot_log_count = count;
}

static void cut_refs(struct ice_metadata *m, const struct ids *gone, struct arena *a) {
    const char *name;
    json_t *ref;
    if (m->refs == NULL) {
        return;
    }
    json_t *refs = ice_json_own(json_object(), a);
    json_object_foreach(m->refs, name, ref) {
        if (!has(gone, ref_limit(ref, "snapshot-id", 0))) {
            ice_json_set(refs, name, json_incref(ref));
        }
    }
    m->refs = refs;
}

// Statistics of a snapshot go with it.
static void cut_statistics(json_t *doc, const char *key, const struct ids *gone) {
    const json_t *old = json_object_get(doc, key);
    if (!json_is_array(old)) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(old); i++) {
        json_t *item = json_array_get(old, i);
        if (!has(gone, ref_limit(item, "snapshot-id", 0))) {
            CHECK(json_array_append(list, item) == 0);
        }
    }
    ice_json_set(doc, key, list);
}

void ice_metadata_remove_snapshots(struct ice_metadata *m, const int64_t *ids, size_t count,
                                   struct arena *a) {
    struct ids gone = {.items = arena_array(a, count, sizeof(*gone.items)), .count = count};
    struct ice_snapshot *left = arena_array(a, m->snapshot_count, sizeof(*left));
    size_t left_count = 0;
    for (size_t i = 0; i < count; i++) {
        gone.items[i] = ids[i];
    }
    qsort(gone.items, count, sizeof(*gone.items), by_value);
    CHECK(!has(&gone, m->current_snapshot_id));
    for (size_t i = 0; i < m->snapshot_count; i++) {
        if (!has(&gone, m->snapshots[i].id)) {
            left[left_count++] = m->snapshots[i];
        }
    }
    m->snapshots = left;
    m->snapshot_count = left_count;
    cut_log(m, &gone, a);
    cut_refs(m, &gone, a);
    if (m->document != NULL) {
        m->document = ice_json_own(json_copy(m->document), a);
        cut_statistics(m->document, "statistics", &gone);
        cut_statistics(m->document, "partition-statistics", &gone);
    }
}

void ice_metadata_forget_past(struct ice_metadata *m, struct arena *a) {
    m->metadata_log = NULL;
    m->metadata_log_count = 0;
    if (m->document != NULL) {
        m->document = ice_json_own(json_copy(m->document), a);
        (void)json_object_del(m->document, "statistics");
        (void)json_object_del(m->document, "partition-statistics");
    }
}

void ice_metadata_set_main(struct ice_metadata *m, int64_t snapshot_id, int64_t now_ms,
                           struct arena *a) {
    struct ice_log_entry *log = arena_array(a, m->snapshot_log_count + 1, sizeof(*log));
    CHECK(ice_metadata_snapshot_by_id(m, snapshot_id) != NULL);
    for (size_t i = 0; i < m->snapshot_log_count; i++) {
        log[i] = m->snapshot_log[i];
    }
    m->last_updated_ms = MAX(m->last_updated_ms, now_ms);
    log[m->snapshot_log_count++] =
        (struct ice_log_entry){.timestamp_ms = m->last_updated_ms, .snapshot_id = snapshot_id};
    m->snapshot_log = log;
    m->current_snapshot_id = snapshot_id;
    m->refs = ice_refs_with_main(m->refs, snapshot_id, a);
}

size_t ice_metadata_statistics(const struct ice_metadata *m, struct arena *a, struct str **ret) {
    static const char *const keys[] = {"statistics", "partition-statistics"};
    size_t count = 0;
    size_t cap = 0;
    *ret = NULL;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        const json_t *list = json_object_get(m->document, keys[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            struct str path;
            if (json_get_str(json_array_get(list, i), "statistics-path", &path)) {
                *ret = arena_grow(a, *ret, &cap, count + 1, sizeof(**ret));
                (*ret)[count++] = path;
            }
        }
    }
    return count;
}
