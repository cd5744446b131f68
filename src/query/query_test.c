// Tests of queries: from a statement to rows of one moment, places, cancelling and time limits.

#include "query/query.h"

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "table/one_world_test.h"

static struct queries *queries;
static const struct catalog_rights *rights = &catalog_rights_all; // of the next queries

// Opens the service anew with the world's configuration.
static void queries_again(void) {
    queries_close(queries);
    queries = NULL;
    OK(queries_open(&world.config,
                    &(struct queries_parts){.tables = world.tables, .engine = engine}, &queries,
                    &err));
}

static int begin(void **state) {
    (void)state;
    world_open(&world, engine);
    queries_again();
    return 0;
}

static int end(void **state) {
    (void)state;
    rights = &catalog_rights_all;
    queries_close(TAKE(queries));
    world_close(&world);
    return 0;
}

static struct table_written write_rows(enum table_mode mode, const char *dataset,
                                       const char *source) {
    struct table_written w;
    OK(world_write(&world, mode, dataset, source, &w));
    return w;
}

// A query by any thread, in an arena of its own.
struct asked {
    struct arena arena;
    struct query *query;
};

static enum err_code start(struct asked *ret, const char *id, const char *sql) {
    *ret = (struct asked){.arena = ARENA(1 << 28)};
    struct query_request r = {
        .id = str_from(id), .sql = str_from(sql), .principal = STR("ada"), .rights = rights};
    err = ERR_NONE;
    return query_start(queries, &r, &ret->arena, &ret->query, &err);
}

static void finish(struct asked *q, const struct err *outcome) {
    query_end(q->query, 0, 0, outcome);
    arena_release(&q->arena);
}

// The first column of the first row, which must be text, into out; all rows are fetched.
static enum err_code ask_text(const char *id, const char *sql, char *out, size_t size) {
    struct asked q;
    enum err_code code = start(&q, id, sql);
    const struct vec_chunk *chunk = NULL;
    bool first = true;
    (void)snprintf(out, size, "no row");
    while (code == ERR_OK) {
        code = rows_next(query_rows(q.query), &chunk, &err);
        if (code != ERR_OK || chunk == NULL) {
            break;
        }
        if (first && chunk->rows > 0) {
            const struct vec *v = &chunk->columns[0];
            struct str s = vec_is_null(v, 0) ? STR("NULL") : vec_str(v, 0);
            (void)snprintf(out, size, STR_FMT, STR_ARG(s));
            first = false;
        }
    }
    finish(&q, code == ERR_OK ? NULL : &err);
    return code;
}

static void assert_answer(const char *sql, const char *expected) {
    char text[4096];
    OK(ask_text("q", sql, text, sizeof(text)));
    assert_string_equal(text, expected);
}

static enum err_code failure(const char *sql) {
    char text[64];
    enum err_code code = ask_text("q", sql, text, sizeof(text));
    assert_int_equal(code, err.code);
    return code;
}

// The same of queries that have little time: on a busy machine one of many is in time.
static void assert_answer_soon(const char *sql, const char *expected) {
    char text[4096];
    enum err_code code = ERR_TIMEOUT;
    for (int i = 0; i < 1000 && code == ERR_TIMEOUT; i++) {
        code = ask_text("q", sql, text, sizeof(text));
    }
    OK(code);
    assert_string_equal(text, expected);
}

static void make_flights(void) {
    write_rows(TABLE_CREATE, "flights", "(SELECT i AS id, 'f' || i AS name FROM range(10) r(i))");
    write_rows(TABLE_APPEND, "flights",
               "(SELECT i AS id, 'f' || i AS name FROM range(10, 15) r(i))");
    write_rows(TABLE_CREATE, "Airports", "(SELECT i AS id, 'a' || i AS city FROM range(3) r(i))");
}

static void a_statement_is_answered_from_its_datasets(void **state) {
    (void)state;
    make_flights();
    assert_answer("SELECT count(*) || ' ' || sum(id) FROM flights", "15 105");
    assert_answer("SELECT string_agg(f.name || a.city, ',' ORDER BY f.id) FROM flights f JOIN "
                  "airports a USING (id)",
                  "f0a0,f1a1,f2a2");
    assert_answer("WITH flights AS (SELECT 1 AS x) SELECT x::VARCHAR FROM flights", "1");
    assert_answer("SELECT (SELECT max(name) FROM FLIGHTS) || (SELECT min(city) FROM \"Airports\")",
                  "f9a0");
    assert_answer("SELECT name FROM flights WHERE id = 99", "no row");
    assert_answer("SELECT 'no table'", "no table");
}

