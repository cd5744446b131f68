// Tests of tarn_map(): values that functions of ours change in the engine's statements.
#include "engine/engine_map.h"

#include "base/ok_test.h"
#include "base/threads.h"

#include <stdio.h>

static struct engine *engine;
static struct session *session;
static struct arena arena;

static int set_up(void **state) {
    (void)state;
    const struct engine_options o = {.threads = 4, .memory_bytes = 512 << 20};
    err = ERR_NONE;
    arena = ARENA(1 << 20);
    OK(engine_open(&o, &engine, &err));
    OK(session_open(engine, &session, &err));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    session_close(session);
    engine_close(engine);
    arena_release(&arena);
    return 0;
}

static _Atomic int64_t calls;

// "<" ctx text ">"
static void embrace(void *ctx, struct str in, struct buf *out) {
    atomic_fetch_add(&calls, 1);
    buf_add_char(out, '<');
    buf_add_cstr(out, ctx);
    buf_add_str(out, in);
    buf_add_char(out, '>');
}

static int32_t next_day(void *ctx, int32_t days) {
    (void)ctx;
    return days == INT32_MAX || days == -INT32_MAX ? days : days + 1;
}

static int64_t next_second(void *ctx, int64_t us) {
    (void)ctx;
    return us == INT64_MAX || us == -INT64_MAX ? us : us + 1000000;
}

static char ctx_a[] = "a:";
static char ctx_b[] = "b:";
static const struct engine_mapper all = {embrace, next_day, next_second, ctx_a};
static const struct engine_mapper text_only = {.text = embrace, .ctx = ctx_b};
static const struct engine_mapper date_only = {.date = next_day};

// The one value of a statement, whose %lld are the mapper's number.
static const char *answer_of(struct session *s, const char *fmt, int64_t id, struct arena *a) {
    struct str ret = STR_NONE;
    DEFER(buf_release) struct buf sql = BUF(1 << 16);
    for (const char *at = fmt; *at != '\0'; at++) {
        if (*at == '#') {
            buf_printf(&sql, "tarn_map(%lld, ", (long long)id);
        } else {
            buf_add_char(&sql, *at);
        }
    }
    if (session_text(s, buf_str(&sql), a, &ret, &err) != ERR_OK) {
        return err.msg;
    }
    return arena_cstr(a, ret);
}

static void assert_answer(const char *fmt, int64_t id, const char *expected) {
    err = ERR_NONE;
    const char *answer = answer_of(session, fmt, id, &arena);
    if (strcmp(answer, expected) != 0) {
        fail_msg("%s: \"%s\" is not \"%s\"", fmt, answer, expected);
    }
}

static void each_type_has_its_function_and_stays(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"SELECT #'x')", "<a:x>"},
        {"SELECT #'')", "<a:>"},
        {"SELECT #repeat('long ', 5))", "<a:long long long long long >"},
        {"SELECT #DATE '2024-02-28')::VARCHAR", "2024-02-29"},
        {"SELECT #TIMESTAMP '1969-12-31 23:59:59')::VARCHAR", "1970-01-01 00:00:00"},
        {"SELECT #TIMESTAMPTZ '2024-02-28 23:59:59.5Z')::VARCHAR", "2024-02-29 00:00:00.5+00"},
        {"SELECT #DATE 'infinity')::VARCHAR || #DATE '-infinity')::VARCHAR", "infinity-infinity"},
        {"SELECT #TIMESTAMP 'infinity')::VARCHAR || #TIMESTAMP '-infinity')::VARCHAR",
         "infinity-infinity"},
        {"SELECT typeof(#'x')) || typeof(#DATE '2024-02-28')) || "
         "typeof(#TIMESTAMP '2024-02-28')) || typeof(#TIMESTAMPTZ '2024-02-28'))",
         "VARCHARDATETIMESTAMPTIMESTAMP WITH TIME ZONE"},
    };
    const int64_t id = engine_map_begin(engine, &all);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_answer(rows[i][0], id, rows[i][1]);
    }
    engine_map_end(engine, id);
}

