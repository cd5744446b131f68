// Kept texts of queries: written batch by batch, brought together by the hour, forgotten.

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "query/query_audit_int.h"

enum {
    TOGETHER_MAX = 500, // entities that are changed at once
    TOGETHER_BYTES = 8 << 20,
    FORGET_TRIES = 5,
    FORGET_PASSES = 20,
};
#define HOUR_US (INT64_C(3600) * 1000000)
#define DAY_US (24 * HOUR_US)
#define LATE_US (INT64_C(300) * 1000000) // a batch may come so much later than its time

// An entity "queries:<id>".
struct kept {
    struct str key;
    uint64_t version;
    struct str first; // key of the first batch that is in it
    int64_t texts, bytes, created_us, expires_us;
    struct catalog_content content;
};

static struct kept kept_of(struct str key, uint64_t version, const json_t *value, struct arena *a) {
    struct kept k = {.key = key, .version = version, .first = key};
    struct str first = STR_NONE;
    if (json_get_str(value, "first", &first)) {
        k.first = arena_str(a, first);
    }
    (void)json_get_i64(value, "texts", &k.texts);
    (void)json_get_i64(value, "bytes", &k.bytes);
    (void)json_get_i64(value, "created_us", &k.created_us);
    (void)json_get_i64(value, "expires_us", &k.expires_us);
    k.content = catalog_content_of(json_object_get(value, "content"), a);
    return k;
}

static json_t *kept_json(const struct kept *k) {
    return json_pack("{s:o,s:I,s:I,s:I,s:I,s:o}", "first", json_new_str(k->first), "texts",
                     (json_int_t)k->texts, "bytes", (json_int_t)k->bytes, "created_us",
                     (json_int_t)k->created_us, "expires_us", (json_int_t)k->expires_us, "content",
                     catalog_content_json(&k->content));
}

// By key, which is by time.
static struct kept *kept_list(struct catalog *c, struct arena *a, size_t *ret_count) {
    struct txlog_entry *entries;
    size_t count;
    txlog_list(catalog_log(c), AUDIT_TEXTS_PREFIX, a, &entries, &count);
    struct kept *list = arena_array(a, count, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i] = kept_of(entries[i].key, entries[i].version, entries[i].value, a);
    }
    *ret_count = count;
    return list;
}

// {<query_id>: <text>}, a new reference.
static enum err_code queries_get(struct catalog *c, const struct kept *k, json_t **ret,
                                 struct err *err) {
    DEFER(json_decrefp) json_t *body = NULL;
    TRY(catalog_content_get(c, &k->content, &body, err));
    *ret = json_incref(json_object_get(body, "queries"));
    return *ret != NULL ? ERR_OK
                        : err_set(err, ERR_CORRUPT, STR_FMT " holds no texts of queries",
                                  STR_ARG(k->content.object));
}

static enum err_code queries_put(struct catalog *c, json_t *queries, struct kept *k,
                                 struct arena *a, struct err *err) {
    DEFER(json_decrefp) json_t *body = json_pack("{s:O}", "queries", queries);
    const char *id;
    const json_t *text;
    k->texts = (int64_t)json_object_size(queries);
    k->bytes = 0;
    json_object_foreach(queries, id, text) {
        k->bytes += (int64_t)json_string_length(text);
    }
    return catalog_content_put(c, body, a, &k->content, err);
}

static enum err_code commit(struct catalog *c, const char *action, int64_t texts, json_t *changes,
                            struct err *err) {
    DEFER(json_decrefp) json_t *details = json_pack("{s:I}", "texts", (json_int_t)texts);
    const struct catalog_author who = {
        .actor = STR("tarn"), .action = str_from(action), .details = details};
    struct txn_outcome outcome;
    return catalog_commit(c, &who, STR("queries"), changes, &outcome, err);
}

// ---- Writing

static void decref(void *value) {
    json_decref(value);
}

