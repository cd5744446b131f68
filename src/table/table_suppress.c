// Suppression lists: what they hold, and the rows that they keep out.

#include "table/table_suppress.h"

#include <stdlib.h>

#include "base/hash.h"
#include "catalog/catalog_content.h"
#include "catalog/catalog_suppression.h"
#include "table/table_int.h"

#define SECRET STR("suppression")
#define UUID_LEN 36

// One list, parsed; in the cache.
struct table_suppress_keys {
    struct str column;
    const struct sha256 *hmacs; // ascending
    size_t count;
};

static int hmac_cmp(const void *x, const void *y) {
    return memcmp(x, y, sizeof(struct sha256));
}

static bool is_listed(const struct table_suppress_keys *k, const struct sha256 *hmac) {
    return k->count > 0 && bsearch(hmac, k->hmacs, k->count, sizeof(*k->hmacs), hmac_cmp) != NULL;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// A UUID in lower case, in buf; any other text as it is.
static struct str key_text(struct str text, char buf[UUID_LEN]) {
    if (text.len != UUID_LEN) {
        return text;
    }
    for (size_t i = 0; i < UUID_LEN; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text.ptr[i];
        if (dash ? c != '-' : !is_hex(c)) {
            return text;
        }
        buf[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    }
    return (struct str){buf, UUID_LEN};
}

static enum err_code hmac_open(struct tables *t, struct hmac **ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct catalog_secret secret;
    TRY(catalog_secret_get(t->catalog, SECRET, &a, &secret, err));
    *ret = hmac_new((struct str){(const char *)secret.bytes, sizeof(secret.bytes)});
    return ERR_OK;
}

// The entity, a new reference, never to be modified; NULL: there is none.
static json_t *entity_get(struct tables *t, struct str dataset, uint64_t *ret_version) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    return txlog_get(catalog_log(t->catalog), catalog_suppression_key(dataset, &a), ret_version);
}

static struct str column_of(const json_t *list) {
    struct str column = STR_NONE;
    (void)json_get_str(list, "column", &column);
    return column;
}

// Lists as they are kept

struct loading {
    struct catalog *catalog;
    const struct catalog_content *content;
};

static enum err_code read_hmacs(const json_t *body, struct arena *own,
                                struct table_suppress_keys *ret, struct err *err) {
    struct str column = STR_NONE;
    json_t *hmacs = NULL;
    TRY(json_need_str(body, "column", &column, err));
    TRY(json_need_array(body, "hmacs", &hmacs, err));
    struct sha256 *items = arena_array(own, json_array_size(hmacs), sizeof(*items));
    const json_t *item;
    size_t i;
    json_array_foreach(hmacs, i, item) {
        const struct str hex = {json_string_value(item), json_string_length(item)};
        if (!hex_decode(hex, items[i].bytes, sizeof(items[i].bytes)) ||
            (i > 0 && hmac_cmp(&items[i - 1], &items[i]) >= 0)) {
            return err_set(err, ERR_CORRUPT, "its keys are not in order");
        }
    }
    *ret = (struct table_suppress_keys){arena_str(own, column), items, json_array_size(hmacs)};
    return ERR_OK;
}

static enum err_code load_keys(void *ctx, struct arena *own, const void **ret, struct err *err) {
    const struct loading *l = ctx;
    struct table_suppress_keys *keys = arena_alloc(own, sizeof(*keys));
    DEFER(json_decrefp) json_t *body = NULL;
    TRY(catalog_content_get(l->catalog, l->content, &body, err));
    if (read_hmacs(body, own, keys, err) != ERR_OK) {
        err->code = ERR_CORRUPT;
        return err_prefix(err, STR_FMT " is no suppression list: ", STR_ARG(l->content->object));
    }
    *ret = keys;
    return ERR_OK;
}

static enum err_code list_load(struct tables *t, const json_t *list, struct arena *a,
                               const struct table_suppress_keys **ret, struct err *err) {
    const struct catalog_content content = catalog_content_of(json_object_get(list, "content"), a);
    struct loading loading = {t->catalog, &content};
    const struct cache_loader loader = {load_keys, &loading};
    const void *value;
    const struct str key = arena_printf(a, "suppression:" STR_FMT, STR_ARG(content.object));
    TRY(cache_get(t->cache, key, &loader, a, &value, err));
    *ret = value;
    return ERR_OK;
}

// Tells apart which lists there are, for which columns.
static struct str tag_of(const json_t *lists, struct arena *a) {
    DEFER(buf_release) struct buf all = BUF(1 << 20);
    const json_t *list;
    size_t i;
    json_array_foreach(lists, i, list) {
        buf_add_str(&all, column_of(list));
        buf_add_char(&all, '\n');
        json_add_text(&all, json_object_get(list, "content"));
        buf_add_char(&all, '\n');
    }
    return hex_sha256(sha256(buf_str(&all)), a);
}

uint64_t table_suppress_version(struct tables *t, struct str dataset) {
    uint64_t version;
    json_t *entity = entity_get(t, dataset, &version);
    json_decref(entity);
    return version;
}

// The list is for the column that the entity names; the one in the content is that which it was
// made for.
enum err_code table_suppress_load(struct tables *t, struct str dataset, struct arena *a,
                                  struct table_suppress_lists *ret, struct err *err) {
    struct table_suppress_lists found = {0};
    DEFER(json_decrefp) json_t *entity = entity_get(t, dataset, &found.version);
    if (entity == NULL) {
        *ret = found;
        return ERR_OK;
    }
    const json_t *lists = json_object_get(entity, "lists");
    const json_t *list;
    size_t i;
    found.items = arena_array(a, json_array_size(lists), sizeof(void *));
    json_array_foreach(lists, i, list) {
        const struct table_suppress_keys *kept = NULL;
        struct table_suppress_keys *named = arena_alloc(a, sizeof(*named));
        TRY(list_load(t, list, a, &kept, err));
        *named = *kept;
        named->column = arena_str(a, column_of(list));
        found.items[found.count++] = named;
    }
    found.tag = tag_of(lists, a);
    *ret = found;
    return ERR_OK;
}

enum err_code table_suppress_same_file(struct tables *t, const struct catalog_dataset *d,
                                       struct str sha256, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    uint64_t version;
    DEFER(json_decrefp) json_t *entity = entity_get(t, d->name, &version);
    const bool same = sha256.len > 0 && str_eq(sha256, d->source_sha256);
    if (same && (d->source_lists.len == 0 ||
                 str_eq(d->source_lists, tag_of(json_object_get(entity, "lists"), &a)))) {
        return ERR_OK;
    }
    return table_taken(
        d->name, same ? "this file when others of its rows were kept out" : "another file", err);
}

// Keys that are added

static struct sha256 *hmacs_of(const struct table_suppress *s, struct hmac *h, struct arena *a) {
    struct sha256 *hmacs = arena_array(a, s->key_count, sizeof(*hmacs));
    for (size_t i = 0; i < s->key_count; i++) {
        char buf[UUID_LEN];
        hmacs[i] = hmac_of(h, key_text(s->keys[i].text, buf));
    }
    return hmacs;
}

// All that are listed for one column.
struct union_of {
    struct sha256 *items;
    size_t count, cap;
};

static void union_add(struct union_of *u, const struct sha256 *items, size_t count,
                      struct arena *a) {
    u->items = arena_grow(a, u->items, &u->cap, u->count + count + 1, sizeof(*u->items));
    for (size_t i = 0; i < count; i++) {
        u->items[u->count++] = items[i];
    }
}

static void union_settle(struct union_of *u) {
    size_t count = 0;
    if (u->count == 0) {
        return;
    }
    qsort(u->items, u->count, sizeof(*u->items), hmac_cmp);
    for (size_t i = 0; i < u->count; i++) {
        if (count == 0 || hmac_cmp(&u->items[count - 1], &u->items[i]) != 0) {
            u->items[count++] = u->items[i];
        }
    }
    u->count = count;
}

static enum err_code content_put(struct tables *t, const struct table_suppress *s,
                                 const struct union_of *u, struct arena *a, json_t **ret,
                                 struct err *err) {
    struct catalog_content content;
    DEFER(json_decrefp) json_t *body = json_object();
    json_t *hmacs = json_array();
    for (size_t i = 0; i < u->count; i++) {
        json_array_append_new(hmacs, json_new_str(hex_sha256(u->items[i], a)));
    }
    json_object_set_new(body, "column", json_new_str(s->column));
    json_object_set_new(body, "hmacs", hmacs);
    TRY(catalog_content_put(t->catalog, body, a, &content, err));
    *ret = json_object();
    json_object_set_new(*ret, "column", json_new_str(s->column));
    json_object_set_new(*ret, "count", json_integer((json_int_t)u->count));
    json_object_set_new(*ret, "content", catalog_content_json(&content));
    return ERR_OK;
}

// What the entity becomes: other columns' lists, and one of this column with all of its keys. *ret
// stays NULL when all of them are there.
static enum err_code entity_with(struct tables *t, const struct table_suppress *s,
                                 const json_t *entity, struct arena *a, json_t **ret,
                                 struct err *err) {
    DEFER(hmac_freep) struct hmac *h = NULL;
    DEFER(json_decrefp) json_t *lists = json_array();
    struct union_of u = {0};
    const json_t *list;
    size_t i;
    json_array_foreach(json_object_get(entity, "lists"), i, list) {
        const struct table_suppress_keys *keys = NULL;
        if (!str_eq_nocase(column_of(list), s->column)) {
            json_array_append(lists, (json_t *)(uintptr_t)list);
            continue;
        }
        TRY(list_load(t, list, a, &keys, err));
        union_add(&u, keys->hmacs, keys->count, a);
    }
    union_settle(&u);
    const size_t before = u.count;
    TRY(hmac_open(t, &h, err));
    union_add(&u, hmacs_of(s, h, a), s->key_count, a);
    union_settle(&u);
    if (u.count == before) {
        return ERR_OK;
    }
    if (u.count > TABLE_SUPPRESS_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "the suppression list of dataset \"" STR_FMT
                       "\" would have %zu keys; it has "
                       "at most %d",
                       STR_ARG(s->dataset), u.count, TABLE_SUPPRESS_MAX);
    }
    TRY(content_put(t, s, &u, a, ret, err));
    json_array_append_new(lists, *ret);
    *ret = json_object();
    json_object_set_new(*ret, "name", json_new_str(s->dataset));
    json_object_set(*ret, "lists", lists);
    return ERR_OK;
}

