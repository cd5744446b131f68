// Statements that no guard has seen, sent to a worker: what they can reach, and that they end.
#include "worker/workers_test.h"

#include <dirent.h>

#include "base/arena.h"
#include "engine/engine.h"

#define CANARY "CANARY-7f3a" // in everything that no worker may see

enum { HOG_US = 300000 };

static struct house house;
static char data[64];    // folder of files, none of which a worker can open by itself
static char mine[128];   // one that is put there for the tests' statements
static char theirs[128]; // one that is put there for somebody else's

static void make_file(const char *path, const char *select) {
    struct err err = ERR_NONE;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct engine_options o = {.threads = 1};
    struct engine *e = NULL;
    struct session *s = NULL;
    struct engine_file_stats *stats = NULL;
    size_t count = 0;
    const struct engine_copy copy = {.select = str_from(select), .path = str_from(path)};
    OK(engine_open(&o, &e, &err));
    OK(session_open(e, &s, &err));
    OK(engine_copy_to(s, &copy, &a, &stats, &count, &err));
    session_close(s);
    engine_close(e);
}

static void make_files(void **state) {
    (void)state;
    char path[128];
    (void)snprintf(mine, sizeof(mine), "%s/mine.parquet", data);
    (void)snprintf(theirs, sizeof(theirs), "%s/theirs.parquet", data);
    (void)snprintf(path, sizeof(path), "%s/secret.txt", data);
    make_file(mine, "SELECT 'row ' || i AS s FROM range(5000) t(i)");
    make_file(theirs, "SELECT '" CANARY "' || i AS s FROM range(5000) t(i)");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(CANARY "\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
}

// With mine.parquet for the time of the statement.
static void ask_mine(const char *sql, int64_t limit_us, struct asked *ret) {
    const struct worker_file file = {str_from(mine), STR("mine.parquet")};
    struct worker_request r = request_of("me", sql, limit_us);
    r.files = &file;
    r.file_count = 1;
    ask_request(house.workers, &r, ret);
}

static void a_file_can_be_read_while_its_query_runs(void **state) {
    (void)state;
    struct asked a;
    ask_mine("SELECT max(s) || count(*) FROM read_parquet(['mine.parquet'])", 30 * SECOND, &a);
    assert_int_equal(a.code, ERR_OK);
    assert_string_equal(a.text.ptr, "row 9995000\n");
    asked_release(&a);
    ask(house.workers, "me", "SELECT count(*) FROM read_parquet(['mine.parquet'])", &a);
    assert_int_equal(a.code, ERR_IO);
    asked_release(&a);
    ask_mine("SELECT count(*)::VARCHAR FROM read_parquet(['mine.parquet'])", 30 * SECOND, &a);
    assert_string_equal(a.text.ptr, "5000\n");
    asked_release(&a);
}

static void when_one_file_has_gone_the_others_are_taken_back(void **state) {
    (void)state;
    const struct worker_file files[] = {{str_from(mine), STR("mine.parquet")},
                                        {STR("/nonexistent.parquet"), STR("b.parquet")}};
    struct worker_request r = request_of("me", "SELECT 1", 30 * SECOND);
    struct asked a;
    r.files = files;
    r.file_count = ARRAY_LEN(files);
    ask_request(house.workers, &r, &a);
    assert_int_equal(a.code, ERR_BUSY);
    asked_release(&a);
    ask(house.workers, "me", "SELECT count(*) FROM read_parquet(['mine.parquet'])", &a);
    assert_int_equal(a.code, ERR_IO);
    asked_release(&a);
}

// %s is the folder of the files. Each fails.
static const char *const failing[] = {
    "SELECT content FROM read_text('/etc/passwd')",
    "SELECT content FROM read_text('../../../../etc/passwd')",
    "SELECT content FROM read_text('file:///etc/passwd')",
    "SELECT content FROM read_text('%s/secret.txt')",
    "SELECT content::VARCHAR FROM read_blob('%s/secret.txt')",
    "SELECT * FROM read_csv('%s/secret.txt')",
    "SELECT * FROM read_json('%s/secret.txt')",
    "SELECT * FROM sniff_csv('%s/secret.txt')",
    "SELECT s FROM read_parquet('%s/theirs.parquet')",
    "SELECT s FROM '%s/theirs.parquet'",
    "SELECT s FROM read_parquet(['mine.parquet', '%s/theirs.parquet'])",
    "SELECT s FROM read_parquet('%s/*.parquet')",
    "SELECT s FROM read_parquet('../*/*.parquet')",
    "SELECT stats_max FROM parquet_metadata('%s/theirs.parquet')",
    "SELECT name FROM parquet_schema('%s/theirs.parquet')",
    "SELECT * FROM parquet_kv_metadata('%s/theirs.parquet')",
    "SELECT * FROM parquet_bloom_probe('%s/theirs.parquet', 's', 'x')",
    "SELECT file FROM glob('%s/*')",
    "SELECT file FROM glob('/*')",
    "SELECT content::VARCHAR FROM read_blob('/proc/self/environ')",
    "SELECT content::VARCHAR FROM read_blob('/proc/self/maps')",
    "SELECT content::VARCHAR FROM read_blob('/proc/1/environ')",
    "SELECT content::VARCHAR FROM read_blob('/proc/self/fd/3')",
    "SELECT content::VARCHAR FROM read_blob('/dev/null')",
    "SELECT getenv('TARN_CANARY')",
    "COPY (SELECT 1 AS a) TO 'new.parquet'",
    "COPY (SELECT 1 AS a) TO 'new.csv'",
    "COPY (SELECT 1 AS a) TO 'mine.parquet' (USE_TMP_FILE false)",
    "COPY (SELECT 1 AS a) TO '%s/new.csv'",
    "COPY (SELECT 1 AS a) TO '/dev/stdout'",
    "COPY (SELECT 1 AS a) TO 'folder' (FORMAT parquet, PARTITION_BY (a))",
    "EXPORT DATABASE 'x'",
    "EXPORT DATABASE '%s/x'",
    "IMPORT DATABASE '%s'",
    "ATTACH 'new.db'",
    "ATTACH '%s/new.db' AS n",
    "INSTALL httpfs",
    "INSTALL '%s/x.duckdb_extension'",
    "LOAD httpfs",
    "LOAD '%s/x.duckdb_extension'",
    "SELECT * FROM read_csv('https://127.0.0.1/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')",
    "SET threads = 64",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET allowed_paths = ['/etc/passwd']",
    "SET temp_directory = '%s'",
    "SET lock_configuration = false",
    "SET home_directory = '%s'",
    "SET extension_directory = '%s'",
    "SET allow_unsigned_extensions = true",
    "SET log_query_path = '%s/log'",
    "PRAGMA memory_limit='100GB'",
    "PRAGMA temp_directory='%s'",
    "RESET enable_external_access",
};

// Each may succeed, and shows nothing.
static const char *const harmless[] = {
    "SELECT file FROM glob('*')",
    "SELECT file FROM glob('./*')",
    "SELECT name || coalesce(value, '') FROM duckdb_settings()",
    "SELECT path FROM duckdb_databases()",
    "SELECT path::VARCHAR FROM duckdb_external_file_cache()",
    "SELECT path FROM duckdb_temporary_files()",
    "SELECT name FROM duckdb_secrets()",
    "SELECT sql FROM duckdb_tables()",
    "SELECT sql FROM sqlite_master",
    "SELECT current_setting('temp_directory')",
    "SELECT s FROM duckdb_logs() l(s)",
    "CALL enable_logging('FileSystem')",
    "PRAGMA enable_profiling",
    "PRAGMA disable_optimizer",
    "PRAGMA version",
    "ATTACH ':memory:' AS again",
    "ATTACH 'mine.parquet' AS view_of_it",
    "CHECKPOINT",
    "CREATE OR REPLACE MACRO lower(x) AS 'mine'",
    "CREATE TABLE kept AS SELECT * FROM read_parquet('mine.parquet')",
    "EXPLAIN SELECT * FROM read_parquet('mine.parquet')",
    "SELECT tarn_map(1, 'x')",
    "SELECT tarn_map(2, 'x')",
    "SELECT tarn_live(1, 0, 0)::VARCHAR",
    "SELECT tarn_sum(1, 1)::VARCHAR",
    "SELECT tarn_count(1, 'x')::VARCHAR",
};

static bool shows(const struct asked *a, const char *what) {
    return strstr(a->err.msg, what) != NULL || (a->text.ptr && strstr(a->text.ptr, what) != NULL);
}

static void ask_hostile(const char *form, struct asked *ret) {
    struct str rest = str_from(form);
    DEFER(buf_release) struct buf sql = BUF(1 << 16);
    for (ptrdiff_t at = str_find(rest, STR("%s")); at >= 0; at = str_find(rest, STR("%s"))) {
        buf_add_str(&sql, str_slice(rest, 0, (size_t)at));
        buf_add_cstr(&sql, data);
        rest = str_slice(rest, (size_t)at + 2, rest.len);
    }
    buf_add_str(&sql, rest);
    ask_mine(sql.ptr, 30 * SECOND, ret);
    if (shows(ret, CANARY) || shows(ret, "root:")) {
        fail_msg("%s shows: %s %s", form, ret->err.msg, ret->text.ptr ? ret->text.ptr : "");
    }
}

static void count_files(const char *folder, size_t *ret) {
    DIR *all = opendir(folder);
    assert_non_null(all);
    for (*ret = 0; readdir(all); (*ret)++) {
    }
    (void)closedir(all);
}

static void nothing_outside_is_reached(void **state) {
    (void)state;
    size_t before = 0;
    size_t after = 0;
    count_files(data, &before);
    for (size_t i = 0; i < ARRAY_LEN(failing); i++) {
        struct asked a;
        ask_hostile(failing[i], &a);
        if (a.code == ERR_OK) {
            fail_msg("%s: %s", failing[i], a.text.ptr ? a.text.ptr : "");
        }
        asked_release(&a);
    }
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
        struct asked a;
        ask_hostile(harmless[i], &a);
        asked_release(&a);
    }
    count_files(data, &after);
    assert_int_equal(before, after);
    struct asked a;
    ask_mine("SELECT max(s) FROM read_parquet('mine.parquet')", 30 * SECOND, &a);
    assert_string_equal(a.text.ptr, "row 999\n"); // nobody has written to it
    asked_release(&a);
}