static void snapshots_are_reported_each_once(void **state) {
    (void)state;
    make_flights();
    struct catalog_dataset flights;
    struct catalog_dataset airports;
    OK(catalog_dataset_get(world.catalog, STR("flights"), &world.arena, &flights, &err));
    OK(catalog_dataset_get(world.catalog, STR("Airports"), &world.arena, &airports, &err));
    struct asked q;
    OK(start(&q, "q",
             "SELECT * FROM airports a, flights f, FLIGHTS g, flights h AT (VERSION => 1)"));
    size_t count = 0;
    const struct query_snapshot *s = query_snapshots(q.query, &count);
    assert_int_equal(count, 3);
    assert_str(s[0].dataset, "Airports");
    assert_int_equal(s[0].snapshot_id, airports.snapshot_id);
    assert_str(s[1].dataset, "flights");
    assert_int_equal(s[1].snapshot_id, flights.snapshot_id);
    assert_str(s[2].dataset, "flights");
    assert_int_not_equal(s[2].snapshot_id, flights.snapshot_id);
    assert_str(query_id(q.query), "q");
    assert_int_equal(rows_column_count(query_rows(q.query)), 8);
    finish(&q, NULL);
}

static void a_table_without_rows_can_be_asked(void **state) {
    (void)state;
    write_rows(TABLE_CREATE, "t", "(SELECT 1 AS a, 'x' AS b LIMIT 0)");
    assert_answer("SELECT count(*) || ' ' || coalesce(max(b), '-') FROM t WHERE a > 1", "0 -");
}

static void an_unknown_table_is_shown_where_it_stands(void **state) {
    (void)state;
    make_flights();
    assert_int_equal(failure("SELECT * FROM airports, flihgts"), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"flihgts\"; did you mean \"flights\"?");
    assert_int_equal(err.position, 24);
    assert_int_equal(failure("SELECT * FROM nowhere"), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"nowhere\"");
    assert_int_equal(err.position, 14);
}

static void an_unknown_column_is_shown_where_it_stands(void **state) {
    (void)state;
    make_flights();
    assert_int_equal(failure("SELECT id, nmae FROM flights"), ERR_SQL);
    assert_says("nmae");
    assert_int_equal(err.position, 11);
    assert_int_equal(failure("SELECT f.x FROM flights f"), ERR_SQL);
    assert_int_equal(err.position, 9);
    // No path or scan of ours in the message.
    assert_null(strstr(err.msg, "parquet"));
    assert_null(strstr(err.msg, world.root));
}

static void what_the_guard_refuses_does_not_run(void **state) {
    (void)state;
    make_flights();
    assert_int_equal(failure("SELECT * FROM read_csv('/etc/passwd')"), ERR_REFUSED);
    assert_int_equal(err.position, 14);
    assert_int_equal(failure("MERGE INTO flights USING flights ON true"), ERR_REFUSED);
    assert_int_equal(failure("SELECT * FROM"), ERR_SQL);
    assert_answer("SELECT count(*)::VARCHAR FROM flights", "15");
}

static void a_statement_has_a_size(void **state) {
    (void)state;
    world.config.query_sql_max = 64;
    queries_again();
    assert_answer("SELECT 'short'", "short");
    assert_int_equal(
        failure("SELECT 'a statement that is quite a bit longer than sixty-four bytes'"),
        ERR_TOO_LARGE);
    assert_says("at most 64 are taken");
}

static void older_versions_are_asked_with_at(void **state) {
    (void)state;
    int64_t before = clock_wall_us();
    (void)usleep(5000);
    make_flights();
    (void)usleep(5000);
    int64_t between = clock_wall_us();
    (void)usleep(5000);
    write_rows(TABLE_REPLACE, "flights", "(SELECT 'only' AS other)");
    assert_answer("SELECT other FROM flights", "only");
    assert_answer("SELECT count(*) || ' ' || sum(id) FROM flights AT (VERSION => 1)", "10 45");
    assert_answer("SELECT count(*) || ' ' || sum(id) FROM flights AT (VERSION => 2)", "15 105");
    struct str sql = arena_printf(
        &world.arena,
        "SELECT count(*)::VARCHAR FROM flights AT (TIMESTAMP => TIMESTAMP '" STR_FMT "')",
        STR_ARG(str_slice(clock_rfc3339(between, &world.arena), 0, 26)));
    assert_answer(sql.ptr, "15");
    sql = arena_printf(&world.arena,
                       "SELECT * FROM flights AT (TIMESTAMP => TIMESTAMP '" STR_FMT "')",
                       STR_ARG(str_slice(clock_rfc3339(before, &world.arena), 0, 26)));
    assert_int_equal(failure(sql.ptr), ERR_NOT_FOUND);
    assert_says("did not exist at");
    assert_int_equal(err.position, 14);
    assert_int_equal(failure("SELECT * FROM flights AT (VERSION => 9)"), ERR_NOT_FOUND);
    assert_says("has no version 9");
    assert_answer("SELECT count(*)::VARCHAR FROM flights a AT (VERSION => 1) JOIN flights b AT "
                  "(VERSION => 2) USING (id)",
                  "10");
}

