// Tests of compaction: the same answer from fewer files, whatever happens meanwhile.

#include "upkeep/lake_test.h"

#include "table/table_commit.h"

#define WIDE "(SELECT i AS id, i * 7 AS v FROM range(%d, %d) r(i))"

static void append(int from, int to) {
    char source[128];
    (void)snprintf(source, sizeof(source), WIDE, from, to);
    lake_write(from == 0 ? TABLE_CREATE : TABLE_APPEND, source);
}

static void files_of(struct arena *a, struct table_pin *pin, struct table_scan *ret) {
    const struct table_want want = {.name = STR("d")};
    OK(table_pin_at(world.tables, &want, a, pin, &err));
    OK(table_files_load(world.tables, pin, a, ret, &err));
}

static void small_files_become_one(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        append(i * 100, i * 100 + 100);
    }
    const int64_t before = lake_snapshot();
    const struct str rows = lake_value_at(0, false, LAKE_ROWS);
    struct upkeep_compacted done = lake_compact();
    assert_int_equal(done.bins, 1);
    assert_int_equal(done.files_before, 5);
    assert_int_equal(done.files_after, 1);
    assert_int_equal(done.files_read, 5);
    assert_int_equal(done.rows, 500);
    assert_int_equal(done.bytes_after, lake_dataset().bytes);
    assert_int_equal(lake_dataset().files, 1);
    assert_int_equal(lake_dataset().rows, 500);
    assert_true(str_eq(lake_value_at(0, false, LAKE_ROWS), rows));
    assert_true(str_eq(lake_value_at(before, false, LAKE_ROWS), rows));
    done = lake_compact(); // there is nothing to do
    assert_int_equal(done.bins, 0);
    assert_int_equal(done.snapshot_id, 0);
    assert_int_equal(done.files_after, 1);
    assert_int_equal(world_files(&world, "spool"), 0);
}

// So many rows that the engine changes the order in which it looks at conditions.
static void deletes_in_a_large_file_are_applied(void **state) {
    (void)state;
    append(0, 1500000);
    lake_delta(TABLE_DELTA_DELETE, "(SELECT i * 13000 AS id FROM range(115) r(i))");
    const struct str sum = lake_value_at(0, false, "sum(id * 31 + v)");
    const struct upkeep_compacted done = lake_compact();
    assert_int_equal(done.deletes_applied, 115);
    assert_true(str_eq(lake_value_at(0, false, "sum(id * 31 + v)"), sum));
}

static void deletes_are_applied(void **state) {
    (void)state;
    append(0, 1000);
    append(1000, 1010);
    lake_delta(TABLE_DELTA_DELETE, "(SELECT i * 10 AS id FROM range(100) r(i))");
    lake_delta(TABLE_DELTA_DELETE, "(SELECT i AS id FROM range(1000, 1010) r(i))");
    const struct str sum = lake_value_at(0, false, "sum(id * 31 + v)");
    assert_str(lake_value_at(0, true, "count(*)"), "1000"); // a file without rows has gone itself
    const struct upkeep_compacted done = lake_compact();
    assert_int_equal(done.deletes_applied, 100);
    assert_int_equal(done.rows, 900);
    assert_str(lake_value_at(0, true, "count(*)"), "900");
    assert_true(str_eq(lake_value_at(0, false, "sum(id * 31 + v)"), sum));
    assert_int_equal(lake_dataset().rows, 900);
    struct table_pin pin;
    struct table_scan files;
    files_of(&world.arena, &pin, &files);
    assert_int_equal(files.file_count, 1);
    assert_int_equal(files.files[0].delete_file_count, 0);
    struct table_tally tally;
    OK(table_tally_of(world.tables, &pin, &world.arena, &tally, &err));
    assert_int_equal(tally.delete_files, 0);
    assert_str(pin.snapshot->operation, "replace");
}

static void a_share_of_deletes_decides(void **state) {
    (void)state;
    struct upkeep_compacted done;
    append(0, 1000);
    lake_delta(TABLE_DELTA_DELETE, "(SELECT i AS id FROM range(99) r(i))");
    const struct upkeep_compact r = {.deletes_share = 100, .target_bytes = 1000};
    OK(lake_compact_as(r, &done));
    assert_int_equal(done.bins, 0);
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (99)) t(id)");
    OK(lake_compact_as(r, &done));
    assert_int_equal(done.bins, 1);
    assert_int_equal(done.deletes_applied, 100);
}

