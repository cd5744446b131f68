// Erasures as the catalog records them.

#include "erase/erase_record.h"

#include "catalog/catalog_content.h"

#define PREFIX "erasure:"

static struct str key_of(struct str id, struct arena *a) {
    return arena_printf(a, PREFIX STR_FMT, STR_ARG(id));
}

void erase_record_release(struct erase_record *r) {
    json_decref(TAKE(r->entity));
}

enum err_code erase_record_get(struct erase *e, struct str id, struct arena *a,
                               struct erase_record *ret, struct err *err) {
    uint64_t version = 0;
    json_t *entity = txlog_get(catalog_log(e->options.catalog), key_of(id, a), &version);
    if (entity == NULL) {
        return err_set(err, ERR_NOT_FOUND, "no erasure \"" STR_FMT "\" (GET /erasures lists them)",
                       STR_ARG(id));
    }
    *ret = (struct erase_record){arena_str(a, id), version, entity};
    return ERR_OK;
}

json_t *erase_record_edit(const struct erase_record *r) {
    json_t *copy = json_deep_copy(r->entity);
    CHECK(copy != NULL);
    return copy;
}

json_t *erase_record_change(const struct erase_record *r, json_t *value) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    return catalog_change(key_of(r->id, &a), r->version, value);
}

struct catalog_author erase_record_author(const struct erase_record *r, const char *action) {
    return (struct catalog_author){.actor = json_str_of(r->entity, "actor"),
                                   .action = str_from(action),
                                   .reason = json_str_of(r->entity, "reason")};
}

enum err_code erase_record_put(struct erase *e, struct erase_record *r,
                               const struct erase_recorded *step, struct arena *a,
                               struct err *err) {
    struct catalog_author who = erase_record_author(r, step->action);
    DEFER(json_decrefp) json_t *details = json_object();
    json_t *changes = json_array();
    struct txn_outcome outcome;
    json_object_set_new(details, "erasure", json_new_str(r->id));
    who.details = details;
    json_array_append_new(changes, erase_record_change(r, step->value));
    for (size_t i = 0; i < json_array_size(step->more); i++) {
        json_array_append(changes, json_array_get(step->more, i));
    }
    TRY(catalog_commit(e->options.catalog, &who, key_of(r->id, a), changes, &outcome, err));
    const struct str id = r->id;
    erase_record_release(r);
    return erase_record_get(e, id, a, r, err);
}

struct erase_view erase_record_view(struct str id, json_t *entity, struct arena *a) {
    struct erase_view v = {
        .id = arena_str(a, id),
        .state = arena_str(a, json_str_of(entity, "state")),
        .actor = arena_str(a, json_str_of(entity, "actor")),
        .reason = arena_str(a, json_str_of(entity, "reason")),
        .created_us = json_i64_of(entity, "created_us"),
        .finished_us = json_i64_of(entity, "finished_us"),
        .subjects = json_i64_of(entity, "subjects"),
        .rows = json_i64_of(entity, "rows"),
        .entity = entity,
    };
    (void)json_get_bool(entity, "clean", &v.clean);
    return v;
}

static void decref(void *value) {
    json_decref(value);
}

static enum err_code read_key(const json_t *item, struct table_key *ret, struct arena *a,
                              struct err *err) {
    struct str value = STR_NONE;
    TRY(json_need_str(item, "value", &value, err));
    ret->text = arena_str(a, value);
    (void)json_get_bool(item, "integer", &ret->integer);
    return ERR_OK;
}

enum err_code erase_record_request(struct erase *e, const struct erase_record *r, struct arena *a,
                                   struct erase_request_kept *ret, struct err *err) {
    const struct catalog_content content =
        catalog_content_of(json_object_get(r->entity, "content"), a);
    json_t *body = NULL;
    TRY(catalog_content_get(e->options.catalog, &content, &body, err));
    arena_defer(a, decref, body);
    const json_t *keys = json_object_get(body, "keys");
    const json_t *search = json_object_get(body, "search");
    *ret = (struct erase_request_kept){
        .keys = arena_array(a, json_array_size(keys), sizeof(*ret->keys)),
        .search = arena_array(a, json_array_size(search), sizeof(*ret->search)),
        .handles = json_object_get(body, "handles"),
    };
    for (size_t i = 0; i < json_array_size(keys); i++) {
        TRY(read_key(json_array_get(keys, i), &ret->keys[ret->key_count++], a, err));
    }
    for (size_t i = 0; i < json_array_size(search); i++) {
        const json_t *s = json_array_get(search, i);
        ret->search[ret->search_count++] =
            arena_str(a, (struct str){json_string_value(s), json_string_length(s)});
    }
    return ERR_OK;
}

enum err_code erase_get(struct erase *e, struct str id, struct arena *a, struct erase_view *ret,
                        struct err *err) {
    struct erase_record r;
    TRY(erase_record_get(e, id, a, &r, err));
    arena_defer(a, decref, r.entity);
    *ret = erase_record_view(r.id, r.entity, a);
    return ERR_OK;
}

// Ids sort by the time of their making.
void erase_list(struct erase *e, struct arena *a, struct erase_view **ret, size_t *ret_count) {
    struct txlog_entry *entries;
    size_t count;
    txlog_list(catalog_log(e->options.catalog), STR(PREFIX), a, &entries, &count);
    struct erase_view *views = arena_array(a, count, sizeof(*views));
    for (size_t i = 0; i < count; i++) {
        const struct txlog_entry *x = &entries[count - 1 - i];
        views[i] = erase_record_view(str_slice(x->key, strlen(PREFIX), x->key.len),
                                     (json_t *)(uintptr_t)x->value, a);
    }
    *ret = views;
    *ret_count = count;
}

enum err_code erase_receipt(struct erase *e, struct str id, struct arena *a, struct str *ret,
                            struct err *err) {
    struct erase_view v;
    const struct catalog_bucket *bucket;
    TRY(erase_get(e, id, a, &v, err));
    const struct str object = json_str_of(json_object_get(v.entity, "receipt"), "object");
    if (!str_is(v.state, "done")) {
        return err_set(err, ERR_CONFLICT,
                       "erasure \"" STR_FMT "\" is not done yet: its receipt comes with its end",
                       STR_ARG(id));
    }
    TRY(catalog_bucket_find(e->options.catalog, STR_NONE, &bucket, err));
    return store_get(bucket->store, object, a, ret, err);
}