static void a_query_keeps_its_snapshot_while_data_moves(void **state) {
    (void)state;
    make_flights();
    struct asked q;
    OK(start(&q, "q", "SELECT count(*)::VARCHAR FROM flights"));
    uint64_t seq;
    write_rows(TABLE_REPLACE, "flights", "(SELECT 1 AS other)");
    OK(table_drop(world.tables, STR("flights"), &world_author, &seq, &err));
    const struct vec_chunk *chunk = NULL;
    OK(rows_next(query_rows(q.query), &chunk, &err));
    assert_str(vec_str(&chunk->columns[0], 0), "15");
    finish(&q, NULL);
}

// A query in a thread of its own.
struct thread_query {
    const char *id, *sql;
    char text[64];
    enum err_code code;
    struct err err;
    pthread_t thread;
};

static void *ask_in_thread(void *arg) {
    struct thread_query *t = arg;
    t->code = ask_text(t->id, t->sql, t->text, sizeof(t->text));
    t->err = err;
    return NULL;
}

static void ask_beside(struct thread_query *t) {
    t->thread = threads_start("query", ask_in_thread, t);
}

static void join(struct thread_query *t) {
    assert_int_equal(pthread_join(t->thread, NULL), 0);
}

// Waits until the query is listed with that state ("running", "waiting"; NULL: not at all).
static void wait_for(const char *id, const char *state_wanted) {
    for (int i = 0; i < 60000; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct query_info *list;
        size_t count;
        struct str found = STR_NONE;
        queries_list(queries, STR_NONE, &a, &list, &count);
        for (size_t j = 0; j < count; j++) {
            found = str_is(list[j].id, id) ? list[j].state : found;
        }
        if (state_wanted == NULL ? found.len == 0 : str_is(found, state_wanted)) {
            return;
        }
        (void)usleep(1000);
    }
    fail_msg("query %s is never %s", id, state_wanted);
}

