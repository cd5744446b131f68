// Tests of the guard against the real engine: two corpora, the shape of what comes out, conditions.

#include "guard/guard_functions.h"
#include "guard/parser_test.h"

#include <stdio.h>
#include <stdlib.h>

#define CARS                                                                                       \
    "SELECT i::INTEGER AS id, 'car ' || i AS name, "                                               \
    "CASE i % 4 WHEN 0 THEN 'alfa' WHEN 1 THEN 'bmw' WHEN 2 THEN 'citroen' END AS maker, "         \
    "(i * 1000.25)::DECIMAL(10, 2) AS price, "                                                     \
    "CASE WHEN i % 5 > 0 THEN i * 1.5 END::DOUBLE AS weight, "                                     \
    "DATE '2020-01-01' + i::INTEGER AS built, "                                                    \
    "TIMESTAMP '2021-03-01 00:00:00' + to_hours(i) AS sold, "                                      \
    "CASE i % 3 WHEN 0 THEN ['red', 'blue'] WHEN 1 THEN ['black'] END AS tags, "                   \
    "{'w': (i % 7)::INTEGER, 'h': i::INTEGER} AS dims, 'user ' || i % 3 AS \"user\", "             \
    "CASE WHEN i % 6 < 5 THEN i % 2 = 0 END AS used, "                                             \
    "CASE WHEN i > 0 THEN i // 2 END::INTEGER AS ref FROM range(24) r(i)"
#define MAKERS                                                                                     \
    "SELECT * FROM (VALUES ('alfa', 'it', 1910), ('bmw', 'de', 1916), ('citroen', 'fr', 1919), "   \
    "('dacia', NULL, 1966)) v(name, country, founded)"

struct fixture {
    struct engine *plain; // has the tables: runs the original text
    struct engine *bound; // has nothing: runs the bound text
    struct session *plain_session;
    struct session *bound_session;
};

static struct fixture fx;

static void run(struct session *s, struct str sql) {
    struct err err = ERR_NONE;
    if (session_run(s, sql, &err) != ERR_OK) {
        fail_msg(STR_FMT ": %s", STR_ARG(sql), err.msg);
    }
}

static int setup(void **state) {
    struct err err = ERR_NONE;
    const struct engine_options o = {.threads = 1, .memory_bytes = 256 << 20, .no_files = true};
    (void)open_parser(state);
    assert_int_equal(engine_open(&o, &fx.plain, &err), ERR_OK);
    assert_int_equal(engine_open(&o, &fx.bound, &err), ERR_OK);
    assert_int_equal(session_open(fx.plain, &fx.plain_session, &err), ERR_OK);
    assert_int_equal(session_open(fx.bound, &fx.bound_session, &err), ERR_OK);
    run(fx.plain_session, STR("CREATE TABLE cars AS " CARS));
    run(fx.plain_session, STR("CREATE TABLE makers AS " MAKERS));
    return 0;
}

static int teardown(void **state) {
    session_close(fx.plain_session);
    session_close(fx.bound_session);
    engine_close(fx.plain);
    engine_close(fx.bound);
    return close_parser(state);
}

// ---- Corpora

static void hostile_statements_are_refused(void **state) {
    DEFER(arena_release) struct arena corpus = ARENA(SIZE_MAX);
    (void)state;
    struct str rest = read_beside("guard_hostile.txt", &corpus);
    struct str line = STR_NONE;
    bool syntax = false;
    int count = 0;
    while (str_cut(&rest, '\n', &line)) {
        if (str_starts(line, STR("#"))) {
            syntax = str_ends(line, STR("(syntax)"));
        }
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_statement *g = NULL;
        struct err err = ERR_NONE;
        const enum err_code code = check_statement(line, &a, &g, &err);
        if (code != ERR_REFUSED && !(syntax && code == ERR_SQL)) {
            fail_msg(STR_FMT ": %s %s", STR_ARG(line), err_text(code), err.msg);
        }
        assert_true(err.position >= -1 && err.position <= (int64_t)line.len);
        assert_true(err.msg[0] != '\0');
        count++;
    }
    assert_true(count >= 250);
}

static struct str bind(const struct guard_statement *g, struct arena *a) {
    struct str *scans = arena_array(a, g->table_count, sizeof(*scans));
    for (size_t i = 0; i < g->table_count; i++) {
        scans[i] = str_eq_nocase(g->tables[i].name, STR("cars")) ? STR(CARS) : STR(MAKERS);
    }
    return guard_bind(g, scans, a);
}

