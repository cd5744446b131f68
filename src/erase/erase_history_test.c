// Tests of erasing from one dataset: what is found, what is written again, what is left alone.

#include "erase/left_test.h"

#include "table/table_alter.h"
#include "table/table_tombstone_list.h"

static void alter(struct table_column_change change) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_alter r = {
        .dataset = STR("d"), .changes = &change, .count = 1, .who = world_author};
    struct table_altered altered;
    err = ERR_NONE;
    OK(table_alter(world.tables, &r, &a, &altered, &err));
}

static void append_evolving(const char *source) {
    struct table_written w;
    OK(world_write_as(
        &world,
        (struct table_write){
            .dataset = STR("d"), .mode = TABLE_APPEND, .evolve = true, .source = str_from(source)},
        &w));
}

static void assert_left_alone(const char *column, const char *key) {
    const struct catalog_dataset before = lake_dataset();
    struct erase_history h;
    OK(rewrite(column, key, &h));
    assert_int_equal(lake_dataset().version, before.version);
    assert_int_equal(h.rows, 0);
    assert_int_equal(h.files, 0);
    assert_int_equal(h.snapshots_changed, 0);
    assert_int_equal(h.removed_count, 0);
    assert_int_equal(told_times, 0);
}

static void rows_of_the_subject_leave_the_file_that_has_them(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (2, 20), (3, 30)) t(id, v)");
    const struct erase_history seen = look("id", "2");
    const struct erase_history h = erase_key("id", "2");
    assert_rows("1=10 3=30");
    assert_int_equal(h.rows, 1);
    assert_int_equal(seen.rows, 1);
    assert_int_equal(seen.files, 1);
    assert_int_equal(seen.keys_found, 1);
    assert_int_equal(seen.snapshots_changed, 1);
    assert_int_equal(seen.removed_count, 0);
    assert_int_equal(h.files, 1);
    assert_int_equal(h.files_written, 1);
    assert_int_equal(h.snapshots, 1);
    assert_int_equal(h.snapshots_changed, 1);
    assert_int_equal(h.keys_found, 1);
    assert_int_equal(told_times, 1);
    assert_int_equal(told.removed_count, h.removed_count);
    assert_int_equal(lake_dataset().rows, 2);
    // metadata, list, manifest, data file
    assert_int_equal(h.removed_count, 4);
    assert_int_equal(world_files(&world, "primary/tables"), 4);
    assert_sound();
}

static void what_is_removed_is_told_with_its_size_and_hash(void **state) {
    (void)state;
    struct erase_history h;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (2, 20), (3, 30)) t(id, v)");
    const struct catalog_dataset before = lake_dataset();
    const struct catalog_bucket *bucket;
    OK(catalog_bucket_find(world.catalog, before.bucket, &bucket, &err));
    OK(rewrite("id", "2", &h));
    for (size_t i = 0; i < h.removed_count; i++) {
        struct str bytes;
        OK(store_get(bucket->store, h.removed[i].name, &world.arena, &bytes, &err));
        assert_int_equal(bytes.len, h.removed[i].bytes);
        assert_true(str_eq(hex_sha256(sha256(bytes), &world.arena), h.removed[i].sha256));
    }
    assert_str(h.removed[0].name, before.metadata.ptr);
}

static void a_file_of_the_subject_alone_has_no_successor(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT)) t(id, v)");
    lake_write(TABLE_APPEND, "(VALUES (2, 20::BIGINT), (2, 21)) t(id, v)");
    const struct erase_history h = erase_key("id", "2");
    assert_int_equal(h.rows, 2);
    assert_int_equal(h.files, 1);
    assert_int_equal(h.files_written, 0);
    assert_int_equal(h.bytes_written, 0);
    assert_int_equal(lake_dataset().files, 1);
    assert_rows("1=10");
    assert_sound();
    (void)erase_key("id", "1");
    assert_rows("");
    assert_int_equal(lake_dataset().files, 0);
    assert_sound();
    lake_write(TABLE_APPEND, "(VALUES (3, 30::BIGINT)) t(id, v)");
    assert_rows("3=30");
}

