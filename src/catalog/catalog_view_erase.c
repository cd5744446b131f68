// Erasure of what earlier definitions of views say: their row filters may quote a person.

#include "base/json.h"
#include "catalog/catalog_int.h"

#define ATTEMPTS 5

struct erasing {
    struct catalog *catalog;
    const struct catalog_view_eraser *eraser;
    const struct catalog_author *who;
    struct arena *arena; // of the result
    struct catalog_view_erased *ret;
};

// The body with the filters of earlier definitions taken out that quote something; *ret_count of
// them.
static json_t *without_filters(const struct erasing *e, const json_t *body, int64_t current,
                               int64_t *ret_count) {
    json_t *copy = json_deep_copy(body);
    json_t *list = json_object_get(copy, "versions");
    *ret_count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *version = json_array_get(list, i);
        int64_t number = 0;
        struct str filter = STR_NONE;
        (void)json_get_i64(version, "number", &number);
        if (number != current && json_get_str(version, "row_filter", &filter) &&
            e->eraser->quotes(e->eraser->ctx, filter)) {
            json_object_set_new(version, "row_filter", json_string(CATALOG_VIEW_FILTER_ERASED));
            ++*ret_count;
        }
    }
    return copy;
}

static void note_object(struct erasing *e, const struct catalog_content *was, uint64_t bytes) {
    struct catalog_content_swept *s = &e->ret->objects;
    s->items = arena_grow(e->arena, s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->bytes = arena_grow(e->arena, s->bytes, &s->bytes_cap, s->count + 1, sizeof(*s->bytes));
    s->items[s->count] = (struct catalog_content){arena_str(e->arena, was->object),
                                                  arena_str(e->arena, was->sha256)};
    s->bytes[s->count++] = (int64_t)bytes;
}

static enum err_code rewrite(struct erasing *e, const struct catalog_view *v, const json_t *body,
                             struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(STORE_GET_MAX);
    struct catalog_content content;
    struct err gone = ERR_NONE;
    uint64_t bytes = 0;
    TRY(catalog_content_put(e->catalog, body, &a, &content, err));
    const enum err_code code = catalog_view_replace_content(e->catalog, v, &content, e->who, err);
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        catalog_content_remove(e->catalog, &content);
    }
    TRY(code);
    (void)store_size(e->catalog->primary.store, v->content.object, &bytes, &gone);
    catalog_content_remove(e->catalog, &v->content);
    note_object(e, &v->content, bytes);
    return ERR_OK;
}

static enum err_code erase_once(struct erasing *e, struct str name, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(STORE_GET_MAX);
    DEFER(json_decrefp) json_t *body = NULL;
    struct catalog_view v;
    int64_t filters = 0;
    if (!catalog_view_find(e->catalog, name, &a, &v)) {
        return ERR_OK; // it went meanwhile
    }
    TRY(catalog_content_get(e->catalog, &v.content, &body, err));
    DEFER(json_decrefp) json_t *copy = without_filters(e, body, v.number, &filters);
    if (filters > 0) {
        TRY(rewrite(e, &v, copy, err));
        e->ret->filters += filters;
    }
    return ERR_OK;
}

// Somebody who changes the view meanwhile is quicker: then it is looked at again.
static enum err_code erase_one(struct erasing *e, struct str name, struct err *err) {
    enum err_code code = ERR_CONFLICT;
    for (size_t i = 0; i < ATTEMPTS && code == ERR_CONFLICT; i++) {
        *err = ERR_NONE;
        code = erase_once(e, name, err);
    }
    return code;
}

enum err_code catalog_view_erase(struct catalog *c, const struct catalog_view_eraser *eraser,
                                 const struct catalog_author *who, struct arena *a,
                                 struct catalog_view_erased *ret, struct err *err) {
    DEFER(arena_release) struct arena own = ARENA(1U << 28);
    struct txlog_entry *entries;
    size_t count;
    *ret = (struct catalog_view_erased){0};
    struct erasing e = {c, eraser, who, a, ret};
    txlog_list(c->log, VIEW_PREFIX, &own, &entries, &count);
    for (size_t i = 0; i < count; i++) {
        TRY(erase_one(&e, str_slice(entries[i].key, VIEW_PREFIX.len, entries[i].key.len), err));
    }
    catalog_view_forget(c);
    return ERR_OK;
}
