// Tests of the masks' JSON forms and of their keys.
#include "mask/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

static json_t *parse(const char *text) {
    json_t *j = NULL;
    if (json_parse(str_from(text), &j, &err) != ERR_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
    return j;
}

static struct mask read_ok(const char *text) {
    DEFER(json_decrefp) json_t *j = parse(text);
    struct mask m;
    if (mask_read(j, &m, &err) != ERR_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
    return m;
}

static const struct form {
    const char *given;
    struct mask mask;
    const char *written;
} forms[] = {
    {"\"null\"", {MASK_NULL, 0, 0}, "\"null\""},
    {"\"replace-with-null\"", {MASK_NULL, 0, 0}, "\"null\""},
    {"\"mask-to-default\"", {MASK_DEFAULT, 0, 0}, "\"mask-to-default\""},
    {"\"hash\"", {MASK_HASH, 0, 0}, "\"hash\""},
    {"\"sha-256-global\"", {MASK_HASH, 0, 0}, "\"hash\""},
    {"\"sha-256-query-local\"", {MASK_HASH_LOCAL, 0, 0}, "\"sha-256-query-local\""},
    {"\"mask-alphanum\"", {MASK_ALPHANUM, 0, 0}, "\"mask-alphanum\""},
    {"\"truncate-to-year\"", {MASK_YEAR, 0, 0}, "\"truncate-to-year\""},
    {"\"truncate-to-month\"", {MASK_MONTH, 0, 0}, "\"truncate-to-month\""},
    {"\"show-first-4\"", {MASK_KEEP, 4, 0}, "{\"mask\":{\"keep_prefix\":4,\"keep_suffix\":0}}"},
    {"\"show-last-4\"", {MASK_KEEP, 0, 4}, "{\"mask\":{\"keep_prefix\":0,\"keep_suffix\":4}}"},
    {"{\"mask\": {\"keep_suffix\": 2, \"keep_prefix\": 3}}",
     {MASK_KEEP, 3, 2},
     "{\"mask\":{\"keep_prefix\":3,\"keep_suffix\":2}}"},
    {"{\"mask\": {\"keep_prefix\": 64}}",
     {MASK_KEEP, 64, 0},
     "{\"mask\":{\"keep_prefix\":64,\"keep_suffix\":0}}"},
    {"{\"mask\": {}}", {MASK_KEEP, 0, 0}, "{\"mask\":{\"keep_prefix\":0,\"keep_suffix\":0}}"},
};

static void every_form_is_read_and_written_by_its_first_name(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        const struct mask m = read_ok(forms[i].given);
        DEFER(json_decrefp) json_t *j = mask_json(&m);
        assert_true(mask_eq(&m, &forms[i].mask));
        assert_string_equal(json_text(j, &a).ptr, forms[i].written);
        const struct mask again = read_ok(forms[i].written);
        assert_true(mask_eq(&again, &m));
    }
}

static void no_mask_has_no_json(void **state) {
    (void)state;
    const struct mask none = {.kind = MASK_NONE};
    assert_null(mask_json(&none));
}

static void masks_are_equal_by_kind_and_by_what_they_keep(void **state) {
    (void)state;
    assert_true(mask_eq(&(struct mask){MASK_HASH, 1, 2}, &(struct mask){MASK_HASH, 3, 4}));
    assert_false(mask_eq(&(struct mask){MASK_HASH, 0, 0}, &(struct mask){MASK_NULL, 0, 0}));
    assert_false(mask_eq(&(struct mask){MASK_KEEP, 1, 2}, &(struct mask){MASK_KEEP, 1, 3}));
    assert_false(mask_eq(&(struct mask){MASK_KEEP, 1, 2}, &(struct mask){MASK_KEEP, 0, 2}));
}

static void assert_refused(const char *text, const char *says) {
    DEFER(json_decrefp) json_t *j = parse(text);
    struct mask m = {.kind = MASK_YEAR};
    err = ERR_NONE;
    assert_int_equal(mask_read(j, &m, &err), ERR_INVALID);
    assert_int_equal(m.kind, MASK_YEAR);
    if (strstr(err.msg, says) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err.msg, says);
    }
}

static void what_is_no_mask_is_refused_with_those_there_are(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "\"md5\"",
        "\"Hash\"",
        "\"\"",
        "\"mask\"",
        "null",
        "true",
        "4",
        "[]",
        "{}",
        "{\"hash\": {}}",
        "{\"mask\": null}",
        "{\"mask\": \"hash\"}",
        "[\"hash\"]",
        "\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        for (size_t f = 0; f < 11; f++) {
            assert_refused(wrong[i], forms[f].given);
        }
        assert_refused(wrong[i], "{\"mask\": {\"keep_prefix\": 3, \"keep_suffix\": 2}}");
    }
    assert_refused("\"md5\"", "\"md5\" is no mask");
}

static void parts_of_a_mask_are_checked(void **state) {
    (void)state;
    assert_refused("{\"mask\": {\"keep_prefix\": -1}}", "\"keep_prefix\"");
    assert_refused("{\"mask\": {\"keep_prefix\": 65}}", "from 0 to 64");
    assert_refused("{\"mask\": {\"keep_suffix\": 9223372036854775807}}", "\"keep_suffix\"");
    assert_refused("{\"mask\": {\"keep_suffix\": \"2\"}}", "\"keep_suffix\"");
    assert_refused("{\"mask\": {\"keep_suffix\": 2.0}}", "\"keep_suffix\"");
    assert_refused("{\"mask\": {\"keep_suffix\": null}}", "\"keep_suffix\"");
    assert_refused("{\"mask\": {\"keep_sufix\": 2}}", "keep_suffix");
    assert_refused("{\"mask\": {}, \"hash\": {}}", "hash");
}

static void keys_differ_by_purpose_and_by_secret(void **state) {
    (void)state;
    uint8_t secret[32] = {1};
    struct mask_keys a;
    struct mask_keys b;
    mask_keys_derive(secret, &a);
    mask_keys_derive(secret, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(a.global, a.local, 32);
    assert_memory_not_equal(a.global, secret, 32);
    assert_memory_not_equal(a.local, secret, 32);
    secret[31] = 1;
    mask_keys_derive(secret, &b);
    assert_memory_not_equal(a.global, b.global, 32);
    assert_memory_not_equal(a.local, b.local, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read_and_written_by_its_first_name),
        cmocka_unit_test(no_mask_has_no_json),
        cmocka_unit_test(masks_are_equal_by_kind_and_by_what_they_keep),
        cmocka_unit_test(what_is_no_mask_is_refused_with_those_there_are),
        cmocka_unit_test(parts_of_a_mask_are_checked),
        cmocka_unit_test(keys_differ_by_purpose_and_by_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