static void rewritten_rows_are_as_old_as_the_state_they_were_read_from(void **state) {
    (void)state;
    append(0, 10);
    append(10, 20);
    struct table_pin pin;
    struct table_scan files;
    files_of(&world.arena, &pin, &files);
    const int64_t planned = pin.snapshot->sequence_number;
    (void)lake_compact();
    files_of(&world.arena, &pin, &files);
    assert_int_equal(files.file_count, 1);
    assert_int_equal(files.files[0].entry->sequence_number, planned);
    assert_int_equal(files.files[0].entry->file_sequence_number, planned + 1);
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (3, 1), (50, 2)) t(id, v)");
    assert_str(lake_value_at(0, false, "sum(v)"), "1312"); // 7 * 190 - 21 + 1 + 2
}

static void files_of_older_schemas_come_out_in_the_current_one(void **state) {
    (void)state;
    append(0, 3);
    struct table_written w;
    OK(world_write_as(&world,
                      (struct table_write){.dataset = STR("d"),
                                           .mode = TABLE_APPEND,
                                           .evolve = true,
                                           .source = STR("(VALUES (7, 8, 'x')) t(id, v, extra)")},
                      &w));
    const char *const all = "string_agg(id || ':' || v || ':' || coalesce(extra, '-'), ' ' ORDER "
                            "BY id)";
    const struct upkeep_compacted done = lake_compact();
    assert_int_equal(done.files_after, 1);
    assert_str(lake_value_at(0, false, all), "0:0:- 1:7:- 2:14:- 7:8:x");
}

static void a_dry_run_changes_nothing(void **state) {
    (void)state;
    struct upkeep_compacted done;
    append(0, 10);
    append(10, 20);
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (1), (11)) t(id)");
    const struct catalog_dataset before = lake_dataset();
    OK(lake_compact_as((struct upkeep_compact){.dry_run = true}, &done));
    assert_int_equal(done.files_read, 2);
    assert_int_equal(done.files_after, 1);
    assert_int_equal(done.deletes_applied, 2);
    assert_int_equal(lake_dataset().version, before.version);
}

static void rows_can_be_sorted_so_that_files_have_ranges(void **state) {
    (void)state;
    struct upkeep_compacted done;
    const struct str by = STR("id");
    const struct str unknown = STR("nowhere");
    lake_write(TABLE_CREATE,
               "(SELECT (i * 7919) % 600000 AS id, md5(i::VARCHAR) AS v FROM range(600000) r(i))");
    const struct str sum = lake_value_at(0, false, "sum(hash(id, v))");
    OK(lake_compact_as((struct upkeep_compact){.cluster_by = &by, .cluster_count = 1}, &done));
    assert_true(done.files_after > 3);
    assert_true(str_eq(lake_value_at(0, false, "sum(hash(id, v))"), sum));
    struct table_pin pin;
    struct table_scan scan;
    const struct table_want want = {.name = STR("d")};
    struct ice_literal value = {.text = STR("300000")};
    struct ice_predicate p = {.field_id = 1, .op = ICE_OP_EQ, .values = &value, .value_count = 1};
    const struct table_conditions some = {&p, 1};
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &some, &world.arena, &scan, &err));
    assert_int_equal(scan.file_count, 1);
    assert_int_equal(
        lake_compact_as((struct upkeep_compact){.cluster_by = &unknown, .cluster_count = 1}, &done),
        ERR_INVALID);
    assert_says("nowhere");
}

// What happens between the plan and the commit

static int times; // that a hook still does something

static void delete_meanwhile(void *ctx) {
    (void)ctx;
    if (times-- > 0) {
        char source[64];
        (void)snprintf(source, sizeof(source), "(VALUES (%d), (%d)) t(id)", 3 + times, 23 + times);
        lake_delta(TABLE_DELTA_DELETE, source);
    }
}