static void fence(struct tables *t, const struct table_suppress *s, struct arena *a,
                  json_t *changes) {
    struct catalog_dataset d;
    struct err missing = ERR_NONE;
    uint64_t version;
    if (!s->fence || catalog_dataset_get(t->catalog, s->dataset, a, &d, &missing) != ERR_OK) {
        return;
    }
    const struct str key = arena_printf(a, "dataset:" STR_FMT, STR_ARG(d.name));
    json_t *value = txlog_get(catalog_log(t->catalog), key, &version);
    if (value != NULL) {
        json_array_append_new(changes, catalog_change(key, version, value));
    }
}

enum err_code table_suppress_changes(struct tables *t, const struct table_suppress *s,
                                     struct arena *a, json_t *changes, struct err *err) {
    uint64_t version;
    json_t *value = NULL;
    DEFER(json_decrefp) json_t *entity = entity_get(t, s->dataset, &version);
    TRY(entity_with(t, s, entity, a, &value, err));
    if (value == NULL) {
        return ERR_OK;
    }
    json_array_append_new(changes,
                          catalog_change(catalog_suppression_key(s->dataset, a), version, value));
    fence(t, s, a, changes);
    return ERR_OK;
}

// What there is

void table_suppress_list(struct tables *t, struct arena *a, struct table_suppression **ret,
                         size_t *ret_count) {
    struct txlog_entry *entries;
    size_t count;
    size_t cap = 0;
    *ret = NULL;
    *ret_count = 0;
    txlog_list(catalog_log(t->catalog), STR("suppression:"), a, &entries, &count);
    for (size_t i = 0; i < count; i++) {
        const json_t *list;
        size_t k;
        struct str name = STR_NONE;
        (void)json_get_str(entries[i].value, "name", &name);
        json_array_foreach(json_object_get(entries[i].value, "lists"), k, list) {
            int64_t keys = 0;
            (void)json_get_i64(list, "count", &keys);
            *ret = arena_grow(a, *ret, &cap, *ret_count + 1, sizeof(**ret));
            (*ret)[(*ret_count)++] =
                (struct table_suppression){arena_str(a, name), arena_str(a, column_of(list)), keys};
        }
    }
}

