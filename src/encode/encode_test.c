// Tests of the encoders: texts against the engine's own casts, JSON, CSV and Arrow byte by byte.
#include "encode/encode.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/ok_test.h"
#include "engine/engine.h"

#include <stdlib.h>
#include <unistd.h>

static struct engine *engine;
static struct session *session;

static int open_engine(void **state) {
    (void)state;
    const struct engine_options o = {.threads = 2, .memory_bytes = 512 << 20};
    OK(engine_open(&o, &engine, &err));
    OK(session_open(engine, &session, &err));
    OK(session_run(session, STR("SELECT setseed(0.42)"), &err));
    return 0;
}

static int close_engine(void **state) {
    (void)state;
    session_close(session);
    engine_close(engine);
    return 0;
}

// The whole answer of a query in a format.
static enum err_code encode(const char *sql, const struct encode_options *o, struct buf *out) {
    DEFER(rows_closep) struct rows *r = NULL;
    TRY(session_query(session, str_from(sql), &r, &err));
    struct encode_column columns[64];
    const size_t count = rows_column_count(r);
    assert_true(count <= ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct encode_column){rows_column_name(r, i), rows_column_type(r, i)};
    }
    DEFER(encoder_freep) struct encoder *e = encoder_new(o, columns, count);
    encoder_head(e, out);
    const struct vec_chunk *chunk = NULL;
    do {
        TRY(rows_next(r, &chunk, &err));
        if (chunk) {
            TRY(encoder_rows(e, &(struct encode_rows){chunk, 0, chunk->rows}, out, &err));
        }
    } while (chunk);
    encoder_tail(e, out);
    return ERR_OK;
}

static void assert_encoded(const char *sql, const struct encode_options *o, const char *expected) {
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    OK(encode(sql, o, &out));
    assert_false(out.overflow);
    assert_string_equal(out.ptr ? out.ptr : "", expected);
}

// Of a FLOAT the engine may write more digits than are needed.
static bool same_float(const struct vec *v, struct str text, struct str cast) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(session_closep) struct session *s = NULL;
    struct str same = STR_NONE;
    if (v->type->kind != VEC_FLOAT || text.len > cast.len) {
        return false;
    }
    OK(session_open(engine, &s, &err));
    const struct str sql = arena_printf(&a, "SELECT " STR_FMT "::FLOAT = " STR_FMT "::FLOAT",
                                        STR_ARG(text), STR_ARG(cast));
    OK(session_text(s, sql, &a, &same, &err));
    return str_is(same, "true");
}

// The first column as this house writes it, the second as the engine does.
static void compare_texts(const char *sql, int64_t *rows) {
    DEFER(rows_closep) struct rows *r = NULL;
    OK(session_query(session, str_from(sql), &r, &err));
    DEFER(buf_release) struct buf text = BUF(64 << 20);
    const struct vec_chunk *chunk = NULL;
    do {
        OK(rows_next(r, &chunk, &err));
        for (size_t i = 0; chunk && i < chunk->rows; i++, ++*rows) {
            const struct vec *expected = &chunk->columns[1];
            const struct str cast = vec_is_null(expected, i) ? STR_NONE : vec_str(expected, i);
            buf_reset(&text);
            encode_text(&chunk->columns[0], i, &text);
            if (!str_eq(buf_str(&text), cast) &&
                !same_float(&chunk->columns[0], buf_str(&text), cast)) {
                fail_msg("%s\nrow %zu: \"" STR_FMT "\" is not \"" STR_FMT "\"", sql, i,
                         STR_ARG(buf_str(&text)), STR_ARG(cast));
            }
        }
    } while (chunk);
}

