// Tests of the head: a log that was cut short is seen, and the hint never stands in the way.

#include "log/txlog_int.h"

#include "base/clock.h"
#include "base/threads.h"
#include "store/store_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race:libjansson.so\nrace:json_decref\nrace:json_incref\n";
}

enum { WAIT_US = 20 * 1000 * 1000, STEP_US = 1000 };

static const struct txlog_options at_close = {
    .node = {"test", 4}, .checkpoint_every = 1000000, .head_ms = 3600000};
static const struct txlog_options soon = {
    .node = {"test", 4}, .checkpoint_every = 1000000, .head_ms = 1};

static struct txlog *opened(struct store *s, const struct txlog_options *o) {
    struct txlog *l = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(txlog_open(s, o, &l, &err), ERR_OK);
    return l;
}

static void commit(struct txlog *l) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txn_outcome outcome;
    struct err err = ERR_NONE;
    const struct txn t = {.actor = STR("tester"), .action = STR("test.note")};
    assert_int_equal(txlog_commit(l, &t, &a, &outcome, &err), ERR_OK);
}

// A log of five records, closed.
static struct store *sample(void) {
    struct store *s = store_memory_new();
    struct txlog *l = opened(s, &at_close);
    for (int i = 0; i < 5; i++) {
        commit(l);
    }
    txlog_close(l);
    return s;
}

static void erase(struct store *s, struct str name) {
    struct err err = ERR_NONE;
    assert_int_equal(store_delete(s, name, &err), ERR_OK);
}

static uint64_t head_seq(struct store *s) {
    struct txlog_head head;
    struct err err = ERR_NONE;
    return txlog_head_read(s, &head, &err) == ERR_OK ? head.seq : 0;
}

static enum err_code open_code(struct store *s, struct err *err) {
    struct txlog *l = NULL;
    *err = ERR_NONE;
    const enum err_code code = txlog_open(s, &at_close, &l, err);
    txlog_close(l);
    return code;
}

static enum err_code verify(struct store *s, const struct txlog_mark *kept,
                            struct txlog_report *ret, struct err *err) {
    static struct arena a = ARENA(SIZE_MAX);
    arena_release(&a);
    *err = ERR_NONE;
    return txlog_verify(s, kept, &a, ret, err);
}

// Takes away the records from `from` to 5, and the checkpoint that stands on the last.
static void cut(struct store *s, uint64_t from) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    for (uint64_t seq = from; seq <= 5; seq++) {
        erase(s, txlog_record_name(seq, &a));
    }
    erase(s, txlog_checkpoint_name(5, &a));
}

static void a_log_cut_short_is_seen_by_start_and_verification(void **state) {
    (void)state;
    for (uint64_t from = 1; from <= 5; from++) {
        DEFER(store_closep) struct store *s = sample();
        struct txlog_report report;
        struct err err;
        assert_int_equal(verify(s, NULL, &report, &err), ERR_OK);
        assert_int_equal(report.seen_seq, 5);
        assert_int_equal(report.note.len, 0);
        cut(s, from);
        assert_int_equal(verify(s, NULL, &report, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "_catalog/head.json has seen record 5"));
        assert_int_equal(report.records, from - 1);
        assert_int_equal(open_code(s, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "_catalog/head.json"));
        erase(s, TXLOG_HEAD_NAME); // whoever wants to go on without them may
        assert_int_equal(open_code(s, &err), ERR_OK);
    }
}

static void without_a_head_verification_says_what_it_cannot_tell(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample();
    struct txlog_report report;
    struct err err;
    erase(s, TXLOG_HEAD_NAME);
    assert_int_equal(verify(s, NULL, &report, &err), ERR_OK);
    assert_int_equal(report.seen_seq, 0);
    assert_true(report.note.len > 0);
}

static void a_head_that_is_behind_is_fine(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str old = STR_NONE;
    struct err err = ERR_NONE;
    struct txlog_report report;
    assert_int_equal(store_get(s, TXLOG_HEAD_NAME, &a, &old, &err), ERR_OK);
    struct txlog *l = opened(s, &at_close);
    commit(l);
    txlog_close(l);
    assert_int_equal(head_seq(s), 6);
    assert_int_equal(store_put(s, TXLOG_HEAD_NAME, old, &err), ERR_OK);
    assert_int_equal(verify(s, NULL, &report, &err), ERR_OK);
    assert_int_equal(report.seen_seq, 5);
    assert_int_equal(open_code(s, &err), ERR_OK);
    assert_int_equal(head_seq(s), 6); // and it is mended
}

static void a_torn_head_is_ignored_by_start_and_found_by_verification(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(store_closep) struct store *s = sample();
    struct str whole = STR_NONE;
    struct err err = ERR_NONE;
    struct txlog_report report;
    assert_int_equal(store_get(s, TXLOG_HEAD_NAME, &a, &whole, &err), ERR_OK);
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(store_put(s, TXLOG_HEAD_NAME, str_slice(whole, 0, len), &err), ERR_OK);
        assert_int_equal(verify(s, NULL, &report, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "_catalog/head.json"));
        assert_int_equal(report.records, 5);
        assert_int_equal(report.seen_seq, 0);
        if (len % 50 == 0) {
            assert_int_equal(open_code(s, &err), ERR_OK);
            assert_int_equal(verify(s, NULL, &report, &err), ERR_OK);
        }
    }
}

