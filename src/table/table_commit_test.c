// Tests of commits: many writers at once, drops beside readers, what dead processes leave.

#include "base/scratch.h"
#include "table/one_world_test.h"
#include "table/table_int.h"

static struct table_written write_rows(enum table_mode mode, const char *dataset,
                                       const char *source) {
    struct table_written w;
    OK(world_write(&world, mode, dataset, source, &w));
    return w;
}

enum { WRITERS = 8, APPENDS = 20 };

struct writer {
    struct tables *tables;
    int number;
    int datasets; // it writes to d0, d1, ... in turn
};

// Each append brings one row with a number of its own.
static void *append_many(void *arg) {
    struct writer *w = arg;
    struct session *session = NULL;
    CHECK(session_open(engine, &session, &err) == ERR_OK);
    for (int i = 0; i < APPENDS; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 26);
        const struct table_write write = {
            .dataset = arena_printf(&a, "d%d", (i + w->number) % w->datasets),
            .mode = TABLE_APPEND,
            .source = arena_printf(&a, "(SELECT %d AS a)", w->number * APPENDS + i),
            .who = world_author,
            .session = session};
        struct table_written written;
        if (table_write(w->tables, &write, &a, &written, &err) != ERR_OK) {
            print_error("writer %d: %s\n", w->number, err.msg);
            abort();
        }
        CHECK(written.dataset.rows > 0);
    }
    session_close(session);
    return NULL;
}

// Starts writers over the services in turn and waits for all.
static void append_at_once(struct tables **services, size_t service_count, int datasets) {
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){services[(size_t)i % service_count], i, datasets};
        threads[i] = threads_start("append", append_many, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

// Every number 0..WRITERS*APPENDS-1 once, over all datasets, and the catalog's counts are right.
static void assert_none_lost(int datasets) {
    int64_t rows = 0;
    int64_t sum = 0;
    for (int i = 0; i < datasets; i++) {
        struct str name = arena_printf(&world.arena, "d%d", i);
        int64_t here = 0;
        int64_t part = 0;
        assert_true(str_to_i64(world_value(&world, name.ptr, "count(DISTINCT a)"), &here));
        assert_true(str_to_i64(world_value(&world, name.ptr, "coalesce(sum(a), 0)"), &part));
        struct catalog_dataset d;
        OK(catalog_dataset_get(world.catalog, name, &world.arena, &d, &err));
        assert_int_equal(d.rows, here);
        assert_int_equal(d.files, here);
        rows += here;
        sum += part;
    }
    assert_int_equal(rows, WRITERS * APPENDS);
    assert_int_equal(sum, WRITERS * APPENDS * (WRITERS * APPENDS - 1) / 2);
}

static void appends_at_once_to_one_dataset_are_all_there(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "d0", "(SELECT 1 AS a LIMIT 0)");
    append_at_once(&world.tables, 1, 1);
    for (int restart = 0; restart < 2; restart++) {
        assert_none_lost(1);
        world_reopen(&world);
    }
    assert_int_equal(world_files(&world, "spool"), 0);
}

static void appends_at_once_to_several_datasets_are_all_there(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct str name = arena_printf(&world.arena, "d%d", i);
        write_rows(TABLE_CREATE, name.ptr, "(SELECT 1 AS a LIMIT 0)");
    }
    append_at_once(&world.tables, 1, 4);
    assert_none_lost(4);
}

static void two_servers_may_append_to_one_dataset(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "d0", "(SELECT 1 AS a LIMIT 0)");
    struct catalog *other = world_catalog(&world);
    struct tables *services[] = {world.tables, world_tables(&world, other)};
    append_at_once(services, 2, 1);
    tables_free(services[1]);
    catalog_close(other);
    OK(txlog_refresh(catalog_log(world.catalog), 0, 0, &err));
    assert_none_lost(1);
    // What lost a race took its files back: a metadata object, a manifest, a list and the data file
    // for each append, the list and metadata of the creation, and the manifest that small ones
    // were folded into at every 32nd commit.
    size_t commits = (size_t)WRITERS * APPENDS;
    assert_int_equal(world_files(&world, "primary/tables"), commits * 4 + 2 + (commits - 2) / 32);
}

