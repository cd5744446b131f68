// Views: the entity, and the content object that holds its definitions.
//
// The entity "view:<name in lower case>":
//   {"name","id","number","base","base_id","content":{"object","sha256"},"created_us","updated_us"}
// The body of its content object, oldest version first:
//   {"versions":[{"number","columns":[{"name","field_id","mask"}],"row_filter",
//                 "uses":[{"name","field_id","dataset_id"}],"author","time_us"}]}
// A column that is shown as it is has no mask; a use of the base has no dataset_id.

#include "catalog/catalog_view.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "catalog/catalog_int.h"

#define READ_ATTEMPTS 5

static struct str view_key(struct str name, struct arena *a) {
    return catalog_folded_key(VIEW_PREFIX, name, a);
}

// ---- The entity

static struct catalog_view view_of(uint64_t version, const json_t *j, struct arena *a) {
    return (struct catalog_view){
        .name = json_str_copy(j, "name", a),
        .version = version,
        .id = json_str_copy(j, "id", a),
        .number = json_i64_of(j, "number"),
        .base = json_str_copy(j, "base", a),
        .base_id = json_str_copy(j, "base_id", a),
        .content = catalog_content_of(json_object_get(j, "content"), a),
        .created_us = json_i64_of(j, "created_us"),
        .updated_us = json_i64_of(j, "updated_us"),
    };
}

static json_t *view_json(const struct catalog_view *v) {
    json_t *j = json_object();
    json_object_set_new(j, "name", json_new_str(v->name));
    json_object_set_new(j, "id", json_new_str(v->id));
    json_object_set_new(j, "number", json_integer(v->number));
    json_object_set_new(j, "base", json_new_str(v->base));
    json_object_set_new(j, "base_id", json_new_str(v->base_id));
    json_object_set_new(j, "content", catalog_content_json(&v->content));
    json_object_set_new(j, "created_us", json_integer(v->created_us));
    json_object_set_new(j, "updated_us", json_integer(v->updated_us));
    return j;
}

bool catalog_view_find(struct catalog *c, struct str name, struct arena *a,
                       struct catalog_view *ret) {
    uint64_t version = 0;
    DEFER(json_decrefp) json_t *j = txlog_get(c->log, view_key(name, a), &version);
    if (j == NULL) {
        return false;
    }
    *ret = view_of(version, j, a);
    return true;
}

bool catalog_view_has_name(struct catalog *c, struct str name) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct catalog_view v;
    return catalog_view_find(c, name, &a, &v);
}

// ---- Definitions

// All that a content object holds; of each, what an entity does not say.
struct definitions {
    struct catalog_view *items;
    size_t count;
};

