// Cache of immutable values: a hash map, a list by last use, a count of holders per entry.

#include "base/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/hashmap.h"
#include "base/threads.h"

#define ENTRY_BYTES_MAX (1U << 30) // of one parsed object

struct entry {
    struct cache *cache;
    struct arena arena;
    char *key;
    const void *value;
    size_t bytes;
    unsigned holders;
    bool evicted;              // out of the map; the last holder frees it
    struct entry *prev, *next; // list by use, most recent first
    UT_hash_handle hh;
};

struct cache {
    pthread_mutex_t lock; // guards everything below and the entries' counts
    struct entry *map;
    struct entry *recent;
    size_t bytes, bytes_max;
};

struct cache *cache_new(int64_t bytes_max) {
    struct cache *c = xcalloc(1, sizeof(*c));
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    c->bytes_max = (size_t)bytes_max;
    return c;
}

static void entry_free(struct entry *e) {
    arena_release(&e->arena);
    free(e->key);
    free(e);
}

static void entry_evict(struct cache *c, struct entry *e) {
    CHECK(c->map != NULL); // it holds e at least
    HASH_DEL(c->map, e);
    DL_DELETE(c->recent, e);
    c->bytes -= e->bytes;
    e->evicted = true;
    if (e->holders == 0) {
        entry_free(e);
    }
}

void cache_free(struct cache *c) {
    if (c == NULL) {
        return;
    }
    while (c->recent != NULL) {
        CHECK(c->recent->holders == 0);
        entry_evict(c, c->recent);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void cache_clear(struct cache *c) {
    LOCKED(&c->lock);
    while (c->recent != NULL) {
        entry_evict(c, c->recent);
    }
}

static void entry_unhold(void *arg) {
    struct entry *e = arg;
    LOCKED(&e->cache->lock);
    e->holders--;
    if (e->evicted && e->holders == 0) {
        entry_free(e);
    }
}

static void entry_hold(struct entry *e, struct arena *a) {
    e->holders++;
    arena_defer(a, entry_unhold, e);
}

static struct entry *entry_find(struct cache *c, struct str key) {
    struct entry *e = NULL;
    HASH_FIND(hh, c->map, key.ptr, key.len, e);
    if (e != NULL) {
        DL_DELETE(c->recent, e);
        DL_PREPEND(c->recent, e);
    }
    return e;
}

static void entry_insert(struct cache *c, struct entry *e, size_t key_len) {
    HASH_ADD_KEYPTR(hh, c->map, e->key, key_len, e);
    DL_PREPEND(c->recent, e);
    c->bytes += e->bytes;
    struct entry *oldest = e->prev; // the head's prev is the tail
    while (c->bytes > c->bytes_max && oldest != e) {
        struct entry *newer = oldest->prev;
        entry_evict(c, oldest);
        oldest = newer;
    }
}

static void entry_freep(struct entry **e) {
    if (*e != NULL) {
        entry_free(*e);
    }
}

const void *cache_find(struct cache *c, struct str key, struct arena *a) {
    LOCKED(&c->lock);
    struct entry *there = entry_find(c, key);
    if (there == NULL) {
        return NULL;
    }
    entry_hold(there, a);
    return there->value;
}

enum err_code cache_get(struct cache *c, struct str key, const struct cache_loader *loader,
                        struct arena *a, const void **ret, struct err *err) {
    *ret = cache_find(c, key, a);
    if (*ret != NULL) {
        return ERR_OK;
    }
    DEFER(entry_freep) struct entry *made = xcalloc(1, sizeof(*made));
    made->cache = c;
    made->arena = ARENA(ENTRY_BYTES_MAX);
    made->key = xmalloc(key.len + 1);
    memcpy(made->key, key.ptr, key.len);
    made->key[key.len] = '\0';
    TRY(loader->load(loader->ctx, &made->arena, &made->value, err));
    made->bytes = made->arena.used + sizeof(*made) + key.len;

    LOCKED(&c->lock);
    struct entry *kept = entry_find(c, key);
    if (kept == NULL) { // else another thread was quicker: ours goes
        kept = TAKE(made);
        entry_insert(c, kept, key.len);
    }
    entry_hold(kept, a);
    *ret = kept->value;
    return ERR_OK;
}
