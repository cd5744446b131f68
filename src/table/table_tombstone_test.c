// Tests of tombstones: what they hide, what brings it back, and what keeps it hidden.

#include "table/table_alter.h"
#include "table/table_int.h"
#include "table/tomb_test.h"

static void assert_failures(const struct table_tombstoned *done, const char *expected) {
    static const char *const names[] = {
        [TABLE_KEY_NOT_FOUND] = "absent",   [TABLE_KEY_WRONG_TYPE] = "type",
        [TABLE_KEY_TWICE] = "twice",        [TABLE_KEY_ALREADY] = "already",
        [TABLE_KEY_NOT_TOMBSTONED] = "not",
    };
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    for (size_t i = 0; i < done->failure_count; i++) {
        buf_printf(&out, "%s%zu:%s", i == 0 ? "" : " ", done->failures[i].at,
                   names[done->failures[i].why]);
    }
    assert_string_equal(arena_cstr(&world.arena, buf_str(&out)), expected);
}

static void a_tombstone_hides_rows_and_undo_brings_them_back(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20), (2, 21), (3, 30)) t(id, v)");
    struct table_tombstoned done = tomb("2 3");
    assert_int_equal(done.keys, 2);
    assert_int_equal(done.rows, 3);
    assert_int_equal(done.failure_count, 0);
    assert_int_equal(done.snapshot_id, tomb_dataset().snapshot_id);
    assert_visible("1=10");
    assert_raw("1=10 2=20 2=21 3=30");
    assert_listed("2 3");
    assert_int_equal(tomb_dataset().rows, 1);
    world_reopen(&world);
    assert_visible("1=10");
    assert_listed("2 3");
    done = tomb_undo("2");
    assert_int_equal(done.keys, 1);
    assert_int_equal(done.rows, 2);
    assert_visible("1=10 2=20 2=21");
    assert_listed("3");
    done = tomb_undo("3");
    assert_visible("1=10 2=20 2=21 3=30");
    assert_listed("");
    assert_int_equal(tomb_dataset().rows, 4);
}

static void each_value_fails_by_itself(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20), (3, 30)) t(id, v)");
    struct table_tombstoned done = tomb("1 7 x 1 2 3000000000 +3");
    assert_failures(&done, "1:absent 2:type 3:twice 5:type 6:type");
    assert_int_equal(done.keys, 2);
    done = tomb("1 3");
    assert_failures(&done, "0:already");
    assert_int_equal(done.keys, 1);
    const int64_t snapshot = tomb_dataset().snapshot_id;
    done = tomb("1 8");
    assert_failures(&done, "0:already 1:absent");
    assert_int_equal(done.snapshot_id, 0);
    assert_int_equal(tomb_dataset().snapshot_id, snapshot);
    done = tomb_undo("1 1 9 x");
    assert_failures(&done, "1:twice 2:not 3:type");
    assert_int_equal(done.rows, 1);
    done = tomb_undo("1");
    assert_failures(&done, "0:not");
    assert_int_equal(done.snapshot_id, 0);
    assert_listed("2 3");
}

static void a_later_row_with_a_tombstoned_key_is_hidden_by_its_commit(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    (void)tomb("2");
    tomb_write(TABLE_APPEND, "(VALUES (2, 21), (3, 30)) t(id, v)");
    assert_visible("1=10 3=30");
    tomb_delta(TABLE_DELTA_UPSERT, "(VALUES (2, 22), (3, 31)) t(id, v)");
    assert_visible("1=10 3=31");
    tomb_delta(TABLE_DELTA_APPEND, "(VALUES (2, 23)) t(id, v)");
    assert_visible("1=10 3=31");
    assert_int_equal(tomb_dataset().rows, 2);
    tomb_write(TABLE_REPLACE, "(VALUES (2, 24), (4, 40)) t(id, v)");
    assert_visible("4=40");
    assert_raw("2=24 4=40");
    assert_listed("2");
    assert_int_equal(tomb_undo("2").rows, 1);
    assert_visible("2=24 4=40");
}

