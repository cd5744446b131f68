// Tests of the guard against the traps that are known: each rule once, by name, and the list of
// functions against what the engine has.

#include "guard/guard_functions.h"
#include "guard/parser_test.h"

#include <stdio.h>
#include <stdlib.h>

// Table functions that make rows of their arguments.
static const char rows_of_arguments[] = " unnest range generate_series json_each json_tree repeat ";

static struct session *session; // of the parser

static int setup(void **state) {
    struct err err = ERR_NONE;
    (void)open_parser(state);
    assert_int_equal(session_open(parser, &session, &err), ERR_OK);
    static const char things[] =
        "CREATE SEQUENCE s; CREATE TABLE canary_7c1e (canary_column INTEGER);"
        "CREATE SCHEMA raw; CREATE TABLE raw.r AS SELECT 'canary-value' AS email;"
        "CREATE VIEW canary_view AS SELECT md5(email || 'canary-salt') AS email FROM raw.r;"
        "CREATE TYPE canary_mood AS ENUM ('a')";
    assert_int_equal(session_run(session, str_from(things), &err), ERR_OK);
    return 0;
}

static int teardown(void **state) {
    session_close(session);
    return close_parser(state);
}

static void assert_refused(const char *sql) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    const enum err_code code = check_statement(str_from(sql), &a, &g, &err);
    if (code != ERR_REFUSED && code != ERR_SQL) {
        fail_msg("%s: %s %s", sql, err_text(code), err.msg);
    }
    // Whatever the engine has, the message tells no more than the client has said.
    assert_true(!strstr(err.msg, "canary") || strstr(sql, "canary"));
}

static void assert_all_refused(const char *const *statements, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_refused(statements[i]);
    }
}

static struct str value_of(const char *sql, struct arena *a) {
    struct str ret = STR_NONE;
    struct err err = ERR_NONE;
    if (session_text(session, str_from(sql), a, &ret, &err) != ERR_OK) {
        fail_msg("%s: %s", sql, err.msg);
    }
    return ret;
}

// ---- Nine traps

// 1. Nothing of a statement is evaluated while it is looked at.
static void looking_at_a_statement_changes_nothing(void **state) {
    static const char *const texts[] = {
        "SELECT 1; PRAGMA nosuch(nextval('s'))",
        "PRAGMA nosuch(nextval('s'))",
        "SELECT nextval('s')",
        "EXPLAIN SELECT nextval('s')",
        "SELECT * FROM range(nextval('s'))",
        "CALL nosuch(nextval('s'))",
        "PREPARE p AS SELECT nextval('s')",
        "SET VARIABLE x = nextval('s')",
        "SELECT 1 LIMIT nextval('s')",
    };
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_refused(texts[i]);
    }
    assert_int_not_equal(
        check_statement(STR("PRAGMA nosuch(error(current_setting('memory_limit')::varchar))"), &a,
                        &g, &err),
        ERR_OK);
    assert_null(strstr(err.msg, "MiB"));
    assert_true(str_is(value_of("SELECT nextval('s')", &a), "1"));
}

// 2. What runs is made from the tree; no byte of the client's goes on as it is.
static void what_runs_is_the_canonical_text(void **state) {
    static const char *const texts[] = {
        "SELECT/* canary */1::INT",
        "select -- canary\n 1::int4",
        "SELECT CAST(1 AS /* canary */ INTEGER) ; -- canary",
        "\xC2\xA0SELECT\xE2\x80\x83(1)::\"int\"",
        "FROM (SELECT 1::INTEGER AS x) SELECT x /* ' canary */",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct str text = guard_bind(good_statement(texts[i], &a), NULL, &a);
        assert_true(str_find(text, STR("canary")) < 0 && str_find(text, STR("--")) < 0);
        assert_true(str_starts(text, STR("SELECT ")));
        assert_true(str_find(text, STR("\xC2\xA0")) < 0 && str_find(text, STR(";")) < 0);
    }
}

