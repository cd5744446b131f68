// Tests of the engine's door: results, cancelling, errors, parsing and COPY against libduckdb.
#include "engine/engine.h"

#include "base/clock.h"
#include "base/ok_test.h"
#include "base/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct engine *engine;

static char folder[] = "/tmp/engine_test_XXXXXX";

static int open_engine(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    const struct engine_options o = {.threads = 2, .memory_bytes = 512 << 20};
    OK(engine_open(&o, &engine, &err));
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    engine_close(engine);
    return rmdir(folder);
}

static struct session *open_session(void) {
    struct session *s = NULL;
    OK(session_open(engine, &s, &err));
    return s;
}

static struct rows *query(struct session *s, const char *sql) {
    struct rows *r = NULL;
    OK(session_query(s, str_from(sql), &r, &err));
    return r;
}

static const struct vec_chunk *next(struct rows *r) {
    const struct vec_chunk *chunk = NULL;
    OK(rows_next(r, &chunk, &err));
    return chunk;
}

// The code of a statement's failure; its message and position in err.
static enum err_code failure(struct session *s, const char *sql) {
    err = ERR_NONE;
    DEFER(rows_closep) struct rows *r = NULL;
    TRY(session_query(s, str_from(sql), &r, &err));
    const struct vec_chunk *chunk = NULL;
    do {
        TRY(rows_next(r, &chunk, &err));
    } while (chunk);
    return ERR_OK;
}

static void the_version_is_the_tested_one(void **state) {
    (void)state;
    assert_string_equal(engine_version(), ENGINE_VERSION_TESTED);
}

static void settings_are_applied_and_locked(void **state) {
    (void)state;
    static const char *const expected[][2] = {
        {"TimeZone", "UTC"},
        {"threads", "2"},
        {"memory_limit", "512.0 MiB"},
        {"temp_directory", ""},
        {"autoload_known_extensions", "false"},
        {"autoinstall_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"parquet_metadata_cache", "true"},
        {"preserve_insertion_order", "true"},
        {"lock_configuration", "true"},
    };
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct str value = STR_NONE;
        const struct str sql =
            arena_printf(&a, "SELECT current_setting('%s')::VARCHAR", expected[i][0]);
        OK(session_text(s, sql, &a, &value, &err));
        assert_str(value, expected[i][1]);
    }
    assert_int_equal(session_run(s, STR("SET threads = 8"), &err), ERR_SQL);
    assert_non_null(strstr(err.msg, "locked"));
}

static void an_engine_without_files_opens_none(void **state) {
    (void)state;
    static const char *const statements[] = {
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/engine_test_never.csv'",
        "ATTACH '/tmp/engine_test_never.db'",
        "INSTALL httpfs",
    };
    const struct engine_options o = {.threads = 1, .memory_bytes = 64 << 20, .no_files = true};
    struct engine *e = NULL;
    struct session *s = NULL;
    OK(engine_open(&o, &e, &err));
    OK(session_open(e, &s, &err));
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        const enum err_code code = failure(s, statements[i]);
        if (code != ERR_REFUSED && code != ERR_SQL) {
            fail_msg("%s: %s %s", statements[i], err_text(code), err.msg);
        }
    }
    assert_int_equal(access("/tmp/engine_test_never.csv", F_OK), -1);
    session_close(s);
    engine_close(e);
}

