// Tests of fsck: a good bucket has no findings, and each damage is named where it is.

#include "upkeep/lake_test.h"

static struct upkeep_health check(void) {
    struct upkeep_health health;
    struct store *s = NULL;
    const struct str root = arena_printf(&world.arena, "%s/primary", world.root);
    OK(store_folder_open(root.ptr, &s, &err));
    const struct upkeep_fsck options = {
        .store = s,
        .uri = arena_printf(&world.arena, "file://%s/primary", world.root),
        .scratch = arena_printf(&world.arena, "%s/spool", world.root)};
    OK(upkeep_fsck(&options, &world.arena, &health, &err));
    store_close(s);
    return health;
}

static void assert_good(void) {
    const struct upkeep_health h = check();
    for (size_t i = 0; i < h.count; i++) {
        print_message(STR_FMT ": " STR_FMT "\n", STR_ARG(h.findings[i].object),
                      STR_ARG(h.findings[i].what));
    }
    assert_int_equal(h.count, 0);
}

// Some finding is of that object and says that.
static void assert_finds(const struct upkeep_health *h, struct str object, const char *says) {
    for (size_t i = 0; i < h->count; i++) {
        const struct upkeep_finding *f = &h->findings[i];
        if (str_find(f->object, object) >= 0 && str_find(f->what, str_from(says)) >= 0) {
            assert_true(f->mend.len > 0);
            return;
        }
    }
    for (size_t i = 0; i < h->count; i++) {
        print_message(STR_FMT ": " STR_FMT "\n", STR_ARG(h->findings[i].object),
                      STR_ARG(h->findings[i].what));
    }
    fail_msg("nothing of " STR_FMT " says \"%s\"", STR_ARG(object), says);
}

static void make_lake(void) {
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(1000) r(i))");
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (1), (2), (500)) t(id)");
    lake_write(TABLE_APPEND, "(SELECT i AS id, i AS v FROM range(1000, 1500) r(i))");
}

// Of the first data file of the current snapshot.
static struct str data_file(bool deletes) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    const struct table_want want = {.name = STR("d")};
    const struct table_conditions none = {0};
    struct table_pin pin;
    struct table_scan scan;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &none, &a, &scan, &err));
    for (size_t i = 0; i < scan.file_count; i++) {
        if ((scan.files[i].deletes != NULL) == deletes) {
            return arena_str(&world.arena, scan.files[i].object);
        }
    }
    fail();
    return STR_NONE;
}

static struct str path_of(struct str object) {
    return arena_printf(&world.arena, "%s/primary/" STR_FMT, world.root, STR_ARG(object));
}

static void a_good_bucket_has_no_findings(void **state) {
    (void)state;
    assert_good();
    make_lake();
    assert_good();
    (void)lake_compact();
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (7, 8), (9999, 1)) t(id, v)");
    const struct upkeep_health h = check();
    assert_int_equal(h.count, 0);
    assert_int_equal(h.datasets, 1);
    assert_int_equal(h.snapshots, 5);
    assert_true(h.files >= 5 && h.manifests >= 5 && h.records >= 5);
}

static void a_missing_file_is_named(void **state) {
    (void)state;
    make_lake();
    const struct str file = data_file(false);
    assert_int_equal(unlink(path_of(file).ptr), 0);
    const struct upkeep_health h = check();
    assert_true(h.damages > 0);
    assert_finds(&h, file, "needs it");
}

static void a_file_of_another_size_is_named(void **state) {
    (void)state;
    make_lake();
    const struct str file = data_file(false);
    assert_int_equal(chmod(path_of(file).ptr, 0600), 0);
    assert_int_equal(truncate(path_of(file).ptr, 100), 0);
    const struct upkeep_health h = check();
    assert_finds(&h, file, "it has 100 bytes");
    assert_finds(&h, file, "cannot be read");
}

static void a_file_with_other_rows_is_named(void **state) {
    (void)state;
    make_lake();
    const struct str file = data_file(true);
    OK(session_run(
        world.session,
        arena_printf(&world.arena, "COPY (SELECT 1 AS id) TO '%s/other.parquet'", world.root),
        &err));
    const struct str other = arena_printf(&world.arena, "%s/other.parquet", world.root);
    assert_int_equal(rename(other.ptr, path_of(file).ptr), 0);
    const struct upkeep_health h = check();
    assert_finds(&h, file, "footer says 1 rows, its manifest 1000");
}

static void wrong_counts_are_found_and_mended(void **state) {
    (void)state;
    make_lake();
    struct catalog_dataset d = lake_dataset();
    d.rows += 5;
    OK(catalog_dataset_put(world.catalog, &d, &world_author, NULL, &d.version, &err));
    const struct upkeep_health h = check();
    assert_int_equal(h.damages, 1);
    assert_finds(&h, STR_NONE, "the catalog says 1502 rows");
    assert_true(str_find(h.findings[0].mend, STR("rollback")) >= 0);
    const struct upkeep_rollback r = {
        .dataset = STR("d"), .version = d.snapshot_id, .who = world_author};
    struct upkeep_rolled done;
    OK(upkeep_rollback(upkeep, &r, &world.arena, &done, &err));
    assert_int_equal(lake_dataset().rows, 1497);
    assert_good();
}

static void a_damaged_log_is_named(void **state) {
    (void)state;
    make_lake();
    const struct str path =
        arena_printf(&world.arena, "%s/primary/_catalog/log/00000000000000000002.json", world.root);
    assert_int_equal(chmod(path.ptr, 0600), 0);
    assert_int_equal(truncate(path.ptr, 10), 0);
    const struct upkeep_health h = check();
    assert_true(h.damages > 0);
    assert_finds(&h, STR_NONE, "00000000000000000002.json");
}

static void what_nothing_leads_to_is_a_note(void **state) {
    (void)state;
    make_lake();
    const struct str path = arena_printf(&world.arena, "%s/primary/" STR_FMT "/data/lost.parquet",
                                         world.root, STR_ARG(lake_dataset().dir));
    FILE *f = fopen(path.ptr, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    const struct upkeep_health h = check();
    assert_int_equal(h.damages, 0);
    assert_int_equal(h.orphans, 1);
    assert_finds(&h, STR("tables/"), "1 objects");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_good_bucket_has_no_findings),     TEST(a_missing_file_is_named),
        TEST(a_file_of_another_size_is_named),   TEST(a_file_with_other_rows_is_named),
        TEST(wrong_counts_are_found_and_mended), TEST(a_damaged_log_is_named),
        TEST(what_nothing_leads_to_is_a_note),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