static bool is_named(struct tables *t, struct str object, struct arena *a) {
    struct txlog_entry *entries;
    size_t count;
    txlog_list(catalog_log(t->catalog), STR("suppression:"), a, &entries, &count);
    for (size_t i = 0; i < count; i++) {
        const json_t *list;
        size_t k;
        json_array_foreach(json_object_get(entries[i].value, "lists"), k, list) {
            if (str_eq(catalog_content_of(json_object_get(list, "content"), a).object, object)) {
                return true;
            }
        }
    }
    return false;
}

enum err_code table_suppress_remove(struct tables *t, struct str dataset,
                                    const struct catalog_author *who, int64_t *ret_count,
                                    struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    uint64_t version;
    struct txn_outcome outcome;
    DEFER(json_decrefp) json_t *entity = entity_get(t, dataset, &version);
    if (entity == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no suppression list for \"" STR_FMT "\"",
                       STR_ARG(dataset));
    }
    const struct str key = catalog_suppression_key(dataset, &a);
    json_t *changes = json_array();
    json_array_append_new(changes, catalog_change(key, version, NULL));
    TRY(catalog_commit(t->catalog, who, key, changes, &outcome, err));
    const json_t *list;
    size_t i;
    json_array_foreach(json_object_get(entity, "lists"), i, list) {
        const struct catalog_content content =
            catalog_content_of(json_object_get(list, "content"), &a);
        if (!is_named(t, content.object, &a)) {
            catalog_content_remove(t->catalog, &content);
        }
    }
    *ret_count = (int64_t)i;
    return ERR_OK;
}

