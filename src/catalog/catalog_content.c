// Content objects and secrets: what the log names and does not hold.

#include "catalog/catalog_content.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/hashmap.h"
#include "catalog/catalog_int.h"

#define SALT_BYTES 32
#define CONTENT_VERSION 1
#define SECRET_ENTITY STR("secret:")
#define SECRET_ATTEMPTS 5
#define LIST_PAGE 1000

static struct str sha256_text(struct str bytes, struct arena *a) {
    return hex_sha256(sha256(bytes), a);
}

enum err_code catalog_content_put(struct catalog *c, const json_t *body, struct arena *a,
                                  struct catalog_content *ret, struct err *err) {
    uint8_t salt[SALT_BYTES];
    DEFER(json_decrefp) json_t *j = json_object();
    random_bytes(salt, sizeof(salt));
    json_object_set_new(j, "v", json_integer(CONTENT_VERSION));
    json_object_set_new(j, "salt", json_new_str(hex_bytes(salt, sizeof(salt), a)));
    json_object_set(j, "body", (json_t *)(uintptr_t)body);
    const struct str text = json_text(j, a);
    const struct catalog_content made = {
        .object = arena_printf(a, STR_FMT STR_FMT ".json", STR_ARG(CATALOG_CONTENT_PREFIX),
                               STR_ARG(uuid_new(a))),
        .sha256 = sha256_text(text, a),
    };
    TRY(store_put_new(c->primary.store, made.object, text, err));
    *ret = made;
    return ERR_OK;
}

static enum err_code damaged(const struct catalog_content *from, const char *how, struct err *err) {
    return err_set(err, ERR_CORRUPT, STR_FMT " %s", STR_ARG(from->object), how);
}

enum err_code catalog_content_get(struct catalog *c, const struct catalog_content *from,
                                  json_t **ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(STORE_GET_MAX);
    DEFER(json_decrefp) json_t *j = NULL;
    struct str text;
    int64_t version = 0;
    const enum err_code code = store_get(c->primary.store, from->object, &a, &text, err);
    if (code == ERR_NOT_FOUND) {
        return damaged(from, "is missing", err);
    }
    TRY(code);
    if (!str_eq(sha256_text(text, &a), from->sha256)) {
        return damaged(from, "is damaged: it does not have the hash that the log records", err);
    }
    TRY(json_parse_stored(text, arena_cstr(&a, from->object), &j, err));
    if (!json_get_i64(j, "v", &version) || version != CONTENT_VERSION) {
        return damaged(from, "has a format that this program does not know", err);
    }
    *ret = json_incref(json_object_get(j, "body"));
    return *ret != NULL ? ERR_OK : damaged(from, "has no body", err);
}

void catalog_content_remove(struct catalog *c, const struct catalog_content *content) {
    struct err none = ERR_NONE;
    if (content->object.len > 0) {
        (void)store_delete(c->primary.store, content->object, &none);
    }
}

json_t *catalog_content_json(const struct catalog_content *content) {
    json_t *j = json_object();
    json_object_set_new(j, "object", json_new_str(content->object));
    json_object_set_new(j, "sha256", json_new_str(content->sha256));
    return j;
}

struct catalog_content catalog_content_of(const json_t *j, struct arena *a) {
    struct str object = STR_NONE;
    struct str hash = STR_NONE;
    if (!json_get_str(j, "object", &object) || !json_get_str(j, "sha256", &hash)) {
        return (struct catalog_content){0};
    }
    return (struct catalog_content){arena_str(a, object), arena_str(a, hash)};
}

// Objects that entities name.
struct named {
    const char *object;
    UT_hash_handle hh;
};

static void note_object(const char *object, struct named **all, struct arena *a) {
    struct named *there = NULL;
    if (object != NULL) {
        HASH_FIND_STR(*all, object, there);
    }
    if (object != NULL && there == NULL) {
        struct named *n = arena_alloc(a, sizeof(*n));
        n->object = object;
        HASH_ADD_KEYPTR(hh, *all, n->object, strlen(n->object), n);
    }
}

static const char *object_of(const json_t *value) {
    return json_string_value(json_object_get(value, "object"));
}

static void note_named(const json_t *value, struct named **all, struct arena *a) {
    const char *key;
    const json_t *member;
    size_t i;
    note_object(object_of(json_object_get(value, "content")), all, a);
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member) {
            note_named(member, all, a);
        }
    }
    json_array_foreach(value, i, member) {
        note_named(member, all, a);
    }
}

