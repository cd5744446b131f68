// Tests of deltas: rows that come and go, against a plain model in memory.

#include "table/one_world_test.h"

static enum err_code delta_as(struct table_delta d, struct table_delta_done *ret) {
    d.dataset = STR("d");
    d.who = world_author;
    d.session = world.session;
    err = ERR_NONE;
    return table_delta(world.tables, &d, &world.arena, ret, &err);
}

static enum err_code delta(enum table_delta_mode mode, const char *source,
                           struct table_delta_done *ret) {
    static const struct str key = {"id", 2};
    return delta_as(
        (struct table_delta){
            .mode = mode, .keys = &key, .key_count = 1, .source = str_from(source)},
        ret);
}

static void create(const char *source) {
    struct table_written w;
    OK(world_write(&world, TABLE_CREATE, "d", source, &w));
}

static void assert_rows(const char *expected) {
    assert_str(world_value(&world, "d",
                           "coalesce(string_agg(id || '=' || coalesce(v::VARCHAR, '-'), ' ' ORDER "
                           "BY id), '')"),
               expected);
}

static void an_upsert_replaces_and_adds(void **state) {
    (void)state;
    struct table_delta_done done;
    create("(VALUES (1, 10), (2, 20), (3, NULL)) t(id, v)");
    OK(delta(TABLE_DELTA_UPSERT, "(VALUES (2, 21), (4, 40)) t(id, v)", &done));
    assert_int_equal(done.added, 2);
    assert_int_equal(done.removed, 1);
    assert_int_equal(done.batches[0].rows, 2);
    assert_int_equal(done.batches[0].matched, 1);
    assert_int_equal(done.dataset.rows, 4);
    assert_rows("1=10 2=21 3=- 4=40");
    OK(delta(TABLE_DELTA_UPSERT, "(VALUES (2, 22), (1, 11)) t(id, v)", &done));
    assert_int_equal(done.removed, 2);
    assert_int_equal(done.dataset.rows, 4);
    assert_rows("1=11 2=22 3=- 4=40");
}

static void a_delete_takes_what_there_is(void **state) {
    (void)state;
    struct table_delta_done done;
    create("(SELECT i AS id, i AS v FROM range(5) r(i))");
    OK(delta(TABLE_DELTA_DELETE, "(VALUES (1), (3), (77)) t(id)", &done));
    assert_int_equal(done.removed, 2);
    assert_int_equal(done.batches[0].rows, 3);
    assert_int_equal(done.batches[0].matched, 2);
    assert_rows("0=0 2=2 4=4");
    OK(delta(TABLE_DELTA_DELETE, "(VALUES (1)) t(id)", &done));
    assert_int_equal(done.snapshot_id, 0); // nothing had to change
    OK(delta(TABLE_DELTA_DELETE, "(SELECT i AS id FROM range(9) r(i))", &done));
    assert_int_equal(done.removed, 3);
    assert_int_equal(done.dataset.rows, 0);
    assert_int_equal(done.dataset.files, 0); // a file without rows goes
    assert_rows("");
}

static void keys_must_be_there_and_single(void **state) {
    (void)state;
    struct table_delta_done done;
    create("(VALUES (1, 10), (2, 20)) t(id, v)");
    assert_int_equal(delta(TABLE_DELTA_UPSERT, "(VALUES (1, 1), (NULL, 2)) t(id, v)", &done),
                     ERR_DATA);
    assert_says("row 2");
    assert_int_equal(delta(TABLE_DELTA_UPSERT, "(VALUES (1, 1), (5, 2), (1, 3)) t(id, v)", &done),
                     ERR_DATA);
    assert_says("rows 1 and 3");
    assert_rows("1=10 2=20");
    const struct str key = STR("id");
    OK(delta_as((struct table_delta){.mode = TABLE_DELTA_UPSERT,
                                     .keys = &key,
                                     .key_count = 1,
                                     .last_wins = true,
                                     .source = STR("(VALUES (1, 1), (5, 2), (1, 3)) t(id, v)")},
                &done));
    assert_rows("1=3 2=20 5=2");
    const struct str other = STR("x");
    assert_int_equal(delta_as((struct table_delta){.mode = TABLE_DELTA_UPSERT,
                                                   .keys = &other,
                                                   .key_count = 1,
                                                   .source = STR("(VALUES (1, 1)) t(id, v)")},
                              &done),
                     ERR_INVALID);
    assert_says("\"x\"");
    assert_int_equal(world_files(&world, "spool"), 0);
}

