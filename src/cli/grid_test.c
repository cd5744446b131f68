// Tests of the printed grid: alignment, widths of characters, cutting, escapes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/grid.h"

struct fixture {
    struct arena arena;
    struct grid grid;
    struct buf out;
};

static int set_up(void **state) {
    static struct fixture f;
    f.arena = ARENA(1 << 20);
    f.grid = GRID(&f.arena);
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
    grid_column(&f->grid, STR("city"), false);
    grid_column(&f->grid, STR("n"), true);
    grid_cell(&f->grid, STR("Denver"));
    grid_cell(&f->grid, STR("1470000"));
    grid_cell_null(&f->grid);
    grid_cell(&f->grid, STR("5"));
    grid_print(&f->grid, 0, 0, &f->out);
    assert_string_equal(f->out.ptr, "city          n\n"
                                    "------  -------\n"
                                    "Denver  1470000\n"
                                    "NULL          5\n");
}

static void wide_characters_take_two_columns(void **state) {
    struct fixture *f = *state;
    assert_int_equal(grid_text_width(STR("Zürich")), 6);
    assert_int_equal(grid_text_width(STR("東京")), 4);
    assert_int_equal(grid_text_width(STR("e\xCC\x81")), 1);
    grid_column(&f->grid, STR("a"), false);
    grid_column(&f->grid, STR("b"), false);
    grid_cell(&f->grid, STR("東京"));
    grid_cell(&f->grid, STR("x"));
    grid_cell(&f->grid, STR("ab"));
    grid_cell(&f->grid, STR("y"));
    grid_print(&f->grid, 0, 0, &f->out);
    assert_string_equal(f->out.ptr, "a     b\n"
                                    "----  -\n"
                                    "東京  x\n"
                                    "ab    y\n");
}

static void long_cells_are_cut(void **state) {
    struct fixture *f = *state;
    grid_column(&f->grid, STR("text"), false);
    grid_column(&f->grid, STR("n"), true);
    grid_cell(&f->grid, STR("abcdefghij"));
    grid_cell(&f->grid, STR("1"));
    grid_cell(&f->grid, STR("東京東京東京"));
    grid_cell(&f->grid, STR("2"));
    grid_print(&f->grid, 6, 0, &f->out);
    assert_string_equal(f->out.ptr, "text    n\n"
                                    "------  -\n"
                                    "abcde…  1\n"
                                    "東京…   2\n");
}

static void a_line_fits_the_terminal(void **state) {
    struct fixture *f = *state;
    grid_column(&f->grid, STR("long"), false);
    grid_column(&f->grid, STR("short"), false);
    grid_cell(&f->grid, STR("abcdefghijklmnopqrst"));
    grid_cell(&f->grid, STR("abcdefgh"));
    grid_print(&f->grid, 0, 20, &f->out);
    assert_string_equal(f->out.ptr, "long        short\n"
                                    "----------  --------\n"
                                    "abcdefghi…  abcdefgh\n");
}

static void nothing_in_a_cell_steers_the_terminal(void **state) {
    struct fixture *f = *state;
    grid_column(&f->grid, STR("x"), false);
    grid_cell(&f->grid, STR("a\nb\t\x1b[31m"));
    grid_cell(&f->grid, STR("\xFF"));
    grid_cell(&f->grid, STR("\xE2\x80\xAE"));
    grid_print(&f->grid, 0, 0, &f->out);
    assert_string_equal(f->out.ptr, "x\n"
                                    "--------------\n"
                                    "a\\nb\\t\\x1b[31m\n"
                                    "\xEF\xBF\xBD\n"
                                    "\xEF\xBF\xBD\n");
}

static void markdown_escapes_what_it_must(void **state) {
    struct fixture *f = *state;
    grid_column(&f->grid, STR("a|b"), false);
    grid_column(&f->grid, STR("n"), true);
    grid_cell(&f->grid, STR("x\ny"));
    grid_cell_null(&f->grid);
    grid_markdown(&f->grid, &f->out);
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
        const struct str text = grid_bytes(rows[i].bytes, &f->arena);
        assert_string_equal(arena_cstr(&f->arena, text), rows[i].text);
    }
    assert_true(str_is(grid_number(1470000, &f->arena), "1,470,000"));
    assert_true(str_is(grid_number(-100, &f->arena), "-100"));
    assert_true(str_is(grid_number(999, &f->arena), "999"));
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
