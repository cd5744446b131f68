// Roles: the entity "role:NAME", its grants and limits, in the form in which they are also sent.

#include "catalog/catalog_role.h"

#include <stdlib.h>

#include "base/clock.h"
#include "catalog/catalog_int.h"

#define NAME_MAX_BYTES 64
#define LIMIT_MAX INT64_C(1000000000000000)

#define DATASET_RIGHTS (CATALOG_READ_RAW | CATALOG_WRITE | CATALOG_TOMBSTONE | CATALOG_ERASE)

static const struct {
    enum catalog_right right;
    const char *text;
} right_names[] = {
    {CATALOG_READ_RAW, "read_raw"},
    {CATALOG_WRITE, "write"},
    {CATALOG_TOMBSTONE, "tombstone"},
    {CATALOG_ERASE, "erase"},
    {CATALOG_READ, "read"},
    {CATALOG_ADMIN, "admin"},
    {CATALOG_IMPERSONATE, "impersonate"},
};

// The kinds of objects: how one is written, and what can be granted on it.
static const struct kind {
    enum catalog_object object;
    const char *prefix;
    unsigned rights;
    bool every; // "*" stands for all of them
} kinds[] = {
    {CATALOG_DATASET, "dataset:", DATASET_RIGHTS, true},
    {CATALOG_BUCKET, "bucket:", DATASET_RIGHTS, false},
    {CATALOG_VIEW, "view:", CATALOG_READ, true},
    {CATALOG_SERVER, "server", CATALOG_ADMIN | CATALOG_IMPERSONATE, false},
};

static const struct {
    const char *key;
    size_t offset;
} limit_names[] = {
    {"rows_max", offsetof(struct catalog_limits, rows_max)},
    {"bytes_max", offsetof(struct catalog_limits, bytes_max)},
    {"time_ms", offsetof(struct catalog_limits, time_ms)},
    {"queries_max", offsetof(struct catalog_limits, queries_max)},
};

// ---- Grants

static enum err_code check_object_name(const struct kind *k, struct str name, struct err *err) {
    if (k->object == CATALOG_SERVER || (k->every && str_is(name, "*"))) {
        return ERR_OK;
    }
    if (k->object != CATALOG_BUCKET) {
        return catalog_check_name(name, err);
    }
    if (name.len == 0 || name.len > 128 || !str_is_plain(name) || str_find_char(name, '*') >= 0) {
        return err_set(err, ERR_INVALID,
                       "a bucket's name has 1 to 128 bytes, all of which can be seen, and no *");
    }
    return ERR_OK;
}

static enum err_code read_object(struct str text, struct catalog_grant *ret,
                                 const struct kind **ret_kind, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct str prefix = str_from(kinds[i].prefix);
        const bool whole = kinds[i].object == CATALOG_SERVER;
        if (whole ? !str_eq(text, prefix) : !str_starts(text, prefix)) {
            continue;
        }
        ret->object = kinds[i].object;
        ret->name = str_slice(text, prefix.len, text.len);
        *ret_kind = &kinds[i];
        return check_object_name(&kinds[i], ret->name, err);
    }
    return err_set(err, ERR_INVALID,
                   "an object is dataset:NAME, dataset:*, bucket:NAME, view:NAME, view:* or "
                   "server, not \"" STR_FMT "\"",
                   STR_ARG(str_slice(text, 0, 100)));
}

// "read_raw, write, tombstone, erase"
static struct str rights_text(unsigned rights, struct arena *a) {
    struct str ret = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(right_names); i++) {
        if ((rights & right_names[i].right) != 0) {
            ret = arena_printf(a, STR_FMT "%s%s", STR_ARG(ret), ret.len > 0 ? ", " : "",
                               right_names[i].text);
        }
    }
    return ret;
}

static unsigned right_of(const json_t *text, const struct kind *k) {
    for (size_t i = 0; i < ARRAY_LEN(right_names); i++) {
        const bool here = (k->rights & right_names[i].right) != 0;
        if (here && json_is_string(text) &&
            str_is(str_from(json_string_value(text)), right_names[i].text)) {
            return right_names[i].right;
        }
    }
    return 0;
}

static enum err_code read_grant(const json_t *j, struct catalog_grant *ret, struct err *err) {
    static const char *const keys[] = {"object", "rights", NULL};
    const struct kind *k = NULL;
    struct str object;
    json_t *rights;
    if (!json_is_object(j)) {
        return err_set(err, ERR_INVALID,
                       "a grant is {\"object\": \"dataset:NAME\", \"rights\": [\"read_raw\"]}");
    }
    TRY(json_only_keys(j, keys, err));
    TRY(json_need_str(j, "object", &object, err));
    TRY(json_need_array(j, "rights", &rights, err));
    TRY(read_object(object, ret, &k, err));
    ret->rights = 0;
    for (size_t i = 0; i < json_array_size(rights); i++) {
        const unsigned right = right_of(json_array_get(rights, i), k);
        if (right == 0) {
            DEFER(arena_release) struct arena a = ARENA(1 << 12);
            return err_set(err, ERR_INVALID, "the rights on " STR_FMT " are " STR_FMT,
                           STR_ARG(str_slice(object, 0, 100)), STR_ARG(rights_text(k->rights, &a)));
        }
        ret->rights |= right;
    }
    if (ret->rights == 0) {
        return err_set(err, ERR_INVALID, "a grant names at least one right");
    }
    return ERR_OK;
}

