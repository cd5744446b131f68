// The sweep: what failed writes and dead processes left behind.
//
// How old an object must be: a write of this process is younger than this process, one of another
// is over after an hour. The limit holds for whatever is listed, so that neither needs a lock.

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "catalog/catalog_content.h"
#include "erase/erase_sweep_int.h"
#include "upkeep/upkeep_engine.h"

#define LIST_PAGE 1000
#define DATASETS_PAGE 1000
#define OTHERS_AGE_US (INT64_C(3600) * 1000000)
#define CLOCK_STEP_US 20000 // that a file's time may lag behind the clock
#define TABLES "tables/"

struct owned {
    struct str dir;
    struct str dataset;
    UT_hash_handle hh;
};

struct sweep {
    struct erase *erase;
    struct job *job;
    struct arena *arena;   // of the result
    struct arena *scratch; // of this sweep
    struct store *store;   // of the primary bucket
    int64_t before_us;     // objects up to that time
    struct owned *owned;   // folders of datasets
    struct erase_swept *done;
};

// What cannot be swept now is left behind, except that a cancelled sweep ends.
static enum err_code go_on(enum err_code code, struct str what, struct err *err) {
    if (code == ERR_OK || code == ERR_CANCELLED) {
        return code;
    }
    log_warn("erase.sweep", "at=%s error=%s", log_quote(what), log_quote(str_from(err->msg)));
    *err = ERR_NONE;
    return ERR_OK;
}

static void add(struct erase_swept *d, const struct erase_object *o, struct arena *a) {
    d->objects = arena_grow(a, d->objects, &d->cap, d->count + 1, sizeof(*d->objects));
    d->objects[d->count++] = *o;
}

static void add_removed(struct sweep *s, const struct erase_object *o) {
    add(s->done, o, s->arena);
}

void erase_swept_add(struct erase_swept *s, const struct catalog_content_swept *contents,
                     struct arena *a) {
    for (size_t i = 0; i < contents->count; i++) {
        add(s,
            &(struct erase_object){.name = contents->items[i].object,
                                   .bytes = contents->bytes[i],
                                   .sha256 = contents->items[i].sha256},
            a);
    }
}

static int64_t find_before(const struct erase *e) {
    const bool shared =
        scratch_is_shared(str_from(e->spool)) || scratch_is_shared(str_from(e->cache));
    const int64_t others_us = clock_wall_us() - OTHERS_AGE_US;
    return shared ? others_us : MAX(others_us, e->started_us - CLOCK_STEP_US);
}

// Objects of datasets

static void note_owned(struct sweep *s) {
    struct catalog_datasets page = {0};
    struct str after = STR("");
    do {
        catalog_dataset_list(s->erase->options.catalog, after, DATASETS_PAGE, s->scratch, &page);
        for (size_t i = 0; i < page.count; i++) {
            struct owned *o = arena_alloc(s->scratch, sizeof(*o));
            *o = (struct owned){.dir = page.items[i].dir, .dataset = page.items[i].name};
            HASH_ADD_KEYPTR(hh, s->owned, o->dir.ptr, o->dir.len, o);
            after = o->dataset;
        }
    } while (page.more);
}

static enum err_code hash_all(struct sweep *s, const struct str *names, size_t count,
                              struct erase_object *ret, size_t *ret_count, struct err *err) {
    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        bool there = false;
        ret[*ret_count] = (struct erase_object){.name = arena_str(s->arena, names[i])};
        TRY(upkeep_check(s->job, err));
        TRY(erase_object_hash(s->store, s->arena, &ret[*ret_count], &there, err));
        *ret_count += there ? 1 : 0;
    }
    return ERR_OK;
}

static enum err_code sweep_dataset(struct sweep *s, struct str dataset, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct upkeep_orphans request = {.dataset = dataset,
                                           .dry_run = true,
                                           .older_than_ms =
                                               MAX(clock_wall_us() - s->before_us, 0) / 1000 + 1,
                                           .names_max = SIZE_MAX};
    struct upkeep_orphaned orphans;
    struct err none = ERR_NONE;
    size_t count;
    const enum err_code code =
        upkeep_orphans(s->erase->options.upkeep, &request, s->job, &a, &orphans, &none);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK; // dropped meanwhile
    }
    if (code != ERR_OK) {
        *err = none;
        return code;
    }
    struct erase_object *objects = arena_array(&a, orphans.name_count, sizeof(*objects));
    TRY(hash_all(s, orphans.names, orphans.name_count, objects, &count, err));
    if (count > 0) {
        TRY(erase_history_remove(s->erase, dataset, objects, count, s->job, err));
    }
    for (size_t i = 0; i < count; i++) {
        add_removed(s, &objects[i]);
    }
    return ERR_OK;
}

