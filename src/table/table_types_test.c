// Tests of types: what each type of the engine becomes, how it is cast, and what is refused.

#include "table/table_types.h"

#include "table/one_world_test.h"

// The engine's type of an expression. Lives as long as *rows.
static const struct vec_type *type_of(const char *expr, struct rows **rows) {
    struct str sql = arena_printf(&world.arena, "SELECT %s AS c", expr);
    OK(session_query(world.session, sql, rows, &err));
    return rows_column_type(*rows, 0);
}

static void every_lawful_type_has_its_iceberg_type(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"true", "boolean", "BOOLEAN"},
        {"1::TINYINT", "int", "INTEGER"},
        {"1::SMALLINT", "int", "INTEGER"},
        {"1::INTEGER", "int", "INTEGER"},
        {"1::BIGINT", "long", "BIGINT"},
        {"1::UTINYINT", "int", "INTEGER"},
        {"1::USMALLINT", "int", "INTEGER"},
        {"1::UINTEGER", "long", "BIGINT"},
        {"1::UBIGINT", "decimal(20,0)", "DECIMAL(20,0)"},
        {"1::HUGEINT", "decimal(38,0)", "DECIMAL(38,0)"},
        {"1::UHUGEINT", "decimal(38,0)", "DECIMAL(38,0)"},
        {"1::FLOAT", "float", "FLOAT"},
        {"1::DOUBLE", "double", "DOUBLE"},
        {"1::DECIMAL(4,1)", "decimal(4,1)", "DECIMAL(4,1)"},
        {"1::DECIMAL(38,10)", "decimal(38,10)", "DECIMAL(38,10)"},
        {"DATE '2020-01-01'", "date", "DATE"},
        {"TIME '01:02:03'", "time", "TIME"},
        {"TIMESTAMP '2020-01-01'", "timestamp", "TIMESTAMP"},
        {"'2020-01-01'::TIMESTAMP_S", "timestamp", "TIMESTAMP"},
        {"'2020-01-01'::TIMESTAMP_MS", "timestamp", "TIMESTAMP"},
        {"'2020-01-01'::TIMESTAMP_NS", "timestamp", "TIMESTAMP"},
        {"'2020-01-01'::TIMESTAMPTZ", "timestamptz", "TIMESTAMP WITH TIME ZONE"},
        {"'x'", "string", "VARCHAR"},
        {"'{}'::JSON", "string", "VARCHAR"},
        {"'a'::ENUM('a', 'b')", "string", "VARCHAR"},
        {"NULL", "int", "INTEGER"},
        {"'x'::BLOB", "binary", "BLOB"},
        {"uuid()", "uuid", "UUID"},
        {"[1]", "list<int>", "INTEGER[]"},
        {"[1, 2]::TINYINT[2]", "list<int>", "INTEGER[]"},
        {"[[1.5]]", "list<list<decimal(2,1)>>", "DECIMAL(2,1)[][]"},
        {"{a: 1, \"B c\": 'x'}", "struct<a: int, B c: string>",
         "STRUCT(\"a\" INTEGER, \"B c\" VARCHAR)"},
        {"MAP {'k': [1]}", "map<string, list<int>>", "MAP(VARCHAR, INTEGER[])"},
        {"[{a: MAP {1::UTINYINT: 2::UBIGINT}}]", "list<struct<a: map<int, decimal(20,0)>>>",
         "STRUCT(\"a\" MAP(INTEGER, DECIMAL(20,0)))[]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(rows_closep) struct rows *rows = NULL;
        struct ice_type t;
        const struct vec_type *from = type_of(cases[i][0], &rows);
        OK(table_type_of(from, STR("c"), &world.arena, &t, &err));
        assert_str(ice_type_text(&t, &world.arena), cases[i][1]);
        assert_str(table_type_sql(&t, &world.arena), cases[i][2]);
    }
}