// 3. A table of a name that is a CTE's elsewhere is a table.
static void a_cte_is_known_only_where_it_is_in_scope(void **state) {
    static const char *const texts[] = {
        "WITH a AS (FROM acl), acl AS (SELECT 1) FROM a",
        "WITH acl AS (FROM acl) FROM acl",
        "WITH RECURSIVE acl AS (FROM acl) FROM acl",
        "WITH RECURSIVE acl AS (SELECT i FROM acl UNION ALL SELECT 1) FROM acl",
        "SELECT (WITH acl AS (SELECT 1) SELECT 1 FROM acl), (SELECT 1 FROM acl)",
        "FROM (WITH acl AS (SELECT 1) FROM acl), acl",
        "(WITH acl AS (SELECT 1) FROM acl) UNION ALL FROM acl",
        "WITH a AS (WITH acl AS (SELECT 1) FROM acl) FROM a, acl",
        "WITH acl AS (SELECT 1) FROM main.acl",
        "DESCRIBE WITH a AS (FROM acl), acl AS (SELECT 1) FROM a",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct guard_statement *g = good_statement(texts[i], &a);
        if (g->table_count != 1 || !str_is(g->tables[0].name, "acl")) {
            fail_msg("%s: %zu tables", texts[i], g->table_count);
        }
    }
}

// 4. DESCRIBE and its like only as a whole statement; AT only with constants; no schema but main.
static void shows_times_and_schemas_do_not_slip_in(void **state) {
    static const char *const texts[] = {
        "SELECT * FROM (DESCRIBE r)",
        "SELECT * FROM (SUMMARIZE raw.r)",
        "WITH d AS (FROM (SHOW ALL TABLES)) FROM d",
        "SELECT 1 WHERE EXISTS (FROM (SHOW TABLES))",
        "DESCRIBE raw.r",
        "SUMMARIZE raw.r",
        "EXPLAIN FROM raw.r",
        "SHOW TABLES FROM raw",
        "SELECT * FROM t AT (VERSION => (SELECT 1))",
        "SELECT * FROM t AT (TIMESTAMP => now())",
        "SELECT * FROM t AT (BRANCH => 'main')",
        "SELECT * FROM raw.r",
        "SELECT * FROM memory.raw.r",
        "SELECT * FROM \"raw\".\"r\"",
        "SELECT * FROM RAW.R",
        "SELECT * FROM/**/raw/**/./**/r",
        "SELECT * FROM\xC2\xA0raw.r",
        "TABLE raw.r",
        "FROM raw.r",
        "SELECT * FROM memory.main.r",
        "SELECT * FROM temp.r",
        "SELECT * FROM information_schema.tables",
        "SELECT raw.r.email FROM raw.r",
    };
    (void)state;
    assert_all_refused(texts, ARRAY_LEN(texts));
}

// 5. A column's name may be a function of the session. "user" is too common a name to be refused;
// it is the same constant for everybody.
static void columns_that_are_functions_are_refused(void **state) {
    static const char *const names[] = {"current_user",   "session_user",    "current_role",
                                        "current_schema", "current_catalog", "current_database"};
    static const char *const forms[] = {"SELECT %s",
                                        "SELECT \"%s\"",
                                        "SELECT 1 WHERE %s = 'x'",
                                        "SELECT list_transform([1], x -> %s)",
                                        "SELECT * FROM t ORDER BY %s",
                                        "SELECT CASE WHEN true THEN %s END",
                                        "EXPLAIN SELECT %s",
                                        "SELECT %s()",
                                        "SELECT main.%s()"};
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
            const ptrdiff_t at = str_find(str_from(forms[k]), STR("%s"));
            const struct str sql =
                arena_printf(&a, "%.*s%s%s", (int)at, forms[k], names[i], forms[k] + at + 2);
            assert_refused(sql.ptr);
        }
    }
    assert_true(str_is(value_of("SELECT user", &a), "duckdb"));
    (void)good_statement("SELECT t.current_user FROM t", &a);
    (void)good_statement("SELECT now(), current_date, current_timestamp", &a);
    assert_true(good_statement("SELECT current_time", &a)->varies);
}

// 6. The aggregate that a function takes by its name is one of the list, and a constant.
static void aggregates_by_name_are_of_the_list(void **state) {
    static const char *const texts[] = {
        "SELECT list_aggregate([1], 'nosuch')",
        "SELECT list_aggregate([1], 'su' || 'm')",
        "SELECT list_aggregate([1], name) FROM t",
        "SELECT list_aggr([1], (SELECT 'sum'))",
        "SELECT array_aggregate([1], upper('sum'))",
        "SELECT array_aggr([1], CASE WHEN true THEN 'sum' END)",
        "SELECT aggregate([1], 'row_number')",
        "SELECT aggregate([1], 'abs')",
        "SELECT list_aggregate([1], NULL)",
        "SELECT list_aggregate([1])",
        "SELECT [1].list_aggregate(x)",
        "SELECT list_aggregate([1], 'sum'::VARCHAR(3) || '')",
        "SELECT \"LIST_AGGREGATE\"([1], 'getvariable')",
    };
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    assert_all_refused(texts, ARRAY_LEN(texts));
    (void)good_statement("SELECT list_aggregate([1, 2], 'sum'), [1].list_aggr('MAX')", &a);
}

