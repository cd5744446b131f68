// Tests of expiry, rollback and orphans: what goes, what stays, and when.

#include "upkeep/lake_test.h"

#include "base/clock.h"

#include <utime.h>

static void create(void) {
    lake_write(TABLE_CREATE, "(SELECT i AS id, i * 10 AS v FROM range(1, 4) r(i))");
}

static struct upkeep_expired expire(struct upkeep_expire r) {
    struct upkeep_expired done;
    r.dataset = STR("d");
    r.who = world_author;
    OK(upkeep_expire(upkeep, &r, NULL, &world.arena, &done, &err));
    return done;
}

// Everything but the current snapshot, whatever its age.
static struct upkeep_expired expire_all(void) {
    return expire((struct upkeep_expire){.older_than_ms = -1, .keep_max = 1});
}

static struct upkeep_orphaned orphans(struct upkeep_orphans r) {
    struct upkeep_orphaned done;
    r.dataset = STR("d");
    OK(upkeep_orphans(upkeep, &r, NULL, &world.arena, &done, &err));
    return done;
}

static enum err_code rollback(int64_t version, struct upkeep_rolled *ret) {
    const struct upkeep_rollback r = {.dataset = STR("d"), .version = version, .who = world_author};
    err = ERR_NONE;
    return upkeep_rollback(upkeep, &r, &world.arena, ret, &err);
}

static void what_only_old_snapshots_need_is_removed(void **state) {
    (void)state;
    create();
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (2, 21), (4, 40)) t(id, v)");
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (1)) t(id)");
    (void)lake_compact();
    arena_reset(&world.arena); // nobody reads any more
    const struct upkeep_expired done = expire_all();
    assert_int_equal(done.snapshots_before, 4);
    assert_int_equal(done.snapshots_removed, 3);
    assert_int_equal(done.snapshots_after, 1);
    assert_true(done.objects_removed > 6);
    assert_rows("2=21 3=30 4=40");
    // One data file, three manifests (what came, and what files and deletes went), the list, and
    // the metadata with those in its log.
    assert_int_equal(world_files(&world, "primary/tables"), 1 + 3 + 1 + 5);
    assert_int_equal(orphans((struct upkeep_orphans){.older_than_ms = 0}).objects, 0);
    assert_rows("2=21 3=30 4=40");
    lake_reopen();
    assert_rows("2=21 3=30 4=40");
    assert_int_equal(expire_all().snapshots_removed, 0);
}

static void young_snapshots_stay_and_a_dry_run_removes_nothing(void **state) {
    (void)state;
    create();
    const int64_t first = lake_snapshot();
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (1)) t(id)");
    const uint64_t version = lake_dataset().version;
    const size_t objects = world_files(&world, "primary/tables");
    assert_int_equal(expire((struct upkeep_expire){.older_than_ms = -1}).snapshots_removed, 0);
    const struct upkeep_expired done =
        expire((struct upkeep_expire){.older_than_ms = -1, .keep_max = 1, .dry_run = true});
    assert_int_equal(done.snapshots_removed, 1);
    assert_true(done.objects_removed > 0);
    assert_int_equal(lake_dataset().version, version);
    assert_int_equal(world_files(&world, "primary/tables"), objects);
    assert_str(lake_value_at(first, false, LAKE_ROWS), "1=10 2=20 3=30");
}

static void a_reader_keeps_what_it_reads_until_it_has_gone(void **state) {
    (void)state;
    create();
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (1)) t(id)");
    const int64_t old = lake_snapshot();
    lake_write(TABLE_REPLACE, "(VALUES (7::BIGINT, 70::BIGINT)) t(id, v)");
    arena_reset(&world.arena);
    struct arena reader = ARENA(1 << 28);
    const struct table_want want = {.name = STR("d"), .at = TABLE_AT_VERSION, .value = old};
    const struct table_conditions none = {0};
    struct table_pin pin;
    struct table_scan scan;
    struct str sum = STR_NONE;
    OK(table_pin_at(world.tables, &want, &reader, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &none, &reader, &scan, &err));
    const size_t objects = world_files(&world, "primary/tables");
    assert_int_equal(expire_all().snapshots_removed, 2);
    assert_int_equal(world_files(&world, "primary/tables"), objects + 1); // and the new metadata
    assert_rows("7=70"); // one that begins later keeps nothing of that
    assert_int_equal(world_files(&world, "primary/tables"), objects + 1);
    OK(session_text(world.session,
                    arena_printf(&reader, "SELECT sum(id)::VARCHAR FROM (" STR_FMT ")",
                                 STR_ARG(table_scan_sql(&pin, &scan, &reader))),
                    &world.arena, &sum, &err));
    assert_str(sum, "5");
    arena_release(&reader);
    assert_true(world_files(&world, "primary/tables") < objects);
    assert_rows("7=70");
}

