// Tests of the syntax tree: what is read is written back byte by byte; what is no JSON is refused.
#include "guard/ast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct str written(const struct ast *n, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    ast_write(n, true, &out);
    return arena_str(a, buf_str(&out));
}

static void text_comes_back_unchanged(void **state) {
    static const char *const texts[] = {
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "{\"a\":18446744073709551615,\"b\":-170141183460469231731687303715884105728}",
        "[0,-1,1.50,1e5,1E-7,0.00,10000000000.0]",
        "{\"error\":false,\"statements\":[{\"x\":[[1,2],[],[3]]}]}",
        "\"a\\\"b\\\\c/\"",
        "\"\\u0001\\u000a\\u001f\"",
        "\"\xC3\xA4\xF0\x9F\x98\x80\"",
        "{\"a\\\"b\":1}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct err err = ERR_NONE;
        struct ast *n = NULL;
        assert_int_equal(ast_read(str_from(texts[i]), &a, &n, &err), ERR_OK);
        assert_true(str_is(written(n, &a), texts[i]));
    }
}

static void escapes_are_read(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    struct ast *n = NULL;
    (void)state;
    const struct str json = STR(" [ \"\\u00e4\\ud83d\\ude00\\t\\/\" , 1 ] ");
    assert_int_equal(ast_read(json, &a, &n, &err), ERR_OK);
    assert_int_equal(n->count, 2);
    assert_true(str_is(n->items->text, "\xC3\xA4\xF0\x9F\x98\x80\t/"));
}

static void what_is_no_json_is_refused(void **state) {
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[1,]",
        "[1",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "[1 2]",
        "nul",
        "truex",
        "1x",
        "-",
        "1.",
        ".5",
        "1e",
        "Infinity",
        "-Infinity",
        "NaN",
        "+1",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u0000\"",
        "\"\n\"",
        "[]]",
        "{} {}",
        "'a'",
        "\"\\ud83d\"",
        "\"\\ud83dx\"",
        "\"\\ude00\"",
        "\"\xFF\"",
        "{\"a\":1,\"a\":2}",
        "\"a\\",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct err err = ERR_NONE;
        struct ast *n = NULL;
        if (ast_read(str_from(texts[i]), &a, &n, &err) != ERR_DATA) {
            fail_msg("%s was read", texts[i]);
        }
        assert_null(n);
    }
}

static void depth_and_number_are_bounded(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(buf_release) struct buf deep = BUF(1 << 24);
    DEFER(buf_release) struct buf wide = BUF(1 << 24);
    struct err err = ERR_NONE;
    struct ast *n = NULL;
    (void)state;
    for (int i = 0; i < 1000000; i++) {
        buf_add_char(&deep, '[');
    }
    buf_add_char(&wide, '[');
    for (int i = 0; i < AST_VALUES_MAX; i++) {
        buf_add_cstr(&wide, "1,");
    }
    buf_add_cstr(&wide, "1]");
    assert_int_equal(ast_read(buf_str(&deep), &a, &n, &err), ERR_TOO_LARGE);
    assert_int_equal(ast_read(buf_str(&wide), &a, &n, &err), ERR_TOO_LARGE);
    assert_null(n);
}

static void fields_are_found_and_changed(void **state) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    (void)state;
    struct ast *n = ast_make("{\"s\":\"x\",\"n\":12,\"e\":{\"m\":[]},\"l\":[2],\"t\":true,"
                             "\"query_location\":7}",
                             &a);
    assert_true(ast_is(n, "s", "x"));
    assert_false(ast_is(n, "s", "y"));
    assert_false(ast_is(n, "n", "12"));
    assert_true(str_is(ast_text(n, "n"), "12"));
    assert_true(ast_empty(ast_get(n, "e")));
    assert_true(ast_empty(ast_get(n, "none")));
    assert_false(ast_empty(ast_get(n, "l")));
    assert_false(ast_empty(ast_get(n, "t")));
    assert_null(ast_get(NULL, "s"));
    assert_null(ast_get(ast_get(n, "s"), "s"));
    assert_int_equal(ast_position(n), 7);
    assert_int_equal(ast_position(ast_make("{\"query_location\":18446744073709551615}", &a)), -1);

    ast_set_text(ast_get(n, "s"), STR("a\"b"));
    ast_set_null(ast_get(n, "e"));
    ast_prepend(ast_get(n, "l"), ast_make("{\"k\":1}", &a));
    ast_set(ast_get(n, "t"), ast_make("[3]", &a));
    assert_true(str_is(written(n, &a), "{\"s\":\"a\\\"b\",\"n\":12,\"e\":null,\"l\":[{\"k\":1},2],"
                                       "\"t\":[3],\"query_location\":7}"));
}

static void equal_trees_differ_only_in_places(void **state) {
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"{\"a\":1,\"query_location\":3}", "{\"a\":1,\"query_location\":4}", true},
        {"{\"query_location\":3,\"a\":1}", "{\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"query_location\":4}", true},
        {"{\"a\":1}", "{\"a\":2}", false},
        {"{\"a\":1}", "{\"a\":\"1\"}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":null}", false},
        {"{\"a\":1,\"b\":null}", "{\"a\":1}", false},
        {"[1,2]", "[1,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[]", "{}", false},
        {"null", "false", false},
        {"[[1],{\"x\":[]}]", "[[1],{\"x\":[]}]", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        assert_int_equal(ast_equal(ast_make(cases[i].a, &a), ast_make(cases[i].b, &a)),
                         cases[i].equal);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_comes_back_unchanged),
        cmocka_unit_test(escapes_are_read),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(depth_and_number_are_bounded),
        cmocka_unit_test(fields_are_found_and_changed),
        cmocka_unit_test(equal_trees_differ_only_in_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