enum err_code audit_texts_put(struct audit *a, const struct audit_batch *b, struct arena *arena,
                              struct catalog_note *ret_note, struct catalog_content *ret_content,
                              struct err *err) {
    DEFER(json_decrefp) json_t *queries = json_object();
    struct kept k = {.key = arena_printf(arena, STR_FMT STR_FMT, STR_ARG(AUDIT_TEXTS_PREFIX),
                                         STR_ARG(id_new(arena))),
                     .created_us = clock_wall_us()};
    k.first = k.key;
    k.expires_us = k.created_us + a->options.sql_days * DAY_US;
    for (struct audit_item *i = b->first; i != NULL; i = i->next) {
        if (i->sql.len > 0) {
            json_object_set_new(queries, arena_cstr(arena, i->query_id), json_new_str(i->sql));
            json_object_set_new(i->details, "sql_ref", json_new_str(k.key));
        }
    }
    if (json_object_size(queries) == 0) {
        return ERR_OK;
    }
    TRY(queries_put(a->options.catalog, queries, &k, arena, err));
    json_t *changes = json_array();
    json_t *details = json_pack("{s:I}", "texts", (json_int_t)k.texts);
    arena_defer(arena, decref, changes);
    arena_defer(arena, decref, details);
    json_array_append_new(changes, catalog_change(k.key, 0, kept_json(&k)));
    *ret_note = (struct catalog_note){
        .who = {.actor = STR("tarn"), .action = STR("audit.keep"), .details = details},
        .target = k.key,
        .changes = changes};
    *ret_content = k.content;
    return ERR_OK;
}

// ---- What is too old, and what is of one hour

// Somebody else was quicker, or will be asked again in an hour.
static enum err_code unless_conflict(enum err_code code, struct err *err) {
    if (code == ERR_CONFLICT) {
        *err = ERR_NONE;
        return ERR_OK;
    }
    return code;
}

static enum err_code remove_all(struct catalog *c, const struct kept *list, size_t count,
                                struct err *err) {
    json_t *changes = json_array();
    int64_t texts = 0;
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(changes, catalog_change(list[i].key, list[i].version, NULL));
        texts += list[i].texts;
    }
    TRY(commit(c, "audit.expire", texts, changes, err));
    for (size_t i = 0; i < count; i++) {
        catalog_content_remove(c, &list[i].content);
    }
    return ERR_OK;
}

// The setting of today counts, if it is shorter than that of their time.
static bool is_old(const struct audit *a, const struct kept *k, int64_t now_us) {
    return MIN(k->expires_us, k->created_us + a->options.sql_days * DAY_US) <= now_us;
}

// Leaves those that are not too old in the list.
static enum err_code expire(struct audit *a, struct kept *list, size_t *count, int64_t now_us,
                            struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(SIZE_MAX);
    struct kept *old = arena_array(&arena, *count, sizeof(*old));
    size_t old_count = 0;
    size_t left = 0;
    for (size_t i = 0; i < *count; i++) {
        if (is_old(a, &list[i], now_us)) {
            old[old_count++] = list[i];
        } else {
            list[left++] = list[i];
        }
    }
    *count = left;
    for (size_t i = 0; i < old_count; i += TOGETHER_MAX) {
        const size_t n = MIN(old_count - i, (size_t)TOGETHER_MAX);
        TRY(unless_conflict(remove_all(a->options.catalog, old + i, n, err), err));
    }
    return ERR_OK;
}

// Of several that lie next to each other, one, under the key of the last.
static enum err_code merge(struct catalog *c, const struct kept *list, size_t count,
                           struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(SIZE_MAX);
    DEFER(json_decrefp) json_t *all = json_object();
    struct kept k = list[count - 1];
    for (size_t i = 0; i < count; i++) {
        DEFER(json_decrefp) json_t *queries = NULL;
        TRY(queries_get(c, &list[i], &queries, err));
        CHECK(json_object_update(all, queries) == 0);
        k.first = str_cmp(list[i].first, k.first) < 0 ? list[i].first : k.first;
        k.created_us = MIN(k.created_us, list[i].created_us);
        k.expires_us = MAX(k.expires_us, list[i].expires_us);
    }
    TRY(queries_put(c, all, &k, &arena, err));
    json_t *changes = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *value = i == count - 1 ? kept_json(&k) : NULL;
        json_array_append_new(changes, catalog_change(list[i].key, list[i].version, value));
    }
    const enum err_code code = commit(c, "audit.merge", k.texts, changes, err);
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        catalog_content_remove(c, &k.content);
    }
    for (size_t i = 0; i < count && code == ERR_OK; i++) {
        catalog_content_remove(c, &list[i].content);
    }
    return code;
}

