// The views service: its life, its figures, and the end of all that it has made.

#include <stdlib.h>

#include "view/view_int.h"

#define FILTER_BYTES (16 << 20) // of checked filters
#define FORGET_WAIT_MS 60000

enum err_code views_open(const struct views_options *o, struct views **ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct views *v = xcalloc(1, sizeof(*v));
    v->tables = o->tables;
    v->catalog = tables_catalog(o->tables);
    v->engine = o->engine;
    v->parser = o->parser;
    v->cache = xstrdup(arena_cstr(&a, o->cache));
    v->folder = xstrdup(arena_printf(&a, "%s/" SCRATCH_MASKED, v->cache).ptr);
    v->making.fd = -1;
    v->bytes_max = o->bytes_max;
    v->maker_count = (size_t)o->makers;
    v->filters = cache_new(FILTER_BYTES);
    CHECK(pthread_mutex_init(&v->lock, NULL) == 0);
    threads_cond_init(&v->work);
    threads_cond_init(&v->change);
    const enum err_code code = view_folder_open(v, err);
    if (code != ERR_OK) {
        views_close(v);
        return code;
    }
    view_makers_start(v);
    *ret = v;
    return ERR_OK;
}

void views_close(struct views *v) {
    if (v == NULL) {
        return;
    }
    view_makers_close(v);
    view_folder_close(v);
    cache_free(v->filters);
    pthread_mutex_destroy(&v->lock);
    pthread_cond_destroy(&v->work);
    pthread_cond_destroy(&v->change);
    free(v->cache);
    free(v->folder);
    free(v);
}

enum err_code views_forget(struct views *v, struct err *err) {
    cache_clear(v->filters);
    TRY(view_folder_clear(v, view_jobs_drop, err));
    return view_jobs_wait(v, FORGET_WAIT_MS, err);
}

void views_stats_get(struct views *v, struct views_stats *ret) {
    LOCKED(&v->lock);
    *ret = v->stats;
    ret->files = (int64_t)HASH_COUNT(v->files);
    ret->bytes = v->bytes;
    ret->bytes_max = v->bytes_max;
}
