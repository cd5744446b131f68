// Tests of the command line's parser: words, options, choices, and what is said of mistakes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/args.h"

static enum err_code nothing(const struct args *a, struct err *err) {
    (void)a;
    (void)err;
    return ERR_OK;
}

static const struct args_option query_options[] = {
    {"output", 'o', false, "csv|json", "Form."},
    {"full", 0, false, NULL, "Whole."},
    {"max-rows", 'n', false, "N", "Rows."},
    {NULL, 0, false, NULL, NULL},
};

static const struct command commands[] = {
    {"serve", "", "Serve.", "", NULL, COMMAND_CONFIG, 0, 0, nothing},
    {"query", "SQL", "Query.", "", query_options, COMMAND_CLIENT, 1, 1, nothing},
    {"token create", "NAME", "Make.", "", NULL, COMMAND_CLIENT, 1, 1, nothing},
    {"token ls", "", "List.", "", NULL, COMMAND_CLIENT, 0, 0, nothing},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL},
};

static struct arena arena = ARENA(1 << 20);

// Parses words that are separated by bars.
static enum err_code parse(struct args *ret, struct err *err, const char *words) {
    char *argv[16];
    int argc = 0;
    struct str rest = str_from(words);
    struct str word = STR_NONE;
    while (str_cut(&rest, '|', &word)) {
        argv[argc++] = arena_cstr(&arena, word);
    }
    *err = ERR_NONE;
    return args_parse(commands, argc, argv, &arena, ret, err);
}

static void options_take_their_value_in_each_form(void **state) {
    (void)state;
    struct args a = {0};
    struct err err;
    assert_int_equal(parse(&a, &err, "query|-ojson|SELECT 1|--max-rows=5|--full"), ERR_OK);
    assert_string_equal(a.command->name, "query");
    assert_string_equal(args_value(&a, "output"), "json");
    assert_string_equal(args_value(&a, "max-rows"), "5");
    assert_true(args_flag(&a, "full"));
    assert_string_equal(a.words[0], "SELECT 1");
    assert_int_equal(parse(&a, &err, "query|-o|csv|-n|7|x"), ERR_OK);
    assert_string_equal(args_value(&a, "output"), "csv");
    assert_false(args_flag(&a, "full"));
    assert_null(args_value(&a, "url"));
}

static void the_last_of_an_option_counts(void **state) {
    (void)state;
    struct args a = {0};
    struct err err;
    assert_int_equal(parse(&a, &err, "query|x|-n1|-n2"), ERR_OK);
    assert_string_equal(args_value(&a, "max-rows"), "2");
}

static void two_dashes_end_the_options(void **state) {
    (void)state;
    struct args a = {0};
    struct err err;
    assert_int_equal(parse(&a, &err, "query|--|--full"), ERR_OK);
    assert_string_equal(a.words[0], "--full");
    assert_int_equal(parse(&a, &err, "query|-"), ERR_OK);
    assert_string_equal(a.words[0], "-");
}

static void commands_may_have_two_words(void **state) {
    (void)state;
    struct args a = {0};
    struct err err;
    assert_int_equal(parse(&a, &err, "token|create|me"), ERR_OK);
    assert_string_equal(a.command->name, "token create");
    assert_int_equal(a.word_count, 1);
    assert_int_equal(parse(&a, &err, "token"), ERR_INVALID);
    assert_string_equal(err.msg, "\"tarn token\" needs one of: create, ls");
    assert_int_equal(parse(&a, &err, "token|make"), ERR_INVALID);
    assert_int_equal(parse(&a, &err, "token|--help"), ERR_OK);
    assert_true(a.help);
    assert_string_equal(a.group, "token");
}

static void mistakes_are_named_with_the_nearest_right_thing(void **state) {
    (void)state;
    struct args a = {0};
    struct err err;
    assert_int_equal(parse(&a, &err, "qurey"), ERR_INVALID);
    assert_string_equal(err.msg, "unknown command \"qurey\"; did you mean \"tarn query\"?");
    assert_int_equal(parse(&a, &err, "xyzzy"), ERR_INVALID);
    assert_string_equal(err.msg, "unknown command \"xyzzy\"; try \"tarn --help\"");
    assert_int_equal(parse(&a, &err, "query|--outptu|csv|x"), ERR_INVALID);
    assert_string_equal(err.msg,
                        "unknown option \"--outptu\" of \"tarn query\"; did you mean --output?");
    assert_int_equal(parse(&a, &err, "query|-z"), ERR_INVALID);
    assert_string_equal(err.msg, "unknown option \"-z\"; try \"tarn query --help\"");
}

static void values_and_words_are_checked(void **state) {
    (void)state;
    struct args a = {0};
    struct err err;
    int64_t number = 0;
    assert_int_equal(parse(&a, &err, "query|x|-o|xml"), ERR_INVALID);
    assert_string_equal(err.msg, "--output is one of csv|json, not \"xml\"");
    assert_int_equal(parse(&a, &err, "query|x|--max-rows"), ERR_INVALID);
    assert_string_equal(err.msg, "--max-rows needs a value: --max-rows N");
    assert_int_equal(parse(&a, &err, "query|x|--full=1"), ERR_INVALID);
    assert_int_equal(parse(&a, &err, "query"), ERR_INVALID);
    assert_int_equal(parse(&a, &err, "query|SELECT|1"), ERR_INVALID);
    assert_int_equal(parse(&a, &err, "query|x|-n|0"), ERR_OK);
    assert_int_equal(args_number(&a, "max-rows", 1, 100, &number, &err), ERR_INVALID);
    assert_int_equal(parse(&a, &err, "query|x"), ERR_OK);
    assert_int_equal(args_number(&a, "max-rows", 42, 100, &number, &err), ERR_OK);
    assert_int_equal(number, 42);
}

static void options_of_the_configuration_are_handed_on(void **state) {
    (void)state;
    struct args a = {0};
    struct err err;
    assert_int_equal(parse(&a, &err, "serve|--listen|127.0.0.1:0|--demo|--config=a.ini"), ERR_OK);
    assert_int_equal(a.config_argc, 3);
    assert_string_equal(a.config_argv[0], "--listen=127.0.0.1:0");
    assert_string_equal(a.config_argv[1], "--demo");
    assert_string_equal(a.config_argv[2], "--config=a.ini");
    assert_int_equal(parse(&a, &err, "query|--listen|x|y"), ERR_INVALID);
}

static void distance_counts_changes(void **state) {
    (void)state;
    assert_int_equal(args_distance("", ""), 0);
    assert_int_equal(args_distance("query", "query"), 0);
    assert_int_equal(args_distance("", "ls"), 2);
    assert_int_equal(args_distance("ingst", "ingest"), 1);
    assert_int_equal(args_distance("qurey", "query"), 1);
    assert_int_equal(args_distance("kitten", "sitting"), 3);
}

static int tear_down(void **state) {
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_take_their_value_in_each_form),
        cmocka_unit_test(the_last_of_an_option_counts),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(commands_may_have_two_words),
        cmocka_unit_test(mistakes_are_named_with_the_nearest_right_thing),
        cmocka_unit_test(values_and_words_are_checked),
        cmocka_unit_test(options_of_the_configuration_are_handed_on),
        cmocka_unit_test(distance_counts_changes),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
