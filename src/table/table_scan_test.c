// Tests of scans: which files conditions skip, and that skipping never changes an answer.

#include "table/one_world_test.h"

static void write_rows(enum table_mode mode, const char *dataset, bool evolve, struct str source) {
    struct table_written w;
    OK(world_write_as(
        &world,
        (struct table_write){
            .dataset = str_from(dataset), .mode = mode, .evolve = evolve, .source = source},
        &w));
}

static struct table_pin pin_now(const char *dataset) {
    struct table_pin pin;
    const struct table_want want = {.name = str_from(dataset)};
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    return pin;
}

// A condition as text, "a" "<=" "12" or "'x'", made ready for the planner.
static struct ice_predicate predicate(const struct table_pin *pin, const char *column,
                                      enum ice_op op, const char *value) {
    struct ice_literal *literal = arena_alloc(&world.arena, sizeof(*literal));
    struct str text = str_from(value);
    literal->is_number = text.len > 0 && text.ptr[0] != '\'';
    literal->text = literal->is_number ? text : str_slice(text, 1, text.len - 1);
    const struct ice_field *f = ice_schema_find(pin->schema, str_from(column));
    assert_non_null(f);
    return (struct ice_predicate){
        .field_id = f->id, .op = op, .values = literal, .value_count = text.len > 0 ? 1 : 0};
}

static void conditions_skip_files_that_cannot_match(void **state) {
    (void)state;
    // Files of 0..9, 10..19, 20..29 and one of NULLs.
    for (int i = 0; i < 3; i++) {
        write_rows(i == 0 ? TABLE_CREATE : TABLE_APPEND, "t", true,
                   arena_printf(&world.arena,
                                "(SELECT (i + %d)::INTEGER AS n, 'k' || (i + %d) AS s, DATE "
                                "'2020-01-01' + (i + %d)::INTEGER AS d FROM range(10) r(i))",
                                i * 10, i * 10, i * 10));
    }
    write_rows(TABLE_APPEND, "t", true,
               STR("(SELECT NULL::INTEGER AS n, 'k5' AS s, NULL::DATE AS d FROM range(3))"));
    static const struct {
        const char *column;
        enum ice_op op;
        const char *value;
        size_t files;
        const char *tail, *rows;
    } cases[] = {
        {"n", ICE_OP_EQ, "15", 1, "WHERE n = 15", "1"},
        {"n", ICE_OP_EQ, "99", 0, "WHERE n = 99", "0"},
        {"n", ICE_OP_LT, "10", 1, "WHERE n < 10", "10"},
        {"n", ICE_OP_LE, "10", 2, "WHERE n <= 10", "11"},
        {"n", ICE_OP_GT, "19", 1, "WHERE n > 19", "10"},
        {"n", ICE_OP_GE, "19", 2, "WHERE n >= 19", "11"},
        {"n", ICE_OP_IS_NULL, "", 1, "WHERE n IS NULL", "3"},
        {"n", ICE_OP_NOT_NULL, "", 3, "WHERE n IS NOT NULL", "30"},
        {"s", ICE_OP_EQ, "'k5'", 2, "WHERE s = 'k5'", "4"},
        {"d", ICE_OP_GE, "'2020-01-25'", 1, "WHERE d >= '2020-01-25'", "6"},
    };
    for (int restart = 0; restart < 2; restart++) {
        struct table_pin pin = pin_now("t");
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct ice_predicate p = predicate(&pin, cases[i].column, cases[i].op, cases[i].value);
            const struct table_conditions c = {&p, 1};
            struct table_scan scan;
            OK(table_scan_plan(world.tables, &pin, &c, &world.arena, &scan, &err));
            if (scan.file_count != cases[i].files || scan.pruned != 4 - scan.file_count) {
                fail_msg("%s: %zu files", cases[i].tail, scan.file_count);
            }
            assert_str(world_value_of(&world, &pin, &c, "count(*)", cases[i].tail), cases[i].rows);
        }
        world_reopen(&world);
    }
}

