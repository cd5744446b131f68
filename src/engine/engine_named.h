// Things of the server's that functions of ours find by a number while a statement runs.
//
// A function of a statement can be given constants only, so that a statement names what it needs by
// a number. Any thread may call; a lock guards the numbers.
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct engine_named_one;

struct engine_named {
    pthread_rwlock_t lock; // guards everything below
    struct engine_named_one *all;
    int64_t last_id;
};

struct engine_named *engine_named_new(void);
void engine_named_free(struct engine_named *n); // nothing may be in it; takes NULL
// One thing or several in a row; they must live until they are removed.
int64_t engine_named_add(struct engine_named *n, const void *things, size_t count);
void engine_named_remove(struct engine_named *n, int64_t id);
// The first of them, or NULL: there is none of that number. ret_count may be NULL.
const void *engine_named_find(struct engine_named *n, int64_t id, size_t *ret_count);