static void wait_for_waiting(int64_t count) {
    for (int i = 0; i < 60000 && counter_get(COUNTER_queries_waiting) != count; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(counter_get(COUNTER_queries_waiting), count);
}

// Hours of work for the engine.
#define ENDLESS                                                                                    \
    "SELECT count(*)::VARCHAR FROM range(100000000) a(i), range(100000000) b(j) "                  \
    "WHERE (a.i * b.j) % 7 = 8"

static void queries_wait_for_a_place_and_are_turned_away(void **state) {
    (void)state;
    world.config.query_running_max = 1;
    world.config.query_waiting_max = 1;
    world.config.query_wait_timeout = 600000;
    queries_again();
    struct asked first;
    OK(start(&first, "first", "SELECT 'first'"));
    struct thread_query second = {.id = "second", .sql = "SELECT 'second'"};
    ask_beside(&second);
    wait_for("first", "running");
    wait_for_waiting(1); // it is listed as waiting before it does
    int64_t turned_away = counter_get(COUNTER_queries_turned_away);
    assert_int_equal(failure("SELECT 'third'"), ERR_BUSY);
    assert_says("1 queries run and 1 wait");
    assert_int_equal(counter_get(COUNTER_queries_turned_away), turned_away + 1);
    finish(&first, NULL);
    join(&second);
    assert_int_equal(second.code, ERR_OK);
    assert_string_equal(second.text, "second");
    assert_answer("SELECT 'fourth'", "fourth");
    assert_int_equal(counter_get(COUNTER_queries_running), 0);
    assert_int_equal(counter_get(COUNTER_queries_waiting), 0);
}

static void waiting_has_an_end(void **state) {
    (void)state;
    world.config.query_running_max = 1;
    world.config.query_wait_timeout = 20;
    queries_again();
    struct asked first;
    OK(start(&first, "first", "SELECT 'first'"));
    assert_int_equal(failure("SELECT 'second'"), ERR_BUSY);
    assert_says("no place became free in 20 ms");
    finish(&first, NULL);
    assert_answer("SELECT 'third'", "third");
}

static void a_waiting_query_can_be_cancelled(void **state) {
    (void)state;
    world.config.query_running_max = 1;
    world.config.query_wait_timeout = 600000;
    queries_again();
    struct asked first;
    OK(start(&first, "first", "SELECT 'first'"));
    struct thread_query second = {.id = "second", .sql = "SELECT 'second'"};
    ask_beside(&second);
    wait_for("second", "waiting");
    OK(queries_cancel(queries, STR("second"), STR_NONE, &err));
    join(&second);
    assert_int_equal(second.code, ERR_CANCELLED);
    assert_string_equal(second.err.msg, "the query was cancelled before it ran");
    wait_for("second", NULL);
    assert_int_equal(queries_cancel(queries, STR("second"), STR_NONE, &err), ERR_NOT_FOUND);
    assert_says("no query \"second\" runs");
    finish(&first, NULL);
}

static void a_running_query_can_be_cancelled(void **state) {
    (void)state;
    int64_t cancelled = counter_get(COUNTER_query_cancelled);
    struct thread_query q = {.id = "endless", .sql = ENDLESS};
    ask_beside(&q);
    wait_for("endless", "running");
    OK(queries_cancel(queries, STR("endless"), STR_NONE, &err));
    join(&q);
    assert_int_equal(q.code, ERR_CANCELLED);
    assert_int_equal(counter_get(COUNTER_query_cancelled), cancelled + 1);
    assert_answer("SELECT 'next'", "next");
}

static void a_query_that_was_cancelled_between_two_chunks_ends(void **state) {
    (void)state;
    struct asked q;
    OK(start(&q, "q", "SELECT i FROM range(100000000) r(i)"));
    const struct vec_chunk *chunk = NULL;
    OK(rows_next(query_rows(q.query), &chunk, &err));
    OK(queries_cancel(queries, STR("q"), STR_NONE, &err));
    enum err_code code = ERR_OK;
    for (int i = 0; i < 100000 && code == ERR_OK; i++) {
        code = rows_next(query_rows(q.query), &chunk, &err);
    }
    assert_int_equal(code, ERR_CANCELLED);
    finish(&q, &err);
}

static void a_query_has_a_time_limit(void **state) {
    (void)state;
    world.config.query_timeout = 50;
    queries_again();
    assert_int_equal(failure(ENDLESS), ERR_TIMEOUT);
    assert_answer_soon("SELECT 'next'", "next");
}

static void the_shorter_of_the_time_limits_counts(void **state) {
    (void)state;
    const struct catalog_rights hurried = {.admin = true, .limits = {.time_ms = 50}};
    const struct catalog_rights patient = {.admin = true, .limits = {.time_ms = 600000}};
    rights = &hurried;
    assert_int_equal(failure(ENDLESS), ERR_TIMEOUT);
    assert_answer_soon("SELECT 'next'", "next");
    world.config.query_timeout = 50;
    queries_again();
    rights = &patient;
    assert_int_equal(failure(ENDLESS), ERR_TIMEOUT);
}

static void a_principal_has_so_many_queries_at_once(void **state) {
    (void)state;
    const struct catalog_rights two = {.admin = true, .limits = {.queries_max = 2}};
    struct asked q[3];
    rights = &two;
    OK(start(&q[0], "0", "SELECT 1"));
    OK(start(&q[1], "1", "SELECT 1"));
    assert_int_equal(start(&q[2], "2", "SELECT 1"), ERR_LIMIT);
    arena_release(&q[2].arena);
    assert_int_equal(failure("DROP TABLE IF EXISTS x"), ERR_LIMIT);
    rights = &catalog_rights_all; // who has another role beside it has no such limit
    assert_answer("SELECT 'free'", "free");
    rights = &two;
    finish(&q[0], NULL);
    OK(start(&q[2], "2", "SELECT 1"));
    finish(&q[1], NULL);
    finish(&q[2], NULL);
}

static void queries_of_others_are_not_there(void **state) {
    (void)state;
    struct asked q;
    struct query_info *list;
    size_t count;
    OK(start(&q, "q", "SELECT 1"));
    queries_list(queries, STR("bob"), &world.arena, &list, &count);
    assert_int_equal(count, 0);
    queries_list(queries, STR("ada"), &world.arena, &list, &count);
    assert_int_equal(count, 1);
    assert_int_equal(queries_cancel(queries, STR("q"), STR("bob"), &err), ERR_NOT_FOUND);
    OK(queries_cancel(queries, STR("q"), STR("ada"), &err));
    finish(&q, NULL);
}

static void stopping_ends_all_and_takes_no_more(void **state) {
    (void)state;
    world.config.query_running_max = 1;
    world.config.query_wait_timeout = 600000;
    queries_again();
    struct thread_query running = {.id = "running", .sql = ENDLESS};
    ask_beside(&running);
    wait_for("running", "running");
    struct thread_query waiting = {.id = "waiting", .sql = "SELECT 'x'"};
    ask_beside(&waiting);
    wait_for("waiting", "waiting");
    queries_stop(queries);
    join(&running);
    join(&waiting);
    assert_int_equal(running.code, ERR_CANCELLED);
    assert_int_equal(waiting.code, ERR_CANCELLED);
    assert_int_equal(failure("SELECT 'late'"), ERR_CANCELLED);
}

enum { ROUNDS = 40 };

static _Atomic bool writing;

// One row into a, then one into b, again and again.
static void *write_in_turn(void *arg) {
    (void)arg;
    struct session *session = NULL;
    CHECK(session_open(engine, &session, &err) == ERR_OK);
    for (int i = 0; i < ROUNDS; i++) {
        for (int j = 0; j < 2; j++) {
            DEFER(arena_release) struct arena a = ARENA(1 << 26);
            struct table_written written;
            const struct table_write w = {.dataset = j == 0 ? STR("a") : STR("b"),
                                          .mode = TABLE_APPEND,
                                          .source = STR("(SELECT 1 AS n)"),
                                          .who = world_author,
                                          .session = session};
            CHECK(table_write(world.tables, &w, &a, &written, &err) == ERR_OK);
        }
    }
    session_close(session);
    writing = false;
    return NULL;
}

// At every moment a has as many rows as b, or one more. Either order of mention must see that.
static void *read_both(void *arg) {
    const char *sql = arg;
    uintptr_t answers = 0;
    while (writing) {
        char text[64];
        if (ask_text("reader", sql, text, sizeof(text)) != ERR_OK) {
            print_error("reader: %s\n", err.msg);
            return NULL;
        }
        if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
            print_error("reader: a has %s more rows than b\n", text);
            return NULL;
        }
        answers++;
    }
    return (void *)(answers + 1);
}