// 7. Types are the engine's own; there is no value from outside.
static void user_types_and_parameters_are_refused(void **state) {
    static const char *const texts[] = {
        "SELECT 'a'::canary_mood",
        "SELECT CAST('a' AS canary_mood)",
        "SELECT TRY_CAST('a' AS \"canary_mood\")",
        "SELECT 'a'::main.canary_mood",
        "SELECT ['a']::canary_mood[]",
        "SELECT {'x': 'a'}::STRUCT(x canary_mood)",
        "SELECT MAP {'a': 1}::MAP(canary_mood, INTEGER)",
        "SELECT 'a'::UNION(x canary_mood)",
        "SELECT canary_mood 'a'",
        "SELECT enum_range(NULL::canary_mood)",
        "SELECT 'a'::nosuch",
        "SELECT $1",
        "SELECT ?",
        "SELECT $name",
        "SELECT 1 LIMIT ?",
        "SELECT * FROM range($1)",
        "SELECT x::DECIMAL($1, 2) FROM t",
    };
    (void)state;
    assert_all_refused(texts, ARRAY_LEN(texts));
}

static struct str times(const char *head, const char *part, size_t count, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(16 << 20);
    buf_add_cstr(&out, head);
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(&out, part);
    }
    return arena_str(a, buf_str(&out));
}

// 8. Bytes, length, number and depth have limits, before anything grows with them.
static void size_is_bounded(void **state) {
    static const struct {
        const char *head, *part;
        size_t count;
    } large[] = {
        {"SELECT 1", " UNION ALL SELECT 1", 10000},
        {"SELECT 1", " UNION SELECT 1", 10000},
        {"FROM a", " UNION ALL FROM a", 10000},
        {"SELECT 1 WHERE 1 IN (SELECT 1)", " AND 1 IN (SELECT 1)", 5000},
        {"SELECT (SELECT 1)", ", (SELECT 1)", 5000},
        {"WITH a AS (SELECT 1)", ", b AS (SELECT 1)", 10000},
        {"FROM a", ", a", 20000},
        {"SELECT 1", ", 1", 40000},
        {"SELECT 1", "+1", 40000},
        {"SELECT ", "- ", 100000},
        {"SELECT ", "(", 100000},
        {"SELECT x", "[1]", 20000},
        {"SELECT x", ".y", 40000},
        {"SELECT x", "::INT", 20000},
        {"EXPLAIN SELECT 1", " UNION ALL SELECT 1", 10000},
        {"DESCRIBE SELECT 1", " UNION ALL SELECT 1", 10000},
        {"EXPLAIN ", "EXPLAIN ", 20000},
        {"DESCRIBE ", "DESCRIBE ", 20000},
        {"SELECT '", "x", GUARD_TEXT_MAX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(large); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_statement *g = NULL;
        struct err err = ERR_NONE;
        const enum err_code code =
            check_statement(times(large[i].head, large[i].part, large[i].count, &a), &a, &g, &err);
        if (code != ERR_TOO_LARGE && code != ERR_SQL && code != ERR_REFUSED) {
            fail_msg("%s%s...: %s", large[i].head, large[i].part, err_text(code));
        }
        assert_null(g);
    }
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(check_statement(STR("SELECT 1\0FROM raw.r"), &a, &g, &err), ERR_REFUSED);
    // Numbers of the tree that signed ones cannot hold.
    (void)good_statement("SELECT 18446744073709551615, -170141183460469231731687303715884105728",
                         &a);
}

// The parser of the engine would take minutes for these (and heeds no interrupt).
static void what_the_parser_is_slow_at_is_not_given_to_it(void **state) {
    static const char *const heads[] = {"", "SELECT ", "SELECT 1 WHERE a ",
                                        "INSERT INTO t SELECT "};
    static const char *const parts[] = {"/*",  "/**/", "*/",   "+",     "-+",      "+-",
                                        "+/*", "*+",   "<-+=", "OR a ", "and(1) ", "a or\n"};
    (void)state;
    for (size_t h = 0; h < ARRAY_LEN(heads); h++) {
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
            struct guard_statement *g = NULL;
            struct err err = ERR_NONE;
            const struct str sql =
                times(heads[h], parts[i], (GUARD_TEXT_MAX - 100) / strlen(parts[i]), &a);
            assert_int_equal(check_statement(sql, &a, &g, &err), ERR_TOO_LARGE);
            assert_true(err.position > 0 || (h == 0 && err.position == 0));
        }
    }
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)good_statement("SELECT 1 /********************************************************/", &a);
    (void)good_statement(
        arena_printf(
            &a, STR_FMT "*/ SELECT '" STR_FMT "'",
            STR_ARG(times("/* a banner\n", "-- --------------------------- --\n", 1000, &a)),
            STR_ARG(times("", "-", 500, &a)))
            .ptr,
        &a);
}