static void note_entity(const struct txlog_entry *e, struct named **all, struct arena *a) {
    note_named(e->value, all, a);
    if (str_starts(e->key, SECRET_ENTITY)) {
        note_object(object_of(e->value), all, a);
    }
}

static enum err_code sweep_one(struct catalog *c, struct str object, struct arena *a,
                               struct catalog_content_swept *ret, struct err *err) {
    DEFER(arena_release) struct arena scratch = ARENA(STORE_GET_MAX);
    struct str text;
    const enum err_code code = store_get(c->primary.store, object, &scratch, &text, err);
    if (code == ERR_NOT_FOUND) {
        *err = ERR_NONE; // somebody else removed it
        return ERR_OK;
    }
    TRY(code);
    TRY(store_delete(c->primary.store, object, err));
    ret->items = arena_grow(a, ret->items, &ret->cap, ret->count + 1, sizeof(*ret->items));
    ret->bytes = arena_grow(a, ret->bytes, &ret->bytes_cap, ret->count + 1, sizeof(*ret->bytes));
    ret->items[ret->count] =
        (struct catalog_content){.object = arena_str(a, object), .sha256 = sha256_text(text, a)};
    ret->bytes[ret->count++] = (int64_t)text.len;
    return ERR_OK;
}

struct unnamed {
    struct named *named;
    struct str *names;
    size_t count, cap;
};

// The listing is taken first: what is named by then is younger than the limit, or in the entities.
static enum err_code find_unnamed(struct catalog *c, struct str prefix, int64_t before_us,
                                  struct unnamed *u, struct arena *a, struct err *err) {
    struct store_page page = {.prefix = prefix, .max = LIST_PAGE};
    do {
        struct store_list list;
        struct txlog_entry *entries;
        size_t count;
        TRY(store_list(c->primary.store, &page, a, &list, err));
        txlog_list(c->log, STR(""), a, &entries, &count);
        for (size_t i = 0; i < count && list.count > 0; i++) {
            note_entity(&entries[i], &u->named, a);
        }
        for (size_t i = 0; i < list.count; i++) {
            struct named *there = NULL;
            HASH_FIND(hh, u->named, list.entries[i].name.ptr, list.entries[i].name.len, there);
            if (there == NULL && list.entries[i].modified_us <= before_us) {
                u->names = arena_grow(a, u->names, &u->cap, u->count + 1, sizeof(*u->names));
                u->names[u->count++] = list.entries[i].name;
            }
        }
        HASH_CLEAR(hh, u->named);
        page.after = list.next;
    } while (page.after.len > 0);
    return ERR_OK;
}

enum err_code catalog_content_unnamed(struct catalog *c, int64_t older_than_us, struct arena *a,
                                      struct str **ret, size_t *ret_count, struct err *err) {
    struct unnamed u = {0};
    const int64_t before_us = clock_wall_us() - older_than_us;
    enum err_code code = find_unnamed(c, CATALOG_CONTENT_PREFIX, before_us, &u, a, err);
    if (code == ERR_OK) {
        code = find_unnamed(c, CATALOG_SECRET_PREFIX, before_us, &u, a, err);
    }
    HASH_CLEAR(hh, u.named);
    *ret = u.names;
    *ret_count = u.count;
    return code;
}

enum err_code catalog_content_sweep(struct catalog *c, int64_t older_than_us, struct arena *a,
                                    struct catalog_content_swept *ret, struct err *err) {
    DEFER(arena_release) struct arena own = ARENA(1UL << 32);
    enum err_code code = txlog_refresh(c->log, 0, 0, err);
    struct str *names = NULL;
    size_t count = 0;
    *ret = (struct catalog_content_swept){0};
    if (code == ERR_OK) {
        code = catalog_content_unnamed(c, older_than_us, &own, &names, &count, err);
    }
    for (size_t i = 0; i < count && code == ERR_OK; i++) {
        code = sweep_one(c, names[i], a, ret, err);
    }
    return code;
}

// Secrets

static enum err_code secret_read(struct catalog *c, struct str object, struct catalog_secret *ret,
                                 struct arena *a, struct err *err) {
    DEFER(json_decrefp) json_t *j = NULL;
    struct str text;
    struct str hex = STR_NONE;
    TRY(store_get(c->primary.store, object, a, &text, err));
    TRY(json_parse_stored(text, arena_cstr(a, object), &j, err));
    if (!json_get_str(j, "secret", &hex) || !hex_decode(hex, ret->bytes, sizeof(ret->bytes))) {
        return err_set(err, ERR_CORRUPT, STR_FMT " is damaged: it holds no secret",
                       STR_ARG(object));
    }
    ret->id = str_slice(object, CATALOG_SECRET_PREFIX.len, object.len - strlen(".json"));
    return ERR_OK;
}

