// Counters: exact under threads, and a text that Prometheus reads.
#include "base/counters.h"

#include "base/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void *count(void *arg) {
    for (int i = 0; i < 10000; i++) {
        counter_add(COUNTER_store_gets, 1);
    }
    return arg;
}

static void no_count_is_lost_between_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    const int64_t before = counter_get(COUNTER_store_gets);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("count", count, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(counter_get(COUNTER_store_gets), before + 40000);
}

static void a_gauge_goes_down_again(void **state) {
    (void)state;
    counter_add(COUNTER_queries_running, 3);
    counter_add(COUNTER_queries_running, -2);
    assert_int_equal(counter_get(COUNTER_queries_running), 1);
}

static void the_text_has_help_type_and_value(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    counter_add(COUNTER_ingest_rows, 42);
    counter_add(COUNTER_http_connections, 7);
    counters_text(&out);
    assert_non_null(strstr(out.ptr, "# HELP tarn_ingest_rows_total Rows ingested.\n"
                                    "# TYPE tarn_ingest_rows_total counter\n"
                                    "tarn_ingest_rows_total 42\n"));
    assert_non_null(strstr(out.ptr, "# HELP tarn_http_connections Open connections.\n"
                                    "# TYPE tarn_http_connections gauge\n"
                                    "tarn_http_connections 7\n"));
    size_t lines = 0;
    struct str rest = buf_str(&out);
    struct str line = STR_NONE;
    while (str_cut(&rest, '\n', &line)) {
        lines++;
    }
    assert_int_equal(lines, 3 * COUNTER_COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_count_is_lost_between_threads),
        cmocka_unit_test(a_gauge_goes_down_again),
        cmocka_unit_test(the_text_has_help_type_and_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