static void a_key_that_is_not_found_hides_nothing_later(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10)) t(id, v)");
    struct table_tombstoned done = tomb("2");
    assert_failures(&done, "0:absent");
    tomb_write(TABLE_APPEND, "(VALUES (2, 20)) t(id, v)");
    assert_visible("1=10 2=20");
    assert_listed("");
}

static void texts_and_uuids_are_keys_too(void **state) {
    (void)state;
    struct table_tombstoned done;
    struct table_written w;
    OK(world_write(&world, TABLE_CREATE, "d",
                   "(VALUES ('CAND-1', UUID '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 1.5::DOUBLE), "
                   "('42', UUID '6ba7b811-9dad-11d1-80b4-00c04fd430c8', 2.5), "
                   "('it''s \xc3\xbc', UUID '6ba7b812-9dad-11d1-80b4-00c04fd430c8', 3)) t(t, u, f)",
                   &w));
    OK(tomb_try("t", "CAND-1 42 cand-1", &done)); // 42 as a number is of another type
    assert_failures(&done, "1:type 2:absent");
    assert_int_equal(tomb_try("u", "x", &done), ERR_CONFLICT);
    assert_says("\"t\"");
    assert_int_equal(tomb_undo_try("u", "CAND-1", &done), ERR_CONFLICT);
    struct table_key key = {.text = STR("it's \xc3\xbc")};
    struct table_tombstone r = tomb_request("t", "", &key);
    r.keys = &key;
    r.key_count = 1;
    OK(table_tombstone(world.tables, &r, &world.arena, &done, &err));
    assert_int_equal(done.rows, 1);
    assert_str(world_value(&world, "d", "string_agg(t, ' ')"), "42");
    OK(tomb_undo_try("t", "CAND-1", &done));
    OK(table_tombstone_undo(world.tables, &r, &world.arena, &done, &err));
    assert_str(world_value(&world, "d", "count(*)"), "3");
    OK(tomb_try("u", "6BA7B811-9DAD-11D1-80B4-00C04FD430C8 6ba7b812 x", &done));
    assert_failures(&done, "1:type 2:type");
    assert_listed("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
    assert_int_equal(tomb_try("f", "1", &done), ERR_INVALID);
    assert_int_equal(tomb_try("nope", "1", &done), ERR_INVALID);
}

static void the_reason_does_not_name_the_subject(void **state) {
    (void)state;
    struct table_tombstoned done;
    struct table_key key = {.text = STR("Ann-Bo")};
    tomb_write(TABLE_CREATE, "(VALUES ('Ann-Bo', 1)) t(id, v)");
    struct table_tombstone r = tomb_request("id", "", &key);
    r.keys = &key;
    r.key_count = 1;
    r.who.reason = STR("asked by ann-bo.");
    assert_int_equal(table_tombstone(world.tables, &r, &world.arena, &done, &err), ERR_INVALID);
    assert_says("the reason must not name the subject");
    assert_null(strstr(err.msg, "nn-"));
    r.who.reason = STR("a letter of Joann-Bob");
    r.purge_not_before_us = 20;
    r.purge_by_us = 10;
    assert_int_equal(table_tombstone(world.tables, &r, &world.arena, &done, &err), ERR_INVALID);
    r.purge_by_us = 30;
    OK(table_tombstone(world.tables, &r, &world.arena, &done, &err));
    const struct catalog_dataset d = tomb_dataset();
    const struct table_tombstone_list *list;
    OK(table_tombstone_list_load(world.tables, &d, &world.arena, &list, &err));
    assert_int_equal(list->items[0].purge_not_before_us, 20);
    assert_int_equal(list->items[0].purge_by_us, 30);
    assert_str(list->items[0].reason, "a letter of Joann-Bob");
    assert_true(list->items[0].time_us > 0);
}

// All bytes under a folder of the bucket.
static struct str everything;

static void add_file(const FTSENT *e) {
    if (e->fts_info == FTS_F) {
        FILE *f = fopen(e->fts_accpath, "rb");
        char piece[4096];
        assert_non_null(f);
        for (size_t n = fread(piece, 1, sizeof(piece), f); n > 0;
             n = fread(piece, 1, sizeof(piece), f)) {
            everything =
                arena_printf(&world.arena, STR_FMT STR_FMT, STR_ARG(everything), (int)n, piece);
        }
        (void)fclose(f);
    }
}

static struct str bytes_under(const char *folder) {
    everything = STR_NONE;
    const struct str path = arena_printf(&world.arena, "%s/primary/%s", world.root, folder);
    (void)world_walk(path.ptr, add_file);
    return everything;
}

static void the_log_names_subjects_by_their_handles_alone(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES ('CAND-77', 1), ('CAND-78', 2)) t(id, v)");
    (void)tomb("CAND-77 CAND-78");
    const struct catalog_dataset d = tomb_dataset();
    const struct table_tombstone_list *list;
    OK(table_tombstone_list_load(world.tables, &d, &world.arena, &list, &err));
    const struct str log = bytes_under("_catalog/log");
    assert_true(str_find(log, STR("CAND-7")) < 0);
    for (size_t i = 0; i < list->count; i++) {
        const struct str handle = table_tombstone_handle(&list->items[i], &world.arena);
        assert_int_equal(handle.len, 32);
        assert_true(str_find(log, handle) >= 0);
    }
    assert_true(str_find(log, STR("\"subjects\"")) >= 0);
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 1);
    (void)tomb_undo("CAND-77");
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 1); // the old one is gone
    assert_true(str_find(bytes_under("_catalog/content"), STR("CAND-77")) < 0);
    (void)tomb_undo("CAND-78");
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 0);
    (void)tomb("CAND-77");
    uint64_t seq;
    OK(table_drop(world.tables, STR("d"), &world_author, &seq, &err));
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 0);
}

