// A world with views, for the tests of view/: definitions in a short form, and what they show.
#pragma once

#include "base/clock.h"
#include "engine/engine_map.h"
#include "table/table_tombstone.h"
#include "table/world_test.h"
#include "view/view.h"

#define WAIT_US INT64_C(60000000)

static struct engine *engine, *parser;
static struct world world;
static struct views *views;

static inline int open_engines(void **state) {
    (void)state;
    const struct engine_options o = {.threads = 1, .memory_bytes = 256 << 20, .no_files = true};
    engine = world_engine_open();
    OK(engine_open(&o, &parser, &err));
    return 0;
}

static inline int close_engines(void **state) {
    (void)state;
    engine_close(parser);
    engine_close(engine);
    return 0;
}

static inline struct views *views_more(int64_t bytes_max) {
    struct views *v = NULL;
    const struct views_options o = {.tables = world.tables,
                                    .engine = engine,
                                    .parser = parser,
                                    .cache = arena_printf(&world.arena, "%s/cache", world.root),
                                    .bytes_max = bytes_max,
                                    .makers = 2};
    OK(views_open(&o, &v, &err));
    return v;
}

static inline void views_again(int64_t bytes_max) {
    arena_reset(&world.arena);
    views_close(views);
    views = views_more(bytes_max);
}

static inline int setup(void **state) {
    (void)state;
    world_open(&world, engine);
    char cache[80];
    (void)snprintf(cache, sizeof(cache), "%s/cache", world.root);
    assert_int_equal(mkdir(cache, 0700), 0);
    views = views_more(INT64_C(1) << 30);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    arena_reset(&world.arena);
    views_close(TAKE(views));
    world_close(&world);
    return 0;
}

static inline void write_rows(enum table_mode mode, const char *dataset, const char *source) {
    struct table_written w;
    OK(world_write_as(&world,
                      (struct table_write){.dataset = str_from(dataset),
                                           .mode = mode,
                                           .evolve = mode == TABLE_APPEND,
                                           .nullable = true,
                                           .source = str_from(source)},
                      &w));
}

static inline void delete_keys(const char *dataset, const char *key, const char *source) {
    const struct str column = str_from(key);
    struct table_delta_done done;
    const struct table_delta d = {.dataset = str_from(dataset),
                                  .mode = TABLE_DELTA_DELETE,
                                  .keys = &column,
                                  .key_count = 1,
                                  .source = str_from(source),
                                  .who = world_author,
                                  .session = world.session};
    OK(table_delta(world.tables, &d, &world.arena, &done, &err));
}

// {"a": null, "b": "hash", …} as a list of columns in that order.
static inline enum err_code check_view(const char *name, const char *base, const char *columns,
                                       const char *filter, struct catalog_view *ret) {
    DEFER(json_decrefp) json_t *j = NULL;
    const char *key;
    json_t *mask;
    size_t count = 0;
    err = ERR_NONE;
    OK(json_parse(str_from(columns), &j, &err));
    struct catalog_view_column *list =
        arena_array(&world.arena, json_object_size(j), sizeof(*list));
    json_object_foreach(j, key, mask) {
        list[count].name = arena_str(&world.arena, str_from(key));
        if (!json_is_null(mask)) {
            OK(mask_read(mask, &list[count].mask, &err));
        }
        count++;
    }
    const struct view_wish w = {.name = str_from(name),
                                .base = str_from(base),
                                .columns = list,
                                .column_count = count,
                                .row_filter = str_from(filter)};
    return view_check(views, &w, &world.arena, ret, &err);
}

static inline void put_view(const char *name, const char *base, const char *columns,
                            const char *filter) {
    struct catalog_view v;
    struct catalog_view old;
    if (check_view(name, base, columns, filter, &v) != ERR_OK) {
        fail_msg("%s: %s", filter, err.msg);
    }
    if (catalog_view_find(world.catalog, v.name, &world.arena, &old)) {
        v.version = old.version;
    }
    OK(catalog_view_put(world.catalog, &v, &world_author, &err));
}

static inline enum err_code pin_view_at(const char *name, int64_t version, struct arena *a,
                                        struct view_pin *ret) {
    struct catalog_view v;
    const struct table_want want = {.at = version > 0 ? TABLE_AT_VERSION : TABLE_AT_NOW,
                                    .value = version};
    err = ERR_NONE;
    OK(catalog_view_get(world.catalog, str_from(name), a, &v, &err));
    return view_pin_at(views, &v, &want, a, ret, &err);
}

static inline struct view_pin pin_view(const char *name, struct arena *a) {
    struct view_pin pin;
    OK(pin_view_at(name, 0, a, &pin));
    return pin;
}

static inline enum err_code get_files(const struct view_pin *pin, struct arena *a,
                                      struct view_files *ret) {
    const struct view_wait wait = {.until_us = clock_mono_us() + WAIT_US};
    err = ERR_NONE;
    return view_files_get(views, pin, &wait, a, ret, &err);
}

// How many files had to be made for the view as it is now.
static inline size_t made_now(const char *name) {
    DEFER(arena_release) struct arena a = ARENA(64U << 20);
    const struct view_pin pin = pin_view(name, &a);
    struct view_files files;
    OK(get_files(&pin, &a, &files));
    return files.made;
}

static inline void keep_text(void *ctx, struct str in, struct buf *out) {
    (void)ctx;
    buf_add_str(out, in);
}

// A value of what the view shows; sha-256-query-local as it stands in the file.
static inline struct str shown_at(const char *name, int64_t version, const char *expr,
                                  const char *tail) {
    DEFER(arena_release) struct arena a = ARENA(64U << 20);
    const struct engine_mapper same = {.text = keep_text};
    struct view_pin pin;
    struct view_files files;
    struct str text = STR_NONE;
    OK(pin_view_at(name, version, &a, &pin));
    OK(get_files(&pin, &a, &files));
    struct str *paths = arena_array(&a, files.file_count, sizeof(*paths));
    for (size_t i = 0; i < files.file_count; i++) {
        paths[i] = files.files[i].path;
    }
    const int64_t map = engine_map_begin(engine, &same);
    const struct str sql =
        arena_printf(&a, "SELECT CAST(%s AS VARCHAR) FROM (" STR_FMT ") AS t %s", expr,
                     STR_ARG(view_scan_sql(&pin, paths, files.file_count, map, &a)), tail);
    const enum err_code code = session_text(world.session, sql, &world.arena, &text, &err);
    engine_map_end(engine, map);
    OK(code);
    return text;
}

static inline struct str shown(const char *name, const char *expr) {
    return shown_at(name, 0, expr, "");
}
