// What a query reads of a view: masked files that are there, and those that it waits for.

#include "base/clock.h"
#include "base/counters.h"
#include "view/view_int.h"

#define ATTEMPTS 5
#define LOOK_US INT64_C(100000) // how often a wait looks whether it is over

// A file of this call; the arena holds it.
struct held {
    struct views *views;
    struct masked *file;
};

static void unhold(void *arg) {
    const struct held *h = arg;
    LOCKED(&h->views->lock);
    view_folder_unhold(h->views, h->file);
}

// A call of view_files_get.
struct getting {
    struct views *views;
    const struct view_pin *pin;
    const struct view_wait *wait;
    struct arena *arena;
    struct table_scan scan; // of the base
    struct str *keys;       // of its files
    struct masked **found;  // for each of them; NULL: not yet
    size_t found_count;
    size_t made;
    struct str generation; // that what is made must belong to
};

// The arena holds the file from here on.
static void take(struct getting *g, size_t file, struct masked *m) {
    struct held *h = arena_alloc(g->arena, sizeof(*h));
    *h = (struct held){g->views, m};
    arena_defer(g->arena, unhold, h);
    g->found[file] = m;
    g->found_count++;
}

// Were masked files removed since it was pinned, then what was pinned must still be the newest: it
// may have been the state before an erasure.
static enum err_code check_state(struct getting *g, struct err *err) {
    struct views *v = g->views;
    if (view_generation(v, g->arena, &g->generation, err) != ERR_OK) {
        return view_hide(&g->pin->view, err);
    }
    if (str_eq(g->generation, g->pin->generation)) {
        return ERR_OK;
    }
    if (txlog_refresh(catalog_log(v->catalog), 0, 0, err) != ERR_OK) {
        return view_hide(&g->pin->view, err);
    }
    for (size_t i = 0; i < g->pin->pin_count; i++) {
        if (!table_pin_current(v->tables, &g->pin->pins[i], g->arena)) {
            return err_set(err, ERR_BUSY,
                           "what the view \"" STR_FMT "\" shows was changed meanwhile: try again",
                           STR_ARG(g->pin->view.name));
        }
    }
    return ERR_OK;
}

static void find_files(struct getting *g) {
    size_t hits = 0;
    LOCKED(&g->views->lock);
    view_folder_sync(g->views);
    for (size_t i = 0; i < g->scan.file_count; i++) {
        struct masked *m = g->found[i] == NULL ? view_folder_hold(g->views, g->keys[i].ptr) : NULL;
        if (m != NULL) {
            take(g, i, m);
            hits++;
        }
    }
    g->views->stats.hits += (int64_t)hits;
    counter_add(COUNTER_view_hits, (int64_t)hits);
}

static enum err_code check_wait(const struct getting *g, struct err *err) {
    const struct view_wait *w = g->wait;
    if (w->is_over != NULL && w->is_over(w->ctx)) {
        return err_set(err, ERR_CANCELLED, "the query was cancelled while it waited for a view");
    }
    if (clock_mono_us() >= w->until_us) {
        return err_set(err, ERR_TIMEOUT,
                       "the view \"" STR_FMT "\" is being made ready: %zu of %zu parts are; this "
                       "goes on, so ask again",
                       STR_ARG(g->pin->view.name), g->found_count, g->scan.file_count);
    }
    return ERR_OK;
}

// What one attempt waits for.
struct waiting {
    struct getting *getting;
    size_t *files; // of the scan
    struct str *keys;
    struct view_job **jobs; // NULL: not, or not any more
    size_t count, left;
};

// With the lock held: takes what is made; the first failure is that of the wait.
static enum err_code collect(struct waiting *w, struct err *err) {
    struct getting *g = w->getting;
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < w->count; i++) {
        struct view_job *j = w->jobs[i];
        struct masked *m = NULL;
        if (j == NULL || j->state <= VIEW_RUNNING) {
            continue;
        }
        if (j->state == VIEW_FAILED && code == ERR_OK) {
            *err = j->err;
            code = err->code;
        }
        view_job_leave(g->views, j, &m);
        w->jobs[i] = NULL;
        w->left--;
        if (m != NULL) {
            take(g, w->files[i], m);
            g->made++;
        }
    }
    return code;
}

