// A world for tests of tables and above: a data folder with catalog, engine and tables service.
//
// One engine serves a whole program (world_engine_open); each test has a folder of its own.
#pragma once

#include "base/ok_test.h"
#include "base/threads.h"
#include "store/store_fault.h"
#include "table/table.h"

#include <dirent.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    char root[64]; // has primary/ and spool/
    struct arena arena;
    struct arena texts; // of the configuration
    struct config config;
    struct engine *engine;
    struct store *fault; // NULL: the catalog has its folder as it is
    struct catalog *catalog;
    struct tables *tables;
    struct session *session;
    int64_t target_bytes;
};

static const struct catalog_author world_author = {.actor = {"tester", 6},
                                                   .action = {"dataset.write", 13}};

static inline struct engine *world_engine_open(void) {
    const struct engine_options o = {.threads = 2, .memory_bytes = 1LL << 30};
    struct engine *e = NULL;
    OK(engine_open(&o, &e, &err));
    return e;
}

static inline struct tables *world_tables(struct world *w, struct catalog *c) {
    const struct tables_options o = {.spool = arena_printf(&w->arena, "%s/spool", w->root),
                                     .target_bytes = w->target_bytes,
                                     .cache_bytes = 16 << 20};
    return tables_new(c, w->engine, &o);
}

static inline struct catalog *world_catalog(struct world *w) {
    struct catalog *c = NULL;
    OK(catalog_open(&w->config, &c, &err));
    return c;
}

static inline void world_start(struct world *w) {
    w->catalog = world_catalog(w);
    w->tables = world_tables(w, w->catalog);
    OK(session_open(w->engine, &w->session, &err));
}

static inline int world_no_flush(int fd) {
    (void)fd;
    return 0;
}

// Over a store that can be made to fail. It does not flush: what a power cut costs, FAULT_POWER
// knows.
static inline void world_start_faulty(struct world *w) {
    struct store *inner = NULL;
    struct str primary = arena_printf(&w->arena, "%s/primary", w->root);
    OK(store_folder_open(primary.ptr, &inner, &err));
    store_folder_set_fsync(inner, world_no_flush);
    w->fault = store_fault_new(inner, false);
    store_fault_spare(w->fault, STR("_catalog/head.json")); // written some time after a commit
    struct str uri = arena_printf(&w->arena, "file://%s/primary", w->root);
    OK(catalog_open_on(&w->config, w->fault, uri, &w->catalog, &err));
    w->tables = world_tables(w, w->catalog);
    OK(session_open(w->engine, &w->session, &err));
}

static inline void world_stop(struct world *w) {
    arena_reset(&w->arena); // ends the uses of the tables service
    session_close(TAKE(w->session));
    tables_free(TAKE(w->tables));
    catalog_close(TAKE(w->catalog));
    w->fault = NULL;
}

static inline void world_make(struct world *w, struct engine *e) {
    *w = (struct world){.arena = ARENA(1U << 31), .engine = e, .target_bytes = 64 << 20};
    (void)snprintf(w->root, sizeof(w->root), "/tmp/tarn_test_XXXXXX");
    assert_non_null(mkdtemp(w->root));
    w->texts = ARENA(1 << 20);
    OK(config_load(0, NULL, &w->texts, &w->config, &err));
    w->config.server_data = str_from(w->root);
    w->config.catalog_poll_interval = 0;
    char spool[80];
    (void)snprintf(spool, sizeof(spool), "%s/spool", w->root);
    assert_int_equal(mkdir(spool, 0700), 0);
}

static inline void world_open(struct world *w, struct engine *e) {
    world_make(w, e);
    world_start(w);
}

static inline void world_reopen(struct world *w) {
    world_stop(w);
    world_start(w);
}

// Calls fn for each file and, after what is in it, each folder.
static inline size_t world_walk(const char *folder, void (*fn)(const FTSENT *e)) {
    char *root = xstrdup(folder);
    char *roots[] = {root, NULL};
    size_t files = 0;
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    assert_non_null(tree);
    for (FTSENT *e = fts_read(tree); e != NULL; e = fts_read(tree)) {
        files += e->fts_info == FTS_F ? 1 : 0;
        if (fn != NULL && (e->fts_info == FTS_F || e->fts_info == FTS_DP)) {
            fn(e);
        }
    }
    (void)fts_close(tree);
    freep(&root);
    return files;
}

static inline void world_remove_one(const FTSENT *e) {
    assert_int_equal(remove(e->fts_accpath), 0);
}

static inline void world_close(struct world *w) {
    world_stop(w);
    arena_release(&w->arena);
    arena_release(&w->texts);
    (void)world_walk(w->root, world_remove_one);
}

// Files under a folder of the world: "primary/tables", "spool".
static inline size_t world_files(struct world *w, const char *folder) {
    struct str path = arena_printf(&w->arena, "%s/%s", w->root, folder);
    return access(path.ptr, F_OK) == 0 ? world_walk(path.ptr, NULL) : 0;
}

// What stands behind FROM, into the dataset.
static inline enum err_code world_write_as(struct world *w, struct table_write write,
                                           struct table_written *ret) {
    write.who = world_author;
    write.session = w->session;
    err = ERR_NONE;
    return table_write(w->tables, &write, &w->arena, ret, &err);
}

static inline enum err_code world_write(struct world *w, enum table_mode mode, const char *dataset,
                                        const char *source, struct table_written *ret) {
    return world_write_as(w,
                          (struct table_write){.dataset = str_from(dataset),
                                               .mode = mode,
                                               .source = str_from(source)},
                          ret);
}

// One value as text from the rows of a pin, planned with conditions: expr is what stands between
// SELECT and FROM.
static inline struct str world_value_of(struct world *w, const struct table_pin *pin,
                                        const struct table_conditions *conditions, const char *expr,
                                        const char *tail) {
    struct table_scan scan;
    struct str value = STR_NONE;
    OK(table_scan_plan(w->tables, pin, conditions, &w->arena, &scan, &err));
    struct str sql = arena_printf(&w->arena, "SELECT CAST(%s AS VARCHAR) FROM (" STR_FMT ") t %s",
                                  expr, STR_ARG(table_scan_sql(pin, &scan, &w->arena)), tail);
    OK(session_text(w->session, sql, &w->arena, &value, &err));
    return value;
}

static inline struct str world_value(struct world *w, const char *dataset, const char *expr) {
    const struct table_want want = {.name = str_from(dataset)};
    const struct table_conditions none = {0};
    struct table_pin pin;
    OK(table_pin_at(w->tables, &want, &w->arena, &pin, &err));
    return world_value_of(w, &pin, &none, expr, "");
}