static json_t *columns_json(const struct catalog_view *v) {
    json_t *list = json_array();
    for (size_t i = 0; i < v->column_count; i++) {
        json_t *j = json_object();
        json_t *mask = mask_json(&v->columns[i].mask);
        json_object_set_new(j, "name", json_new_str(v->columns[i].name));
        json_object_set_new(j, "field_id", json_integer(v->columns[i].field_id));
        if (mask != NULL) {
            json_object_set_new(j, "mask", mask);
        }
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *uses_json(const struct catalog_view *v) {
    json_t *list = json_array();
    for (size_t i = 0; i < v->use_count; i++) {
        json_t *j = json_object();
        json_object_set_new(j, "name", json_new_str(v->uses[i].name));
        json_object_set_new(j, "field_id", json_integer(v->uses[i].field_id));
        if (v->uses[i].dataset_id.len > 0) {
            json_object_set_new(j, "dataset_id", json_new_str(v->uses[i].dataset_id));
        }
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *definition_json(const struct catalog_view *v, struct str author) {
    json_t *j = json_object();
    json_object_set_new(j, "number", json_integer(v->number));
    json_object_set_new(j, "columns", columns_json(v));
    json_object_set_new(j, "row_filter", json_new_str(v->row_filter));
    json_object_set_new(j, "uses", uses_json(v));
    json_object_set_new(j, "author", json_new_str(author));
    json_object_set_new(j, "time_us", json_integer(v->updated_us));
    return j;
}

// A mask that is not understood must not become none.
static enum err_code columns_of(const json_t *list, struct arena *a, struct catalog_view *ret,
                                struct err *err) {
    struct catalog_view_column *columns = arena_array(a, json_array_size(list), sizeof(*columns));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *j = json_array_get(list, i);
        const json_t *mask = json_object_get(j, "mask");
        columns[i].name = json_str_copy(j, "name", a);
        columns[i].field_id = (int32_t)json_i64_of(j, "field_id");
        if (mask != NULL && mask_read(mask, &columns[i].mask, err) != ERR_OK) {
            return err_set(err, ERR_CORRUPT, "the mask of column \"" STR_FMT "\" is not known here",
                           STR_ARG(columns[i].name));
        }
    }
    ret->columns = columns;
    ret->column_count = json_array_size(list);
    return ERR_OK;
}

static void uses_of(const json_t *list, struct arena *a, struct catalog_view *ret) {
    struct catalog_view_use *uses = arena_array(a, json_array_size(list), sizeof(*uses));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *j = json_array_get(list, i);
        uses[i] = (struct catalog_view_use){.name = json_str_copy(j, "name", a),
                                            .field_id = (int32_t)json_i64_of(j, "field_id"),
                                            .dataset_id = json_str_copy(j, "dataset_id", a)};
    }
    ret->uses = uses;
    ret->use_count = json_array_size(list);
}

static enum err_code definition_of(const json_t *j, struct arena *a, struct catalog_view *ret,
                                   struct err *err) {
    struct str filter;
    // Nor must a filter that is missing.
    if (!json_get_str(j, "row_filter", &filter)) {
        return err_set(err, ERR_CORRUPT, "a definition says nothing of its rows");
    }
    ret->number = json_i64_of(j, "number");
    ret->row_filter = arena_str(a, filter);
    ret->author = json_str_copy(j, "author", a);
    ret->updated_us = json_i64_of(j, "time_us");
    uses_of(json_object_get(j, "uses"), a, ret);
    return columns_of(json_object_get(j, "columns"), a, ret, err);
}

struct load {
    struct catalog *catalog;
    const struct catalog_content *content;
};

static enum err_code load(void *ctx, struct arena *own, const void **ret, struct err *err) {
    const struct load *l = ctx;
    struct definitions *d = arena_alloc(own, sizeof(*d));
    DEFER(json_decrefp) json_t *body = NULL;
    TRY(catalog_content_get(l->catalog, l->content, &body, err));
    const json_t *list = json_object_get(body, "versions");
    d->count = json_array_size(list);
    d->items = arena_array(own, d->count, sizeof(*d->items));
    for (size_t i = 0; i < d->count; i++) {
        TRY(definition_of(json_array_get(list, i), own, &d->items[i], err));
    }
    *ret = d;
    return ERR_OK;
}

// The other way round than view_json and definition_json tell them.
static void define(const struct catalog_view *definition, struct catalog_view *v) {
    v->number = definition->number;
    v->columns = definition->columns;
    v->column_count = definition->column_count;
    v->row_filter = definition->row_filter;
    v->uses = definition->uses;
    v->use_count = definition->use_count;
    v->author = definition->author;
    v->updated_us = definition->updated_us;
}

static enum err_code find_definition(const struct definitions *d, int64_t wanted,
                                     struct catalog_view *v, struct err *err) {
    for (size_t i = 0; i < d->count; i++) {
        if (d->items[i].number == wanted) {
            define(&d->items[i], v);
            return ERR_OK;
        }
    }
    return err_set(err, ERR_NOT_FOUND,
                   "view \"" STR_FMT "\" has no version %lld, or it is not kept", STR_ARG(v->name),
                   (long long)wanted);
}

// Whoever changes a view removes the object that it had, and another server's change may not be
// seen here yet: then the entity is read again. *v is as of the definitions that are returned.
static enum err_code definitions_get(struct catalog *c, struct catalog_view *v, struct arena *a,
                                     const struct definitions **ret, struct err *err) {
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < READ_ATTEMPTS; i++) {
        struct load l = {c, &v->content};
        const struct cache_loader loader = {load, &l};
        struct catalog_view now;
        struct err none = ERR_NONE;
        const void *value = NULL;
        code = cache_get(c->defined, v->content.object, &loader, a, &value, err);
        *ret = value;
        if (code != ERR_CORRUPT || txlog_refresh(c->log, 0, 0, &none) != ERR_OK) {
            break;
        }
        if (!catalog_view_find(c, v->name, a, &now) || !str_eq(now.id, v->id)) {
            return err_set(err, ERR_NOT_FOUND, "no view \"" STR_FMT "\"", STR_ARG(v->name));
        }
        if (str_eq(now.content.object, v->content.object)) {
            break;
        }
        *v = now;
        *err = ERR_NONE;
    }
    return code == ERR_OK ? ERR_OK : err_prefix(err, "view \"" STR_FMT "\": ", STR_ARG(v->name));
}

enum err_code catalog_view_define(struct catalog *c, struct catalog_view *v, struct arena *a,
                                  struct err *err) {
    const struct definitions *d;
    TRY(definitions_get(c, v, a, &d, err));
    if (find_definition(d, v->number, v, err) != ERR_OK) {
        return err_set(err, ERR_CORRUPT, "view \"" STR_FMT "\": " STR_FMT " lacks its definition",
                       STR_ARG(v->name), STR_ARG(v->content.object));
    }
    return ERR_OK;
}

// ---- Reading

enum err_code catalog_view_get(struct catalog *c, struct str name, struct arena *a,
                               struct catalog_view *ret, struct err *err) {
    struct catalog_view v;
    if (!catalog_view_find(c, name, a, &v)) {
        return err_set(err, ERR_NOT_FOUND, "no view \"" STR_FMT "\"", STR_ARG(name));
    }
    TRY(catalog_view_define(c, &v, a, err));
    *ret = v;
    return ERR_OK;
}

enum err_code catalog_view_at(struct catalog *c, const struct catalog_view *v, int64_t wanted,
                              struct arena *a, struct catalog_view *ret, struct err *err) {
    struct catalog_view found = *v;
    const struct definitions *d;
    TRY(definitions_get(c, &found, a, &d, err));
    TRY(find_definition(d, wanted, &found, err));
    *ret = found;
    return ERR_OK;
}

enum err_code catalog_view_versions(struct catalog *c, const struct catalog_view *v,
                                    struct arena *a, struct catalog_view **ret, size_t *ret_count,
                                    struct err *err) {
    struct catalog_view now = *v;
    const struct definitions *d;
    TRY(definitions_get(c, &now, a, &d, err));
    struct catalog_view *list = arena_array(a, d->count, sizeof(*list));
    for (size_t i = 0; i < d->count; i++) {
        list[i] = now;
        define(&d->items[i], &list[i]);
    }
    *ret = list;
    *ret_count = d->count;
    return ERR_OK;
}

static int by_name(const void *x, const void *y) {
    return str_cmp(((const struct catalog_view *)x)->name, ((const struct catalog_view *)y)->name);
}

// Which views are listed.
struct wanted {
    struct str base_id;                  // empty: whatever it is
    const struct catalog_rights *rights; // NULL: without regard to them
};

static bool is_wanted(const struct wanted *w, const struct catalog_view *v) {
    return (w->base_id.len == 0 || str_eq(w->base_id, v->base_id)) &&
           (w->rights == NULL || catalog_rights_on_view(w->rights, v->name) != 0);
}

static enum err_code list_wanted(struct catalog *c, const struct wanted *w, struct arena *a,
                                 struct catalog_view **ret, size_t *ret_count, struct err *err) {
    struct txlog_entry *entries;
    size_t count;
    size_t found = 0;
    txlog_list(c->log, VIEW_PREFIX, a, &entries, &count);
    struct catalog_view *list = arena_array(a, count, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        struct catalog_view v = view_of(entries[i].version, entries[i].value, a);
        if (!is_wanted(w, &v)) {
            continue;
        }
        const enum err_code code = catalog_view_define(c, &v, a, err);
        if (code == ERR_NOT_FOUND) {
            *err = ERR_NONE; // it went meanwhile
            continue;
        }
        TRY(code);
        list[found++] = v;
    }
    if (found > 1) {
        qsort(list, found, sizeof(*list), by_name);
    }
    *ret = list;
    *ret_count = found;
    return ERR_OK;
}

enum err_code catalog_view_list(struct catalog *c, struct str base_id, struct arena *a,
                                struct catalog_view **ret, size_t *ret_count, struct err *err) {
    const struct wanted w = {.base_id = base_id};
    return list_wanted(c, &w, a, ret, ret_count, err);
}

enum err_code catalog_view_list_permitted(struct catalog *c, const struct catalog_rights *rights,
                                          struct arena *a, struct catalog_view **ret,
                                          size_t *ret_count, struct err *err) {
    const struct wanted w = {.rights = rights};
    return list_wanted(c, &w, a, ret, ret_count, err);
}

void catalog_view_forget(struct catalog *c) {
    cache_clear(c->defined);
}

// ---- Changing

static json_t *details_of(const struct catalog_view *v, const struct catalog_author *who) {
    json_t *j = catalog_details(who);
    json_object_set_new(j, "number", json_integer(v->number));
    json_object_set_new(j, "base", json_new_str(v->base));
    return j;
}

// Nothing of the filter, nor of the columns' names.
static json_t *definition_details(const struct catalog_view *v, const struct catalog_author *who) {
    json_t *j = details_of(v, who);
    size_t masked = 0;
    for (size_t i = 0; i < v->column_count; i++) {
        masked += v->columns[i].mask.kind != MASK_NONE ? 1 : 0;
    }
    json_object_set_new(j, "columns", json_integer((json_int_t)v->column_count));
    json_object_set_new(j, "masked", json_integer((json_int_t)masked));
    return j;
}

// May it be put on what there is?
static enum err_code check_put(struct catalog *c, const struct catalog_view *v,
                               const struct catalog_view *old, struct arena *a, struct err *err) {
    struct str there;
    if (v->version == 0 && old->version != 0) {
        return err_set(err, ERR_EXISTS, "there is a view \"" STR_FMT "\" already",
                       STR_ARG(old->name));
    }
    if (v->version != old->version) {
        return err_set(err, ERR_CONFLICT,
                       "view \"" STR_FMT "\" was changed meanwhile: read it and send it again",
                       STR_ARG(v->name));
    }
    if (v->version == 0 && catalog_dataset_is_taken(c, v->name, STR_NONE, a, &there)) {
        return err_set(err, ERR_EXISTS,
                       "there is a dataset \"" STR_FMT
                       "\" already: a name is a dataset's or a view's",
                       STR_ARG(there));
    }
    return ERR_OK;
}

// The earlier definitions, as far as they are kept, and this one behind them. Damaged ones are lost
// anyway, and must not keep anybody from defining the view anew.
static enum err_code definitions_json(struct catalog *c, const struct catalog_view *v,
                                      const struct catalog_view *old, struct str author,
                                      json_t **ret, struct err *err) {
    DEFER(json_decrefp) json_t *was = NULL;
    json_t *list = json_array();
    json_t *body = json_object();
    json_object_set_new(body, "versions", list);
    *ret = body;
    if (old->version != 0) {
        const enum err_code code = catalog_content_get(c, &old->content, &was, err);
        if (code != ERR_OK && code != ERR_CORRUPT) {
            return code;
        }
        *err = ERR_NONE;
        json_array_extend(list, json_object_get(was, "versions"));
    }
    while (json_array_size(list) >= CATALOG_VIEW_VERSIONS_MAX) {
        json_array_remove(list, 0);
    }
    json_array_append_new(list, definition_json(v, author));
    return ERR_OK;
}

static enum err_code commit_put(struct catalog *c, struct catalog_view *v,
                                const struct catalog_author *who, struct arena *a,
                                struct err *err) {
    struct txn_outcome outcome;
    json_t *changes = json_array();
    json_array_append_new(changes, catalog_change(view_key(v->name, a), v->version, view_json(v)));
    if (v->version == 0) {
        json_array_append_new(
            changes, catalog_change(arena_printf(a, STR_FMT STR_FMT, STR_ARG(DATASET_PREFIX),
                                                 STR_ARG(v->name)),
                                    0, NULL));
    }
    DEFER(json_decrefp) json_t *details = definition_details(v, who);
    struct catalog_author telling = *who;
    telling.details = details;
    const struct str target =
        arena_printf(a, STR_FMT STR_FMT, STR_ARG(VIEW_PREFIX), STR_ARG(v->name));
    TRY(catalog_commit(c, &telling, target, changes, &outcome, err));
    v->version = outcome.seq;
    return ERR_OK;
}

enum err_code catalog_view_put(struct catalog *c, struct catalog_view *v,
                               const struct catalog_author *who, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(STORE_GET_MAX);
    DEFER(json_decrefp) json_t *body = NULL;
    struct catalog_view old = {0};
    TRY(catalog_check_name(v->name, err));
    (void)catalog_view_find(c, v->name, &a, &old);
    TRY(check_put(c, v, &old, &a, err));
    struct catalog_view next = *v;
    next.name = old.version != 0 ? old.name : v->name;
    next.id = old.version != 0 ? old.id : uuid_new(&a);
    next.number = old.number + 1;
    next.updated_us = clock_wall_us();
    next.created_us = old.version != 0 ? old.created_us : next.updated_us;
    TRY(definitions_json(c, &next, &old, who->actor, &body, err));
    TRY(catalog_content_put(c, body, &a, &next.content, err));
    const enum err_code code = commit_put(c, &next, who, &a, err);
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        catalog_content_remove(c, &next.content);
    }
    TRY(code);
    catalog_content_remove(c, &old.content);
    v->version = next.version;
    v->number = next.number;
    v->created_us = next.created_us;
    v->updated_us = next.updated_us;
    return ERR_OK;
}

