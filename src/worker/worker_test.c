// Workers: what they answer, whom they serve, and how they end.
#include "worker/workers_test.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/threads.h"

enum { COUNT_MAX = 3 };

static struct house house;

static struct workers_stats stats(void) {
    struct workers_stats s;
    workers_stats_get(house.workers, &s);
    return s;
}

static void a_query_is_answered(void **state) {
    (void)state;
    expect(house.workers, "a", "SELECT 'x' || i FROM range(3) t(i) ORDER BY i", "x0\nx1\nx2\n");
    expect(house.workers, "a", "SELECT 'nothing' WHERE 1 = 0", "");
}

static void names_and_types_come_with_the_rows(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct worker_call *c = NULL;
    struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    const struct worker_request r = request_of(
        "a", "SELECT 1.25::DECIMAL(9,2) AS \"the price\", [1, NULL, 3] AS l", SECOND * 30);
    OK(worker_begin(house.workers, &r, &c, &err));
    OK(worker_ask(c, &rows, &err));
    assert_int_equal(rows_column_count(rows), 2);
    assert_true(str_is(rows_column_name(rows, 0), "the price"));
    assert_true(str_is(rows_column_type(rows, 0)->text, "DECIMAL(9,2)"));
    assert_int_equal(rows_column_type(rows, 1)->kind, VEC_LIST);
    OK(rows_next(rows, &chunk, &err));
    assert_non_null(chunk);
    assert_int_equal(*(const int32_t *)chunk->columns[0].data, 125);
    assert_int_equal(((const struct vec_list *)chunk->columns[1].data)->length, 3);
    assert_true(vec_is_null(&chunk->columns[1].children[0], 1));
    OK(rows_next(rows, &chunk, &err));
    assert_null(chunk);
    rows_close(rows);
    worker_end(c);
}

static void an_error_is_the_statements_with_its_place(void **state) {
    (void)state;
    struct asked a;
    ask(house.workers, "a", "SELECT 1 + nosuch", &a);
    assert_int_equal(a.code, ERR_SQL);
    assert_non_null(strstr(a.err.msg, "nosuch"));
    assert_int_equal(a.err.position, 11);
    asked_release(&a);
    // After the first rows too.
    ask(house.workers, "a",
        "SELECT 'r' || (1 / (CASE WHEN i < 90000 THEN 1 END)) || "
        "(CASE WHEN i < 90000 THEN 'x' ELSE error('late') END) "
        "FROM range(100000) t(i)",
        &a);
    assert_int_equal(a.code, ERR_SQL);
    assert_non_null(strstr(a.err.msg, "late"));
    asked_release(&a);
}

static void many_rows_come_in_many_batches(void **state) {
    (void)state;
    struct asked a;
    ask(house.workers, "a", "SELECT 'row ' || i FROM range(200000) t(i)", &a);
    assert_int_equal(a.code, ERR_OK);
    size_t lines = 0;
    for (size_t i = 0; i < a.text.len; i++) {
        lines += a.text.ptr[i] == '\n' ? 1U : 0U;
    }
    assert_int_equal(lines, 200000);
    assert_true(str_ends(buf_str(&a.text), STR("row 199999\n")));
    asked_release(&a);
}

// Row number `row` of the statement below, at place i of its chunk.
static void check_wide_row(const struct vec_chunk *chunk, size_t i, size_t row) {
    const struct vec *text = &chunk->columns[0];
    const struct vec *st = &chunk->columns[1];
    const struct vec *pair = &chunk->columns[2].children[0];
    const struct vec_list list = ((const struct vec_list *)st->children[1].data)[i];
    char start[24];
    (void)snprintf(start, sizeof(start), "%zux", row);
    assert_int_equal(vec_is_null(text, i), row % 3 == 0);
    assert_true(row % 3 == 0 || str_starts(vec_str(text, i), str_from(start)));
    assert_int_equal(((const int64_t *)st->children[0].data)[i], row);
    assert_int_equal(((const int64_t *)st->children[1].children[0].data)[list.offset], row);
    assert_int_equal(((const int64_t *)pair->data)[2 * i + 1], row + 1);
}

// 2048 rows of 60,000 bytes are more than a message holds: they are cut at every 64th row.
static void wide_rows_are_cut_into_messages(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct worker_call *c = NULL;
    struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    size_t seen = 0;
    const struct worker_request r = request_of(
        "a",
        "SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE i::VARCHAR || repeat('x', 60000) END AS s, "
        "{'n': i, 'l': [i]} AS st, array_value(i, i + 1) AS ar FROM range(2048) t(i)",
        SECOND * 60);
    OK(worker_begin(house.workers, &r, &c, &err));
    OK(worker_ask(c, &rows, &err));
    do {
        OK(rows_next(rows, &chunk, &err));
        for (size_t i = 0; chunk && i < chunk->rows; i++) {
            check_wide_row(chunk, i, seen++);
        }
    } while (chunk);
    assert_int_equal(seen, 2048);
    rows_close(rows);
    worker_end(c);
}

