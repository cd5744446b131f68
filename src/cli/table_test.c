// Tests of the table printer: alignment, widths of characters, cutting, escapes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/table.h"

struct fixture {
    struct arena arena;
    struct table table;
    struct buf out;
};

static int set_up(void **state) {
    static struct fixture f;
    f.arena = ARENA(1 << 20);
    f.table = TABLE(&f.arena);
    f.out = BUF(1 << 20);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    buf_release(&f->out);
    arena_release(&f->arena);
    return 0;
}

static void numbers_stand_right_and_null_is_shown(void **state) {
    struct fixture *f = *state;
    table_column(&f->table, STR("city"), false);
    table_column(&f->table, STR("n"), true);
    table_cell(&f->table, STR("Denver"));
    table_cell(&f->table, STR("1470000"));
    table_cell_null(&f->table);
    table_cell(&f->table, STR("5"));
    table_print(&f->table, 0, 0, &f->out);
    assert_string_equal(f->out.ptr, "city          n\n"
                                    "------  -------\n"
                                    "Denver  1470000\n"
                                    "NULL          5\n");
}

static void wide_characters_take_two_columns(void **state) {
    struct fixture *f = *state;
    assert_int_equal(table_text_width(STR("Zürich")), 6);
    assert_int_equal(table_text_width(STR("東京")), 4);
    assert_int_equal(table_text_width(STR("e\xCC\x81")), 1);
    table_column(&f->table, STR("a"), false);
    table_column(&f->table, STR("b"), false);
    table_cell(&f->table, STR("東京"));
    table_cell(&f->table, STR("x"));
    table_cell(&f->table, STR("ab"));
    table_cell(&f->table, STR("y"));
    table_print(&f->table, 0, 0, &f->out);
    assert_string_equal(f->out.ptr, "a     b\n"
                                    "----  -\n"
                                    "東京  x\n"
                                    "ab    y\n");
}

static void long_cells_are_cut(void **state) {
    struct fixture *f = *state;
    table_column(&f->table, STR("text"), false);
    table_column(&f->table, STR("n"), true);
    table_cell(&f->table, STR("abcdefghij"));
    table_cell(&f->table, STR("1"));
    table_cell(&f->table, STR("東京東京東京"));
    table_cell(&f->table, STR("2"));
    table_print(&f->table, 6, 0, &f->out);
    assert_string_equal(f->out.ptr, "text    n\n"
                                    "------  -\n"
                                    "abcde…  1\n"
                                    "東京…   2\n");
}

static void a_line_fits_the_terminal(void **state) {
    struct fixture *f = *state;
    table_column(&f->table, STR("long"), false);
    table_column(&f->table, STR("short"), false);
    table_cell(&f->table, STR("abcdefghijklmnopqrst"));
    table_cell(&f->table, STR("abcdefgh"));
    table_print(&f->table, 0, 20, &f->out);
    assert_string_equal(f->out.ptr, "long        short\n"
                                    "----------  --------\n"
                                    "abcdefghi…  abcdefgh\n");
}

static void nothing_in_a_cell_steers_the_terminal(void **state) {
    struct fixture *f = *state;
    table_column(&f->table, STR("x"), false);
    table_cell(&f->table, STR("a\nb\t\x1b[31m"));
    table_cell(&f->table, STR("\xFF"));
    table_cell(&f->table, STR("\xE2\x80\xAE"));
    table_print(&f->table, 0, 0, &f->out);
    assert_string_equal(f->out.ptr, "x\n"
                                    "--------------\n"
                                    "a\\nb\\t\\x1b[31m\n"
                                    "\xEF\xBF\xBD\n"
                                    "\xEF\xBF\xBD\n");
}

static void markdown_escapes_what_it_must(void **state) {
    struct fixture *f = *state;
    table_column(&f->table, STR("a|b"), false);
    table_column(&f->table, STR("n"), true);
    table_cell(&f->table, STR("x\ny"));
    table_cell_null(&f->table);
    table_markdown(&f->table, &f->out);
    assert_string_equal(f->out.ptr, "| a\\|b | n |\n"
                                    "| --- | ---: |\n"
                                    "| x<br>y | NULL |\n");
}

static void sizes_are_for_people(void **state) {
    struct fixture *f = *state;
    static const struct {
        int64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},         {999, "999 B"},        {1000, "1.0 kB"},        {999949, "999.9 kB"},
        {999950, "1.0 MB"}, {12345678, "12.3 MB"}, {INT64_MAX, "9223.4 PB"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct str text = table_bytes(rows[i].bytes, &f->arena);
        assert_string_equal(arena_cstr(&f->arena, text), rows[i].text);
    }
    assert_true(str_is(table_number(1470000, &f->arena), "1,470,000"));
    assert_true(str_is(table_number(-100, &f->arena), "-100"));
    assert_true(str_is(table_number(999, &f->arena), "999"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_stand_right_and_null_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wide_characters_take_two_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_cells_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_fits_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_in_a_cell_steers_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(markdown_escapes_what_it_must, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sizes_are_for_people, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
