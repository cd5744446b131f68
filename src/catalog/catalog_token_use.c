// When tokens were last used: noted in memory with each request, and once an hour in the log.
//
// The entity "token-used:ID" holds {"at_us"}. It is beside the token's own, so that a use does not
// change the token. What a killed process had not written yet, at most the uses of an hour, is
// lost.

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "catalog/catalog_int.h"

#define KEEP_US (INT64_C(3600) * 1000000)
#define KEEP_MAX 1000 // in a transaction

static struct token_use *use_find(struct catalog *c, struct str id) {
    for (size_t i = 0; i < c->use_count; i++) {
        if (str_is(id, c->uses[i].id)) {
            return &c->uses[i];
        }
    }
    return NULL;
}

static struct token_use *use_add(struct catalog *c, struct str id) {
    if (c->use_count == c->use_cap) {
        c->use_cap = c->use_cap == 0 ? 8 : c->use_cap * 2;
        c->uses = xrealloc(c->uses, c->use_cap * sizeof(*c->uses));
    }
    char *copy = xmalloc(id.len + 1);
    memcpy(copy, id.ptr, id.len);
    copy[id.len] = '\0';
    c->uses[c->use_count] = (struct token_use){.id = copy};
    return &c->uses[c->use_count++];
}

void catalog_use_note(struct catalog *c, struct str id) {
    struct token_use *u = use_find(c, id);
    u = u != NULL ? u : use_add(c, id);
    u->used_us = MAX(u->used_us, clock_wall_us());
}

int64_t catalog_use_last(struct catalog *c, struct str id) {
    const struct token_use *u = use_find(c, id);
    return u != NULL ? u->used_us : 0;
}

static void use_free(struct catalog *c, struct token_use *u) {
    free(u->id);
    *u = c->uses[--c->use_count];
}

void catalog_use_index(struct catalog *c, struct str id, const json_t *value) {
    struct token_use *u = use_find(c, id);
    int64_t at_us = 0;
    if (value == NULL) {
        if (u != NULL) {
            use_free(c, u);
        }
        return;
    }
    (void)json_get_i64(value, "at_us", &at_us);
    u = u != NULL ? u : use_add(c, id);
    u->kept_us = at_us;
    u->used_us = MAX(u->used_us, at_us);
}

void catalog_use_index_release(struct catalog *c) {
    while (c->use_count > 0) {
        use_free(c, &c->uses[c->use_count - 1]);
    }
    free(c->uses);
}

static size_t due_uses(struct catalog *c, struct arena *a, struct token_use *ret) {
    size_t count = 0;
    LOCKED(&c->lock);
    for (size_t i = 0; i < c->use_count && count < KEEP_MAX; i++) {
        const struct token_use *u = &c->uses[i];
        if (u->used_us - u->kept_us >= KEEP_US) {
            ret[count] = *u;
            ret[count++].id = arena_cstr(a, str_from(u->id));
        }
    }
    return count;
}

// A use of a token that was revoked meanwhile is forgotten.
static json_t *use_change(struct catalog *c, const struct token_use *u, struct arena *a) {
    const struct str key = arena_printf(a, STR_FMT "%s", STR_ARG(USE_PREFIX), u->id);
    const struct str token = arena_printf(a, STR_FMT "%s", STR_ARG(TOKEN_PREFIX), u->id);
    uint64_t version = 0;
    json_decref(txlog_get(c->log, key, &version));
    DEFER(json_decrefp) json_t *there = txlog_get(c->log, token, NULL);
    json_t *value = NULL;
    if (there != NULL) {
        value = json_object();
        json_object_set_new(value, "at_us", json_integer(u->used_us));
    }
    return value == NULL && version == 0 ? NULL : catalog_change(key, version, value);
}

enum err_code catalog_token_keep_uses(struct catalog *c, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    static const struct catalog_author who = {.actor = {"server", 6}, .action = {"token.used", 10}};
    struct token_use *due = arena_array(&a, KEEP_MAX, sizeof(*due));
    const size_t count = due_uses(c, &a, due);
    struct txn_outcome outcome;
    json_t *changes = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *change = use_change(c, &due[i], &a);
        if (change != NULL) {
            json_array_append_new(changes, change);
        }
    }
    if (json_array_size(changes) == 0) {
        json_decref(changes);
        return ERR_OK;
    }
    return catalog_commit(c, &who, STR("tokens"), changes, &outcome, err);
}

static void keep(struct catalog *c) {
    struct err err = ERR_NONE;
    if (catalog_token_keep_uses(c, &err) != ERR_OK) {
        log_debug("token_uses_not_kept", "why=%s", log_quote(str_from(err.msg)));
    }
}

static void *keeper_run(void *catalog) {
    struct catalog *c = catalog;
    for (;;) {
        {
            const int64_t until = clock_mono_us() + KEEP_US;
            LOCKED(&c->lock);
            while (!c->closing && threads_cond_wait_until(&c->close, &c->lock, until)) {
            }
            if (c->closing) {
                return NULL;
            }
        }
        keep(c);
    }
}

void catalog_keeper_start(struct catalog *c) {
    c->keeper = threads_start("catalog-keeper", keeper_run, c);
    c->has_keeper = true;
}

void catalog_keeper_stop(struct catalog *c) {
    if (!c->has_keeper) {
        return;
    }
    {
        LOCKED(&c->lock);
        c->closing = true;
        CHECK(pthread_cond_signal(&c->close) == 0);
    }
    CHECK(pthread_join(c->keeper, NULL) == 0);
    keep(c);
}
