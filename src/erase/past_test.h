// What tests of erasing from a dataset share: a dataset "d" of people, what its snapshots show, and
// a search through everything that is left of it.
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
    (void)setup(state);
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

// The search: values are known by their first 15 bytes, since bounds are cut to 16 code points and
// the last one is raised.
static struct str wanted;

static inline void assert_not_in(struct str bytes, const char *where, const char *what) {
    if (str_find(bytes, wanted) >= 0) {
        fail_msg("\"" STR_FMT "\" is in %s of %s", STR_ARG(wanted), what, where);
    }
}

static inline void search_bounds(const struct ice_bounds *b, const char *where) {
    for (size_t i = 0; i < b->count; i++) {
        assert_not_in(b->items[i].bytes, where, "a bound");
    }
}

static inline void search_avro(struct str bytes, const char *path) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    struct ice_manifest_list list;
    struct ice_manifest *m = NULL;
    const struct ice_manifest_ref ref = {
        .path = str_from(path), .sequence_number = 1, .added_snapshot_id = 1};
    if (strstr(path, "/snap-") != NULL) {
        OK(ice_manifest_list_read(bytes, str_from(path), &a, &list, &err));
        for (size_t i = 0; i < list.manifest_count; i++) {
            assert_not_in(list.manifests[i].partitions, path, "a summary");
        }
        return;
    }
    struct ice_manifest_ref deletes = ref;
    deletes.deletes = true;
    if (ice_manifest_read(bytes, &ref, &a, &m, &err) != ERR_OK) {
        OK(ice_manifest_read(bytes, &deletes, &a, &m, &err));
    }
    for (size_t i = 0; i < m->entry_count; i++) {
        search_bounds(&m->entries[i].file.lower, path);
        search_bounds(&m->entries[i].file.upper, path);
        for (size_t j = 0; j < m->entries[i].file.partition_count; j++) {
            assert_not_in(m->entries[i].file.partition[j].bytes, path, "a partition");
        }
    }
}

static inline void search_parquet(const char *path) {
    static const char *const sources[] = {"read_parquet", "parquet_metadata",
                                          "parquet_kv_metadata"};
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct str count;
        OK(session_text(world.session,
                        arena_printf(&a,
                                     "SELECT count(*) FROM %s('%s') t WHERE contains(CAST(t AS "
                                     "VARCHAR), '" STR_FMT "')",
                                     sources[i], path, STR_ARG(wanted)),
                        &a, &count, &err));
        if (!str_is(count, "0")) {
            fail_msg("\"" STR_FMT "\" is in %s of %s", STR_ARG(wanted), sources[i], path);
        }
    }
}

static inline void search_file(const FTSENT *e) {
    DEFER(buf_release) struct buf bytes = BUF(256U << 20);
    if (e->fts_info != FTS_F) {
        return;
    }
    FILE *file = fopen(e->fts_accpath, "rb");
    assert_non_null(file);
    char *into = buf_reserve(&bytes, (size_t)e->fts_statp->st_size + 1);
    bytes.len = fread(into, 1, (size_t)e->fts_statp->st_size, file);
    (void)fclose(file);
    assert_not_in(buf_str(&bytes), e->fts_path, "the bytes");
    const struct str path = str_from(e->fts_path);
    if (str_ends(path, STR(".avro"))) {
        search_avro(buf_str(&bytes), e->fts_path);
    } else if (str_ends(path, STR(".parquet"))) {
        search_parquet(e->fts_path);
    }
}

// Nothing under the bucket tells of it, in whatever form.
static inline void assert_nothing_tells_of(const char *value) {
    wanted = str_slice(str_from(value), 0, 15);
    (void)world_walk(arena_printf(&world.texts, "%s/primary/tables", world.root).ptr, search_file);
}

// Nothing is left that no snapshot leads to, and all that they lead to is there and whole.
static inline void assert_sound(void) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    struct upkeep_orphaned orphaned;
    struct upkeep_health health;
    DEFER(store_closep) struct store *s = NULL;
    const struct upkeep_orphans r = {.dataset = STR("d"), .dry_run = true};
    OK(upkeep_orphans(upkeep, &r, NULL, &a, &orphaned, &err));
    for (size_t i = 0; i < orphaned.name_count; i++) {
        print_message("orphan: " STR_FMT "\n", STR_ARG(orphaned.names[i]));
    }
    assert_int_equal(orphaned.objects, 0);
    OK(store_folder_open(arena_printf(&a, "%s/primary", world.root).ptr, &s, &err));
    const struct upkeep_fsck options = {.store = s,
                                        .uri = arena_printf(&a, "file://%s/primary", world.root),
                                        .scratch = arena_printf(&a, "%s/spool", world.root)};
    OK(upkeep_fsck(&options, &a, &health, &err));
    for (size_t i = 0; i < health.count; i++) {
        print_message(STR_FMT ": " STR_FMT "\n", STR_ARG(health.findings[i].object),
                      STR_ARG(health.findings[i].what));
    }
    assert_int_equal(health.count, 0);
}