static enum err_code alter(enum table_column_op op, const char *name, const char *to) {
    const struct table_column_change change = {
        .op = op, .name = str_from(name), .to = str_from(to), .type = str_from(to)};
    const struct table_alter r = {
        .dataset = STR("d"), .changes = &change, .count = 1, .who = world_author};
    struct table_altered done;
    err = ERR_NONE;
    return table_alter(world.tables, &r, &world.arena, &done, &err);
}

static void the_key_column_may_be_renamed_and_widened_but_not_go(void **state) {
    (void)state;
    struct table_tombstoned done;
    struct table_written w;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    (void)tomb("2");
    assert_int_equal(alter(TABLE_COLUMN_DROP, "id", ""), ERR_CONFLICT);
    assert_says("\"id\"");
    OK(alter(TABLE_COLUMN_WIDEN, "id", "BIGINT"));
    OK(alter(TABLE_COLUMN_RENAME, "id", "person"));
    assert_str(tomb_dataset().tombstones.column, "person");
    assert_listed("2");
    OK(world_write(&world, TABLE_APPEND, "d",
                   "(VALUES (2::BIGINT, 21), (3000000000, 30)) t(person, v)", &w));
    assert_str(world_value(&world, "d", "string_agg(person, ' ' ORDER BY person)"), "1 3000000000");
    OK(tomb_try("person", "3000000000", &done));
    assert_int_equal(done.rows, 1);
    OK(tomb_undo_try("person", "2 3000000000", &done));
    assert_int_equal(done.rows, 3);
    OK(alter(TABLE_COLUMN_DROP, "person", ""));
}

