// Tests of writing: what is written gives the same tree; what is not known is left to the engine.
#include "guard/guard_int.h"
#include "guard/parser_test.h"

#include <stdlib.h>

static struct ast *parse(struct str sql, struct arena *a) {
    struct err err = ERR_NONE;
    struct str json = STR_NONE;
    struct ast *tree = NULL;
    if (engine_parse(parser, sql, a, &json, &err) != ERR_OK ||
        ast_read(json, a, &tree, &err) != ERR_OK) {
        fail_msg(STR_FMT ": %s", STR_ARG(sql), err.msg);
    }
    return tree;
}

// Its own text, or empty; the tree must come back.
static struct str written(const char *sql, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct ast *tree = parse(str_from(sql), a);
    if (!guard_write(ast_get(ast_get(tree, "statements")->items, "node"), STR("q0x"), &out)) {
        return STR_NONE;
    }
    const struct str text = arena_str(a, buf_str(&out));
    if (!ast_equal(tree, parse(text, a))) {
        fail_msg("%s: " STR_FMT, sql, STR_ARG(text));
    }
    return text;
}

static void common_statements_are_written_here(void **state) {
    static const char *const statements[] = {
        "SELECT 1, -5, 1.50, -12.5, 'it''s', NULL, true, 123456789012",
        "SELECT a, t.a, main.t.a, *, t.* FROM t",
        "SELECT a AS b, 'x' AS \"quo\"\"te\", count(*) AS n FROM t AS \"T u\"(x, \"y z\")",
        "SELECT a + b * c - d / e % 2 || 'x' FROM t WHERE a <> 1 AND (b < 2 OR NOT c) AND d >= 3",
        "SELECT a IS NULL, b IS NOT NULL, c IS DISTINCT FROM d, e IS NOT DISTINCT FROM f FROM t",
        "SELECT a IN (1, 2), b NOT IN ('x'), c BETWEEN 1 AND 2, d LIKE '%x'",
        "SELECT a NOT ILIKE 'y' FROM t",
        "SELECT sum(DISTINCT a) FILTER (WHERE b > 1), string_agg(a, ',' ORDER BY b DESC, c) FROM t",
        "SELECT CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 3 END, CASE a WHEN 1 THEN 2 END FROM t",
        "SELECT a::INT, TRY_CAST(a AS DATE), DATE '2020-01-01', a::TIMESTAMPTZ",
        "SELECT coalesce(a, b) FROM t",
        "SELECT DISTINCT a FROM t ORDER BY a, b DESC, c ASC NULLS FIRST LIMIT 3 OFFSET 2",
        "SELECT a, count(*) FROM t GROUP BY a HAVING count(*) > 1 QUALIFY b ORDER BY 2",
        "SELECT a FROM t GROUP BY ALL",
        "SELECT * FROM t LIMIT 3",
        "SELECT * FROM t JOIN u ON t.a = u.a LEFT JOIN v USING (b, c) RIGHT JOIN w ON true",
        "SELECT * FROM t FULL JOIN u USING (a)",
        "SELECT * FROM (SELECT a FROM t) AS x(y)",
        "SELECT * FROM (SELECT a FROM t) x WHERE y IN (SELECT 1) AND EXISTS (FROM u) AND z = "
        "(SELECT 2)",
        "WITH a AS (SELECT 1), b(x, y) AS MATERIALIZED (FROM a), c AS NOT MATERIALIZED (FROM b) "
        "FROM c",
        "SELECT 1 UNION ALL SELECT 2 UNION SELECT 3 ORDER BY 1 LIMIT 2",
        "(SELECT 1 LIMIT 1) EXCEPT (SELECT 2 INTERSECT SELECT 3)",
        "WITH a AS (SELECT 1) SELECT * FROM a UNION ALL FROM a",
        "SELECT \"select\", \"a.b\", \"A B\" FROM \"order\" AS \"group\"",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        if (written(statements[i], &a).len == 0) {
            fail_msg("%s: not written", statements[i]);
        }
    }
}