// How many from the first on are of its hour, and not too much for one object.
static size_t group_of(const struct kept *list, size_t count, int64_t now_us) {
    const int64_t hour = list[0].created_us / HOUR_US;
    int64_t bytes = 0;
    size_t n = 0;
    if ((hour + 1) * HOUR_US + LATE_US > now_us) {
        return 1;
    }
    while (n < MIN(count, (size_t)TOGETHER_MAX) && list[n].created_us / HOUR_US == hour &&
           bytes + list[n].bytes <= TOGETHER_BYTES) {
        bytes += list[n++].bytes;
    }
    return MAX(n, 1);
}

enum err_code audit_texts_look(struct audit *a, int64_t now_us, struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(SIZE_MAX);
    enum err_code code = ERR_OK;
    size_t count;
    struct kept *list = kept_list(a->options.catalog, &arena, &count);
    TRY(expire(a, list, &count, now_us, err));
    for (size_t i = 0; i < count;) {
        struct err one = ERR_NONE;
        const size_t n = group_of(list + i, count - i, now_us);
        if (n > 1 &&
            unless_conflict(merge(a->options.catalog, list + i, n, &one), &one) != ERR_OK) {
            *err = one; // the others do not wait for what is damaged
            code = one.code;
        }
        i += n;
    }
    return code;
}

// ---- Forgetting

struct forgetting {
    struct catalog *catalog;
    struct store *store;
    const struct audit_quotes *quotes;
    struct arena *arena;
    struct audit_forgotten *done;
};

// How many texts were taken out.
static int64_t take_out(const struct audit_quotes *q, json_t *queries) {
    const char *id;
    json_t *text;
    void *next;
    int64_t count = 0;
    json_object_foreach_safe(queries, next, id, text) {
        const struct str sql = {json_string_value(text), json_string_length(text)};
        if (q->fn(q->ctx, sql)) {
            json_object_del(queries, id);
            count++;
        }
    }
    return count;
}

static void note_removed(struct forgetting *f, const struct catalog_content *content,
                         uint64_t bytes) {
    struct catalog_content_swept *o = &f->done->objects;
    o->items = arena_grow(f->arena, o->items, &o->cap, o->count + 1, sizeof(*o->items));
    o->bytes = arena_grow(f->arena, o->bytes, &o->bytes_cap, o->count + 1, sizeof(*o->bytes));
    o->items[o->count] = (struct catalog_content){.object = arena_str(f->arena, content->object),
                                                  .sha256 = arena_str(f->arena, content->sha256)};
    o->bytes[o->count++] = (int64_t)bytes;
}

// What is left of an entity's texts (NULL: nothing) takes their place. ERR_CONFLICT: it was
// changed.
static enum err_code replace(struct forgetting *f, const struct kept *k, json_t *queries,
                             int64_t removed, struct err *err) {
    struct kept fresh = *k;
    uint64_t bytes = 0;
    struct err none = ERR_NONE;
    (void)store_size(f->store, k->content.object, &bytes, &none);
    if (queries != NULL) {
        TRY(queries_put(f->catalog, queries, &fresh, f->arena, err));
    }
    json_t *changes = json_array();
    json_array_append_new(
        changes, catalog_change(k->key, k->version, queries != NULL ? kept_json(&fresh) : NULL));
    const enum err_code code = commit(f->catalog, "audit.forget", removed, changes, err);
    if (code != ERR_OK && code != ERR_UNKNOWN && queries != NULL) {
        catalog_content_remove(f->catalog, &fresh.content);
    }
    TRY(code);
    catalog_content_remove(f->catalog, &k->content);
    note_removed(f, &k->content, bytes);
    f->done->texts += removed;
    return ERR_OK;
}

static enum err_code forget_once(struct forgetting *f, const struct kept *k, struct err *err) {
    DEFER(json_decrefp) json_t *queries = NULL;
    const enum err_code code = queries_get(f->catalog, k, &queries, err);
    if (code == ERR_CORRUPT) { // nobody can read it, nor say what stands in it
        log_warn("audit_texts", "removed=%s why=%s", log_quote(k->content.object),
                 log_quote(str_from(err->msg)));
        *err = ERR_NONE;
        return replace(f, k, NULL, 0, err);
    }
    TRY(code);
    const int64_t removed = take_out(f->quotes, queries);
    if (removed == 0) {
        return ERR_OK;
    }
    return replace(f, k, json_object_size(queries) > 0 ? queries : NULL, removed, err);
}