// Expressions of random values; r() is a random 64-bit integer, s() a nasty string.
static const char *const random_values[] = {
    "r() % 2 = 0",
    "(r() % 128)::TINYINT",
    "(r() % 32768)::SMALLINT",
    "(r() % 2147483648)::INTEGER",
    "r()",
    "r()::HUGEINT * r() * (r() % 3)",
    "abs(r())::UHUGEINT * abs(r())",
    "(r() & 255)::UTINYINT",
    "(r() & 65535)::USMALLINT",
    "(r() & 4294967295)::UINTEGER",
    "abs(r())::UBIGINT * 2",
    "(r() / 1e4)::DOUBLE * pow(10, r() % 30)",
    "(r() % 1000000 / 100)::DOUBLE",
    "pow(10.0, r() % 320) * (r() % 10)",
    "(r() / 1e15)::FLOAT * pow(10, r() % 8)::FLOAT",
    "(r() % 100000 / 8)::FLOAT",
    "(r() % 10000000 / 16)::FLOAT",
    "r()::FLOAT * pow(2, r() % 64)::FLOAT",
    "1125899906842624 + r() % 10000 / 16",
    "r() / 4096",
    "(r() % 100 / 100)::FLOAT::DOUBLE",
    "pow(2.0, r() % 1000) * 3", // not * 1: the engine writes 2^91 as 4.95e+27
    "pow(2.0, r() % 120)::FLOAT * 5",
    "(r() % 10000)::DECIMAL(4,0)",
    "(r() % 100 / 100.0)::DECIMAL(2,2)",
    "((r() % 1000000) / 1000.0)::DECIMAL(9,3)",
    "((r() % 1000000000000) / 1000.0)::DECIMAL(18,3)",
    "(r() % 1000000000000000000)::DECIMAL(38,10) / 7::DECIMAL(1,0)",
    "(r()::DECIMAL(38,0) * (r() % 1000000000))::DECIMAL(38,0)",
    "CAST('0.' || abs(r()) || abs(r() % 1000000000) AS DECIMAL(38,38))",
    "DATE '2000-01-01' + (r() % 3000000)::INTEGER",
    "DATE '1970-01-01' + (r() % 2000000000)::INTEGER",
    "TIME '00:00:00' + to_microseconds(abs(r()) % 86400000000)",
    "TIME '00:00:00' + to_seconds(abs(r()) % 86400)",
    "(TIME '00:00:00' + to_milliseconds(abs(r()) % 86400000))::TIMETZ",
    "make_timestamp(r() % 9000000000000000000)",
    "make_timestamp(r() % 90000000000000)",
    "make_timestamp(r() % 90000000000000 // 1000000 * 1000000)",
    "make_timestamp(r() % 9000000000000000000)::TIMESTAMPTZ",
    "make_timestamp(r() % 9000000000000000)::TIMESTAMP_S",
    "make_timestamp(r() % 9000000000000000)::TIMESTAMP_MS",
    "make_timestamp_ns(r())",
    "to_months((r() % 2000000000)::INTEGER) + to_days((r() % 2000000000)::INTEGER)",
    "to_microseconds(r()) + to_days((r() % 3)::INTEGER)",
    "to_months((r() % 30)::INTEGER) + to_microseconds(r() % 3 * 100000)",
    "s()",
    "encode(s())",
    "unhex(printf('%x', abs(r()) | 1152921504606846976))",
    "(abs(r()) % 1000000)::BIT",
    "bitstring('1', (1 + abs(r()) % 40)::INTEGER)",
    "uuid()",
    "CASE r() % 3 WHEN 0 THEN 'a' ELSE 'b, ''c' END::ENUM('a', 'b, ''c')",
    "[s(), NULL, s()]",
    "[encode(s()), encode(s())]",
    "[r(), NULL][1:(abs(r()) % 3)::INTEGER]",
    "[(r() / 1e4)::DOUBLE, 0.5]",
    "[to_microseconds(r() % 100)]",
    "[make_timestamp(r() % 9000000000000000000)]",
    "[DATE '1970-01-01' + (r() % 2000000)::INTEGER]",
    "[[s()], [], NULL, [s(), s()]]",
    "[[s(), s()]::VARCHAR[2]]",
    "{'a': s(), 'b c': r(), 'd''e\\f': [s()]}",
    "row(s(), r())",
    "MAP {s(): s(), 'k' || s(): NULL}",
    "MAP {r(): [s()]}",
    "[MAP {s(): {'a': s()}}]",
    "CASE WHEN r() % 2 = 0 THEN r()::UNION(n BIGINT, s VARCHAR) ELSE s() END",
    "[CASE WHEN r() % 2 = 0 THEN r()::UNION(n BIGINT, s VARCHAR) ELSE s() END]",
    "[uuid()]",
    "[CASE r() % 3 WHEN 0 THEN 'a' ELSE 'b, ''c' END::ENUM('a', 'b, ''c')]",
    "[json_object('a', s())]",
    "{'j': json_array(s(), r())}",
    "[[json_object('a', s())], NULL]",
    "{'a': [json_object('a', s()), NULL]}",
    "MAP {json_object('a', s()): json_array(s())}",
    "[MAP {s(): json_array(s())}]",
    "[union_value(a := json_array(s()))]",
};