static void what_is_not_known_is_left_to_the_engine(void **state) {
    static const char *const statements[] = {
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT * REPLACE (1 AS a) FROM t",
        "SELECT COLUMNS('a.*') FROM t",
        "SELECT row_number() OVER (ORDER BY a) FROM t",
        "SELECT list_transform([1], x -> x + 1)",
        "SELECT a COLLATE nocase FROM t",
        "SELECT a::DECIMAL(5, 2), b::INT[] FROM t",
        "SELECT 1e10, 0.5, 12345678901234567890123",
        "SELECT {'a': 1}, struct_pack(a := 1)",
        "SELECT -a, ~a, a! FROM t",
        "SELECT 1 = ALL (SELECT 1), 2 > ANY (SELECT 3)",
        "SELECT DISTINCT ON (a) a FROM t",
        "SELECT a FROM t GROUP BY GROUPING SETS ((a), ())",
        "SELECT a FROM t GROUP BY ROLLUP (a, b)",
        "SELECT a FROM t LIMIT 10%",
        "SELECT * FROM t TABLESAMPLE 10%",
        "SELECT * FROM t USING SAMPLE 3",
        "SELECT * FROM t, u",
        "SELECT * FROM t NATURAL JOIN u",
        "SELECT * FROM t SEMI JOIN u USING (a)",
        "SELECT * FROM t ASOF JOIN u ON t.a >= u.a",
        "SELECT * FROM t JOIN (u JOIN v ON u.a = v.a) ON t.a = u.a",
        "SELECT * FROM range(3)",
        "VALUES (1)",
        "PIVOT t ON a IN (1) USING sum(b)",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) FROM r",
        "SELECT * FROM t AT (VERSION => 1)",
        "SELECT * FROM s.t",
        "SELECT main.abs(1)",
        "SELECT ?",
        "SELECT #1",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct str text = written(statements[i], &a);
        if (text.len > 0) {
            fail_msg("%s: " STR_FMT, statements[i], STR_ARG(text));
        }
    }
}

static void names_and_texts_end_where_they_end(void **state) {
    static const char *const parts[] = {"a\"\"b", "'", "''",         "\\", "--",  "/*", "a\n", "$$",
                                        "é😀",     ";", "\"\"; DROP", "q0", "q0x", ")",  "%s",  ""};
    static const char *const forms[] = {
        "SELECT \"%s\" AS \"%s\" FROM \"%s\" AS \"%s\"(\"%s\")",
        "WITH \"%s\"(\"%s\") AS (SELECT 1) SELECT \"%s\".* FROM \"%s\"",
        "SELECT * FROM t JOIN u USING (\"%s\")",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (size_t f = 0; f < ARRAY_LEN(forms) && parts[i][0] != '\0'; f++) {
            DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
            DEFER(buf_release) struct buf sql = BUF(1 << 16);
            struct str rest = str_from(forms[f]);
            for (ptrdiff_t at = 0; (at = str_find(rest, STR("%s"))) >= 0;) {
                buf_add_str(&sql, str_slice(rest, 0, (size_t)at));
                buf_add_cstr(&sql, parts[i]);
                rest = str_slice(rest, (size_t)at + 2, rest.len);
            }
            buf_add_str(&sql, rest);
            (void)written(sql.ptr, &a);
        }
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct str sql =
            arena_printf(&a, "SELECT " STR_FMT, STR_ARG(sql_literal(str_from(parts[i]), &a)));
        assert_true(written(sql.ptr, &a).len > 0);
    }
}

static void placeholders_stand_without_quotes(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    const struct str text = written("SELECT a FROM q0x12x AS t", &a);
    assert_true(str_is(text, "SELECT \"a\" FROM q0x12x AS \"t\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_statements_are_written_here),
        cmocka_unit_test(what_is_not_known_is_left_to_the_engine),
        cmocka_unit_test(names_and_texts_end_where_they_end),
        cmocka_unit_test(placeholders_stand_without_quotes),
    };
    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
