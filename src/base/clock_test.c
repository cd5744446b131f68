// Time: RFC 3339 both ways, before 1970 too, and the seam for tests.
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_text(int64_t us, const char *expected) {
    DEFER(arena_release) struct arena a = ARENA(1024);
    assert_string_equal(clock_rfc3339(us, &a).ptr, expected);
}

static void assert_time(const char *text, int64_t expected) {
    int64_t us = 0;
    assert_true(clock_parse(str_from(text), &us));
    assert_int_equal(us, expected);
}

static void a_time_is_written_to_the_microsecond(void **state) {
    (void)state;
    assert_text(0, "1970-01-01T00:00:00.000000Z");
    assert_text(-1, "1969-12-31T23:59:59.999999Z");
    assert_text(INT64_C(1795339800123456), "2026-11-22T09:30:00.123456Z");
    assert_text(INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z");
    assert_text(INT64_C(-62135596800000000), "0001-01-01T00:00:00.000000Z");
    assert_text(INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z");
}

static void the_ends_of_the_range_have_a_text_too(void **state) {
    (void)state;
    assert_text(INT64_MAX, "294247-01-10T04:00:54.775807Z");
    assert_text(INT64_MIN, "-290308-12-21T19:59:05.224192Z");
}

static void every_day_of_four_centuries_reads_back(void **state) {
    (void)state;
    const int64_t day = INT64_C(86400000000);
    char text[CLOCK_TEXT_MAX];
    for (int64_t n = -100000; n < 100000; n++) {
        int64_t again = 0;
        const size_t len = clock_text(n * day + n, text);
        assert_true(clock_parse((struct str){text, len}, &again));
        assert_int_equal(again, n * day + n);
    }
}

static void offsets_and_fractions_are_understood(void **state) {
    (void)state;
    const int64_t nine_thirty = INT64_C(1795339800000000);
    assert_time("2026-11-22T09:30:00Z", nine_thirty);
    assert_time("2026-11-22t09:30:00z", nine_thirty);
    assert_time("2026-11-22T11:30:00+02:00", nine_thirty);
    assert_time("2026-11-22T04:00:00-05:30", nine_thirty);
    assert_time("2026-11-22 09:30:00+00", nine_thirty);
    assert_time("2026-11-22T09:30:00.5Z", nine_thirty + 500000);
    assert_time("2026-11-22T09:30:00.1234567899Z", nine_thirty + 123456);
    assert_time("1969-12-31T23:59:59.5Z", -500000);
    assert_time("2016-12-31T23:59:60Z", INT64_C(1483228800000000));
}

static void a_date_needs_no_time(void **state) {
    (void)state;
    assert_time("1970-01-02", INT64_C(86400000000));
    assert_time("2026-11-22 09:30", INT64_C(1795339800000000));
    assert_time("2026-11-22T09:30:00", INT64_C(1795339800000000));
    assert_time("2000-02-29", INT64_C(951782400000000));
    assert_time("0001-01-01", INT64_C(-62135596800000000));
}

static void what_is_no_time_is_refused(void **state) {
    (void)state;
    const char *const wrong[] = {
        "",
        "now",
        "2026",
        "2026-11",
        "2026-1-2",
        "26-11-22",
        "2026-13-01",
        "2026-00-01",
        "2026-11-31",
        "2026-11-00",
        "1900-02-29",
        "2026-02-29",
        "2026-11-22T",
        "2026-11-22T24:00:00Z",
        "2026-11-22T09:60:00Z",
        "2026-11-22T09:30:61Z",
        "2026-11-22T09:30:00.Z",
        "2026-11-22T09:30:00+",
        "2026-11-22T09:30:00+2:00",
        "2026-11-22T09:30:00+24:00",
        "2026-11-22T09:30:00+02:60",
        "2026-11-22T09:30:00Z ",
        " 2026-11-22",
        "2026-11-22Z",
        "2026-11-22T09Z",
    };
    int64_t us = 42;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_false(clock_parse(str_from(wrong[i]), &us));
    }
    assert_false(clock_parse(STR("2026-11-22\0"), &us));
    assert_int_equal(us, 42);
}

static int64_t fixed_wall(void) {
    return INT64_C(951782400000000);
}

static void the_wall_clock_can_be_replaced(void **state) {
    (void)state;
    clock_set_wall(fixed_wall);
    assert_int_equal(clock_wall_us(), INT64_C(951782400000000));
    clock_set_wall(NULL);
    assert_true(clock_wall_us() > INT64_C(1600000000000000));
}

static void clocks_do_not_go_back(void **state) {
    (void)state;
    const int64_t mono = clock_mono_us();
    const int64_t cpu = clock_cpu_us();
    assert_true(clock_mono_us() >= mono);
    assert_true(clock_cpu_us() >= cpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_written_to_the_microsecond),
        cmocka_unit_test(the_ends_of_the_range_have_a_text_too),
        cmocka_unit_test(every_day_of_four_centuries_reads_back),
        cmocka_unit_test(offsets_and_fractions_are_understood),
        cmocka_unit_test(a_date_needs_no_time),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(the_wall_clock_can_be_replaced),
        cmocka_unit_test(clocks_do_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