static void *replace_many(void *arg) {
    struct writer *w = arg;
    struct session *session = NULL;
    CHECK(session_open(engine, &session, &err) == ERR_OK);
    int done = 0;
    for (int i = 0; i < APPENDS; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 26);
        // Every writer has a column of its own, so that ids are given out in competition.
        const struct table_write write = {
            .dataset = STR("d0"),
            .mode = TABLE_REPLACE,
            .source = arena_printf(&a, "(SELECT %d AS a, %d AS c%d)", i, i, w->number),
            .who = world_author,
            .session = session};
        struct table_written written;
        enum err_code code = table_write(w->tables, &write, &a, &written, &err);
        CHECK(code == ERR_OK || code == ERR_SCHEMA);
        done += code == ERR_OK ? 1 : 0;
    }
    session_close(session);
    return done > 0 ? arg : NULL;
}

// Ids of columns are the identity of their values: one id, one name and type, for ever.
static void replacements_at_once_never_share_an_id(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "d0", "(SELECT 1 AS a)");
    pthread_t threads[4];
    struct writer writers[4];
    for (int i = 0; i < 4; i++) {
        writers[i] = (struct writer){world.tables, i, 1};
        threads[i] = threads_start("replace", replace_many, &writers[i]);
    }
    size_t winners = 0;
    for (int i = 0; i < 4; i++) {
        void *done = NULL;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        winners += done != NULL ? 1 : 0;
    }
    assert_true(winners > 0);
    const struct table_want want = {.name = STR("d0")};
    struct table_pin pin;
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    const struct ice_metadata *m = pin.metadata;
    assert_true(m->schema_count > 2);
    for (size_t i = 0; i < m->schema_count; i++) {
        for (size_t j = 0; j < m->schemas[i]->field_count; j++) {
            const struct ice_field *f = &m->schemas[i]->fields[j];
            for (size_t k = 0; k < m->schema_count; k++) {
                const struct ice_field *same = ice_schema_find_id(m->schemas[k], f->id);
                assert_true(same == NULL || str_eq(same->name, f->name));
            }
            assert_true(f->id <= m->last_column_id);
        }
    }
    assert_str(world_value(&world, "d0", "count(*)"), "1");
}

static void a_dropped_dataset_leaves_nothing(void **state) {
    (void)state;
    uint64_t seq = 0;
    write_rows(TABLE_CREATE, "keep", "(SELECT 1 AS a)");
    size_t before = world_files(&world, "primary/tables");
    write_rows(TABLE_CREATE, "t", "(SELECT 1 AS a)");
    write_rows(TABLE_APPEND, "t", "(SELECT 1 AS a)");
    world_reopen(&world); // no arena holds it any more
    OK(table_drop(world.tables, STR("T"), &world_author, &seq, &err));
    assert_true(seq > 0);
    assert_int_equal(world_files(&world, "primary/tables"), before);
    assert_int_equal(table_drop(world.tables, STR("t"), &world_author, &seq, &err), ERR_NOT_FOUND);
    write_rows(TABLE_CREATE, "t", "(SELECT 'other' AS b)");
    assert_str(world_value(&world, "t", "first(b)"), "other");
    assert_str(world_value(&world, "keep", "count(*)"), "1");
}

