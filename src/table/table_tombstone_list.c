// The list of a dataset's tombstones: read from its content object once, and written anew.

#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "catalog/catalog_content.h"
#include "table/table_tombstone_list.h"

#define HANDLE_BYTES 16
#define SECRET_BYTES 32

struct str table_tombstone_handle(const struct table_tombstone_item *item, struct arena *a) {
    uint8_t secret[SECRET_BYTES];
    CHECK(hex_decode(item->key, secret, sizeof(secret)));
    const struct str key = {(const char *)secret, sizeof(secret)};
    const struct sha256 mac = hmac_sha256(key, item->value);
    return hex_bytes(mac.bytes, HANDLE_BYTES, a);
}

static int by_value(const void *x, const void *y) {
    return str_cmp((*(const struct table_tombstone_item *const *)x)->value,
                   (*(const struct table_tombstone_item *const *)y)->value);
}

static int value_cmp(const void *key, const void *y) {
    return str_cmp(*(const struct str *)key,
                   (*(const struct table_tombstone_item *const *)y)->value);
}

const struct table_tombstone_item *table_tombstone_find(const struct table_tombstone_list *list,
                                                        struct str value) {
    const struct table_tombstone_item *const *found =
        list->count == 0 ? NULL
                         : bsearch(&value, list->by_value, list->count, sizeof(void *), value_cmp);
    return found != NULL ? *found : NULL;
}

// Reading

static enum err_code read_item(const json_t *j, struct arena *a, struct table_tombstone_item *ret,
                               struct err *err) {
    uint8_t secret[SECRET_BYTES];
    struct str value;
    *ret = (struct table_tombstone_item){
        .value = json_str_copy(j, "value", a),
        .key = json_str_copy(j, "key", a),
        .actor = json_str_copy(j, "actor", a),
        .on_behalf_of = json_str_copy(j, "on_behalf_of", a),
        .reason = json_str_copy(j, "reason", a),
        .time_us = json_i64_of(j, "time_us"),
        .rows = json_i64_of(j, "rows"),
        .purge_not_before_us = json_i64_of(j, "purge_not_before_us"),
        .purge_by_us = json_i64_of(j, "purge_by_us"),
    };
    (void)json_get_bool(j, "integer", &ret->integer);
    if (!json_get_str(j, "value", &value) || !hex_decode(ret->key, secret, sizeof(secret))) {
        return err_set(err, ERR_CORRUPT, "an item of a list of tombstones lacks its value or key");
    }
    return ERR_OK;
}

static struct table_tombstones_applied read_applied(const json_t *j, struct arena *a) {
    const json_t *values = json_object_get(j, "values");
    const size_t count = json_array_size(values);
    struct str *list = arena_array(a, count, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(values, i);
        list[i] = arena_str(a, (struct str){json_string_value(value), json_string_length(value)});
    }
    return (struct table_tombstones_applied){.column = json_str_copy(j, "column", a),
                                             .field_id = (int32_t)json_i64_of(j, "field_id"),
                                             .sequence = json_i64_of(j, "sequence"),
                                             .values = list,
                                             .count = count};
}

static enum err_code read_list(const json_t *body, struct arena *a,
                               struct table_tombstone_list *ret, struct err *err) {
    const json_t *items = json_object_get(body, "items");
    const size_t count = json_array_size(items);
    struct table_tombstone_item *list = arena_array(a, count, sizeof(*list));
    const struct table_tombstone_item **sorted = arena_array(a, count, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        TRY(read_item(json_array_get(items, i), a, &list[i], err));
        sorted[i] = &list[i];
    }
    qsort(sorted, count, sizeof(void *), by_value);
    const json_t *applied = json_object_get(body, "applied");
    const size_t applied_count = json_array_size(applied);
    struct table_tombstones_applied *past = arena_array(a, applied_count, sizeof(*past));
    for (size_t i = 0; i < applied_count; i++) {
        past[i] = read_applied(json_array_get(applied, i), a);
    }
    *ret = (struct table_tombstone_list){
        .column = json_str_copy(body, "column", a),
        .field_id = (int32_t)json_i64_of(body, "field_id"),
        .items = list,
        .count = count,
        .by_value = sorted,
        .applied = past,
        .applied_count = applied_count,
    };
    return ERR_OK;
}