static const char macros[] =
    "CREATE OR REPLACE TEMP MACRO r() AS hash(random())::HUGEINT::DECIMAL(38,0)::HUGEINT"
    "::UHUGEINT::HUGEINT - 9223372036854775808;"
    "CREATE OR REPLACE TEMP MACRO r() AS (hash(random())::HUGEINT - 9223372036854775807)::BIGINT;"
    "CREATE OR REPLACE TEMP MACRO s() AS list_reduce([(['a', 'B', ' ', '''', '\"', '\\', ',', '=',"
    " ':', '(', ']', '{', 'é', '漢', '😀', chr(10), chr(9), 'NULL', 'null', '', '', '.', '-'])"
    "[1 + (hash(random()) % 23)::INTEGER] FOR x IN range((hash(random()) % 5)::BIGINT)] || [''],"
    " lambda a, b: a || b);";

static void texts_are_those_of_the_engine(void **state) {
    (void)state;
    OK(session_run(session, str_from(macros), &err));
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    int64_t rows = 0;
    for (size_t i = 0; i < ARRAY_LEN(random_values); i++) {
        compare_texts(arena_printf(&a,
                                   "WITH x AS MATERIALIZED (SELECT CASE WHEN i %% 10 <> 3 THEN"
                                   " %s END AS v FROM range(3000) t(i))"
                                   " SELECT v, v::VARCHAR FROM x",
                                   random_values[i])
                          .ptr,
                      &rows);
    }
    assert_int_equal(rows, 3000 * ARRAY_LEN(random_values));
}

static const char *const edges[] = {
    "'infinity'::DATE",
    "'-infinity'::DATE",
    "'0001-01-01'::DATE",
    "'0001-12-31 (BC)'::DATE",
    "'5877642-06-25 (BC)'::DATE",
    "'5881580-07-10'::DATE",
    "'24:00:00'::TIME",
    "'infinity'::TIMESTAMP",
    "'-infinity'::TIMESTAMPTZ",
    "'infinity'::TIMESTAMP_S",
    "'-infinity'::TIMESTAMP_MS",
    "'infinity'::TIMESTAMP_NS",
    "'290309-12-22 (BC) 00:00:00'::TIMESTAMP",
    "'294247-01-10 04:00:54.775806'::TIMESTAMP",
    "'0044-03-15 (BC) 12:00:00.5'::TIMESTAMPTZ",
    "'2262-04-11 23:47:16.854775806'::TIMESTAMP_NS",
    "'01:02:03.5+05:30'::TIMETZ",
    "'01:02:03-15:59:59'::TIMETZ",
    "'01:02:03+00:00:05'::TIMETZ",
    "'24:00:00-15:59'::TIMETZ",
    "INTERVAL 0 DAY",
    "to_microseconds(-9223372036854775807)",
    "to_months(-13) + to_days(1) + to_hours(-1)",
    "0::DECIMAL(1,1)",
    "-0.5::DECIMAL(3,2)",
    "99999999999999999999999999999999999999::DECIMAL(38,0)",
    "(-170141183460469231731687303715884105728)::HUGEINT",
    "340282366920938463463374607431768211455::UHUGEINT",
    "'nan'::DOUBLE",
    "'-nan'::DOUBLE",
    "'inf'::FLOAT",
    "'-inf'::DOUBLE",
    "'-0.0'::DOUBLE",
    "5e-324::DOUBLE",
    "1e15::DOUBLE",
    "1e16::DOUBLE",
    "123456789012345678::DOUBLE",
    "0.0001::DOUBLE",
    "0.00001::DOUBLE",
    "1.7976931348623157e308::DOUBLE",
    "16777216::FLOAT",
    "1e16::FLOAT",
    "3.4028235e38::FLOAT",
    "''::BLOB",
    "'1'::BIT",
    "'00000000'::BIT",
    "'000000001'::BIT",
    "[]::INTEGER[]",
    "MAP {}::MAP(INTEGER, INTEGER)",
    "NULL::UNION(a INTEGER, b VARCHAR)",
    "union_value(a := NULL::INTEGER)",
    "[union_value(a := NULL::INTEGER)]",
    "[NULL::UNION(a INTEGER)]",
    "{'a': NULL::INTEGER}",
    "row(NULL::INTEGER)",
    "['NULL', 'x']",
    "['nUlL', '']",
    "'00000000-0000-0000-0000-000000000000'::UUID",
    "'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID",
    "[['a,b'], [' a', 'a ']]",
    "true",
    "false",
    "[DATE '0044-03-15 (BC)']",
    "['\\x00,\\x27'::BLOB]",
    "['a\\b', 'a\\,b']",
};

