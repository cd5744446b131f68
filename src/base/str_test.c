// Strings: views compare, cut and parse; a buffer grows to its maximum and says when it could not.
#include "base/str.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_empty_string_equals_the_absent_one(void **state) {
    (void)state;
    assert_true(str_eq(STR(""), STR_NONE));
    assert_true(str_is(STR_NONE, ""));
    assert_int_equal(str_from(NULL).len, 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_starts(STR_NONE, STR_NONE));
    assert_int_equal(str_slice(STR_NONE, 0, 5).len, 0);
}

static void equality_looks_at_all_bytes(void **state) {
    (void)state;
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_eq_nocase(STR("Content-Type"), STR("content-TYPE")));
    assert_false(str_eq_nocase(STR("\xC3\x84"), STR("\xC3\xA4")));
    assert_false(str_eq_nocase(STR("@"), STR("`")));
}

static void order_is_bytewise_and_shorter_first(void **state) {
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("\xFF"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("same"), STR("same")), 0);
}

static void both_ends_can_be_asked_for(void **state) {
    (void)state;
    assert_true(str_starts(STR("data.parquet"), STR("data")));
    assert_false(str_starts(STR("da"), STR("data")));
    assert_true(str_ends(STR("data.parquet"), STR(".parquet")));
    assert_false(str_ends(STR("t"), STR("et")));
}

static void find_gives_the_first_place_or_minus_one(void **state) {
    (void)state;
    assert_int_equal(str_find_char(STR("a/b/c"), '/'), 1);
    assert_int_equal(str_find_char(STR("abc"), '/'), -1);
    assert_int_equal(str_find_char(STR_NONE, '/'), -1);
    assert_int_equal(str_find(STR("aab"), STR("ab")), 1);
    assert_int_equal(str_find(STR("abcabd"), STR("abd")), 3);
    assert_int_equal(str_find(STR("ab"), STR("abc")), -1);
    assert_int_equal(str_find(STR("aaaa"), STR("ab")), -1);
    assert_int_equal(str_find(STR("abc"), STR("")), 0);
    assert_int_equal(str_find(STR_NONE, STR("a")), -1);
}

static void a_slice_stays_inside(void **state) {
    (void)state;
    assert_true(str_is(str_slice(STR("abcdef"), 2, 4), "cd"));
    assert_true(str_is(str_slice(STR("abc"), 1, 100), "bc"));
    assert_true(str_is(str_slice(STR("abc"), 5, 9), ""));
    assert_true(str_is(str_slice(STR("abc"), 2, 1), ""));
}

static void trim_takes_white_space_from_both_ends(void **state) {
    (void)state;
    assert_true(str_is(str_trim(STR(" \t\r\n a b \v\f")), "a b"));
    assert_true(str_is(str_trim(STR("   ")), ""));
    assert_true(str_is(str_trim(STR("x")), "x"));
}

static void cut_walks_over_all_parts(void **state) {
    (void)state;
    struct str rest = STR("a,,b,");
    struct str head = STR_NONE;
    assert_true(str_cut(&rest, ',', &head));
    assert_true(str_is(head, "a"));
    assert_true(str_cut(&rest, ',', &head));
    assert_true(str_is(head, ""));
    assert_true(str_cut(&rest, ',', &head));
    assert_true(str_is(head, "b"));
    assert_false(str_cut(&rest, ',', &head));
}

