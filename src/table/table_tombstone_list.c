// The list of a dataset's tombstones: read from its content object once, and written anew.

#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "catalog/catalog_content.h"
#include "table/table_tombstone_int.h"

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

static struct str text_of(const json_t *j, const char *key, struct arena *a) {
    struct str s = STR_NONE;
    return json_get_str(j, key, &s) ? arena_str(a, s) : STR_NONE;
}

static int64_t number_of(const json_t *j, const char *key) {
    int64_t n = 0;
    return json_get_i64(j, key, &n) ? n : 0;
}

static enum err_code read_item(const json_t *j, struct arena *a, struct table_tombstone_item *ret,
                               struct err *err) {
    uint8_t secret[SECRET_BYTES];
    struct str value;
    *ret = (struct table_tombstone_item){
        .value = text_of(j, "value", a),
        .key = text_of(j, "key", a),
        .actor = text_of(j, "actor", a),
        .on_behalf_of = text_of(j, "on_behalf_of", a),
        .reason = text_of(j, "reason", a),
        .time_us = number_of(j, "time_us"),
        .rows = number_of(j, "rows"),
        .purge_not_before_us = number_of(j, "purge_not_before_us"),
        .purge_by_us = number_of(j, "purge_by_us"),
    };
    (void)json_get_bool(j, "integer", &ret->integer);
    if (!json_get_str(j, "value", &value) || !hex_decode(ret->key, secret, sizeof(secret))) {
        return err_set(err, ERR_CORRUPT, "an item of a list of tombstones lacks its value or key");
    }
    return ERR_OK;
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
    *ret = (struct table_tombstone_list){
        .column = text_of(body, "column", a),
        .field_id = (int32_t)number_of(body, "field_id"),
        .items = list,
        .count = count,
        .by_value = sorted,
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

static enum err_code load_from(struct tables *t, const struct catalog_tombstones *from,
                               struct arena *a, const struct table_tombstone_list **ret,
                               struct err *err) {
    struct loading l = {.tables = t, .content = &from->content};
    const struct cache_loader loader = {load, &l};
    const struct str key = arena_printf(a, "tombstones:" STR_FMT, STR_ARG(from->content.object));
    struct table_tombstone_list *list = arena_alloc(a, sizeof(*list));
    const void *value;
    if (from->count > 0) {
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

enum err_code table_tombstone_list_put(struct tables *t, const struct table_tombstone_list *list,
                                       struct arena *a, struct catalog_tombstones *ret,
                                       struct err *err) {
    DEFER(json_decrefp) json_t *body = json_object();
    struct catalog_tombstones made = {
        .column = list->column, .field_id = list->field_id, .count = (int64_t)list->count};
    if (list->count == 0) {
        *ret = (struct catalog_tombstones){0};
        return ERR_OK;
    }
    json_t *items = json_array();
    json_object_set_new(body, "column", json_new_str(list->column));
    json_object_set_new(body, "field_id", json_integer(list->field_id));
    json_object_set_new(body, "items", items);
    for (size_t i = 0; i < list->count; i++) {
        json_array_append_new(items, item_json(&list->items[i]));
    }
    TRY(catalog_content_put(t->catalog, body, a, &made.content, err));
    *ret = made;
    return ERR_OK;
}

// As keys

const struct ice_field *table_tombstone_field(const struct catalog_tombstones *t,
                                              const struct ice_schema *s) {
    const struct ice_field *named = ice_schema_find(s, t->column);
    for (size_t i = 0; i < s->field_count; i++) {
        if (s->fields[i].id == t->field_id && table_key_type_fits(&s->fields[i].type)) {
            return &s->fields[i];
        }
    }
    return named != NULL && table_key_type_fits(&named->type) ? named : NULL;
}

struct table_keys table_tombstone_keys(const struct table_tombstone_list *list,
                                       const struct ice_field *field, struct arena *a) {
    struct str *values = arena_array(a, list->count, sizeof(*values));
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct table_key key = {.text = list->items[i].value};
        count += table_key_text(&key, &field->type, a, &values[count]) ? 1 : 0;
    }
    return (struct table_keys){.field = field, .values = values, .count = count};
}