static void deletes_that_come_meanwhile_are_not_lost(void **state) {
    (void)state;
    struct upkeep_compacted done;
    append(0, 20);
    append(20, 40);
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (0)) t(id)");
    times = 2;
    OK(lake_compact_as((struct upkeep_compact){.checked = delete_meanwhile}, &done));
    assert_int_equal(done.again, 2);
    assert_int_equal(done.bins, 1);
    assert_int_equal(done.deletes_applied, 5);
    assert_str(lake_value_at(0, false, "count(*) || ' ' || sum(id)"), "35 726");
    assert_int_equal(lake_dataset().rows, 35);
    assert_int_equal(lake_dataset().files, 1);
}

static void replace_meanwhile(void *ctx) {
    (void)ctx;
    if (times-- > 0) {
        lake_write(TABLE_REPLACE, "(VALUES (1::BIGINT, 2::BIGINT)) t(id, v)");
    }
}

static void a_bin_whose_files_were_replaced_is_left_out(void **state) {
    (void)state;
    struct upkeep_compacted done;
    append(0, 20);
    append(20, 40);
    times = 1;
    OK(lake_compact_as((struct upkeep_compact){.checked = replace_meanwhile}, &done));
    assert_int_equal(done.bins, 0);
    assert_int_equal(done.bins_left_out, 1);
    assert_int_equal(done.snapshot_id, 0);
    assert_rows("1=2");
}

static void append_meanwhile(void *ctx) {
    (void)ctx;
    if (times-- > 0) {
        append(40, 50);
    }
}

static void an_append_does_not_disturb(void **state) {
    (void)state;
    struct upkeep_compacted done;
    append(0, 20);
    append(20, 40);
    times = 1;
    OK(lake_compact_as((struct upkeep_compact){.checked = append_meanwhile}, &done));
    assert_int_equal(done.again, 0);
    assert_int_equal(done.files_after, 2);
    assert_str(lake_value_at(0, false, "count(*)"), "50");
}

// Another value in one row: the count is right, the checksum is not.
static void spoil(void *ctx, const char *folder) {
    const char *select = ctx;
    OK(session_run(world.session,
                   arena_printf(&world.arena,
                                "COPY (%s) TO '%s/x.parquet' (FORMAT parquet, FIELD_IDS {id: 1, v: "
                                "2})",
                                select, folder),
                   &err));
    struct str from = arena_printf(&world.arena, "%s/x.parquet", folder);
    struct str to = arena_printf(&world.arena, "%s/0.parquet", folder);
    assert_int_equal(rename(from.ptr, to.ptr), 0);
}

static void what_is_read_back_must_be_what_was_written(void **state) {
    (void)state;
    static char other[] = "SELECT i AS id, CASE WHEN i = 39 THEN 0 ELSE i * 7 END AS v FROM "
                          "range(40) r(i)";
    static char fewer[] = "SELECT i AS id, i * 7 AS v FROM range(39) r(i)";
    char *const spoilt[] = {other, fewer};
    struct upkeep_compacted done;
    append(0, 20);
    append(20, 40);
    const struct catalog_dataset before = lake_dataset();
    const size_t objects = world_files(&world, "primary/tables");
    for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
        assert_int_equal(
            lake_compact_as((struct upkeep_compact){.staged = spoil, .ctx = spoilt[i]}, &done),
            ERR_CORRUPT);
        assert_says("read back");
        assert_int_equal(lake_dataset().version, before.version);
        assert_int_equal(world_files(&world, "primary/tables"), objects);
        assert_int_equal(world_files(&world, "spool"), 0);
    }
    assert_int_equal(lake_compact().bins, 1);
}

static void each_bin_is_a_commit_of_its_own(void **state) {
    (void)state;
    struct upkeep_compacted done;
    append(0, 100);
    append(100, 200);
    append(200, 300);
    append(300, 400);
    struct table_pin pin;
    struct table_scan files;
    files_of(&world.arena, &pin, &files);
    const int64_t two = files.files[0].file->file_bytes * 5 / 2;
    const int64_t before = pin.snapshot->sequence_number;
    OK(lake_compact_as((struct upkeep_compact){.target_bytes = two}, &done));
    assert_int_equal(done.bins, 2);
    assert_int_equal(done.files_after, 2);
    files_of(&world.arena, &pin, &files);
    assert_int_equal(pin.snapshot->sequence_number, before + 2);
    assert_str(lake_value_at(0, false, "count(*) || ' ' || sum(id)"), "400 79800");
}