static enum err_code read_grants(const json_t *j, struct arena *a, struct catalog_role *ret,
                                 struct err *err) {
    json_t *list;
    if (json_object_get(j, "grants") == NULL) {
        return ERR_OK;
    }
    TRY(json_need_array(j, "grants", &list, err));
    const size_t count = json_array_size(list);
    if (count > CATALOG_GRANTS_MAX) {
        return err_set(err, ERR_INVALID, "a role has at most %d grants, this one %zu",
                       CATALOG_GRANTS_MAX, count);
    }
    ret->grants = arena_array(a, count, sizeof(*ret->grants));
    for (size_t i = 0; i < count; i++) {
        if (read_grant(json_array_get(list, i), &ret->grants[i], err) != ERR_OK) {
            return err_prefix(err, "grant %zu: ", i + 1);
        }
    }
    ret->grant_count = count;
    return ERR_OK;
}

static int64_t *limit_at(struct catalog_limits *l, size_t i) {
    return (int64_t *)(void *)((char *)l + limit_names[i].offset);
}

static enum err_code read_limits(const json_t *j, struct catalog_role *ret, struct err *err) {
    static const char *const keys[] = {"rows_max", "bytes_max", "time_ms", "queries_max", NULL};
    json_t *limits;
    if (json_object_get(j, "limits") == NULL) {
        return ERR_OK;
    }
    TRY(json_need_object(j, "limits", &limits, err));
    TRY(json_only_keys(limits, keys, err));
    for (size_t i = 0; i < ARRAY_LEN(limit_names); i++) {
        const json_t *given = json_object_get(limits, limit_names[i].key);
        if (given == NULL || json_is_null(given)) {
            continue;
        }
        const json_int_t n = json_integer_value(given);
        if (!json_is_integer(given) || n < 1 || n > LIMIT_MAX) {
            return err_set(err, ERR_INVALID,
                           "%s must be a whole number from 1 on (leave it out for no limit)",
                           limit_names[i].key);
        }
        *limit_at(&ret->limits, i) = n;
    }
    return ERR_OK;
}

enum err_code catalog_role_read(const json_t *j, struct arena *a, struct catalog_role *ret,
                                struct err *err) {
    struct catalog_role read = *ret;
    read.limits = (struct catalog_limits){0};
    read.grants = NULL;
    read.grant_count = 0;
    TRY(read_grants(j, a, &read, err));
    TRY(read_limits(j, &read, err));
    *ret = read;
    return ERR_OK;
}

static json_t *grant_json(const struct catalog_grant *g) {
    DEFER(arena_release) struct arena a = ARENA(1 << 12);
    json_t *j = json_object();
    json_t *rights = json_array();
    for (size_t i = 0; i < ARRAY_LEN(right_names); i++) {
        if ((g->rights & right_names[i].right) != 0) {
            json_array_append_new(rights, json_string(right_names[i].text));
        }
    }
    json_object_set_new(
        j, "object",
        json_new_str(arena_printf(&a, "%s" STR_FMT, kinds[g->object].prefix, STR_ARG(g->name))));
    json_object_set_new(j, "rights", rights);
    return j;
}