static void a_dataset_without_the_subject_is_left_as_it_is(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (5, 20)) t(id, v)");
    assert_left_alone("id", "2"); // between the bounds
    assert_left_alone("id", "7"); // beyond them
    assert_left_alone("id", "one");
    assert_left_alone("id", "99999999999999999999");
}

static void a_dataset_without_rows_has_nothing_to_erase(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT 1 AS id, 1::BIGINT AS v WHERE false)");
    assert_left_alone("id", "1");
}

static void what_cannot_be_searched_is_refused(void **state) {
    (void)state;
    struct erase_history h;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::DOUBLE)) t(id, v)");
    assert_int_equal(rewrite("nobody", "1", &h), ERR_INVALID);
    assert_says("no column \"nobody\"");
    assert_int_equal(rewrite("v", "1", &h), ERR_INVALID);
    assert_says("\"v\" of dataset \"d\" is a double");
    assert_int_equal(look_as("v", "1", &h), ERR_INVALID);
    OK(rewrite("ID", "1", &h)); // as names are found everywhere
    OK(table_drop(world.tables, STR("d"), &world_author, &(uint64_t){0}, &err));
    assert_int_equal(rewrite("id", "1", &h), ERR_NOT_FOUND);
}

static void older_files_may_lack_the_column(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT)) t(id, v)");
    append_evolving("(VALUES (2, 20::BIGINT, 'ann'), (3, 30, 'bob')) t(id, v, name)");
    const struct erase_history h = erase_key("name", "ann");
    assert_int_equal(h.rows, 1);
    assert_int_equal(h.files, 1);
    assert_int_equal(h.snapshots_changed, 1);
    assert_rows("1=10 3=30");
    assert_sound();
}

static void a_column_is_known_by_its_id_and_dropped_ones_by_their_name(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 'ann'), (2, 'bob')) t(id, v)");
    alter((struct table_column_change){
        .op = TABLE_COLUMN_RENAME, .name = STR("v"), .to = STR("name")});
    append_evolving("(VALUES (3, 'ann', 'bob'), (4, 'bob', 'ann')) t(id, name, v)");
    struct erase_history h = look("name", "ann");
    assert_int_equal(h.rows, 2); // 1 and 3: not 4, where another column bears the old name now
    alter((struct table_column_change){.op = TABLE_COLUMN_DROP, .name = STR("name")});
    h = look("name", "ann");
    assert_int_equal(h.rows, 2);
    append_evolving("(VALUES (5, 'x', 'ann'), (6, 'y', 'x')) t(id, v, name)");
    h = erase_key("name", "ann");
    assert_int_equal(h.rows, 3);
    assert_int_equal(h.files, 3);
    assert_rows("2=- 4=ann 6=y");
    assert_sound();
}

static void integers_are_found_whatever_their_width(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::INTEGER), (2, 20)) t(id, v)");
    append_evolving("(VALUES (3, 10::BIGINT), (4, 5000000000)) t(id, v)");
    assert_int_equal(look("v", "5000000000").rows, 1);
    assert_int_equal(erase_key("v", "10").rows, 2);
    assert_rows("2=20 4=5000000000");
    assert_sound();
}

static void uuids_are_found_however_they_are_written(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, '5c3c1f6e-0f4c-4c0e-9a35-0c2b7c9d1e11'::UUID), (2, "
                             "'6f0c1d8e-3a51-4f0e-9a35-0c2b7c9d1e11')) t(id, v)");
    assert_int_equal(erase_key("v", "6F0C1D8E-3A51-4F0E-9A35-0C2B7C9D1E11").rows, 1);
    assert_rows("1=5c3c1f6e-0f4c-4c0e-9a35-0c2b7c9d1e11");
}

