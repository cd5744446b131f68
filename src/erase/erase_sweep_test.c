// Tests of the sweep: leftovers go, whatever is used or may be a write under way stays.

#include "erase/erase_int.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/hash.h"
#include "catalog/catalog_content.h"
#include "upkeep/lake_test.h"

#define HOUR_S 3600

static struct erase *eraser;
static struct erase_matcher *matcher;
static struct erase_swept swept;

static int begin(void **state) {
    (void)setup(state);
    const struct erase_options o = {.catalog = world.catalog,
                                    .tables = world.tables,
                                    .upkeep = upkeep,
                                    .spool = arena_printf(&world.texts, "%s/spool", world.root),
                                    .cache = arena_printf(&world.texts, "%s/cache", world.root)};
    const struct str search[] = {STR("CAND-000001"), STR("Bo"), STR("Lee \"Bob\" O")};
    const struct erase_subjects subjects = {.search = search, .search_count = ARRAY_LEN(search)};
    assert_int_equal(mkdir(o.cache.ptr, 0700), 0);
    eraser = erase_new(&o);
    matcher = erase_matcher_new(&subjects);
    return 0;
}

static int end(void **state) {
    erase_free(TAKE(eraser));
    erase_matcher_free(TAKE(matcher));
    return teardown(state);
}

static struct store *primary(void) {
    const struct catalog_bucket *b = NULL;
    OK(catalog_bucket_find(world.catalog, STR(""), &b, &err));
    return b->store;
}

static const char *path_of(const char *name) {
    return arena_printf(&world.arena, "%s/%s", world.root, name).ptr;
}

// An object that was written so many seconds ago.
static void put_old(const char *name, const char *text, int64_t age_s) {
    OK(store_put_new(primary(), str_from(name), str_from(text), &err));
    const time_t at = (time_t)(clock_wall_us() / 1000000 - age_s);
    const struct timespec times[2] = {{.tv_sec = at}, {.tv_sec = at}};
    const char *path = path_of(arena_printf(&world.arena, "primary/%s", name).ptr);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool is_there(const char *name) {
    return access(path_of(name), F_OK) == 0;
}

static size_t sweep(void) {
    swept = (struct erase_swept){0};
    err = ERR_NONE;
    OK(erase_sweep(eraser, matcher, NULL, &world.arena, &swept, &err));
    return swept.count;
}

static const struct erase_object *removed(struct str name) {
    for (size_t i = 0; i < swept.count; i++) {
        if (str_eq(swept.objects[i].name, name)) {
            return &swept.objects[i];
        }
    }
    fail_msg("\"" STR_FMT "\" was not removed", STR_ARG(name));
    return NULL;
}

static struct str dataset_dir(void) {
    struct catalog_dataset d;
    OK(catalog_dataset_get(world.catalog, STR("d"), &world.arena, &d, &err));
    return d.dir;
}

static void objects_that_nothing_leads_to_go(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT range AS id, 'x' AS v FROM range(100))");
    lake_write(TABLE_APPEND, "(SELECT range AS id, 'y' AS v FROM range(100, 200))");
    const struct str dir = dataset_dir();
    const struct str orphan = arena_printf(&world.arena, STR_FMT "/data/x.parquet", STR_ARG(dir));
    const size_t files = world_files(&world, "primary");
    put_old(orphan.ptr, "rows of CAND-000001", 10);
    assert_int_equal(sweep(), 1);
    const struct erase_object *o = removed(orphan);
    assert_int_equal(o->bytes, 19);
    assert_true(str_eq(o->sha256, hex_sha256(sha256(STR("rows of CAND-000001")), &world.arena)));
    assert_int_equal(world_files(&world, "primary"), files);
    assert_str(world_value(&world, "d", "count(*)"), "200");
    assert_int_equal(sweep(), 0);
}

static void folders_of_no_dataset_go(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT 1 AS id, 'x' AS v)");
    put_old("tables/a-0/data/1.parquet", "rows", 10);
    put_old("tables/a-0/metadata/v1.metadata.json", "{}", 10);
    put_old("tables/z-0/data/1.parquet", "more", 10);
    put_old("tables/README", "no folder", 10);
    assert_int_equal(sweep(), 3);
    (void)removed(STR("tables/a-0/data/1.parquet"));
    (void)removed(STR("tables/z-0/data/1.parquet"));
    assert_false(is_there("primary/tables/a-0"));
    assert_true(is_there("primary/tables/README"));
    assert_str(world_value(&world, "d", "count(*)"), "1");
    assert_int_equal(sweep(), 0);
}

static void what_may_be_a_write_under_way_stays(void **state) {
    (void)state;
    lake_write(TABLE_CREATE, "(SELECT 1 AS id, 'x' AS v)");
    const struct str orphan =
        arena_printf(&world.arena, STR_FMT "/data/x.parquet", STR_ARG(dataset_dir()));
    struct catalog_content content;
    DEFER(json_decrefp) json_t *body = json_string("CAND-000001");
    OK(store_put_new(primary(), orphan, STR("rows"), &err));
    OK(store_put_new(primary(), STR("tables/a-0/data/1.parquet"), STR("rows"), &err));
    OK(catalog_content_put(world.catalog, body, &world.arena, &content, &err));
    assert_int_equal(sweep(), 0);
    OK(store_delete(primary(), STR("tables/a-0/data/1.parquet"), &err));
}

static void content_that_nothing_names_goes(void **state) {
    (void)state;
    put_old("_catalog/content/a.json", "{\"v\":1,\"body\":\"CAND-000001\"}", 10);
    assert_int_equal(sweep(), 1);
    const struct erase_object *o = removed(STR("_catalog/content/a.json"));
    assert_int_equal(o->bytes, 28);
    assert_int_equal(o->sha256.len, HEX_SHA256_LEN);
    assert_int_equal(sweep(), 0);
}

