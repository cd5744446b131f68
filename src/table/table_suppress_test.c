// Tests of suppression lists: rows of listed keys stay out, whatever brings them.

#include "table/table_suppress.h"

#include "catalog/catalog_content.h"
#include "catalog/catalog_suppression.h"
#include "table/one_world_test.h"
#include "table/table_alter.h"
#include "table/table_int.h"

#include <pthread.h>
#include <stdatomic.h>

// The keys stand with commas between; a digit makes one an integer.
static enum err_code try_list(struct table_suppress s, const char *keys) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct table_key list[16] = {{STR_NONE, false}};
    struct str rest = str_from(keys);
    struct txn_outcome outcome;
    json_t *changes = json_array();
    struct str key;
    s.keys = list;
    while (str_cut(&rest, ',', &key)) {
        list[s.key_count++] = (struct table_key){key, key.ptr[0] >= '0' && key.ptr[0] <= '9'};
    }
    err = ERR_NONE;
    OK(table_suppress_changes(world.tables, &s, &a, changes, &err));
    return catalog_commit(world.catalog, &world_author, STR("test"), changes, &outcome, &err);
}

static void list_for(const char *dataset, const char *column, const char *keys) {
    OK(try_list((struct table_suppress){.dataset = str_from(dataset),
                                        .column = str_from(column),
                                        .fence = true},
                keys));
}

static struct table_written written(enum table_mode mode, const char *dataset, const char *source) {
    struct table_written w;
    OK(world_write(&world, mode, dataset, source, &w));
    return w;
}