// What is made after that goes on without this call.
static void leave(struct waiting *w) {
    struct views *v = w->getting->views;
    LOCKED(&v->lock);
    for (size_t i = 0; i < w->count; i++) {
        struct masked *m = NULL;
        if (w->jobs[i] != NULL) {
            view_job_leave(v, w->jobs[i], &m);
        }
        if (m != NULL) {
            view_folder_unhold(v, m);
        }
    }
}

static enum err_code wait_all(struct waiting *w, struct err *err) {
    struct views *v = w->getting->views;
    while (w->left > 0) {
        TRY(check_wait(w->getting, err));
        LOCKED(&v->lock);
        TRY(collect(w, err));
        if (w->left > 0) {
            const int64_t until_us = MIN(clock_mono_us() + LOOK_US, w->getting->wait->until_us + 1);
            (void)threads_cond_wait_until(&v->change, &v->lock, until_us);
        }
    }
    return ERR_OK;
}

static enum err_code make_missing(struct getting *g, struct err *err) {
    const size_t most = g->scan.file_count;
    struct waiting w = {.getting = g,
                        .files = arena_array(g->arena, most, sizeof(*w.files)),
                        .keys = arena_array(g->arena, most, sizeof(*w.keys)),
                        .jobs = arena_array(g->arena, most, sizeof(void *))};
    for (size_t i = 0; i < most; i++) {
        if (g->found[i] == NULL) {
            w.files[w.count] = i;
            w.keys[w.count++] = g->keys[i];
        }
    }
    const struct view_missing missing = {
        .files = w.files, .keys = w.keys, .count = w.count, .generation = g->generation};
    TRY(view_jobs_add(g->views, g->pin, &missing, w.jobs, err));
    for (size_t i = 0; i < w.count; i++) {
        w.left += w.jobs[i] != NULL ? 1 : 0;
    }
    const enum err_code code = wait_all(&w, err);
    leave(&w);
    return code;
}

static void tell_files(const struct getting *g, struct view_files *ret) {
    *ret = (struct view_files){.made = g->made};
    ret->files = arena_array(g->arena, g->scan.file_count, sizeof(*ret->files));
    for (size_t i = 0; i < g->scan.file_count; i++) {
        const struct masked *m = g->found[i];
        if (m->rows > 0) {
            ret->files[ret->file_count++] = (struct view_file){
                .path = arena_printf(g->arena, "%s/%s", g->views->folder, m->name),
                .name = str_from(m->name),
                .rows = m->rows,
                .bytes = m->bytes};
        }
    }
}

// Which files there are to be.
static enum err_code plan(struct getting *g, struct err *err) {
    const struct table_conditions none = {0};
    const struct view_pin *pin = g->pin;
    if (table_scan_plan(g->views->tables, &pin->pins[0], &none, g->arena, &g->scan, err) !=
            ERR_OK ||
        view_keys(g->views, pin, &g->scan, g->arena, &g->keys, err) != ERR_OK) {
        return view_hide(&pin->view, err);
    }
    g->found = arena_array(g->arena, g->scan.file_count, sizeof(void *));
    return ERR_OK;
}

enum err_code view_files_get(struct views *v, const struct view_pin *pin,
                             const struct view_wait *wait, struct arena *a, struct view_files *ret,
                             struct err *err) {
    struct getting g = {.views = v, .pin = pin, .wait = wait, .arena = a};
    TRY(check_state(&g, err));
    TRY(plan(&g, err));
    find_files(&g);
    for (size_t i = 0; i < ATTEMPTS && g.found_count < g.scan.file_count; i++) {
        if (i > 0) {
            TRY(check_state(&g, err));
        }
        TRY(make_missing(&g, err));
        find_files(&g);
    }
    if (g.found_count < g.scan.file_count) {
        return err_set(err, ERR_BUSY, "the view \"" STR_FMT "\" changes too fast: try again",
                       STR_ARG(pin->view.name));
    }
    tell_files(&g, ret);
    return ERR_OK;
}