static void conditions_see_through_evolution(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t", false, STR("(SELECT i::INTEGER AS n FROM range(10) r(i))"));
    write_rows(TABLE_APPEND, "t", true,
               STR("(SELECT 5000000000 + i AS n, i AS added FROM range(10) r(i))"));
    struct table_pin pin = pin_now("t");
    struct ice_predicate p = predicate(&pin, "n", ICE_OP_GE, "3000000000");
    const struct table_conditions c = {&p, 1};
    struct table_scan scan;
    OK(table_scan_plan(world.tables, &pin, &c, &world.arena, &scan, &err));
    assert_int_equal(scan.file_count, 1);
    assert_str(world_value_of(&world, &pin, &c, "count(*)", "WHERE n >= 3000000000"), "10");
    p = predicate(&pin, "n", ICE_OP_LT, "3000000000");
    assert_str(world_value_of(&world, &pin, &c, "count(*)", "WHERE n < 3000000000"), "10");
    // The older file lacks the column: all its rows are NULL there.
    p = predicate(&pin, "added", ICE_OP_IS_NULL, "");
    assert_str(world_value_of(&world, &pin, &c, "count(*)", "WHERE added IS NULL"), "10");
}

static void all_conditions_hold_together(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t", false, STR("(SELECT i AS a, -i AS b FROM range(10) r(i))"));
    write_rows(TABLE_APPEND, "t", false, STR("(SELECT i AS a, i AS b FROM range(10) r(i))"));
    struct table_pin pin = pin_now("t");
    struct ice_predicate p[] = {predicate(&pin, "a", ICE_OP_GT, "0"),
                                predicate(&pin, "b", ICE_OP_GT, "0")};
    const struct table_conditions c = {p, 2};
    struct table_scan scan;
    OK(table_scan_plan(world.tables, &pin, &c, &world.arena, &scan, &err));
    assert_int_equal(scan.file_count, 1);
    assert_str(world_value_of(&world, &pin, &c, "count(*)", "WHERE a > 0 AND b > 0"), "9");
}

// A column of the random tables: how it is made from a small number v, and the same as a constant.
struct random_column {
    const char *name, *value;
    bool is_number;
};

static const struct random_column random_columns[] = {
    {"n", "(v)::INTEGER", true},
    {"l", "(v)::BIGINT * 1000000007", true},
    {"f", "CASE WHEN (v) % 11 = 0 THEN 'nan'::DOUBLE ELSE (v) / 4 END", true},
    {"r", "((v) / 8)::FLOAT", true},
    {"c", "((v) * 1.25)::DECIMAL(9,2)", true},
    {"w", "((v) * 1.25)::DECIMAL(30,2)", true},
    {"s", "repeat(chr((100 + (v) // 8)::INTEGER), 14 + (v)::INTEGER % 8)", false},
    {"u", "chr((128512 + (v))::INTEGER) || chr((200 + (v))::INTEGER)", false},
    {"d", "DATE '1970-01-01' - 20 + (v)::INTEGER", false},
    {"t", "TIMESTAMP '1969-12-31 23:59:40.5' + to_seconds((v) * 0.75)", false},
    {"z", "TIMESTAMPTZ '1969-12-31 23:59:40.5+00' + to_seconds((v) * 0.75)", false},
    {"o", "TIME '00:00:10' + to_seconds((v)::DOUBLE)", false},
    {"b", "(v) > 30", false},
};

static struct str with_v(const char *expr, const char *v) {
    struct str rest = str_from(expr);
    struct str out = STR_NONE;
    for (ptrdiff_t at = str_find(rest, STR("(v)")); at >= 0; at = str_find(rest, STR("(v)"))) {
        struct str head = str_slice(rest, 0, (size_t)at);
        out = arena_printf(&world.arena, STR_FMT STR_FMT "(%s)", STR_ARG(out), STR_ARG(head), v);
        rest = str_slice(rest, (size_t)at + 3, rest.len);
    }
    return arena_printf(&world.arena, STR_FMT STR_FMT, STR_ARG(out), STR_ARG(rest));
}

static uint64_t random_state;

static int64_t random_below(int64_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

// Twenty rows whose numbers lie near `around`; each value is NULL by a chance that is the file's.
static struct str random_source(int64_t around, bool wide) {
    struct str list = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(random_columns); i++) {
        const struct random_column *c = &random_columns[i];
        long long seed = (long long)random_below(1000000);
        long long nulls = (long long)random_below(4) == 0 ? 2 : 9;
        struct str v = arena_printf(&world.arena, "%lld + (hash(i, %lld) %% 12)::BIGINT",
                                    (long long)around, seed);
        struct str value = with_v(c->value, v.ptr);
        bool widened = wide && str_is(str_from(c->name), "n");
        list = arena_printf(&world.arena,
                            STR_FMT "%sCASE WHEN hash(i, %lld) %% %lld = 0 THEN NULL ELSE " STR_FMT
                                    "%s END AS \"%s\"",
                            STR_ARG(list), i == 0 ? "" : ", ", seed + 1, nulls, STR_ARG(value),
                            widened ? "::BIGINT + 1" : "", c->name);
    }
    return arena_printf(&world.arena, "(SELECT " STR_FMT "%s FROM range(20) r(i))", STR_ARG(list),
                        wide ? ", i AS added" : "");
}

