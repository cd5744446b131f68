// Tests of what the commands make of file names and of places in statements.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"

static void dataset_names_come_from_file_names(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    static const struct {
        const char *path, *name;
    } rows[] = {
        {"flights.csv", "flights"},
        {"/data/in/Flights 2024 (final).csv.gz", "flights_2024_final"},
        {"flights-2k.json", "flights_2k"},
        {"2024-flights.parquet", "t_2024_flights"},
        {"a.b.c.ndjson", "a_b_c"},
        {"UPPER.TSV", "upper"},
        {"noext", "noext"},
        {"__x__.csv", "x"},
        {".csv", "csv"},
        {"Z\xC3\xBCrich.csv", "z_rich"},
        {"\xE6\x9D\xB1\xE4\xBA\xAC.csv", ""},
        {"...", ""},
        {"-", ""},
        {"", ""},
        {"dir/", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct str name = cli_dataset_name(str_from(rows[i].path), &a);
        assert_string_equal(arena_cstr(&a, name), rows[i].name);
    }
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    const struct str cut = cli_dataset_name((struct str){longest, sizeof(longest)}, &a);
    assert_int_equal(cut.len, 63);
}

static void expect_caret(const char *sql, int64_t position, const char *expected) {
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    cli_caret(str_from(sql), position, &out);
    assert_string_equal(out.ptr ? out.ptr : "", expected);
}

static void a_caret_stands_under_the_position(void **state) {
    (void)state;
    expect_caret("SELECT foo", 7,
                 "  line 1: SELECT foo\n"
                 "                 ^\n");
    expect_caret("SELECT 1\nFROM nowhere\nWHERE x", 14,
                 "  line 2: FROM nowhere\n"
                 "               ^\n");
    expect_caret("SELECT '東' x", 13,
                 "  line 1: SELECT '東' x\n"
                 "                      ^\n");
    expect_caret("\tx", 1, "  line 1: \tx\n          \t^\n");
    expect_caret("", 0, "  line 1: \n          ^\n");
    expect_caret("x", -1, "");
    expect_caret("x", 2, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dataset_names_come_from_file_names),
        cmocka_unit_test(a_caret_stands_under_the_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