struct loading {
    struct tables *tables;
    const struct catalog_content *content;
};

static enum err_code load(void *ctx, struct arena *own, const void **ret, struct err *err) {
    const struct loading *l = ctx;
    DEFER(json_decrefp) json_t *body = NULL;
    struct table_tombstone_list *list = arena_alloc(own, sizeof(*list));
    TRY(catalog_content_get(l->tables->catalog, l->content, &body, err));
    TRY(read_list(body, own, list, err));
    *ret = list;
    return ERR_OK;
}

static struct str cache_key(const struct catalog_content *content, struct arena *a) {
    return arena_printf(a, "tombstones:" STR_FMT, STR_ARG(content->object));
}

static enum err_code load_from(struct tables *t, const struct catalog_tombstones *from,
                               struct arena *a, const struct table_tombstone_list **ret,
                               struct err *err) {
    struct loading l = {.tables = t, .content = &from->content};
    const struct cache_loader loader = {load, &l};
    const struct str key = cache_key(&from->content, a);
    struct table_tombstone_list *list = arena_alloc(a, sizeof(*list));
    const void *value;
    if (from->content.object.len > 0) {
        TRY(cache_get(t->cache, key, &loader, a, &value, err));
        *list = *(const struct table_tombstone_list *)value;
        list->column = from->column;
        list->field_id = from->field_id;
    }
    *ret = list;
    return ERR_OK;
}

enum err_code table_tombstone_list_load(struct tables *t, const struct catalog_dataset *d,
                                        struct arena *a, const struct table_tombstone_list **ret,
                                        struct err *err) {
    struct catalog_dataset now;
    struct err none = ERR_NONE;
    const enum err_code code = load_from(t, &d->tombstones, a, ret, err);
    // Another server may have replaced and removed it; its commit is then in the log by now.
    if (code != ERR_CORRUPT || txlog_refresh(catalog_log(t->catalog), 0, 0, &none) != ERR_OK ||
        catalog_dataset_get(t->catalog, d->name, a, &now, &none) != ERR_OK ||
        str_eq(now.tombstones.content.object, d->tombstones.content.object)) {
        return code == ERR_OK
                   ? code
                   : err_prefix(err, "tombstones of dataset \"" STR_FMT "\": ", STR_ARG(d->name));
    }
    *err = ERR_NONE;
    return load_from(t, &now.tombstones, a, ret, err); // the old one was removed meanwhile
}

// Writing

static json_t *item_json(const struct table_tombstone_item *item) {
    json_t *j = json_object();
    json_object_set_new(j, "value", json_new_str(item->value));
    json_object_set_new(j, "integer", json_boolean(item->integer));
    json_object_set_new(j, "key", json_new_str(item->key));
    json_object_set_new(j, "actor", json_new_str(item->actor));
    if (item->on_behalf_of.len > 0) {
        json_object_set_new(j, "on_behalf_of", json_new_str(item->on_behalf_of));
    }
    json_object_set_new(j, "reason", json_new_str(item->reason));
    json_object_set_new(j, "time_us", json_integer(item->time_us));
    json_object_set_new(j, "rows", json_integer(item->rows));
    if (item->purge_not_before_us != 0) {
        json_object_set_new(j, "purge_not_before_us", json_integer(item->purge_not_before_us));
    }
    if (item->purge_by_us != 0) {
        json_object_set_new(j, "purge_by_us", json_integer(item->purge_by_us));
    }
    return j;
}