// Where the other worker's file is now.
static bool find_theirs(char *ret, size_t size) {
    bool found = false;
    DIR *all = opendir(house.folder);
    assert_non_null(all);
    for (const struct dirent *e = readdir(all); e && !found; e = readdir(all)) {
        (void)snprintf(ret, size, "%s/%.60s/theirs.parquet", house.folder, e->d_name);
        found = access(ret, R_OK) == 0;
    }
    (void)closedir(all);
    return found;
}

static void a_file_of_another_worker_is_not_reached(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct worker_call *c = NULL;
    struct asked a;
    char path[256];
    char sql[512];
    const struct worker_file file = {str_from(theirs), STR("theirs.parquet")};
    struct worker_request r = request_of("them", "SELECT 1", 30 * SECOND);
    r.files = &file;
    r.file_count = 1;
    OK(worker_begin(house.workers, &r, &c, &err));
    assert_true(find_theirs(path, sizeof(path)));
    (void)snprintf(sql, sizeof(sql), "SELECT s FROM read_parquet('%s')", path);
    ask(house.workers, "me", sql, &a);
    assert_int_equal(a.code, ERR_REFUSED);
    assert_false(shows(&a, CANARY));
    asked_release(&a);
    worker_end(c);
    assert_false(find_theirs(path, sizeof(path)));
}