// All rows with their column names, in order when the statement has one; or the engine's error.
static struct str answer(struct session *s, struct str sql, bool ordered, struct arena *a) {
    const char *order = ordered ? "rowid" : "r::VARCHAR";
    struct err err = ERR_NONE;
    struct str ret = STR_NONE;
    const struct str create =
        arena_printf(a, "CREATE OR REPLACE TABLE answer AS " STR_FMT, STR_ARG(sql));
    const struct str text = arena_printf(
        a, "SELECT count(*) || ' ' || string_agg(r::VARCHAR, ' ' ORDER BY %s) FROM answer r",
        order);
    if (session_run(s, create, &err) != ERR_OK || session_text(s, text, a, &ret, &err) != ERR_OK) {
        return arena_printf(a, "error: %s", err.msg);
    }
    return ret;
}

static bool is_legit(struct str sql) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    if (check_statement(sql, &a, &g, &err) != ERR_OK) {
        print_error(STR_FMT ": %s\n", STR_ARG(sql), err.msg);
        return false;
    }
    const struct str bound = bind(g, &a);
    const struct str got = answer(fx.bound_session, bound, g->ordered, &a);
    const struct str want = g->varies ? got : answer(fx.plain_session, sql, g->ordered, &a);
    if (!str_eq(got, want) || str_starts(got, STR("error"))) {
        print_error(STR_FMT "\n" STR_FMT "\ngot  " STR_FMT "\nwant " STR_FMT "\n", STR_ARG(sql),
                    STR_ARG(bound), STR_ARG(got), STR_ARG(want));
        return false;
    }
    return true;
}

