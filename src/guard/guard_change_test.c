// Tests of statements that write: two corpora, the parts that come out, the form of their SELECTs.
#include "guard/guard_change.h"

#include "guard/guard_token.h"
#include "guard/parser_test.h"

#include <stdio.h>
#include <stdlib.h>

static enum err_code check(const char *sql, struct arena *a, struct guard_change **ret,
                           struct err *err) {
    *err = ERR_NONE;
    return guard_check_change(parser, str_from(sql), a, ret, err);
}

static struct guard_change *good(const char *sql, struct arena *a) {
    struct guard_change *c = NULL;
    struct err err = ERR_NONE;
    if (check(sql, a, &c, &err) != ERR_OK) {
        fail_msg("%s: %s", sql, err.msg);
    }
    return c;
}

static void assert_str(struct str s, const char *expected) {
    if (!str_is(s, expected)) {
        fail_msg("\"" STR_FMT "\" is not \"%s\"", STR_ARG(s), expected);
    }
}

// The canonical text with each table's name in angle brackets.
static struct str bound(const struct guard_statement *g, struct arena *a) {
    struct str *scans = arena_array(a, g->table_count, sizeof(*scans));
    for (size_t i = 0; i < g->table_count; i++) {
        scans[i] = arena_printf(a, "<" STR_FMT ">", STR_ARG(g->tables[i].name));
    }
    return guard_bind(g, scans, a);
}

static void hostile_statements_are_refused(void **state) {
    DEFER(arena_release) struct arena corpus = ARENA(SIZE_MAX);
    (void)state;
    struct str rest = read_beside("guard_change_hostile.txt", &corpus);
    struct str line = STR_NONE;
    int count = 0;
    while (str_cut(&rest, '\n', &line)) {
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_change *c = NULL;
        struct err err = ERR_NONE;
        const enum err_code code = guard_check_change(parser, line, &a, &c, &err);
        if (code != ERR_REFUSED && code != ERR_SQL) {
            fail_msg(STR_FMT ": %s %s", STR_ARG(line), err_text(code), err.msg);
        }
        assert_true(err.position >= -1 && err.position <= (int64_t)line.len);
        assert_true(err.msg[0] != '\0');
        count++;
    }
    assert_true(count >= 250);
}

static void legit_statements_are_let_through(void **state) {
    DEFER(arena_release) struct arena corpus = ARENA(SIZE_MAX);
    (void)state;
    struct str rest = read_beside("guard_change_legit.txt", &corpus);
    struct str line = STR_NONE;
    int count = 0;
    while (str_cut(&rest, '\n', &line)) {
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const struct guard_change *c = good(arena_cstr(&a, line), &a);
        assert_true(guard_writes(line));
        assert_true((c->kind == GUARD_DROP || c->kind == GUARD_ALTER) == (c->rows == NULL));
        count++;
    }
    assert_true(count >= 60);
}