static void edges_of_types_have_their_text(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    int64_t rows = 0;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        compare_texts(arena_printf(&a, "SELECT v, v::VARCHAR FROM (SELECT %s AS v)", edges[i]).ptr,
                      &rows);
    }
}

static const struct encode_options json = {.format = ENCODE_JSON};
static const struct encode_options ndjson = {.format = ENCODE_NDJSON};

static void rows_are_objects_or_arrays(void **state) {
    (void)state;
    static const char sql[] = "SELECT i AS a, 'x' || i AS \"b\"\"c\" FROM range(2) t(i)";
    assert_encoded(sql, &json, "[{\"a\":0,\"b\\\"c\":\"x0\"},{\"a\":1,\"b\\\"c\":\"x1\"}]");
    assert_encoded(sql, &ndjson, "{\"a\":0,\"b\\\"c\":\"x0\"}\n{\"a\":1,\"b\\\"c\":\"x1\"}\n");
    assert_encoded(sql, &(struct encode_options){.format = ENCODE_JSON, .arrays = true},
                   "[[0,\"x0\"],[1,\"x1\"]]");
    assert_encoded(sql, &(struct encode_options){.format = ENCODE_NDJSON, .arrays = true},
                   "[0,\"x0\"]\n[1,\"x1\"]\n");
}

static void no_rows_are_an_answer_too(void **state) {
    (void)state;
    static const char sql[] = "SELECT 1 AS a, 'x' AS b WHERE false";
    assert_encoded(sql, &json, "[]");
    assert_encoded(sql, &ndjson, "");
    assert_encoded(sql, &(struct encode_options){.format = ENCODE_CSV}, "a,b\r\n");
    assert_encoded(sql, &(struct encode_options){.format = ENCODE_TSV}, "a\tb\n");
}

static void equal_names_become_different(void **state) {
    (void)state;
    static const char sql[] = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a, 5 AS \"A\"";
    assert_encoded(sql, &ndjson, "{\"a\":1,\"a_2\":2,\"a_1\":3,\"a_3\":4,\"A\":5}\n");
    const struct vec_type integer = {.kind = VEC_INT32, .text = STR("INTEGER")};
    const struct encode_column columns[] = {{STR("x"), &integer}, {STR("x"), &integer}};
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    encode_columns(columns, 2, &out);
    assert_string_equal(out.ptr, "[{\"name\":\"x\",\"type\":\"INTEGER\"},"
                                 "{\"name\":\"x_1\",\"type\":\"INTEGER\"}]");
}