static void types_without_a_form_are_refused_with_advice(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"INTERVAL 1 DAY", "column \"c\" is of type INTERVAL, which the table format does not "
                           "have: store its parts as numbers, or cast it to VARCHAR"},
        {"'01:02:03'::TIMETZ", "column \"c\" is of type TIME WITH TIME ZONE, which the table "
                               "format does not have: cast it to TIME, or to VARCHAR"},
        {"'101'::BIT", "column \"c\" is of type BIT, which the table format does not have: cast it "
                       "to VARCHAR, or to BLOB"},
        {"1::UNION(a INTEGER, b VARCHAR)",
         "column \"c\" is of type UNION(a INTEGER, b VARCHAR), which the table format does not "
         "have: make it a STRUCT of its members, or cast it to VARCHAR"},
        {"{a: [INTERVAL 1 DAY]}", "column \"c.a.element\" is of type INTERVAL, which"},
        {"MAP {'k': '1'::BIT}", "column \"c.value\" is of type BIT, which"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(rows_closep) struct rows *rows = NULL;
        struct ice_type t;
        const struct vec_type *from = type_of(cases[i][0], &rows);
        err = ERR_NONE;
        assert_int_equal(table_type_of(from, STR("c"), &world.arena, &t, &err), ERR_UNSUPPORTED);
        assert_says(cases[i][1]);
        struct str source = arena_printf(&world.arena, "(SELECT %s AS c)", cases[i][0]);
        struct table_written written;
        assert_int_equal(world_write(&world, TABLE_CREATE, "t", source.ptr, &written),
                         ERR_UNSUPPORTED);
        assert_says(cases[i][1]);
    }
    assert_int_equal(world_files(&world, "primary/tables"), 0);
    assert_int_equal(world_files(&world, "spool"), 0);
}

// A column that is of the right type already is not cast.
static void a_column_is_cast_only_where_it_must_be(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"1::INTEGER", "\"we\"\"ird\""},
        {"'x'", "\"we\"\"ird\""},
        {"1::DECIMAL(10,2)", "\"we\"\"ird\""},
        {"[1]", "\"we\"\"ird\""},
        {"1::TINYINT", "CAST(\"we\"\"ird\" AS INTEGER)"},
        {"'{}'::JSON", "CAST(\"we\"\"ird\" AS VARCHAR)"},
        {"1::UBIGINT", "CAST(\"we\"\"ird\" AS DECIMAL(20,0))"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(rows_closep) struct rows *rows = NULL;
        struct ice_type t;
        const struct vec_type *from = type_of(cases[i][0], &rows);
        OK(table_type_of(from, STR("c"), &world.arena, &t, &err));
        assert_str(table_column_sql(STR("we\"ird"), from, &t, &world.arena), cases[i][1]);
    }
}

// Writes the expression as column c and gives it back as text.
static struct str through_a_table(const char *expr) {
    static int number;
    char name[16];
    (void)snprintf(name, sizeof(name), "t%d", number++);
    struct str source = arena_printf(&world.arena, "(SELECT %s AS c)", expr);
    struct table_written written;
    OK(world_write(&world, TABLE_CREATE, name, source.ptr, &written));
    return world_value(&world, name, "c");
}

static void every_value_comes_back_as_it_was(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"true", "true"},
        {"(-128)::TINYINT", "-128"},
        {"32767::SMALLINT", "32767"},
        {"(-2147483648)::INTEGER", "-2147483648"},
        {"9223372036854775807::BIGINT", "9223372036854775807"},
        {"255::UTINYINT", "255"},
        {"65535::USMALLINT", "65535"},
        {"4294967295::UINTEGER", "4294967295"},
        {"18446744073709551615::UBIGINT", "18446744073709551615"},
        {"(-99999999999999999999999999999999999999)::HUGEINT",
         "-99999999999999999999999999999999999999"},
        {"99999999999999999999999999999999999999::UHUGEINT",
         "99999999999999999999999999999999999999"},
        {"'-0.1'::FLOAT", "-0.1"},
        {"'nan'::DOUBLE", "nan"},
        {"'-inf'::DOUBLE", "-inf"},
        {"(-1.5)::DECIMAL(4,1)", "-1.5"},
        {"12345678901234567890123456.789012345678::DECIMAL(38,12)",
         "12345678901234567890123456.789012345678"},
        {"DATE '0001-01-01'", "0001-01-01"},
        {"TIME '23:59:59.999999'", "23:59:59.999999"},
        {"TIMESTAMP '1969-12-31 23:59:59.999999'", "1969-12-31 23:59:59.999999"},
        {"'2020-01-01 01:02:03'::TIMESTAMP_S", "2020-01-01 01:02:03"},
        {"'2020-01-01 01:02:03.123'::TIMESTAMP_MS", "2020-01-01 01:02:03.123"},
        {"'2020-01-01 01:02:03.123456'::TIMESTAMP_NS", "2020-01-01 01:02:03.123456"},
        {"'2020-01-01 01:02:03+02'::TIMESTAMPTZ", "2019-12-31 23:02:03+00"},
        {"'\xc3\xa4 '' \"'", "\xc3\xa4 ' \""},
        {"''", ""},
        {"'{\"a\":1}'::JSON", "{\"a\":1}"},
        {"'b'::ENUM('a', 'b')", "b"},
        {"'\\x00\\xFF'::BLOB", "\\x00\\xFF"},
        {"'f79c3e09-677c-4bbd-a479-3f349cb785e7'::UUID", "f79c3e09-677c-4bbd-a479-3f349cb785e7"},
        {"[1, NULL, 3]", "[1, NULL, 3]"},
        {"[]::INTEGER[]", "[]"},
        {"[1, 2]::TINYINT[2]", "[1, 2]"},
        {"{a: 1, b: {c: NULL::INTEGER, d: ['x']}}", "{'a': 1, 'b': {'c': NULL, 'd': [x]}}"},
        {"MAP {'k': 1, 'l': NULL}", "{k=1, l=NULL}"},
        {"[{a: MAP {1::UTINYINT: 2::UBIGINT}}]", "[{'a': {1=2}}]"},
        {"{t: '2020-01-01 01:02:03.123456'::TIMESTAMP_NS}", "{'t': '2020-01-01 01:02:03.123456'}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_str(through_a_table(cases[i][0]), cases[i][1]);
    }
    assert_int_equal(world_value(&world, "t0", "count(*)").len, 1);
}

