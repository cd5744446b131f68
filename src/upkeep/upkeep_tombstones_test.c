// Tests of tombstones where upkeep meets them: compaction, rollback, expiry, fsck.

#include "base/clock.h"
#include "catalog/catalog_content.h"
#include "table/table_tombstone.h"
#include "upkeep/lake_test.h"

static struct table_tombstone request(struct table_key *keys, size_t count) {
    return (struct table_tombstone){
        .dataset = STR("d"),
        .column = STR("id"),
        .keys = keys,
        .key_count = count,
        .who = {.actor = STR("tester"), .action = STR("dataset.tombstone")},
        .session = world.session};
}

// "1 2"
static size_t keys_of(const char *words, struct table_key keys[16]) {
    struct str rest = arena_str(&world.arena, str_from(words));
    struct str word;
    size_t count = 0;
    while (str_cut(&rest, ' ', &word)) {
        assert_true(count < 16);
        keys[count++] = (struct table_key){.text = word, .integer = true};
    }
    return count;
}

static void tomb_until(const char *words, int64_t not_before_us) {
    struct table_key keys[16];
    struct table_tombstoned done;
    struct table_tombstone r = request(keys, keys_of(words, keys));
    r.purge_not_before_us = not_before_us;
    OK(table_tombstone(world.tables, &r, &world.arena, &done, &err));
    assert_int_equal(done.failure_count, 0);
}

static void tomb(const char *words) {
    tomb_until(words, 0);
}

static struct table_tombstoned undo(const char *words) {
    struct table_key keys[16];
    struct table_tombstoned done;
    const struct table_tombstone r = request(keys, keys_of(words, keys));
    OK(table_tombstone_undo(world.tables, &r, &world.arena, &done, &err));
    return done;
}

static const struct table_tombstone_list *list_now(void) {
    const struct catalog_dataset d = lake_dataset();
    const struct table_tombstone_list *list;
    OK(table_tombstone_list_load(world.tables, &d, &world.arena, &list, &err));
    assert_int_equal(list->count, d.tombstones.count);
    return list;
}

static void assert_listed(const char *values) {
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    const struct table_tombstone_list *list = list_now();
    for (size_t i = 0; i < list->count; i++) {
        buf_printf(&out, "%s" STR_FMT, i == 0 ? "" : " ", STR_ARG(list->items[i].value));
    }
    assert_string_equal(arena_cstr(&world.arena, buf_str(&out)), values);
}

static void assert_raw(const char *rows) {
    assert_str(lake_value_at(0, true, LAKE_ROWS), rows);
}

static void assert_sound(void) {
    struct upkeep_health health;
    const struct upkeep_fsck o = {.store = NULL,
                                  .uri =
                                      arena_printf(&world.arena, "file://%s/primary", world.root),
                                  .scratch = arena_printf(&world.arena, "%s/spool", world.root)};
    const struct catalog_bucket *bucket;
    struct upkeep_fsck options = o;
    OK(catalog_bucket_find(world.catalog, STR_NONE, &bucket, &err));
    options.store = bucket->store;
    OK(upkeep_fsck(&options, &world.arena, &health, &err));
    for (size_t i = 0; i < health.count; i++) {
        if (health.findings[i].damage ||
            str_starts(health.findings[i].object, CATALOG_CONTENT_PREFIX)) {
            fail_msg(STR_FMT ": " STR_FMT, STR_ARG(health.findings[i].object),
                     STR_ARG(health.findings[i].what));
        }
    }
}

static void a_compaction_applies_tombstones(void **state) {
    (void)state;
    struct upkeep_compacted done;
    lake_write(TABLE_CREATE, "(SELECT i AS id, 0 AS v FROM range(1000) r(i))");
    tomb("1 2 3");
    OK(lake_compact_as((struct upkeep_compact){.dry_run = true}, &done));
    assert_int_equal(done.tombstones_applied, 3);
    assert_int_equal(done.rows_dropped_by_tombstones, 3);
    assert_listed("1 2 3");
    done = lake_compact();
    assert_int_equal(done.tombstones_applied, 3);
    assert_int_equal(done.rows_dropped_by_tombstones, 3);
    assert_int_equal(done.rows, 997);
    assert_listed("");
    lake_reopen();
    assert_listed("");
    assert_str(lake_value_at(0, true, "count(*)"), "997");
    assert_int_equal(lake_dataset().rows, 997);
    assert_int_equal(undo("1").failure_count, 1);
    done = lake_compact();
    assert_int_equal(done.tombstones_applied, 0);
    assert_sound();
}

