// JSON trees: strict parsing, checked members, and text that reads back.
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static json_t *parse(const char *text) {
    struct err err = ERR_NONE;
    json_t *j = NULL;
    assert_int_equal(json_parse(str_from(text), &j, &err), ERR_OK);
    return j;
}

static void assert_refused(struct str text, enum err_code code, const char *reason) {
    struct err err = ERR_NONE;
    json_t *j = NULL;
    assert_int_equal(json_parse(text, &j, &err), code);
    assert_null(j);
    if (!strstr(err.msg, reason)) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, reason);
    }
}

static void only_strict_json_is_taken(void **state) {
    (void)state;
    assert_refused(STR_NONE, ERR_INVALID, "line");
    assert_refused(STR("{\"a\":1,}"), ERR_INVALID, "column");
    assert_refused(STR("{\"a\":1,\"a\":2}"), ERR_INVALID, "duplicate");
    assert_refused(STR("{\"a\":1} x"), ERR_INVALID, "end of file");
    assert_refused(STR("[1] [2]"), ERR_INVALID, "end of file");
    assert_refused(STR("[9223372036854775808]"), ERR_INVALID, "too big");
    assert_refused(STR("[1e999]"), ERR_INVALID, "overflow");
    assert_refused(STR("[NaN]"), ERR_INVALID, "invalid token");
    assert_refused(STR("['a']"), ERR_INVALID, "invalid token");
    assert_refused(STR("[\"\xFF\"]"), ERR_INVALID, "unable to decode");
    assert_refused(STR("[\"\xED\xA0\x80\"]"), ERR_INVALID, "unable to decode");
    assert_refused(STR("[\"\\ud800\"]"), ERR_INVALID, "Unicode");
    assert_refused(STR("[\"a\\u0000b\"]"), ERR_INVALID, "NUL");
    assert_refused(STR("[1]\0"), ERR_INVALID, "end of file");
}

static void a_refusal_says_where(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    json_t *j = NULL;
    assert_int_equal(json_parse(STR("{\n  \"a\": oops\n}"), &j, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "line 2, column"));
    assert_in_range(err.position, 9, 13);
}

static void a_refusal_does_not_repeat_the_data(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    json_t *j = NULL;
    assert_int_equal(json_parse(STR("{\"a\": secret}"), &j, &err), ERR_INVALID);
    assert_null(strstr(err.msg, "secret"));
}

static void our_own_files_are_corrupt_instead(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    json_t *j = NULL;
    assert_int_equal(json_parse_stored(STR("{"), "log/7.json", &j, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "log/7.json: not valid JSON"));
}

static void fill_deep(struct buf *out, int depth) {
    for (int i = 0; i < depth; i++) {
        buf_add_char(out, '[');
    }
    for (int i = 0; i < depth; i++) {
        buf_add_char(out, ']');
    }
}

static void depth_is_limited_before_parsing(void **state) {
    (void)state;
    DEFER(buf_release) struct buf fits = BUF(1 << 20);
    DEFER(buf_release) struct buf deep = BUF(1 << 20);
    fill_deep(&fits, JSON_DEPTH_MAX);
    fill_deep(&deep, 100000);
    DEFER(json_decrefp) json_t *j = parse(fits.ptr);
    assert_non_null(j);
    assert_refused(buf_str(&deep), ERR_TOO_LARGE, "nested");
}

static void brackets_in_strings_are_not_depth(void **state) {
    (void)state;
    DEFER(buf_release) struct buf text = BUF(1 << 20);
    buf_add_cstr(&text, "[\"\\\"");
    for (int i = 0; i < 2000; i++) {
        buf_add_char(&text, '[');
    }
    buf_add_cstr(&text, "\"]");
    DEFER(json_decrefp) json_t *j = parse(text.ptr);
    assert_int_equal(json_array_size(j), 1);
}

static void assert_text(const char *text, const char *expected) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(json_decrefp) json_t *j = parse(text);
    assert_string_equal(json_text(j, &a).ptr, expected);
}

static void text_is_compact_and_keeps_the_order(void **state) {
    (void)state;
    assert_text(" { \"b\" : [ 1 , 2.5 , true , false , null ] , \"a\" : { } } ",
                "{\"b\":[1,2.5,true,false,null],\"a\":{}}");
    assert_text("[\"Z\\u00fcrich \\\" \\\\ \\n \\u0001 \\u007f /\"]",
                "[\"Z\xC3\xBCrich \\\" \\\\ \\n \\u0001 \x7F /\"]");
    assert_text("[]", "[]");
    assert_text("\"top\"", "\"top\"");
    assert_text("[-9223372036854775808,0]", "[-9223372036854775808,0]");
}

static void a_real_stays_a_real(void **state) {
    (void)state;
    assert_text("[1.0,-0.0,0.1,1e300,100000.0]", "[1.0,-0.0,0.1,1e+300,100000.0]");
}

static void sorted_text_is_the_same_for_every_order(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(json_decrefp) json_t *one = parse("{\"b\":1,\"a\":{\"d\":2,\"c\":[{\"f\":3,\"e\":4}]}}");
    DEFER(json_decrefp) json_t *two = parse("{\"a\":{\"c\":[{\"e\":4,\"f\":3}],\"d\":2},\"b\":1}");
    const struct str text = json_text_sorted(one, &a);
    assert_string_equal(text.ptr, "{\"a\":{\"c\":[{\"e\":4,\"f\":3}],\"d\":2},\"b\":1}");
    assert_true(str_eq(text, json_text_sorted(two, &a)));
}

