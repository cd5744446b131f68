// Tokens: the entity "token:ID" holds the SHA-256 of a token, its principal and its roles.
//
// Text form: "tarn_", 43 base62 characters of 32 random bytes, "_", 6 base62 characters of the
// CRC-32 of what stands before. The checksum lets a leak scanner tell a token from noise, and the
// server turn away a mistyped one without a look-up.

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/threads.h"
#include "catalog/catalog_int.h"

#define TOKEN_START "tarn_"
#define TOKEN_CHECK_LEN 6
#define TOKEN_RANDOM_BYTES 32
#define TOKEN_TEXT_MAX 128

// CRC-32 as in zlib and PNG (polynomial 0xEDB88320), bit by bit: tokens are short.
static uint32_t crc32_of(struct str s) {
    uint32_t crc = 0xFFFFFFFFU;
    for (size_t i = 0; i < s.len; i++) {
        crc ^= (uint8_t)s.ptr[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0);
        }
    }
    return ~crc;
}

static struct str token_check_text(struct str body, struct arena *a) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t crc = crc32_of(body);
    char *out = arena_alloc(a, TOKEN_CHECK_LEN);
    for (int i = TOKEN_CHECK_LEN - 1; i >= 0; i--) {
        out[i] = digits[crc % 62];
        crc /= 62;
    }
    return (struct str){out, TOKEN_CHECK_LEN};
}

static bool token_form_ok(struct str text, struct arena *a) {
    size_t tail = TOKEN_CHECK_LEN + 1;
    if (text.len > TOKEN_TEXT_MAX || text.len <= sizeof(TOKEN_START) + tail ||
        !str_starts(text, STR(TOKEN_START)) || text.ptr[text.len - tail] != '_') {
        return false;
    }
    struct str body = str_slice(text, 0, text.len - tail);
    return str_eq(token_check_text(body, a), str_slice(text, text.len - TOKEN_CHECK_LEN, text.len));
}

static void token_entry_free(struct token_entry *e) {
    free(e->id);
}

void catalog_token_index(struct catalog *c, struct str id, const json_t *value) {
    size_t at = 0;
    while (at < c->token_count && !str_is(id, c->tokens[at].id)) {
        at++;
    }
    if (at < c->token_count) {
        token_entry_free(&c->tokens[at]);
        c->tokens[at] = c->tokens[--c->token_count];
    }
    if (value == NULL) {
        catalog_use_index(c, id, NULL);
    }
    struct str hex;
    struct sha256 hash = {0};
    if (value == NULL || !json_get_str(value, "sha256", &hex) ||
        !hex_decode(hex, hash.bytes, sizeof(hash.bytes))) {
        return;
    }
    if (c->token_count == c->token_cap) {
        c->token_cap = c->token_cap == 0 ? 8 : c->token_cap * 2;
        c->tokens = xrealloc(c->tokens, c->token_cap * sizeof(*c->tokens));
    }
    char *copy = xmalloc(id.len + 1);
    memcpy(copy, id.ptr, id.len);
    copy[id.len] = '\0';
    c->tokens[c->token_count++] = (struct token_entry){.hash = hash, .id = copy};
}

void catalog_token_index_release(struct catalog *c) {
    for (size_t i = 0; i < c->token_count; i++) {
        token_entry_free(&c->tokens[i]);
    }
    free(c->tokens);
}

static json_t *token_json(const struct catalog_token *t) {
    json_t *j = json_object();
    json_t *roles = json_array();
    for (size_t i = 0; i < t->role_count; i++) {
        json_array_append_new(roles, json_new_str(t->roles[i]));
    }
    json_object_set_new(j, "principal", json_new_str(t->principal));
    json_object_set_new(j, "roles", roles);
    json_object_set_new(j, "sha256", json_new_str(t->sha256));
    json_object_set_new(j, "created_us", json_integer(t->created_us));
    json_object_set_new(j, "expires_us", json_integer(t->expires_us));
    return j;
}

// Whose token it is and what it may do, for the journal.
static json_t *token_details(const struct catalog_token *t, const struct catalog_author *who) {
    json_t *j = catalog_details(who);
    json_t *roles = json_array();
    for (size_t i = 0; i < t->role_count; i++) {
        json_array_append_new(roles, json_new_str(t->roles[i]));
    }
    json_object_set_new(j, "principal", json_new_str(t->principal));
    json_object_set_new(j, "roles", roles);
    json_object_set_new(j, "expires_us", json_integer(t->expires_us));
    return j;
}

static struct catalog_token token_of(struct str id, uint64_t version, const json_t *j,
                                     struct arena *a) {
    struct catalog_token t = {.id = arena_str(a, id), .version = version};
    struct str s;
    if (json_get_str(j, "principal", &s)) {
        t.principal = arena_str(a, s);
    }
    if (json_get_str(j, "sha256", &s)) {
        t.sha256 = arena_str(a, s);
    }
    (void)json_get_i64(j, "created_us", &t.created_us);
    (void)json_get_i64(j, "expires_us", &t.expires_us);
    const json_t *roles = json_object_get(j, "roles");
    t.roles = arena_array(a, json_array_size(roles), sizeof(*t.roles));
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *role = json_array_get(roles, i);
        t.roles[t.role_count++] = arena_str(a, str_from(json_string_value(role)));
    }
    return t;
}

static struct str token_key(struct str id, struct arena *a) {
    return arena_printf(a, "token:" STR_FMT, STR_ARG(id));
}

struct str catalog_token_text(struct arena *a) {
    struct str body =
        arena_printf(a, TOKEN_START STR_FMT, STR_ARG(random_text(TOKEN_RANDOM_BYTES, a)));
    return arena_printf(a, STR_FMT "_" STR_FMT, STR_ARG(body), STR_ARG(token_check_text(body, a)));
}

