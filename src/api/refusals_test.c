// Tests of refused attempts on their way into the journal, over a store in memory.

#include "api/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/counters.h"

enum { WAIT_US = 20 * 1000 * 1000, STEP_US = 2000, LONG_MS = 3600000 };

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race:libjansson.so\nrace:json_decref\nrace:json_incref\n";
}

static struct store *store;
static struct catalog *catalog;
static struct arena arena;
static struct err err;

static int set_up(void **state) {
    (void)state;
    const struct config config = {.catalog_checkpoint_every = 100000};
    arena = ARENA(1 << 26);
    err = ERR_NONE;
    store = store_memory_new();
    assert_int_equal(catalog_open_on(&config, store, STR("memory://test"), &catalog, &err), ERR_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    catalog_close(catalog);
    arena_release(&arena);
    return 0;
}

static bool list_one(void *ctx, const struct txlog_item *item) {
    struct buf *out = ctx;
    static const char *const members[] = {"actor", "action", "target", "reason", "outcome"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct str s = STR_NONE;
        (void)json_get_str(item->transaction, members[i], &s);
        buf_printf(out, "%s" STR_FMT, i == 0 ? "" : "|", STR_ARG(s));
    }
    int64_t count = 0;
    if (json_get_i64(json_object_get(item->transaction, "details"), "count", &count)) {
        buf_printf(out, "|%lld", (long long)count);
    }
    buf_add_char(out, '\n');
    return true;
}

// All that the log holds, a line each.
static const char *told(void) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct txlog_walker walker = {list_one, &out};
    if (txlog_seq(catalog_log(catalog)) > 0) {
        assert_int_equal(txlog_walk(store, 1, 0, &walker, &err), ERR_OK);
    }
    return arena_cstr(&arena, buf_str(&out));
}

static struct refusals *opened(int64_t window_ms, int64_t max) {
    const struct refusals_options o = {.window_ms = window_ms, .principal_max = max};
    return refusals_new(catalog, &o);
}

static void note(struct refusals *r, const char *actor, const char *target) {
    const struct refusal what = {.actor = str_from(actor),
                                 .action = STR("dataset.drop"),
                                 .target = str_from(target),
                                 .reason = STR("why"),
                                 .why = ERR_NOT_FOUND};
    refusals_note(r, &what);
}

static void what_was_refused_is_told_in_order(void **state) {
    (void)state;
    struct refusals *r = opened(LONG_MS, 10);
    note(r, "ada", "dataset:x");
    note(r, "bob", "dataset:y");
    refusals_close(r);
    assert_string_equal(told(), "ada|dataset.drop|dataset:x|why|not_found\n"
                                "bob|dataset.drop|dataset:y|why|not_found\n");
}

static void notes_are_written_without_anybody_waiting(void **state) {
    (void)state;
    struct refusals *r = opened(LONG_MS, 10);
    const int64_t until_us = clock_mono_us() + WAIT_US;
    note(r, "ada", "dataset:x");
    while (txlog_seq(catalog_log(catalog)) == 0 && clock_mono_us() < until_us) {
        (void)usleep(STEP_US);
    }
    assert_string_equal(told(), "ada|dataset.drop|dataset:x|why|not_found\n");
    refusals_close(r);
}

static void a_principal_has_so_many_notes_and_then_a_sum(void **state) {
    (void)state;
    struct refusals *r = opened(LONG_MS, 3);
    const int64_t summed = counter_get(COUNTER_refusals_summed);
    for (int i = 0; i < 50; i++) {
        note(r, "ada", "dataset:x");
    }
    note(r, "bob", "dataset:y"); // has notes of its own
    refusals_close(r);
    assert_string_equal(told(), "ada|dataset.drop|dataset:x|why|not_found\n"
                                "ada|dataset.drop|dataset:x|why|not_found\n"
                                "ada|dataset.drop|dataset:x|why|not_found\n"
                                "bob|dataset.drop|dataset:y|why|not_found\n"
                                "ada|refusals|server||limit_exceeded|47\n");
    assert_int_equal(counter_get(COUNTER_refusals_summed) - summed, 47);
}

static void a_sum_is_told_when_the_minute_is_over(void **state) {
    (void)state;
    struct refusals *r = opened(50, 1);
    const int64_t until_us = clock_mono_us() + WAIT_US;
    note(r, "ada", "dataset:x");
    note(r, "ada", "dataset:x");
    while (strstr(told(), "|refusals|") == NULL && clock_mono_us() < until_us) {
        (void)usleep(STEP_US);
    }
    assert_non_null(strstr(told(), "ada|refusals|server||limit_exceeded|1\n"));
    refusals_close(r);
}