#define NULLS_OF(make)                                                                             \
    "SELECT count(*) || ' ' || count(#x)) || ' ' || count(x) FROM (SELECT CASE WHEN i % 7 = 3 "    \
    "THEN NULL ELSE " make " END AS x FROM range(20000) r(i))"

static void null_stays_null(void **state) {
    (void)state;
    const int64_t id = engine_map_begin(engine, &all);
    assert_answer(NULLS_OF("'t' || i"), id, "20000 17143 17143");
    assert_answer(NULLS_OF("DATE '2024-01-01' + i::INTEGER"), id, "20000 17143 17143");
    assert_answer(NULLS_OF("make_timestamp(i)"), id, "20000 17143 17143");
    assert_answer("SELECT coalesce(#NULL::VARCHAR), 'none')", id, "none");
    assert_answer("SELECT coalesce(#NULL::DATE)::VARCHAR, 'none')", id, "none");
    // With NULLs between them the others are still in their places.
    assert_answer("SELECT count(*)::VARCHAR FROM (SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE i "
                  "END::VARCHAR AS x FROM range(9000) r(i)) WHERE #x) = '<a:' || i || '>'",
                  id, "6000");
    engine_map_end(engine, id);
}

static void texts_of_all_lengths_come_whole(void **state) {
    (void)state;
    const int64_t id = engine_map_begin(engine, &all);
    assert_answer("SELECT count(*)::VARCHAR FROM (SELECT repeat(chr(200 + (i % 50)::INTEGER), "
                  "(i * i % 3000)::INTEGER) AS x FROM range(5000) r(i)) "
                  "WHERE #x) <> '<a:' || x || '>'",
                  id, "0");
    assert_answer("SELECT strlen(#repeat('x', 3000000)))::VARCHAR", id, "3000004");
    assert_answer("SELECT strlen(#'a' || chr(0) || 'b'))::VARCHAR", id, "7");
    engine_map_end(engine, id);
}

// Equal ones lie apart, and more different ones than are remembered between them.
static void texts_that_repeat_are_made_once_or_again_and_stay_right(void **state) {
    (void)state;
    const int64_t id = engine_map_begin(engine, &all);
    atomic_store(&calls, 0);
    assert_answer("SELECT count(*)::VARCHAR FROM (SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE "
                  "repeat('text ' || i % 10, 1 + i % 2) END AS x FROM range(200000) r(i)) "
                  "WHERE #x) = '<a:' || x || '>'",
                  id, "133333");
    assert_true(atomic_load(&calls) < 10000);
    assert_answer(
        "SELECT count(*)::VARCHAR FROM (SELECT repeat('a common beginning ', 5) || hash(i) "
        "% 4000 AS x FROM range(200000) r(i)) WHERE #x) = '<a:' || x || '>'",
        id, "200000");
    engine_map_end(engine, id);
}

static void no_rows_are_no_calls(void **state) {
    (void)state;
    const int64_t id = engine_map_begin(engine, &all);
    atomic_store(&calls, 0);
    assert_answer("SELECT count(#x))::VARCHAR FROM (SELECT i::VARCHAR AS x FROM range(9) r(i) "
                  "WHERE i > random() + 10)",
                  id, "0");
    assert_int_equal(atomic_load(&calls), 0);
    engine_map_end(engine, id);
}

static void mapped_values_join_group_and_sort(void **state) {
    (void)state;
    const int64_t id = engine_map_begin(engine, &all);
    assert_answer("WITH t AS MATERIALIZED (SELECT (i % 10)::VARCHAR AS x FROM range(10000) r(i)) "
                  "SELECT count(*) || ' ' || min(x.m) || ' ' || max(y.m) FROM "
                  "(SELECT #x) AS m, count(*) AS n FROM t GROUP BY m) x JOIN "
                  "(SELECT DISTINCT #x) AS m FROM t ORDER BY m) y ON x.m = y.m WHERE x.n = 1000",
                  id, "10 <a:0> <a:9>");
    engine_map_end(engine, id);
}