// Rows that are kept out

// Whole numbers look the same whatever their type.
static struct str text_sql(const struct ice_field *f, struct arena *a) {
    const struct str c = sql_ident(f->name, a);
    const enum ice_kind kind = f->type.kind;
    if (kind != ICE_FLOAT && kind != ICE_DOUBLE && kind != ICE_DECIMAL) {
        return arena_printf(a, "CAST(" STR_FMT " AS VARCHAR)", STR_ARG(c));
    }
    return arena_printf(a,
                        "COALESCE(CASE WHEN " STR_FMT " = trunc(" STR_FMT
                        ") THEN CAST(TRY_CAST(" STR_FMT
                        " AS HUGEINT) AS VARCHAR) END, CAST(" STR_FMT " AS VARCHAR))",
                        STR_ARG(c), STR_ARG(c), STR_ARG(c), STR_ARG(c));
}

// A search through rows for those that a list keeps out.
struct search {
    const struct table_suppress_work *work;
    struct str places;         // two BIGINT expressions: file and row
    struct str from;           // behind FROM; has the columns
    struct ice_schema columns; // that have a list
    struct hmac *hmac;
    const int64_t *rows;        // of each file
    struct table_deletes *gone; // of each file: what was found
    int64_t found;
};

static struct ice_schema listed_columns(const struct table_suppress_work *w) {
    struct ice_schema s = {.fields = arena_array(w->arena, w->lists->count + 1, sizeof(*s.fields))};
    for (size_t i = 0; i < w->lists->count; i++) {
        const struct ice_field *f = ice_schema_find(w->schema, w->lists->items[i]->column);
        bool there = f == NULL;
        for (size_t k = 0; k < s.field_count && !there; k++) {
            there = s.fields[k].id == f->id;
        }
        if (!there) {
            s.fields[s.field_count++] = *f;
        }
    }
    return s;
}

