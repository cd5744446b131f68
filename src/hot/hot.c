// The hot cache: which files are in memory, who reads them, and what is to be loaded.

#include "hot/hot.h"

#include <math.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "hot/hot_int.h"

#define HALF_LIFE_US 600e6 // of an ask
#define SCORE_MIN 0.05     // a dataset that counts less, and is not in memory, is not kept in mind
#define INTERVAL_MS 1000
#define NAME_MAX_BYTES 4096

struct str hot_key(struct str bucket, struct str object, struct arena *a) {
    return arena_printf(a, STR_FMT ":" STR_FMT, STR_ARG(bucket), STR_ARG(object));
}

double hot_score(const struct hot_set *s, int64_t now_us) {
    return s->score * exp2((double)(s->scored_us - now_us) / HALF_LIFE_US);
}

void hot_retire(struct hot *h, struct hot_table *t) {
    for (size_t i = 0; i < t->file_count; i++) {
        struct hot_file *f = NULL;
        HASH_FIND(hh, h->files, t->files[i].key.ptr, t->files[i].key.len, f);
        if (f == &t->files[i]) {
            HASH_DEL(h->files, f);
        }
    }
    DL_DELETE(t->set->tables, t);
    t->set = NULL;
    DL_APPEND(h->retired, t);
    counter_add(COUNTER_hot_rows, -t->copy.rows);
    CHECK(pthread_cond_broadcast(&h->change) == 0);
}

size_t hot_set_empty(struct hot *h, struct hot_set *s) {
    size_t count = 0;
    s->epoch++;
    s->wanted = false;
    while (s->tables != NULL) {
        hot_retire(h, s->tables);
        count++;
    }
    if (h->build != NULL && h->build->table->set == s) {
        session_interrupt(h->build->session);
    }
    return count;
}

static void set_free(struct hot *h, struct hot_set *s) {
    HASH_DEL(h->sets, s);
    free(s->id);
    buf_release(&s->name);
    free(s);
}

// With the lock held.
static struct hot_set *set_of(struct hot *h, const struct catalog_dataset *d) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct hot_set *s = NULL;
    HASH_FIND(hh, h->sets, d->id.ptr, d->id.len, s);
    if (s == NULL) {
        s = xcalloc(1, sizeof(*s));
        s->id = xstrdup(arena_cstr(&a, d->id));
        s->name = BUF(NAME_MAX_BYTES);
        s->error = ERR_NONE;
        HASH_ADD_KEYPTR(hh, h->sets, s->id, d->id.len, s);
    }
    if (!str_eq(buf_str(&s->name), d->name)) {
        buf_reset(&s->name);
        buf_add_str(&s->name, d->name);
    }
    return s;
}

static void unuse(void *arg) {
    struct hot_table *t = arg;
    struct hot *h = t->hot;
    LOCKED(&h->lock);
    t->readers--;
    if (t->readers == 0 && t->set == NULL) {
        CHECK(pthread_cond_broadcast(&h->change) == 0);
    }
}

// With the lock held.
static void table_use(struct hot *h, struct hot_table *t, struct arena *a) {
    if (t->use != h->uses) {
        t->use = h->uses;
        t->readers++;
        arena_defer(a, unuse, t);
    }
}

static size_t give_copies(struct hot *h, const struct table_pin *pin, struct table_scan *scan,
                          struct arena *a) {
    size_t found = 0;
    h->uses++;
    for (size_t i = 0; h->files != NULL && i < scan->file_count; i++) {
        struct table_file *f = &scan->files[i];
        const struct str key = hot_key(pin->dataset.bucket, f->object, a);
        struct hot_file *hot = NULL;
        HASH_FIND(hh, h->files, key.ptr, key.len, hot);
        if (hot != NULL) {
            table_use(h, hot->table, a);
            f->copy = &hot->table->copy;
            f->copy_start = hot->start;
            found++;
        }
    }
    return found;
}