static void numbers_are_whole_strings_in_range(void **state) {
    (void)state;
    int64_t i = 7;
    assert_true(str_to_i64(STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_true(str_to_i64(STR("-0"), &i));
    assert_int_equal(i, 0);
    uint64_t u = 7;
    assert_true(str_to_u64(STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_true(str_to_u64(STR("007"), &u));
    assert_int_equal(u, 7);
}

static void what_is_not_a_number_leaves_the_result_alone(void **state) {
    (void)state;
    int64_t i = 7;
    const char *const wrong[] = {"",
                                 "-",
                                 "+1",
                                 "1 ",
                                 " 1",
                                 "1.0",
                                 "0x10",
                                 "9223372036854775808",
                                 "--1",
                                 "1e3",
                                 "-9223372036854775809"};
    for (size_t n = 0; n < ARRAY_LEN(wrong); n++) {
        assert_false(str_to_i64(str_from(wrong[n]), &i));
    }
    assert_int_equal(i, 7);
    uint64_t u = 7;
    assert_false(str_to_u64(STR("18446744073709551616"), &u));
    assert_false(str_to_u64(STR("-1"), &u));
    assert_int_equal(u, 7);
}

static void floating_text_is_decimal_or_infinite(void **state) {
    (void)state;
    double d = 7;
    assert_true(str_to_double(STR("-12.5e-1"), &d) && d == -1.25);
    assert_true(str_to_double(STR(".5"), &d) && d == 0.5);
    assert_true(str_to_double(STR("+3."), &d) && d == 3);
    assert_true(str_to_double(STR("1.7976931348623157e308"), &d) && d == DBL_MAX);
    assert_true(str_to_double(STR("-inf"), &d) && d < -DBL_MAX);
    float f = 7;
    assert_true(str_to_float(STR("3.4028235e38"), &f) && f == FLT_MAX);
    assert_true(str_to_float(STR("0.1"), &f) && f == 0.1F);
}

static void other_floating_text_is_refused(void **state) {
    (void)state;
    double d = 7;
    float f = 7;
    const char *const wrong[] = {"",    ".",  "-",   "e5",    ".e5",  "1e",      "1e+",
                                 "1 ",  " 1", "0x1", "nan",   "NaN",  "1,5",     "1.2.3",
                                 "--1", "1f", "INF", "1e309", "+inf", "infinity"};
    for (size_t n = 0; n < ARRAY_LEN(wrong); n++) {
        assert_false(str_to_double(str_from(wrong[n]), &d));
        assert_false(str_to_float(str_from(wrong[n]), &f));
    }
    assert_false(str_to_float(STR("3.5e38"), &f));
    char digits[1001];
    memset(digits, '1', sizeof(digits));
    assert_false(str_to_double((struct str){digits, sizeof(digits)}, &d));
    assert_true(d == 7 && f == 7);
}

static void utf8_is_well_formed_or_refused(void **state) {
    (void)state;
    assert_true(str_is_utf8(STR_NONE));
    assert_true(str_is_utf8(STR("plain text of more than eight bytes")));
    assert_true(str_is_utf8(STR("Z\xC3\xBCrich \xE6\x9D\xB1\xE4\xBA\xAC \xF0\x9F\x98\x80")));
    assert_true(str_is_utf8(STR("\xF4\x8F\xBF\xBF"))); // U+10FFFF
    const struct str wrong[] = {
        STR("\x80"),             // a continuation byte alone
        STR("\xC3"),             // cut off
        STR("\xE6\x9D"),         // cut off
        STR("\xF0\x9F\x98"),     // cut off
        STR("\xC0\xAF"),         // overlong
        STR("\xE0\x80\xAF"),     // overlong
        STR("\xF0\x80\x80\xAF"), // overlong
        STR("\xED\xA0\x80"),     // a surrogate
        STR("\xF4\x90\x80\x80"), // past U+10FFFF
        STR("\xFF"),
        STR("12345678\xC3\x28"),
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_false(str_is_utf8(wrong[i]));
    }
}

static void a_buf_grows_and_ends_in_nul(void **state) {
    (void)state;
    DEFER(buf_release) struct buf b = BUF(100000);
    for (int i = 0; i < 1000; i++) {
        buf_add_char(&b, 'a');
        buf_add_cstr(&b, "bc");
        buf_add_str(&b, STR("d"));
        buf_printf(&b, "%d", i % 10);
        assert_int_equal(b.ptr[b.len], '\0');
    }
    assert_int_equal(b.len, 5000);
    assert_false(b.overflow);
    assert_true(str_starts(buf_str(&b), STR("abcd0abcd1")));
}

static void a_buf_takes_exactly_its_maximum(void **state) {
    (void)state;
    DEFER(buf_release) struct buf b = BUF(8);
    buf_add_cstr(&b, "12345678");
    assert_false(b.overflow);
    assert_string_equal(b.ptr, "12345678");
    buf_add_char(&b, '9');
    assert_true(b.overflow);
    assert_string_equal(b.ptr, "12345678");
}

static void overflow_drops_all_that_follows(void **state) {
    (void)state;
    DEFER(buf_release) struct buf b = BUF(8);
    buf_add_cstr(&b, "1234");
    buf_printf(&b, "%s", "too long");
    buf_add_cstr(&b, "5");
    assert_true(b.overflow);
    assert_string_equal(b.ptr, "1234");
    assert_null(buf_reserve(&b, 1));
    buf_reset(&b);
    assert_false(b.overflow);
    buf_add_cstr(&b, "5");
    assert_string_equal(b.ptr, "5");
}

static void an_empty_buf_is_an_empty_string(void **state) {
    (void)state;
    DEFER(buf_release) struct buf b = BUF(8);
    assert_true(str_eq(buf_str(&b), STR_NONE));
    buf_add(&b, NULL, 0);
    buf_add_str(&b, STR_NONE);
    assert_false(b.overflow);
    assert_int_equal(b.len, 0);
    buf_reset(&b);
    buf_release(&b);
    buf_add_char(&b, 'x'); // a released one is usable
    assert_string_equal(b.ptr, "x");
}

static void a_reserved_room_is_filled_by_the_caller(void **state) {
    (void)state;
    DEFER(buf_release) struct buf b = BUF(1000);
    buf_add_cstr(&b, "ab");
    char *room = buf_reserve(&b, 500);
    assert_non_null(room);
    memset(room, 'c', 500);
    b.len += 3;
    buf_add_cstr(&b, "d");
    assert_string_equal(b.ptr, "abcccd");
    assert_null(buf_reserve(&b, 995));
}

static void plain_text_hides_nothing(void **state) {
    (void)state;
    static const char *const plain[] = {
        "",         "a b",         "Z\xC3\xBCrich", "\xE6\x9D\xB1\xE4\xBA\xAC", "\xF0\x9F\x98\x80",
        "\xC2\xA1", "\xE2\x80\x90"};
    static const char *const hidden[] = {
        "\n",           "\x7F",         "\xC2\x85",         "\xC2\xA0",      "\xC2\xAD",
        "\xE2\x80\x8B", "\xE2\x80\xAE", "\xE3\x80\x80",     "\xEF\xBB\xBF",  "\xE2\x81\xA6",
        "\xEF\xB8\x8F", "\xEF\xBF\xBF", "\xF3\xA0\x81\x81", "a\xE2\x80\x8D", "\xFF",
    };
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        assert_true(str_is_plain(str_from(plain[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
        assert_false(str_is_plain(str_from(hidden[i])));
    }
    assert_false(str_is_plain((struct str){"a\0b", 3}));
}

static void broken_utf8_is_repaired(void **state) {
    (void)state;
    DEFER(buf_release) struct buf b = BUF(1000);
    buf_add_utf8(&b, STR("a\xFF\xC3\xBC\xE6\x9D"));
    assert_string_equal(b.ptr, "a\xEF\xBF\xBD\xC3\xBC\xEF\xBF\xBD\xEF\xBF\xBD");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_empty_string_equals_the_absent_one),
        cmocka_unit_test(equality_looks_at_all_bytes),
        cmocka_unit_test(order_is_bytewise_and_shorter_first),
        cmocka_unit_test(both_ends_can_be_asked_for),
        cmocka_unit_test(find_gives_the_first_place_or_minus_one),
        cmocka_unit_test(a_slice_stays_inside),
        cmocka_unit_test(trim_takes_white_space_from_both_ends),
        cmocka_unit_test(cut_walks_over_all_parts),
        cmocka_unit_test(numbers_are_whole_strings_in_range),
        cmocka_unit_test(what_is_not_a_number_leaves_the_result_alone),
        cmocka_unit_test(floating_text_is_decimal_or_infinite),
        cmocka_unit_test(other_floating_text_is_refused),
        cmocka_unit_test(utf8_is_well_formed_or_refused),
        cmocka_unit_test(a_buf_grows_and_ends_in_nul),
        cmocka_unit_test(a_buf_takes_exactly_its_maximum),
        cmocka_unit_test(overflow_drops_all_that_follows),
        cmocka_unit_test(an_empty_buf_is_an_empty_string),
        cmocka_unit_test(a_reserved_room_is_filled_by_the_caller),
        cmocka_unit_test(plain_text_hides_nothing),
        cmocka_unit_test(broken_utf8_is_repaired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