static void a_row_that_no_message_holds_is_refused(void **state) {
    (void)state;
    struct asked a;
    ask(house.workers, "a", "SELECT repeat('x', 70000000)", &a);
    assert_int_equal(a.code, ERR_TOO_LARGE);
    asked_release(&a);
    expect(house.workers, "a", "SELECT 'next'", "next\n");
}

static void two_hundred_queries_run_in_one_worker(void **state) {
    (void)state;
    expect(house.workers, "many", "SELECT 'first'", "first\n");
    const int64_t started = stats().started;
    for (int i = 0; i < 200; i++) {
        expect(house.workers, "many", "SELECT 'again'", "again\n");
    }
    assert_in_range(stats().started, started, started + 1); // a spare
}

static void rows_that_nobody_reads_are_left(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct worker_call *c = NULL;
    struct rows *rows = NULL;
    const struct vec_chunk *chunk = NULL;
    const struct worker_request r =
        request_of("a", "SELECT i FROM range(1000000000) t(i)", SECOND * 30);
    OK(worker_begin(house.workers, &r, &c, &err));
    OK(worker_ask(c, &rows, &err));
    OK(rows_next(rows, &chunk, &err));
    assert_non_null(chunk);
    rows_close(rows);
    const int64_t started = stats().started;
    worker_end(c);
    expect(house.workers, "a", "SELECT 'the same'", "the same\n");
    assert_int_equal(stats().started, started);
}

static void the_hash_has_the_key_of_its_query(void **state) {
    (void)state;
    struct asked a;
    struct asked b;
    struct worker_request r =
        request_of("a", "SELECT tarn_map(1, 'Ada') || tarn_map(1, '')", 30 * SECOND);
    ask_request(house.workers, &r, &a);
    r.local_key[31] = 1;
    ask_request(house.workers, &r, &b);
    assert_int_equal(a.code, ERR_OK);
    assert_int_equal(a.text.len, 65);
    assert_int_equal(b.text.len, 65);
    assert_string_not_equal(a.text.ptr, b.text.ptr);
    asked_release(&b);
    r.local_key[31] = 0;
    ask_request(house.workers, &r, &b);
    assert_string_equal(a.text.ptr, b.text.ptr);
    asked_release(&a);
    asked_release(&b);
}

struct canceller {
    struct worker_call *call;
    int64_t after_us;
};

static void *cancel(void *arg) {
    const struct canceller *c = arg;
    (void)usleep((useconds_t)c->after_us);
    worker_cancel(c->call);
    worker_cancel(c->call);
    return NULL;
}