static void strangers_have_one_note_for_each_address(void **state) {
    (void)state;
    struct refusals *r = opened(LONG_MS, 100);
    for (int i = 0; i < 9; i++) {
        refusals_note_stranger(r, STR("192.0.2.1:50001"));
        refusals_note_stranger(r, STR("192.0.2.1:50002"));
    }
    refusals_close(r);
    assert_string_equal(told(), "|auth|server||unauthenticated|1\n"
                                "|auth|server||unauthenticated|17\n");
    assert_null(strstr(told(), "192.0.2.1"));
}

static void addresses_of_one_network_count_as_one(void **state) {
    (void)state;
    struct refusals *r = opened(LONG_MS, 100);
    refusals_note_stranger(r, STR("[2001:db8::1]:50001"));
    refusals_note_stranger(r, STR("[2001:db8::2:3:4:5]:50001"));
    refusals_note_stranger(r, STR("[2001:db8:0:1::1]:50001"));
    refusals_close(r);
    assert_string_equal(told(), "|auth|server||unauthenticated|1\n"
                                "|auth|server||unauthenticated|1\n"
                                "|auth|server||unauthenticated|1\n");
}

static void many_addresses_do_not_fill_the_log(void **state) {
    (void)state;
    struct refusals *r = opened(LONG_MS, 100);
    int64_t count = 0;
    int64_t lines = 0;
    for (int i = 0; i < 20000; i++) {
        char remote[64];
        (void)snprintf(remote, sizeof(remote), "10.%d.%d.1:50001", i / 256, i % 256);
        refusals_note_stranger(r, str_from(remote));
    }
    note(r, "ada", "dataset:x"); // who has a name is told of all the same
    refusals_close(r);
    for (const char *at = told(); (at = strstr(at, "|unauthenticated|")) != NULL; lines++) {
        at += strlen("|unauthenticated|");
        struct str rest = str_from(at);
        struct str number;
        int64_t n = 0;
        assert_true(str_cut(&rest, '\n', &number) && str_to_i64(number, &n));
        count += n;
    }
    assert_int_equal(count, 20000);
    assert_true(lines < 200);
    assert_non_null(strstr(told(), "ada|dataset.drop|dataset:x|why|not_found\n"));
}

static void texts_are_cut_between_characters(void **state) {
    (void)state;
    DEFER(buf_release) struct buf reason = BUF(1 << 16);
    for (int i = 0; i < 1000; i++) {
        buf_add_cstr(&reason, i == 0 ? "x" : "\xc3\xa9");
    }
    struct refusals *r = opened(LONG_MS, 100);
    const struct refusal long_one = {.actor = STR("ada"),
                                     .action = STR("dataset.drop"),
                                     .target = STR("dataset:x"),
                                     .reason = buf_str(&reason),
                                     .why = ERR_NOT_FOUND};
    const struct refusal bad_one = {.actor = STR("ada"),
                                    .action = STR("dataset.drop"),
                                    .target = STR("dataset:\xff"),
                                    .reason = STR("\xff"),
                                    .why = ERR_NOT_FOUND};
    refusals_note(r, &long_one);
    refusals_note(r, &bad_one);
    refusals_close(r);
    assert_non_null(strstr(told(), "\xc3\xa9|not_found\n"));
    assert_non_null(strstr(told(), "ada|dataset.drop|||not_found\n"));
}

static void what_cannot_be_written_is_counted(void **state) {
    (void)state;
    struct catalog *looking = NULL;
    assert_int_equal(catalog_open_to_look(store, STR("memory://test"), &looking, &err), ERR_OK);
    const struct refusals_options o = {.window_ms = LONG_MS, .principal_max = 10};
    struct refusals *r = refusals_new(looking, &o);
    const int64_t dropped = counter_get(COUNTER_refusals_dropped);
    note(r, "ada", "dataset:x");
    refusals_close(r);
    assert_int_equal(counter_get(COUNTER_refusals_dropped) - dropped, 1);
    catalog_close(looking);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_refused_is_told_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notes_are_written_without_anybody_waiting, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_principal_has_so_many_notes_and_then_a_sum, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_sum_is_told_when_the_minute_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strangers_have_one_note_for_each_address, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(addresses_of_one_network_count_as_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_addresses_do_not_fill_the_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_are_cut_between_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_counted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