static void a_member_that_may_be_absent_is_false(void **state) {
    (void)state;
    DEFER(json_decrefp) json_t *j = parse("{\"s\":\"x\",\"i\":-5,\"b\":true,\"n\":null,\"r\":1.5}");
    struct str s = STR_NONE;
    int64_t i = 0;
    bool b = false;
    assert_true(json_get_str(j, "s", &s) && str_is(s, "x"));
    assert_true(json_get_i64(j, "i", &i) && i == -5);
    assert_true(json_get_bool(j, "b", &b) && b);
    assert_false(json_get_str(j, "absent", &s));
    assert_false(json_get_str(j, "n", &s));
    assert_false(json_get_i64(j, "r", &i));
    assert_false(json_get_bool(j, "i", &b));
    assert_true(str_is(s, "x"));
    assert_int_equal(i, -5);
}

static void a_needed_member_is_there_with_its_type(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    DEFER(json_decrefp)
    json_t *j = parse("{\"s\":\"x\",\"i\":5,\"a\":[1],\"o\":{\"k\":1},\"n\":null}");
    struct str s = STR_NONE;
    int64_t i = 0;
    json_t *tree = NULL;
    assert_int_equal(json_need_str(j, "s", &s, &err), ERR_OK);
    assert_int_equal(json_need_i64(j, "i", &i, &err), ERR_OK);
    assert_int_equal(json_need_array(j, "a", &tree, &err), ERR_OK);
    assert_int_equal(json_array_size(tree), 1);
    assert_int_equal(json_need_object(j, "o", &tree, &err), ERR_OK);
    assert_int_equal(json_object_size(tree), 1);

    assert_int_equal(json_need_str(j, "sql", &s, &err), ERR_INVALID);
    assert_string_equal(err.msg, "\"sql\" is missing");
    assert_int_equal(json_need_i64(j, "n", &i, &err), ERR_INVALID);
    assert_string_equal(err.msg, "\"n\" is missing");
    assert_int_equal(json_need_i64(j, "s", &i, &err), ERR_INVALID);
    assert_string_equal(err.msg, "\"s\" must be an integer");
    assert_int_equal(json_need_array(j, "o", &tree, &err), ERR_INVALID);
    assert_string_equal(err.msg, "\"o\" must be an array");
    assert_int_equal(json_need_object(j, "a", &tree, &err), ERR_INVALID);
    assert_int_equal(json_need_str(tree, "s", &s, &err), ERR_INVALID);
}

static void members_of_what_is_no_object_are_refused(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    DEFER(json_decrefp) json_t *array = parse("[1]");
    struct str s = STR_NONE;
    assert_false(json_get_str(array, "s", &s));
    assert_int_equal(json_need_str(array, "s", &s, &err), ERR_INVALID);
    assert_string_equal(err.msg, "expected a JSON object with the member \"s\"");
    const char *const keys[] = {NULL};
    assert_int_equal(json_only_keys(array, keys, &err), ERR_INVALID);
}

static void a_misspelt_member_is_an_error(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    const char *const keys[] = {"sql", "limit", NULL};
    DEFER(json_decrefp) json_t *good = parse("{\"sql\":\"select 1\"}");
    DEFER(json_decrefp) json_t *bad = parse("{\"sql\":\"select 1\",\"limt\":5}");
    assert_int_equal(json_only_keys(good, keys, &err), ERR_OK);
    assert_int_equal(json_only_keys(bad, keys, &err), ERR_INVALID);
    assert_string_equal(err.msg, "unknown member \"limt\"; known are: sql, limit");
}

static void any_bytes_become_a_string_that_reads_back(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DEFER(json_decrefp) json_t *nul = json_new_str(STR("a\0b"));
    DEFER(json_decrefp) json_t *again = NULL;
    const struct str text = json_text(nul, &a);
    assert_string_equal(text.ptr, "\"a\\u0000b\"");
    assert_int_equal(json_parse_stored(text, "test", &again, &err), ERR_OK);
    assert_true(json_equal(nul, again));

    DEFER(json_decrefp) json_t *broken = json_new_str(STR("a\xFF"));
    assert_string_equal(json_text(broken, &a).ptr, "\"a\xEF\xBF\xBD\"");
    DEFER(json_decrefp) json_t *none = json_new_str(STR_NONE);
    assert_string_equal(json_text(none, &a).ptr, "\"\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_strict_json_is_taken),
        cmocka_unit_test(a_refusal_says_where),
        cmocka_unit_test(a_refusal_does_not_repeat_the_data),
        cmocka_unit_test(our_own_files_are_corrupt_instead),
        cmocka_unit_test(depth_is_limited_before_parsing),
        cmocka_unit_test(brackets_in_strings_are_not_depth),
        cmocka_unit_test(text_is_compact_and_keeps_the_order),
        cmocka_unit_test(a_real_stays_a_real),
        cmocka_unit_test(sorted_text_is_the_same_for_every_order),
        cmocka_unit_test(a_member_that_may_be_absent_is_false),
        cmocka_unit_test(a_needed_member_is_there_with_its_type),
        cmocka_unit_test(members_of_what_is_no_object_are_refused),
        cmocka_unit_test(a_misspelt_member_is_an_error),
        cmocka_unit_test(any_bytes_become_a_string_that_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