static void texts_are_found_as_they_are(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 'O''Brien; \"x\" \\'), (2, 'o''brien; \"x\" \\'), (3, "
                             "NULL), (4, '')) t(id, v)");
    assert_int_equal(erase_key("v", "O'Brien; \"x\" \\").rows, 1);
    assert_int_equal(erase_key("v", "").rows, 1);
    assert_rows("2=o'brien; \"x\" \\ 3=-");
}

static void deleted_rows_are_erased_too(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (2), (5)) t(id)");
    lake_delta(TABLE_DELTA_UPSERT, "(VALUES (7, 70)) t(id, v)");
    const struct past before = past_of(1, "2");
    const struct erase_history h = erase_key("id", "2");
    assert_int_equal(h.rows, 1);
    assert_int_equal(h.snapshots_changed, 3);
    const struct past now = past_of(1, NULL);
    assert_same_past(&before, &now);
    assert_rows("0=0 1=1 3=3 4=4 6=6 7=70 8=8 9=9");
    assert_sound();
}

static void a_file_that_snapshots_share_is_written_once(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(1000) r(i))");
    for (int i = 0; i < 5; i++) {
        lake_write(TABLE_APPEND, "(VALUES (5000, 1::BIGINT)) t(id, v)");
    }
    const struct erase_history h = erase_key("id", "500");
    assert_int_equal(h.snapshots, 6);
    assert_int_equal(h.snapshots_changed, 6);
    assert_int_equal(h.files_written, 1);
    const struct catalog_dataset d = lake_dataset();
    assert_int_equal(d.files, 6);
    assert_int_equal(d.rows, 1004);
    // 6 files, 6 manifests, 6 lists, one metadata file
    assert_int_equal(world_files(&world, "primary/tables"), 19);
    assert_sound();
}

static struct str summary_of(size_t at, const char *key) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_want want = {.name = STR("d")};
    struct table_pin pin;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    const struct ice_snapshot *s = &pin.metadata->snapshots[at];
    for (size_t i = 0; i < s->summary_count; i++) {
        if (str_is(s->summary[i].key, key)) {
            return arena_str(&world.arena, s->summary[i].value);
        }
    }
    return STR("none");
}

static void a_summary_tells_of_what_is_there(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (2), (5)) t(id)");
    lake_write(TABLE_APPEND, "(VALUES (2, 1::BIGINT)) t(id, v)");
    (void)erase_key("id", "2");
    assert_str(summary_of(2, "total-records"), "9");
    assert_str(summary_of(2, "total-data-files"), "1");
    assert_str(summary_of(2, "total-delete-files"), "1");
    assert_str(summary_of(2, "total-position-deletes"), "1");
    assert_str(summary_of(0, "total-records"), "9");
    assert_str(summary_of(0, "total-delete-files"), "0");
    assert_str(summary_of(0, "added-records"), "none");
    assert_str(summary_of(0, "engine-name"), "tarn");
}

static void nothing_is_known_any_more_of_the_file_it_was_made_from(void **state) {
    (void)state;
    struct table_written w;
    OK(world_write_as(&world,
                      (struct table_write){.dataset = STR("d"),
                                           .mode = TABLE_CREATE,
                                           .source = STR("(VALUES (1, 2), (3, 4)) t(id, v)"),
                                           .source_sha256 = STR("abcd")},
                      &w));
    assert_str(lake_dataset().source_sha256, "abcd");
    (void)erase_key("id", "1");
    assert_str(lake_dataset().source_sha256, "");
}

static void tombstone(const char *first, const char *second) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_key keys[] = {{.text = str_from(first), .integer = true},
                                     {.text = str_from(second), .integer = true}};
    const struct table_tombstone r = {.dataset = STR("d"),
                                      .column = STR("id"),
                                      .keys = keys,
                                      .key_count = 2,
                                      .who = world_author,
                                      .session = world.session};
    struct table_tombstoned done;
    err = ERR_NONE;
    OK(table_tombstone(world.tables, &r, &a, &done, &err));
    assert_int_equal(done.keys, 2);
}