static void note(struct search *s, int64_t file, int64_t row) {
    struct table_deletes *gone = &s->gone[file];
    CHECK(row >= 0 && row < s->rows[file]);
    if (gone->bits == NULL) {
        gone->rows = s->rows[file];
        gone->bits =
            arena_array(s->work->arena, ((size_t)gone->rows + 63) / 64, sizeof(*gone->bits));
    }
    uint64_t *word = (uint64_t *)(uintptr_t)&gone->bits[row / 64];
    const uint64_t bit = UINT64_C(1) << (row % 64);
    if ((*word & bit) == 0) {
        *word |= bit;
        gone->count++;
        s->found++;
    }
}

static bool value_is_listed(struct search *s, size_t column, struct str text) {
    const struct table_suppress_lists *lists = s->work->lists;
    const struct str name = s->columns.fields[column].name;
    char buf[UUID_LEN];
    const struct sha256 hmac = hmac_of(s->hmac, key_text(text, buf));
    for (size_t i = 0; i < lists->count; i++) {
        if (str_eq_nocase(lists->items[i]->column, name) && is_listed(lists->items[i], &hmac)) {
            return true;
        }
    }
    return false;
}

static void search_chunk(struct search *s, const struct vec_chunk *chunk) {
    const int64_t *file = chunk->columns[0].data;
    const int64_t *row = chunk->columns[1].data;
    for (size_t k = 0; k < s->columns.field_count; k++) {
        const struct vec *texts = &chunk->columns[2 + k];
        for (size_t i = 0; i < chunk->rows; i++) {
            if (!vec_is_null(texts, i) && value_is_listed(s, k, vec_str(texts, i))) {
                note(s, file[i], row[i]);
            }
        }
    }
}

static enum err_code search(struct search *s, struct err *err) {
    struct arena *a = s->work->arena;
    DEFER(hmac_freep) struct hmac *h = NULL;
    DEFER(buf_release) struct buf sql = BUF(256U << 20);
    DEFER(rows_closep) struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    TRY(hmac_open(s->work->tables, &h, err));
    s->hmac = h;
    buf_printf(&sql, "SELECT " STR_FMT, STR_ARG(s->places));
    for (size_t i = 0; i < s->columns.field_count; i++) {
        buf_printf(&sql, ", " STR_FMT, STR_ARG(text_sql(&s->columns.fields[i], a)));
    }
    buf_printf(&sql, " FROM " STR_FMT, STR_ARG(s->from));
    CHECK(!sql.overflow);
    TRY(session_query(s->work->session, buf_str(&sql), &rows, err));
    do {
        TRY(rows_next(rows, &chunk, err));
        if (chunk != NULL) {
            search_chunk(s, chunk);
        }
    } while (chunk != NULL);
    return ERR_OK;
}

static void folder_release(void *folder) {
    table_folder_release(folder);
}

