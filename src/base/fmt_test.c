// Numbers as text: exact at the ends, short in the middle, and they read back.
#include "base/fmt.h"

#include "base/hash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OUT_BYTES = 32 };

static void assert_double(double v, const char *expected) {
    char out[OUT_BYTES + 1] = {0};
    out[fmt_double(v, out)] = '\0';
    assert_string_equal(out, expected);
}

static void assert_float(float v, const char *expected) {
    char out[OUT_BYTES + 1] = {0};
    out[fmt_float(v, out)] = '\0';
    assert_string_equal(out, expected);
}

static void integers_are_exact_at_their_ends(void **state) {
    (void)state;
    char out[OUT_BYTES + 1] = {0};
    out[fmt_i64(INT64_MIN, out)] = '\0';
    assert_string_equal(out, "-9223372036854775808");
    out[fmt_i64(INT64_MAX, out)] = '\0';
    assert_string_equal(out, "9223372036854775807");
    out[fmt_u64(UINT64_MAX, out)] = '\0';
    assert_string_equal(out, "18446744073709551615");
    out[fmt_u64(0, out)] = '\0';
    assert_string_equal(out, "0");
}

static void integers_of_every_length_are_right(void **state) {
    (void)state;
    uint64_t power = 1;
    for (int digits = 1; digits <= 20; digits++) {
        const uint64_t around[] = {power - 1, power, power + 1, 3 * (power / 2)};
        for (size_t i = 0; i < ARRAY_LEN(around); i++) {
            char out[OUT_BYTES + 1] = {0};
            char expected[OUT_BYTES];
            out[fmt_u64(around[i], out)] = '\0';
            (void)snprintf(expected, sizeof(expected), "%llu", (unsigned long long)around[i]);
            assert_string_equal(out, expected);
        }
        power *= 10;
    }
}

static void common_numbers_are_written_as_people_do(void **state) {
    (void)state;
    assert_double(0, "0");
    assert_double(1, "1");
    assert_double(1.5, "1.5");
    assert_double(-1.5, "-1.5");
    assert_double(0.1, "0.1");
    assert_double(-0.05, "-0.05");
    assert_double(0.0001, "0.0001");
    assert_double(100000, "100000");
    assert_double(-999999999999999, "-999999999999999");
    assert_double(12345678901.2345, "12345678901.2345");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(1.0 / 3, "0.3333333333333333");
    assert_float(0.1F, "0.1");
    assert_float(16777216, "16777216");
    assert_float(3e9F, "3e+09");
    assert_float(100000, "100000");
    assert_float(3.4028235e38F, "3.4028235e+38");
}

static void the_far_ends_of_doubles_are_written(void **state) {
    (void)state;
    assert_double(1e300, "1e+300");
    assert_double(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_double(-1.7976931348623157e308, "-1.7976931348623157e+308");
    assert_double(5e-324, "5e-324");
    assert_double(2.2250738585072014e-308, "2.2250738585072014e-308");
    assert_double(-0.0, "-0");
    assert_float(-0.0F, "-0");
}

static void what_is_no_number_has_a_name(void **state) {
    (void)state;
    assert_double((double)NAN, "nan");
    assert_double(-(double)NAN, "nan");
    assert_double((double)INFINITY, "inf");
    assert_double(-(double)INFINITY, "-inf");
    assert_float(-NAN, "nan");
    assert_float(-INFINITY, "-inf");
}

static void assert_reads_back(double v) {
    char out[OUT_BYTES + 1] = {0};
    const size_t len = fmt_double(v, out);
    assert_true(len <= OUT_BYTES);
    out[len] = '\0';
    assert_true(strtod(out, NULL) == v);
}

static void every_double_reads_back(void **state) {
    (void)state;
    for (int i = 0; i < 200000; i++) {
        const uint64_t bits = random_u64();
        double v = 0;
        memcpy(&v, &bits, sizeof(v));
        if (isfinite(v)) {
            assert_reads_back(v);
        }
        assert_reads_back((double)(int64_t)(bits >> 16) / 10000);
        assert_reads_back((double)(int64_t)(bits >> 40) / 100);
        assert_reads_back((double)(int64_t)(bits >> 8) / 1e6);
    }
}

static void every_float_reads_back(void **state) {
    (void)state;
    for (int i = 0; i < 200000; i++) {
        const uint32_t bits = (uint32_t)random_u64();
        float v = 0;
        memcpy(&v, &bits, sizeof(v));
        char out[OUT_BYTES + 1] = {0};
        out[fmt_float(v, out)] = '\0';
        assert_true(isnan(v) || strtof(out, NULL) == v);
    }
}

// The text by integer arithmetic has no more digits than the shortest has.
static void money_has_as_few_digits_as_printf_needs(void **state) {
    (void)state;
    for (int cents = 1; cents < 200000; cents++) {
        char expected[OUT_BYTES];
        char out[OUT_BYTES + 1] = {0};
        const double v = cents / 100.0;
        out[fmt_double(v, out)] = '\0';
        (void)snprintf(expected, sizeof(expected), "%.15g", v);
        assert_string_equal(out, expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_exact_at_their_ends),
        cmocka_unit_test(integers_of_every_length_are_right),
        cmocka_unit_test(common_numbers_are_written_as_people_do),
        cmocka_unit_test(the_far_ends_of_doubles_are_written),
        cmocka_unit_test(what_is_no_number_has_a_name),
        cmocka_unit_test(every_double_reads_back),
        cmocka_unit_test(every_float_reads_back),
        cmocka_unit_test(money_has_as_few_digits_as_printf_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