static struct str delete_file_name(void) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_want want = {.name = STR("d")};
    struct table_pin pin;
    struct table_scan scan;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    OK(table_files_load(world.tables, &pin, &a, &scan, &err));
    assert_int_equal(scan.files[0].delete_file_count, 1);
    return arena_str(&world.arena, scan.files[0].delete_files[0]->path);
}

static const struct table_tombstone_list *tombstones(void) {
    const struct catalog_dataset d = lake_dataset();
    const struct table_tombstone_list *list;
    OK(table_tombstone_list_load(world.tables, &d, &world.arena, &list, &err));
    assert_int_equal(list->count, d.tombstones.count);
    return list;
}

static void tombstones_go_with_their_subjects(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    tombstone("2", "4");
    assert_rows("0=0 1=1 3=3 5=5 6=6 7=7 8=8 9=9");
    const struct str handle = table_tombstone_handle(&tombstones()->items[1], &world.arena);
    assert_int_equal(look("id", "4").tombstones, 1);
    struct erase_history h = erase_key("id", "4");
    assert_int_equal(h.tombstones, 1);
    assert_str(h.handles[0], handle.ptr);
    assert_int_equal(h.rows, 1);
    assert_rows("0=0 1=1 3=3 5=5 6=6 7=7 8=8 9=9");
    assert_true(str_find(delete_file_name(), STR("/data/tombstones-")) >= 0);
    assert_int_equal(tombstones()->count, 1);
    assert_str(tombstones()->items[0].value, "2");
    assert_str(tombstones()->column, "id");
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 1);
    assert_sound();
    // And with the last of them the list.
    h = erase_key("id", "2");
    assert_int_equal(h.tombstones, 1);
    assert_int_equal(tombstones()->count, 0);
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 0);
    assert_rows("0=0 1=1 3=3 5=5 6=6 7=7 8=8 9=9");
    assert_sound();
}

static void tombstones_of_others_stay(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT i AS id, i AS v FROM range(10) r(i))");
    tombstone("2", "4");
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (9)) t(id)");
    assert_int_equal(erase_key("id", "3").tombstones, 0);
    assert_int_equal(tombstones()->count, 2);
    assert_rows("0=0 1=1 5=5 6=6 7=7 8=8");
    const struct table_key keys[] = {{STR("2"), true}};
    const struct table_tombstone r = {.dataset = STR("d"),
                                      .keys = keys,
                                      .key_count = 1,
                                      .who = world_author,
                                      .session = world.session};
    struct table_tombstoned done;
    OK(table_tombstone_undo(world.tables, &r, &world.arena, &done, &err));
    assert_rows("0=0 1=1 2=2 5=5 6=6 7=7 8=8");
    assert_sound();
}

static enum err_code prepare_lonely(struct table_commit *c, struct table_edit *e,
                                    struct err *error) {
    static const struct table_tombstone_item item = {
        .value = {"4", 1},
        .integer = true,
        .key = {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 64}};
    const struct table_tombstone_list list = {
        .column = STR("id"), .field_id = 1, .items = &item, .count = 1};
    return table_tombstone_list_put(c, &list, e, error);
}

// As after a compaction that was stopped before it took them off the list.
static void tombstones_without_rows_go_too(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT)) t(id, v)");
    past_commit(prepare_lonely, NULL);
    assert_int_equal(tombstones()->count, 1);
    const struct erase_history h = erase_key("id", "4");
    assert_int_equal(h.tombstones, 1);
    assert_int_equal(h.rows, 0);
    assert_int_equal(h.snapshots_changed, 0);
    assert_int_equal(tombstones()->count, 0);
    assert_rows("1=10");
    assert_sound();
}