static enum err_code forget_in(struct forgetting *f, struct str key, struct err *err) {
    enum err_code code = ERR_CONFLICT;
    for (int tries = 0; tries < FORGET_TRIES && code == ERR_CONFLICT; tries++) {
        uint64_t version;
        *err = ERR_NONE;
        DEFER(json_decrefp) json_t *value = txlog_get(catalog_log(f->catalog), key, &version);
        if (value == NULL) {
            return ERR_OK; // it is gone, or in another one by now, which is newer
        }
        const struct kept k = kept_of(key, version, value, f->arena);
        code = forget_once(f, &k, err);
    }
    return code;
}

static enum err_code forget_hashes(struct catalog *c, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct catalog_author who = {.actor = STR("tarn"), .action = STR("audit.forget")};
    const struct str key = arena_printf(&a, "secret:" STR_FMT, STR_ARG(AUDIT_SECRET));
    struct catalog_secret fresh;
    DEFER(json_decrefp) json_t *there = txlog_get(catalog_log(c), key, NULL);
    return there == NULL ? ERR_OK : catalog_secret_rotate(c, AUDIT_SECRET, &who, &a, &fresh, err);
}

// What was brought together or written meanwhile has a newer version than what was looked at.
enum err_code audit_texts_forget(struct audit *a, const struct audit_quotes *q, struct arena *arena,
                                 struct audit_forgotten *ret, struct err *err) {
    struct forgetting f = {.catalog = a->options.catalog, .quotes = q, .arena = arena, .done = ret};
    struct txlog *log = catalog_log(f.catalog);
    const struct catalog_bucket *bucket;
    uint64_t seen = 0;
    size_t looked = 1;
    TRY(catalog_bucket_find(f.catalog, STR_NONE, &bucket, err));
    f.store = bucket->store;
    TRY(txlog_refresh(log, 0, 0, err));
    for (int pass = 0; pass < FORGET_PASSES && looked > 0; pass++) {
        size_t count;
        const uint64_t seq = txlog_seq(log);
        const struct kept *list = kept_list(f.catalog, arena, &count);
        looked = 0;
        for (size_t i = 0; i < count; i++) {
            if (list[i].version > seen) {
                looked++;
                TRY(forget_in(&f, list[i].key, err));
            }
        }
        seen = seq;
    }
    return forget_hashes(f.catalog, err);
}

// ---- Reading

struct audit_texts {
    struct catalog *catalog;
    struct arena arena;
    struct kept *list; // as of one moment
    size_t count;
    const struct kept *at; // whose texts are in hand; NULL: none's
    json_t *queries;
};

struct audit_texts *audit_texts_new(struct catalog *c) {
    struct audit_texts *t = xcalloc(1, sizeof(*t));
    t->catalog = c;
    t->arena = ARENA(SIZE_MAX);
    t->list = kept_list(c, &t->arena, &t->count);
    return t;
}

void audit_texts_free(struct audit_texts *t) {
    if (t != NULL) {
        json_decref(t->queries);
        arena_release(&t->arena);
        free(t);
    }
}

void audit_texts_freep(struct audit_texts **t) {
    audit_texts_free(*t);
}

static void take_in_hand(struct audit_texts *t, const struct kept *k) {
    struct err err = ERR_NONE;
    if (t->at == k) {
        return;
    }
    json_decref(TAKE(t->queries));
    t->at = k;
    if (queries_get(t->catalog, k, &t->queries, &err) != ERR_OK) { // erased meanwhile, perhaps
        log_debug("audit_texts", "why=%s", log_quote(str_from(err.msg)));
    }
}

bool audit_texts_find(struct audit_texts *t, const json_t *details, struct arena *a,
                      struct str *ret) {
    struct str ref = STR_NONE;
    struct str id = STR_NONE;
    if (!json_get_str(details, "sql_ref", &ref) || !json_get_str(details, "query_id", &id)) {
        return false;
    }
    size_t low = 0;
    size_t high = t->count;
    while (low < high) { // the first whose key is not before it
        const size_t middle = low + (high - low) / 2;
        if (str_cmp(t->list[middle].key, ref) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < t->count; low++) { // what was brought together may lie around others
        struct str text = STR_NONE;
        if (str_cmp(t->list[low].first, ref) > 0) {
            continue;
        }
        take_in_hand(t, &t->list[low]);
        if (json_get_str(t->queries, arena_cstr(a, id), &text)) {
            *ret = arena_str(a, text);
            return true;
        }
    }
    return false;
}