enum err_code catalog_token_create(struct catalog *c, const struct catalog_token *t,
                                   const struct catalog_author *who, struct arena *a,
                                   struct catalog_token_made *ret, struct err *err) {
    if (t->principal.len == 0 || t->principal.len > 128 || !str_is_plain(t->principal)) {
        return err_set(err, ERR_INVALID,
                       "a token's principal has 1 to 128 bytes of UTF-8, all of which can be seen");
    }
    if (t->role_count > CATALOG_ROLES_MAX) {
        return err_set(err, ERR_INVALID, "a token has at most %d roles", CATALOG_ROLES_MAX);
    }
    for (size_t i = 0; i < t->role_count; i++) {
        struct catalog_role role;
        if (!catalog_role_find(c, t->roles[i], a, &role)) {
            return err_set(err, ERR_INVALID,
                           "there is no role \"" STR_FMT "\" (GET /auth/roles lists those that "
                           "there are)",
                           STR_ARG(str_slice(t->roles[i], 0, 100)));
        }
    }
    struct str text = t->text.len != 0 ? t->text : catalog_token_text(a);
    struct catalog_token made = *t;
    made.id = id_new(a);
    made.sha256 = hex_sha256(sha256(text), a);
    made.created_us = clock_wall_us();
    struct str key = token_key(made.id, a);
    json_t *changes = json_array();
    json_array_append_new(changes, catalog_change(key, 0, token_json(&made)));
    struct txn_outcome outcome;
    DEFER(json_decrefp) json_t *details = token_details(&made, who);
    struct catalog_author telling = *who;
    telling.details = details;
    TRY(catalog_commit(c, &telling, key, changes, &outcome, err));
    *ret = (struct catalog_token_made){.id = made.id, .text = text, .created_us = made.created_us};
    return ERR_OK;
}

static bool token_read(struct catalog *c, struct str id, struct arena *a,
                       struct catalog_token *ret) {
    uint64_t version = 0;
    DEFER(json_decrefp) json_t *j = txlog_get(c->log, token_key(id, a), &version);
    if (j == NULL) {
        return false;
    }
    *ret = token_of(id, version, j, a);
    LOCKED(&c->lock);
    ret->last_used_us = catalog_use_last(c, id);
    return true;
}

// All entries are compared, each in constant time: how long it takes says nothing of the token.
static struct str token_id_by_hash(struct catalog *c, struct sha256 hash, struct arena *a) {
    struct str id = STR_NONE;
    struct str wanted = {(const char *)hash.bytes, sizeof(hash.bytes)};
    LOCKED(&c->lock);
    for (size_t i = 0; i < c->token_count; i++) {
        struct str have = {(const char *)c->tokens[i].hash.bytes, sizeof(hash.bytes)};
        if (secret_eq(have, wanted)) {
            id = arena_str(a, str_from(c->tokens[i].id));
        }
    }
    return id;
}

enum err_code catalog_token_check(struct catalog *c, struct str text, struct arena *a,
                                  struct catalog_token *ret, struct err *err) {
    if (token_form_ok(text, a)) {
        struct str id = token_id_by_hash(c, sha256(text), a);
        bool valid = id.len != 0 && token_read(c, id, a, ret) &&
                     (ret->expires_us == 0 || ret->expires_us > clock_wall_us());
        if (valid) {
            LOCKED(&c->lock);
            catalog_use_note(c, id);
            return ERR_OK;
        }
    }
    return err_set(err, ERR_UNAUTHENTICATED, "the token is not valid");
}

void catalog_token_list(struct catalog *c, struct arena *a, struct catalog_token **ret,
                        size_t *ret_count) {
    pthread_mutex_t *lock = threads_lock(&c->lock);
    size_t count = c->token_count;
    struct str *ids = arena_array(a, count, sizeof(*ids));
    for (size_t i = 0; i < count; i++) {
        ids[i] = arena_str(a, str_from(c->tokens[i].id));
    }
    threads_unlockp(&lock);
    struct catalog_token *list = arena_array(a, count, sizeof(*list));
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += token_read(c, ids[i], a, &list[found]) ? 1 : 0;
    }
    *ret = list;
    *ret_count = found;
}

static enum err_code revoke(struct catalog *c, struct str id, const struct catalog_author *who,
                            struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct catalog_token t;
    struct txn_outcome outcome;
    uint64_t use_version = 0;
    if (id.len > 64 || !token_read(c, id, &a, &t)) {
        return err_set(err, ERR_NOT_FOUND, "no token \"" STR_FMT "\"",
                       STR_ARG(str_slice(id, 0, 100)));
    }
    const struct str key = token_key(id, &a);
    const struct str use = arena_printf(&a, STR_FMT STR_FMT, STR_ARG(USE_PREFIX), STR_ARG(id));
    json_t *changes = json_array();
    json_array_append_new(changes, catalog_change(key, t.version, NULL));
    json_decref(txlog_get(c->log, use, &use_version));
    if (use_version != 0) {
        json_array_append_new(changes, catalog_change(use, use_version, NULL));
    }
    DEFER(json_decrefp) json_t *details = token_details(&t, who);
    struct catalog_author telling = *who;
    telling.details = details;
    return catalog_commit(c, &telling, key, changes, &outcome, err);
}

enum err_code catalog_token_revoke(struct catalog *c, struct str id,
                                   const struct catalog_author *who, struct err *err) {
    enum err_code code = ERR_CONFLICT; // when its last use was noted at this moment
    for (int i = 0; i < 3 && code == ERR_CONFLICT; i++) {
        *err = ERR_NONE;
        code = revoke(c, id, who, err);
    }
    return code;
}