static void what_replaces_the_dataset_must_have_the_key_column(void **state) {
    (void)state;
    struct table_written w;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    (void)tomb("2");
    assert_int_equal(world_write(&world, TABLE_REPLACE, "d", "(VALUES (1, 2)) t(a, v)", &w),
                     ERR_CONFLICT);
    assert_says("undo them");
    assert_int_equal(world_write(&world, TABLE_REPLACE, "d", "(VALUES ('x', 2)) t(id, v)", &w),
                     ERR_CONFLICT);
    assert_visible("1=10");
    // Another width is another field to the format; the rows are hidden all the same.
    tomb_write(TABLE_REPLACE, "(VALUES (7, 2::BIGINT), (9, 4)) t(v, id)");
    assert_visible("4=9");
    const struct catalog_dataset d = tomb_dataset();
    assert_int_not_equal(d.tombstones.field_id, 1);
    tomb_write(TABLE_APPEND, "(VALUES (8, 2::BIGINT)) t(v, id)");
    assert_visible("4=9");
    assert_int_equal(tomb_undo("2").rows, 2);
    assert_visible("2=7 2=8 4=9");
}

static void older_snapshots_obey_at_once(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    const int64_t first = tomb_dataset().snapshot_id;
    tomb_delta(TABLE_DELTA_UPSERT, "(VALUES (2, 21), (3, 30)) t(id, v)");
    const int64_t second = tomb_dataset().snapshot_id;
    assert_str(tomb_rows_at(first, false), "1=10 2=20");
    (void)tomb("2");
    assert_str(tomb_rows_at(first, false), "1=10");
    assert_str(tomb_rows_at(second, false), "1=10 3=30");
    assert_str(tomb_rows_at(first, true), "1=10 2=20");
    // Also where the column had another id.
    tomb_write(TABLE_REPLACE, "(VALUES (2::BIGINT, 22)) t(id, v)");
    assert_str(tomb_rows_at(second, false), "1=10 3=30");
    (void)tomb_undo("2");
    assert_str(tomb_rows_at(first, false), "1=10 2=20");
    assert_visible("2=22");
}

// Both classes in one data file, and neither touches the other.
static void ordinary_deletes_leave_hidden_rows_alone(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20), (3, 30), (4, 40)) t(id, v)");
    (void)tomb("2");
    tomb_delta(TABLE_DELTA_DELETE, "(VALUES (1), (2)) t(id)");
    assert_visible("3=30 4=40");
    (void)tomb("3");
    tomb_delta(TABLE_DELTA_DELETE, "(VALUES (4)) t(id)");
    assert_visible(""); // all rows are gone or hidden, and the file is there still
    assert_int_equal(tomb_dataset().rows, 0);
    assert_int_equal(tomb_dataset().files, 1);
    const struct table_want want = {.name = STR("d")};
    struct table_pin pin;
    struct table_scan files;
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    OK(table_files_load(world.tables, &pin, &world.arena, &files, &err));
    assert_int_equal(files.files[0].delete_file_count, 2);
    assert_int_equal(files.files[0].deletes->count, 4);
    assert_int_equal(files.files[0].deletes->tombstone_count, 2);
    world_reopen(&world);
    assert_int_equal(tomb_undo("2 3").rows, 2);
    assert_visible("2=20 3=30");
    tomb_delta(TABLE_DELTA_DELETE, "(VALUES (2), (3)) t(id)");
    assert_int_equal(tomb_dataset().files, 0);
}

static void deltas_with_hidden_rows_are_not_folded(void **state) {
    (void)state;
    tomb_write(TABLE_CREATE, "(VALUES (0, 0)) t(id, v)");
    (void)tomb("0");
    for (int i = 1; i <= 40; i++) {
        char source[80];
        (void)snprintf(source, sizeof(source), "(VALUES (%d, %d)) t(id, v)", i % 8 == 0 ? 0 : i, i);
        tomb_delta(TABLE_DELTA_APPEND, source);
    }
    assert_int_equal(tomb_dataset().rows, 35);
    assert_in_range(tomb_dataset().files, 7, 30);
    assert_int_equal(tomb_undo("0").rows, 6);
    assert_str(world_value(&world, "d", "count(*) FILTER (id = 0) || ' ' || count(*)"), "6 41");
}