static void a_query_is_cancelled_from_another_thread(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct rows *rows = NULL;
    struct canceller c = {.after_us = 100000};
    // Deaf to interrupts.
    const struct worker_request r = request_of(
        "a", "SELECT levenshtein(repeat('ab', 90000), repeat('ba', 90000))", 600 * SECOND);
    OK(worker_begin(house.workers, &r, &c.call, &err));
    const pthread_t thread = threads_start("cancel", cancel, &c);
    assert_int_equal(worker_ask(c.call, &rows, &err), ERR_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    worker_end(c.call);
    expect(house.workers, "a", "SELECT 'next'", "next\n");
}

static void a_query_can_be_cancelled_before_it_is_asked(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct worker_call *c = NULL;
    struct rows *rows = NULL;
    const struct worker_request r = request_of("a", "SELECT 1", 30 * SECOND);
    OK(worker_begin(house.workers, &r, &c, &err));
    worker_cancel(c);
    assert_int_equal(worker_ask(c, &rows, &err), ERR_CANCELLED);
    worker_end(c);
    expect(house.workers, "a", "SELECT 'next'", "next\n");
}

static void time_runs_out_softly_or_not(void **state) {
    (void)state;
    struct asked a;
    struct worker_request r = request_of("a", "SELECT count(*) FROM range(100000000000)", 300000);
    ask_request(house.workers, &r, &a);
    assert_int_equal(a.code, ERR_TIMEOUT);
    asked_release(&a);
    // Time enough to begin: a statement that comes late is refused, not killed.
    r = request_of("a", "SELECT levenshtein(repeat('ab', 90000), repeat('ba', 90000))", 2 * SECOND);
    const int64_t killed = stats().killed;
    ask_request(house.workers, &r, &a);
    assert_int_equal(a.code, ERR_TIMEOUT);
    assert_int_equal(stats().killed, killed + 1);
    asked_release(&a);
    expect(house.workers, "a", "SELECT 'next'", "next\n");
}

// Children of this process.
static size_t children(pid_t *pids, size_t most) {
    char path[64];
    size_t count = 0;
    DIR *all = opendir("/proc");
    assert_non_null(all);
    for (const struct dirent *e = readdir(all); e; e = readdir(all)) {
        int pid = 0;
        int ppid = 0;
        char line[256] = "";
        (void)snprintf(path, sizeof(path), "/proc/%.20s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '0' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        const bool is = f && fgets(line, sizeof(line), f) &&
                        sscanf(line, "%d (%*[^)]) %*c %d", &pid, &ppid) == 2 && ppid == getpid();
        if (f) {
            (void)fclose(f);
        }
        if (is && count < most) {
            pids[count++] = pid;
        }
    }
    (void)closedir(all);
    return count;
}

static void *kill_children(void *arg) {
    pid_t pids[16];
    do {
        (void)usleep(200000);
    } while (stats().busy == 0);
    const size_t count = children(pids, ARRAY_LEN(pids));
    *(size_t *)arg = count;
    for (size_t i = 0; i < count; i++) {
        siginfo_t gone;
        (void)kill(pids[i], SIGKILL);
        (void)waitid(P_PID, (id_t)pids[i], &gone, WEXITED | WNOWAIT); // the keeper may be quicker
    }
    for (size_t i = 0; i < count; i++) {
        while (kill(pids[i], 0) == 0) { // until it is buried
            (void)usleep(10000);
        }
    }
    return NULL;
}

// All of them: the one that runs, and those that wait.
static void a_killed_worker_is_one_failed_query(void **state) {
    (void)state;
    struct asked a;
    size_t killed = 0;
    const int64_t crashed = stats().crashed;
    const pthread_t thread = threads_start("kill", kill_children, &killed);
    ask(house.workers, "a", "SELECT count(*) FROM range(100000000000)", &a);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(killed > 0);
    assert_int_equal(a.code, ERR_INTERNAL);
    assert_non_null(strstr(a.err.msg, "ended its worker"));
    asked_release(&a);
    expect(house.workers, "a", "SELECT 'next'", "next\n");
    assert_true(stats().crashed > crashed);
}

static void *ask_often(void *arg) {
    static const char *const keys[] = {"k0", "k1", "k2"};
    const char *sql[] = {"SELECT 'a' || sum(i) FROM range(50000) t(i)", "SELECT 'b'",
                         "SELECT nosuch"};
    size_t *right = arg;
    for (size_t i = 0; i < 30; i++) {
        struct asked a;
        const size_t k = (i + *right) % 3;
        ask(house.workers, keys[k], sql[k], &a);
        const bool good = k == 2   ? a.code == ERR_SQL
                          : k == 1 ? str_is(buf_str(&a.text), "b\n")
                                   : str_is(buf_str(&a.text), "a1249975000\n");
        *right += good ? 1 : 0;
        asked_release(&a);
    }
    return NULL;
}

static void threads_and_keys_share_the_workers(void **state) {
    (void)state;
    pthread_t threads[4];
    size_t right[4] = {0};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("ask", ask_often, &right[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(right[i], 30);
    }
    assert_true(stats().alive <= COUNT_MAX);
    assert_int_equal(stats().busy, 0);
}

// What a statement leaves in its worker tells which worker another one meets.
static void mark(const char *key, const char *name) {
    struct asked a;
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "CREATE TABLE %s AS SELECT 'left' AS s", name);
    ask(house.workers, key, sql, &a);
    assert_int_equal(a.code, ERR_OK);
    asked_release(&a);
}

static bool sees(const char *key, const char *name) {
    struct asked a;
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "SELECT s FROM %s", name);
    ask(house.workers, key, sql, &a);
    const bool found = a.code == ERR_OK;
    asked_release(&a);
    return found;
}

static void a_worker_never_serves_two_keys(void **state) {
    (void)state;
    mark("first", "mark_first");
    assert_true(sees("first", "mark_first"));
    // More keys than there may be workers: each time one must make room.
    for (int i = 0; i < 6; i++) {
        char key[16];
        char name[32];
        (void)snprintf(key, sizeof(key), "other %d", i);
        (void)snprintf(name, sizeof(name), "mark_%d", i);
        assert_false(sees(key, "mark_first"));
        mark(key, name);
    }
    assert_false(sees("first", "mark_5"));
}

static void what_is_forgotten_is_gone(void **state) {
    (void)state;
    mark("memory", "mark_memory");
    assert_true(sees("memory", "mark_memory"));
    workers_forget(house.workers);
    assert_false(sees("memory", "mark_memory"));
}

static void a_file_that_has_gone_is_told_without_its_place(void **state) {
    (void)state;
    const struct worker_file file = {STR("/tmp/nosuchfolder/nosuch.parquet"), STR("f.parquet")};
    struct worker_request r = request_of("a", "SELECT 'x'", 30 * SECOND);
    struct asked a;
    r.files = &file;
    r.file_count = 1;
    ask_request(house.workers, &r, &a);
    assert_int_equal(a.code, ERR_BUSY);
    assert_null(strstr(a.err.msg, "nosuch"));
    asked_release(&a);
    expect(house.workers, "a", "SELECT 'x'", "x\n");
}

static void a_worker_is_retired_after_many_statements(void **state) {
    (void)state;
    mark("thousand", "mark_thousand");
    for (int i = 0; i < 998; i++) {
        expect(house.workers, "thousand", "SELECT 'x'", "x\n");
    }
    assert_true(sees("thousand", "mark_thousand"));
    assert_false(sees("thousand", "mark_thousand"));
}

static void a_worker_that_is_not_asked_ends(void **state) {
    (void)state;
    struct house own = {0};
    struct workers_stats s;
    house_open_idle(&own, COUNT_MAX, INT64_C(64) << 20, 1);
    expect(own.workers, "a", "SELECT 'x'", "x\n");
    do {
        (void)usleep(20000);
        workers_stats_get(own.workers, &s);
    } while (s.started < 2 || s.alive > 1); // the spare stays
    assert_int_equal(s.killed + s.crashed, 0);
    expect(own.workers, "a", "SELECT 'y'", "y\n");
    house_close(&own);
}

static void all_busy_is_said_after_the_wait(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct worker_call *calls[COUNT_MAX];
    struct worker_call *one_more = NULL;
    struct worker_request r = request_of("busy", "SELECT 1", 30 * SECOND);
    for (size_t i = 0; i < COUNT_MAX; i++) {
        OK(worker_begin(house.workers, &r, &calls[i], &err));
    }
    assert_int_equal(stats().busy, COUNT_MAX);
    r.wait_us = clock_mono_us() + 100000;
    assert_int_equal(worker_begin(house.workers, &r, &one_more, &err), ERR_BUSY);
    for (size_t i = 0; i < COUNT_MAX; i++) {
        worker_end(calls[i]);
    }
    expect(house.workers, "busy", "SELECT 'free'", "free\n");
}

static void without_a_folder_nothing_starts(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct workers *w = NULL;
    const struct workers_options o = {.count_max = 1,
                                      .memory_bytes = INT64_C(64) << 20,
                                      .threads = 1,
                                      .idle_ms = 1000,
                                      .cache = STR("/nonexistent/folder")};
    assert_int_equal(workers_open(&o, &w, &err), ERR_IO);
    assert_null(w);
}

int main(int argc, char **argv) {
    WORKERS_TEST_MAIN(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_answered),
        cmocka_unit_test(names_and_types_come_with_the_rows),
        cmocka_unit_test(an_error_is_the_statements_with_its_place),
        cmocka_unit_test(many_rows_come_in_many_batches),
        cmocka_unit_test(wide_rows_are_cut_into_messages),
        cmocka_unit_test(a_row_that_no_message_holds_is_refused),
        cmocka_unit_test(two_hundred_queries_run_in_one_worker),
        cmocka_unit_test(rows_that_nobody_reads_are_left),
        cmocka_unit_test(the_hash_has_the_key_of_its_query),
        cmocka_unit_test(a_query_is_cancelled_from_another_thread),
        cmocka_unit_test(a_query_can_be_cancelled_before_it_is_asked),
        cmocka_unit_test(time_runs_out_softly_or_not),
        cmocka_unit_test(a_killed_worker_is_one_failed_query),
        cmocka_unit_test(threads_and_keys_share_the_workers),
        cmocka_unit_test(a_worker_never_serves_two_keys),
        cmocka_unit_test(what_is_forgotten_is_gone),
        cmocka_unit_test(a_file_that_has_gone_is_told_without_its_place),
        cmocka_unit_test(a_worker_is_retired_after_many_statements),
        cmocka_unit_test(a_worker_that_is_not_asked_ends),
        cmocka_unit_test(all_busy_is_said_after_the_wait),
        cmocka_unit_test(without_a_folder_nothing_starts),
    };
    house_open(&house, COUNT_MAX, INT64_C(256) << 20);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    house_close(&house);
    return failed;
}