static void every_type_has_its_json(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"NULL::INTEGER", "null"},
        {"true", "true"},
        {"(-128)::TINYINT", "-128"},
        {"9223372036854775807", "9223372036854775807"},
        {"18446744073709551615::UBIGINT", "18446744073709551615"},
        {"(-170141183460469231731687303715884105728)::HUGEINT",
         "-170141183460469231731687303715884105728"},
        {"340282366920938463463374607431768211455::UHUGEINT",
         "340282366920938463463374607431768211455"},
        {"0.5::DECIMAL(2,2)", "0.50"},
        {"(-0.05)::DECIMAL(2,2)", "-0.05"},
        {"12345678901234567890.123::DECIMAL(38,3)", "12345678901234567890.123"},
        {"1.5::DOUBLE", "1.5"},
        {"1e300::DOUBLE", "1e+300"},
        {"0.1::FLOAT", "0.1"},
        {"'nan'::DOUBLE", "\"NaN\""},
        {"'inf'::FLOAT", "\"Infinity\""},
        {"'-inf'::DOUBLE", "\"-Infinity\""},
        {"DATE '2026-11-22'", "\"2026-11-22\""},
        {"DATE '0044-03-15 (BC)'", "\"-000043-03-15\""},
        {"DATE '12345-01-01'", "\"+012345-01-01\""},
        {"'infinity'::DATE", "\"infinity\""},
        {"TIME '09:30:00.5'", "\"09:30:00.5\""},
        {"TIMESTAMP '2026-11-22 09:30:00.123456'", "\"2026-11-22T09:30:00.123456\""},
        {"TIMESTAMPTZ '2026-11-22 09:30:00+02'", "\"2026-11-22T07:30:00Z\""},
        {"TIMESTAMP_NS '2026-11-22 09:30:00.123456789'", "\"2026-11-22T09:30:00.123456789\""},
        {"INTERVAL '1 month 2 days 3 hours'", "\"1 month 2 days 03:00:00\""},
        {"'a\"b\\' || chr(10) || 'é'", "\"a\\\"b\\\\\\né\""},
        {"''", "\"\""},
        {"'\\x00\\x01\\xFE\\xFF'::BLOB", "\"AAH+/w==\""},
        {"''::BLOB", "\"\""},
        {"'0101'::BIT", "\"0101\""},
        {"'6b1c1f2e-0000-4000-8000-00000000000f'::UUID",
         "\"6b1c1f2e-0000-4000-8000-00000000000f\""},
        {"'b'::ENUM('a', 'b')", "\"b\""},
        {"[1, NULL, 3]", "[1,null,3]"},
        {"[]::INTEGER[]", "[]"},
        {"['a', 'b']::VARCHAR[2]", "[\"a\",\"b\"]"},
        {"{'a': 1, 'b': {'c': [DATE '2026-01-01']}}", "{\"a\":1,\"b\":{\"c\":[\"2026-01-01\"]}}"},
        {"row(1, 'a')", "[1,\"a\"]"},
        {"MAP {'k': 1, 'l': NULL}", "[{\"key\":\"k\",\"value\":1},{\"key\":\"l\",\"value\":null}]"},
        {"1::UNION(n INTEGER, s VARCHAR)", "{\"n\":1}"},
        {"'{\"a\" : [1, 2.50 ],\n \"b\\n\": \" x \"}'::JSON", "{\"a\":[1,2.50],\"b\\n\":\" x \"}"},
        {"'12345678901234567890123'::JSON", "12345678901234567890123"},
        {"'null'::JSON", "null"},
        {"'[1,]'::JSON", "\"[1,]\""},
        {"'NaN'::JSON", "\"NaN\""},
        {"['{}'::JSON, '[[],{}]'::JSON]", "[{},[[],{}]]"},
        {"repeat('x', 20)", "\"xxxxxxxxxxxxxxxxxxxx\""},
    };
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *sql = arena_printf(&a, "SELECT %s AS v, 7 AS w", cases[i][0]).ptr;
        assert_encoded(sql, &ndjson, arena_printf(&a, "{\"v\":%s,\"w\":7}\n", cases[i][1]).ptr);
    }
}

static void big_numbers_can_be_text(void **state) {
    (void)state;
    assert_encoded("SELECT 9007199254740992 AS a, 9007199254740993 AS b, -9007199254740993 AS c,"
                   " 9007199254740993::UBIGINT AS d, 9007199254740993::HUGEINT AS e,"
                   " (-1)::HUGEINT AS f, 1.5::DECIMAL(3,2) AS g, [9007199254740993] AS h,"
                   " 1::UHUGEINT AS i",
                   &(struct encode_options){.format = ENCODE_NDJSON, .big_as_text = true},
                   "{\"a\":9007199254740992,\"b\":\"9007199254740993\",\"c\":\"-9007199254740993\","
                   "\"d\":\"9007199254740993\",\"e\":\"9007199254740993\",\"f\":-1,\"g\":\"1.50\","
                   "\"h\":[\"9007199254740993\"],\"i\":1}\n");
}

static const char random_rows[] =
    "SELECT r() AS i, s() AS s, (r() / 1e4)::DOUBLE AS d, [s(), s()] AS l, {'x': s()} AS st,"
    " json_array(s(), r()) AS j, CASE WHEN r() % 2 = 0 THEN make_timestamp(r() % 9000000000000000)"
    " END AS t, MAP {s(): r()} AS m, repeat(s(), 20) AS long FROM range(5000)";

static void json_is_always_well_formed(void **state) {
    (void)state;
    OK(session_run(session, str_from(macros), &err));
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    OK(encode(random_rows, &json, &out));
    DEFER(json_decrefp) json_t *tree = NULL;
    OK(json_parse(buf_str(&out), &tree, &err));
    assert_int_equal(json_array_size(tree), 5000);
    assert_int_equal(json_object_size(json_array_get(tree, 4999)), 9);

    buf_reset(&out);
    OK(encode(random_rows, &ndjson, &out));
    struct str rest = buf_str(&out);
    struct str line = STR_NONE;
    size_t lines = 0;
    while (str_cut(&rest, '\n', &line)) {
        DEFER(json_decrefp) json_t *row = NULL;
        OK(json_parse(line, &row, &err));
        lines++;
    }
    assert_int_equal(lines, 5000);
}