static void a_drop_waits_for_its_readers(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t", "(SELECT i AS a FROM range(1000000) r(i))");
    world_reopen(&world);
    struct arena first = ARENA(1 << 26);
    struct arena second = ARENA(1 << 26);
    const struct table_want want = {.name = STR("t")};
    const struct table_conditions none = {0};
    struct table_pin pin;
    struct table_scan scan;
    OK(table_pin_at(world.tables, &want, &first, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &none, &first, &scan, &err));
    struct rows *rows = NULL;
    OK(session_query(world.session, table_scan_sql(&pin, &scan, &first), &rows, &err));
    const struct vec_chunk *chunk = NULL;
    OK(rows_next(rows, &chunk, &err));
    size_t seen = chunk->rows;
    struct table_pin idle;
    OK(table_pin_at(world.tables, &want, &second, &idle, &err));

    uint64_t seq = 0;
    OK(table_drop(world.tables, STR("t"), &world_author, &seq, &err));
    struct table_pin gone;
    assert_int_equal(table_pin_at(world.tables, &want, &world.arena, &gone, &err), ERR_NOT_FOUND);
    while (chunk != NULL) {
        OK(rows_next(rows, &chunk, &err));
        seen += chunk != NULL ? chunk->rows : 0;
    }
    assert_int_equal(seen, 1000000);
    rows_close(rows);
    // The second pin can still plan and read after all that.
    OK(table_scan_plan(world.tables, &idle, &none, &second, &scan, &err));
    assert_int_equal(scan.file_count, 1);
    arena_release(&first);
    assert_int_equal(access(arena_cstr(&world.arena, scan.files[0].path), F_OK), 0);
    arena_release(&second);
    assert_int_equal(world_files(&world, "primary/tables"), 0);
}

struct slow_append {
    enum err_code code;
    struct err err;
};

static void *append_slowly(void *arg) {
    struct slow_append *s = arg;
    struct session *session = NULL;
    struct table_written w;
    DEFER(arena_release) struct arena a = ARENA(1 << 26);
    CHECK(session_open(engine, &session, &err) == ERR_OK);
    const struct table_write write = {
        .dataset = STR("t"),
        .mode = TABLE_APPEND,
        .source = STR("(SELECT md5(i::VARCHAR) AS a FROM range(1000000) r(i))"),
        .who = world_author,
        .session = session};
    s->code = table_write(world.tables, &write, &a, &w, &s->err);
    session_close(session);
    return NULL;
}

// Files that were made for one dataset never come into another of the same name.
static void an_append_does_not_follow_the_name(void **state) {
    (void)state;
    uint64_t seq = 0;
    write_rows(TABLE_CREATE, "t", "(SELECT 'x' AS a)");
    struct slow_append s = {.err = ERR_NONE};
    pthread_t thread = threads_start("append", append_slowly, &s);
    while (world_walk(world.root, NULL) < 8) {
        (void)usleep(1000); // until it has staged its first file
    }
    OK(table_drop(world.tables, STR("t"), &world_author, &seq, &err));
    write_rows(TABLE_CREATE, "t", "(SELECT 'y' AS b)");
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (s.code != ERR_OK) {
        assert_int_equal(s.code, ERR_CONFLICT);
        assert_non_null(strstr(s.err.msg, "was made anew while the file was read"));
    }
    assert_str(world_value(&world, "t", "count(*) || first(b)"), "1y");
    world_reopen(&world);
    assert_str(world_value(&world, "t", "count(*) || first(b)"), "1y");
    assert_int_equal(world_files(&world, "primary/tables"), 4);
    assert_int_equal(world_files(&world, "spool"), 0);
}

static void put_file(const char *folder) {
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/f.parquet", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fclose(f);
}

