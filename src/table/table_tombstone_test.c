// Tests of tombstones: what they hide, what brings it back, and what keeps it hidden.

#include "base/hash.h"
#include "log/txlog.h"
#include "table/table_alter.h"
#include "table/tomb_test.h"

static int setup(void **state) {
    (void)state;
    world_open(&world, engine);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    world_close(&world);
    return 0;
}

static void assert_failures(const struct table_tombstoned *done, const char *expected) {
    static const char *const names[] = {
        [TABLE_KEY_NOT_FOUND] = "absent",   [TABLE_KEY_WRONG_TYPE] = "type",
        [TABLE_KEY_TWICE] = "twice",        [TABLE_KEY_ALREADY] = "already",
        [TABLE_KEY_NOT_TOMBSTONED] = "not",
    };
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    buf_add_cstr(&out, "");
    for (size_t i = 0; i < done->failure_count; i++) {
        buf_printf(&out, "%s%zu:%s", i == 0 ? "" : " ", done->failures[i].at,
                   names[done->failures[i].why]);
    }
    assert_string_equal(out.ptr, expected);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_tombstone_hides_rows_and_undo_brings_them_back),
        TEST(each_value_fails_by_itself),
        TEST(a_later_row_with_a_tombstoned_key_is_hidden_by_its_commit),
        TEST(a_key_that_is_not_found_hides_nothing_later),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