// Another process with a folder in the spool folder; it leaves when the test writes to *ret.
static pid_t another(int *ret) {
    int made[2];
    int done[2];
    char byte = 0;
    assert_int_equal(pipe(made), 0);
    assert_int_equal(pipe(done), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct scratch s;
        (void)close(done[1]);
        if (scratch_make(str_from(path_of("spool")), STR(SCRATCH_STAGE), &s, &err) == ERR_OK) {
            FILE *f = fopen(arena_printf(&world.arena, "%s/x.parquet", s.path).ptr, "we");
            (void)fputs("CAND-000001", f);
            (void)fclose(f);
            (void)!write(made[1], "", 1);
            (void)!read(done[0], &byte, 1);
        }
        _exit(0);
    }
    (void)close(made[1]);
    assert_int_equal(read(made[0], &byte, 1), 1);
    (void)close(made[0]);
    (void)close(done[0]);
    *ret = done[1];
    return child;
}

static void beside_another_process_an_object_must_be_an_hour_old(void **state) {
    (void)state;
    int leave = -1;
    put_old("tables/a-0/data/young.parquet", "young", HOUR_S - 60);
    put_old("tables/a-0/data/old.parquet", "old", HOUR_S + 60);
    put_old("_catalog/content/young.json", "{}", HOUR_S - 60);
    const pid_t child = another(&leave);
    assert_int_equal(sweep(), 1);
    (void)removed(STR("tables/a-0/data/old.parquet"));
    assert_int_equal(swept.local_files, 0);
    assert_int_equal(world_files(&world, "spool"), 1);
    assert_int_equal(close(leave), 0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(sweep(), 2);
    (void)removed(STR("tables/a-0/data/young.parquet"));
    (void)removed(STR("_catalog/content/young.json"));
    assert_int_equal(swept.local_files, 1); // of the dead one
    assert_int_equal(world_files(&world, "spool"), 0);
}

static void what_this_process_holds_stays(void **state) {
    (void)state;
    struct scratch held;
    OK(scratch_make(str_from(path_of("cache")), STR(SCRATCH_SPILL), &held, &err));
    put_old("tables/a-0/data/1.parquet", "rows", 10);
    assert_int_equal(sweep(), 1); // nobody else is there
    assert_true(access(held.path, F_OK) == 0);
    scratch_remove(&held);
}

static void put_rejects(const char *name, const char *row) {
    FILE *f = fopen(path_of(arena_printf(&world.arena, "spool/rejects/%s", name).ptr), "we");
    assert_non_null(f);
    (void)fprintf(f, "line,column,reason,text\n7,\"n\",\"no number\",\"x,1\"\n8,\"\",\"\",%s\n",
                  row);
    assert_int_equal(fclose(f), 0);
}

static void files_of_rejected_rows_that_hold_a_value_go(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("spool/rejects"), 0700), 0);
    put_rejects("word.csv", "\"1,of CAND-000001,x\"");
    put_rejects("short.csv", "\"1, Bo ,x\"");
    put_rejects("quotes.csv", "\"1,\"\"Lee \"\"\"\"Bob\"\"\"\" O\"\",Lee \"\"Bob\"\" O\"");
    put_rejects("lines.csv", "\"1,\nof CAND-000001\nx\"");
    put_rejects("clean.csv", "\"1,Bob,CAND-0000012\"");
    put_rejects("other.txt", "\"CAND-000001\"");
    assert_int_equal(sweep(), 0);
    assert_int_equal(swept.local_files, 4);
    assert_true(is_there("spool/rejects/clean.csv"));
    assert_true(is_there("spool/rejects/other.txt"));
    assert_int_equal(world_files(&world, "spool/rejects"), 2);
    assert_int_equal(sweep(), 0);
    assert_int_equal(swept.local_files, 0);
}

static void temporary_files_of_dead_writers_go(void **state) {
    (void)state;
    FILE *f = fopen(path_of("primary/.tmp/1-x"), "we");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(sweep(), 0);
    assert_false(is_there("primary/.tmp/1-x"));
}

static void a_dataset_that_cannot_be_read_does_not_keep_the_rest(void **state) {
    (void)state;
    struct catalog_dataset d;
    lake_write(TABLE_CREATE, "(SELECT 1 AS id, 'x' AS v)");
    lake_reopen(); // nothing of it is in the cache
    OK(catalog_dataset_get(world.catalog, STR("d"), &world.arena, &d, &err));
    eraser->options.catalog = world.catalog;
    eraser->options.tables = world.tables;
    eraser->options.upkeep = upkeep;
    OK(store_put(primary(), d.metadata, STR("{"), &err));
    put_old(arena_printf(&world.arena, STR_FMT "/data/x", STR_ARG(d.dir)).ptr, "x", 10);
    put_old("tables/z-0/data/1.parquet", "rows", 10);
    put_old("_catalog/content/a.json", "{}", 10);
    assert_int_equal(sweep(), 2);
    (void)removed(STR("tables/z-0/data/1.parquet"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(objects_that_nothing_leads_to_go),
        T(folders_of_no_dataset_go),
        T(what_may_be_a_write_under_way_stays),
        T(content_that_nothing_names_goes),
        T(beside_another_process_an_object_must_be_an_hour_old),
        T(what_this_process_holds_stays),
        T(files_of_rejected_rows_that_hold_a_value_go),
        T(temporary_files_of_dead_writers_go),
        T(a_dataset_that_cannot_be_read_does_not_keep_the_rest),
#undef T
    };
    return cmocka_run_group_tests_name("erase_sweep", tests, open_engine, close_engine);
}