// No column of the engine has it, but files may lie.
static void invalid_utf8_never_leaves_as_json(void **state) {
    (void)state;
    static const struct vec_string_cell cells[] = {{.len = 3, .prefix = {'a', '\xff', 'b'}},
                                                   {.len = 3, .prefix = {'"', '\xff', '"'}}};
    static const struct vec_type types[] = {{.kind = VEC_VARCHAR}, {.kind = VEC_JSON}};
    const struct vec columns[] = {{.type = &types[0], .data = &cells[0]},
                                  {.type = &types[1], .data = &cells[1]}};
    const struct vec_chunk chunk = {.rows = 1, .column_count = 2, .columns = columns};
    const struct encode_column names[] = {{STR("a"), &types[0]}, {STR("b"), &types[1]}};
    DEFER(encoder_freep) struct encoder *e = encoder_new(&ndjson, names, 2);
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    OK(encoder_rows(e, &(struct encode_rows){&chunk, 0, 1}, &out, &err));
    assert_string_equal(out.ptr, "{\"a\":\"a\xEF\xBF\xBD"
                                 "b\",\"b\":\"\\\"\xEF\xBF\xBD\\\"\"}\n");
}

static void csv_quotes_what_must_be(void **state) {
    (void)state;
    assert_encoded("SELECT * FROM (VALUES ('plain', 1, NULL), ('', NULL, 'a,b'), ('\"', 2, 'c' ||"
                   " chr(10) || '\"d\"'), ('é', 3, '\"\"')) t(a, \"b,c\", d)",
                   &(struct encode_options){.format = ENCODE_CSV},
                   "a,\"b,c\",d\r\nplain,1,\r\n\"\",,\"a,b\"\r\n\"\"\"\",2,\"c\n\"\"d\"\"\"\r\n"
                   "é,3,\"\"\"\"\"\"\r\n");
    assert_encoded("SELECT [1, 2] AS l, {'a': 'x'} AS s, 1.5::DECIMAL(3,2) AS d, 0.5::DOUBLE AS f,"
                   " 'NULL' AS n",
                   &(struct encode_options){.format = ENCODE_CSV},
                   "l,s,d,f,n\r\n\"[1, 2]\",{'a': x},1.50,0.5,NULL\r\n");
}

static void tsv_escapes_what_must_be(void **state) {
    (void)state;
    assert_encoded("SELECT 'a' || chr(9) || 'b' AS a, 'c' || chr(10) || chr(13) || '\\' AS b, NULL"
                   " AS c, '' AS d",
                   &(struct encode_options){.format = ENCODE_TSV},
                   "a\tb\tc\td\na\\tb\tc\\n\\r\\\\\t\\N\t\n");
}

static void csv_reads_back(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const char *path = arena_printf(&a, "/tmp/encode_test_%d.csv", (int)getpid()).ptr;
    OK(session_run(session,
                   STR("CREATE OR REPLACE TEMP TABLE csv_source AS SELECT i, s() AS s,"
                       " (r() / 1e4)::DOUBLE AS d, CASE WHEN i % 3 = 0 THEN r() END AS n"
                       " FROM range(3000) t(i)"),
                   &err));
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    OK(encode("FROM csv_source", &(struct encode_options){.format = ENCODE_CSV}, &out));
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(out.ptr, 1, out.len, f), out.len);
    assert_int_equal(fclose(f), 0);
    struct str same = STR_NONE;
    OK(session_text(session,
                    arena_printf(&a,
                                 "SELECT count(*) FROM csv_source c JOIN read_csv('%s', header = "
                                 "true, quote = '\"', escape = '\"', force_not_null = ['s'], "
                                 "columns = {i: 'BIGINT', s: 'VARCHAR', d: 'DOUBLE', n: 'BIGINT'}) "
                                 "r ON c.i = r.i WHERE (c.s, c.d, c.n) IS NOT DISTINCT FROM (r.s, "
                                 "r.d, r.n)",
                                 path),
                    &a, &same, &err));
    assert_true(str_is(same, "3000"));
    assert_int_equal(unlink(path), 0);
}

static void a_full_buffer_says_so(void **state) {
    (void)state;
    static const enum encode_format all[] = {ENCODE_JSON, ENCODE_NDJSON, ENCODE_CSV, ENCODE_TSV,
                                             ENCODE_ARROW};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        for (size_t max = 0; max < 3000; max += 7) {
            DEFER(buf_release) struct buf out = BUF(max);
            const struct encode_options o = {.format = all[i]};
            OK(encode("SELECT i, 'text ' || i AS s, [i] AS l, '{\"a\": 1}'::JSON AS j, x'00'::BLOB"
                      " AS b, '01'::BIT AS t FROM range(200) r(i)",
                      &o, &out));
            assert_true(out.overflow);
        }
    }
}