static void note_ask(struct hot *h, struct hot_set *s, bool all) {
    const int64_t now_us = clock_mono_us();
    s->score = hot_score(s, now_us) + 1;
    s->scored_us = now_us;
    s->used_us = now_us;
    if (all) {
        s->stat.hits++;
        counter_add(COUNTER_hot_hits, 1);
    } else {
        s->stat.misses++;
        counter_add(COUNTER_hot_misses, 1);
    }
    // A count of three asks must not fail for having aged by a moment.
    const bool often = h->options.asks > 0 && s->score + 0.5 > (double)h->options.asks;
    if (!all && !s->wanted && (s->pinned || often) && s->retry_us <= now_us) {
        s->wanted = true;
        CHECK(pthread_cond_broadcast(&h->change) == 0);
    }
}

void hot_use(struct hot *h, const struct table_pin *pin, struct table_scan *scan, struct arena *a) {
    size_t found;
    if (scan->file_count == 0) {
        return;
    }
    {
        LOCKED(&h->lock);
        struct hot_set *s = set_of(h, &pin->dataset);
        found = give_copies(h, pin, scan, a);
        note_ask(h, s, found == scan->file_count);
    }
    if (found > 0) {
        table_scan_copied(h->tables, scan, a);
    }
}

// What the thread knows of a dataset while it asks the catalog.
struct known {
    struct str id, name;
    uint64_t version;
};

static struct known *known_list(struct hot *h, struct arena *a, size_t *ret_count) {
    struct known *list = NULL;
    size_t cap = 0;
    *ret_count = 0;
    LOCKED(&h->lock);
    for (struct hot_set *s = h->sets; s != NULL; s = s->hh.next) {
        if (s->tables != NULL || s->pinned) {
            list = arena_grow(a, list, &cap, *ret_count + 1, sizeof(*list));
            list[(*ret_count)++] = (struct known){.id = arena_str(a, str_from(s->id)),
                                                  .name = arena_str(a, buf_str(&s->name)),
                                                  .version = s->version};
        }
    }
    return list;
}

static void check_one(struct hot *h, const struct known *k, struct arena *a) {
    struct catalog_dataset d = {0};
    struct err err = ERR_NONE;
    const enum err_code code = catalog_dataset_get(tables_catalog(h->tables), k->name, a, &d, &err);
    const bool gone = code == ERR_NOT_FOUND || (code == ERR_OK && !str_eq(d.id, k->id));
    struct hot_set *s = NULL;
    LOCKED(&h->lock);
    HASH_FIND(hh, h->sets, k->id.ptr, k->id.len, s);
    if (s != NULL && gone && str_eq(buf_str(&s->name), k->name)) {
        (void)hot_set_empty(h, s);
        s->pinned = false;
    } else if (s != NULL && code == ERR_OK && d.version != s->version) {
        s->wanted = s->retry_us <= clock_mono_us();
    }
}

// With load_lock held.
static void forget_unasked(struct hot *h) {
    LOCKED(&h->lock);
    struct hot_set *s = NULL;
    struct hot_set *next = NULL;
    HASH_ITER(hh, h->sets, s, next) {
        if (s->tables == NULL && !s->pinned && !s->wanted &&
            hot_score(s, clock_mono_us()) < SCORE_MIN) {
            set_free(h, s);
        }
    }
}

// Are the hot datasets still as they were? And those that nobody asks any more are forgotten.
static void look(struct hot *h) {
    DEFER(arena_release) struct arena a = ARENA(256U << 20);
    size_t count;
    const struct known *list = known_list(h, &a, &count);
    for (size_t i = 0; i < count; i++) {
        check_one(h, &list[i], &a);
    }
    if (pthread_mutex_trylock(&h->load_lock) == 0) { // else somebody loads: another time
        forget_unasked(h);
        CHECK(pthread_mutex_unlock(&h->load_lock) == 0);
    }
}

