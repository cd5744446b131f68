// Tests of statements about a query: what runs for DESCRIBE, SUMMARIZE, SHOW and EXPLAIN.

#include "guard/parser_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct engine *engine;
static struct session *session;
static char folder[] = "/tmp/guard_show_test_XXXXXX";
static char file[64];

static int setup(void **state) {
    struct err err = ERR_NONE;
    (void)open_parser(state);
    const struct engine_options e = {.threads = 1, .memory_bytes = 256 << 20};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, sizeof(file), "%s/cars.parquet", folder);
    assert_int_equal(engine_open(&e, &engine, &err), ERR_OK);
    assert_int_equal(session_open(engine, &session, &err), ERR_OK);
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct str copy =
        arena_printf(&a,
                     "COPY (SELECT i::INTEGER AS id, 'car ' || i AS name, {'w': i} AS dims, "
                     "(i * 1.5)::DECIMAL(9,2) AS price FROM range(200) r(i)) TO '%s'",
                     file);
    assert_int_equal(session_run(session, copy, &err), ERR_OK);
    assert_int_equal(
        session_run(session,
                    arena_printf(&a, "CREATE TABLE cars AS SELECT * FROM read_parquet('%s')", file),
                    &err),
        ERR_OK);
    return 0;
}

static int teardown(void **state) {
    session_close(session);
    engine_close(engine);
    (void)close_parser(state);
    return unlink(file) + rmdir(folder);
}

// The bound text, with a scan of the file as the server writes it.
static struct str bound(const struct guard_statement *g, struct arena *a) {
    struct str *scans = arena_array(a, g->table_count, sizeof(*scans));
    for (size_t i = 0; i < g->table_count; i++) {
        scans[i] = arena_printf(a,
                                "SELECT id, name, dims, price FROM read_parquet(['%s'], "
                                "hive_partitioning=" ENGINE_FALSE_LATE ")",
                                file);
    }
    return guard_bind(g, scans, a);
}

static void add_cell(const struct vec *v, size_t row, struct buf *out) {
    if (vec_is_null(v, row)) {
        buf_add_cstr(out, "NULL");
    } else if (v->type->kind == VEC_VARCHAR) {
        buf_add_str(out, vec_str(v, row));
    } else if (v->type->kind == VEC_INT64) {
        buf_printf(out, "%lld", (long long)((const int64_t *)v->data)[row]);
    } else {
        buf_add_cstr(out, "?");
    }
    buf_add_char(out, '|');
}

// Names, types and rows.
static struct str answer(struct str sql, struct arena *a) {
    DEFER(rows_closep) struct rows *r = NULL;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct err err = ERR_NONE;
    const struct vec_chunk *chunk = NULL;
    if (session_query(session, sql, &r, &err) != ERR_OK) {
        fail_msg(STR_FMT ": %s", STR_ARG(sql), err.msg);
    }
    for (size_t i = 0; i < rows_column_count(r); i++) {
        buf_printf(&out, STR_FMT " " STR_FMT "|", STR_ARG(rows_column_name(r, i)),
                   STR_ARG(rows_column_type(r, i)->text));
    }
    do {
        assert_int_equal(rows_next(r, &chunk, &err), ERR_OK);
        for (size_t row = 0; chunk && row < chunk->rows; row++) {
            buf_add_char(&out, '\n');
            for (size_t i = 0; i < chunk->column_count; i++) {
                add_cell(&chunk->columns[i], row, &out);
            }
        }
    } while (chunk);
    return arena_str(a, buf_str(&out));
}