static int64_t resident_bytes(void) {
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d %lld", &pages), 1);
    (void)fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void rows_stream_with_bounded_memory(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    // Ten thousand times what memory holds: only a stream can begin it and stop in the middle.
    DEFER(rows_closep)
    struct rows *r = query(s, "SELECT i, 'row number ' || i AS t FROM range(100000000000) r(i)");
    (void)next(r);
    const int64_t before = resident_bytes();
    int64_t expected = 2048;
    for (int n = 0; n < 1000; n++) {
        const struct vec_chunk *chunk = next(r);
        const int64_t *i = chunk->columns[0].data;
        assert_int_equal(i[0], expected);
        expected += (int64_t)chunk->rows;
    }
    assert_true(resident_bytes() - before < 64 << 20);
}

static void a_failed_stream_is_not_an_end(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(rows_closep)
    struct rows *r = query(s, "SELECT CASE WHEN i = 3000000 THEN error('boom')::BIGINT ELSE i END"
                              " FROM range(4000000) r(i)");
    const struct vec_chunk *chunk = NULL;
    enum err_code code = ERR_OK;
    size_t rows = 0;
    do {
        code = rows_next(r, &chunk, &err);
        rows += code == ERR_OK && chunk ? chunk->rows : 0;
    } while (code == ERR_OK && chunk);
    assert_int_equal(code, ERR_SQL);
    assert_string_equal(err.msg, "Invalid Input Error: boom");
    assert_in_range(rows, 1, 3000000);
    assert_int_not_equal(rows_next(r, &chunk, &err), ERR_OK);
}

static void an_end_stays_an_end(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(rows_closep) struct rows *r = query(s, "SELECT 1 WHERE false");
    assert_int_equal(rows_column_count(r), 1);
    assert_null(next(r));
    assert_null(next(r));
    DEFER(rows_closep) struct rows *set = query(s, "CREATE TEMP TABLE t (a INTEGER)");
    while (next(set)) {
    }
}

static void sessions_see_nothing_of_each_other(void **state) {
    (void)state;
    struct session *s = open_session();
    OK(session_run(s, STR("CREATE TEMP TABLE mine AS SELECT 1; SET VARIABLE x = 1"), &err));
    session_close(s);
    s = open_session();
    assert_int_equal(failure(s, "FROM mine"), ERR_SQL);
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str value = STR("x");
    OK(session_text(s, STR("SELECT getvariable('x')::VARCHAR"), &a, &value, &err));
    assert_int_equal(value.len, 0);
    session_close(s);
}

static void small_answers_are_text(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"SELECT 'a'", "a"},           {"SELECT true", "true"},      {"SELECT 42", "42"},
        {"SELECT -42::BIGINT", "-42"}, {"SELECT NULL::VARCHAR", ""}, {"SELECT 1 WHERE false", ""},
    };
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str value = STR_NONE;
        OK(session_text(s, str_from(cases[i][0]), &a, &value, &err));
        assert_str(value, cases[i][1]);
    }
}

static void an_argument_is_data(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(rows_closep) struct rows *r = NULL;
    OK(session_query_text(s, "SELECT ?::VARCHAR", STR("'; DROP TABLE x\0y"), &r, &err));
    const struct vec_chunk *chunk = next(r);
    assert_true(str_eq(vec_str(&chunk->columns[0], 0), STR("'; DROP TABLE x\0y")));
}

static void types_have_their_sql_text(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        enum vec_kind kind;
    } cases[] = {
        {"BOOLEAN", VEC_BOOL},
        {"TINYINT", VEC_INT8},
        {"SMALLINT", VEC_INT16},
        {"INTEGER", VEC_INT32},
        {"BIGINT", VEC_INT64},
        {"UTINYINT", VEC_UINT8},
        {"USMALLINT", VEC_UINT16},
        {"UINTEGER", VEC_UINT32},
        {"UBIGINT", VEC_UINT64},
        {"HUGEINT", VEC_HUGEINT},
        {"UHUGEINT", VEC_UHUGEINT},
        {"FLOAT", VEC_FLOAT},
        {"DOUBLE", VEC_DOUBLE},
        {"DECIMAL(10,2)", VEC_DECIMAL},
        {"DATE", VEC_DATE},
        {"TIME", VEC_TIME},
        {"TIME WITH TIME ZONE", VEC_TIMETZ},
        {"TIMESTAMP", VEC_TIMESTAMP},
        {"TIMESTAMP_S", VEC_TIMESTAMP_S},
        {"TIMESTAMP_MS", VEC_TIMESTAMP_MS},
        {"TIMESTAMP_NS", VEC_TIMESTAMP_NS},
        {"TIMESTAMP WITH TIME ZONE", VEC_TIMESTAMPTZ},
        {"INTERVAL", VEC_INTERVAL},
        {"VARCHAR", VEC_VARCHAR},
        {"JSON", VEC_JSON},
        {"BLOB", VEC_BLOB},
        {"BIT", VEC_BIT},
        {"UUID", VEC_UUID},
        {"ENUM('a', 'b''c')", VEC_ENUM},
        {"INTEGER[]", VEC_LIST},
        {"VARCHAR[3]", VEC_ARRAY},
        {"STRUCT(a INTEGER, \"b c\" JSON[])[]", VEC_LIST},
        {"STRUCT(\"select\" INTEGER, \"a\"\"b\" INTEGER)", VEC_STRUCT},
        {"MAP(VARCHAR, DECIMAL(38,10)[])", VEC_MAP},
        {"UNION(a INTEGER, b VARCHAR)", VEC_UNION},
    };
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(rows_closep)
        struct rows *r = query(s, arena_printf(&a, "SELECT NULL::%s AS c", cases[i].sql).ptr);
        assert_int_equal(rows_column_type(r, 0)->kind, cases[i].kind);
        assert_str(rows_column_type(r, 0)->text, cases[i].sql);
        assert_str(rows_column_name(r, 0), "c");
    }
}