// With the lock held.
static bool has_idle(const struct hot *h) {
    for (const struct hot_table *t = h->retired; t != NULL; t = t->next) {
        if (t->readers == 0 && !t->going) {
            return true;
        }
    }
    return false;
}

static struct hot_set *next_wanted(const struct hot *h) {
    struct hot_set *s = h->sets;
    while (s != NULL && !s->wanted) {
        s = s->hh.next;
    }
    return s;
}

// Sets are removed by this thread alone, so one that was found stays.
static void load_one(struct hot *h, struct hot_set *s) {
    struct err err = ERR_NONE;
    LOCKED(&h->load_lock);
    {
        LOCKED(&h->lock);
        if (!s->wanted) { // somebody was quicker, or it was evicted
            return;
        }
    }
    const enum err_code code = hot_refresh(h, s, &err);
    if (code != ERR_OK && code != ERR_BUSY) {
        log_warn("hot.load", "dataset=%s error=%s", log_quote(str_from(s->id)),
                 log_quote(str_from(err.msg)));
    }
}

// Waits until there is something to do; false: the end.
static bool await(struct hot *h, int64_t look_us, struct hot_set **ret_wanted) {
    LOCKED(&h->lock);
    *ret_wanted = next_wanted(h);
    while (!h->stopping && *ret_wanted == NULL && !has_idle(h) && clock_mono_us() < look_us) {
        (void)threads_cond_wait_until(&h->change, &h->lock, look_us);
        *ret_wanted = next_wanted(h);
    }
    return !h->stopping;
}

static void *work(void *arg) {
    struct hot *h = arg;
    const int64_t interval_us = h->options.interval_ms * 1000;
    struct hot_set *wanted = NULL;
    int64_t look_us = clock_mono_us() + interval_us;
    while (await(h, look_us, &wanted)) {
        hot_sweep(h);
        if (wanted != NULL) {
            load_one(h, wanted);
        }
        if (clock_mono_us() >= look_us) {
            look(h);
            look_us = clock_mono_us() + interval_us;
        }
    }
    return NULL;
}

struct hot *hot_new(struct tables *t, struct engine *e, const struct hot_options *o) {
    struct hot *h = xcalloc(1, sizeof(*h));
    h->tables = t;
    h->engine = e;
    h->options = *o;
    h->options.interval_ms = o->interval_ms > 0 ? o->interval_ms : INTERVAL_MS;
    CHECK(pthread_mutex_init(&h->load_lock, NULL) == 0);
    CHECK(pthread_mutex_init(&h->lock, NULL) == 0);
    threads_cond_init(&h->change);
    h->thread = threads_start("hot", work, h);
    return h;
}

static void stop(struct hot *h) {
    {
        LOCKED(&h->lock);
        h->stopping = true;
        if (h->build != NULL) {
            session_interrupt(h->build->session);
        }
        CHECK(pthread_cond_broadcast(&h->change) == 0);
    }
    CHECK(pthread_join(h->thread, NULL) == 0);
}

void hot_close(struct hot *h) {
    if (h == NULL) {
        return;
    }
    stop(h);
    {
        LOCKED(&h->lock);
        struct hot_set *s = NULL;
        struct hot_set *next = NULL;
        HASH_ITER(hh, h->sets, s, next) {
            (void)hot_set_empty(h, s);
            set_free(h, s);
        }
    }
    hot_sweep(h);
    CHECK(h->retired == NULL && h->files == NULL);
    pthread_mutex_destroy(&h->load_lock);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->change);
    free(h);
}

enum err_code hot_pin(struct hot *h, struct str dataset, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct catalog_dataset d;
    TRY(catalog_dataset_get(tables_catalog(h->tables), dataset, &a, &d, err));
    struct hot_set *s;
    LOCKED(&h->load_lock);
    {
        LOCKED(&h->lock);
        s = set_of(h, &d);
        s->pinned = true;
    }
    return hot_refresh(h, s, err);
}

