// What tests of the guard share: the parser that it asks, and the files beside the tests.
#pragma once

#include "guard/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct engine *parser;

static inline int open_parser(void **state) {
    struct err err = ERR_NONE;
    const struct engine_options o = {.threads = 1, .memory_bytes = 256 << 20, .no_files = true};
    (void)state;
    assert_int_equal(engine_open(&o, &parser, &err), ERR_OK);
    return 0;
}

static inline int close_parser(void **state) {
    (void)state;
    engine_close(parser);
    return 0;
}

static inline enum err_code check_statement(struct str sql, struct arena *a,
                                            struct guard_statement **ret, struct err *err) {
    *err = ERR_NONE;
    return guard_check(parser, sql, a, ret, err);
}

static inline struct guard_statement *good_statement(const char *sql, struct arena *a) {
    struct guard_statement *g = NULL;
    struct err err = ERR_NONE;
    if (check_statement(str_from(sql), a, &g, &err) != ERR_OK) {
        fail_msg("%s: %s", sql, err.msg);
    }
    return g;
}

// A file that stands beside this one.
static inline struct str read_beside(const char *name, struct arena *a) {
    const char *here = __FILE__;
    const char *slash = strrchr(here, '/');
    const struct str folder = {here, slash ? (size_t)(slash - here) + 1 : 0};
    FILE *file = fopen(arena_cstr(a, arena_printf(a, STR_FMT "%s", STR_ARG(folder), name)), "rb");
    assert_non_null(file);
    const size_t cap = 1 << 20;
    char *text = arena_alloc(a, cap);
    const size_t len = fread(text, 1, cap, file);
    assert_int_equal(fclose(file), 0);
    assert_true(len > 0 && len < cap);
    return (struct str){text, len};
}
