// Tests of the hot cache: what it holds answers like the files, whatever happens meanwhile.

#include "base/clock.h"
#include "base/counters.h"
#include "hot/hot.h"
#include "table/one_world_test.h"

#define WAIT_US INT64_C(20000000)
#define MIB (INT64_C(1) << 20)

static struct hot *hot;

static void hot_again(int64_t bytes_max, int64_t asks) {
    const struct hot_options o = {.bytes_max = bytes_max, .asks = asks, .interval_ms = 10};
    hot_close(hot);
    hot = hot_new(world.tables, engine, &o);
}

static int setup(void **state) {
    (void)state;
    world_open(&world, engine);
    hot_again(256 * MIB, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_reset(&world.arena);
    hot_close(TAKE(hot));
    world_close(&world);
    return 0;
}

static void write_as(enum table_mode mode, const char *dataset, const char *source) {
    struct table_written w;
    OK(world_write_as(&world,
                      (struct table_write){.dataset = str_from(dataset),
                                           .mode = mode,
                                           .evolve = mode == TABLE_APPEND,
                                           .source = str_from(source)},
                      &w));
}

static void delta(enum table_delta_mode mode, const char *source) {
    static const struct str key = {"id", 2};
    struct table_delta_done done;
    const struct table_delta d = {.dataset = STR("d"),
                                  .mode = mode,
                                  .keys = &key,
                                  .key_count = 1,
                                  .evolve = true,
                                  .source = str_from(source),
                                  .who = world_author,
                                  .session = world.session};
    OK(table_delta(world.tables, &d, &world.arena, &done, &err));
}

static void pin(const char *dataset) {
    OK(hot_pin(hot, str_from(dataset), &err));
}

// A value of the dataset at a version (0: now), from memory if it is there; *ret_files, unless
// NULL, is how many files were not.
static struct str value(const char *dataset, int64_t version, const char *expr, bool from_hot,
                        size_t *ret_files) {
    DEFER(arena_release) struct arena a = ARENA(64U << 20);
    DEFER(session_closep) struct session *s = NULL;
    const struct table_want want = {.name = str_from(dataset),
                                    .at = version > 0 ? TABLE_AT_VERSION : TABLE_AT_NOW,
                                    .value = version};
    const struct table_conditions none = {0};
    struct table_pin p;
    struct table_scan scan;
    struct str text = STR_NONE;
    size_t cold = 0;
    OK(table_pin_at(world.tables, &want, &a, &p, &err));
    OK(table_scan_plan(world.tables, &p, &none, &a, &scan, &err));
    if (from_hot) {
        hot_use(hot, &p, &scan, &a);
    }
    for (size_t i = 0; i < scan.file_count; i++) {
        cold += scan.files[i].copy == NULL ? 1 : 0;
    }
    OK(session_open(engine, &s, &err));
    OK(session_text(s,
                    arena_printf(&a, "SELECT CAST(%s AS VARCHAR) FROM (" STR_FMT ") t", expr,
                                 STR_ARG(table_scan_sql(&p, &scan, &a))),
                    &a, &text, &err));
    if (ret_files != NULL) {
        *ret_files = cold;
    }
    return arena_str(&world.arena, text);
}

#define DIGEST "count(*) || ' ' || coalesce(bit_xor(hash(t)), 0)"

static void assert_same(const char *dataset, int64_t version) {
    const struct str cold = value(dataset, version, DIGEST, false, NULL);
    const struct str text = value(dataset, version, DIGEST, true, NULL);
    if (!str_eq(cold, text)) {
        fail_msg("version %lld: " STR_FMT " in memory, " STR_FMT " in the files",
                 (long long)version, STR_ARG(text), STR_ARG(cold));
    }
}

static size_t cold_files(const char *dataset) {
    size_t files;
    (void)value(dataset, 0, "count(*)", true, &files);
    return files;
}

static struct hot_stat stat_of(const char *dataset) {
    struct hot_stats all;
    hot_stats_get(hot, &world.arena, &all);
    for (size_t i = 0; i < all.count; i++) {
        if (str_is(all.items[i].dataset, dataset)) {
            return all.items[i];
        }
    }
    return (struct hot_stat){.tables = -1};
}

static int64_t bytes_now(void) {
    struct hot_stats all;
    hot_stats_get(hot, &world.arena, &all);
    return all.bytes;
}

// Databases that the engine has for the cache.
static int64_t databases(void) {
    struct str text;
    int64_t count = -1;
    OK(session_text(world.session,
                    STR("SELECT count(*) FROM duckdb_databases() WHERE database_name LIKE "
                        "'tarn_hot_%'"),
                    &world.arena, &text, &err));
    assert_true(str_to_i64(text, &count));
    return count;
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        const int64_t until_us = clock_mono_us() + WAIT_US;                                        \
        while (!(condition) && clock_mono_us() < until_us) {                                       \
            usleep(2000);                                                                          \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void a_pinned_dataset_is_read_from_memory(void **state) {
    (void)state;
    write_as(TABLE_CREATE, "d",
             "(SELECT i AS id, 'key ' || i AS k, ['a','b'][1 + i % 2] AS c, [i, NULL] AS l, "
             "{'x': i, 'y': 'z'} AS s, i::DECIMAL(20,3) AS n, CASE WHEN i % 3 = 0 THEN i END AS v, "
             "TIMESTAMP '2026-01-01' + to_seconds(i) AS at, 'b'::BLOB AS b FROM range(5000) r(i))");
    assert_int_equal(cold_files("d"), 1);
    pin("d");
    assert_int_equal(cold_files("d"), 0);
    assert_same("d", 0);
    assert_str(value("d", 0, "string_agg(k, ',' ORDER BY id) FILTER (id IN (7, 4999))", true, NULL),
               "key 7,key 4999");
    const struct hot_stat s = stat_of("d");
    assert_true(s.pinned && s.bytes > 0 && s.load_us > 0);
    assert_int_equal(s.rows, 5000);
    assert_int_equal(s.files, 1);
    assert_int_equal(s.loads, 1);
    assert_int_equal(s.misses, 1);
    assert_true(s.hits >= 3);
    assert_int_equal(hot_pin(hot, STR("nothing"), &err), ERR_NOT_FOUND);
}

static void names_of_columns_do_not_matter(void **state) {
    (void)state;
    write_as(
        TABLE_CREATE, "d",
        "(SELECT i AS rowid, i + 1 AS f2, i + 2 AS f1, i + 3 AS \"a \"\"b\" FROM range(9) r(i))");
    write_as(
        TABLE_APPEND, "d",
        "(SELECT i AS rowid, i + 1 AS f2, i + 2 AS f1, i + 3 AS \"a \"\"b\" FROM range(5) r(i))");
    pin("d");
    assert_int_equal(cold_files("d"), 0);
    assert_same("d", 0);
    assert_same("d", 1);
}

static void a_delta_loads_itself_alone(void **state) {
    (void)state;
    write_as(TABLE_CREATE, "d", "(SELECT i AS id, i AS v FROM range(100000) r(i))");
    pin("d");
    const int64_t bytes = bytes_now();
    delta(TABLE_DELTA_UPSERT, "(VALUES (5, 50), (200000, 1)) t(id, v)");
    assert_same("d", 0);
    assert_same("d", 1);
    WAIT_FOR(cold_files("d") == 0); // nobody has to ask for it
    assert_same("d", 0);
    assert_same("d", 1);
    const struct hot_stat s = stat_of("d");
    assert_int_equal(s.rows, 100002);
    assert_int_equal(s.tables, 2);
    assert_true(bytes_now() - bytes <= MIB);
    delta(TABLE_DELTA_DELETE, "(SELECT i AS id FROM range(0, 100000, 3) r(i))"); // needs no load
    assert_int_equal(cold_files("d"), 0);
    assert_same("d", 0);
    assert_same("d", 2);
}

static void many_small_files_are_folded(void **state) {
    (void)state;
    char source[80];
    write_as(TABLE_CREATE, "d", "(SELECT i AS id, i AS v FROM range(50000) r(i))");
    pin("d");
    for (int i = 0; i < 30; i++) {
        (void)snprintf(source, sizeof(source), "(VALUES (%d, -1), (%d, 7)) t(id, v)", 70000 + i,
                       60000 + i);
        write_as(TABLE_APPEND, "d", source);
        pin("d");
        assert_same("d", 0);
    }
    const struct hot_stat s = stat_of("d");
    assert_true(s.tables <= 6);
    assert_int_equal(s.files, 31);
    assert_int_equal(cold_files("d"), 0);
    for (int64_t version = 1; version <= 31; version += 5) {
        assert_same("d", version);
    }
    WAIT_FOR(databases() == s.tables);
}

static void files_that_left_the_dataset_leave_memory(void **state) {
    (void)state;
    write_as(TABLE_CREATE, "d", "(SELECT i AS id, i AS v FROM range(5000) r(i))");
    pin("d");
    write_as(TABLE_REPLACE, "d", "(SELECT i AS id, -i AS v FROM range(3000) r(i))");
    pin("d");
    assert_int_equal(stat_of("d").rows, 3000);
    assert_same("d", 0);
    assert_same("d", 1);
    WAIT_FOR(databases() == 1);
    OK(table_drop(world.tables, STR("d"), &world_author, &(uint64_t){0}, &err));
    WAIT_FOR(databases() == 0);
    assert_int_equal(bytes_now(), 0);
}

static void a_table_of_which_little_is_left_is_made_anew(void **state) {
    (void)state;
    write_as(TABLE_CREATE, "d", "(SELECT i AS id, i AS v FROM range(10) r(i))");
    write_as(TABLE_APPEND, "d", "(SELECT i AS id, i AS v FROM range(100, 5000) r(i))");
    write_as(TABLE_APPEND, "d", "(SELECT i AS id, i AS v FROM range(10000, 10010) r(i))");
    pin("d");
    assert_int_equal(stat_of("d").tables, 1);
    delta(TABLE_DELTA_DELETE, "(SELECT i AS id FROM range(100, 5000) r(i))"); // the whole file goes
    pin("d");
    assert_int_equal(stat_of("d").rows, 20);
    assert_int_equal(stat_of("d").files, 2);
    assert_int_equal(cold_files("d"), 0);
    assert_same("d", 0);
    assert_same("d", 3);
}

static void datasets_that_are_asked_often_become_hot(void **state) {
    (void)state;
    hot_again(256 * MIB, 3);
    write_as(TABLE_CREATE, "d", "(SELECT i AS id FROM range(5000) r(i))");
    write_as(TABLE_CREATE, "e", "(SELECT i AS id FROM range(5000) r(i))");
    assert_int_equal(cold_files("e"), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cold_files("d"), 1);
    }
    WAIT_FOR(stat_of("d").tables == 1);
    assert_int_equal(cold_files("d"), 0);
    assert_int_equal(stat_of("e").tables, 0);
    assert_false(stat_of("d").pinned);
}

#define WIDE "(SELECT i AS id, hash(i) AS a, hash(i, 1) AS b FROM range(60000) r(i))"

static void the_budget_is_kept(void **state) {
    (void)state;
    hot_again(5000000, 1); // two would fit, but not what the second is guessed to need
    write_as(TABLE_CREATE, "d", WIDE);
    write_as(TABLE_CREATE, "e", WIDE);
    write_as(TABLE_CREATE, "f", WIDE);
    (void)cold_files("d");
    WAIT_FOR(stat_of("d").tables == 1);
    usleep(1000);
    (void)cold_files("e");
    (void)cold_files("e"); // counts more than d, which goes
    WAIT_FOR(stat_of("e").tables == 1);
    assert_int_equal(stat_of("d").tables, 0);
    assert_int_equal(stat_of("d").evictions, 1);
    assert_true(bytes_now() <= 5000000);
    assert_same("d", 0);
    pin("e");
    assert_int_equal(hot_pin(hot, STR("f"), &err), ERR_TOO_LARGE); // a pin is not evicted
    assert_says("hot.bytes");
    assert_int_equal(stat_of("f").load_failures, 1);
    assert_true(stat_of("f").error.len > 0);
    assert_int_equal(stat_of("e").tables, 1);
    assert_same("f", 0);
    size_t count;
    OK(hot_evict(hot, STR("E"), &count, &err));
    assert_int_equal(count, 1);
    WAIT_FOR(bytes_now() == 0); // the loader may be looking at it just now
    pin("f");
    assert_int_equal(cold_files("f"), 0);
    OK(hot_evict(hot, STR_NONE, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(hot_evict(hot, STR("nothing"), &count, &err), ERR_NOT_FOUND);
}

// A scan that holds what it reads, as a query does.
struct reading {
    struct arena arena;
    struct session *session;
    struct rows *rows;
};

static void reading_begin(struct reading *r, const char *dataset) {
    const struct table_want want = {.name = str_from(dataset)};
    const struct table_conditions none = {0};
    struct table_pin p;
    struct table_scan scan;
    *r = (struct reading){.arena = ARENA(64U << 20)};
    OK(table_pin_at(world.tables, &want, &r->arena, &p, &err));
    OK(table_scan_plan(world.tables, &p, &none, &r->arena, &scan, &err));
    hot_use(hot, &p, &scan, &r->arena);
    assert_non_null(scan.files[0].copy);
    OK(session_open(engine, &r->session, &err));
    OK(session_query(r->session, table_scan_sql(&p, &scan, &r->arena), &r->rows, &err));
}

static int64_t reading_end(struct reading *r) {
    const struct vec_chunk *chunk = NULL;
    int64_t rows = 0;
    do {
        OK(rows_next(r->rows, &chunk, &err));
        rows += chunk != NULL ? (int64_t)chunk->rows : 0;
    } while (chunk != NULL);
    rows_close(r->rows);
    session_close(r->session);
    arena_release(&r->arena);
    return rows;
}

static void eviction_waits_for_queries(void **state) {
    (void)state;
    struct reading r;
    size_t count;
    write_as(TABLE_CREATE, "d", "(SELECT i AS id FROM range(300000) r(i))");
    pin("d");
    reading_begin(&r, "d");
    OK(hot_evict(hot, STR("d"), &count, &err));
    assert_int_equal(cold_files("d"), 1);
    assert_int_equal(databases(), 1);
    assert_true(bytes_now() > 0);
    assert_int_equal(reading_end(&r), 300000);
    WAIT_FOR(databases() == 0);
    assert_int_equal(bytes_now(), 0);
}

static void forgotten_rows_are_gone_when_it_returns(void **state) {
    (void)state;
    struct reading r;
    struct table_pin p;
    struct table_scan scan;
    const struct table_want want = {.name = STR("d")};
    const struct table_conditions none = {0};
    write_as(TABLE_CREATE, "d", "(SELECT i AS id FROM range(300000) r(i))");
    write_as(TABLE_APPEND, "d", "(SELECT i AS id FROM range(10) r(i))");
    OK(table_pin_at(world.tables, &want, &world.arena, &p, &err));
    OK(table_scan_plan(world.tables, &p, &none, &world.arena, &scan, &err));
    const struct str object = scan.files[0].object;
    const struct hot_objects o = {.bucket = p.dataset.bucket, .names = &object, .count = 1};
    pin("d");
    reading_begin(&r, "d");
    // The dataset no longer has the file, as after an erasure.
    write_as(TABLE_REPLACE, "d", "(SELECT i AS id FROM range(7) r(i))");
    assert_int_equal(hot_forget(hot, &o, 20, &err), ERR_BUSY);
    assert_int_equal(reading_end(&r), 300010);
    OK(hot_forget(hot, &o, 10000, &err));
    WAIT_FOR(cold_files("d") == 0);
    assert_int_equal(stat_of("d").rows, 7);
    assert_int_equal(databases(), 1);
}

static void a_failed_load_leaves_the_files(void **state) {
    (void)state;
    write_as(TABLE_CREATE, "d", "(SELECT i AS id FROM range(5000) r(i))");
    struct table_pin p;
    struct table_scan scan;
    const struct table_want want = {.name = STR("d")};
    const struct table_conditions none = {0};
    OK(table_pin_at(world.tables, &want, &world.arena, &p, &err));
    OK(table_scan_plan(world.tables, &p, &none, &world.arena, &scan, &err));
    const char *path = arena_cstr(&world.arena, scan.files[0].path);
    const struct str away = arena_printf(&world.arena, "%s.away", path);
    assert_int_equal(rename(path, away.ptr), 0);
    assert_int_not_equal(hot_pin(hot, STR("d"), &err), ERR_OK);
    assert_int_equal(databases(), 0);
    assert_int_equal(bytes_now(), 0);
    assert_int_equal(stat_of("d").load_failures, 1);
    assert_int_equal(rename(away.ptr, path), 0);
    assert_int_equal(cold_files("d"), 1);
    pin("d");
    assert_int_equal(cold_files("d"), 0);
    assert_same("d", 0);
}

// Whatever happens to a dataset

static uint64_t random_state = 88172645463325252ULL;

static int random_below(int n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)n);
}

static void random_change(int step) {
    char source[200];
    const int from = random_below(3000);
    switch (random_below(8)) {
    case 0:
        (void)snprintf(source, sizeof(source), "(SELECT i AS id FROM range(%d, %d) r(i))", from,
                       from + random_below(2000));
        delta(TABLE_DELTA_DELETE, source);
        break;
    case 1: // a column comes
        (void)snprintf(source, sizeof(source),
                       "(SELECT i AS id, i AS v, 'n' || i AS c%d FROM range(%d, %d) r(i))",
                       random_below(4), 10000 * step, 10000 * step + 20);
        write_as(TABLE_APPEND, "d", source);
        break;
    case 2:
        (void)snprintf(source, sizeof(source), "(SELECT i AS id, %d AS v FROM range(%d, %d) r(i))",
                       step, 10000 * step, 10000 * step + random_below(5000));
        write_as(TABLE_APPEND, "d", source);
        break;
    default:
        (void)snprintf(source, sizeof(source), "(SELECT i AS id, %d AS v FROM range(%d, %d) r(i))",
                       step, from, from + 1 + random_below(20));
        delta(TABLE_DELTA_UPSERT, source);
    }
}

#define STEPS 60

static void hot_and_cold_answers_are_equal_at_every_step(void **state) {
    (void)state;
    size_t count;
    hot_again(256 * MIB, 2);
    write_as(TABLE_CREATE, "d", "(SELECT i AS id, i AS v FROM range(4000) r(i))");
    for (int step = 1; step <= STEPS; step++) {
        random_change(step);
        if (random_below(3) == 0) {
            pin("d");
        } else if (random_below(10) == 0) {
            OK(hot_evict(hot, STR("d"), &count, &err));
        }
        assert_same("d", 0);
        assert_same("d", 1 + random_below(step));
    }
    pin("d");
    assert_int_equal(cold_files("d"), 0);
    for (int64_t version = 1; version <= STEPS; version += 3) {
        assert_same("d", version);
    }
}

// Readers while everything moves

struct reader {
    pthread_t thread;
    _Atomic bool *stop;
    int64_t queries;
    struct str failure;
};

// Of each id there is one row, and all of one version have the same value.
static enum err_code read_once(struct arena *a, struct str *ret, struct err *e) {
    const struct table_want want = {.name = STR("d")};
    const struct table_conditions none = {0};
    struct table_pin p;
    struct table_scan scan;
    DEFER(session_closep) struct session *s = NULL;
    TRY(table_pin_at(world.tables, &want, a, &p, e));
    TRY(table_scan_plan(world.tables, &p, &none, a, &scan, e));
    hot_use(hot, &p, &scan, a);
    TRY(session_open(engine, &s, e));
    return session_text(
        s,
        arena_printf(a,
                     "SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(id), count(DISTINCT "
                     "v)) FROM (" STR_FMT ")",
                     STR_ARG(table_scan_sql(&p, &scan, a))),
        a, ret, e);
}

static void *read_on(void *arg) {
    struct reader *r = arg;
    while (!*r->stop && r->failure.len == 0) {
        DEFER(arena_release) struct arena a = ARENA(64U << 20);
        struct err e = ERR_NONE;
        struct str text = STR_NONE;
        if (read_once(&a, &text, &e) != ERR_OK) {
            text = str_from(e.msg);
        }
        if (!str_is(text, "2000 2000 1999000 1")) {
            char *copy = xstrdup(arena_cstr(&a, text));
            r->failure = str_from(copy);
        }
        r->queries++;
    }
    return NULL;
}

static void readers_see_one_version_whatever_moves(void **state) {
    (void)state;
    char source[100];
    size_t count;
    _Atomic bool stop_all = false;
    struct reader readers[3] = {0};
    write_as(TABLE_CREATE, "d", "(SELECT i AS id, 0 AS v FROM range(2000) r(i))");
    hot_again(256 * MIB, 1);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        readers[i].stop = &stop_all;
        readers[i].thread = threads_start("reader", read_on, &readers[i]);
    }
    for (int step = 1; step <= 25; step++) {
        (void)snprintf(source, sizeof(source), "(SELECT i AS id, %d AS v FROM range(2000) r(i))",
                       step);
        delta(TABLE_DELTA_UPSERT, source);
        if (step % 3 == 0) {
            OK(hot_evict(hot, STR_NONE, &count, &err));
        } else if (step % 3 == 1) {
            // An eviction or a commit in between makes it fail, which is no harm.
            (void)hot_pin(hot, STR("d"), &err);
        }
    }
    stop_all = true;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_str(readers[i].failure, "");
        assert_true(readers[i].queries > 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_pinned_dataset_is_read_from_memory),
        TEST(names_of_columns_do_not_matter),
        TEST(a_delta_loads_itself_alone),
        TEST(many_small_files_are_folded),
        TEST(files_that_left_the_dataset_leave_memory),
        TEST(a_table_of_which_little_is_left_is_made_anew),
        TEST(datasets_that_are_asked_often_become_hot),
        TEST(the_budget_is_kept),
        TEST(eviction_waits_for_queries),
        TEST(forgotten_rows_are_gone_when_it_returns),
        TEST(a_failed_load_leaves_the_files),
        TEST(hot_and_cold_answers_are_equal_at_every_step),
        TEST(readers_see_one_version_whatever_moves),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