// All types, NULLs, several batches. The bytes were read by pyarrow and by apache-arrow for
// JavaScript; every value was compared.
static const char arrow_rows[] =
    "SELECT CASE WHEN i % 7 <> 0 THEN i % 2 = 0 END AS bool, (i % 100)::TINYINT AS i8,"
    " (i * 3)::SMALLINT AS i16, -i::INTEGER AS i32, CASE WHEN i % 5 <> 0 THEN i * 1000000007 END"
    " AS i64, (i % 200)::UTINYINT AS u8, i::USMALLINT AS u16, i::UINTEGER AS u32,"
    " 18446744073709551615::UBIGINT - i::UBIGINT AS u64, -i::HUGEINT * 10000000000000000000 AS "
    "huge,"
    " i::UHUGEINT * 10000000000000000000 AS uhuge, (i / 7)::FLOAT AS f, i / 7 AS d,"
    " (i / 10)::DECIMAL(5,1) AS dec4, (i / 100)::DECIMAL(9,2) AS dec9,"
    " (-i / 1000)::DECIMAL(18,3) AS dec18, (i * 12345678.9)::DECIMAL(38,10) AS dec38,"
    " DATE '1999-12-31' + i::INTEGER AS date, TIME '00:00:00' + to_microseconds(i * 7654321)"
    " AS time, (TIME '10:00:00' + to_seconds(i))::TIMETZ AS timetz,"
    " make_timestamp(i * 123456789012) AS ts, make_timestamp(i * 1000000)::TIMESTAMP_S AS ts_s,"
    " make_timestamp(i * 1000)::TIMESTAMP_MS AS ts_ms, make_timestamp_ns(i * 1001) AS ts_ns,"
    " make_timestamp(-i * 123456789)::TIMESTAMPTZ AS tstz, to_months(i::INTEGER) +"
    " to_days(-i::INTEGER) + to_microseconds(i * 11) AS iv, CASE WHEN i % 3 <> 0 THEN 'text ' || i"
    " END AS s, json_array(i) AS j, encode('b' || i) AS b, (i % 8)::UTINYINT::BIT AS bit,"
    " printf('00000000-0000-4000-8000-%012d', i)::UUID AS uuid,"
    " (['x', 'y', 'z'])[1 + i % 3]::ENUM('x', 'y', 'z') AS e,"
    " CASE WHEN i % 4 <> 0 THEN range(i % 5) END AS l,"
    " list_reverse([[i, NULL], [], NULL, ['7'::BIGINT]]) AS ll,"
    " CASE WHEN i % 3 <> 1 THEN [i, i + 1, NULL] END::BIGINT[3] AS a,"
    " CASE WHEN i % 6 <> 0 THEN {'x': i, 'y': 'in ' || i, 'z': {'w': [i]}} END AS st,"
    " CASE WHEN i % 5 <> 2 THEN MAP {'k' || i: i, 'l': NULL} END AS m,"
    " CASE i % 3 WHEN 0 THEN i::UNION(n BIGINT, s VARCHAR) WHEN 1 THEN 'u' || i END AS u"
    " FROM range(5000) t(i)";

static const struct encode_options arrow = {.format = ENCODE_ARROW};

static void assert_arrow_sha256(const char *sql, const char *expected) {
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    OK(encode(sql, &arrow, &out));
    assert_int_equal(out.len % 8, 0);
    const struct str digest = hex_sha256(sha256(buf_str(&out)), &a);
    const char *folder = getenv("ENCODE_TEST_KEEP");
    if (folder) {
        FILE *f =
            fopen(arena_printf(&a, "%s/" STR_FMT ".arrow", folder, STR_ARG(digest)).ptr, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(out.ptr, 1, out.len, f), out.len);
        assert_int_equal(fclose(f), 0);
    }
    if (!str_is(digest, expected)) {
        fail_msg("the stream's SHA-256 is " STR_FMT, STR_ARG(digest));
    }
}

static void arrow_has_the_bytes_that_readers_agreed_on(void **state) {
    (void)state;
    assert_arrow_sha256(arrow_rows,
                        "acfb0b8de3cdfb26f84e2c3ee7a274bac37ee5661d72629d251297eb35101096");
}

static void arrow_without_rows_has_a_schema(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    assert_arrow_sha256(arena_printf(&a, "%s WHERE false", arrow_rows).ptr,
                        "ef4ebf3c274b9241445e6350e3c25a2ec1b395a5f17b6aded23254018d2f1e02");
}