static void large_files_wait_until_as_much_is_merged_into_them(void **state) {
    (void)state;
    struct upkeep_compacted done;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(50000) r(i))");
    for (int i = 0; i < 4; i++) {
        append(50000 + i, 50001 + i);
    }
    OK(lake_compact_as((struct upkeep_compact){.tiered = true}, &done));
    assert_int_equal(done.files_read, 4);
    assert_int_equal(done.files_after, 2);
    assert_str(lake_value_at(0, false, "count(*)"), "50004");
}

// Faults

static void a_failure_leaves_the_old_state(void **state) {
    (void)state;
    append(0, 20);
    append(20, 40);
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (5)) t(id)");
    const int64_t snapshot = lake_snapshot();
    const size_t objects = world_files(&world, "primary/tables");
    bool failed = true;
    int rounds = 0;
    for (uint64_t n = 1; failed; n++, rounds++) {
        struct upkeep_compacted done;
        store_fault_plan(world.fault, (struct fault_plan){FAULT_FAIL, FAULT_ON_PUT, n, false, 0});
        failed = lake_compact_as((struct upkeep_compact){0}, &done) != ERR_OK;
        store_fault_plan(world.fault, (struct fault_plan){0});
        if (failed) {
            assert_int_equal(lake_snapshot(), snapshot);
            assert_int_equal(world_files(&world, "primary/tables"), objects);
        }
        assert_str(lake_value_at(0, false, "count(*) || ' ' || sum(id)"), "39 775");
    }
    assert_true(rounds > 3); // data file, manifests, list and metadata
    assert_int_equal(lake_dataset().files, 1);
}

// Others at work

struct other {
    pthread_t thread;
    _Atomic bool stop;
    _Atomic int rounds;
};

static void *upsert_all_the_time(void *arg) {
    struct other *o = arg;
    struct session *s = NULL;
    CHECK(session_open(engine, &s, &err) == ERR_OK);
    for (int i = 0; !o->stop; i++) {
        DEFER(arena_release) struct arena a = ARENA(1U << 28);
        char source[96];
        (void)snprintf(source, sizeof(source), "(VALUES (%d::BIGINT, %d::BIGINT)) t(id, v)", i % 40,
                       i);
        CHECK(lake_delta_by(s, &a, TABLE_DELTA_UPSERT, source) == ERR_OK);
        o->rounds = i + 1;
    }
    session_close(s);
    return NULL;
}

static void nothing_of_a_busy_writer_is_lost_or_doubled(void **state) {
    (void)state;
    struct other o = {0};
    append(0, 20);
    append(20, 40);
    o.thread = threads_start("other", upsert_all_the_time, &o);
    int64_t bins = 0;
    for (int i = 0; i < 6; i++) {
        bins += lake_compact().bins;
    }
    while (o.rounds < 40) {
        (void)sched_yield();
    }
    o.stop = true;
    CHECK(pthread_join(o.thread, NULL) == 0);
    assert_true(bins > 0);
    (void)lake_compact();
    DEFER(buf_release) struct buf expected = BUF(1 << 16);
    for (int id = 0; id < 40; id++) {
        const int last = o.rounds - 1 - (o.rounds - 1 - id) % 40;
        buf_printf(&expected, "%s%d=%d", id == 0 ? "" : " ", id, last);
    }
    assert_rows(expected.ptr);
    assert_int_equal(lake_dataset().rows, 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(small_files_become_one),
        TEST(deletes_are_applied),
        TEST(deletes_in_a_large_file_are_applied),
        TEST(a_share_of_deletes_decides),
        TEST(rewritten_rows_are_as_old_as_the_state_they_were_read_from),
        TEST(files_of_older_schemas_come_out_in_the_current_one),
        TEST(a_dry_run_changes_nothing),
        TEST(rows_can_be_sorted_so_that_files_have_ranges),
        TEST(deletes_that_come_meanwhile_are_not_lost),
        TEST(a_bin_whose_files_were_replaced_is_left_out),
        TEST(an_append_does_not_disturb),
        TEST(what_is_read_back_must_be_what_was_written),
        TEST(each_bin_is_a_commit_of_its_own),
        TEST(large_files_wait_until_as_much_is_merged_into_them),
        cmocka_unit_test_setup_teardown(a_failure_leaves_the_old_state, setup_faulty, teardown),
        TEST(nothing_of_a_busy_writer_is_lost_or_doubled),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
