// The upkeep service, and the engines that it opens for its work.

#include "upkeep/upkeep.h"

#include <stdlib.h>

#include "upkeep/upkeep_int.h"

struct upkeep *upkeep_new(struct tables *t, const struct upkeep_options *o) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct upkeep *u = xcalloc(1, sizeof(*u));
    u->tables = t;
    u->catalog = tables_catalog(t);
    u->cache = xstrdup(arena_cstr(&a, o->cache));
    u->options = *o;
    u->options.cache = str_from(u->cache);
    return u;
}

void upkeep_free(struct upkeep *u) {
    if (u != NULL) {
        free(u->cache);
        free(u);
    }
}

static void interrupt(void *session) {
    session_interrupt(session);
}

enum err_code upkeep_engine_open(struct upkeep *u, int threads, struct job *job,
                                 struct upkeep_engine *ret, struct err *err) {
    DEFER(upkeep_engine_close) struct upkeep_engine e = {0};
    TRY(scratch_make(u->options.cache, STR(SCRATCH_SPILL), &e.spill, err));
    const struct engine_options o = {.threads = threads > 0 ? threads : u->options.threads,
                                     .memory_bytes = u->options.memory_bytes,
                                     .temp_dir = str_from(e.spill.path)};
    TRY(engine_open(&o, &e.engine, err));
    TRY(session_open(e.engine, &e.session, err));
    if (job != NULL) {
        e.job = job;
        job_on_cancel(job, interrupt, e.session);
    }
    *ret = e;
    e = (struct upkeep_engine){0};
    return ERR_OK;
}

void upkeep_engine_close(struct upkeep_engine *e) {
    if (e->job != NULL) {
        job_on_cancel(e->job, NULL, NULL);
    }
    session_close(e->session);
    engine_close(e->engine);
    scratch_remove(&e->spill);
}

void upkeep_progress(struct job *job, int64_t done, int64_t total) {
    if (job != NULL) {
        job_progress(job, done, total);
    }
}

enum err_code upkeep_check(struct job *job, struct err *err) {
    return job != NULL ? job_check(job, err) : ERR_OK;
}