static void callers_of_one_commit_follow_each_other(void **state) {
    (void)state;
    struct table_delta_done done;
    const struct str key = STR("id");
    create("(VALUES (1, 10), (2, 20)) t(id, v)");
    OK(delta_as((struct table_delta){.mode = TABLE_DELTA_UPSERT,
                                     .keys = &key,
                                     .key_count = 1,
                                     .batch = STR("b"),
                                     .batch_count = 3,
                                     .source = STR("(VALUES (0, 1, 11), (0, 7, 70), (2, 7, 71), "
                                                   "(2, 2, 22)) t(b, id, v)")},
                &done));
    assert_rows("1=11 2=22 7=71");
    assert_int_equal(done.batches[0].rows, 2);
    assert_int_equal(done.batches[1].rows, 0);
    assert_int_equal(done.batches[2].rows, 2);
}

static void keys_may_be_of_several_columns_and_any_type(void **state) {
    (void)state;
    struct table_written w;
    struct table_delta_done done;
    const struct str keys[] = {STR("a"), STR("d")};
    OK(world_write(&world, TABLE_CREATE, "d",
                   "(VALUES ('x', DATE '1969-12-31', 1), ('x', DATE '2024-02-29', 2), ('\xc3\xbc', "
                   "DATE '2024-02-29', 3)) t(a, d, v)",
                   &w));
    OK(delta_as((struct table_delta){.mode = TABLE_DELTA_DELETE,
                                     .keys = keys,
                                     .key_count = 2,
                                     .source = STR("(VALUES ('x', DATE '2024-02-29'), ('y', DATE "
                                                   "'1969-12-31')) t(a, d)")},
                &done));
    assert_int_equal(done.removed, 1);
    assert_str(world_value(&world, "d", "string_agg(v::VARCHAR, ' ' ORDER BY v)"), "1 3");
}

static void one_delete_file_serves_a_data_file(void **state) {
    (void)state;
    struct table_delta_done done;
    create("(SELECT i AS id, i AS v FROM range(1000) r(i))");
    for (int i = 0; i < 5; i++) {
        char source[64];
        (void)snprintf(source, sizeof(source), "(VALUES (%d)) t(id)", i * 7);
        OK(delta(TABLE_DELTA_DELETE, source, &done));
    }
    const struct table_want want = {.name = STR("d")};
    const struct table_conditions none = {0};
    struct table_pin pin;
    struct table_scan scan;
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &none, &world.arena, &scan, &err));
    assert_int_equal(scan.file_count, 1);
    assert_int_equal(scan.files[0].delete_file_count, 1);
    assert_int_equal(scan.files[0].deletes->count, 5);
    pin.raw = true;
    assert_str(world_value_of(&world, &pin, &none, "count(*)", ""), "1000");
}

static void many_deletes_are_read_as_they_were_written(void **state) {
    (void)state;
    struct table_delta_done done;
    create("(SELECT i AS id, i % 7 AS v FROM range(300000) r(i))");
    OK(delta(TABLE_DELTA_DELETE, "(SELECT i AS id FROM range(300000) r(i) WHERE i % 2 = 0)",
             &done));
    assert_int_equal(done.removed, 150000);
    assert_str(world_value(&world, "d", "count(*) || ' ' || sum(id) || ' ' || min(id)"),
               "150000 22500000000 1");
    OK(delta(TABLE_DELTA_DELETE, "(VALUES (299999)) t(id)", &done));
    world_reopen(&world);
    assert_str(world_value(&world, "d", "count(*) || ' ' || max(id)"), "149999 299997");
}