static const struct {
    const char *sql;
    enum guard_show show;
} shown[] = {
    {"DESCRIBE cars", GUARD_DESCRIBE},
    {"desc cars", GUARD_DESCRIBE},
    {"SHOW cars", GUARD_DESCRIBE},
    {"DESCRIBE main.cars", GUARD_DESCRIBE},
    {"DESCRIBE SELECT id + 1 AS next, name FROM cars", GUARD_DESCRIBE},
    {"DESCRIBE (SELECT dims.w FROM cars)", GUARD_DESCRIBE},
    {"DESCRIBE FROM cars", GUARD_DESCRIBE},
    {"DESCRIBE TABLE cars", GUARD_DESCRIBE},
    {"DESCRIBE VALUES (1, 'a')", GUARD_DESCRIBE},
    {"DESCRIBE WITH c AS (SELECT price FROM cars) FROM c", GUARD_DESCRIBE},
    {"DESCRIBE (SELECT id FROM cars) UNION ALL (SELECT 1.5)", GUARD_DESCRIBE},
    {"DESCRIBE SELECT 1 AS a UNION SELECT 2 ORDER BY a LIMIT 3", GUARD_DESCRIBE},
    {"/* a comment */ DESCRIBE -- another\n cars;", GUARD_DESCRIBE},
    {"SUMMARIZE cars", GUARD_SUMMARIZE},
    {"SUMMARIZE SELECT id, name FROM cars WHERE id > 20", GUARD_SUMMARIZE},
    {"SUMMARIZE (SELECT 1 AS a)", GUARD_SUMMARIZE},
    {"SUMMARIZE FROM cars", GUARD_SUMMARIZE},
    {"EXPLAIN SELECT 1", GUARD_EXPLAIN},
    {"explain FROM range(3)", GUARD_EXPLAIN},
    {"EXPLAIN (SELECT 1)", GUARD_EXPLAIN},
    {"EXPLAIN (SELECT 1) UNION ALL (SELECT 2)", GUARD_EXPLAIN},
    {"EXPLAIN WITH a AS (SELECT 1 AS x) SELECT x + 1 FROM a", GUARD_EXPLAIN},
    {" -- x\n EXPLAIN/* y */VALUES (1)", GUARD_EXPLAIN},
    {"\xC2\xA0"
     "EXPLAIN\xE3\x80\x80SELECT 1;",
     GUARD_EXPLAIN},
    {"SELECT 1", GUARD_ROWS},
    {"FROM cars", GUARD_ROWS},
    {"SELECT 'DESCRIBE', 1 AS explain", GUARD_ROWS},
};

static void statements_about_a_query_answer_as_the_engine_does(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct guard_statement *g = good_statement(shown[i].sql, &a);
        assert_int_equal(g->show, shown[i].show);
        const struct str want = answer(str_from(shown[i].sql), &a);
        const struct str got = answer(bound(g, &a), &a);
        if (!str_eq(got, want) || got.len == 0) {
            fail_msg("%s:\n" STR_FMT "\ninstead of\n" STR_FMT, shown[i].sql, STR_ARG(got),
                     STR_ARG(want));
        }
    }
}