enum err_code hot_evict(struct hot *h, struct str dataset, size_t *ret_count, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct catalog_dataset d;
    *ret_count = 0;
    bool known = dataset.len == 0;
    {
        LOCKED(&h->lock);
        for (struct hot_set *s = h->sets; s != NULL; s = s->hh.next) {
            if (dataset.len > 0 && !str_eq_nocase(buf_str(&s->name), dataset)) {
                continue;
            }
            known = true;
            s->pinned = false;
            s->score = 0;
            s->retry_us = 0;
            if (hot_set_empty(h, s) > 0) {
                s->stat.evictions++;
                counter_add(COUNTER_hot_evictions, 1);
                ++*ret_count;
            }
        }
    }
    hot_sweep(h);
    return known ? ERR_OK : catalog_dataset_get(tables_catalog(h->tables), dataset, &a, &d, err);
}

// With the lock held. Tables that hold the file go, and one that is being made will not come.
static void forget_one(struct hot *h, struct str key) {
    struct hot_file *f = NULL;
    HASH_FIND(hh, h->files, key.ptr, key.len, f);
    if (f != NULL) {
        f->table->forgotten = true;
        h->forgotten++;
        f->table->set->wanted = true; // its other files
        f->table->set->version = 0;
        hot_retire(h, f->table);
    }
    struct hot_build *b = h->build;
    for (size_t i = 0; b != NULL && !b->abandoned && i < b->table->file_count; i++) {
        if (str_eq(b->table->files[i].key, key)) {
            b->abandoned = true;
            h->forgotten++;
            session_interrupt(b->session);
        }
    }
    struct hot_table *t = NULL;
    DL_FOREACH(h->retired, t) {
        for (size_t i = 0; !t->forgotten && i < t->file_count; i++) {
            if (str_eq(t->files[i].key, key)) {
                t->forgotten = true;
                h->forgotten++;
            }
        }
    }
}

enum err_code hot_forget(struct hot *h, const struct hot_objects *o, int64_t wait_ms,
                         struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(256U << 20);
    const int64_t until_us = clock_mono_us() + wait_ms * 1000;
    bool in_time = true;
    {
        LOCKED(&h->lock);
        h->forgets++;
        for (size_t i = 0; i < o->count; i++) {
            forget_one(h, hot_key(o->bucket, o->names[i], &a));
        }
    }
    hot_sweep(h);
    LOCKED(&h->lock);
    while (h->forgotten > 0 && in_time) {
        in_time = threads_cond_wait_until(&h->change, &h->lock, until_us);
    }
    return h->forgotten == 0 ? ERR_OK
                             : err_set(err, ERR_BUSY,
                                       "queries still read erased rows from the hot cache; they "
                                       "leave it when these queries end");
}

static int by_name(const void *x, const void *y) {
    return str_cmp(((const struct hot_stat *)x)->dataset, ((const struct hot_stat *)y)->dataset);
}

void hot_stats_get(struct hot *h, struct arena *a, struct hot_stats *ret) {
    LOCKED(&h->lock);
    const int64_t now_us = clock_mono_us();
    *ret = (struct hot_stats){.bytes_max = h->options.bytes_max, .bytes = h->bytes};
    ret->items = arena_array(a, HASH_COUNT(h->sets), sizeof(*ret->items));
    for (struct hot_set *s = h->sets; s != NULL; s = s->hh.next) {
        struct hot_stat *out = &ret->items[ret->count++];
        struct hot_table *t = NULL;
        *out = s->stat;
        out->dataset = arena_str(a, buf_str(&s->name));
        out->pinned = s->pinned;
        out->asks = hot_score(s, now_us);
        out->error = s->error.code != ERR_OK ? arena_str(a, str_from(s->error.msg)) : STR_NONE;
        DL_FOREACH(s->tables, t) {
            out->tables++;
            out->files += (int64_t)t->file_count;
            out->rows += t->copy.rows;
            out->bytes += t->bytes;
        }
    }
    qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
}
