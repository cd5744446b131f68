// Erasure, as a whole: the steps of one, each recorded before the next begins.

#include "erase/erase_int.h"

#include <stdlib.h>

#include "base/clock.h"

static char *copy(struct str s) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    return xstrdup(arena_cstr(&a, s));
}

struct erase *erase_new(const struct erase_options *o) {
    struct erase *e = xcalloc(1, sizeof(*e));
    e->options = *o;
    e->spool = copy(o->spool);
    e->cache = copy(o->cache);
    e->started_us = clock_wall_us();
    CHECK(pthread_mutex_init(&e->lock, NULL) == 0);
    return e;
}

void erase_free(struct erase *e) {
    if (e == NULL) {
        return;
    }
    pthread_mutex_destroy(&e->lock);
    free(e->spool);
    free(e->cache);
    free(e);
}