static void what_was_applied_stays_hidden_in_older_snapshots(void **state) {
    (void)state;
    struct upkeep_rolled rolled;
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    const int64_t first = lake_snapshot();
    tomb("2");
    (void)lake_compact();
    assert_listed("");
    assert_str(lake_value_at(first, false, LAKE_ROWS), "1=10");
    assert_str(lake_value_at(first, true, LAKE_ROWS), "1=10 2=20");
    // It is an ordinary key again, where it comes later.
    lake_write(TABLE_APPEND, "(VALUES (2, 21)) t(id, v)");
    const int64_t later = lake_snapshot();
    lake_write(TABLE_APPEND, "(VALUES (3, 30)) t(id, v)");
    assert_rows("1=10 2=21 3=30");
    assert_str(lake_value_at(later, false, LAKE_ROWS), "1=10 2=21");
    assert_str(lake_value_at(first, false, LAKE_ROWS), "1=10");
    lake_reopen();
    const struct upkeep_rollback r = {.dataset = STR("d"), .version = first, .who = world_author};
    OK(upkeep_rollback(upkeep, &r, &world.arena, &rolled, &err));
    assert_rows("1=10");
    assert_int_equal(rolled.rows_after, 1);
    assert_sound();
    (void)lake_compact();
    assert_raw("1=10");
}

static void what_was_applied_is_forgotten_with_the_last_older_snapshot(void **state) {
    (void)state;
    struct upkeep_expired done;
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    tomb("2");
    (void)lake_compact();
    assert_int_equal(list_now()->applied_count, 1);
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 1);
    const struct upkeep_expire r = {
        .dataset = STR("d"), .older_than_ms = 0, .keep_min = 1, .who = world_author};
    OK(upkeep_expire(upkeep, &r, NULL, &world.arena, &done, &err));
    assert_int_equal(done.snapshots_after, 1);
    assert_int_equal(lake_dataset().tombstones.content.object.len, 0);
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 0);
    assert_rows("1=10");
    assert_sound();
}

static void rows_may_be_held_until_a_time(void **state) {
    (void)state;
    struct upkeep_compacted done;
    const int64_t hour_us = INT64_C(3600) * 1000000;
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    lake_write(TABLE_APPEND, "(VALUES (3, 30), (4, 40)) t(id, v)");
    lake_write(TABLE_APPEND, "(VALUES (5, 50)) t(id, v)");
    tomb_until("2", clock_wall_us() + hour_us);
    tomb("3");
    OK(lake_compact_as((struct upkeep_compact){.dry_run = true}, &done));
    assert_int_equal(done.tombstones_applied, 1);
    done = lake_compact();
    assert_int_equal(done.files_read, 2);
    assert_int_equal(done.tombstones_applied, 1);
    assert_int_equal(done.rows_dropped_by_tombstones, 1);
    assert_listed("2");
    assert_raw("1=10 2=20 4=40 5=50");
    assert_int_equal(undo("2").rows, 1);
    assert_rows("1=10 2=20 4=40 5=50");
    tomb_until("2", clock_wall_us() - 1);
    OK(lake_compact_as((struct upkeep_compact){.keeps_tombstones = true}, &done));
    assert_int_equal(done.tombstones_applied, 1);
    assert_raw("1=10 4=40 5=50");
}

static void the_policy_applies_none_that_is_not_due(void **state) {
    (void)state;
    struct upkeep_compacted done;
    static const struct str by = {"v", 1};
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    lake_write(TABLE_APPEND, "(VALUES (3, 30), (4, 40)) t(id, v)");
    lake_write(TABLE_APPEND, "(VALUES (5, 50)) t(id, v)");
    tomb("2");
    OK(lake_compact_as((struct upkeep_compact){.keeps_tombstones = true}, &done));
    assert_int_equal(done.files_read, 2);
    OK(lake_compact_as(
        (struct upkeep_compact){.keeps_tombstones = true, .cluster_by = &by, .cluster_count = 1},
        &done));
    assert_listed("2");
    assert_int_equal(undo("2").rows, 1);
    assert_rows("1=10 2=20 3=30 4=40 5=50");
}

static void tomb_meanwhile(void *ctx) {
    int64_t *until_us = ctx;
    if (*until_us >= 0) {
        tomb_until("2", *until_us);
        *until_us = -1;
    }
}