// What heeds neither time nor memory, much of it when it is planned.
static const char *const hogs[] = {
    "SELECT length(repeat('x', 3000000000))",
    "SELECT length(repeat(repeat('x', 100000), 100000))",
    "SELECT length(lpad('x', 2000000000, 'y'))",
    "SELECT length(rpad('x', 2000000000, 'y'))",
    "SELECT length(format('{:>2000000000}', 'x'))",
    "SELECT length(printf('%2000000000d', 1))",
    "SELECT levenshtein(repeat('ab', 90000), repeat('ba', 90000))",
    "SELECT damerau_levenshtein(repeat('ab', 20000), repeat('ba', 20000))",
    "SELECT jaccard(repeat('ab', 50000000), repeat('ba', 50000000))",
    "SELECT len(regexp_extract_all(repeat('a', 100000000), '.'))",
    "SELECT length(regexp_replace(repeat('a', 100000000), '.', 'bcd', 'g'))",
    "SELECT len(string_split(repeat('a,', 100000000), ','))",
    "SELECT length(replace(repeat('a', 100000000), 'a', repeat('b', 100)))",
    "SELECT len(list_transform(range(100000000), x -> x + 1))",
    "SELECT len(list_sort(range(100000000)))",
    "SELECT list_reduce(range(100000000), (x, y) -> x + y)",
    "SELECT len(flatten([range(50000000), range(50000000)]))",
    "SELECT length(to_json(range(100000000)))",
    "SELECT length(bitstring('1', 2000000000))",
    "SELECT length(base64(repeat('x', 1000000000)::BLOB))",
    "SELECT length(hex(repeat('x', 1000000000)))",
    "SELECT sha256(repeat('x', 1000000000))",
    "SELECT repeat('x', 1000000) FROM range(100000)",
    "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
    "SELECT list(i) FROM range(1000000000) t(i)",
    "SELECT count(*) FROM (SELECT i FROM range(1000000000) t(i) ORDER BY hash(i))",
    "SELECT count(DISTINCT i) FROM range(1000000000) t(i)",
    "SELECT string_agg(i::VARCHAR) FROM range(1000000000) t(i)",
};

