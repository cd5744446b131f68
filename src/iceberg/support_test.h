// What the tests of this folder share.
#pragma once

#include "base/hash.h"
#include "iceberg/avro_int.h"
#include "iceberg/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ASSERT_STR(got, wanted)                                                                    \
    do {                                                                                           \
        struct str got_ = (got);                                                                   \
        struct str wanted_ = (wanted);                                                             \
        if (!str_eq(got_, wanted_)) {                                                              \
            fail_msg("\"" STR_FMT "\" is not \"" STR_FMT "\"", STR_ARG(got_), STR_ARG(wanted_));   \
        }                                                                                          \
    } while (0)

// Fails the test with the message of err.
#define ASSERT_OK(call)                                                                            \
    do {                                                                                           \
        if ((call) != ERR_OK) {                                                                    \
            fail_msg("%s", err.msg);                                                               \
        }                                                                                          \
    } while (0)

static inline struct str unhex(const char *hex, struct arena *a) {
    size_t len = strlen(hex) / 2;
    char *bytes = arena_alloc(a, len);
    assert_true(hex_decode(str_from(hex), bytes, len));
    return (struct str){bytes, len};
}

static inline struct ice_schema *make_schema(const char *text, struct arena *a) {
    struct err err = ERR_NONE;
    DEFER(json_decrefp) json_t *json = NULL;
    ASSERT_OK(json_parse(str_from(text), &json, &err));
    struct ice_schema *s = NULL;
    ASSERT_OK(ice_schema_parse(json, a, &s, &err));
    return s;
}

// xorshift: the same numbers in every run.
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
