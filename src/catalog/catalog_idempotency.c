// Idempotency keys: the entity "idempotency:<SHA-256 of principal and key>" holds what became of a
// request, until it expires.

#include <stdlib.h>

#include "base/clock.h"
#include "base/threads.h"
#include "catalog/catalog_int.h"

#define SWEEP_MAX 8 // expired ones that a change takes along

// Those that go are among the oldest. One that was renewed is listed twice until then.
static void expiry_remove(struct catalog *c, struct str key) {
    size_t at = 0;
    while (at < c->expiry_count && !str_is(key, c->expiries[at].key)) {
        at++;
    }
    if (at < c->expiry_count) {
        freep(&c->expiries[at].key);
        memmove(&c->expiries[at], &c->expiries[at + 1],
                (--c->expiry_count - at) * sizeof(*c->expiries));
    }
}

void catalog_idempotency_index(struct catalog *c, struct str key, const json_t *value) {
    int64_t expires_us = 0;
    if (value == NULL) {
        expiry_remove(c, key);
        return;
    }
    if (!json_get_i64(value, "expires_us", &expires_us)) {
        return;
    }
    if (c->expiry_count == c->expiry_cap) {
        c->expiry_cap = MAX(c->expiry_cap * 2, 64);
        c->expiries = xrealloc(c->expiries, c->expiry_cap * sizeof(*c->expiries));
    }
    char *copy = xmalloc(key.len + 1);
    memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    c->expiries[c->expiry_count++] = (struct expiry){.key = copy, .expires_us = expires_us};
}

void catalog_idempotency_index_release(struct catalog *c) {
    for (size_t i = 0; i < c->expiry_count; i++) {
        freep(&c->expiries[i].key);
    }
    free(c->expiries);
}

static struct str entity_of(const struct catalog_idempotency *i, struct arena *a) {
    const struct str text =
        arena_printf(a, STR_FMT "\n" STR_FMT, STR_ARG(i->principal), STR_ARG(i->key));
    return arena_printf(a, "idempotency:" STR_FMT, STR_ARG(hex_sha256(sha256(text), a)));
}

enum err_code catalog_idempotency_find(struct catalog *c, const struct catalog_idempotency *i,
                                       json_t **ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    uint64_t version;
    int64_t expires_us = 0;
    struct str request = STR_NONE;
    DEFER(json_decrefp) json_t *j = txlog_get(c->log, entity_of(i, &a), &version);
    *ret = NULL;
    if (j == NULL || !json_get_i64(j, "expires_us", &expires_us) || expires_us <= clock_wall_us()) {
        return ERR_OK;
    }
    if (!json_get_str(j, "request_sha256", &request) || !str_eq(request, i->request_sha256)) {
        return err_set(err, ERR_CONFLICT,
                       "this Idempotency-Key came with another request before: each request needs "
                       "a key of its own");
    }
    *ret = json_incref(json_object_get(j, "outcome"));
    return ERR_OK;
}

static void sweep(struct catalog *c, int64_t now_us, struct str but, json_t *changes) {
    char *keys[SWEEP_MAX];
    size_t count = 0;
    {
        LOCKED(&c->lock);
        for (size_t i = 0; i < c->expiry_count && count < SWEEP_MAX; i++) {
            if (c->expiries[i].expires_us <= now_us && !str_is(but, c->expiries[i].key)) {
                keys[count++] = xstrdup(c->expiries[i].key);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t version;
        DEFER(freep) char *key = keys[i];
        int64_t expires_us = 0;
        DEFER(json_decrefp) json_t *there = txlog_get(c->log, str_from(key), &version);
        if (there != NULL && json_get_i64(there, "expires_us", &expires_us) &&
            expires_us <= now_us) {
            json_array_append_new(changes, catalog_change(str_from(key), version, NULL));
        }
    }
}

void catalog_idempotency_changes(struct catalog *c, const struct catalog_idempotency *i,
                                 json_t *changes) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const int64_t now_us = clock_wall_us();
    const struct str entity = entity_of(i, &a);
    uint64_t version;
    DEFER(json_decrefp) json_t *there = txlog_get(c->log, entity, &version);
    json_t *value = json_object();
    json_object_set_new(value, "request_sha256", json_new_str(i->request_sha256));
    json_object_set_new(value, "expires_us", json_integer(now_us + CATALOG_IDEMPOTENCY_US));
    json_object_set(value, "outcome", (json_t *)(uintptr_t)i->outcome);
    json_array_append_new(changes, catalog_change(entity, there != NULL ? version : 0, value));
    sweep(c, now_us, entity, changes);
}
