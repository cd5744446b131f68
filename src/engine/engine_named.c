// Things of the server's that functions of ours find by a number.
#include "engine/engine_named.h"

#include <stdlib.h>

#include "base/hashmap.h"

struct engine_named_one {
    int64_t id;
    const void *things;
    size_t count;
    UT_hash_handle hh;
};

static void one_free(struct engine_named_one *one) {
    free(one);
}

struct engine_named *engine_named_new(void) {
    struct engine_named *n = xcalloc(1, sizeof(*n));
    CHECK(pthread_rwlock_init(&n->lock, NULL) == 0);
    return n;
}

void engine_named_free(struct engine_named *n) {
    if (n == NULL) {
        return;
    }
    CHECK(n->all == NULL);
    CHECK(pthread_rwlock_destroy(&n->lock) == 0);
    free(n);
}

int64_t engine_named_add(struct engine_named *n, const void *things, size_t count) {
    struct engine_named_one *one = xcalloc(1, sizeof(*one));
    one->things = things;
    one->count = count;
    CHECK(pthread_rwlock_wrlock(&n->lock) == 0);
    const int64_t id = ++n->last_id;
    one->id = id;
    HASH_ADD(hh, n->all, id, sizeof(one->id), one);
    CHECK(pthread_rwlock_unlock(&n->lock) == 0);
    return id;
}

void engine_named_remove(struct engine_named *n, int64_t id) {
    struct engine_named_one *one = NULL;
    CHECK(pthread_rwlock_wrlock(&n->lock) == 0);
    HASH_FIND(hh, n->all, &id, sizeof(id), one);
    CHECK(one != NULL);
    HASH_DEL(n->all, one);
    CHECK(pthread_rwlock_unlock(&n->lock) == 0);
    one_free(one);
}

const void *engine_named_find(struct engine_named *n, int64_t id, size_t *ret_count) {
    struct engine_named_one *one = NULL;
    const void *things = NULL;
    CHECK(pthread_rwlock_rdlock(&n->lock) == 0);
    HASH_FIND(hh, n->all, &id, sizeof(id), one);
    if (one != NULL) {
        things = one->things;
    }
    if (one != NULL && ret_count != NULL) {
        *ret_count = one->count;
    }
    CHECK(pthread_rwlock_unlock(&n->lock) == 0);
    return things;
}