static json_t *applied_json(const struct table_tombstones_applied *p) {
    json_t *j = json_object();
    json_t *values = json_array();
    json_object_set_new(j, "column", json_new_str(p->column));
    json_object_set_new(j, "field_id", json_integer(p->field_id));
    json_object_set_new(j, "sequence", json_integer(p->sequence));
    json_object_set_new(j, "values", values);
    for (size_t i = 0; i < p->count; i++) {
        json_array_append_new(values, json_new_str(p->values[i]));
    }
    return j;
}

static json_t *list_json(const struct table_tombstone_list *list) {
    json_t *body = json_object();
    json_t *items = json_array();
    json_t *applied = json_array();
    json_object_set_new(body, "column", json_new_str(list->column));
    json_object_set_new(body, "field_id", json_integer(list->field_id));
    json_object_set_new(body, "items", items);
    json_object_set_new(body, "applied", applied);
    for (size_t i = 0; i < list->count; i++) {
        json_array_append_new(items, item_json(&list->items[i]));
    }
    for (size_t i = 0; i < list->applied_count; i++) {
        json_array_append_new(applied, applied_json(&list->applied[i]));
    }
    return body;
}

// The list as it would be read, so that the next one who needs it does not read it.

static struct table_tombstone_item copy_item(const struct table_tombstone_item *item,
                                             struct arena *a) {
    struct table_tombstone_item copy = *item;
    copy.value = arena_str(a, item->value);
    copy.key = arena_str(a, item->key);
    copy.actor = arena_str(a, item->actor);
    copy.on_behalf_of = arena_str(a, item->on_behalf_of);
    copy.reason = arena_str(a, item->reason);
    return copy;
}

static struct table_tombstones_applied copy_applied(const struct table_tombstones_applied *p,
                                                    struct arena *a) {
    struct table_tombstones_applied copy = *p;
    struct str *values = arena_array(a, p->count, sizeof(*values));
    for (size_t i = 0; i < p->count; i++) {
        values[i] = arena_str(a, p->values[i]);
    }
    copy.column = arena_str(a, p->column);
    copy.values = values;
    return copy;
}

static enum err_code copy_list(void *ctx, struct arena *own, const void **ret, struct err *err) {
    const struct table_tombstone_list *list = ctx;
    struct table_tombstone_list *copy = arena_alloc(own, sizeof(*copy));
    struct table_tombstone_item *items = arena_array(own, list->count, sizeof(*items));
    const struct table_tombstone_item **sorted = arena_array(own, list->count, sizeof(void *));
    struct table_tombstones_applied *applied =
        arena_array(own, list->applied_count, sizeof(*applied));
    (void)err;
    for (size_t i = 0; i < list->count; i++) {
        items[i] = copy_item(&list->items[i], own);
        sorted[i] = &items[i];
    }
    qsort(sorted, list->count, sizeof(void *), by_value);
    for (size_t i = 0; i < list->applied_count; i++) {
        applied[i] = copy_applied(&list->applied[i], own);
    }
    *copy = *list;
    copy->column = arena_str(own, list->column);
    copy->items = items;
    copy->by_value = sorted;
    copy->applied = applied;
    *ret = copy;
    return ERR_OK;
}

static void keep_list(struct tables *t, const struct table_tombstone_list *list,
                      const struct catalog_content *content, struct arena *a) {
    struct table_tombstone_list copied = *list;
    const struct cache_loader loader = {copy_list, &copied};
    struct err none = ERR_NONE;
    const void *value;
    (void)cache_get(t->cache, cache_key(content, a), &loader, a, &value, &none);
}