static void numbers_begin_with_one_and_are_not_used_again(void **state) {
    (void)state;
    const int64_t a = engine_map_begin(engine, &all);
    const int64_t b = engine_map_begin(engine, &text_only);
    assert_int_equal(a, 1);
    assert_int_equal(b, 2);
    assert_answer("SELECT #'x')", a, "<a:x>");
    assert_answer("SELECT #'x')", b, "<b:x>");
    engine_map_end(engine, a);
    assert_answer("SELECT #'x')", b, "<b:x>");
    engine_map_end(engine, b);
    assert_int_equal(engine_map_begin(engine, &all), 3);
    engine_map_end(engine, 3);
}

static void assert_fails(const char *fmt, int64_t id, const char *says) {
    err = ERR_NONE;
    const char *answer = answer_of(session, fmt, id, &arena);
    if (err.code != ERR_SQL || strstr(answer, says) == NULL) {
        fail_msg("%s: %s \"%s\"", fmt, err_text(err.code), answer);
    }
}

static void what_a_mapper_lacks_ends_the_statement(void **state) {
    (void)state;
    static const char column[] = "SELECT max(#x))::VARCHAR FROM (SELECT make_timestamp(i) AS x "
                                 "FROM range(100000) r(i))";
    const int64_t text = engine_map_begin(engine, &text_only);
    const int64_t date = engine_map_begin(engine, &date_only);
    assert_fails("SELECT #DATE '2024-02-28')::VARCHAR", text, "takes no date");
    assert_fails("SELECT #TIMESTAMP '2024-02-28')::VARCHAR", text, "takes no timestamp");
    assert_fails("SELECT #TIMESTAMPTZ '2024-02-28')::VARCHAR", date, "takes no timestamp");
    assert_fails(column, date, "takes no timestamp");
    assert_fails("SELECT #'x')", date, "takes no text");
    assert_fails("SELECT #'x')", 12345, "no such mapper");
    assert_fails("SELECT #'x')", 0, "no such mapper");
    engine_map_end(engine, text);
    engine_map_end(engine, date);
    assert_fails("SELECT #'x')", text, "no such mapper");
    assert_fails("SELECT #42)::VARCHAR", text, "tarn_map"); // no such type
}

static void *run_many(void *arg) {
    char *ctx = arg;
    const struct engine_mapper mapper = {.text = embrace, .ctx = ctx};
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct session *s = NULL;
    if (session_open(engine, &s, &err) != ERR_OK) {
        return arg;
    }
    void *wrong = NULL;
    for (int i = 0; i < 10; i++) {
        const int64_t id = engine_map_begin(engine, &mapper);
        const char *answer =
            answer_of(s,
                      "SELECT count(*) || min(#x)) FROM (SELECT 'x' || i AS x FROM "
                      "range(100000) r(i))",
                      id, &a);
        if (strncmp(answer, "100000<", 7) != 0 || strncmp(answer + 7, ctx, 2) != 0) {
            wrong = arg;
        }
        engine_map_end(engine, id);
    }
    session_close(s);
    return wrong;
}

static void statements_at_the_same_time_have_their_own_mappers(void **state) {
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("map", run_many, i % 2 == 0 ? ctx_a : ctx_b);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_type_has_its_function_and_stays),
        TEST(null_stays_null),
        TEST(texts_of_all_lengths_come_whole),
        TEST(texts_that_repeat_are_made_once_or_again_and_stay_right),
        TEST(no_rows_are_no_calls),
        TEST(mapped_values_join_group_and_sort),
        TEST(numbers_begin_with_one_and_are_not_used_again),
        TEST(what_a_mapper_lacks_ends_the_statement),
        TEST(statements_at_the_same_time_have_their_own_mappers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