static void every_keyword_can_name_a_field(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(session_closep) struct session *other = open_session();
    DEFER(arena_release) struct arena a = ARENA(16 << 20);
    DEFER(rows_closep) struct rows *r = query(s, "SELECT keyword_name FROM duckdb_keywords()");
    for (const struct vec_chunk *chunk = next(r); chunk; chunk = next(r)) {
        for (size_t i = 0; i < chunk->rows; i++) {
            const struct str word = sql_ident(vec_str(&chunk->columns[0], i), &a);
            DEFER(rows_closep)
            struct rows *typed = query(
                other, arena_printf(&a, "SELECT NULL::STRUCT(" STR_FMT " INT)", STR_ARG(word)).ptr);
            const struct str text = rows_column_type(typed, 0)->text;
            DEFER(rows_closep)
            struct rows *again =
                query(other, arena_printf(&a, "SELECT NULL::" STR_FMT, STR_ARG(text)).ptr);
            assert_true(str_eq(rows_column_type(again, 0)->text, text));
        }
    }
}

static void nested_values_stand_where_the_header_says(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(rows_closep)
    struct rows *r =
        query(s, "SELECT [i, NULL, i + 2], {'a': i, 'b': 'text that is longer than twelve ' || i},"
                 " MAP {'k' || i: [i::DOUBLE]}, [i, i + 1]::INTEGER[2],"
                 " CASE WHEN i % 2 = 0 THEN i::UNION(n BIGINT, s VARCHAR) ELSE 'odd' END, "
                 "'b'::ENUM('a', 'b'), NULL"
                 " FROM range(5000) t(i)");
    int64_t row = 0;
    for (const struct vec_chunk *chunk = next(r); chunk; chunk = next(r)) {
        const struct vec *c = chunk->columns;
        for (size_t i = 0; i < chunk->rows; i++, row++) {
            const struct vec_list list = ((const struct vec_list *)c[0].data)[i];
            const struct vec *items = &c[0].children[0];
            assert_int_equal(list.length, 3);
            assert_int_equal(((const int64_t *)items->data)[list.offset + 2], row + 2);
            assert_true(vec_is_null(items, list.offset + 1));

            assert_int_equal(((const int64_t *)c[1].children[0].data)[i], row);
            assert_true(str_starts(vec_str(&c[1].children[1], i), STR("text that")));

            const struct vec_list map = ((const struct vec_list *)c[2].data)[i];
            const struct vec *pair = &c[2].children[0];
            assert_int_equal(map.length, 1);
            assert_int_equal(vec_str(&pair->children[0], map.offset).ptr[0], 'k');

            const int32_t *fixed = c[3].children[0].data;
            assert_int_equal(fixed[2 * i + 1], row + 1);

            assert_int_equal(((const uint8_t *)c[4].children[0].data)[i], row % 2);
            assert_int_equal(((const uint8_t *)c[5].data)[i], 1);
            assert_true(vec_is_null(&c[6], i));
        }
    }
    assert_int_equal(row, 5000);
}

static void types_without_a_layout_are_refused(void **state) {
    (void)state;
    static const char *const types[] = {"BIGNUM", "TIME_NS", "VARIANT", "GEOMETRY"};
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const struct str sql = arena_printf(&a, "SELECT [NULL::%s] AS x", types[i]);
        assert_int_equal(failure(s, sql.ptr), ERR_SQL);
        assert_non_null(strstr(err.msg, types[i]));
        assert_non_null(strstr(err.msg, "cast it to VARCHAR"));
    }
    assert_int_equal(failure(s, "SELECT 1"), ERR_OK);
}

