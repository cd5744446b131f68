// Tests of row filters: what is one condition and what is not, and the names in it.
#include "guard/guard_filter.h"
#include "guard/parser_test.h"

#include <stdlib.h>

static struct engine *engine;
static struct session *session;

static int setup(void **state) {
    struct err err = ERR_NONE;
    (void)open_parser(state);
    const struct engine_options e = {.threads = 1, .memory_bytes = 256 << 20};
    assert_int_equal(engine_open(&e, &engine, &err), ERR_OK);
    assert_int_equal(session_open(engine, &session, &err), ERR_OK);
    static const char tables[] =
        "CREATE TABLE t AS SELECT i AS id, 'n' || i AS name, i % 7 AS n, 'x' AS t2, "
        "['open', 'blocked', NULL][1 + i % 3] AS status, {'a': i, 'b': 'z'} AS st, [i, 2] AS l, "
        "DATE '2024-01-01' + i::INTEGER AS day, i / 3 AS \"odd name\" FROM range(100) r(i);"
        "CREATE TABLE o AS SELECT i * 3 AS k, 'n' || (i * 5) AS who FROM range(20) r(i)";
    assert_int_equal(session_run(session, str_from(tables), &err), ERR_OK);
    return 0;
}

static int teardown(void **state) {
    session_close(session);
    engine_close(engine);
    return close_parser(state);
}

static enum err_code check(const char *filter, struct arena *a, struct guard_filter **ret,
                           struct err *err) {
    *err = ERR_NONE;
    return guard_check_filter(parser, STR("t"), str_from(filter), a, ret, err);
}

static struct guard_filter *good(const char *filter, struct arena *a) {
    struct guard_filter *f = NULL;
    struct err err = ERR_NONE;
    if (check(filter, a, &f, &err) != ERR_OK) {
        fail_msg("%s: %s", filter, err.msg);
    }
    return f;
}

static struct str rows(struct str select, struct arena *a) {
    struct err err = ERR_NONE;
    struct str ret = STR_NONE;
    const struct str sql = arena_printf(
        a, "SELECT count(*) || ' ' || coalesce(sum(id), 0) FROM (" STR_FMT ")", STR_ARG(select));
    if (session_text(session, sql, a, &ret, &err) != ERR_OK) {
        fail_msg(STR_FMT ": %s", STR_ARG(sql), err.msg);
    }
    return ret;
}

static const char *const conditions[] = {
    "status <> 'blocked'",
    "status = 'open' AND n > 2 OR id IN (1, 2, 3)",
    "lower(name) LIKE 'n1%'",
    "regexp_matches(name, '^n[0-9]$')",
    "id % 2 = 0",
    "day >= DATE '2024-02-01' AND day < '2024-03-01'",
    "NOT (status IS NULL)",
    "true",
    "1 = 1",
    "st.a > 50",
    "t.st.a > 50",
    "main.t.st.a > 50",
    "st['b'] = 'z'",
    "list_contains(l, 7)",
    "len(list_filter(l, lambda x: x > 50)) > 0",
    "\"odd name\" > 7",
    "t.id BETWEEN 3 AND 9",
    "CASE WHEN n = 1 THEN id > 10 ELSE false END",
    "id IN (SELECT k FROM o)",
    "id NOT IN (SELECT k FROM o WHERE k IS NOT NULL)",
    "EXISTS (SELECT 1 FROM o WHERE o.k = t.id)",
    "NOT EXISTS (SELECT 1 FROM o WHERE o.who = name AND o.k > t.n)",
    "id > (SELECT avg(k) FROM o)",
    "n = (SELECT max(n) FROM t)",
    "id = (SELECT max(u.id) FROM t AS u WHERE u.n = t.n)",
    "id = ANY (SELECT k FROM o)",
    "id < ALL (SELECT k + 10 FROM o)",
    "id IN (WITH c AS (SELECT k FROM o) SELECT k FROM c)",
    "id IN (SELECT k FROM o UNION ALL SELECT 5)",
    "id IN (SELECT k FROM o ORDER BY k LIMIT 3)",
    "id IN (SELECT unnest([1, 2]))",
    "id IN (SELECT count(*) FROM o GROUP BY k)",
    "SELECT n > 2",
    "(id, n) IN (SELECT k, 3 FROM o)",
    "(((id > 3)))",
    "(id > 3) OR (n = 2)",
    "id > 3 -- a comment",
    "/* ) */ id > 3",
    "name <> ')' AND name <> '(' AND t2 <> ''''",
    "name <> $$) UNION SELECT 1 --$$",
    "id > 3 /* a /* nested */ one */",
    "coalesce(status, '') <> 'blocked'",
    "try_cast(name AS INTEGER) IS NULL",
    "status IS DISTINCT FROM 'blocked'",
    "\xC2\xA0id\xE2\x80\x83> 3",
};