static void legitimate_statements_give_the_same_answer(void **state) {
    DEFER(arena_release) struct arena corpus = ARENA(SIZE_MAX);
    (void)state;
    struct str rest = read_beside("guard_legit.txt", &corpus);
    struct str line = STR_NONE;
    int count = 0;
    int wrong = 0;
    while (str_cut(&rest, '\n', &line)) {
        if (line.len > 0 && line.ptr[0] != '#') {
            wrong += is_legit(line) ? 0 : 1;
            count++;
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(count >= 150);
}

// ---- Limits

static void broken_bytes_are_refused(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(check_statement(STR(""), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR(" \n\t "), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR_NONE, &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR("SELECT 1\0; DROP TABLE x"), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR("\0"), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR("SELECT '\xFF'"), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR("SELECT '\xC0\xAF'"), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR("SELECT '\xED\xA0\x80'"), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(check_statement(STR("SELECT E'\\x00'"), &a, &g, &err) == ERR_OK, false);
}

static struct str repeated(const char *head, const char *part, size_t count, const char *tail,
                           struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(16 << 20);
    buf_add_cstr(&out, head);
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(&out, part);
    }
    buf_add_cstr(&out, tail);
    return arena_str(a, buf_str(&out));
}

static void too_much_is_refused(void **state) {
    static const struct {
        const char *head, *part;
        size_t count;
        const char *middle, *close; // close as often as part
        enum err_code code;
    } texts[] = {
        {"SELECT ", " ", GUARD_TEXT_MAX, "1", "", ERR_TOO_LARGE},
        {"SELECT 1", ", 1", 30000, "", "", ERR_TOO_LARGE},
        {"SELECT 1", " + 1", 500, "", "", ERR_TOO_LARGE},
        {"SELECT ", "-(", 300, "a", ")", ERR_TOO_LARGE},
        {"SELECT 1", " UNION ALL SELECT 1", 600, "", "", ERR_TOO_LARGE},
        {"SELECT 1", " EXCEPT SELECT 1", 300, "", "", ERR_TOO_LARGE},
        {"SELECT ", "[", 300, "1", "]", ERR_TOO_LARGE},
        {"", "SELECT * FROM (", 300, "SELECT 1", ")", ERR_TOO_LARGE},
        {"SELECT 'a'", " || 'a'", 900, "", "", ERR_TOO_LARGE},
        {"SELECT * FROM a", " JOIN a USING (x)", 400, "", "", ERR_TOO_LARGE},
        {"SELECT * FROM a", ", a", 400, "", "", ERR_TOO_LARGE},
        {"SELECT x::INT", "[]", 300, "", "", ERR_TOO_LARGE},
        {"SELECT x::INT", "[]", 2000, "", "", ERR_SQL},
        {"SELECT x::", "STRUCT(a ", 300, "INT", ")", ERR_TOO_LARGE},
        {"SELECT ", "CASE WHEN true THEN 1 ELSE ", 300, "2", " END", ERR_TOO_LARGE},
        {"SELECT ", "abs(", 300, "1", ")", ERR_TOO_LARGE},
        {"SELECT ", "(", 20000, "1", ")", ERR_SQL},
        {"SELECT ", "(", 20000, "1", "", ERR_SQL},
        {"SELECT ", "NOT ", 1500, "a", "", ERR_SQL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_statement *g = NULL;
        struct err err = ERR_NONE;
        const struct str open =
            repeated(texts[i].head, texts[i].part, texts[i].count, texts[i].middle, &a);
        const struct str sql =
            repeated(arena_cstr(&a, open), texts[i].close, texts[i].count, "", &a);
        const enum err_code code = check_statement(sql, &a, &g, &err);
        if (code != texts[i].code) {
            fail_msg("%zu: %s %s", i, err_text(code), err.msg);
        }
        assert_null(g);
    }
}

static void reasonable_sizes_pass(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(
        check_statement(repeated("SELECT 1 IN (1", ", 1", 5000, ")", &a), &a, &g, &err), ERR_OK);
    assert_int_equal(check_statement(repeated("SELECT 1", " + 1", 100, "", &a), &a, &g, &err),
                     ERR_OK);
    assert_int_equal(
        check_statement(repeated("SELECT 1", " UNION ALL SELECT 1", 100, "", &a), &a, &g, &err),
        ERR_OK);
    assert_int_equal(
        check_statement(repeated("SELECT 1 FROM a WHERE x", " AND x", 3000, "", &a), &a, &g, &err),
        ERR_OK);
}

// Names that would end a name or a text early if the engine's writer did not quote them.
static void odd_names_do_no_harm(void **state) {
    static const char *const names[] = {
        "a\"\"b",  "a) FROM (SELECT 1",
        "a'b",     "a; DROP TABLE cars",
        "--",      "/*",
        "a\nb",    "select",
        "A B",     "a.b",
        "ä",       "\xF0\x9F\x98\x80",
        "",        "$1",
        "?",       "*",
        "a\\",     "a\"\" AS \"\"b",
        "COLUMNS", "main",
    };
    static const char *const texts[] = {
        "SELECT * EXCLUDE (\"%s\") FROM cars",
        "SELECT * REPLACE (1 AS \"%s\") FROM cars",
        "SELECT * RENAME (id AS \"%s\") FROM cars",
        "SELECT 1 AS \"%s\"",
        "SELECT \"%s\" FROM cars",
        "SELECT c.\"%s\" FROM cars c",
        "SELECT \"%s\".id FROM cars \"%s\"",
        "SELECT \"%s\".* FROM cars",
        "SELECT * FROM cars x(\"%s\")",
        "SELECT * FROM \"%s\"",
        "WITH \"%s\" AS (SELECT 1) SELECT * FROM \"%s\"",
        "WITH c(\"%s\") AS (SELECT 1) SELECT * FROM c",
        "SELECT * FROM cars a JOIN cars b USING (\"%s\")",
        "PIVOT cars ON \"%s\" IN (1) USING sum(id) GROUP BY \"%s\"",
        "PIVOT cars ON id IN (1 AS \"%s\") USING sum(id) AS \"%s\"",
        "UNPIVOT cars ON \"%s\" INTO NAME \"%s\" VALUE v",
        "SELECT {'a': 1}.\"%s\", struct_pack(\"%s\" := 1)",
        "SELECT list_transform([1], \"%s\" -> 1)",
        "SELECT 1::STRUCT(\"%s\" INT)",
        "SELECT 'a'::ENUM('%s')",
        "SELECT '%s'",
        "SELECT \"%s\"(1)",
        "SELECT x.\"%s\"(1)",
        "SELECT 1::\"%s\"",
        "SELECT 'a' COLLATE \"%s\"",
        "SELECT * FROM range(1) \"%s\"(\"%s\")",
        "SELECT sum(id) OVER \"%s\" FROM cars WINDOW \"%s\" AS ()",
    };
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
            DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
            struct buf sql = BUF(1000);
            struct guard_statement *g = NULL;
            struct err err = ERR_NONE;
            struct str rest = str_from(texts[t]);
            for (ptrdiff_t at = str_find(rest, STR("%s")); at >= 0;
                 at = str_find(rest, STR("%s"))) {
                buf_add_str(&sql, str_slice(rest, 0, (size_t)at));
                buf_add_cstr(&sql, names[n]);
                rest = str_slice(rest, (size_t)at + 2, rest.len);
            }
            buf_add_str(&sql, rest);
            if (check_statement(buf_str(&sql), &a, &g, &err) == ERR_OK) {
                assert_int_equal(g->piece_count, g->table_count + 1);
            }
            buf_release(&sql);
        }
    }
}

// ---- What comes out

// Names of the tables with a blank between them.
static struct str mentions(struct str sql, struct arena *a) {
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    if (check_statement(sql, a, &g, &err) != ERR_OK) {
        fail_msg(STR_FMT ": %s", STR_ARG(sql), err.msg);
    }
    struct str ret = STR("");
    for (size_t i = 0; i < g->table_count; i++) {
        ret = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(ret), i > 0 ? " " : "",
                           STR_ARG(g->tables[i].name));
    }
    return ret;
}

static void ctes_are_scoped(void **state) {
    static const char *const cases[][2] = {
        {"SELECT 1", ""},
        {"FROM a", "a"},
        {"FROM a, a", "a a"},
        {"WITH a AS (SELECT 1) FROM a", ""},
        {"WITH a AS (SELECT 1) FROM A", ""},
        {"WITH \"A\" AS (SELECT 1) FROM \"a\"", ""},
        {"WITH a AS (FROM acl), acl AS (SELECT 1) FROM a", "acl"},
        {"WITH a AS (FROM acl), acl AS (SELECT 1) FROM a, acl", "acl"},
        {"WITH a AS (FROM a) FROM a", "a"},
        {"WITH RECURSIVE a AS (FROM a) FROM a", "a"},
        {"WITH RECURSIVE a AS (FROM b), b AS (SELECT 1) FROM a", "b"},
        {"WITH a AS (SELECT 1) FROM main.a", "a"},
        {"WITH a AS (SELECT 1) FROM a, main.a", "a"},
        {"FROM (WITH a AS (SELECT 1) FROM a), a", "a"},
        {"FROM a, (WITH a AS (SELECT 1) FROM a)", "a"},
        {"WITH a AS (WITH b AS (SELECT 1) FROM b) FROM a, b", "b"},
        {"WITH b AS (SELECT 1), a AS (WITH b AS (FROM b) FROM b) FROM a", ""},
        {"WITH a AS (WITH a AS (FROM a) FROM a) FROM a", "a"},
        {"WITH a AS (SELECT 1) SELECT (SELECT 1 FROM a), (WITH b AS (FROM a) SELECT 1 FROM b)", ""},
        {"SELECT (WITH b AS (SELECT 1) SELECT 1 FROM b), (SELECT 1 FROM b)", "b"},
        {"(WITH a AS (SELECT 1) FROM a) UNION ALL FROM a", "a"},
        {"WITH a AS (SELECT 1) (FROM a UNION ALL FROM a)", ""},
        {"WITH a AS (SELECT 1) FROM a UNION ALL FROM a", ""},
        {"WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) FROM r", ""},
        {"WITH RECURSIVE r AS (SELECT i FROM r UNION ALL SELECT 1) FROM r", "r"},
        {"WITH RECURSIVE r AS (SELECT i FROM r UNION ALL SELECT i FROM r) FROM r", "r"},
        {"WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i FROM s), s AS (FROM r) FROM s",
         "s"},
        {"WITH RECURSIVE r AS (SELECT 1 i UNION ALL (WITH s AS (FROM r) SELECT i FROM s)) FROM r, "
         "s",
         "s"},
        {"WITH r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) FROM r", "r"},
        {"WITH a AS (SELECT 1) SELECT 1 ORDER BY (SELECT 1 FROM a), (SELECT 1 FROM b)", "b"},
        {"WITH a AS (SELECT 1) SELECT 1 LIMIT (SELECT 1 FROM a)", ""},
        {"PIVOT (FROM a) ON x IN (1) USING sum(y)", "a"},
        {"WITH a AS (SELECT 1 x) PIVOT a ON x IN (1) USING sum(x)", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct str got = mentions(str_from(cases[i][0]), &a);
        if (!str_is(got, cases[i][1])) {
            fail_msg("%s: \"" STR_FMT "\", not \"%s\"", cases[i][0], STR_ARG(got), cases[i][1]);
        }
    }
}

static void pieces_hold_the_scans_apart(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    (void)state;
    const struct str sql = STR("SELECT a.x FROM cars a JOIN Makers ON a.y = Makers.z ORDER BY 1");
    assert_int_equal(check_statement(sql, &a, &g, &err), ERR_OK);
    assert_int_equal(g->table_count, 2);
    assert_int_equal(g->piece_count, 3);
    assert_int_equal(g->pieces[0].table, 0);
    assert_int_equal(g->pieces[1].table, 1);
    assert_int_equal(g->pieces[2].table, -1);
    assert_true(g->ordered && !g->varies);
    assert_int_equal(g->tables[0].position, 16);
    assert_int_equal(g->tables[1].position, 28);
    const struct str scans[] = {STR("FROM one"), STR("FROM two")};
    const struct str bound = guard_bind(g, scans, &a);
    const char *want = "SELECT \"a\".\"x\" FROM (FROM one) AS \"a\" INNER JOIN (FROM two) AS "
                       "\"Makers\" ON ((\"a\".\"y\" = \"Makers\".\"z\")) ORDER BY 1";
    assert_true(str_is(bound, want));
}

static void at_is_taken_out(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    (void)state;
    const struct str sql =
        STR("SELECT * FROM t AT (VERSION => 9007199254740993), t x AT (TIMESTAMP => "
            "'2020-01-01 02:00:00+02'), t y AT (TIMESTAMP => DATE '1970-01-02'), "
            "t z(a) AT (TIMESTAMP => TIMESTAMPTZ '1970-01-01 00:00:01'), t AS w");
    assert_int_equal(check_statement(sql, &a, &g, &err), ERR_OK);
    assert_int_equal(g->table_count, 5);
    assert_int_equal(g->tables[0].at, GUARD_AT_VERSION);
    assert_int_equal(g->tables[0].version, 9007199254740993);
    assert_int_equal(g->tables[1].at, GUARD_AT_TIMESTAMP);
    assert_int_equal(g->tables[1].timestamp_us, 1577836800000000);
    assert_int_equal(g->tables[2].timestamp_us, 86400000000);
    assert_int_equal(g->tables[3].timestamp_us, 1000000);
    assert_int_equal(g->tables[4].at, GUARD_AT_NOW);
    for (size_t i = 0; i < g->piece_count; i++) {
        assert_true(str_find(g->pieces[i].text, STR("=>")) < 0);
    }
}

static void positions_are_the_clients(void **state) {
    static const struct {
        const char *sql;
        const char *before; // the message speaks of what comes behind this
    } cases[] = {
        {"SELECT getvariable('v')", "SELECT "},
        {"SELECT 'ä', getvariable('v')", "SELECT 'ä', "},
        {"SELECT\xC2\xA0getvariable('v')", "SELECT\xC2\xA0"},
        {"SELECT 'a\xC2\xA0', \"b\xE3\x80\x80\",\xE2\x80\x83getvariable('v')",
         "SELECT 'a\xC2\xA0', \"b\xE3\x80\x80\",\xE2\x80\x83"},
        {"SELECT 1, -- a\xC2\xA0\n\xC2\xA0nextval('s')", "SELECT 1, -- a\xC2\xA0\n\xC2\xA0"},
        {"SELECT * FROM\n  raw.cars", "SELECT * FROM\n  "},
        {"SELECT * FROM cars WHERE x IN (SELECT y FROM 'f.csv')",
         "SELECT * FROM cars WHERE x IN (SELECT y FROM "},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_statement *g = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(check_statement(str_from(cases[i].sql), &a, &g, &err), ERR_REFUSED);
        assert_int_equal(err.position, (int64_t)strlen(cases[i].before));
    }
}

static void varying_statements_are_marked(void **state) {
    static const char *const texts[] = {"SELECT now()",
                                        "SELECT current_date",
                                        "SELECT Current_Timestamp",
                                        "SELECT random()",
                                        "SELECT id FROM cars TABLESAMPLE 10%",
                                        "SELECT id FROM cars USING SAMPLE 3",
                                        "SELECT uuid()",
                                        "SELECT ago(INTERVAL 1 DAY)",
                                        "SELECT list_transform([1], x -> random())"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_statement *g = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(check_statement(str_from(texts[i]), &a, &g, &err), ERR_OK);
        assert_true(g->varies);
    }
}

// ---- Conditions

static const char *const op_texts[] = {
    [ICE_OP_EQ] = "=",
    [ICE_OP_NE] = "<>",
    [ICE_OP_LT] = "<",
    [ICE_OP_LE] = "<=",
    [ICE_OP_GT] = ">",
    [ICE_OP_GE] = ">=",
    [ICE_OP_IS_NULL] = "IS NULL",
    [ICE_OP_NOT_NULL] = "IS NOT NULL",
    [ICE_OP_IN] = "IN",
};

static const char *const literal_types[] = {
    [GUARD_LITERAL_NUMBER] = "",
    [GUARD_LITERAL_STRING] = "",
    [GUARD_LITERAL_BOOLEAN] = "BOOLEAN ",
    [GUARD_LITERAL_DATE] = "DATE ",
    [GUARD_LITERAL_TIMESTAMP] = "TIMESTAMP ",
    [GUARD_LITERAL_TIMESTAMPTZ] = "TIMESTAMPTZ ",
};

// A condition as SQL.
static void say_condition(const struct guard_condition *c, struct buf *out) {
    buf_printf(out, STR_FMT " %s", STR_ARG(c->column), op_texts[c->op]);
    if (c->value_count == 0) {
        return;
    }
    buf_add_cstr(out, c->op == ICE_OP_IN ? " (" : " ");
    for (size_t i = 0; i < c->value_count; i++) {
        const char *quote = c->values[i].is_number ? "" : "'";
        assert_int_equal(c->values[i].is_number, c->literal == GUARD_LITERAL_NUMBER);
        buf_printf(out, "%s%s%s" STR_FMT "%s", i > 0 ? ", " : "", literal_types[c->literal], quote,
                   STR_ARG(c->values[i].text), quote);
    }
    buf_add_cstr(out, c->op == ICE_OP_IN ? ")" : "");
}

// The conditions of all tables: "t: a > 5 AND b = 1; u:".
static struct str conditions(struct str sql, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    if (check_statement(sql, a, &g, &err) != ERR_OK) {
        fail_msg(STR_FMT ": %s", STR_ARG(sql), err.msg);
    }
    for (size_t i = 0; i < g->table_count; i++) {
        buf_printf(&out, "%s" STR_FMT ":", i > 0 ? "; " : "", STR_ARG(g->tables[i].name));
        for (size_t k = 0; k < g->tables[i].condition_count; k++) {
            buf_add_cstr(&out, k > 0 ? " AND " : " ");
            say_condition(&g->tables[i].conditions[k], &out);
        }
    }
    return arena_str(a, buf_str(&out));
}

static const char *const condition_cases[][2] = {
    {"FROM t WHERE a > 5", "t: a > 5"},
    {"FROM t WHERE 5 > a", "t: a < 5"},
    {"FROM t WHERE a = -5 AND b <> 'x' AND 1.50 <= c", "t: a = -5 AND b <> 'x' AND c >= 1.50"},
    {"FROM t WHERE a = -0.05 AND (b = 1 AND (c = 2))", "t: a = -0.05 AND b = 1 AND c = 2"},
    {"FROM t WHERE a BETWEEN 1 AND 2", "t: a >= 1 AND a <= 2"},
    {"FROM t WHERE a BETWEEN 1 AND x AND b BETWEEN 1 AND 1e3 AND c BETWEEN 1 AND '2'", "t:"},
    {"FROM t WHERE a IN (1, 2.5) AND b IN ('x', 'y')", "t: a IN (1, 2.5) AND b IN ('x', 'y')"},
    {"FROM t WHERE a IS NULL AND b IS NOT NULL", "t: a IS NULL AND b IS NOT NULL"},
    {"FROM t WHERE a = DATE '2020-01-01' AND b > TIMESTAMP '2020-01-01 10:00:00.5'",
     "t: a = DATE '2020-01-01' AND b > TIMESTAMP '2020-01-01 10:00:00.5'"},
    {"FROM t WHERE a = true AND b = TIMESTAMPTZ '2020-01-01 00:00:00+01'",
     "t: a = BOOLEAN 'true' AND b = TIMESTAMPTZ '2020-01-01 00:00:00+01'"},
    {"FROM t x WHERE x.a > 5 AND X.b = 1", "t: a > 5 AND b = 1"},
    {"FROM t WHERE t.a > 5 AND main.t.b = 1 AND u.c = 1", "t: a > 5"},
    // Not a part of a conjunction, or not a plain comparison.
    {"FROM t WHERE a > 5 OR b = 1", "t:"},
    {"FROM t WHERE NOT a > 5 AND NOT (b = 1 OR c = 2)", "t: a <= 5"},
    {"FROM t WHERE a NOT IN (1) AND a NOT BETWEEN 1 AND 2", "t:"},
    {"FROM t WHERE a + 1 > 5 AND abs(a) = 1 AND a::INT = 3", "t:"},
    {"FROM t WHERE a = b AND a > (SELECT 1) AND a LIKE 'x%' AND a.b = 1", "t:"},
    {"FROM t WHERE a IS DISTINCT FROM 1 AND COLUMNS(*) > 3 AND a COLLATE nocase = 'x'", "t:"},
    // Constants that round, or whose text may be read in two ways.
    {"FROM t WHERE a > 1e3 AND b = NULL AND c IN (1, NULL) AND d IN (1, 'x')", "t:"},
    {"FROM t WHERE a > 123456789012345678901 AND b = 1234567890123.4567", "t:"},
    {"FROM t WHERE a = DATE '2020-1-1' AND b = '2020-01-01'::TIMESTAMP AND c = 'x'::DATE", "t:"},
    {"FROM t WHERE a = TIMESTAMP '2020-01-01 00:00:00.1234567' AND b = TRY_CAST('2020-01-01' "
     "AS "
     "DATE)",
     "t:"},
    {"FROM t WHERE a = TIMESTAMP '2020-01-01 00:00:00+01' AND b = TIME '10:00:00'", "t:"},
    {"FROM t WHERE a = 5::BIGINT AND b = 'x'::BLOB AND c = INTERVAL 1 DAY", "t:"},
    // Tables of which more than one row may matter.
    {"FROM t AS t(x, y) WHERE x = 1", "t:"},
    {"FROM t TABLESAMPLE 10% WHERE a = 1", "t:"},
    {"FROM t WHERE a = 1 USING SAMPLE 3", "t:"},
    {"FROM t, u WHERE a = 1 AND t.b = 2 AND u.c = 3", "t: b = 2; u: c = 3"},
    {"FROM t, t WHERE t.a = 1", "t:; t:"},
    {"FROM t x, t y WHERE x.a = 1 AND y.a = 2", "t: a = 1; t: a = 2"},
    {"FROM t JOIN u USING (a) WHERE t.b = 1 AND u.b = 2", "t: b = 1; u: b = 2"},
    {"FROM t LEFT JOIN u USING (a) WHERE t.b = 1 AND u.b = 2", "t: b = 1; u:"},
    {"FROM t RIGHT JOIN u USING (a) WHERE t.b = 1 AND u.b = 2", "t:; u: b = 2"},
    {"FROM t FULL JOIN u USING (a) WHERE t.b = 1 AND u.b = 2", "t:; u:"},
    {"FROM t SEMI JOIN u USING (a) WHERE t.b = 1 AND u.b = 2", "t: b = 1; u:"},
    {"FROM t ANTI JOIN u USING (a) WHERE t.b = 1 AND b = 2", "t: b = 1; u:"},
    {"FROM t POSITIONAL JOIN u WHERE t.b = 1 AND u.b = 2", "t:; u:"},
    {"FROM t ASOF JOIN u ON t.a >= u.a WHERE t.b = 1 AND u.b = 2", "t: b = 1; u:"},
    {"FROM t LEFT JOIN (u JOIN v ON u.a = v.a) ON t.a = u.a WHERE t.b = 1 AND u.b = 2",
     "t: b = 1; u:; v:"},
    {"FROM (t LEFT JOIN u ON t.a = u.a) JOIN v ON v.a = t.a WHERE u.b = 1 AND v.b = 2",
     "t:; u:; v: b = 2"},
    {"FROM t, (SELECT 1 AS t) t WHERE t.a = 1", "t:"},
    {"FROM t, unnest(t.l) WHERE t.a = 1 AND b = 2", "t: a = 1"},
    {"FROM t, LATERAL (FROM u WHERE u.a = t.a AND t.b = 2 AND u.c = 3) WHERE t.a = 1",
     "t: a = 1; u: c = 3"},
    {"PIVOT t ON a IN (1) USING sum(b)", "t:"},
    {"FROM t PIVOT (sum(a) FOR b IN (1)) WHERE a = 1", "t:"},
    {"WITH t AS (FROM u WHERE b = 2) FROM t WHERE a = 1", "u: b = 2"},
    {"SELECT a FROM t GROUP BY a HAVING a = 1", "t:"},
    {"SELECT (SELECT max(a) FROM u WHERE b = 1) FROM t WHERE c = 2", "u: b = 1; t: c = 2"},
};

static void conditions_come_only_where_they_hold(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(condition_cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct str got = conditions(str_from(condition_cases[i][0]), &a);
        if (!str_is(got, condition_cases[i][1])) {
            fail_msg("%s: \"" STR_FMT "\", not \"%s\"", condition_cases[i][0], STR_ARG(got),
                     condition_cases[i][1]);
        }
    }
}

// ---- Random conditions: no row of the answer fails one.

static uint64_t seed = 1;

static size_t draw(size_t count) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(seed >> 33) % count;
}

static const char *one_of(const char *const *list, size_t count) {
    return list[draw(count)];
}

static void add_predicate(struct buf *out, int depth) {
    static const char *const columns[] = {"id", "weight", "price", "ref", "r.id"};
    static const char *const numbers[] = {"3", "-1", "7.5", "1.5e0", "12", "5.", "0.00", "1000.25"};
    static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">="};
    static const char *const others[] = {"built >= DATE '2020-01-09'",
                                         "built < '2020-01-05'",
                                         "name = 'car 3'",
                                         "used = true",
                                         "used IS NULL",
                                         "weight IS NOT NULL",
                                         "sold > DATE '2021-03-01'",
                                         "maker IN ('alfa', 'bmw')",
                                         "weight IN (1.5, 3, 4.5)",
                                         "maker > 'b'",
                                         "built = '2020-01-07'",
                                         "price IN ('1000.25', '5001.25')",
                                         "ref BETWEEN 2 AND 5.5",
                                         "sold < TIMESTAMP '2021-03-01 07:30:00'"};
    const size_t kind = draw(depth > 0 ? 6 : 4);
    if (kind == 0) {
        buf_printf(out, "%s %s %s", one_of(numbers, ARRAY_LEN(numbers)),
                   one_of(ops, ARRAY_LEN(ops)), one_of(columns, ARRAY_LEN(columns)));
    } else if (kind == 1) {
        buf_printf(out, "%s %s %s", one_of(columns, ARRAY_LEN(columns)),
                   one_of(ops, ARRAY_LEN(ops)), one_of(numbers, ARRAY_LEN(numbers)));
    } else if (kind < 4) {
        buf_add_cstr(out, one_of(others, ARRAY_LEN(others)));
    } else {
        buf_add_cstr(out, draw(4) == 0 ? "NOT (" : "(");
        add_predicate(out, depth - 1);
        buf_add_cstr(out, draw(3) == 0 ? ") OR (" : ") AND (");
        add_predicate(out, depth - 1);
        buf_add_char(out, ')');
    }
}