static void errors_have_code_text_and_place(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        enum err_code code;
        const char *msg;
        int64_t position;
    } cases[] = {
        {"SELECT nope FROM (SELECT 1 a)", ERR_SQL, "Binder Error: Referenced column \"nope\"", 7},
        {"SELECT 1,\n  'äöü', nope", ERR_SQL, "Binder Error: Referenced column \"nope\"", 22},
        {"SELECT "
         "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
         ", nope, "
         "'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'",
         ERR_SQL, "Binder Error: Referenced column \"nope\"", 92},
        {"SELEC 1", ERR_SQL, "Parser Error: syntax error at or near \"SELEC\"", 0},
        {"SELECT 'a'::INTEGER", ERR_SQL, "Conversion Error: Could not convert", 10},
        {"SELECT * FROM nosuch", ERR_SQL, "Catalog Error: Table with name nosuch", 14},
        {"SELECT * FROM read_parquet('/nonexistent.parquet')", ERR_IO,
         "IO Error: No files found that match the pattern \"nonexistent.parquet\"", 14},
        {"SELECT * FROM read_parquet('/no/such/folder/x.parquet')", ERR_IO,
         "IO Error: No files found that match the pattern \"x.parquet\"", 14},
        {"SELECT '/no/such/folder/x'::INTEGER", ERR_SQL,
         "Conversion Error: Could not convert string '/no/such/folder/x'", 26},
        {"SELECT error('a' || chr(10) || 'LINE up')", ERR_SQL, "Invalid Input Error: a", -1},
        {"SELECT count(*) FROM (SELECT DISTINCT i, i || 'abcdefghijklmnop' FROM range(50000000)"
         " t(i))",
         ERR_TOO_LARGE, "Out of Memory Error", -1},
    };
    DEFER(session_closep) struct session *s = open_session();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const enum err_code code = failure(s, cases[i].sql);
        if (code != cases[i].code || err.position != cases[i].position ||
            !str_starts(str_from(err.msg), str_from(cases[i].msg))) {
            fail_msg("%s: %s at %lld: %s", cases[i].sql, err_text(code), (long long)err.position,
                     err.msg);
        }
        assert_null(strstr(err.msg, "LINE 1"));
        assert_null(strstr(err.msg, "SET ")); // advice that nobody here can follow
    }
}

static void a_statement_with_a_nul_is_refused(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct str sql = STR("SELECT 1\0; DROP TABLE x");
    struct rows *r = NULL;
    struct str json = STR_NONE;
    assert_int_equal(session_query(s, sql, &r, &err), ERR_INVALID);
    assert_int_equal(err.position, 8);
    assert_int_equal(session_run(s, sql, &err), ERR_INVALID);
    assert_int_equal(engine_parse(engine, sql, &a, &json, &err), ERR_INVALID);
}

static const char endless[] =
    "SELECT sum(sqrt(a.i * b.i)) FROM range(10000000) a(i), range(10000000) b(i)";

static void *interrupt_soon(void *arg) {
    (void)usleep(100000);
    session_interrupt(arg);
    return NULL;
}

static void an_interrupt_ends_the_running_statement(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    const pthread_t thread = threads_start("test", interrupt_soon, s);
    assert_int_equal(failure(s, endless), ERR_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    // It stays so until the session is closed.
    assert_int_equal(failure(s, "SELECT 1"), ERR_CANCELLED);
    assert_int_equal(session_run(s, STR("SELECT 1"), &err), ERR_CANCELLED);
}

static void an_interrupt_between_two_fetches_ends_the_stream(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(rows_closep) struct rows *r = query(s, "FROM range(10000000000)");
    assert_non_null(next(r));
    session_interrupt(s);
    const struct vec_chunk *chunk = NULL;
    assert_int_equal(rows_next(r, &chunk, &err), ERR_CANCELLED);
}

static void a_deadline_ends_the_running_statement(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    const int64_t begin = clock_mono_us();
    session_deadline(s, begin + 200000);
    assert_int_equal(failure(s, endless), ERR_TIMEOUT);
    assert_true(clock_mono_us() - begin >= 200000);
    assert_int_equal(failure(s, "SELECT 1"), ERR_TIMEOUT);
    session_deadline(s, 0);
    assert_int_equal(failure(s, "SELECT 1"), ERR_OK);
    session_deadline(s, clock_mono_us() + 60000000);
    assert_int_equal(failure(s, "SELECT 1"), ERR_OK);
}

static void the_earliest_deadline_comes_first(void **state) {
    (void)state;
    DEFER(session_closep) struct session *late = open_session();
    DEFER(session_closep) struct session *early = open_session();
    session_deadline(late, clock_mono_us() + 60000000);
    DEFER(rows_closep) struct rows *r = query(late, "FROM range(10000000000)");
    assert_non_null(next(r));
    session_deadline(early, clock_mono_us() + 200000);
    assert_int_equal(failure(early, endless), ERR_TIMEOUT);
    assert_non_null(next(r));
}

static void *run_until_interrupted(void *arg) {
    return failure(arg, endless) == ERR_CANCELLED ? arg : NULL;
}

// The interrupt may come at any moment of the call's beginning, where the engine forgets it.
static void an_interrupt_is_never_lost(void **state) {
    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        DEFER(session_closep) struct session *s = open_session();
        const pthread_t thread = threads_start("test", run_until_interrupted, s);
        (void)usleep(i * 40);
        session_interrupt(s);
        void *ended = NULL;
        assert_int_equal(pthread_join(thread, &ended), 0);
        assert_ptr_equal(ended, s);
    }
}