static void all_tables_of_a_query_are_of_one_moment(void **state) {
    (void)state;
    static char a_first[] = "SELECT ((SELECT count(*) FROM a) - (SELECT count(*) FROM b))::VARCHAR";
    static char b_first[] =
        "SELECT (-(SELECT count(*) FROM b) + (SELECT count(*) FROM a))::VARCHAR";
    write_rows(TABLE_CREATE, "a", "(SELECT 1 AS n LIMIT 0)");
    write_rows(TABLE_CREATE, "b", "(SELECT 1 AS n LIMIT 0)");
    writing = true;
    pthread_t writer = threads_start("writer", write_in_turn, NULL);
    pthread_t readers[] = {threads_start("reader", read_both, a_first),
                           threads_start("reader", read_both, b_first)};
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        void *answers = NULL;
        assert_int_equal(pthread_join(readers[i], &answers), 0);
        assert_non_null(answers);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_answer("SELECT (SELECT count(*) FROM a) || ' ' || (SELECT count(*) FROM b)", "40 40");
}

// The same statement with the condition beside the table, where it may skip files, and above it.
static size_t compare_condition(const char *condition) {
    static const char select[] = "SELECT count(*) || ' ' || coalesce(sum(k), 0)";
    char skipping[256];
    char plain[256];
    struct str sql = arena_printf(&world.arena, "%s FROM t WHERE %s", select, condition);
    int64_t before = counter_get(COUNTER_files_pruned);
    enum err_code one = ask_text("q", sql.ptr, skipping, sizeof(skipping));
    int64_t pruned = counter_get(COUNTER_files_pruned) - before;
    sql = arena_printf(&world.arena, "%s FROM (SELECT * FROM t OFFSET 0) t WHERE %s", select,
                       condition);
    enum err_code two = ask_text("q", sql.ptr, plain, sizeof(plain));
    if (one != two || (one == ERR_OK && strcmp(skipping, plain) != 0)) {
        fail_msg("%s: %s %s, but %s %s without skipping", condition, err_text(one), skipping,
                 err_text(two), plain);
    }
    return (size_t)pruned;
}

