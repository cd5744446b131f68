// What tests of erasing from a dataset share: erasing a key, and what its snapshots show.
#pragma once

#include "erase/erase_int.h"

#include "base/hash.h"
#include "base/log.h"
#include "iceberg/deletes.h"
#include "table/table_commit.h"
#include "upkeep/lake_test.h"

static struct erase *eraser;

static inline void past_start(void) {
    const struct erase_options o = {.catalog = world.catalog,
                                    .tables = world.tables,
                                    .upkeep = upkeep,
                                    .spool = arena_printf(&world.texts, "%s/spool", world.root),
                                    .cache = arena_printf(&world.texts, "%s/spool", world.root),
                                    .wait_ms = 20};
    eraser = erase_new(&o);
}

static inline int past_begin(void **state) {
    (void)setup_faulty(state);
    past_start();
    return 0;
}

static inline int past_end(void **state) {
    erase_free(TAKE(eraser));
    return teardown(state);
}

#define PAST_TEST(name) cmocka_unit_test_setup_teardown(name, past_begin, past_end)

// What the commit's extras were told, and how often.
static struct erase_history told;
static int told_times;

static inline enum err_code note_extras(void *ctx, const struct erase_history *h, struct arena *a,
                                        json_t **ret, struct err *e) {
    (void)ctx;
    (void)a;
    (void)e;
    told = *h;
    told_times++;
    *ret = NULL;
    return ERR_OK;
}

static inline enum err_code rewrite_keys(const char *column, const struct table_key *keys,
                                         size_t count, struct erase_history *ret) {
    const struct erase_target target = {STR("d"), str_from(column)};
    const struct erase_subjects subjects = {.keys = keys, .key_count = count};
    const struct erase_history_work w = {
        .target = &target, .subjects = &subjects, .who = world_author, .extras = note_extras};
    err = ERR_NONE;
    told_times = 0;
    return erase_history_rewrite(eraser, &w, NULL, &world.arena, ret, &err);
}

static inline enum err_code rewrite(const char *column, const char *key,
                                    struct erase_history *ret) {
    const struct table_key k = {.text = str_from(key)};
    return rewrite_keys(column, &k, 1, ret);
}

static inline enum err_code look_as(const char *column, const char *key,
                                    struct erase_history *ret) {
    const struct erase_target target = {STR("d"), str_from(column)};
    const struct table_key k = {.text = str_from(key)};
    const struct erase_subjects subjects = {.keys = &k, .key_count = 1};
    const struct erase_history_work w = {.target = &target, .subjects = &subjects};
    err = ERR_NONE;
    return erase_history_look(eraser, &w, NULL, &world.arena, ret, &err);
}

static inline struct erase_history look(const char *column, const char *key) {
    struct erase_history h = {0};
    OK(look_as(column, key, &h));
    return h;
}

static inline void remove_old(const struct erase_history *h) {
    OK(erase_history_remove(eraser, STR("d"), h->removed, h->removed_count, NULL, &err));
}

static inline struct erase_history erase_key(const char *column, const char *key) {
    struct erase_history h = {0};
    OK(rewrite(column, key, &h));
    remove_old(&h);
    return h;
}

// A commit that is made by hand.
static inline void past_commit(enum err_code (*prepare)(struct table_commit *c,
                                                        struct table_edit *e, struct err *err),
                               void *ctx) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    struct table_commit c = {.tables = world.tables,
                             .dataset = STR("d"),
                             .who = world_author,
                             .prepare = prepare,
                             .ctx = ctx,
                             .arena = &a};
    err = ERR_NONE;
    OK(table_commit_run(&c, &err));
}

static inline void past_drop_json(void *json) {
    json_decref(json);
}
// Gives the arena a tree to own.
static inline json_t *past_own(json_t *json, struct arena *a) {
    assert_non_null(json);
    arena_defer(a, past_drop_json, json);
    return json;
}

// What each snapshot shows: its rows as text, sorted, visible ones and all that are in live files.
struct shown {
    int64_t snapshot;
    struct str visible, raw;
};
struct past {
    struct shown *items;
    size_t count;
    struct str refs; // branches and tags
    int64_t current;
};

// without: a condition on the rows that are left out, with %s for the name of the field; NULL: none
// are.
static inline struct str rows_at(int64_t snapshot, bool raw, int32_t field_id,
                                 const char *without) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_want want = {.name = STR("d"), .at = TABLE_AT_VERSION, .value = snapshot};
    struct table_pin pin;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    const struct ice_field *f = ice_schema_find_id(pin.schema, field_id);
    struct str filter = STR_NONE;
    if (without != NULL && f != NULL) {
        filter = arena_printf(&a, "FILTER (WHERE (t." STR_FMT " IN (%s)) IS NOT TRUE)",
                              STR_ARG(sql_ident(f->name, &a)), without);
    }
    return lake_value_at(snapshot, raw,
                         arena_printf(&a,
                                      "coalesce(string_agg(CAST(t AS VARCHAR), ' ' ORDER BY CAST(t "
                                      "AS VARCHAR)) " STR_FMT ", '')",
                                      STR_ARG(filter))
                             .ptr);
}

static inline struct past past_of(int32_t field_id, const char *without) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_want want = {.name = STR("d")};
    struct table_pin pin;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    const struct ice_metadata *m = pin.metadata;
    struct past p = {.items = arena_array(&world.arena, m->snapshot_count, sizeof(*p.items)),
                     .count = m->snapshot_count,
                     .refs = m->refs != NULL ? json_text_sorted(m->refs, &world.arena) : STR_NONE,
                     .current = m->current_snapshot_id};
    for (size_t i = 0; i < m->snapshot_count; i++) {
        const int64_t id = m->snapshots[i].id;
        p.items[i] = (struct shown){.snapshot = id,
                                    .visible = rows_at(id, false, field_id, without),
                                    .raw = rows_at(id, true, field_id, without)};
    }
    return p;
}

static inline void assert_same_past(const struct past *before, const struct past *now) {
    assert_int_equal(before->count, now->count);
    assert_int_equal(before->current, now->current);
    assert_true(str_eq(before->refs, now->refs));
    for (size_t i = 0; i < before->count; i++) {
        assert_int_equal(before->items[i].snapshot, now->items[i].snapshot);
        assert_str(now->items[i].visible, before->items[i].visible.ptr);
        assert_str(now->items[i].raw, before->items[i].raw.ptr);
    }
}