// A subject may be known only from what a compaction has applied.
static void applied_tombstones_forget_subjects(void **state) {
    (void)state;
    struct table_key keys[] = {{.text = STR("2"), .integer = true},
                               {.text = STR("3"), .integer = true}};
    const struct table_tombstone r = {
        .dataset = STR("d"),
        .column = STR("id"),
        .keys = keys,
        .key_count = 2,
        .who = {.actor = STR("tester"), .action = STR("dataset.tombstone")},
        .session = world.session};
    struct table_tombstoned done;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (2, 20), (3, 30)) t(id, v)");
    OK(table_tombstone(world.tables, &r, &world.arena, &done, &err));
    (void)lake_compact();
    assert_int_equal(tombstones()->count, 0);
    assert_int_equal(tombstones()->applied[0].count, 2);
    (void)erase_key("id", "2");
    assert_int_equal(tombstones()->applied[0].count, 1);
    assert_str(tombstones()->applied[0].values[0], "3");
    assert_rows("1=10");
    assert_sound();
    (void)erase_key("id", "3");
    assert_int_equal(tombstones()->applied_count, 0);
    assert_int_equal(lake_dataset().tombstones.content.object.len, 0);
    assert_sound();
}

static void removing_waits_for_readers_but_not_for_ever_and_may_be_repeated(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    struct table_pin pin;
    struct erase_history h;
    const struct table_want want = {.name = STR("d")};
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (2, 20)) t(id, v)");
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    OK(rewrite("id", "2", &h));
    assert_int_equal(world_files(&world, "primary/tables"), 8);
    remove_old(&h); // the reader is still there
    assert_int_equal(world_files(&world, "primary/tables"), 4);
    remove_old(&h);
    arena_reset(&a);
    assert_rows("1=10");
    OK(table_drop(world.tables, STR("d"), &world_author, &(uint64_t){0}, &err));
    remove_old(&h);
}

static void a_copy_in_memory_is_forgotten(void **state) {
    (void)state;
    const struct hot_options o = {.bytes_max = 64 << 20, .interval_ms = 1000};
    struct hot_stats stats;
    lake_write(TABLE_CREATE, "(VALUES (1, 10::BIGINT), (2, 20)) t(id, v)");
    struct hot *hot = hot_new(world.tables, engine, &o);
    eraser->options.hot = hot;
    OK(hot_pin(hot, STR("d"), &err));
    const struct erase_history h = erase_key("id", "2");
    assert_int_equal(h.rows, 1);
    assert_rows("1=10");
    hot_stats_get(hot, &world.arena, &stats);
    assert_true(stats.items[0].rows < 2); // not the two that there were
    hot_close(hot);
}

int main(void) {
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        PAST_TEST(rows_of_the_subject_leave_the_file_that_has_them),
        PAST_TEST(what_is_removed_is_told_with_its_size_and_hash),
        PAST_TEST(a_file_of_the_subject_alone_has_no_successor),
        PAST_TEST(a_dataset_without_the_subject_is_left_as_it_is),
        PAST_TEST(a_dataset_without_rows_has_nothing_to_erase),
        PAST_TEST(what_cannot_be_searched_is_refused),
        PAST_TEST(older_files_may_lack_the_column),
        PAST_TEST(a_column_is_known_by_its_id_and_dropped_ones_by_their_name),
        PAST_TEST(integers_are_found_whatever_their_width),
        PAST_TEST(uuids_are_found_however_they_are_written),
        PAST_TEST(texts_are_found_as_they_are),
        PAST_TEST(deleted_rows_are_erased_too),
        PAST_TEST(a_file_that_snapshots_share_is_written_once),
        PAST_TEST(a_summary_tells_of_what_is_there),
        PAST_TEST(nothing_is_known_any_more_of_the_file_it_was_made_from),
        PAST_TEST(tombstones_go_with_their_subjects),
        PAST_TEST(tombstones_of_others_stay),
        PAST_TEST(tombstones_without_rows_go_too),
        PAST_TEST(applied_tombstones_forget_subjects),
        PAST_TEST(removing_waits_for_readers_but_not_for_ever_and_may_be_repeated),
        PAST_TEST(a_copy_in_memory_is_forgotten),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
