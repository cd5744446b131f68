// The entities that the log replays into: a hash map from key to version and value.

#include "log/txlog_int.h"

#include "base/hashmap.h"

#include <stdlib.h>

struct slot {
    struct txlog_entity entity;
    char *key;
    UT_hash_handle hh;
};

struct txlog_state {
    struct slot *slots;
};

struct txlog_state *txlog_state_new(void) {
    return xcalloc(1, sizeof(struct txlog_state));
}

static void slot_free(struct slot *slot) {
    json_decref(slot->entity.value);
    free(slot->key);
    free(slot);
}

void txlog_state_free(struct txlog_state *state) {
    if (!state) {
        return;
    }
    struct slot *slot = state->slots;
    HASH_CLEAR(hh, state->slots); // the table; the slots stay linked
    while (slot) {
        struct slot *next = slot->hh.next;
        slot_free(slot);
        slot = next;
    }
    free(state);
}

void txlog_state_freep(struct txlog_state **state) {
    txlog_state_free(*state);
}

static struct slot *slot_find(const struct txlog_state *state, struct str key) {
    struct slot *slot = NULL;
    HASH_FIND(hh, state->slots, key.ptr, key.len, slot);
    return slot;
}

const struct txlog_entity *txlog_state_find(const struct txlog_state *state, struct str key) {
    const struct slot *slot = slot_find(state, key);
    return slot ? &slot->entity : NULL;
}

size_t txlog_state_count(const struct txlog_state *state) {
    return HASH_COUNT(state->slots);
}

static struct slot *slot_add(struct txlog_state *state, struct str key) {
    struct slot *slot = xcalloc(1, sizeof *slot);
    slot->key = xmalloc(key.len + 1);
    memcpy(slot->key, key.ptr, key.len);
    slot->key[key.len] = '\0';
    slot->entity.key = (struct str){slot->key, key.len};
    HASH_ADD_KEYPTR(hh, state->slots, slot->key, key.len, slot);
    return slot;
}

void txlog_state_set(struct txlog_state *state, struct str key, uint64_t version, json_t *value) {
    struct slot *slot = slot_find(state, key);
    if (!value) {
        if (slot) {
            HASH_DEL(state->slots, slot);
            slot_free(slot);
        }
        return;
    }
    if (!slot) {
        slot = slot_add(state, key);
    }
    json_decref(slot->entity.value);
    slot->entity.value = json_incref(value);
    slot->entity.version = version;
}

static void decref(void *value) {
    json_decref(value);
}

struct txlog_entity *txlog_state_snapshot(const struct txlog_state *state, struct str prefix,
                                          struct arena *a, size_t *ret_count) {
    struct txlog_entity *entities = NULL;
    size_t count = 0;
    size_t cap = 0;
    for (const struct slot *slot = state->slots; slot; slot = slot->hh.next) {
        if (!str_starts(slot->entity.key, prefix)) {
            continue;
        }
        entities = arena_grow(a, entities, &cap, count + 1, sizeof *entities);
        entities[count] = slot->entity;
        entities[count].key = arena_str(a, slot->entity.key);
        arena_defer(a, decref, json_incref(slot->entity.value));
        count++;
    }
    *ret_count = count;
    return entities;
}

static enum err_code check_one(const struct txlog_state *state, const json_t *change,
                               const json_t *claimed, struct err *err) {
    struct str key = STR_NONE;
    int64_t expect = -1;
    CHECK(json_get_str(change, "entity", &key) && json_get_i64(change, "expect", &expect));
    const struct txlog_entity *entity = txlog_state_find(state, key);
    uint64_t version = entity ? entity->version : 0;
    if ((uint64_t)expect != version) {
        return err_set(err, ERR_CONFLICT,
                       "\"" STR_FMT "\" is at version %llu, not at %lld as was expected",
                       STR_ARG(key), (unsigned long long)version, (long long)expect);
    }
    if (json_object_get(claimed, key.ptr)) {
        return err_set(err, ERR_CONFLICT, "\"" STR_FMT "\" is being changed by somebody else",
                       STR_ARG(key));
    }
    return ERR_OK;
}

enum err_code txlog_state_check(const struct txlog_state *state, const json_t *changes,
                                json_t *claimed, struct err *err) {
    size_t i;
    const json_t *change;
    json_array_foreach(changes, i, change) {
        TRY(check_one(state, change, claimed, err));
    }
    json_array_foreach(changes, i, change) {
        const char *key = json_string_value(json_object_get(change, "entity"));
        CHECK(json_object_set_new(claimed, key, json_true()) == 0);
    }
    return ERR_OK;
}