static void what_would_lose_something_is_an_error(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"170141183460469231731687303715884105727::HUGEINT", "DECIMAL(38,0)"},
        {"340282366920938463463374607431768211455::UHUGEINT", "DECIMAL(38,0)"},
        {"'2020-01-01 01:02:03.123456789'::TIMESTAMP_NS",
         "column c has parts of a microsecond, which the table format does not keep"},
        {"'1960-01-01 01:02:03.000000001'::TIMESTAMP_NS", "column c has parts of a microsecond"},
        {"{t: ['2020-01-01 01:02:03.123456789'::TIMESTAMP_NS]}",
         "column c has parts of a microsecond"},
        {"MAP {1: '2020-01-01 01:02:03.123456789'::TIMESTAMP_NS}",
         "column c has parts of a microsecond"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str source = arena_printf(&world.arena, "(SELECT %s AS c)", cases[i][0]);
        struct table_written written;
        if (world_write(&world, TABLE_CREATE, "t", source.ptr, &written) == ERR_OK) {
            fail_msg("%s was stored as " STR_FMT, cases[i][0],
                     STR_ARG(world_value(&world, "t", "c")));
        }
        assert_says(cases[i][1]);
    }
    assert_int_equal(world_files(&world, "primary/tables"), 0);
    assert_int_equal(world_files(&world, "spool"), 0);
    // NULL has no parts of a microsecond.
    struct table_written written;
    OK(world_write(&world, TABLE_CREATE, "t", "(SELECT NULL::TIMESTAMP_NS AS c)", &written));
    assert_str(world_value(&world, "t", "c IS NULL"), "true");
}

static void field_ids_are_written_as_the_engine_takes_them(void **state) {
    (void)state;
    DEFER(json_decrefp) json_t *json = NULL;
    struct ice_schema *s;
    OK(json_parse(STR("{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
                      "{\"id\":1,\"name\":\"a'\\\"b\",\"required\":false,\"type\":\"int\"},"
                      "{\"id\":2,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\","
                      "\"element-id\":3,\"element-required\":false,\"element\":\"int\"}},"
                      "{\"id\":4,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\","
                      "\"key-id\":5,\"key\":\"string\",\"value-id\":6,\"value-required\":false,"
                      "\"value\":\"int\"}},"
                      "{\"id\":7,\"name\":\"s\",\"required\":false,\"type\":{\"type\":\"struct\","
                      "\"fields\":[{\"id\":8,\"name\":\"x\",\"required\":false,"
                      "\"type\":\"int\"}]}}]}"),
                  &json, &err));
    OK(ice_schema_parse(json, &world.arena, &s, &err));
    assert_str(table_field_ids_sql(s, &world.arena),
               "{\"a'\"\"b\": 1, \"l\": {__duckdb_field_id: 2, \"element\": 3}, "
               "\"m\": {__duckdb_field_id: 4, \"key\": 5, \"value\": 6}, "
               "\"s\": {__duckdb_field_id: 7, \"x\": 8}}");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(every_lawful_type_has_its_iceberg_type),
        TEST(types_without_a_form_are_refused_with_advice),
        TEST(a_column_is_cast_only_where_it_must_be),
        TEST(every_value_comes_back_as_it_was),
        TEST(what_would_lose_something_is_an_error),
        TEST(field_ids_are_written_as_the_engine_takes_them),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