// A new value of a secret, made by whoever saw that version of its entity.
struct secret_change {
    struct str name;
    struct str key; // of the entity
    uint64_t expect;
    const struct catalog_author *who;
};

static struct str secret_key(struct str name, struct arena *a) {
    return arena_printf(a, STR_FMT STR_FMT, STR_ARG(SECRET_ENTITY), STR_ARG(name));
}

static enum err_code secret_commit(struct catalog *c, const struct secret_change *s,
                                   struct str object, struct err *err) {
    struct txn_outcome outcome;
    json_t *changes = json_array();
    json_t *value = json_object();
    json_object_set_new(value, "object", json_new_str(object));
    json_object_set_new(value, "created_us", json_integer(clock_wall_us()));
    json_array_append_new(changes, catalog_change(s->key, s->expect, value));
    return catalog_commit(c, s->who, s->key, changes, &outcome, err);
}

static enum err_code secret_make(struct catalog *c, const struct secret_change *s, struct arena *a,
                                 struct catalog_secret *ret, struct err *err) {
    struct catalog_secret made = {.id = uuid_new(a)};
    const struct str object =
        arena_printf(a, STR_FMT STR_FMT ".json", STR_ARG(CATALOG_SECRET_PREFIX), STR_ARG(made.id));
    DEFER(json_decrefp) json_t *j = json_object();
    random_bytes(made.bytes, sizeof(made.bytes));
    json_object_set_new(j, "v", json_integer(CONTENT_VERSION));
    json_object_set_new(j, "name", json_new_str(s->name));
    json_object_set_new(j, "secret", json_new_str(hex_bytes(made.bytes, sizeof(made.bytes), a)));
    TRY(store_put_new(c->primary.store, object, json_text(j, a), err));
    const enum err_code code = secret_commit(c, s, object, err);
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        catalog_content_remove(c, &(struct catalog_content){.object = object});
    }
    TRY(code);
    *ret = made;
    return ERR_OK;
}

static enum err_code secret_busy(struct str name, struct err *err) {
    return err_set(err, ERR_BUSY,
                   "the secret \"" STR_FMT
                   "\" is being changed by others again and again: try again",
                   STR_ARG(name));
}

// The object that the entity names, or STR_NONE.
static struct str secret_object(struct catalog *c, struct str key, struct arena *a,
                                uint64_t *ret_version) {
    struct str object = STR_NONE;
    DEFER(json_decrefp) json_t *j = txlog_get(c->log, key, ret_version);
    return j != NULL && json_get_str(j, "object", &object) ? arena_str(a, object) : STR_NONE;
}

// Another may be making it at the same time, or another value of it: what the log says counts.
enum err_code catalog_secret_get(struct catalog *c, struct str name, struct arena *a,
                                 struct catalog_secret *ret, struct err *err) {
    const struct catalog_author maker = {.actor = STR("tarn"), .action = STR("secret.create")};
    struct secret_change s = {.name = name, .key = secret_key(name, a), .who = &maker};
    struct str missing = STR_NONE;
    for (size_t i = 0; i < SECRET_ATTEMPTS; i++) {
        uint64_t version;
        const struct str object = secret_object(c, s.key, a, &version);
        if (object.len > 0 && str_eq(object, missing)) {
            return err_set(err, ERR_CORRUPT, STR_FMT " is missing", STR_ARG(object));
        }
        const enum err_code code =
            object.len > 0 ? secret_read(c, object, ret, a, err) : secret_make(c, &s, a, ret, err);
        if (code == ERR_NOT_FOUND && object.len > 0) {
            missing = object; // unless it was changed meanwhile, maybe by another process
            TRY(txlog_refresh(c->log, 0, 0, err));
        } else if (code != ERR_CONFLICT) {
            return code;
        }
    }
    return secret_busy(name, err);
}

enum err_code catalog_secret_rotate(struct catalog *c, struct str name,
                                    const struct catalog_author *who, struct arena *a,
                                    struct catalog_secret *ret, struct err *err) {
    struct secret_change s = {.name = name, .key = secret_key(name, a), .who = who};
    for (size_t i = 0; i < SECRET_ATTEMPTS; i++) {
        const struct str old = secret_object(c, s.key, a, &s.expect);
        const enum err_code code = secret_make(c, &s, a, ret, err);
        if (code == ERR_OK) {
            catalog_content_remove(c, &(struct catalog_content){.object = old});
        }
        if (code != ERR_CONFLICT) {
            return code;
        }
    }
    return secret_busy(name, err);
}