enum err_code catalog_view_remove(struct catalog *c, const struct catalog_view *v,
                                  const struct catalog_author *who, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DEFER(json_decrefp) json_t *details = details_of(v, who);
    struct catalog_author telling = *who;
    telling.details = details;
    json_t *changes = json_array();
    struct txn_outcome outcome;
    json_array_append_new(changes, catalog_change(view_key(v->name, &a), v->version, NULL));
    const struct str target =
        arena_printf(&a, STR_FMT STR_FMT, STR_ARG(VIEW_PREFIX), STR_ARG(v->name));
    TRY(catalog_commit(c, &telling, target, changes, &outcome, err));
    catalog_content_remove(c, &v->content);
    return ERR_OK;
}

enum err_code catalog_view_replace_content(struct catalog *c, const struct catalog_view *v,
                                           const struct catalog_content *content,
                                           const struct catalog_author *who, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct catalog_view next = *v;
    struct txn_outcome outcome;
    json_t *changes = json_array();
    next.content = *content;
    json_array_append_new(changes,
                          catalog_change(view_key(v->name, &a), v->version, view_json(&next)));
    const struct str target =
        arena_printf(&a, STR_FMT STR_FMT, STR_ARG(VIEW_PREFIX), STR_ARG(v->name));
    return catalog_commit(c, who, target, changes, &outcome, err);
}

// ---- Datasets that come and change

void catalog_view_must_not_exist(struct str name, json_t *changes) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    json_array_append_new(changes, catalog_change(view_key(name, &a), 0, NULL));
}

void catalog_view_dataset_renamed(struct catalog *c, const struct catalog_dataset *d, struct str to,
                                  json_t *changes) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    struct txlog_entry *entries;
    size_t count;
    txlog_list(c->log, VIEW_PREFIX, &a, &entries, &count);
    for (size_t i = 0; i < count; i++) {
        struct catalog_view v = view_of(entries[i].version, entries[i].value, &a);
        if (str_eq(v.base_id, d->id)) {
            v.base = to;
            json_array_append_new(changes,
                                  catalog_change(entries[i].key, v.version, view_json(&v)));
        }
    }
}