// One INTEGER column "a" with the values 1 and NULL, as the format describes it.
static void a_small_stream_is_right_byte_by_byte(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    OK(encode("SELECT * FROM (VALUES (1), (NULL)) t(a)", &arrow, &out));
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    // The body (one byte of validity, two cells) and the end of the stream.
    const struct str tail = str_slice(buf_str(&out), out.len - 24, out.len);
    assert_string_equal(hex_bytes(tail.ptr, tail.len, &a).ptr,
                        "01000000000000000100000000000000ffffffff00000000");
}

static void arrow_refuses_what_it_cannot_hold(void **state) {
    (void)state;
    static const char *const values[] = {
        "170141183460469231731687303715884105727::HUGEINT",
        "340282366920938463463374607431768211455::UHUGEINT",
        "to_microseconds(9223372036854775807)",
    };
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        DEFER(buf_release) struct buf out = BUF(1 << 20);
        const char *sql = arena_printf(&a, "SELECT 1 AS a, %s AS b", values[i]).ptr;
        assert_int_equal(encode(sql, &arrow, &out), ERR_SQL);
        assert_non_null(strstr(err.msg, "cast it to VARCHAR"));
    }
}

// A value that a NULL hides must not be seen: not even in memory that readers skip.
static void nulls_hide_what_was_there(void **state) {
    (void)state;
    static const int64_t secret[] = {0x5EC4E7, 0x5EC4E7};
    static const uint64_t validity[] = {2};
    static const struct vec_type type = {.kind = VEC_INT64};
    const struct vec column = {.type = &type, .data = secret, .validity = validity};
    const struct vec_chunk chunk = {.rows = 2, .column_count = 1, .columns = &column};
    const struct encode_column name = {STR("a"), &type};
    DEFER(encoder_freep) struct encoder *e = encoder_new(&arrow, &name, 1);
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    OK(encoder_rows(e, &(struct encode_rows){&chunk, 0, 2}, &out, &err));
    const struct str bytes = buf_str(&out);
    const ptrdiff_t first = str_find(bytes, STR("\xE7\xC4\x5E"));
    assert_true(first >= 0);
    assert_true(str_find(str_slice(bytes, (size_t)first + 1, bytes.len), STR("\xE7\xC4\x5E")) < 0);
}

static void fewer_rows_than_the_chunk_can_be_asked_for(void **state) {
    (void)state;
    static const int32_t data[] = {1, 2, 3};
    static const struct vec_type type = {.kind = VEC_INT32};
    const struct vec column = {.type = &type, .data = data};
    const struct vec_chunk chunk = {.rows = 3, .column_count = 1, .columns = &column};
    const struct encode_column name = {STR("a"), &type};
    DEFER(encoder_freep) struct encoder *e = encoder_new(&json, &name, 1);
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    encoder_head(e, &out);
    OK(encoder_rows(e, &(struct encode_rows){&chunk, 0, 2}, &out, &err));
    OK(encoder_rows(e, &(struct encode_rows){&chunk, 0, 0}, &out, &err));
    OK(encoder_rows(e, &(struct encode_rows){&chunk, 0, 1}, &out, &err));
    encoder_tail(e, &out);
    assert_string_equal(out.ptr, "[{\"a\":1},{\"a\":2},{\"a\":1}]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_the_engine),
        cmocka_unit_test(edges_of_types_have_their_text),
        cmocka_unit_test(rows_are_objects_or_arrays),
        cmocka_unit_test(no_rows_are_an_answer_too),
        cmocka_unit_test(equal_names_become_different),
        cmocka_unit_test(every_type_has_its_json),
        cmocka_unit_test(big_numbers_can_be_text),
        cmocka_unit_test(json_is_always_well_formed),
        cmocka_unit_test(invalid_utf8_never_leaves_as_json),
        cmocka_unit_test(csv_quotes_what_must_be),
        cmocka_unit_test(tsv_escapes_what_must_be),
        cmocka_unit_test(csv_reads_back),
        cmocka_unit_test(a_full_buffer_says_so),
        cmocka_unit_test(arrow_has_the_bytes_that_readers_agreed_on),
        cmocka_unit_test(arrow_without_rows_has_a_schema),
        cmocka_unit_test(a_small_stream_is_right_byte_by_byte),
        cmocka_unit_test(arrow_refuses_what_it_cannot_hold),
        cmocka_unit_test(nulls_hide_what_was_there),
        cmocka_unit_test(fewer_rows_than_the_chunk_can_be_asked_for),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