static void no_row_of_the_answer_fails_a_condition(void **state) {
    int found = 0;
    (void)state;
    for (int i = 0; i < 400; i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        DEFER(buf_release) struct buf where = BUF(1 << 20);
        struct err err = ERR_NONE;
        struct str count = STR_NONE;
        add_predicate(&where, 3);
        const struct str said = conditions(
            arena_printf(&a, "SELECT id + 1 AS id, 0 AS price FROM cars r WHERE %s", where.ptr),
            &a);
        const struct str demand = str_slice(said, strlen("cars:"), said.len);
        if (demand.len == 0) {
            continue;
        }
        found++;
        const struct str sql =
            arena_printf(&a, "SELECT count(*) FROM cars r WHERE (%s) AND (" STR_FMT ") IS NOT TRUE",
                         where.ptr, STR_ARG(demand));
        assert_int_equal(session_text(fx.plain_session, sql, &a, &count, &err), ERR_OK);
        if (!str_is(count, "0")) {
            fail_msg(STR_FMT, STR_ARG(sql));
        }
    }
    assert_true(found > 50);
}

// ---- The allow-list

static void functions_are_sorted_and_known_to_the_engine(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    struct str known = STR_NONE;
    size_t count = 0;
    const struct guard_function *list = guard_function_list(&count);
    const struct str sql =
        STR("SELECT ' unnest ' || string_agg(lower(function_name), ' ') || ' ' FROM "
            "duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro')");
    (void)state;
    assert_int_equal(session_text(fx.plain_session, sql, &a, &known, &err), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || strcmp(list[i - 1].name, list[i].name) < 0);
        assert_ptr_equal(guard_function_find(str_from(list[i].name)), &list[i]);
        if (str_find(known, arena_printf(&a, " %s ", list[i].name)) < 0) {
            fail_msg("%s is no function of the engine", list[i].name);
        }
    }
    assert_non_null(guard_function_find(STR("SuM")));
    assert_null(guard_function_find(STR("")));
    assert_null(guard_function_find(STR("read_text")));
    assert_null(guard_function_find(STR("sum\0x")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_statements_are_refused),
        cmocka_unit_test(legitimate_statements_give_the_same_answer),
        cmocka_unit_test(broken_bytes_are_refused),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(reasonable_sizes_pass),
        cmocka_unit_test(odd_names_do_no_harm),
        cmocka_unit_test(ctes_are_scoped),
        cmocka_unit_test(pieces_hold_the_scans_apart),
        cmocka_unit_test(at_is_taken_out),
        cmocka_unit_test(positions_are_the_clients),
        cmocka_unit_test(varying_statements_are_marked),
        cmocka_unit_test(conditions_come_only_where_they_hold),
        cmocka_unit_test(no_row_of_the_answer_fails_a_condition),
        cmocka_unit_test(functions_are_sorted_and_known_to_the_engine),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