json_t *catalog_role_json(const struct catalog_role *role) {
    struct catalog_limits l = role->limits;
    json_t *j = json_object();
    json_t *grants = json_array();
    json_t *limits = json_object();
    for (size_t i = 0; i < role->grant_count; i++) {
        json_array_append_new(grants, grant_json(&role->grants[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(limit_names); i++) {
        if (*limit_at(&l, i) > 0) {
            json_object_set_new(limits, limit_names[i].key, json_integer(*limit_at(&l, i)));
        }
    }
    json_object_set_new(j, "grants", grants);
    json_object_set_new(j, "limits", limits);
    return j;
}

// ---- The entity

static struct str role_key(struct str name, struct arena *a) {
    return arena_printf(a, "role:" STR_FMT, STR_ARG(name));
}

enum err_code catalog_role_check_name(struct str name, struct err *err) {
    bool good = name.len > 0 && name.len <= NAME_MAX_BYTES;
    for (size_t i = 0; i < name.len && good; i++) {
        const char ch = name.ptr[i];
        good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
               ch == '_' || ch == '-' || ch == '.';
    }
    if (!good) {
        return err_set(err, ERR_INVALID,
                       "a role's name has 1 to %d letters (a to z), digits, '_', '-' and '.'",
                       NAME_MAX_BYTES);
    }
    return ERR_OK;
}

static struct catalog_role admin_role(struct arena *a) {
    struct catalog_grant *all = arena_alloc(a, sizeof(*all));
    *all = (struct catalog_grant){.object = CATALOG_SERVER,
                                  .rights = CATALOG_ADMIN | CATALOG_IMPERSONATE};
    return (struct catalog_role){.name = CATALOG_ADMIN_ROLE, .grants = all, .grant_count = 1};
}

static void decref(void *j) {
    json_decref(j);
}

// What a stored grant says that this server does not know gives nothing.
static void read_stored(const json_t *j, struct arena *a, struct catalog_role *ret) {
    struct err ignored = ERR_NONE;
    const json_t *list = json_object_get(j, "grants");
    ret->grants = arena_array(a, json_array_size(list), sizeof(*ret->grants));
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (read_grant(json_array_get(list, i), &ret->grants[ret->grant_count], &ignored) ==
            ERR_OK) {
            ret->grant_count++;
        }
    }
    (void)json_get_i64(j, "created_us", &ret->created_us);
    (void)json_get_i64(j, "updated_us", &ret->updated_us);
}

bool catalog_role_find(struct catalog *c, struct str name, struct arena *a,
                       struct catalog_role *ret) {
    if (str_eq(name, CATALOG_ADMIN_ROLE)) {
        *ret = admin_role(a);
        return true;
    }
    struct err ignored = ERR_NONE;
    uint64_t version = 0;
    if (catalog_role_check_name(name, &ignored) != ERR_OK) {
        return false;
    }
    json_t *j = txlog_get(c->log, role_key(name, a), &version);
    if (j == NULL) {
        return false;
    }
    arena_defer(a, decref, j);
    *ret = (struct catalog_role){.name = arena_str(a, name), .version = version};
    read_stored(j, a, ret);
    // A limit that is not understood must not become none.
    return read_limits(j, ret, &ignored) == ERR_OK;
}

enum err_code catalog_role_get(struct catalog *c, struct str name, struct arena *a,
                               struct catalog_role *ret, struct err *err) {
    if (!catalog_role_find(c, name, a, ret)) {
        return err_set(err, ERR_NOT_FOUND, "no role \"" STR_FMT "\"",
                       STR_ARG(str_slice(name, 0, 100)));
    }
    return ERR_OK;
}

void catalog_role_list(struct catalog *c, struct arena *a, struct catalog_role **ret,
                       size_t *ret_count) {
    struct txlog_entry *entries;
    size_t count;
    txlog_list(c->log, ROLE_PREFIX, a, &entries, &count);
    struct catalog_role *list = arena_array(a, count + 1, sizeof(*list));
    const struct catalog_role admin = admin_role(a);
    size_t found = 0;
    bool told = false;
    for (size_t i = 0; i < count; i++) {
        const struct str name = str_slice(entries[i].key, ROLE_PREFIX.len, entries[i].key.len);
        if (!told && str_cmp(name, admin.name) > 0) {
            list[found++] = admin;
            told = true;
        }
        found += catalog_role_find(c, name, a, &list[found]) ? 1 : 0;
    }
    if (!told) {
        list[found++] = admin;
    }
    *ret = list;
    *ret_count = found;
}

static enum err_code check_change(struct str name, struct err *err) {
    TRY(catalog_role_check_name(name, err));
    if (str_eq_nocase(name, CATALOG_ADMIN_ROLE)) {
        return err_set(err, ERR_DENIED,
                       "the role admin is built in: it may do everything, and cannot be changed, "
                       "removed or made again in another case");
    }
    return ERR_OK;
}

enum err_code catalog_role_put(struct catalog *c, const struct catalog_role *role,
                               const struct catalog_author *who, uint64_t *ret_version,
                               struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct txn_outcome outcome;
    TRY(check_change(role->name, err));
    const struct str key = role_key(role->name, &a);
    const int64_t now = clock_wall_us();
    json_t *value = catalog_role_json(role);
    json_object_set_new(value, "created_us",
                        json_integer(role->version != 0 ? role->created_us : now));
    json_object_set_new(value, "updated_us", json_integer(now));
    json_t *changes = json_array();
    DEFER(json_decrefp) json_t *details = catalog_details(who);
    json_object_set(details, "grants", json_object_get(value, "grants"));
    json_object_set(details, "limits", json_object_get(value, "limits"));
    struct catalog_author telling = *who;
    telling.details = details;
    json_array_append_new(changes, catalog_change(key, role->version, value));
    TRY(catalog_commit(c, &telling, key, changes, &outcome, err));
    *ret_version = outcome.seq;
    return ERR_OK;
}

enum err_code catalog_role_remove(struct catalog *c, const struct catalog_role *role,
                                  const struct catalog_author *who, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct txn_outcome outcome;
    TRY(check_change(role->name, err));
    const struct str key = role_key(role->name, &a);
    json_t *changes = json_array();
    json_array_append_new(changes, catalog_change(key, role->version, NULL));
    return catalog_commit(c, who, key, changes, &outcome, err);
}