static void random_table(const char *name) {
    int64_t files = 2 + random_below(3);
    bool evolves = random_below(2) == 0;
    for (int64_t i = 0; i < files; i++) {
        bool wide = evolves && i >= files / 2;
        write_rows(i == 0 ? TABLE_CREATE : TABLE_APPEND, name, true,
                   random_source(random_below(60), wide));
    }
}

// A random condition: its WHERE text and the planner's form.
static struct str random_condition(const struct table_pin *pin, struct ice_predicate *ret) {
    static const char *const signs[] = {[ICE_OP_EQ] = "=",  [ICE_OP_NE] = "<>", [ICE_OP_LT] = "<",
                                        [ICE_OP_LE] = "<=", [ICE_OP_GT] = ">",  [ICE_OP_GE] = ">="};
    const struct random_column *c = &random_columns[random_below(ARRAY_LEN(random_columns))];
    struct arena *a = &world.arena;
    *ret = predicate(pin, c->name, (enum ice_op)random_below(ICE_OP_IN + 1), "");
    if (ret->op == ICE_OP_IS_NULL || ret->op == ICE_OP_NOT_NULL) {
        const char *not = ret->op == ICE_OP_NOT_NULL ? "NOT " : "";
        return arena_printf(a, "WHERE \"%s\" IS %sNULL", c->name, not );
    }
    ret->value_count = ret->op == ICE_OP_IN ? (size_t)(1 + random_below(3)) : 1;
    struct ice_literal *values = arena_array(a, ret->value_count, sizeof(*values));
    struct str list = STR_NONE;
    for (size_t i = 0; i < ret->value_count; i++) {
        struct str v = arena_printf(a, "%lld", (long long)random_below(80) - 5);
        struct str sql = arena_printf(a, "SELECT CAST(" STR_FMT " AS VARCHAR)",
                                      STR_ARG(with_v(c->value, v.ptr)));
        values[i].is_number = c->is_number;
        OK(session_text(world.session, sql, a, &values[i].text, &err));
        if (str_is(values[i].text, "nan")) {
            values[i].is_number = false; // 'nan' is a string in SQL
        }
        struct str text = values[i].is_number ? values[i].text : sql_literal(values[i].text, a);
        list =
            arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(list), i == 0 ? "" : ", ", STR_ARG(text));
    }
    ret->values = values;
    if (ret->op == ICE_OP_IN) {
        return arena_printf(a, "WHERE \"%s\" IN (" STR_FMT ")", c->name, STR_ARG(list));
    }
    return arena_printf(a, "WHERE \"%s\" %s " STR_FMT, c->name, signs[ret->op], STR_ARG(list));
}

// Property: rows of (scan with conditions + WHERE) are the rows of (scan without + WHERE).
static void skipping_files_never_changes_an_answer(void **state) {
    (void)state;
    const struct table_conditions none = {0};
    size_t pruned = 0;
    size_t matched = 0;
    random_state = 88172645463325252;
    for (int table = 0; table < 12; table++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%d", table);
        random_table(name);
        struct table_pin pin = pin_now(name);
        for (int i = 0; i < 60; i++) {
            struct ice_predicate p;
            struct str where = random_condition(&pin, &p);
            const struct table_conditions c = {&p, 1};
            struct table_scan scan;
            OK(table_scan_plan(world.tables, &pin, &c, &world.arena, &scan, &err));
            pruned += scan.pruned;
            static const char rows[] = "count(*) || ' ' || coalesce(sum(hash(t::VARCHAR)), 0)";
            struct str with = world_value_of(&world, &pin, &c, rows, where.ptr);
            struct str without = world_value_of(&world, &pin, &none, rows, where.ptr);
            if (!str_eq(with, without)) {
                fail_msg("%s " STR_FMT ": " STR_FMT ", but " STR_FMT " without skipping", name,
                         STR_ARG(where), STR_ARG(with), STR_ARG(without));
            }
            matched += str_is(with, "0 0") ? 0 : 1;
        }
    }
    assert_in_range(pruned, 100, 4000);
    assert_in_range(matched, 200, 719);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(conditions_skip_files_that_cannot_match),
        TEST(conditions_see_through_evolution),
        TEST(all_conditions_hold_together),
        TEST(skipping_files_never_changes_an_answer),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