static void without_tombstones_nothing_more_is_read(void **state) {
    (void)state;
    world_stop(&world);
    world_start_faulty(&world);
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20)) t(id, v)");
    const int64_t first = tomb_dataset().snapshot_id;
    tomb_write(TABLE_APPEND, "(VALUES (3, 30)) t(id, v)");
    (void)tomb_rows_at(first, false); // manifests are in the cache from here on
    assert_visible("1=10 2=20 3=30");
    store_fault_plan(world.fault, (struct fault_plan){.on = FAULT_ON_GET});
    (void)tomb_rows_at(first, false);
    assert_visible("1=10 2=20 3=30");
    const uint64_t gets = store_fault_count(world.fault);
    assert_true(gets <= 3); // the data files, once for each scan
    store_fault_plan(world.fault, (struct fault_plan){.on = FAULT_ON_GET});
    (void)tomb("1");
    (void)tomb_undo("1");
    assert_visible("1=10 2=20 3=30");
    store_fault_plan(world.fault, (struct fault_plan){.on = FAULT_ON_GET});
    assert_visible("1=10 2=20 3=30");
    (void)tomb_rows_at(first, false);
    assert_true(store_fault_count(world.fault) <= gets);
}

static void one_call_has_limits(void **state) {
    (void)state;
    struct table_tombstoned done;
    tomb_write(TABLE_CREATE, "(VALUES ('a', 1)) t(id, v)");
    struct table_key *many = arena_array(&world.arena, TABLE_TOMBSTONE_VALUES + 1, sizeof(*many));
    struct table_tombstone r = tomb_request("id", "", many);
    for (size_t i = 0; i <= TABLE_TOMBSTONE_VALUES; i++) {
        many[i].text = arena_printf(&world.arena, "k%zu", i);
    }
    r.keys = many;
    r.key_count = TABLE_TOMBSTONE_VALUES + 1;
    assert_int_equal(table_tombstone(world.tables, &r, &world.arena, &done, &err), ERR_TOO_LARGE);
    r.key_count = TABLE_TOMBSTONE_VALUES;
    OK(table_tombstone(world.tables, &r, &world.arena, &done, &err));
    assert_int_equal(done.failure_count, TABLE_TOMBSTONE_VALUES);
    r.key_count = 0;
    assert_int_equal(table_tombstone(world.tables, &r, &world.arena, &done, &err), ERR_INVALID);
    char *text = arena_alloc(&world.arena, TABLE_TOMBSTONE_BYTES + 1);
    memset(text, 'x', TABLE_TOMBSTONE_BYTES + 1);
    many[0].text = (struct str){text, TABLE_TOMBSTONE_BYTES + 1};
    r.key_count = 1;
    assert_int_equal(table_tombstone(world.tables, &r, &world.arena, &done, &err), ERR_TOO_LARGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_tombstone_hides_rows_and_undo_brings_them_back),
        TEST(each_value_fails_by_itself),
        TEST(a_later_row_with_a_tombstoned_key_is_hidden_by_its_commit),
        TEST(a_key_that_is_not_found_hides_nothing_later),
        TEST(texts_and_uuids_are_keys_too),
        TEST(the_reason_does_not_name_the_subject),
        TEST(the_log_names_subjects_by_their_handles_alone),
        TEST(the_key_column_may_be_renamed_and_widened_but_not_go),
        TEST(what_replaces_the_dataset_must_have_the_key_column),
        TEST(older_snapshots_obey_at_once),
        TEST(ordinary_deletes_leave_hidden_rows_alone),
        TEST(deltas_with_hidden_rows_are_not_folded),
        TEST(without_tombstones_nothing_more_is_read),
        TEST(one_call_has_limits),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