static void the_list_of_tables_is_a_query(void **state) {
    static const char *const lists[][2] = {
        {"SHOW TABLES", "SELECT \"name\" FROM () AS \"tables\" ORDER BY \"name\""},
        {"DESCRIBE TABLES", "SELECT \"name\" FROM () AS \"tables\" ORDER BY \"name\""},
        {"SHOW ALL TABLES", "SELECT * FROM () AS \"tables\" ORDER BY \"name\""},
        {"DESCRIBE", "SELECT * FROM () AS \"tables\" ORDER BY \"name\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct guard_statement *g = good_statement(lists[i][0], &a);
        assert_int_equal(g->show, GUARD_ROWS);
        assert_int_equal(g->table_count, 1);
        assert_int_equal(g->tables[0].system, GUARD_TABLES);
        assert_int_equal(g->tables[0].position, -1);
        assert_true(g->ordered);
        const struct str text = guard_bind(g, &(struct str){NULL, 0}, &a);
        if (!str_is(text, lists[i][1])) {
            fail_msg("%s: " STR_FMT, lists[i][0], STR_ARG(text));
        }
    }
}

static void the_word_stands_before_the_pieces(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct str scan = STR("SELECT 1");
    (void)state;
    struct str text = guard_bind(good_statement("DESCRIBE t", &a), &scan, &a);
    assert_true(str_is(text, "DESCRIBE (SELECT * FROM (SELECT 1) AS \"t\")"));
    text = guard_bind(good_statement("SUMMARIZE t", &a), &scan, &a);
    assert_true(str_is(text, "SUMMARIZE (SELECT * FROM (SELECT 1) AS \"t\")"));
    text = guard_bind(good_statement("EXPLAIN FROM t", &a), &scan, &a);
    assert_true(str_is(text, "EXPLAIN SELECT * FROM (SELECT 1) AS \"t\""));
    text = guard_bind(good_statement("DESCRIBE SELECT 1", &a), NULL, &a);
    assert_true(str_is(text, "DESCRIBE (SELECT 1)"));
}

static void positions_count_the_word(void **state) {
    static const struct {
        const char *sql;
        int64_t position;
    } cases[] = {
        {"EXPLAIN SELECT getvariable('x')", 15}, {"DESCRIBE SELECT getvariable('x')", 16},
        {"EXPLAIN ANALYZE SELECT 1", 8},         {"EXPLAIN (FORMAT json) SELECT 1", 8},
        {"EXPLAIN SELECT * FROM raw.t", 22},     {"DESCRIBE raw.t", 9},
        {"EXPLAIN SELECT 1 FROM WHERE", 22},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_statement *g = NULL;
        struct err err = ERR_NONE;
        assert_int_not_equal(guard_check(parser, str_from(cases[i].sql), &a, &g, &err), ERR_OK);
        if (err.position != cases[i].position) {
            fail_msg("%s: %lld %s", cases[i].sql, (long long)err.position, err.msg);
        }
    }
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    assert_int_equal(good_statement("EXPLAIN SELECT * FROM t", &a)->tables[0].position, 22);
    assert_int_equal(good_statement("DESCRIBE t", &a)->tables[0].position, 9);
}

// Boxes break lines: without their frames and spaces a path would stand there whole.
static void a_plan_names_no_file(void **state) {
    static const char *const statements[] = {
        "EXPLAIN FROM cars",
        "EXPLAIN SELECT count(*) FROM cars WHERE id > 5 AND name LIKE '%1%'",
        "EXPLAIN SELECT * FROM cars ORDER BY price LIMIT 3",
        "EXPLAIN SELECT * FROM cars a JOIN cars b USING (id) WHERE a.name > b.name",
        "EXPLAIN SELECT * FROM cars UNION ALL SELECT * FROM cars",
        "EXPLAIN SELECT min(id), max(id) FROM cars",
        "EXPLAIN SELECT * FROM cars WHERE id IN (SELECT id FROM cars WHERE id = 3)",
        "EXPLAIN WITH c AS MATERIALIZED (FROM cars) SELECT * FROM c, c AS d",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        DEFER(buf_release) struct buf plain = BUF(1 << 20);
        const struct str plan = answer(bound(good_statement(statements[i], &a), &a), &a);
        for (size_t k = 0; k < plan.len; k++) {
            const char c = plan.ptr[k];
            if (c > ' ' && c < 0x7F) {
                buf_add_char(&plain, c);
            }
        }
        assert_true(str_find(buf_str(&plain), STR("explain_keyVARCHAR|")) == 0);
        assert_true(str_find(buf_str(&plain), STR("guard_show_test")) < 0);
        assert_true(str_find(buf_str(&plain), STR("cars.parquet")) < 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_about_a_query_answer_as_the_engine_does),
        cmocka_unit_test(the_list_of_tables_is_a_query),
        cmocka_unit_test(the_word_stands_before_the_pieces),
        cmocka_unit_test(positions_count_the_word),
        cmocka_unit_test(a_plan_names_no_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