// 9. No message names what the client has not named, neither here nor when the bound text runs.
static void no_message_suggests_a_name(void **state) {
    static const char *const texts[] = {
        "SELECT * FROM raw.canary_7c1",     "SELECT canary_7c1e_fn(1)",
        "SELECT 'a'::canary_moo",           "SELECT * FROM canary_7c1()",
        "DESCRIBE raw.canary_7c1",          "SELECT * FROM main.x.canary",
        "SELECT * FROM system.canary_view", "SELECT canary_vie.f(1)",
    };
    static const char *const bound[] = {"SELECT canary_colum FROM t", "SELECT canary_7c1.x FROM t",
                                        "SELECT canary_vie FROM t"};
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct guard_statement *g = NULL;
        const enum err_code code = check_statement(str_from(texts[i]), &a, &g, &err);
        assert_true(code == ERR_REFUSED || code == ERR_OK); // f(canary_vie) is a column
        assert_null(strstr(err.msg, "Did you mean"));
        assert_null(strstr(err.msg, "canary_7c1e "));
        assert_null(strstr(err.msg, "canary_mood"));
    }
    for (size_t i = 0; i < ARRAY_LEN(bound); i++) {
        const struct str scan = STR("SELECT 1 AS id");
        struct rows *r = NULL;
        err = ERR_NONE;
        assert_int_equal(
            session_query(session, guard_bind(good_statement(bound[i], &a), &scan, &a), &r, &err),
            ERR_SQL);
        assert_null(strstr(err.msg, "canary_7c1e"));
        assert_null(strstr(err.msg, "canary_column"));
        assert_null(strstr(err.msg, "canary_view"));
    }
}

// ---- What only the guard stops

static void files_are_out_of_reach(void **state) {
    static const char *const texts[] = {
        "SELECT * FROM read_parquet('raw.parquet')",
        "SELECT * FROM parquet_scan(['a.parquet', 'b.parquet'])",
        "SELECT * FROM read_parquet('pub/../raw.parquet')",
        "FROM '/data/raw.parquet'",
        "FROM \"/data/raw.parquet\"",
        "SELECT * FROM (FROM 'raw.parquet')",
        "SELECT 1 WHERE 1 IN (FROM 'raw.parquet')",
        "WITH v AS (FROM 'raw.parquet') FROM v",
        "WITH \"raw.parquet\" AS (SELECT 1) FROM 'raw.parquet'",
        "SELECT * FROM parquet_metadata('raw.parquet')",
        "SELECT * FROM parquet_bloom_probe('raw.parquet', 'id', 1)",
        "SELECT * FROM parquet_schema('raw.parquet')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_blob('x')",
        "SELECT * FROM read_csv('x')",
        "SELECT * FROM read_json('x')",
        "SELECT * FROM sniff_csv('x')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM read_duckdb('x.duckdb')",
        "ATTACH 'x.duckdb'",
        "COPY (SELECT 1) TO 'x.csv'",
        "COPY (SELECT 1) TO 'x.parquet' (use_tmp_file false)",
        "EXPORT DATABASE 'x'",
        "LOAD '/x.so'",
        "INSTALL httpfs",
        "FROM 'http://127.0.0.1/x.csv'",
        "FROM 's3://b/x.parquet'",
        "SELECT getenv('HOME')",
        "SELECT * FROM arrow_scan(1::BIGINT, 2::BIGINT, 3::BIGINT)",
        "SELECT * FROM seq_scan()",
    };
    (void)state;
    assert_all_refused(texts, ARRAY_LEN(texts));
}