static void what_writes_is_known_by_its_first_word(void **state) {
    static const char *const writes[] = {"insert into t",   "/* x */ UPDATE t", "-- a\n delete",
                                         "\xC2\xA0\x64rop", "Create",           "ALTER",
                                         "merge",           "truncate"};
    static const char *const reads[] = {
        "",           "SELECT 1", "FROM t",    "(SELECT 1)", "'update'",
        "\"update\"", "updates",  "/* delete", "1",          "WITH x AS (FROM t) DELETE FROM t"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        assert_true(guard_writes(str_from(writes[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        assert_false(guard_writes(str_from(reads[i])));
    }
}

static void an_insert_names_its_columns_and_brings_a_query(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    const struct guard_change *c =
        good("INSERT INTO \"My\"\"Table\" (a, \"B c\") SELECT x, y FROM u", &a);
    assert_int_equal(c->kind, GUARD_INSERT);
    assert_string_equal(c->action, "sql.insert");
    assert_str(c->target.text, "My\"Table");
    assert_int_equal(c->target.position, 12);
    assert_int_equal(c->column_count, 2);
    assert_str(c->columns[1].text, "B c");
    assert_int_equal(c->columns[1].position, 28);
    assert_int_equal(c->rows->table_count, 1);
    assert_str(c->rows->tables[0].name, "u");
    assert_int_equal(c->rows->tables[0].position, 52);
}

static void an_update_becomes_a_select_of_values_and_columns(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    const struct guard_change *c =
        good("UPDATE t SET a = b + 1, c = (SELECT max(a) FROM t) WHERE d = 5", &a);
    assert_int_equal(c->kind, GUARD_UPDATE);
    assert_int_equal(c->column_count, 2);
    assert_str(c->columns[1].text, "c");
    assert_int_equal(c->rows->table_count, 2);
    const struct guard_table *target = &c->rows->tables[c->target_table];
    assert_str(c->rows->tables[1 - c->target_table].name, "t");
    // The target has a name that nobody can write, and the condition is its own.
    assert_true(target->name.len > 20);
    assert_int_equal(target->condition_count, 1);
    assert_str(target->conditions[0].column, "d");
    const struct str expected = arena_printf(
        &a,
        "SELECT (\"b\" + 1), (SELECT \"max\"(\"a\") FROM (<t>) AS \"t\") AS "
        "\"(SELECT max(a) FROM t)\", \"t\".* FROM (<" STR_FMT ">) AS \"t\" WHERE (\"d\" = 5)",
        STR_ARG(target->name));
    if (!str_eq(bound(c->rows, &a), expected)) {
        fail_msg(STR_FMT "\nis not\n" STR_FMT, STR_ARG(bound(c->rows, &a)), STR_ARG(expected));
    }
}

static void a_delete_becomes_a_select_of_places(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    const struct guard_change *c = good("DELETE FROM t AS x WHERE x.a = 1", &a);
    assert_int_equal(c->kind, GUARD_DELETE);
    assert_str(c->target.text, "t");
    const struct str expected = arena_printf(
        &a,
        "SELECT \"x\".\"" STR_FMT "\", \"x\".\"" STR_FMT "\" FROM (<" STR_FMT
        ">) AS \"x\" WHERE (\"x\".\"a\" = 1)",
        STR_ARG(c->file_column), STR_ARG(c->row_column), STR_ARG(c->rows->tables[0].name));
    if (!str_eq(bound(c->rows, &a), expected)) {
        fail_msg(STR_FMT "\nis not\n" STR_FMT, STR_ARG(bound(c->rows, &a)), STR_ARG(expected));
    }
}

static void comments_do_not_reach_over_pieces(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    const struct guard_change *c =
        good("UPDATE t /* SET x */ SET -- WHERE\n a = 1 -- + 1\n + 2 /* ,"
             " b = 2 */, c = 3 -- the end\nWHERE /* no */ d -- \n",
             &a);
    assert_int_equal(c->column_count, 2);
    assert_str(c->columns[0].text, "a");
    assert_str(c->columns[1].text, "c");
    assert_true(str_starts(bound(c->rows, &a), STR("SELECT (1 + 2), 3, \"t\".* FROM (<")));
    assert_true(str_ends(bound(c->rows, &a), STR(">) AS \"t\" WHERE \"d\"")));
}

static void two_checks_use_different_names(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    const struct guard_change *x = good("DELETE FROM t", &a);
    const struct guard_change *y = good("DELETE FROM t", &a);
    assert_false(str_eq(x->file_column, y->file_column));
}

static void alters_are_read_in_their_order(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    const struct guard_change *c =
        good("ALTER TABLE IF EXISTS t ADD COLUMN IF NOT EXISTS a DECIMAL(10, 2), DROP b, RENAME "
             "COLUMN c TO \"d\", ALTER e SET DATA TYPE TIMESTAMP WITH TIME ZONE, ALTER COLUMN f "
             "DROP NOT NULL;",
             &a);
    static const enum guard_alter_kind kinds[] = {GUARD_ADD_COLUMN, GUARD_DROP_COLUMN,
                                                  GUARD_RENAME_COLUMN, GUARD_RETYPE_COLUMN,
                                                  GUARD_ALLOW_NULLS};
    static const char *const names[] = {"a", "b", "c", "e", "f"};
    assert_int_equal(c->alter_count, 5);
    assert_true(c->lenient);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(c->alters[i].kind, kinds[i]);
        assert_str(c->alters[i].column.text, names[i]);
    }
    assert_true(c->alters[0].lenient);
    assert_str(c->alters[0].type, "DECIMAL(10, 2)");
    assert_str(c->alters[2].to, "d");
    assert_str(c->alters[3].type, "TIMESTAMP WITH TIME ZONE");
}

static void refusals_say_where_and_what_instead(void **state) {
    static const struct {
        const char *sql, *says;
        int64_t position;
    } cases[] = {
        {"UPDATE t SET a = u.a FROM u", "subquery", 21},
        {"DELETE FROM t USING u", "subquery", 14},
        {"DELETE FROM t RETURNING *", "RETURNING is not available", 14},
        {"INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "mode=upsert", 25},
        {"CREATE VIEW v AS SELECT 1", "CREATE [OR REPLACE] TABLE", 7},
        {"TRUNCATE t", "DELETE FROM t", 0},
        {"INSERT INTO 'x.csv' VALUES (1)", "files cannot be written", 12},
        {"DELETE FROM __raw__t", "for reading only", 12},
        {"UPDATE t SET a = 1, a = 2", "set twice", 20},
        {"UPDATE t SET a = read_csv('x')", "read_csv", 17},
        {"DELETE FROM t WHERE a IN (SELECT a FROM 'x.csv')", "files cannot be read", 40},
        {"UPDATE t SET b = 1, a = unnest([1])", "\"a\"", -1},
        {"DELETE FROM t; SELECT 1", "one statement", 13},
        {"ALTER TABLE t ADD a INT DEFAULT 1", "DEFAULT", 24},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct guard_change *c = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(check(cases[i].sql, &a, &c, &err), ERR_REFUSED);
        if (strstr(err.msg, cases[i].says) == NULL || err.position != cases[i].position) {
            fail_msg("%s: \"%s\" at %lld", cases[i].sql, err.msg, (long long)err.position);
        }
    }
}

static void syntax_errors_stand_in_the_clients_text(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_change *c = NULL;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(check("UPDATE t SET a = 1 1", &a, &c, &err), ERR_SQL);
    assert_int_equal(err.position, 19);
    assert_int_equal(check("INSERT INTO t SELECT 1 FORM u v", &a, &c, &err), ERR_SQL);
    assert_int_equal(err.position, 28);
}

static void tokens_know_what_is_quoted(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct token *t = NULL;
    size_t count = 0;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(
        guard_tokens(STR("a.b 'c''d' \"e\"\"f\" E'g\\'h' $$i$$ $j$k$$l$j$ m$n 1.5e3 -- x\n"
                         "(/* /* */ */ [o])"),
                     &a, &t, &count, &err),
        ERR_OK);
    static const struct {
        enum token_kind kind;
        const char *text;
    } want[] = {{TOKEN_WORD, "a"},          {TOKEN_SIGN, "."},
                {TOKEN_WORD, "b"},          {TOKEN_STRING, "'c''d'"},
                {TOKEN_NAME, "\"e\"\"f\""}, {TOKEN_STRING, "E'g\\'h'"},
                {TOKEN_STRING, "$$i$$"},    {TOKEN_STRING, "$j$k$$l$j$"},
                {TOKEN_WORD, "m$n"},        {TOKEN_NUMBER, "1.5e3"},
                {TOKEN_SIGN, "("},          {TOKEN_SIGN, "["},
                {TOKEN_WORD, "o"},          {TOKEN_SIGN, "]"},
                {TOKEN_SIGN, ")"},          {TOKEN_END, ""}};
    assert_int_equal(count, ARRAY_LEN(want));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(t[i].kind, want[i].kind);
        assert_str(t[i].text, want[i].text);
    }
    assert_true(t[2].behind_dot);
    assert_int_equal(t[12].depth, 2);
    assert_int_equal(t[14].depth, 0);
    assert_str(guard_token_name(&t[4], &a), "e\"f");
}

static void raw_and_system_tables_are_told_apart(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(guard_check(parser,
                                 STR("SELECT __raw__t.a FROM __raw__t, t, system.files, "
                                     "System.\"Journal\" j"),
                                 &a, &g, &err),
                     ERR_OK);
    assert_int_equal(g->table_count, 4);
    assert_true(g->tables[0].raw && !g->tables[1].raw);
    assert_str(g->tables[0].name, "t");
    assert_int_equal(g->tables[2].system, GUARD_FILES);
    assert_int_equal(g->tables[3].system, GUARD_JOURNAL);
    assert_str(bound(g, &a), "SELECT __raw__t.a FROM (<t>) AS __raw__t , (<t>) AS t , (<files>) AS "
                             "files , (<journal>) AS j");
    assert_int_equal(guard_check(parser, STR("FROM system.secrets"), &a, &g, &err), ERR_REFUSED);
    assert_int_equal(guard_check(parser, STR("FROM system.files AT (VERSION => 1)"), &a, &g, &err),
                     ERR_REFUSED);
    assert_int_equal(guard_check(parser, STR("FROM memory.system.files"), &a, &g, &err),
                     ERR_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_statements_are_refused),
        cmocka_unit_test(legit_statements_are_let_through),
        cmocka_unit_test(what_writes_is_known_by_its_first_word),
        cmocka_unit_test(an_insert_names_its_columns_and_brings_a_query),
        cmocka_unit_test(an_update_becomes_a_select_of_values_and_columns),
        cmocka_unit_test(a_delete_becomes_a_select_of_places),
        cmocka_unit_test(comments_do_not_reach_over_pieces),
        cmocka_unit_test(two_checks_use_different_names),
        cmocka_unit_test(alters_are_read_in_their_order),
        cmocka_unit_test(refusals_say_where_and_what_instead),
        cmocka_unit_test(syntax_errors_stand_in_the_clients_text),
        cmocka_unit_test(tokens_know_what_is_quoted),
        cmocka_unit_test(raw_and_system_tables_are_told_apart),
    };
    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