static void small_deltas_are_folded_and_the_base_is_left(void **state) {
    (void)state;
    struct table_delta_done done;
    create("(SELECT i AS id, i AS v FROM range(1000) r(i))");
    const struct table_want want = {.name = STR("d")};
    const struct table_conditions none = {0};
    struct table_pin pin;
    struct table_scan scan;
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &none, &world.arena, &scan, &err));
    const struct str base = scan.files[0].file->path;
    for (int i = 0; i < 100; i++) {
        char source[80];
        (void)snprintf(source, sizeof(source), "(VALUES (%d, %d)) t(id, v)", i * 3 % 50, i);
        OK(delta(TABLE_DELTA_UPSERT, source, &done));
        assert_int_equal(done.dataset.rows, 1000);
    }
    assert_str(world_value(&world, "d", "count(*) || ' ' || count(DISTINCT id)"), "1000 1000");
    assert_str(world_value(&world, "d", "sum(v) FILTER (id < 50)"), "3725"); // 50 to 99
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &none, &world.arena, &scan, &err));
    assert_in_range(scan.file_count, 2, 24);
    bool there = false;
    for (size_t i = 0; i < scan.file_count; i++) {
        there = there || str_eq(scan.files[i].file->path, base);
    }
    assert_true(there);
}

// Against a model

#define IDS 60

struct model {
    int64_t v[IDS]; // 0: not there
};

static struct str model_text(const struct model *m) {
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    for (int i = 0; i < IDS; i++) {
        if (m->v[i] != 0) {
            buf_printf(&out, "%s%d=%lld", out.len == 0 ? "" : " ", i, (long long)m->v[i]);
        }
    }
    return arena_str(&world.arena, buf_str(&out));
}

static uint64_t random_state = 88172645463325252ULL;

static int random_below(int n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)n);
}

static void step(struct model *m, int64_t *value) {
    DEFER(buf_release) struct buf source = BUF(1 << 16);
    struct table_delta_done done;
    const bool deletes = random_below(3) == 0;
    const int count = 1 + random_below(random_below(4) == 0 ? IDS : 4);
    bool used[IDS] = {false};
    buf_add_cstr(&source, "(VALUES ");
    for (int i = 0; i < count; i++) {
        int id = random_below(IDS);
        while (used[id]) {
            id = (id + 1) % IDS;
        }
        used[id] = true;
        ++*value;
        buf_add_cstr(&source, i == 0 ? "" : ", ");
        if (deletes) {
            buf_printf(&source, "(%d)", id);
            m->v[id] = 0;
        } else {
            buf_printf(&source, "(%d, %lld)", id, (long long)*value);
            m->v[id] = *value;
        }
    }
    buf_add_cstr(&source, deletes ? ") t(id)" : ") t(id, v)");
    OK(delta(deletes ? TABLE_DELTA_DELETE : TABLE_DELTA_UPSERT, source.ptr, &done));
}

#define STEPS 60

static void random_deltas_agree_with_a_model(void **state) {
    (void)state;
    struct model history[STEPS];
    int64_t versions[STEPS];
    int64_t value = 1000;
    struct model m = {.v = {[3] = 3, [5] = 5}};
    create("(VALUES (3, 3::BIGINT), (5, 5)) t(id, v)");
    for (int i = 0; i < STEPS; i++) {
        step(&m, &value);
        const struct str expected = model_text(&m);
        assert_rows(expected.ptr);
        struct table_pin pin;
        const struct table_want want = {.name = STR("d")};
        OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
        history[i] = m;
        versions[i] = pin.snapshot->id;
        if (random_below(10) == 0) {
            world_reopen(&world);
        }
    }
    for (int i = 0; i < STEPS; i++) {
        const struct table_want want = {
            .name = STR("d"), .at = TABLE_AT_VERSION, .value = versions[i]};
        const struct table_conditions none = {0};
        struct table_pin pin;
        OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
        const struct str rows = world_value_of(
            &world, &pin, &none, "coalesce(string_agg(id || '=' || v, ' ' ORDER BY id), '')", "");
        const struct str expected = model_text(&history[i]);
        assert_str(rows, expected.ptr);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_upsert_replaces_and_adds),
        TEST(a_delete_takes_what_there_is),
        TEST(keys_must_be_there_and_single),
        TEST(callers_of_one_commit_follow_each_other),
        TEST(keys_may_be_of_several_columns_and_any_type),
        TEST(one_delete_file_serves_a_data_file),
        TEST(many_deletes_are_read_as_they_were_written),
        TEST(small_deltas_are_folded_and_the_base_is_left),
        TEST(random_deltas_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