static void no_statement_hides_in_another(void **state) {
    static const char *const texts[] = {
        "SELECT * FROM query('FROM raw.r')",
        "SELECT * FROM query_table('raw.r')",
        "SELECT * FROM query_table(['r'])",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM raw.r'))",
        "PRAGMA json_execute_serialized_sql('x')",
        "SELECT json_serialize_sql('SELECT 1')",
        "SELECT json_deserialize_sql('{}')",
        "SELECT json_serialize_plan('SELECT 1')",
        "PREPARE p AS FROM raw.r",
        "EXECUTE p",
        "SELECT 1; FROM raw.r",
        "SELECT 1;\n--\n;FROM raw.r",
        "CREATE MACRO m() AS TABLE FROM raw.r; FROM m()",
        "CREATE OR REPLACE MACRO md5(x) AS x",
        "CREATE TEMP MACRO md5(x) AS x",
        "CREATE OR REPLACE VIEW v AS FROM raw.r",
        "CREATE TEMP VIEW tomb AS SELECT -1 id",
        "SELECT * FROM sql_auto_complete('SEL')",
        "CALL query('FROM raw.r')",
    };
    (void)state;
    assert_all_refused(texts, ARRAY_LEN(texts));
}

static void the_catalog_and_settings_are_out_of_reach(void **state) {
    static const char *const texts[] = {
        "SELECT sql FROM duckdb_views()",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM pg_catalog.pg_views",
        "SELECT * FROM main.sqlite_master",
        "SELECT * FROM pg_views",
        "SELECT pg_get_viewdef(1)",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_external_file_cache()",
        "CALL enable_logging('FileSystem')",
        "SELECT * FROM enable_logging('FileSystem')",
        "SELECT * FROM duckdb_logs()",
        "SELECT stats(email) FROM t",
        "SELECT current_setting('memory_limit')",
        "SELECT getvariable('x')",
        "SELECT txid_current()",
        "SELECT nextval('s')",
        "SELECT currval('s')",
        "SELECT in_search_path('main', 'x')",
        "SELECT write_log('x')",
        "SELECT parse_duckdb_log_message('FileSystem', 'x')",
        "SELECT cast_to_type('1', NULL::canary_mood)",
        "SELECT can_cast_implicitly(1, 2)",
        "SELECT error('x')",
        "SELECT sleep_ms(1)",
        "SET threads = 64",
        "SET VARIABLE x = 1",
        "SET lock_configuration = false",
        "RESET ALL",
        "USE raw",
        "PRAGMA disable_optimizer",
        "PRAGMA enable_profiling",
        "CHECKPOINT",
        "ATTACH ':memory:' AS x",
        "SELECT * FROM pragma_table_info('r')",
        "SELECT * FROM pragma_storage_info('r')",
        "SELECT * FROM summary((FROM raw.r))",
    };
    (void)state;
    assert_all_refused(texts, ARRAY_LEN(texts));
}

// Columns that a reader has of its own are not those of a scan that is a query.
static void columns_of_the_reader_are_not_there(void **state) {
    static const char *const names[] = {"rowid", "filename", "file_row_number", "file_index"};
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct str scan = STR("SELECT email FROM raw.r");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct rows *r = NULL;
        struct err err = ERR_NONE;
        const struct str sql = arena_printf(&a, "SELECT t.%s FROM t", names[i]);
        assert_int_equal(
            session_query(session, guard_bind(good_statement(sql.ptr, &a), &scan, &a), &r, &err),
            ERR_SQL);
    }
}

// ---- The list of functions

// The words of guard_functions_refused.txt with a blank on both sides.
static struct str refused_words(struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct str rest = read_beside("guard_functions_refused.txt", a);
    struct str line = STR_NONE;
    buf_add_char(&out, ' ');
    while (str_cut(&rest, '\n', &line)) {
        if (line.len > 0 && line.ptr[0] != '#') {
            buf_add_str(&out, line);
            buf_add_char(&out, ' ');
        }
    }
    return arena_str(a, buf_str(&out));
}

static bool is_refused(struct str words, struct str name, struct arena *a) {
    if (str_find(words, arena_printf(a, " " STR_FMT " ", STR_ARG(name))) >= 0) {
        return true;
    }
    bool found = false;
    for (size_t len = 1; len <= name.len && !found; len++) {
        const struct str stem = str_slice(name, 0, len);
        found = str_find(words, arena_printf(a, " " STR_FMT "* ", STR_ARG(stem))) >= 0;
    }
    return found;
}