static void constants_of_every_kind_skip_only_what_cannot_match(void **state) {
    (void)state;
    static const char *const columns[] = {"n", "l", "f", "c", "s", "d", "t", "z", "b", "u", "x"};
    static const char *const constants[] = {
        "5",
        "25",
        "-3",
        "2.5",
        "1e1",
        "1e300",
        "99999999999999999999",
        "'5'",
        "'25'",
        "'k'",
        "''",
        "'1970-01-06'",
        "'1970-01-01 00:00:05'",
        "DATE '1970-01-06'",
        "TIMESTAMP '1970-01-01 00:00:05'",
        "TIMESTAMPTZ '1970-01-01 00:00:05+00'",
        "true",
        "'false'",
        "NULL",
        "'5'::INTEGER",
        "5::VARCHAR",
        "'nan'::DOUBLE",
        "'\\x05'::BLOB",
        "'00000000-0000-0000-0000-000000000005'",
    };
    static const char *const forms[] = {"%s = %s", "%s <> %s", "%s < %s", "%s >= %s", "%s IN (%s)"};
    for (int i = 0; i < 3; i++) {
        struct str source = arena_printf(
            &world.arena,
            "(SELECT v AS k, v::INTEGER AS n, v AS l, CASE WHEN v = 7 THEN 'nan'::DOUBLE ELSE v "
            "END "
            "AS f, v::DECIMAL(6,2) AS c, v::VARCHAR AS s, DATE '1970-01-01' + v::INTEGER AS d, "
            "TIMESTAMP '1970-01-01' + to_seconds(v) AS t, TIMESTAMPTZ '1970-01-01 00:00:00+00' + "
            "to_seconds(v) AS z, v < 10 AS b, ('00000000-0000-0000-0000-0000000000' || "
            "lpad(v::VARCHAR, 2, '0'))::UUID AS u, chr(v::INTEGER + 1)::BLOB AS x "
            "FROM (SELECT i + %d AS v FROM range(10) r(i)))",
            i * 10);
        write_rows(i == 0 ? TABLE_CREATE : TABLE_APPEND, "t", source.ptr);
    }
    size_t pruned = 0;
    for (size_t i = 0; i < ARRAY_LEN(columns) * ARRAY_LEN(constants) * ARRAY_LEN(forms); i++) {
        const char *column = columns[i % ARRAY_LEN(columns)];
        const char *constant = constants[i / ARRAY_LEN(columns) % ARRAY_LEN(constants)];
        const char *form = forms[i / ARRAY_LEN(columns) / ARRAY_LEN(constants)];
        struct str rest = str_from(form);
        struct str head;
        struct str condition = STR_NONE;
        for (int part = 0; str_cut(&rest, '%', &head); part++) {
            const char *value = part == 0 ? "" : part == 1 ? column : constant;
            head = part == 0 ? head : str_slice(head, 1, head.len);
            condition = arena_printf(&world.arena, STR_FMT "%s" STR_FMT, STR_ARG(condition), value,
                                     STR_ARG(head));
        }
        pruned += compare_condition(condition.ptr);
    }
    assert_true(pruned > 300);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_statement_is_answered_from_its_datasets),
        TEST(snapshots_are_reported_each_once),
        TEST(a_table_without_rows_can_be_asked),
        TEST(an_unknown_table_is_shown_where_it_stands),
        TEST(an_unknown_column_is_shown_where_it_stands),
        TEST(what_the_guard_refuses_does_not_run),
        TEST(a_statement_has_a_size),
        TEST(older_versions_are_asked_with_at),
        TEST(a_query_keeps_its_snapshot_while_data_moves),
        TEST(queries_wait_for_a_place_and_are_turned_away),
        TEST(waiting_has_an_end),
        TEST(a_waiting_query_can_be_cancelled),
        TEST(a_running_query_can_be_cancelled),
        TEST(a_query_that_was_cancelled_between_two_chunks_ends),
        TEST(a_query_has_a_time_limit),
        TEST(the_shorter_of_the_time_limits_counts),
        TEST(a_principal_has_so_many_queries_at_once),
        TEST(queries_of_others_are_not_there),
        TEST(stopping_ends_all_and_takes_no_more),
        TEST(all_tables_of_a_query_are_of_one_moment),
        TEST(constants_of_every_kind_skip_only_what_cannot_match),
    };
    log_set_level(LOG_WARN);
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