static void conditions_let_through_what_they_say(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct guard_filter *f = good(conditions[i], &a);
        const struct guard_statement *g = f->statement;
        struct str *scans = arena_array(&a, g->table_count, sizeof(*scans));
        for (size_t k = 0; k < g->table_count; k++) {
            scans[k] = arena_printf(&a, "SELECT * FROM " STR_FMT, STR_ARG(g->tables[k].name));
        }
        assert_true(f->base < g->table_count);
        assert_true(str_is(g->tables[f->base].name, "t"));
        const struct str plain = arena_printf(&a, "SELECT * FROM t WHERE (%s\n)", conditions[i]);
        const struct str want = rows(plain, &a);
        const struct str got = rows(guard_bind(g, scans, &a), &a);
        if (!str_eq(got, want)) {
            fail_msg("%s: " STR_FMT " instead of " STR_FMT, conditions[i], STR_ARG(got),
                     STR_ARG(want));
        }
    }
}

static const char *const refused[] = {
    // nothing
    "",
    "  \n\t ",
    "-- id > 3",
    "/* id > 3 */",
    // more than a condition
    "1=1) UNION SELECT * FROM o --",
    "1=1) UNION ALL (SELECT * FROM o",
    "1=1 UNION SELECT * FROM o",
    "1=1) INTERSECT SELECT * FROM (o",
    "true) ORDER BY (id",
    "true) LIMIT (1",
    "true LIMIT 1",
    "true ORDER BY id",
    "true) GROUP BY (id",
    "true GROUP BY ALL",
    "true) HAVING (count(*) > 1",
    "true) QUALIFY (row_number() OVER () = 1",
    "true QUALIFY true",
    "true) USING SAMPLE (1",
    "true USING SAMPLE 1",
    "true) WINDOW w AS (ORDER BY id",
    "true OFFSET 3",
    "true FETCH FIRST ROW ONLY",
    "true; SELECT 1",
    "true); SELECT (1",
    "true); DROP TABLE t; --",
    "true);",
    "true) OR (true",
    "id > 3) AND (n = 2",
    "true), (SELECT 1",
    "id AS x",
    "WHERE true",
    "id > 3 FROM o",
    "true) --",
    "true) /*",
    "true /*",
    "true /* ",
    "name = '",
    "name = \"",
    "name = $$x",
    "name = $tag$ ) $$",
    "(true",
    "true)",
    "((true)",
    "[1, 2",
    "{'a': 1",
    "true]",
    "true\n) UNION SELECT * FROM o WHERE (true",
    "true\r) OR (true",
    // stars
    "*",
    "t.*",
    "COLUMNS(*) > 1",
    "COLUMNS('i.*') > 1",
    "* > 3",
    "unnest([true, false])",
    "unnest(l) > 3",
    "generate_subscripts(l, 1) = 1",
    // the whole row
    "t IS NOT NULL",
    "t = t",
    "hash(t) % 2 = 0",
    "\"T\" IS NULL",
    "to_json(t)::VARCHAR LIKE '%x%'",
    "id IN (SELECT k FROM o WHERE hash(t) > 1)",
    // tables that it may not ask
    "id IN (SELECT rows FROM system.snapshots)",
    "id IN (SELECT 1 FROM system.tables)",
    "EXISTS (FROM system.journal)",
    "id IN (SELECT k FROM __raw__o)",
    "id IN (SELECT id FROM __raw__t)",
    "id IN (SELECT id FROM \"__RAW__t\")",
    "id IN (SELECT k FROM o AT (VERSION => 1))",
    "id IN (SELECT k FROM o AT (TIMESTAMP => '2024-01-01'))",
    "id IN (SELECT id FROM t AT (VERSION => 1))",
    "id IN (FROM '/etc/passwd')",
    "id IN (FROM 'x.parquet')",
    "id IN (FROM read_csv('/etc/passwd'))",
    "id IN (FROM read_text('/proc/self/environ'))",
    "id IN (FROM duckdb_tables())",
    "id IN (SELECT 1 FROM information_schema.tables)",
    "id IN (SELECT 1 FROM pg_catalog.pg_class)",
    "id IN (SELECT 1 FROM other.o)",
    "id IN (FROM query('SELECT 1'))",
    "id IN (FROM query_table('o'))",
    // not the same each time
    "random() < 0.5",
    "id < random() * 100",
    "day < now()",
    "day < current_date",
    "day < today()",
    "name = uuid()::VARCHAR",
    "id IN (SELECT k FROM o WHERE random() < 0.5)",
    "id IN (SELECT k FROM o USING SAMPLE 3)",
    "id IN (SELECT k FROM o TABLESAMPLE 10%)",
    // functions and other things that no statement may have
    "getenv('HOME') = ''",
    "current_setting('threads') = '1'",
    "getvariable('x') = 1",
    "nextval('s') = 1",
    "error('x')",
    "current_user = 'x'",
    "id = $1",
    "id = ?",
    "id = $x",
    "name::mytype = 1",
    "sleep_ms(1000) IS NULL",
    "json_execute_serialized_sql('x') = 1",
    "id >>> 3",
    "id = 1e999",
};

