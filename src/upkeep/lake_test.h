// A world with the upkeep service, and one dataset "d" of id and v that tests change.
#pragma once

#include "table/one_world_test.h"
#include "upkeep/upkeep.h"

static struct upkeep *upkeep;

static inline void lake_start(void) {
    const struct upkeep_options o = {.cache = arena_printf(&world.texts, "%s/spool", world.root),
                                     .memory_bytes = 256 << 20,
                                     .threads = 2,
                                     .target_bytes = 1 << 20,
                                     .snapshots_max = 1000};
    upkeep = upkeep_new(world.tables, &o);
}

static inline int setup(void **state) {
    (void)world_begin(state);
    lake_start();
    return 0;
}

static inline int setup_faulty(void **state) {
    (void)world_begin_faulty(state);
    lake_start();
    return 0;
}

static inline int teardown(void **state) {
    upkeep_free(TAKE(upkeep));
    return world_end(state);
}

static inline void lake_reopen(void) {
    upkeep_free(TAKE(upkeep));
    world_reopen(&world);
    lake_start();
}

static inline void lake_write(enum table_mode mode, const char *source) {
    struct table_written w;
    OK(world_write(&world, mode, "d", source, &w));
}

static inline enum err_code lake_delta_by(struct session *s, struct arena *a,
                                          enum table_delta_mode mode, const char *source) {
    static const struct str key = {"id", 2};
    const struct table_delta d = {.dataset = STR("d"),
                                  .mode = mode,
                                  .keys = &key,
                                  .key_count = 1,
                                  .source = str_from(source),
                                  .who = world_author,
                                  .session = s};
    struct table_delta_done done;
    err = ERR_NONE;
    return table_delta(world.tables, &d, a, &done, &err);
}

// In an arena of its own: what it read from is free to go afterwards.
static inline void lake_delta(enum table_delta_mode mode, const char *source) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    OK(lake_delta_by(world.session, &a, mode, source));
}

static inline enum err_code lake_compact_as(struct upkeep_compact r, struct upkeep_compacted *ret) {
    r.dataset = STR("d");
    r.who = world_author;
    err = ERR_NONE;
    return upkeep_compact(upkeep, &r, NULL, &world.arena, ret, &err);
}

static inline struct upkeep_compacted lake_compact(void) {
    struct upkeep_compacted done;
    OK(lake_compact_as((struct upkeep_compact){0}, &done));
    return done;
}

// One value of the dataset as text, as of a version (0: now). Nothing is pinned afterwards.
static inline struct str lake_value_at(int64_t version, bool raw, const char *expr) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_want want = {.name = STR("d"),
                                    .raw = raw,
                                    .at = version == 0 ? TABLE_AT_NOW : TABLE_AT_VERSION,
                                    .value = version};
    const struct table_conditions none = {0};
    struct table_pin pin;
    struct table_scan scan;
    struct str value = STR_NONE;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    pin.raw = raw;
    OK(table_scan_plan(world.tables, &pin, &none, &a, &scan, &err));
    OK(session_text(world.session,
                    arena_printf(&a, "SELECT CAST(%s AS VARCHAR) FROM (" STR_FMT ") t", expr,
                                 STR_ARG(table_scan_sql(&pin, &scan, &a))),
                    &world.arena, &value, &err));
    return value;
}

#define LAKE_ROWS                                                                                  \
    "coalesce(string_agg(id || '=' || coalesce(v::VARCHAR, '-'), ' ' ORDER BY id, v), '')"

static inline void assert_rows(const char *expected) {
    assert_str(lake_value_at(0, false, LAKE_ROWS), expected);
}

// The dataset as the catalog has it.
static inline struct catalog_dataset lake_dataset(void) {
    struct catalog_dataset d;
    OK(catalog_dataset_get(world.catalog, STR("d"), &world.arena, &d, &err));
    return d;
}

static inline int64_t lake_snapshot(void) {
    return lake_dataset().snapshot_id;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