static void stages_of_dead_processes_are_removed(void **state) {
    (void)state;
    world_stop(&world);
    char path[120];
    static const char *const folders[] = {"stage-dead", "other"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        (void)snprintf(path, sizeof(path), "%s/spool/%s", world.root, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        put_file(path);
    }
    struct scratch living;
    (void)snprintf(path, sizeof(path), "%s/spool", world.root);
    OK(scratch_make(str_from(path), STR("stage-"), &living, &err));
    put_file(living.path);
    world_start(&world);
    assert_int_equal(world_files(&world, "spool/stage-dead"), 0);
    assert_int_equal(world_files(&world, "spool/other"), 1);
    assert_int_equal(world_walk(living.path, NULL), 1);
    scratch_remove(&living);
}

static void *read_a_while(void *arg) {
    struct arena *reader = arg;
    (void)usleep(20000);
    arena_reset(reader);
    return NULL;
}

static void who_removes_waits_for_the_readers_of_then(void **state) {
    (void)state;
    DEFER(arena_release) struct arena early = ARENA(1 << 20);
    DEFER(arena_release) struct arena late = ARENA(1 << 20);
    struct catalog_dataset d;
    struct catalog_dataset other;
    (void)write_rows(TABLE_CREATE, "t", "(SELECT 1 AS a)");
    (void)write_rows(TABLE_CREATE, "u", "(SELECT 1 AS a)");
    arena_reset(&world.arena);
    OK(table_dataset_use(world.tables, STR("u"), &late, &other, &err));
    OK(catalog_dataset_get(world.catalog, STR("t"), &world.arena, &d, &err));
    assert_true(table_uses_wait(world.tables, &d, 0)); // nobody reads it
    OK(table_dataset_use(world.tables, STR("t"), &early, &d, &err));
    assert_false(table_uses_wait(world.tables, &d, 1));
    d.name = d.dir = arena_str(&world.arena, d.dir);
    const pthread_t thread = threads_start("reader", read_a_while, &early);
    assert_true(table_uses_wait(world.tables, &d, 30000));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static bool is_there(const struct table_pin *pin, struct str object) {
    uint64_t bytes;
    struct err none = ERR_NONE;
    return store_size(pin->bucket->store, object, &bytes, &none) == ERR_OK;
}

static void a_pin_of_another_owner_is_a_reader_from_the_first_ones_time_on(void **state) {
    (void)state;
    DEFER(arena_release) struct arena first = ARENA(1 << 20);
    DEFER(arena_release) struct arena second = ARENA(1 << 20);
    DEFER(arena_release) struct arena names = ARENA(1 << 16);
    const struct table_want want = {.name = STR("t")};
    struct table_pin pin;
    struct table_pin again;
    struct table_pin late;
    struct table_scan scan;
    const struct table_conditions none = {0};
    (void)write_rows(TABLE_CREATE, "t", "(SELECT 1 AS a)");
    OK(table_pin_at(world.tables, &want, &first, &pin, &err));
    OK(table_scan_plan(world.tables, &pin, &none, &first, &scan, &err));
    const struct str object = arena_str(&names, scan.files[0].object);
    (void)write_rows(TABLE_REPLACE, "t", "(SELECT 2 AS a)");
    arena_reset(&world.arena); // the writers have gone
    table_objects_remove(world.tables, &pin.dataset, &object, 1);
    OK(table_pin_at(world.tables, &want, &world.arena, &late, &err)); // holds nothing of before
    OK(table_pin_again(world.tables, &pin, &second, &again, &err));
    arena_reset(&first);
    assert_true(is_there(&late, object));
    assert_str(world_value_of(&world, &again, &none, "sum(a)", ""), "1");
    arena_reset(&second);
    assert_false(is_there(&late, object));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(appends_at_once_to_one_dataset_are_all_there),
        TEST(appends_at_once_to_several_datasets_are_all_there),
        TEST(two_servers_may_append_to_one_dataset),
        TEST(replacements_at_once_never_share_an_id),
        TEST(who_removes_waits_for_the_readers_of_then),
        TEST(a_pin_of_another_owner_is_a_reader_from_the_first_ones_time_on),
        TEST(a_dropped_dataset_leaves_nothing),
        TEST(a_drop_waits_for_its_readers),
        TEST(an_append_does_not_follow_the_name),
        TEST(stages_of_dead_processes_are_removed),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