static void what_is_no_condition_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_filter *f = NULL;
        struct err err = ERR_NONE;
        const enum err_code code = check(refused[i], &a, &f, &err);
        if (code != ERR_REFUSED && code != ERR_SQL) {
            fail_msg("%s: %s %s", refused[i], err_text(code), err.msg);
        }
        assert_true(err.position >= -1 && err.position <= (int64_t)strlen(refused[i]));
        assert_null(f);
    }
}

static void a_nul_or_other_bytes_are_refused(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_filter *f = NULL;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(guard_check_filter(parser, STR("t"), STR("id > 1\0 OR true"), &a, &f, &err),
                     ERR_REFUSED);
    assert_int_equal(guard_check_filter(parser, STR("t"), STR("name = '\xFF'"), &a, &f, &err),
                     ERR_REFUSED);
    assert_int_equal(guard_check_filter(parser, STR("x.csv"), STR("true"), &a, &f, &err),
                     ERR_REFUSED);
    assert_int_equal(
        guard_check_filter(parser, STR("t\" WHERE true --"), STR("true"), &a, &f, &err),
        ERR_REFUSED);
    assert_int_equal(guard_check_filter(parser, STR("__raw__t"), STR("true"), &a, &f, &err),
                     ERR_REFUSED);
}

static void a_long_or_deep_filter_is_too_large(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(buf_release) struct buf text = BUF(16 << 20);
    struct guard_filter *f = NULL;
    struct err err = ERR_NONE;
    for (size_t i = 0; i < 30000; i++) {
        buf_add_cstr(&text, "id = 1 OR ");
    }
    buf_add_cstr(&text, "true");
    assert_int_equal(guard_check_filter(parser, STR("t"), buf_str(&text), &a, &f, &err),
                     ERR_TOO_LARGE);
    buf_reset(&text);
    for (size_t i = 0; i < 2000; i++) {
        buf_add_cstr(&text, "NOT ");
    }
    buf_add_cstr(&text, "true");
    const enum err_code code = guard_check_filter(parser, STR("t"), buf_str(&text), &a, &f, &err);
    assert_true(code == ERR_TOO_LARGE || code == ERR_SQL);
}

static void positions_are_in_the_filter(void **state) {
    static const struct {
        const char *filter;
        int64_t position;
    } cases[] = {
        {"status = getenv('x')", 9},
        {"id > 1 AND", 10},
        {"id IN (SELECT k FROM __raw__o)", 21},
        {"id IN (SELECT k FROM system.files)", 21},
        {"hash(t) = 1", 5},
        {"\xC2\xA0\xC2\xA0hash(t) = 1", 9},
        {"id = 1)", 6},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_filter *f = NULL;
        struct err err = ERR_NONE;
        assert_int_not_equal(check(cases[i].filter, &a, &f, &err), ERR_OK);
        if (err.position != cases[i].position) {
            fail_msg("%s: %lld: %s", cases[i].filter, (long long)err.position, err.msg);
        }
    }
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct guard_filter *f = good("id IN (SELECT k FROM o)", &a);
    assert_int_equal(f->statement->table_count, 2);
    assert_int_equal(f->statement->tables[f->base].position, -1);
    assert_int_equal(f->statement->tables[1 - f->base].position, 21);
}

static void assert_columns(const char *filter, const char *expected) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(buf_release) struct buf got = BUF(1 << 16);
    const struct guard_filter *f = good(filter, &a);
    for (size_t i = 0; i < f->column_count; i++) {
        buf_add_cstr(&got, i > 0 ? " " : "");
        buf_add_str(&got, f->columns[i]);
    }
    assert_string_equal(got.ptr ? got.ptr : "", expected);
}

static void names_that_may_be_columns_are_told_once(void **state) {
    (void)state;
    assert_columns("true", "");
    assert_columns("status <> 'x' AND STATUS <> 'y' AND n = id", "status n id");
    assert_columns("t.st.a > main.t.n", "t st a main n");
    assert_columns("\"odd name\" = 3", "odd name");
    assert_columns("EXISTS (SELECT 1 FROM o JOIN t AS u USING (id) WHERE o.k = t.n)", "id o k t n");
}

static void the_base_has_any_name_of_a_dataset(void **state) {
    static const char *const names[] = {"select", "My Table", "order", "ünïcode", "a-b"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_filter *f = NULL;
        struct err err = ERR_NONE;
        if (guard_check_filter(parser, str_from(names[i]), STR("id > 1"), &a, &f, &err) != ERR_OK) {
            fail_msg("%s: %s", names[i], err.msg);
        }
        assert_true(str_is(f->statement->tables[f->base].name, names[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_let_through_what_they_say),
        cmocka_unit_test(what_is_no_condition_is_refused),
        cmocka_unit_test(a_nul_or_other_bytes_are_refused),
        cmocka_unit_test(a_long_or_deep_filter_is_too_large),
        cmocka_unit_test(positions_are_in_the_filter),
        cmocka_unit_test(names_that_may_be_columns_are_told_once),
        cmocka_unit_test(the_base_has_any_name_of_a_dataset),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
