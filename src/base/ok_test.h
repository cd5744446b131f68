// What tests say of calls that can fail, and of texts.
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static _Thread_local struct err err; // of the last call

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != ERR_OK) {                                                                    \
            fail_msg("%s: %s", #call, err.msg);                                                    \
        }                                                                                          \
    } while (0)

static inline void assert_str(struct str s, const char *expected) {
    if (!str_is(s, expected)) {
        fail_msg("\"" STR_FMT "\" is not \"%s\"", STR_ARG(s), expected);
    }
}

// The message of the last call.
static inline void assert_says(const char *part) {
    if (strstr(err.msg, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
    }
}
