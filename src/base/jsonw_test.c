// JSON writer: what it writes is JSON, whatever the bytes.
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void commas_stand_where_they_belong(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct jsonw w = JSONW(&out);
    jsonw_object(&w);
    jsonw_field_str(&w, "name", STR("trips"));
    jsonw_field_i64(&w, "rows", -12);
    jsonw_field_bool(&w, "live", true);
    jsonw_key(&w, STR("tags"));
    jsonw_array(&w);
    jsonw_str(&w, STR("a"));
    jsonw_array(&w);
    jsonw_end_array(&w);
    jsonw_object(&w);
    jsonw_end_object(&w);
    jsonw_i64(&w, INT64_MAX);
    jsonw_end_array(&w);
    jsonw_key(&w, STR("raw"));
    jsonw_raw(&w, STR("{\"x\":1}"));
    jsonw_end_object(&w);
    assert_string_equal(out.ptr, "{\"name\":\"trips\",\"rows\":-12,\"live\":true,"
                                 "\"tags\":[\"a\",[],{},9223372036854775807],\"raw\":{\"x\":1}}");
    assert_int_equal(w.depth, 0);
}

static void the_caller_may_empty_the_buffer_between_calls(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(16);
    DEFER(buf_release) struct buf all = BUF(1 << 20);
    struct jsonw w = JSONW(&out);
    jsonw_array(&w);
    for (int i = 0; i < 100; i++) {
        jsonw_i64(&w, i);
        buf_add_str(&all, buf_str(&out));
        buf_reset(&out);
    }
    jsonw_end_array(&w);
    buf_add_str(&all, buf_str(&out));
    assert_true(str_starts(buf_str(&all), STR("[0,1,2,")));
    assert_true(str_ends(buf_str(&all), STR(",98,99]")));
    assert_false(out.overflow);
}

static void values_at_the_top_are_separated(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct jsonw w = JSONW(&out);
    jsonw_i64(&w, 1);
    jsonw_object(&w);
    jsonw_end_object(&w);
    jsonw_bool(&w, false);
    assert_string_equal(out.ptr, "1,{},false");
}

static void the_deepest_level_works(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct jsonw w = JSONW(&out);
    for (int i = 0; i < JSONW_DEPTH_MAX; i++) {
        jsonw_array(&w);
    }
    jsonw_i64(&w, 1);
    jsonw_i64(&w, 2);
    for (int i = 0; i < JSONW_DEPTH_MAX; i++) {
        jsonw_end_array(&w);
    }
    assert_true(str_find(buf_str(&out), STR("[[1,2]]")) > 0);
    assert_int_equal(out.len, 2 * JSONW_DEPTH_MAX + 3);
}

static void a_tree_is_one_value(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    DEFER(json_decrefp) json_t *j = NULL;
    assert_int_equal(json_parse(STR("{\"a\":[1,2]}"), &j, &err), ERR_OK);
    struct jsonw w = JSONW(&out);
    jsonw_array(&w);
    jsonw_json(&w, j);
    jsonw_json(&w, j);
    jsonw_end_array(&w);
    assert_string_equal(out.ptr, "[{\"a\":[1,2]},{\"a\":[1,2]}]");
}

static void assert_quoted(struct str s, const char *expected) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    json_quote(&out, s);
    assert_string_equal(out.ptr, expected);
}

static void every_special_byte_is_escaped(void **state) {
    (void)state;
    assert_quoted(STR_NONE, "\"\"");
    assert_quoted(STR("plain, and longer than eight bytes"),
                  "\"plain, and longer than eight bytes\"");
    assert_quoted(STR("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    assert_quoted(STR("\0\x01\x1F\x7F"), "\"\\u0000\\u0001\\u001f\x7F\"");
    assert_quoted(STR("Z\xC3\xBCrich"), "\"Z\xC3\xBCrich\"");
}

static void bytes_that_are_not_utf8_are_replaced(void **state) {
    (void)state;
    assert_quoted(STR("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
    assert_quoted(STR("\xE6\x9D"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_quoted(STR("long enough to be scanned in words \xC3"),
                  "\"long enough to be scanned in words \xEF\xBF\xBD\"");
}

// Any byte at any place of texts that cover the words, their tails and what is shorter.
static void any_byte_at_any_place_reads_back(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte < 0x80; byte++) {
                char text[20];
                memset(text, 'x', sizeof(text));
                text[at] = (char)byte;
                DEFER(buf_release) struct buf out = BUF(1 << 10);
                DEFER(json_decrefp) json_t *j = NULL;
                json_quote(&out, (struct str){text, len});
                assert_int_equal(json_parse_stored(buf_str(&out), "test", &j, &err), ERR_OK);
                assert_int_equal(json_string_length(j), len);
                assert_memory_equal(json_string_value(j), text, len);
            }
        }
    }
}

static void keys_are_escaped_too(void **state) {
    (void)state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct jsonw w = JSONW(&out);
    jsonw_object(&w);
    jsonw_key(&w, STR("a\"b"));
    jsonw_str(&w, STR("c\nd"));
    jsonw_key(&w, STR("e\\"));
    jsonw_str(&w, STR("f"));
    jsonw_end_object(&w);
    assert_string_equal(out.ptr, "{\"a\\\"b\":\"c\\nd\",\"e\\\\\":\"f\"}");
}

static void a_full_buffer_is_a_true_beginning(void **state) {
    (void)state;
    const char *const whole = "[\"abc\",\"de\\nf\",12345,true,{\"k\":1.5}]";
    for (size_t max = 0; max <= strlen(whole); max++) {
        DEFER(buf_release) struct buf out = BUF(max);
        struct jsonw w = JSONW(&out);
        jsonw_array(&w);
        jsonw_str(&w, STR("abc"));
        jsonw_str(&w, STR("de\nf"));
        jsonw_i64(&w, 12345);
        jsonw_bool(&w, true);
        jsonw_object(&w);
        jsonw_key(&w, STR("k"));
        jsonw_raw(&w, STR("1.5"));
        jsonw_end_object(&w);
        jsonw_end_array(&w);
        assert_int_equal(out.overflow, max < strlen(whole));
        assert_true(str_starts(str_from(whole), buf_str(&out)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_where_they_belong),
        cmocka_unit_test(the_caller_may_empty_the_buffer_between_calls),
        cmocka_unit_test(values_at_the_top_are_separated),
        cmocka_unit_test(the_deepest_level_works),
        cmocka_unit_test(a_tree_is_one_value),
        cmocka_unit_test(every_special_byte_is_escaped),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(any_byte_at_any_place_reads_back),
        cmocka_unit_test(keys_are_escaped_too),
        cmocka_unit_test(a_full_buffer_is_a_true_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
