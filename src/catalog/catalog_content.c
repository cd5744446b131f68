// Content objects and secrets: what the log names and does not hold.

#include "catalog/catalog_content.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/hashmap.h"
#include "catalog/catalog_int.h"

#define SALT_BYTES 32
#define CONTENT_VERSION 1
#define SECRET_PREFIX "_catalog/secret/"
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

static void note_named(const json_t *value, struct named **all, struct arena *a) {
    const char *key;
    const json_t *member;
    size_t i;
    const char *object =
        json_string_value(json_object_get(json_object_get(value, "content"), "object"));
    struct named *there = NULL;
    if (object != NULL) {
        HASH_FIND_STR(*all, object, there);
    }
    if (object != NULL && there == NULL) {
        struct named *n = arena_alloc(a, sizeof(*n));
        n->object = object;
        HASH_ADD_KEYPTR(hh, *all, n->object, strlen(n->object), n);
    }
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member) {
            note_named(member, all, a);
        }
    }
    json_array_foreach(value, i, member) {
        note_named(member, all, a);
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
static enum err_code find_unnamed(struct catalog *c, int64_t before_us, struct unnamed *u,
                                  struct arena *a, struct err *err) {
    struct store_page page = {.prefix = CATALOG_CONTENT_PREFIX, .max = LIST_PAGE};
    do {
        struct store_list list;
        struct txlog_entry *entries;
        size_t count;
        TRY(store_list(c->primary.store, &page, a, &list, err));
        txlog_list(c->log, STR(""), a, &entries, &count);
        for (size_t i = 0; i < count && list.count > 0; i++) {
            note_named(entries[i].value, &u->named, a);
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
    const enum err_code code = find_unnamed(c, clock_wall_us() - older_than_us, &u, a, err);
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
    const size_t start = strlen(SECRET_PREFIX);
    ret->id = str_slice(object, start, object.len - strlen(".json"));
    return ERR_OK;
}

static enum err_code secret_make(struct catalog *c, struct str name, struct arena *a,
                                 struct err *err) {
    uint8_t bytes[32];
    const struct catalog_author who = {.actor = STR("tarn"), .action = STR("secret.create")};
    const struct str key = arena_printf(a, "secret:" STR_FMT, STR_ARG(name));
    const struct str object = arena_printf(a, SECRET_PREFIX STR_FMT ".json", STR_ARG(uuid_new(a)));
    DEFER(json_decrefp) json_t *j = json_object();
    struct txn_outcome outcome;
    random_bytes(bytes, sizeof(bytes));
    json_object_set_new(j, "v", json_integer(CONTENT_VERSION));
    json_object_set_new(j, "name", json_new_str(name));
    json_object_set_new(j, "secret", json_new_str(hex_bytes(bytes, sizeof(bytes), a)));
    TRY(store_put_new(c->primary.store, object, json_text(j, a), err));
    json_t *changes = json_array();
    json_t *value = json_object();
    json_object_set_new(value, "object", json_new_str(object));
    json_object_set_new(value, "created_us", json_integer(clock_wall_us()));
    json_array_append_new(changes, catalog_change(key, 0, value));
    const enum err_code code = catalog_commit(c, &who, key, changes, &outcome, err);
    if (code != ERR_OK && code != ERR_UNKNOWN) {
        struct err none = ERR_NONE;
        (void)store_delete(c->primary.store, object, &none);
    }
    return code;
}

// Another may be making it at the same time: what the log says counts.
enum err_code catalog_secret_get(struct catalog *c, struct str name, struct arena *a,
                                 struct catalog_secret *ret, struct err *err) {
    const struct str key = arena_printf(a, "secret:" STR_FMT, STR_ARG(name));
    for (size_t i = 0; i < SECRET_ATTEMPTS; i++) {
        uint64_t version;
        struct str object = STR_NONE;
        DEFER(json_decrefp) json_t *j = txlog_get(c->log, key, &version);
        if (j != NULL && json_get_str(j, "object", &object)) {
            return secret_read(c, arena_str(a, object), ret, a, err);
        }
        const enum err_code code = secret_make(c, name, a, err);
        if (code != ERR_OK && code != ERR_CONFLICT) {
            return code;
        }
    }
    return err_set(err, ERR_BUSY, "the secret \"" STR_FMT "\" could not be made: try again",
                   STR_ARG(name));
}