static void assert_reviewed(struct str words, struct str type, struct str name) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    const struct str padded = arena_printf(&a, " " STR_FMT " ", STR_ARG(name));
    const bool is_call =
        str_is(type, "scalar") || str_is(type, "aggregate") || str_is(type, "macro");
    const bool listed = is_call ? guard_function_find(name) != NULL
                                : str_find(str_from(rows_of_arguments), padded) >= 0;
    if (listed == is_refused(words, name, &a) && !(listed && str_is(name, "histogram"))) {
        fail_msg("the " STR_FMT " function " STR_FMT " of the engine is on %s lists: decide",
                 STR_ARG(type), STR_ARG(name), listed ? "both" : "none of the");
    }
    const struct str ident = sql_ident(name, &a);
    const struct str sql =
        arena_printf(&a, "%s " STR_FMT "(1)", is_call ? "SELECT" : "FROM", STR_ARG(ident));
    if (!listed && check_statement(sql, &a, &g, &err) != ERR_REFUSED) {
        fail_msg(STR_FMT " is not refused", STR_ARG(sql));
    }
}

static void every_function_of_the_engine_was_looked_at(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct str words = refused_words(&a);
    struct str rest =
        value_of("SELECT string_agg(DISTINCT function_type || ' ' || lower(function_name), chr(10))"
                 " FROM duckdb_functions()",
                 &a);
    struct str line = STR_NONE;
    size_t count = 0;
    (void)state;
    while (str_cut(&rest, '\n', &line)) {
        struct str type = STR_NONE;
        assert_true(str_cut(&line, ' ', &type));
        assert_reviewed(words, type, line);
        count++;
    }
    assert_true(count > 900);
}

static void every_refused_function_is_one_of_the_engine(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct str all =
        value_of("SELECT ' ' || string_agg(DISTINCT lower(function_name), ' ') ||"
                 " ' ' FROM duckdb_functions()",
                 &a);
    struct str rest = refused_words(&a);
    struct str word = STR_NONE;
    (void)state;
    while (str_cut(&rest, ' ', &word)) {
        const bool stem = str_ends(word, STR("*"));
        const struct str wanted =
            stem ? arena_printf(&a, " " STR_FMT, STR_ARG(str_slice(word, 0, word.len - 1)))
                 : arena_printf(&a, " " STR_FMT " ", STR_ARG(word));
        if (word.len > 0 && str_find(all, wanted) < 0) {
            fail_msg(STR_FMT " is no function of the engine any more", STR_ARG(word));
        }
    }
}

// A macro is the text that it stands for: what that calls must be on the list too. (error() with a
// constant text is how json_group_object() refuses a NULL key.)
static void macros_of_the_list_stand_for_what_is_allowed(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str rest = value_of("SELECT string_agg(lower(function_name) || chr(1) || "
                               "replace(macro_definition, chr(10), ' '), chr(10)) "
                               "FROM duckdb_functions() WHERE function_type = 'macro'",
                               &a);
    struct str line = STR_NONE;
    size_t count = 0;
    (void)state;
    while (str_cut(&rest, '\n', &line)) {
        struct str name = STR_NONE;
        struct guard_statement *g = NULL;
        struct err err = ERR_NONE;
        assert_true(str_cut(&line, 1, &name));
        if (!guard_function_find(name) || str_is(name, "json_group_object")) {
            continue;
        }
        count++;
        if (check_statement(arena_printf(&a, "SELECT " STR_FMT, STR_ARG(line)), &a, &g, &err) !=
            ERR_OK) {
            fail_msg(STR_FMT ": " STR_FMT ": %s", STR_ARG(name), STR_ARG(line), err.msg);
        }
    }
    assert_true(count > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looking_at_a_statement_changes_nothing),
        cmocka_unit_test(what_runs_is_the_canonical_text),
        cmocka_unit_test(a_cte_is_known_only_where_it_is_in_scope),
        cmocka_unit_test(shows_times_and_schemas_do_not_slip_in),
        cmocka_unit_test(columns_that_are_functions_are_refused),
        cmocka_unit_test(aggregates_by_name_are_of_the_list),
        cmocka_unit_test(user_types_and_parameters_are_refused),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(what_the_parser_is_slow_at_is_not_given_to_it),
        cmocka_unit_test(no_message_suggests_a_name),
        cmocka_unit_test(files_are_out_of_reach),
        cmocka_unit_test(no_statement_hides_in_another),
        cmocka_unit_test(the_catalog_and_settings_are_out_of_reach),
        cmocka_unit_test(columns_of_the_reader_are_not_there),
        cmocka_unit_test(every_function_of_the_engine_was_looked_at),
        cmocka_unit_test(every_refused_function_is_one_of_the_engine),
        cmocka_unit_test(macros_of_the_list_stand_for_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