static void a_compaction_sees_tombstones_that_come_meanwhile(void **state) {
    (void)state;
    struct upkeep_compacted done;
    int64_t until_us = clock_wall_us() + INT64_C(3600) * 1000000;
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    lake_write(TABLE_APPEND, "(VALUES (3, 30)) t(id, v)");
    OK(lake_compact_as((struct upkeep_compact){.checked = tomb_meanwhile, .ctx = &until_us},
                       &done));
    assert_int_equal(done.tombstones_applied, 0);
    assert_rows("1=10 3=30");
    assert_raw("1=10 2=20 3=30");
    assert_int_equal(undo("2").rows, 1);
    until_us = 0;
    OK(lake_compact_as((struct upkeep_compact){.checked = tomb_meanwhile, .ctx = &until_us},
                       &done));
    assert_int_equal(done.rows_dropped_by_tombstones, 1);
    assert_raw("1=10 3=30");
}

static void undo_meanwhile(void *ctx) {
    bool *once = ctx;
    if (!*once) {
        *once = true;
        (void)undo("2");
    }
}

static void an_undo_is_quicker_than_the_compaction_under_way(void **state) {
    (void)state;
    struct upkeep_compacted done;
    bool once = false;
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    tomb("2");
    OK(lake_compact_as((struct upkeep_compact){.checked = undo_meanwhile, .ctx = &once}, &done));
    assert_rows("1=10 2=20");
    assert_listed("");
}

static void a_rollback_brings_no_row_back(void **state) {
    (void)state;
    struct upkeep_rolled done;
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20), (3, 30)) t(id, v)");
    const int64_t first = lake_snapshot();
    tomb("3");
    const int64_t hides_three = lake_snapshot();
    (void)undo("3");
    tomb("2");
    struct upkeep_rollback r = {.dataset = STR("d"), .version = first, .who = world_author};
    OK(upkeep_rollback(upkeep, &r, &world.arena, &done, &err));
    assert_rows("1=10 3=30");
    assert_int_equal(lake_dataset().rows, 2);
    // What was undone since then is not hidden again.
    r.version = hides_three;
    OK(upkeep_rollback(upkeep, &r, &world.arena, &done, &err));
    assert_rows("1=10 3=30");
    assert_int_equal(undo("2").rows, 1);
    assert_rows("1=10 2=20 3=30");
    // Without tombstones it is the old snapshot itself.
    r.version = first;
    OK(upkeep_rollback(upkeep, &r, &world.arena, &done, &err));
    assert_int_equal(lake_snapshot(), first);
    assert_sound();
}

static void fsck_looks_at_the_list_and_for_leftovers(void **state) {
    (void)state;
    struct upkeep_health health;
    const struct catalog_bucket *bucket;
    DEFER(json_decrefp) json_t *body = json_object();
    struct catalog_content stray;
    lake_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    tomb("2");
    assert_sound();
    OK(catalog_content_put(world.catalog, body, &world.arena, &stray, &err));
    OK(catalog_bucket_find(world.catalog, STR_NONE, &bucket, &err));
    OK(store_delete(bucket->store, lake_dataset().tombstones.content.object, &err));
    const struct upkeep_fsck o = {.store = bucket->store,
                                  .uri =
                                      arena_printf(&world.arena, "file://%s/primary", world.root),
                                  .scratch = arena_printf(&world.arena, "%s/spool", world.root)};
    OK(upkeep_fsck(&o, &world.arena, &health, &err));
    bool missing = false;
    bool left = false;
    for (size_t i = 0; i < health.count; i++) {
        const struct upkeep_finding *f = &health.findings[i];
        missing =
            missing || (f->damage && str_eq(f->object, lake_dataset().tombstones.content.object));
        left = left || (!f->damage && str_eq(f->object, stray.object));
    }
    assert_true(missing);
    assert_true(left);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_compaction_applies_tombstones),
        TEST(what_was_applied_stays_hidden_in_older_snapshots),
        TEST(what_was_applied_is_forgotten_with_the_last_older_snapshot),
        TEST(rows_may_be_held_until_a_time),
        TEST(the_policy_applies_none_that_is_not_due),
        TEST(a_compaction_sees_tombstones_that_come_meanwhile),
        TEST(an_undo_is_quicker_than_the_compaction_under_way),
        TEST(a_rollback_brings_no_row_back),
        TEST(fsck_looks_at_the_list_and_for_leftovers),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