// Many times, since the engine loses the reason only when a thread meets another's failure.
static void a_failing_statement_gives_its_reason(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++) {
        DEFER(session_closep) struct session *s = open_session();
        DEFER(rows_closep) struct rows *r = NULL;
        const struct vec_chunk *chunk = NULL;
        const struct str sql = STR("SELECT CASE WHEN i < 90000 THEN 'x' ELSE error('late') END "
                                   "FROM range(100000) t(i)");
        enum err_code code = session_query(s, sql, &r, &err);
        do {
            code = code == ERR_OK ? rows_next(r, &chunk, &err) : code;
        } while (code == ERR_OK && chunk);
        assert_int_equal(code, ERR_SQL);
        assert_non_null(strstr(err.msg, "late"));
    }
}

static void a_failing_copy_gives_its_reason(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        DEFER(session_closep) struct session *s = open_session();
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct engine_file_stats *files = NULL;
        size_t count = 0;
        const struct engine_copy copy = {
            .select = STR("SELECT CASE WHEN i < 290000 THEN 'x' ELSE error('late') END AS s "
                          "FROM range(300000) t(i)"),
            .path = arena_printf(&a, "%s/late.parquet", folder),
        };
        assert_int_equal(engine_copy_to(s, &copy, &a, &files, &count, &err), ERR_SQL);
        assert_non_null(strstr(err.msg, "late"));
    }
}

static void a_query_parses_and_comes_back(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"select a,b from t where c=1 -- x", "SELECT a, b FROM t WHERE (c = 1)"},
        {"from t", "SELECT * FROM t"},
        {"select '\"query_location\":18446744073709551615'",
         "SELECT '\"query_location\":18446744073709551615'"},
        {"select ',\"query_location\":18446744073709551615'",
         "SELECT ',\"query_location\":18446744073709551615'"},
    };
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str json = STR_NONE;
        struct str sql = STR_NONE;
        struct str again = STR_NONE;
        OK(engine_parse(engine, str_from(cases[i][0]), &a, &json, &err));
        assert_true(str_starts(json, STR("{\"error\":false,\"statements\":[")));
        OK(engine_unparse(engine, json, &a, &sql, &again, &err));
        assert_str(sql, cases[i][1]);
        OK(engine_parse(engine, sql, &a, &json, &err));
        assert_true(str_eq(json, again));
    }
}

static void numbers_of_the_tree_fit_int64(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str json = STR_NONE;
    OK(engine_parse(engine, STR("WITH x AS (SELECT 1) SELECT (SELECT 2) FROM x, y"), &a, &json,
                    &err));
    assert_true(str_find(json, STR("18446744073709551615")) < 0);
    assert_true(str_find(json, STR("\"query_location\":")) >= 0);
}

static void parsing_refuses_what_is_no_query(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        enum err_code code;
        int64_t position;
    } cases[] = {
        {"SELEC 1", ERR_SQL, 0},
        {"SELECT 'äöü', FROM SELECT", ERR_SQL, 22},
        {"SELECT ((", ERR_SQL, 9},
        {"INSERT INTO t VALUES (1)", ERR_REFUSED, -1},
        {"SET threads = 1", ERR_REFUSED, -1},
        {"PRAGMA version", ERR_REFUSED, -1},
        {"COPY t TO 'x'", ERR_REFUSED, -1},
        {"EXPLAIN SELECT 1", ERR_REFUSED, -1},
        {"SELECT '\xff'", ERR_INVALID, -1},
    };
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str json = STR_NONE;
        err = ERR_NONE;
        const enum err_code code = engine_parse(engine, str_from(cases[i].sql), &a, &json, &err);
        if (code != cases[i].code || err.position != cases[i].position) {
            fail_msg("%s: %s at %lld: %s", cases[i].sql, err_text(code), (long long)err.position,
                     err.msg);
        }
    }
    struct str sql = STR_NONE;
    struct str again = STR_NONE;
    assert_int_not_equal(engine_unparse(engine, STR("{}"), &a, &sql, &again, &err), ERR_OK);
    assert_int_not_equal(engine_unparse(engine, STR("[nonsense"), &a, &sql, &again, &err), ERR_OK);
}

