// Suppression lists: the entity, and what becomes of it when names change.

#include "catalog/catalog_suppression.h"

#include "catalog/catalog_int.h"

struct str catalog_suppression_key(struct str dataset, struct arena *a) {
    return catalog_folded_key(STR("suppression:"), dataset, a);
}

// The same list for the same column, whatever its case?
static bool has_list(const json_t *lists, const json_t *list, struct str column) {
    const struct str object = json_str_of(json_object_get(list, "content"), "object");
    const json_t *there;
    size_t i;
    json_array_foreach(lists, i, there) {
        if (str_eq_nocase(json_str_of(there, "column"), column) &&
            str_eq(json_str_of(json_object_get(there, "content"), "object"), object)) {
            return true;
        }
    }
    return false;
}

// Adds the list for that column; false: it is there.
static bool add_list(json_t *lists, const json_t *list, struct str column) {
    if (has_list(lists, list, column)) {
        return false;
    }
    json_t *copy = json_copy((json_t *)(uintptr_t)list);
    json_object_set_new(copy, "column", json_new_str(column));
    json_array_append_new(lists, copy);
    return true;
}

void catalog_suppression_dataset_renamed(struct catalog *c, struct str from, struct str to,
                                         json_t *changes) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const struct str key = catalog_suppression_key(to, &a);
    uint64_t version;
    uint64_t old_version;
    DEFER(json_decrefp)
    json_t *old = txlog_get(c->log, catalog_suppression_key(from, &a), &old_version);
    DEFER(json_decrefp) json_t *there = txlog_get(c->log, key, &version);
    if (old == NULL || str_eq(catalog_suppression_key(from, &a), key)) {
        return;
    }
    json_t *lists = there != NULL ? json_deep_copy(json_object_get(there, "lists")) : json_array();
    const json_t *list;
    size_t i;
    json_array_foreach(json_object_get(old, "lists"), i, list) {
        (void)add_list(lists, list, json_str_of(list, "column"));
    }
    json_t *value = json_object();
    json_object_set_new(value, "name", json_new_str(to));
    json_object_set_new(value, "lists", lists);
    json_array_append_new(changes, catalog_change(key, version, value));
}

void catalog_suppression_columns_renamed(struct catalog *c, struct str dataset,
                                         const struct catalog_column_renamed *renamed, size_t count,
                                         json_t *changes) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const struct str key = catalog_suppression_key(dataset, &a);
    uint64_t version;
    DEFER(json_decrefp) json_t *there = txlog_get(c->log, key, &version);
    if (there == NULL) {
        return;
    }
    bool changed = false;
    DEFER(json_decrefp) json_t *value = json_deep_copy(there);
    json_t *lists = json_object_get(value, "lists");
    for (size_t r = 0; r < count; r++) {
        const size_t before = json_array_size(lists);
        for (size_t i = 0; i < before; i++) {
            const json_t *list = json_array_get(lists, i);
            if (str_eq_nocase(json_str_of(list, "column"), renamed[r].from)) {
                changed = add_list(lists, list, renamed[r].to) || changed;
            }
        }
    }
    if (changed) {
        json_array_append_new(changes, catalog_change(key, version, json_incref(value)));
    }
}
