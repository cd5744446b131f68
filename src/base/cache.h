// Cache of immutable values that are costly to make, under a byte budget, least recently used out
// first.
//
// Threads: any. What a caller got stays until its arena is released, even when it was evicted.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct cache;

struct cache *cache_new(int64_t bytes_max);
void cache_free(struct cache *c); // takes NULL; nobody holds anything any more

// Drops every value, so that nothing of what was read stays: those that are held, when they are let
// go.
void cache_clear(struct cache *c);

// Makes the value of a key that is missing, in an arena of its own.
struct cache_loader {
    enum err_code (*load)(void *ctx, struct arena *own, const void **ret, struct err *err);
    void *ctx;
};
MUST_CHECK enum err_code cache_get(struct cache *c, struct str key,
                                   const struct cache_loader *loader, struct arena *a,
                                   const void **ret, struct err *err);
// The value of a key that is there; NULL: it is not.
const void *cache_find(struct cache *c, struct str key, struct arena *a);