enum err_code table_tombstone_list_put(struct table_commit *c,
                                       const struct table_tombstone_list *list,
                                       struct table_edit *e, struct err *err) {
    struct catalog_tombstones *after = arena_alloc(c->arena, sizeof(*after));
    if (list->count + list->applied_count > 0) {
        DEFER(json_decrefp) json_t *body = list_json(list);
        *after = (struct catalog_tombstones){
            .column = list->column, .field_id = list->field_id, .count = (int64_t)list->count};
        TRY(catalog_content_put(c->tables->catalog, body, c->arena, &after->content, err));
        c->list = after->content;
        keep_list(c->tables, list, &c->list, c->arena);
    }
    e->tombstones = after;
    return ERR_OK;
}

// Applying

static bool has_before(const struct ice_metadata *m, int64_t sequence) {
    for (size_t i = 0; i < m->snapshot_count; i++) {
        if (m->snapshots[i].sequence_number < sequence) {
            return true;
        }
    }
    return false;
}

bool table_tombstone_list_forgets(const struct table_tombstone_list *list,
                                  const struct ice_metadata *m) {
    for (size_t i = 0; i < list->applied_count; i++) {
        if (!has_before(m, list->applied[i].sequence)) {
            return true;
        }
    }
    return false;
}

// The newest of those that a snapshot needs.
static void keep_applied(struct table_tombstone_list *list,
                         const struct table_tombstones_applied *all, size_t count,
                         const struct ice_metadata *m, struct arena *a) {
    struct table_tombstones_applied *kept = arena_array(a, count, sizeof(*kept));
    size_t first = count;
    size_t values = 0;
    for (; first > 0 && values + all[first - 1].count <= TABLE_TOMBSTONES_MAX; first--) {
        values += all[first - 1].count;
    }
    list->applied = kept;
    list->applied_count = 0;
    for (size_t i = first; i < count; i++) {
        if (all[i].count > 0 && has_before(m, all[i].sequence)) {
            kept[list->applied_count++] = all[i];
        }
    }
}

struct table_tombstone_list table_tombstone_list_apply(const struct table_tombstone_list *list,
                                                       const bool *gone, int64_t sequence,
                                                       const struct ice_metadata *m,
                                                       struct arena *a) {
    struct table_tombstone_list after = *list;
    struct table_tombstone_item *items = arena_array(a, list->count, sizeof(*items));
    struct str *values = arena_array(a, list->count, sizeof(*values));
    struct table_tombstones_applied *applied =
        arena_array(a, list->applied_count + 1, sizeof(*applied));
    struct table_tombstones_applied *one = &applied[list->applied_count];
    *one = (struct table_tombstones_applied){
        .column = list->column, .field_id = list->field_id, .sequence = sequence, .values = values};
    after.items = items;
    after.count = 0;
    for (size_t i = 0; i < list->applied_count; i++) {
        applied[i] = list->applied[i];
    }
    for (size_t i = 0; i < list->count; i++) {
        if (gone != NULL && gone[i]) {
            values[one->count++] = list->items[i].value;
        } else {
            items[after.count++] = list->items[i];
        }
    }
    keep_applied(&after, applied, list->applied_count + 1, m, a);
    return after;
}

// As keys

const struct ice_field *table_tombstone_field(struct str column, int32_t field_id,
                                              const struct ice_schema *s) {
    const struct ice_field *named = ice_schema_find(s, column);
    for (size_t i = 0; i < s->field_count; i++) {
        if (s->fields[i].id == field_id && table_key_type_fits(&s->fields[i].type)) {
            return &s->fields[i];
        }
    }
    return named != NULL && table_key_type_fits(&named->type) ? named : NULL;
}

struct table_keys table_tombstone_keys(const struct str *values, size_t count,
                                       const struct ice_field *field, struct arena *a) {
    struct str *texts = arena_array(a, count, sizeof(*texts));
    size_t fitting = 0;
    for (size_t i = 0; i < count; i++) {
        const struct table_key key = {.text = values[i]};
        fitting += table_key_text(&key, &field->type, a, &texts[fitting]) ? 1 : 0;
    }
    return (struct table_keys){.field = field, .values = texts, .count = fitting};
}