static void parsing_has_no_side_effects(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    OK(session_run(s, STR("CREATE SEQUENCE parse_test"), &err));
    struct str json = STR_NONE;
    (void)engine_parse(engine, STR("SELECT 1; PRAGMA nosuch(nextval('parse_test'))"), &a, &json,
                       &err);
    OK(session_text(s, STR("SELECT nextval('parse_test')"), &a, &json, &err));
    assert_str(json, "1");
}

static void *parse_many(void *arg) {
    for (int i = 0; i < 200; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct str json = STR_NONE;
        OK(engine_parse(engine, STR("SELECT a FROM t"), &a, &json, &err));
    }
    return arg;
}

static void many_threads_may_parse(void **state) {
    (void)state;
    pthread_t threads[12];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("parse", parse_many, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static const struct engine_column_stats *column(const struct engine_file_stats *f,
                                                const char *path) {
    for (size_t i = 0; i < f->column_count; i++) {
        if (str_is(f->columns[i].path, path)) {
            return &f->columns[i];
        }
    }
    fail_msg("no column %s", path);
    return NULL;
}

static void copy_writes_a_file_and_its_statistics(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct engine_copy c = {
        .select = STR("SELECT i AS a, {'x': i / 2, 'y': NULL::VARCHAR} AS st, [i] AS l, 'v' || i AS"
                      " \"odd \"\"na.me\", CASE i WHEN 0 THEN 'nan'::DOUBLE ELSE i END AS d"
                      " FROM range(1000) t(i) -- comment"),
        .path = arena_printf(&a, "%s/it's.parquet", folder),
        .field_ids = STR("{a: 1, st: {__duckdb_field_id: 2, x: 3, y: 4}}"),
        .kv = STR("{'iceberg.schema': '{}'}"),
    };
    struct engine_file_stats *f = NULL;
    size_t count = 0;
    OK(engine_copy_to(s, &c, &a, &f, &count, &err));
    assert_int_equal(count, 1);
    assert_true(str_eq(f->path, c.path));
    assert_int_equal(f->rows, 1000);
    assert_true(f->bytes > 1000 && f->footer_bytes > 100 && f->footer_bytes < f->bytes);
    assert_int_equal(f->column_count, 6);

    const struct engine_column_stats *stats = column(f, "a");
    assert_str(stats->min, "0");
    assert_str(stats->max, "999");
    assert_true(stats->num_values == 1000 && stats->null_count == 0 && stats->column_bytes > 0);
    assert_false(stats->nan_known);
    stats = column(f, "st.y");
    assert_int_equal(stats->part_count, 2);
    assert_str(stats->parts[1], "y");
    assert_true(!stats->has_min && !stats->has_max && stats->null_count == 1000);
    stats = column(f, "odd \"na.me");
    assert_int_equal(stats->part_count, 1);
    assert_true(column(f, "d")->nan_known && column(f, "d")->has_nan);
    assert_true(column(f, "st.x")->nan_known && !column(f, "st.x")->has_nan);

    struct str ids = STR_NONE;
    const struct str path = sql_literal(c.path, &a);
    OK(session_text(
        s,
        arena_printf(&a,
                     "SELECT string_agg(name || field_id, ' ') FROM parquet_schema(" STR_FMT
                     ") WHERE field_id IS NOT NULL",
                     STR_ARG(path)),
        &a, &ids, &err));
    assert_str(ids, "a1 st2 x3 y4");
    assert_int_equal(unlink(c.path.ptr), 0);
}

static void copy_can_write_several_files(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct engine_copy c = {.select = STR("SELECT i, hash(i) AS h FROM range(2000000) t(i)"),
                                  .path = arena_printf(&a, "%s/files", folder),
                                  .file_bytes = 4 << 20};
    struct engine_file_stats *f = NULL;
    size_t count = 0;
    OK(engine_copy_to(s, &c, &a, &f, &count, &err));
    assert_true(count > 1);
    int64_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        rows += f[i].rows;
        assert_int_equal(f[i].column_count, 2);
        assert_int_equal(unlink(arena_cstr(&a, f[i].path)), 0);
    }
    assert_int_equal(rows, 2000000);
    assert_int_equal(rmdir(c.path.ptr), 0);
}

static void copy_bounds_its_row_groups(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct engine_copy c = {.select = STR("SELECT i FROM range(10000) t(i)"),
                                  .path = arena_printf(&a, "%s/groups.parquet", folder),
                                  .group_rows = 2048};
    struct engine_file_stats *f = NULL;
    size_t count = 0;
    OK(engine_copy_to(s, &c, &a, &f, &count, &err));
    struct str most = STR_NONE;
    const struct str path = sql_literal(c.path, &a);
    OK(session_text(
        s,
        arena_printf(&a,
                     "SELECT max(row_group_num_rows)::VARCHAR FROM parquet_metadata(" STR_FMT ")",
                     STR_ARG(path)),
        &a, &most, &err));
    assert_str(most, "2048");
    assert_int_equal(unlink(c.path.ptr), 0);
}

static void copy_fails_with_a_reason(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct engine_copy c = {.select = STR("SELECT 1 AS a"), .path = STR("/nonexistent/x.parquet")};
    struct engine_file_stats *f = NULL;
    size_t count = 0;
    assert_int_equal(engine_copy_to(s, &c, &a, &f, &count, &err), ERR_IO);
    c.select = STR("SELECT error('boom') AS a");
    c.path = arena_printf(&a, "%s/never.parquet", folder);
    assert_int_equal(engine_copy_to(s, &c, &a, &f, &count, &err), ERR_SQL);
    (void)unlink(c.path.ptr);
}

static void a_late_false_is_false_in_queries_copies_and_errors(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct engine_copy c = {.select = STR("SELECT i FROM range(3) t(i)"),
                            .path = arena_printf(&a, "%s/p=7.parquet", folder)};
    struct engine_file_stats *f = NULL;
    size_t count = 0;
    OK(engine_copy_to(s, &c, &a, &f, &count, &err));
    const struct str reader = arena_printf(
        &a, "read_parquet(['" STR_FMT "'], union_by_name=" ENGINE_FALSE_LATE ")", STR_ARG(c.path));
    struct str answer = STR_NONE;
    const struct str twice =
        arena_printf(&a, "SELECT count(*) FROM " STR_FMT " a JOIN " STR_FMT " b ON a.i < b.i",
                     STR_ARG(reader), STR_ARG(reader));
    OK(session_text(s, twice, &a, &answer, &err));
    assert_str(answer, "3");
    const struct str first = c.path;
    c.select = arena_printf(&a, "SELECT * FROM " STR_FMT " WHERE i > 0", STR_ARG(reader));
    c.path = arena_printf(&a, "%s/copy.parquet", folder);
    OK(engine_copy_to(s, &c, &a, &f, &count, &err));
    assert_int_equal(f->rows, 2);
    const struct str wrong = arena_printf(&a, "SELECT j FROM " STR_FMT, STR_ARG(reader));
    assert_int_equal(failure(s, wrong.ptr), ERR_SQL);
    assert_int_equal(err.position, 7);
    assert_int_equal(unlink(first.ptr), 0);
    assert_int_equal(unlink(c.path.ptr), 0);
}

static int64_t count_letters(void *ctx, struct str text) {
    const char *letter = ctx;
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += text.ptr[i] == *letter ? 1 : 0;
    }
    return n;
}