static void whoever_takes_all_is_stopped(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hogs); i++) {
        struct asked a;
        ask_mine(hogs[i], HOG_US, &a);
        const bool fine = a.code == ERR_OK || a.code == ERR_TIMEOUT || a.code == ERR_TOO_LARGE ||
                          a.code == ERR_SQL || a.code == ERR_INTERNAL;
        if (!fine) {
            fail_msg("%s: %s", hogs[i], a.err.msg);
        }
        asked_release(&a);
        expect(house.workers, "me", "SELECT 'next'", "next\n");
    }
}

static void remove_files(void) {
    static const char *const names[] = {"mine.parquet", "theirs.parquet", "secret.txt"};
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", data, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(data);
}

int main(int argc, char **argv) {
    WORKERS_TEST_MAIN(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(make_files),
        cmocka_unit_test(a_file_can_be_read_while_its_query_runs),
        cmocka_unit_test(when_one_file_has_gone_the_others_are_taken_back),
        cmocka_unit_test(nothing_outside_is_reached),
        cmocka_unit_test(a_file_of_another_worker_is_not_reached),
        cmocka_unit_test(whoever_takes_all_is_stopped),
    };
    (void)snprintf(data, sizeof(data), "/tmp/tarn-hostile-XXXXXX");
    if (!mkdtemp(data) || setenv("TARN_CANARY", CANARY, 1) != 0) {
        return 1;
    }
    house_open(&house, 3, INT64_C(256) << 20);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    house_close(&house);
    remove_files();
    return failed;
}