// The files without what was found in them, in a folder of their own.
static enum err_code stage_rest(const struct table_suppress_work *w, const struct table_scan *scan,
                                struct table_staged *staged, struct err *err) {
    const struct table_pin pin = {.schema = w->schema};
    struct table_folder *folder = arena_alloc(w->arena, sizeof(*folder));
    struct table_staged rest;
    TRY(table_folder_make(w->tables, w->arena, folder, err));
    arena_defer(w->arena, folder_release, folder);
    const struct table_stage_source source = {
        .select = table_scan_sql(&pin, scan, w->arena),
        .schema = w->schema,
        .folder = folder->path,
    };
    TRY(table_stage(w->tables, w->session, &source, w->arena, &rest, err));
    rest.prefix = staged->prefix;
    *staged = rest;
    return ERR_OK;
}

enum err_code table_suppress_staged(const struct table_suppress_work *w,
                                    struct table_staged *staged, int64_t *ret, struct err *err) {
    struct arena *a = w->arena;
    const struct table_pin pin = {.schema = w->schema};
    struct search s = {.work = w, .columns = listed_columns(w)};
    struct table_file *files = arena_array(a, staged->count, sizeof(*files));
    struct ice_data_file *sizes = arena_array(a, staged->count, sizeof(*sizes));
    int64_t *rows = arena_array(a, staged->count, sizeof(*rows));
    *ret = 0;
    if (s.columns.field_count == 0 || staged->count == 0) {
        return ERR_OK;
    }
    for (size_t i = 0; i < staged->count; i++) {
        rows[i] = staged->stats[i].rows;
        sizes[i].record_count = rows[i];
        files[i] = (struct table_file){
            .file = &sizes[i], .path = staged->stats[i].path, .schema = w->schema};
    }
    const struct table_scan all = {.files = files, .file_count = staged->count};
    s.rows = rows;
    s.gone = arena_array(a, staged->count, sizeof(*s.gone));
    s.places = STR("tarn_file, tarn_row");
    s.from =
        arena_printf(a, "(" STR_FMT ")", STR_ARG(table_scan_places_sql(&pin, &all, &s.columns, a)));
    TRY(search(&s, err));
    *ret = s.found;
    for (size_t i = 0; i < staged->count; i++) {
        files[i].deletes = s.gone[i].count > 0 ? &s.gone[i] : NULL;
    }
    const struct table_scan rest = table_scan_of(w->tables->engine, files, staged->count, a);
    return s.found > 0 ? stage_rest(w, &rest, staged, err) : ERR_OK;
}

enum err_code table_suppress_delta(const struct table_suppress_work *w, int64_t last, int64_t *ret,
                                   struct err *err) {
    const int64_t rows = last + 1;
    struct table_deletes gone = {0};
    struct search s = {.work = w,
                       .columns = listed_columns(w),
                       .places = STR("CAST(0 AS BIGINT), tarn_order"),
                       .from = STR("tarn_delta"),
                       .rows = &rows,
                       .gone = &gone};
    *ret = 0;
    if (s.columns.field_count == 0) {
        return ERR_OK;
    }
    TRY(search(&s, err));
    *ret = s.found;
    if (s.found == 0) {
        return ERR_OK;
    }
    const struct engine_live_file file = {.deleted = gone.bits, .rows = (uint64_t)rows};
    const int64_t id = engine_live_add(w->tables->engine, &file, 1);
    const enum err_code code = session_run(
        w->session,
        arena_printf(w->arena, "DELETE FROM tarn_delta WHERE NOT tarn_live_one(%lld, tarn_order)",
                     (long long)engine_live_key(id, 0)),
        err);
    engine_live_remove(w->tables->engine, id);
    return code;
}

static void decref(void *tree) {
    json_decref(tree);
}

const json_t *table_suppress_details(const json_t *details, int64_t suppressed, struct arena *a) {
    if (suppressed == 0) {
        return details;
    }
    json_t *told = details != NULL ? json_deep_copy((json_t *)(uintptr_t)details) : json_object();
    json_object_set_new(told, "suppressed", json_integer(suppressed));
    arena_defer(a, decref, told);
    return told;
}