static void texts_are_counted_in_as_they_pass(void **state) {
    (void)state;
    DEFER(session_closep) struct session *s = open_session();
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    char letter = 'a';
    const struct engine_counter counter = {count_letters, &letter};
    const int64_t id = engine_count_begin(engine, &counter);
    struct str answer = STR_NONE;
    OK(session_text(s,
                    arena_printf(&a,
                                 "SELECT sum(tarn_count(%lld, t)) || ' ' || "
                                 "sum(tarn_count(%lld, '\\x00a\\xFFa'::BLOB)) FROM (SELECT CASE "
                                 "WHEN i %% 3 = 0 THEN NULL WHEN i %% 3 = 1 THEN 'banana' ELSE "
                                 "'a longer text with an ' || i END AS t FROM range(6000) r(i))",
                                 (long long)id, (long long)id),
                    &a, &answer, &err));
    assert_str(answer, "10000 12000");
    engine_count_end(engine, id);
    assert_int_equal(failure(s, "SELECT tarn_count(12345, 'a')"), ERR_SQL);
}

struct two_chunks {
    struct vec_chunk chunk;
    int asked, closed;
    bool fails;
};

static enum err_code next_of_two(void *ctx, const struct vec_chunk **ret_chunk, struct err *e) {
    struct two_chunks *c = ctx;
    if (++c->asked == 2 && c->fails) {
        return err_set(e, ERR_DATA, "no second chunk");
    }
    *ret_chunk = c->asked <= 2 ? &c->chunk : NULL;
    return ERR_OK;
}