// A folder that belongs to no dataset. Queries may still read one that was dropped: not for ever.
static enum err_code sweep_folder(struct sweep *s, struct str dir, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct catalog_dataset d = {.dir = dir};
    struct store_page page = {.prefix = arena_printf(&a, STR_FMT "/", STR_ARG(dir)),
                              .max = LIST_PAGE};
    bool waited = false;
    do {
        struct store_list list;
        TRY(store_list(s->store, &page, &a, &list, err));
        for (size_t i = 0; i < list.count; i++) {
            struct erase_object o;
            size_t there;
            if (list.entries[i].modified_us > s->before_us) {
                continue;
            }
            if (!waited) {
                (void)table_uses_wait(s->erase->options.tables, &d, s->erase->options.wait_ms);
                waited = true;
            }
            TRY(hash_all(s, &list.entries[i].name, 1, &o, &there, err));
            if (there > 0) {
                TRY(store_delete(s->store, o.name, err));
                add_removed(s, &o);
            }
        }
        page.after = list.next;
    } while (page.after.len > 0);
    return ERR_OK;
}

// The folder of tables/ that the object lies in; empty: it lies in none.
static struct str dir_of(struct str object) {
    const struct str below = str_slice(object, strlen(TABLES), object.len);
    const ptrdiff_t slash = str_find_char(below, '/');
    return slash > 0 ? str_slice(object, 0, strlen(TABLES) + (size_t)slash) : STR_NONE;
}

static enum err_code sweep_dir(struct sweep *s, struct str dir, struct err *err) {
    const struct owned *o = NULL;
    HASH_FIND(hh, s->owned, dir.ptr, dir.len, o);
    TRY(upkeep_check(s->job, err));
    return go_on(o != NULL ? sweep_dataset(s, o->dataset, err) : sweep_folder(s, dir, err), dir,
                 err);
}

static enum err_code sweep_tables(struct sweep *s, struct err *err) {
    struct str after = STR("");
    for (;;) {
        struct store_list list;
        const struct store_page page = {.prefix = STR(TABLES), .after = after, .max = 1};
        TRY(store_list(s->store, &page, s->scratch, &list, err));
        if (list.count == 0) {
            return ERR_OK;
        }
        const struct str dir = dir_of(list.entries[0].name);
        after = list.entries[0].name;
        if (dir.len > 0) {
            TRY(sweep_dir(s, dir, err));
            after = arena_printf(s->scratch, STR_FMT "0", STR_ARG(dir)); // '0' follows '/'
        }
    }
}

static enum err_code sweep_content(struct sweep *s, struct err *err) {
    struct catalog_content_swept swept;
    const enum err_code code = catalog_content_sweep(
        s->erase->options.catalog, clock_wall_us() - s->before_us, s->arena, &swept, err);
    erase_swept_add(s->done, &swept, s->arena);
    return code;
}

static enum err_code sweep_objects(struct sweep *s, struct err *err) {
    const struct catalog_bucket *bucket;
    struct catalog *c = s->erase->options.catalog;
    TRY(catalog_bucket_find(c, STR(""), &bucket, err));
    s->store = bucket->store;
    store_clean(s->store);
    TRY(txlog_refresh(catalog_log(c), 0, 0, err));
    note_owned(s);
    TRY(go_on(sweep_tables(s, err), STR(TABLES), err));
    return go_on(sweep_content(s, err), CATALOG_CONTENT_PREFIX, err);
}

static int64_t sweep_scratch(const struct erase *e) {
    static const char *const prefixes[] = {SCRATCH_STAGE, SCRATCH_UPLOAD,  SCRATCH_DELTAS,
                                           SCRATCH_SPILL, SCRATCH_MASKING, SCRATCH_WORKER};
    size_t files = 0;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        files += scratch_clean(str_from(e->spool), str_from(prefixes[i]));
        files += scratch_clean(str_from(e->cache), str_from(prefixes[i]));
    }
    return (int64_t)files;
}

enum err_code erase_sweep(struct erase *e, const struct erase_matcher *m, struct job *job,
                          struct arena *a, struct erase_swept *ret, struct err *err) {
    DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
    struct sweep s = {.erase = e,
                      .job = job,
                      .arena = a,
                      .scratch = &scratch,
                      .before_us = find_before(e),
                      .done = ret};
    ret->local_files += sweep_scratch(e) + erase_sweep_rejects(e, m);
    const enum err_code code = go_on(sweep_objects(&s, err), STR("the bucket"), err);
    HASH_CLEAR(hh, s.owned);
    return code;
}