static enum err_code delta_as(struct table_delta d, struct table_delta_done *ret) {
    d.dataset = d.dataset.len > 0 ? d.dataset : STR("d");
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

static void assert_ids(const char *dataset, const char *expected) {
    assert_str(world_value(&world, dataset, "coalesce(string_agg(id, ' ' ORDER BY id), '')"),
               expected);
}

#define ONE_TO_FIVE "(SELECT i AS id, i * 10 AS v FROM range(1, 6) r(i))"

static void every_write_keeps_listed_rows_out(void **state) {
    (void)state;
    list_for("d", "id", "2,5,77");
    struct table_written w = written(TABLE_CREATE, "d", ONE_TO_FIVE);
    assert_int_equal(w.rows, 3);
    assert_int_equal(w.suppressed, 2);
    assert_int_equal(w.dataset.rows, 3);
    assert_ids("d", "1 3 4");
    w = written(TABLE_APPEND, "d", "(VALUES (5::BIGINT, 1::BIGINT), (6, 2), (77, 3)) t(id, v)");
    assert_int_equal(w.rows, 1);
    assert_int_equal(w.suppressed, 2);
    assert_ids("d", "1 3 4 6");
    w = written(TABLE_REPLACE, "d", ONE_TO_FIVE);
    assert_int_equal(w.suppressed, 2);
    assert_ids("d", "1 3 4");
    w = written(TABLE_APPEND, "d", "(VALUES (8::BIGINT, 1::BIGINT)) t(id, v)");
    assert_int_equal(w.suppressed, 0);
    assert_int_equal(w.rows, 1);
}

static void a_source_of_nothing_else_makes_an_empty_dataset(void **state) {
    (void)state;
    list_for("d", "id", "2");
    const struct table_written w = written(TABLE_CREATE, "d", "(SELECT 2 AS id)");
    assert_int_equal(w.rows, 0);
    assert_int_equal(w.files, 0);
    assert_int_equal(w.suppressed, 1);
    assert_ids("d", "");
}

static void every_delta_keeps_listed_rows_out(void **state) {
    (void)state;
    struct table_delta_done done;
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    list_for("d", "ID", "7,8");
    OK(delta(TABLE_DELTA_APPEND, "(VALUES (6, 60), (7, 70), (7, 71)) t(id, v)", &done));
    assert_int_equal(done.added, 1);
    assert_int_equal(done.suppressed, 2);
    OK(delta(TABLE_DELTA_UPSERT, "(VALUES (1, 11), (8, 80), (9, 90)) t(id, v)", &done));
    assert_int_equal(done.added, 2);
    assert_int_equal(done.removed, 1);
    assert_int_equal(done.suppressed, 1);
    assert_int_equal(done.batches[0].rows, 3);
    assert_int_equal(done.batches[0].matched, 1);
    assert_int_equal(done.batches[0].suppressed, 1);
    assert_ids("d", "1 2 3 4 5 6 9");
}

static void what_is_listed_can_still_be_deleted(void **state) {
    (void)state;
    struct table_delta_done done;
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    list_for("d", "id", "2");
    OK(delta(TABLE_DELTA_DELETE, "(VALUES (2), (3)) t(id)", &done));
    assert_int_equal(done.removed, 2);
    assert_int_equal(done.suppressed, 0);
    assert_ids("d", "1 4 5");
}

// What it adds with the first attempt alone: a row that the list does not let in.
struct changing {
    size_t attempts;
    const char *rows;
    const char *list; // put on the list by another while the first attempt is under way
};

static enum err_code places(void *ctx, const struct table_pin *base, struct arena *a,
                            struct table_change_sql *ret, struct err *e) {
    struct changing *c = ctx;
    const struct table_conditions none = {0};
    c->attempts++;
    *ret = (struct table_change_sql){.source = str_from(c->rows)};
    if (table_scan_plan(world.tables, base, &none, a, &ret->scan, e) != ERR_OK) {
        return e->code;
    }
    ret->places = STR("SELECT CAST(0 AS BIGINT), CAST(0 AS BIGINT) WHERE false");
    return ERR_OK;
}

static json_t *list_meanwhile(void *ctx, const struct table_delta_done *done) {
    struct changing *c = ctx;
    (void)done;
    if (c->list != NULL) {
        list_for("d", "id", TAKE(c->list));
    }
    return NULL;
}

static void a_change_keeps_listed_rows_out(void **state) {
    (void)state;
    struct table_delta_done done;
    struct changing c = {.rows = "(VALUES (6::BIGINT, 1::BIGINT), (7, 2)) t(id, v)"};
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    list_for("d", "id", "7");
    OK(delta_as((struct table_delta){.mode = TABLE_DELTA_CHANGE, .places = places, .ctx = &c},
                &done));
    assert_int_equal(done.added, 1);
    assert_int_equal(done.suppressed, 1);
    assert_ids("d", "1 2 3 4 5 6");
}

static void a_list_that_comes_meanwhile_holds(void **state) {
    (void)state;
    struct table_delta_done done;
    struct changing c = {.rows = "(VALUES (6::BIGINT, 1::BIGINT), (7, 2)) t(id, v)", .list = "7"};
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    OK(delta_as(
        (struct table_delta){
            .mode = TABLE_DELTA_CHANGE, .places = places, .extras = list_meanwhile, .ctx = &c},
        &done));
    assert_int_equal(c.attempts, 2);
    assert_int_equal(done.suppressed, 1);
    assert_ids("d", "1 2 3 4 5 6");
    // Rows that are in the bucket already cannot be looked through again: they are refused.
    c.list = "8";
    const enum err_code code =
        delta_as((struct table_delta){.mode = TABLE_DELTA_APPEND,
                                      .source = STR("(VALUES (8, 1), (9, 2)) t(id, v)"),
                                      .extras = list_meanwhile,
                                      .ctx = &c},
                 &done);
    assert_int_equal(code, ERR_CONFLICT);
    assert_says("send it again");
    assert_ids("d", "1 2 3 4 5 6");
}

// A writer that has looked at the lists, and waits for its turn to commit while one comes.
struct late {
    pthread_t thread;
    bool delta;
    int64_t rows, suppressed;
};

static void *write_late(void *arg) {
    struct late *l = arg;
    struct session *s = NULL;
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct table_written one;
    struct table_delta_done done;
    const struct str source = STR("(VALUES (7::BIGINT, 1::BIGINT), (8, 2)) t(id, v)");
    OK(session_open(engine, &s, &err));
    if (l->delta) {
        const struct table_delta append = {.dataset = STR("d"),
                                           .mode = TABLE_DELTA_APPEND,
                                           .source = source,
                                           .who = world_author,
                                           .session = s};
        OK(table_delta(world.tables, &append, &a, &done, &err));
        l->rows = done.added;
        l->suppressed = done.suppressed;
    } else {
        const struct table_write write = {.dataset = STR("d"),
                                          .mode = TABLE_APPEND,
                                          .source = source,
                                          .who = world_author,
                                          .session = s};
        OK(table_write(world.tables, &write, &a, &one, &err));
        l->rows = one.rows;
        l->suppressed = one.suppressed;
    }
    arena_reset(&a);
    session_close(s);
    return NULL;
}

static void a_list_that_comes_just_before_the_commit_holds(void **state) {
    (void)state;
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    for (int delta = 0; delta < 2; delta++) {
        struct late late = {.delta = delta == 1};
        {
            LOCKED(table_write_lock(world.tables, STR("d")));
            CHECK(pthread_create(&late.thread, NULL, write_late, &late) == 0);
            while (world_files(&world, "spool") == 0) {
                (void)usleep(1000);
            }
            (void)usleep(300000);
            list_for("d", "id", delta == 0 ? "7" : "7,8");
        }
        CHECK(pthread_join(late.thread, NULL) == 0);
        assert_int_equal(late.suppressed, delta == 0 ? 1 : 2);
        assert_int_equal(late.rows, delta == 0 ? 1 : 0);
        assert_ids("d", "1 2 3 4 5 8");
    }
}

// A writer that never rests, while keys are listed and then deleted.
struct writer {
    pthread_t thread;
    atomic_bool stop;
    bool deltas;
    atomic_int written, refused;
};

static void *write_on(void *arg) {
    struct writer *w = arg;
    struct session *s = NULL;
    OK(session_open(engine, &s, &err));
    while (!atomic_load(&w->stop)) {
        DEFER(arena_release) struct arena a = ARENA(1U << 30);
        struct table_written one;
        struct table_delta_done done;
        const struct table_write write = {.dataset = STR("d"),
                                          .mode = TABLE_APPEND,
                                          .source = STR("(SELECT i AS id, 1::BIGINT AS v "
                                                        "FROM range(100, 150) r(i))"),
                                          .who = world_author,
                                          .session = s};
        const struct table_delta append = {.dataset = STR("d"),
                                           .mode = TABLE_DELTA_APPEND,
                                           .source = write.source,
                                           .who = world_author,
                                           .session = s};
        err = ERR_NONE;
        const enum err_code code = w->deltas ? table_delta(world.tables, &append, &a, &done, &err)
                                             : table_write(world.tables, &write, &a, &one, &err);
        if (code != ERR_OK && code != ERR_CONFLICT) {
            fail_msg("%s", err.msg);
        }
        atomic_fetch_add(code == ERR_OK ? &w->written : &w->refused, 1);
    }
    session_close(s);
    return NULL;
}

static void listed_under_a_writer(bool deltas) {
    struct writer w = {.deltas = deltas};
    struct table_delta_done done;
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    CHECK(pthread_create(&w.thread, NULL, write_on, &w) == 0);
    for (int key = 100; key < 110; key++) {
        const struct str text = arena_printf(&world.texts, "%d", key);
        while (atomic_load(&w.written) < (key - 99) * 2) {
            (void)usleep(100);
        }
        while (try_list(
                   (struct table_suppress){.dataset = STR("d"), .column = STR("id"), .fence = true},
                   text.ptr) != ERR_OK) {
            assert_int_equal(err.code, ERR_CONFLICT);
        }
        OK(delta(TABLE_DELTA_DELETE,
                 arena_printf(&world.texts, "(VALUES (%d::BIGINT)) t(id)", key).ptr, &done));
    }
    const int seen = atomic_load(&w.written);
    while (atomic_load(&w.written) < seen + 3) {
        (void)usleep(100);
    }
    atomic_store(&w.stop, true);
    CHECK(pthread_join(w.thread, NULL) == 0);
    assert_str(world_value(&world, "d", "count(*) FILTER (id BETWEEN 100 AND 109)"), "0");
    assert_str(world_value(&world, "d", "count(*) FILTER (id >= 110) > 0"), "true");
}

static void no_write_slips_past_a_list_that_comes(void **state) {
    (void)state;
    listed_under_a_writer(false);
}

static void no_delta_slips_past_a_list_that_comes(void **state) {
    (void)state;
    listed_under_a_writer(true);
}

static void each_caller_learns_of_its_own_rows(void **state) {
    (void)state;
    struct table_delta_done done;
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    list_for("d", "id", "7");
    const struct str key = STR("id");
    OK(delta_as((struct table_delta){.mode = TABLE_DELTA_UPSERT,
                                     .keys = &key,
                                     .key_count = 1,
                                     .batch = STR("b"),
                                     .batch_count = 3,
                                     .source = STR("(VALUES (0, 1, 11), (0, 7, 70), (2, 7, 71), "
                                                   "(2, 2, 22), (1, 9, 90)) t(b, id, v)")},
                &done));
    assert_int_equal(done.batches[0].suppressed, 1);
    assert_int_equal(done.batches[1].suppressed, 0);
    assert_int_equal(done.batches[2].suppressed, 1);
    assert_int_equal(done.batches[2].rows, 2);
    assert_int_equal(done.batches[2].matched, 1);
    assert_int_equal(done.suppressed, 2);
    assert_ids("d", "1 2 3 4 5 9");
}

static void a_list_is_for_the_name_whatever_becomes_of_the_dataset(void **state) {
    (void)state;
    uint64_t seq;
    list_for("people", "id", "2");
    assert_int_equal(written(TABLE_CREATE, "people", ONE_TO_FIVE).suppressed, 1);
    OK(table_drop(world.tables, STR("people"), &world_author, &seq, &err));
    assert_int_equal(written(TABLE_CREATE, "People", ONE_TO_FIVE).suppressed, 1);
    assert_ids("People", "1 3 4 5");
    assert_int_equal(written(TABLE_CREATE, "others", ONE_TO_FIVE).suppressed, 0);
    world_reopen(&world);
    assert_int_equal(written(TABLE_REPLACE, "people", ONE_TO_FIVE).suppressed, 1);
}

static void rename_to(const char *from, const char *to) {
    struct catalog_dataset d;
    uint64_t version;
    OK(catalog_dataset_get(world.catalog, str_from(from), &world.arena, &d, &err));
    OK(catalog_dataset_rename(world.catalog, &d, str_from(to), &world_author, &version, &err));
}

static void another_name_gets_the_list_and_the_old_one_keeps_it(void **state) {
    (void)state;
    list_for("d", "id", "2");
    list_for("e", "id", "3");
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    rename_to("d", "e");
    assert_int_equal(written(TABLE_REPLACE, "e", ONE_TO_FIVE).suppressed, 2);
    assert_int_equal(written(TABLE_CREATE, "d", ONE_TO_FIVE).suppressed, 1);
    list_for("e", "ID", "4"); // the lists of one column become one
    assert_int_equal(written(TABLE_REPLACE, "e", ONE_TO_FIVE).suppressed, 3);
    assert_int_equal(written(TABLE_REPLACE, "d", ONE_TO_FIVE).suppressed, 1);
    rename_to("e", "E"); // the same name
    assert_int_equal(written(TABLE_REPLACE, "E", ONE_TO_FIVE).suppressed, 3);
}

static void another_column_name_gets_the_list(void **state) {
    (void)state;
    const struct table_column_change changes[] = {
        {.op = TABLE_COLUMN_RENAME, .name = STR("id"), .to = STR("person")},
        {.op = TABLE_COLUMN_RENAME, .name = STR("v"), .to = STR("w")},
        {.op = TABLE_COLUMN_RENAME, .name = STR("person"), .to = STR("human")},
    };
    const struct table_alter r = {
        .dataset = STR("d"), .changes = changes, .count = 3, .who = world_author};
    struct table_altered altered;
    list_for("d", "id", "2");
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    OK(table_alter(world.tables, &r, &world.arena, &altered, &err));
    const struct table_written w =
        written(TABLE_APPEND, "d", "(VALUES (2::BIGINT, 1::BIGINT), (6, 2)) t(human, w)");
    assert_int_equal(w.suppressed, 1);
    assert_int_equal(written(TABLE_REPLACE, "d", ONE_TO_FIVE).suppressed, 1); // the old one too
}

static void lists_for_several_columns_all_hold(void **state) {
    (void)state;
    list_for("d", "id", "1");
    list_for("d", "mail", "ada@example.org,bob@example.org");
    list_for("d", "nowhere", "x");
    const struct table_written w =
        written(TABLE_CREATE, "d",
                "(VALUES (1, 'ada@example.org'), (2, 'bob@example.org'), (3, 'eve@example.org'), "
                "(4, NULL), (NULL, 'ada@example.org'), (5, 'x')) t(id, mail)");
    assert_int_equal(w.suppressed, 3);
    assert_ids("d", "3 4 5");
}

static void a_null_and_a_source_without_the_column_are_let_in(void **state) {
    (void)state;
    list_for("d", "id", "1");
    assert_int_equal(written(TABLE_CREATE, "d", "(VALUES (NULL, 1), (2, 2)) t(id, v)").suppressed,
                     0);
    assert_int_equal(written(TABLE_REPLACE, "d", "(VALUES (1, 1)) t(x, v)").suppressed, 0);
}

static void values_are_compared_whatever_their_type(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        int64_t suppressed;
    } rows[] = {
        {"42", "42::INTEGER", 1},
        {"42", "42::BIGINT", 1},
        {"42", "'42'", 1},
        {"42", "42.0::DOUBLE", 1},
        {"42", "42.00::DECIMAL(10,2)", 1},
        {"42", "42.5::DOUBLE", 0},
        {"42", "'42.5'", 0},
        {"42", "'nan'::DOUBLE", 0},
        {"42", "'inf'::DOUBLE", 0},
        {"9007199254740992", "9007199254740992::DOUBLE", 1},
        {"ada", "'ada'", 1},
        {"ada", "'Ada'", 0},
        {"ada", "'ada '", 0},
        {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", 1},
        {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 1},
        {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A1X", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1x'", 0},
        {"2026-11-28", "DATE '2026-11-28'", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *name = arena_printf(&world.texts, "d%zu", i).ptr;
        const char *source =
            arena_printf(&world.texts, "(SELECT %s AS id, 1 AS v)", rows[i].value).ptr;
        list_for(name, "id", rows[i].key);
        if (written(TABLE_CREATE, name, source).suppressed != rows[i].suppressed) {
            fail_msg("%s is kept out or not as %s", rows[i].value, rows[i].key);
        }
    }
}

static void types_come_through_whole(void **state) {
    (void)state;
    const char *source =
        "(SELECT i AS id, 'text ' || i AS t, i::DECIMAL(18,4) / 3 AS d, i % 2 = 0 AS b, "
        "[i, NULL] AS l, {'x': i, 'y': 'y'} AS s, MAP {'k': i} AS m, "
        "TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND AS ts, "
        "TIMESTAMPTZ '2026-01-01 00:00:00+00' AS tz, DATE '2026-01-01' AS day, "
        "TIME '10:11:12' AS time, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID AS u, "
        "'\\xAA'::BLOB AS bytes, i::FLOAT / 7 AS f FROM range(20000) r(i))";
    (void)written(TABLE_CREATE, "plain", source);
    list_for("d", "id", "123456");
    list_for("d", "id", "19999");
    const struct table_written w = written(TABLE_CREATE, "d", source);
    assert_int_equal(w.suppressed, 1);
    assert_int_equal(w.rows, 19999);
    struct table_delta_done done;
    OK(delta_as((struct table_delta){.dataset = STR("plain"),
                                     .mode = TABLE_DELTA_DELETE,
                                     .keys = &(struct str){"id", 2},
                                     .key_count = 1,
                                     .source = STR("(SELECT 19999::BIGINT AS id)")},
                &done));
    const char *rows = "bit_xor(hash(id, t, d, b, l, s, m, ts, tz, day, time, u, bytes, f))";
    assert_str(world_value(&world, "d", rows),
               arena_cstr(&world.texts, world_value(&world, "plain", rows)));
    assert_str(w.dataset.fingerprint, arena_cstr(&world.texts, done.dataset.fingerprint));
}

static void the_same_file_is_known_again_only_under_the_same_lists(void **state) {
    (void)state;
    const struct str sha = STR("aa11");
    struct table_write create = {.dataset = STR("d"),
                                 .mode = TABLE_CREATE,
                                 .source = STR(ONE_TO_FIVE),
                                 .source_sha256 = sha};
    struct table_written w;
    int64_t lists;
    list_for("d", "id", "2");
    OK(world_write_as(&world, create, &w));
    assert_false(w.unchanged);
    assert_int_equal(w.suppressed, 1);
    OK(world_write_as(&world, create, &w));
    assert_true(w.unchanged);
    world_reopen(&world);
    OK(world_write_as(&world, create, &w));
    assert_true(w.unchanged);
    list_for("d", "id", "3");
    assert_int_equal(world_write_as(&world, create, &w), ERR_EXISTS);
    assert_says("kept out");
    OK(table_suppress_remove(world.tables, STR("d"), &world_author, &lists, &err));
    assert_int_equal(world_write_as(&world, create, &w), ERR_EXISTS);
    create.mode = TABLE_REPLACE;
    OK(world_write_as(&world, create, &w));
    assert_int_equal(w.rows, 5);
    create.mode = TABLE_CREATE;
    list_for("d", "id", "77"); // no row of it
    OK(world_write_as(&world, create, &w));
    assert_true(w.unchanged);
}

// The details of the newest transaction.
struct last {
    int64_t suppressed;
    size_t changes;
};

static bool look_at(void *ctx, const struct txlog_item *item) {
    const json_t *transaction = item->transaction;
    struct last *l = ctx;
    l->suppressed = -1;
    (void)json_get_i64(json_object_get(transaction, "details"), "suppressed", &l->suppressed);
    l->changes = json_array_size(json_object_get(transaction, "changes"));
    return true;
}

static int64_t told_last(void) {
    struct last l = {0};
    const struct catalog_bucket *bucket;
    const struct txlog_walker walker = {look_at, &l};
    OK(catalog_bucket_find(world.catalog, STR(""), &bucket, &err));
    OK(txlog_walk(bucket->store, 1, 0, &walker, &err));
    return l.suppressed;
}

static void the_journal_tells_how_many_were_kept_out(void **state) {
    (void)state;
    struct table_delta_done done;
    list_for("d", "id", "2,3");
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    assert_int_equal(told_last(), 2);
    OK(delta(TABLE_DELTA_APPEND, "(VALUES (3, 1), (6, 1)) t(id, v)", &done));
    assert_int_equal(told_last(), 1);
    OK(delta(TABLE_DELTA_APPEND, "(VALUES (7, 1)) t(id, v)", &done));
    assert_int_equal(told_last(), -1);
    const int64_t rows = done.dataset.rows;
    OK(delta(TABLE_DELTA_APPEND, "(VALUES (2, 1)) t(id, v)", &done));
    assert_int_equal(done.snapshot_id, 0); // nothing came, and that is told
    assert_int_equal(told_last(), 1);
    assert_int_equal(done.dataset.rows, rows);
    assert_ids("d", "1 4 5 6 7");
}

static size_t objects_with(const char *needle) {
    const struct catalog_bucket *bucket;
    struct store_list list;
    size_t count = 0;
    OK(catalog_bucket_find(world.catalog, STR(""), &bucket, &err));
    OK(store_list(bucket->store, &(struct store_page){STR(""), STR_NONE, 10000}, &world.arena,
                  &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        struct str bytes;
        OK(store_get(bucket->store, list.entries[i].name, &world.arena, &bytes, &err));
        count += str_find(bytes, str_from(needle)) >= 0 ? 1 : 0;
    }
    return count;
}

// In bounds of files a least or greatest value would stand in plain text.
static void nothing_of_a_listed_row_reaches_the_bucket(void **state) {
    (void)state;
    struct table_delta_done done;
    const char *rows = "(VALUES ('AAAA-hidden'), ('MMMM-seen'), ('ZZZZ-hidden')) t(id)";
    list_for("d", "id", "AAAA-hidden,ZZZZ-hidden");
    (void)written(TABLE_CREATE, "d", rows);
    (void)written(TABLE_APPEND, "d", rows);
    OK(delta(TABLE_DELTA_UPSERT, rows, &done));
    assert_ids("d", "MMMM-seen");
    assert_true(objects_with("MMMM-seen") > 0);
    assert_int_equal(objects_with("-hidden"), 0);
}

static void keys_are_kept_as_hmacs_and_each_once(void **state) {
    (void)state;
    struct table_suppression *lists;
    size_t count;
    list_for("d", "name", "someone-special,another");
    list_for("d", "name", "another,third");
    list_for("D", "NAME", "third");
    table_suppress_list(world.tables, &world.arena, &lists, &count);
    assert_int_equal(count, 1);
    assert_str(lists[0].dataset, "d");
    assert_str(lists[0].column, "name");
    assert_int_equal(lists[0].count, 3);
    assert_int_equal(objects_with("someone-special"), 0);
}

static void a_list_that_is_removed_lets_rows_in_again(void **state) {
    (void)state;
    struct table_suppression *lists;
    size_t count;
    int64_t gone = 0;
    list_for("d", "id", "2");
    list_for("e", "id", "2");
    (void)written(TABLE_CREATE, "d", ONE_TO_FIVE);
    rename_to("d", "f");
    OK(table_suppress_remove(world.tables, STR("D"), &world_author, &gone, &err));
    assert_int_equal(gone, 1);
    assert_int_equal(table_suppress_remove(world.tables, STR("d"), &world_author, &gone, &err),
                     ERR_NOT_FOUND);
    assert_int_equal(written(TABLE_CREATE, "d", ONE_TO_FIVE).suppressed, 0);
    assert_int_equal(written(TABLE_REPLACE, "f", ONE_TO_FIVE).suppressed, 1); // its copy stays
    table_suppress_list(world.tables, &world.arena, &lists, &count);
    assert_int_equal(count, 2);
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 2);
    OK(table_suppress_remove(world.tables, STR("f"), &world_author, &gone, &err));
    assert_int_equal(world_files(&world, "primary/_catalog/content"), 1);
}

static void a_damaged_list_lets_nothing_in(void **state) {
    (void)state;
    struct table_written w;
    const struct catalog_bucket *bucket;
    struct store_list list;
    list_for("d", "id", "2");
    OK(catalog_bucket_find(world.catalog, STR(""), &bucket, &err));
    OK(store_list(bucket->store, &(struct store_page){CATALOG_CONTENT_PREFIX, STR_NONE, 10},
                  &world.arena, &list, &err));
    assert_int_equal(list.count, 1);
    OK(store_put(bucket->store, list.entries[0].name, STR("{}"), &err));
    world_reopen(&world);
    assert_int_equal(world_write(&world, TABLE_CREATE, "d", ONE_TO_FIVE, &w), ERR_CORRUPT);
}

static void many_files_are_searched(void **state) {
    (void)state;
    world_stop(&world);
    world.target_bytes = 1 << 20;
    world_start(&world);
    list_for("d", "id", "0,1000000,1999999,2500000");
    const struct table_written w =
        written(TABLE_CREATE, "d", "(SELECT i AS id, hash(i) AS v FROM range(2000000) r(i))");
    assert_true(w.files > 1);
    assert_int_equal(w.suppressed, 3);
    assert_int_equal(w.rows, 1999997);
    assert_str(world_value(&world, "d", "count(DISTINCT id)"), "1999997");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(every_write_keeps_listed_rows_out),
        TEST(a_source_of_nothing_else_makes_an_empty_dataset),
        TEST(every_delta_keeps_listed_rows_out),
        TEST(what_is_listed_can_still_be_deleted),
        TEST(a_change_keeps_listed_rows_out),
        TEST(a_list_that_comes_meanwhile_holds),
        TEST(a_list_that_comes_just_before_the_commit_holds),
        TEST(no_write_slips_past_a_list_that_comes),
        TEST(no_delta_slips_past_a_list_that_comes),
        TEST(each_caller_learns_of_its_own_rows),
        TEST(a_list_is_for_the_name_whatever_becomes_of_the_dataset),
        TEST(another_name_gets_the_list_and_the_old_one_keeps_it),
        TEST(another_column_name_gets_the_list),
        TEST(lists_for_several_columns_all_hold),
        TEST(a_null_and_a_source_without_the_column_are_let_in),
        TEST(values_are_compared_whatever_their_type),
        TEST(types_come_through_whole),
        TEST(the_same_file_is_known_again_only_under_the_same_lists),
        TEST(the_journal_tells_how_many_were_kept_out),
        TEST(nothing_of_a_listed_row_reaches_the_bucket),
        TEST(keys_are_kept_as_hmacs_and_each_once),
        TEST(a_list_that_is_removed_lets_rows_in_again),
        TEST(a_damaged_list_lets_nothing_in),
        TEST(many_files_are_searched),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