static void close_two(void *ctx) {
    ((struct two_chunks *)ctx)->closed++;
}

static void rows_can_come_from_elsewhere(void **state) {
    (void)state;
    const struct str names[] = {STR("a"), STR("b")};
    const struct vec_type types[] = {{.kind = VEC_INT32}, {.kind = VEC_VARCHAR}};
    struct two_chunks chunks = {.chunk = {.rows = 3}};
    const struct rows_source source = {2, names, types, next_of_two, close_two, &chunks};
    struct rows *r = rows_from(&source);
    assert_int_equal(rows_column_count(r), 2);
    assert_str(rows_column_name(r, 1), "b");
    assert_int_equal(rows_column_type(r, 1)->kind, VEC_VARCHAR);
    assert_ptr_equal(next(r), &chunks.chunk);
    assert_ptr_equal(next(r), &chunks.chunk);
    assert_null(next(r));
    assert_null(next(r));
    assert_int_equal(chunks.asked, 3);
    rows_close(r);
    assert_int_equal(chunks.closed, 1);

    chunks = (struct two_chunks){.fails = true};
    r = rows_from(&source);
    assert_non_null(next(r));
    const struct vec_chunk *chunk = NULL;
    assert_int_equal(rows_next(r, &chunk, &err), ERR_DATA);
    assert_null(chunk);
    rows_close(r);
    assert_int_equal(chunks.closed, 1);
}

static void texts_are_quoted(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    assert_str(sql_literal(STR("it's"), &a), "'it''s'");
    assert_str(sql_literal(STR_NONE, &a), "''");
    assert_str(sql_ident(STR("a\"b"), &a), "\"a\"\"b\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_the_tested_one),
        cmocka_unit_test(settings_are_applied_and_locked),
        cmocka_unit_test(an_engine_without_files_opens_none),
        cmocka_unit_test(rows_stream_with_bounded_memory),
        cmocka_unit_test(a_failed_stream_is_not_an_end),
        cmocka_unit_test(an_end_stays_an_end),
        cmocka_unit_test(sessions_see_nothing_of_each_other),
        cmocka_unit_test(small_answers_are_text),
        cmocka_unit_test(an_argument_is_data),
        cmocka_unit_test(types_have_their_sql_text),
        cmocka_unit_test(every_keyword_can_name_a_field),
        cmocka_unit_test(nested_values_stand_where_the_header_says),
        cmocka_unit_test(types_without_a_layout_are_refused),
        cmocka_unit_test(errors_have_code_text_and_place),
        cmocka_unit_test(a_statement_with_a_nul_is_refused),
        cmocka_unit_test(an_interrupt_ends_the_running_statement),
        cmocka_unit_test(an_interrupt_between_two_fetches_ends_the_stream),
        cmocka_unit_test(a_deadline_ends_the_running_statement),
        cmocka_unit_test(the_earliest_deadline_comes_first),
        cmocka_unit_test(an_interrupt_is_never_lost),
        cmocka_unit_test(a_failing_statement_gives_its_reason),
        cmocka_unit_test(a_failing_copy_gives_its_reason),
        cmocka_unit_test(a_query_parses_and_comes_back),
        cmocka_unit_test(numbers_of_the_tree_fit_int64),
        cmocka_unit_test(parsing_refuses_what_is_no_query),
        cmocka_unit_test(parsing_has_no_side_effects),
        cmocka_unit_test(many_threads_may_parse),
        cmocka_unit_test(copy_writes_a_file_and_its_statistics),
        cmocka_unit_test(copy_can_write_several_files),
        cmocka_unit_test(copy_bounds_its_row_groups),
        cmocka_unit_test(copy_fails_with_a_reason),
        cmocka_unit_test(a_late_false_is_false_in_queries_copies_and_errors),
        cmocka_unit_test(texts_are_counted_in_as_they_pass),
        cmocka_unit_test(rows_can_come_from_elsewhere),
        cmocka_unit_test(texts_are_quoted),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