static void a_rollback_makes_an_old_snapshot_current(void **state) {
    (void)state;
    struct upkeep_rolled done;
    create();
    const int64_t first = lake_snapshot();
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (1, 11), (9, 90)) t(id, v)");
    const int64_t second = lake_snapshot();
    OK(rollback(first, &done));
    assert_int_equal(done.from_snapshot, second);
    assert_int_equal(done.to_snapshot, first);
    assert_int_equal(done.rows_before, 4);
    assert_int_equal(done.rows_after, 3);
    assert_rows("1=10 2=20 3=30");
    assert_int_equal(lake_dataset().rows, 3);
    assert_int_equal(lake_snapshot(), first);
    assert_str(lake_value_at(second, false, LAKE_ROWS), "1=11 2=20 3=30 9=90");
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (2, 22)) t(id, v)");
    assert_rows("1=10 2=22 3=30");
    OK(rollback(2, &done)); // by sequence number, forward again
    assert_rows("1=11 2=20 3=30 9=90");
    lake_reopen();
    assert_rows("1=11 2=20 3=30 9=90");
    assert_int_equal(rollback(4711, &done), ERR_NOT_FOUND);
    assert_says("4711");
}

static void a_state_that_was_rolled_back_from_expires_by_age(void **state) {
    (void)state;
    struct upkeep_rolled done;
    create();
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (1, 11)) t(id, v)");
    OK(rollback(1, &done));
    assert_int_equal(expire_all().snapshots_removed, 0);
    (void)usleep(2000);
    assert_int_equal(expire((struct upkeep_expire){.older_than_ms = 0}).snapshots_removed, 1);
    assert_rows("1=10 2=20 3=30");
}

static void age_object(const char *path, int64_t seconds) {
    const time_t then = (time_t)(clock_wall_us() / 1000000 - seconds);
    const struct utimbuf times = {then, then};
    assert_int_equal(utime(path, &times), 0);
}

static void orphans_go_when_they_are_old_enough(void **state) {
    (void)state;
    create();
    const struct catalog_dataset d = lake_dataset();
    const char *const names[] = {"data/lost.parquet", "metadata/lost.avro"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *path = arena_printf(&world.arena, "%s/primary/" STR_FMT "/%s", world.root,
                                        STR_ARG(d.dir), names[i])
                               .ptr;
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fclose(f), 0);
        age_object(path, i == 0 ? 7200 : 60);
    }
    const size_t objects = world_files(&world, "primary/tables");
    struct upkeep_orphaned done =
        orphans((struct upkeep_orphans){.older_than_ms = 3600000, .dry_run = true});
    assert_int_equal(done.objects, 1);
    assert_true(str_ends(done.names[0], STR("data/lost.parquet")));
    assert_int_equal(world_files(&world, "primary/tables"), objects);
    arena_reset(&world.arena);
    done = orphans((struct upkeep_orphans){.older_than_ms = 3600000});
    assert_int_equal(done.objects, 1);
    assert_int_equal(world_files(&world, "primary/tables"), objects - 1);
    done = orphans((struct upkeep_orphans){.older_than_ms = 0});
    assert_int_equal(done.objects, 1); // all else is led to
    assert_rows("1=10 2=20 3=30");
}

static void an_expiry_that_fails_removes_nothing_that_is_needed(void **state) {
    (void)state;
    create();
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (1, 11)) t(id, v)");
    (void)lake_compact();
    arena_reset(&world.arena);
    bool failed = true;
    int rounds = 0;
    for (uint64_t n = 1; failed; n++, rounds++) {
        struct upkeep_expired done;
        const struct upkeep_expire r = {
            .dataset = STR("d"), .older_than_ms = -1, .keep_max = 1, .who = world_author};
        store_fault_plan(world.fault, (struct fault_plan){FAULT_FAIL, 0, n, false, 0});
        err = ERR_NONE;
        failed = upkeep_expire(upkeep, &r, NULL, &world.arena, &done, &err) != ERR_OK;
        const bool fired = store_fault_fired(world.fault);
        store_fault_plan(world.fault, (struct fault_plan){0});
        assert_rows("1=11 2=20 3=30");
        assert_true(fired || !failed);
    }
    assert_true(rounds > 1);
    assert_rows("1=11 2=20 3=30");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_only_old_snapshots_need_is_removed),
        TEST(young_snapshots_stay_and_a_dry_run_removes_nothing),
        TEST(a_reader_keeps_what_it_reads_until_it_has_gone),
        TEST(a_rollback_makes_an_old_snapshot_current),
        TEST(a_state_that_was_rolled_back_from_expires_by_age),
        TEST(orphans_go_when_they_are_old_enough),
        cmocka_unit_test_setup_teardown(an_expiry_that_fails_removes_nothing_that_is_needed,
                                        setup_faulty, teardown),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