static void a_head_of_another_log_stops_the_start(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(store_closep) struct store *s = sample();
    DEFER(store_closep) struct store *other = sample();
    struct str head = STR_NONE;
    struct err err = ERR_NONE;
    struct txlog_report report;
    assert_int_equal(store_get(other, TXLOG_HEAD_NAME, &a, &head, &err), ERR_OK);
    assert_int_equal(store_put(s, TXLOG_HEAD_NAME, head, &err), ERR_OK);
    assert_int_equal(open_code(s, &err), ERR_CORRUPT);
    assert_int_equal(verify(s, NULL, &report, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "00000000000000000005.json is another record"));
    assert_int_equal(report.records, 4);
}

static void an_older_head_does_not_replace_a_newer_one(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample();
    struct txlog *slow = opened(s, &at_close); // does not look at the tail by itself
    struct txlog *quick = opened(s, &at_close);
    struct err err = ERR_NONE;
    commit(quick);
    txlog_close(quick);
    assert_int_equal(head_seq(s), 6);
    assert_int_equal(txlog_head_write(slow, &err), ERR_OK);
    assert_int_equal(head_seq(s), 6);
    txlog_close(slow);
}

static void a_head_follows_by_itself(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog *l = opened(s, &soon);
    const int64_t until_us = clock_mono_us() + WAIT_US;
    commit(l);
    while (head_seq(s) != 1 && clock_mono_us() < until_us) {
        (void)usleep(STEP_US);
    }
    assert_int_equal(head_seq(s), 1);
    txlog_close(l);
}

struct watch {
    struct store *s;
    _Atomic bool over;
    int heads;
};

static void *watch_head(void *arg) {
    struct watch *w = arg;
    while (!w->over) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        const uint64_t seq = head_seq(w->s);
        struct txlog_record r;
        struct err err = ERR_NONE;
        if (seq > 0) {
            w->heads++;
            CHECK(txlog_record_read(w->s, seq, &a, &r, &err) == ERR_OK);
        }
    }
    return NULL;
}

static void a_head_is_never_ahead_of_the_log(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog *l = opened(s, &soon);
    struct watch w = {.s = s};
    pthread_t watcher = threads_start("watch", watch_head, &w);
    for (int i = 0; i < 300 || (head_seq(s) == 0 && i < 100000); i++) {
        commit(l);
    }
    txlog_close(l);
    w.over = true;
    assert_int_equal(pthread_join(watcher, NULL), 0);
}

static void a_head_that_cannot_be_written_hinders_nobody(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_fault_new(store_memory_new(), false);
    struct txlog *l = opened(s, &at_close);
    struct txlog_report report;
    struct err err = ERR_NONE;
    commit(l);
    store_fault_plan(s, (struct fault_plan){
                            .kind = FAULT_FAIL, .on = FAULT_ON_PUT, .at = 1, .from_then_on = true});
    assert_int_not_equal(txlog_head_write(l, &err), ERR_OK);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_NONE});
    commit(l);
    txlog_close(l);
    assert_int_equal(verify(s, NULL, &report, &err), ERR_OK);
    assert_int_equal(report.seen_seq, 2);
}

static void a_mark_that_was_kept_elsewhere_is_compared(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(store_closep) struct store *s = sample();
    struct txlog_report report;
    struct txlog_record r;
    struct err err = ERR_NONE;
    for (uint64_t seq = 1; seq <= 5; seq++) {
        assert_int_equal(txlog_record_read(s, seq, &a, &r, &err), ERR_OK);
        struct txlog_mark mark = {.seq = seq, .sha256 = r.sha256};
        assert_int_equal(verify(s, &mark, &report, &err), ERR_OK);
        mark.seq = seq % 5 + 1;
        assert_int_equal(verify(s, &mark, &report, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "not the one that was given"));
    }
    // All that the bucket says of itself can be taken back; what is kept elsewhere cannot.
    const struct txlog_mark last = {.seq = 5, .sha256 = r.sha256};
    cut(s, 4);
    erase(s, TXLOG_HEAD_NAME);
    assert_int_equal(verify(s, NULL, &report, &err), ERR_OK);
    assert_int_equal(verify(s, &last, &report, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "the newest records are missing"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_cut_short_is_seen_by_start_and_verification),
        cmocka_unit_test(without_a_head_verification_says_what_it_cannot_tell),
        cmocka_unit_test(a_head_that_is_behind_is_fine),
        cmocka_unit_test(a_torn_head_is_ignored_by_start_and_found_by_verification),
        cmocka_unit_test(a_head_of_another_log_stops_the_start),
        cmocka_unit_test(an_older_head_does_not_replace_a_newer_one),
        cmocka_unit_test(a_head_follows_by_itself),
        cmocka_unit_test(a_head_is_never_ahead_of_the_log),
        cmocka_unit_test(a_head_that_cannot_be_written_hinders_nobody),
        cmocka_unit_test(a_mark_that_was_kept_elsewhere_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
