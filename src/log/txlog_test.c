// Tests of the catalog log: commits, races, faults at every operation, and damage of every kind.

#include "log/txlog.h"

#include "base/clock.h"
#include "base/threads.h"
#include "log/txlog_int.h"
#include "store/store_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// jansson counts references with atomics, but reads a count plainly first and drops the last one
// without acquiring: harmless on the processors that we know, and none of ours to mend.
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race:libjansson.so\nrace:json_decref\nrace:json_incref\n";
}

static const struct txlog_options quiet = {
    .node = {"test", 4},
    .checkpoint_every = 1000000,
    .head_ms = 3600000, // at close
};

// One change: "entity", what is expected, and the value as JSON text ("null" deletes).
static json_t *change(const char *entity, uint64_t expect, const char *value) {
    return json_pack("{s:s, s:I, s:o}", "entity", entity, "expect", (json_int_t)expect, "value",
                     json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
}

// Commits one change, or none if entity is NULL.
static enum err_code commit(struct txlog *l, const char *entity, uint64_t expect, const char *value,
                            struct txn_outcome *ret) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(json_decrefp) json_t *changes = json_array();
    if (entity) {
        assert_int_equal(json_array_append_new(changes, change(entity, expect, value)), 0);
    }
    struct txn t = {.actor = STR("tester"),
                    .action = STR("test.set"),
                    .target = STR("test"),
                    .changes = changes};
    struct txn_outcome outcome = {0};
    struct err err = ERR_NONE;
    enum err_code code = txlog_commit(l, &t, &a, &outcome, &err);
    assert_int_equal(code, err.code);
    if (ret) {
        *ret = outcome;
        ret->id = STR_NONE;
    }
    return code;
}

static struct txlog *open_with(struct store *s, const struct txlog_options *options) {
    struct txlog *l = NULL;
    struct err err = ERR_NONE;
    enum err_code code = txlog_open(s, options, &l, &err);
    if (code != ERR_OK) {
        print_error("%s\n", err.msg);
    }
    assert_int_equal(code, ERR_OK);
    return l;
}

// Number in the member "n" of an entity; -1 if it does not exist.
static int64_t number(struct txlog *l, const char *entity, uint64_t *ret_version) {
    DEFER(json_decrefp) json_t *value = txlog_get(l, str_from(entity), ret_version);
    int64_t n = -1;
    return value && json_get_i64(value, "n", &n) ? n : -1;
}

// The report of a verification that must succeed.
static struct txlog_report verified(struct store *s) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txlog_report report = {0};
    struct err err = ERR_NONE;
    enum err_code code = txlog_verify(s, NULL, &a, &report, &err);
    if (code != ERR_OK) {
        print_error("%s\n", err.msg);
    }
    assert_int_equal(code, ERR_OK);
    report.head_sha256 = STR_NONE;
    return report;
}

static void add_one(struct txlog *l, const char *entity) {
    for (;;) {
        uint64_t version = 0;
        int64_t n = number(l, entity, &version);
        DEFER(arena_release) struct arena a = ARENA(4096);
        struct str value = arena_printf(&a, "{\"n\":%lld}", (long long)(n < 0 ? 1 : n + 1));
        enum err_code code = commit(l, entity, version, value.ptr, NULL);
        if (code == ERR_OK) {
            return;
        }
        assert_int_equal(code, ERR_CONFLICT);
    }
}

static void a_commit_is_seen_and_survives(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog *l = open_with(s, &quiet);
    struct txn_outcome outcome;
    uint64_t version = 7;
    assert_int_equal(txlog_seq(l), 0);
    assert_null(txlog_get(l, STR("a"), &version));
    assert_int_equal(version, 0);
    assert_int_equal(commit(l, "a", 0, "{\"n\":1}", &outcome), ERR_OK);
    assert_int_equal(outcome.seq, 1);
    assert_true(outcome.time_us > 0);
    assert_int_equal(commit(l, "b", 0, "{\"n\":2.5,\"t\":\"\\u0000é\"}", &outcome), ERR_OK);
    assert_int_equal(commit(l, "a", 1, "{\"n\":3}", &outcome), ERR_OK);
    assert_int_equal(commit(l, "b", 2, "null", &outcome), ERR_OK);
    assert_int_equal(commit(l, NULL, 0, NULL, &outcome), ERR_OK);
    assert_int_equal(outcome.seq, 5);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(txlog_seq(l), 5);
        assert_int_equal(number(l, "a", &version), 3);
        assert_int_equal(version, 3);
        assert_null(txlog_get(l, STR("b"), &version));
        txlog_close(l);
        l = open_with(s, &quiet); // first from the checkpoint that close has written
        struct err err = ERR_NONE;
        assert_int_equal(
            store_delete(s, STR("_catalog/checkpoint/00000000000000000005.json"), &err), ERR_OK);
    }
    txlog_close(l);
    struct txlog_report report = verified(s);
    assert_int_equal(report.records, 5);
    assert_int_equal(report.transactions, 5);
    assert_int_equal(report.changes, 4);
}

static void a_stale_expectation_is_a_conflict(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    DEFER(txlog_closep) struct txlog *l = open_with(s, &quiet);
    assert_int_equal(commit(l, "a", 1, "{}", NULL), ERR_CONFLICT);
    assert_int_equal(commit(l, "a", 0, "{}", NULL), ERR_OK);
    assert_int_equal(commit(l, "a", 0, "{}", NULL), ERR_CONFLICT);
    assert_int_equal(commit(l, "a", 2, "{}", NULL), ERR_CONFLICT);
    assert_int_equal(commit(l, "a", 1, "null", NULL), ERR_OK);
    assert_int_equal(commit(l, "a", 1, "{}", NULL), ERR_CONFLICT);
    assert_int_equal(commit(l, "a", 0, "{}", NULL), ERR_OK);
    assert_int_equal(txlog_seq(l), 3);
}

static void malformed_transactions_are_refused(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    DEFER(txlog_closep) struct txlog *l = open_with(s, &quiet);
    const char *twice = "[{\"entity\":\"a\",\"expect\":0,\"value\":{}},"
                        "{\"entity\":\"a\",\"expect\":1,\"value\":null}]";
    const char *bad[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"entity\":\"a\",\"expect\":0}]",
        "[{\"entity\":\"\",\"expect\":0,\"value\":{}}]",
        "[{\"entity\":\"a\\n\",\"expect\":0,\"value\":{}}]",
        "[{\"entity\":\"a\",\"expect\":-1,\"value\":{}}]",
        "[{\"entity\":\"a\",\"expect\":\"0\",\"value\":{}}]",
        "[{\"entity\":\"a\",\"expect\":0,\"value\":3}]",
        "[{\"entity\":\"a\",\"expect\":0,\"value\":{},\"more\":1}]",
        twice,
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        DEFER(json_decrefp) json_t *changes = json_loads(bad[i], 0, NULL);
        struct txn t = {.actor = STR("x"), .changes = changes};
        struct txn_outcome outcome;
        struct err err = ERR_NONE;
        assert_non_null(changes);
        assert_int_equal(txlog_commit(l, &t, &a, &outcome, &err), ERR_INVALID);
    }
    DEFER(json_decrefp) json_t *large = json_array();
    char *text = xcalloc(1, 5 << 20);
    memset(text, 'x', (5 << 20) - 1);
    assert_int_equal(json_array_append_new(large, json_pack("{s:s, s:i, s:{s:s}}", "entity", "a",
                                                            "expect", 0, "value", "t", text)),
                     0);
    freep(&text);
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txn t = {.actor = STR("x"), .changes = large};
    struct txn_outcome outcome;
    struct err err = ERR_NONE;
    assert_int_equal(txlog_commit(l, &t, &a, &outcome, &err), ERR_TOO_LARGE);
    assert_int_equal(txlog_seq(l), 0);
}

struct worker {
    struct txlog *log;
    int number;
    int commits;
};

static void *work(void *arg) {
    struct worker *w = arg;
    DEFER(arena_release) struct arena a = ARENA(4096);
    const char *own = arena_printf(&a, "own:%d", w->number).ptr;
    for (int i = 0; i < w->commits; i++) {
        add_one(w->log, "counter");
        add_one(w->log, own);
        txlog_read_lock(w->log);
        uint64_t version = 0;
        assert_true(number(w->log, own, &version) == i + 1);
        assert_true(version <= txlog_seq(w->log));
        txlog_read_unlock(w->log);
    }
    return NULL;
}

enum { WORKERS = 8 };

static void run_workers(struct txlog *const logs[2], int commits) {
    pthread_t threads[WORKERS];
    struct worker workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.log = logs[i % 2], .number = i, .commits = commits};
        threads[i] = threads_start("worker", work, &workers[i]);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void check_workers(struct txlog *l, int workers, int commits) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    assert_int_equal(number(l, "counter", NULL), workers * commits);
    for (int i = 0; i < workers; i++) {
        assert_int_equal(number(l, arena_printf(&a, "own:%d", i).ptr, NULL), commits);
    }
}

// Readers, writers, checkpoints, polls and two logs on one bucket, all at once.
static void threads_lose_and_double_nothing(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog_options options = quiet;
    options.checkpoint_every = 7;
    options.poll_ms = 1;
    struct txlog *logs[2] = {open_with(s, &options), open_with(s, &options)};
    run_workers(logs, 40);
    for (int i = 0; i < 2; i++) {
        struct err err = ERR_NONE;
        assert_int_equal(txlog_refresh(logs[i], 0, 0, &err), ERR_OK);
        check_workers(logs[i], WORKERS, 40);
        txlog_close(logs[i]);
    }
    assert_int_equal(verified(s).transactions, 2 * WORKERS * 40);
}

static void make_folder(char *ret, size_t size) {
    (void)snprintf(ret, size, "/tmp/tarn-log-test-XXXXXX");
    assert_non_null(mkdtemp(ret));
}

static void remove_folder(const char *path) {
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
}

enum { PROCESSES = 4, PROCESS_COMMITS = 200 };

static void work_in_child(const char *folder, int number_of_child) {
    struct store *s = NULL;
    struct err err = ERR_NONE;
    struct txlog_options options = quiet;
    options.checkpoint_every = 50;
    assert_int_equal(store_folder_open(folder, &s, &err), ERR_OK);
    struct worker w = {
        .log = open_with(s, &options), .number = number_of_child, .commits = PROCESS_COMMITS / 2};
    (void)work(&w);
    txlog_close(w.log);
    store_close(s);
}

static void processes_lose_and_double_nothing(void **state) {
    (void)state;
    char folder[64];
    make_folder(folder, sizeof folder);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            work_in_child(folder, i);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    struct store *s = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(store_folder_open(folder, &s, &err), ERR_OK);
    struct txlog *l = open_with(s, &quiet);
    check_workers(l, PROCESSES, PROCESS_COMMITS / 2);
    txlog_close(l);
    struct txlog_report report = verified(s);
    assert_int_equal(report.transactions, PROCESSES * PROCESS_COMMITS);
    // Those who write one at the same time do not know of each other's when they remove old ones.
    assert_in_range(report.checkpoints, 1, 3 + PROCESSES - 1);
    store_close(s);
    remove_folder(folder);
}

static void refresh_waits_for_a_record(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog_options reader_options = quiet;
    reader_options.read_only = true;
    DEFER(txlog_closep) struct txlog *writer = open_with(s, &quiet);
    DEFER(txlog_closep) struct txlog *reader = open_with(s, &reader_options);
    struct err err = ERR_NONE;
    assert_int_equal(commit(writer, "a", 0, "{\"n\":1}", NULL), ERR_OK);
    assert_int_equal(txlog_seq(reader), 0);
    assert_int_equal(txlog_refresh(reader, 1, 0, &err), ERR_OK);
    assert_int_equal(number(reader, "a", NULL), 1);
    assert_int_equal(txlog_refresh(reader, 2, 30, &err), ERR_TIMEOUT);
    assert_int_equal(commit(reader, "b", 0, "{}", NULL), ERR_DENIED);
    assert_int_equal(txlog_health(reader, &err), ERR_OK);
}

static size_t told;

static void count_changed(void *ctx, struct str key, uint64_t version, const json_t *value) {
    assert_ptr_equal(ctx, &told);
    assert_true(key.len > 0 && version > 0);
    told += value ? 1 : 100;
}

static void listeners_are_told_of_every_change(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog_options options = quiet;
    options.changed = count_changed;
    options.ctx = &told;
    told = 0;
    struct txlog *l = open_with(s, &options);
    assert_int_equal(commit(l, "a", 0, "{}", NULL), ERR_OK);
    assert_int_equal(commit(l, "b", 0, "{}", NULL), ERR_OK);
    assert_int_equal(commit(l, "a", 1, "null", NULL), ERR_OK);
    assert_int_equal(told, 102);
    txlog_close(l);
    l = open_with(s, &options); // from the checkpoint: b
    assert_int_equal(told, 103);
    txlog_close(l);
}

// What the author of a run of commits knows: each touches its own entity.
enum { MODEL_COMMITS = 12 };

struct model {
    enum err_code outcomes[MODEL_COMMITS];
    bool opened;
};

// Opens, commits, makes checkpoints and closes, whatever fails meanwhile.
static void run_model(struct store *s, struct model *m) {
    struct txlog *l = NULL;
    struct err err = ERR_NONE;
    m->opened = txlog_open(s, &quiet, &l, &err) == ERR_OK;
    for (int i = 0; m->opened && i < MODEL_COMMITS; i++) {
        DEFER(arena_release) struct arena a = ARENA(4096);
        DEFER(json_decrefp) json_t *changes = json_array();
        struct str value = arena_printf(&a, "{\"n\":%d}", i);
        const char *left = arena_printf(&a, "left:%d", i).ptr;
        const char *right = arena_printf(&a, "right:%d", i).ptr;
        assert_int_equal(json_array_append_new(changes, change(left, 0, value.ptr)), 0);
        assert_int_equal(json_array_append_new(changes, change(right, 0, value.ptr)), 0);
        struct txn t = {.actor = STR("model"), .changes = changes};
        struct txn_outcome outcome;
        m->outcomes[i] = txlog_commit(l, &t, &a, &outcome, &err);
        if (i % 5 == 4) {
            (void)txlog_checkpoint(l, &err);
        }
    }
    txlog_close(l);
}

// Every acknowledged transaction is there, none is there by halves, and what failed for good is
// not there.
static void check_model(struct txlog *l, const struct model *m) {
    for (int i = 0; i < MODEL_COMMITS; i++) {
        DEFER(arena_release) struct arena a = ARENA(4096);
        int64_t left = number(l, arena_printf(&a, "left:%d", i).ptr, NULL);
        int64_t right = number(l, arena_printf(&a, "right:%d", i).ptr, NULL);
        assert_int_equal(left, right);
        assert_true(left == -1 || left == i);
        if (m->opened && m->outcomes[i] == ERR_OK) {
            assert_int_equal(left, i);
        } else if (!m->opened || m->outcomes[i] != ERR_UNKNOWN) {
            assert_int_equal(left, -1);
        }
    }
}

// The record that a message names, or 0.
static uint64_t record_in(const struct err *err, struct arena *a) {
    for (uint64_t seq = 1; seq < 100; seq++) {
        if (str_starts(str_from(err->msg), txlog_record_name(seq, a))) {
            return seq;
        }
    }
    return 0;
}

// The store after the faults are over: sound, or torn at the last record and known to be.
static void check_after(struct store *inner, const struct model *m, bool may_be_torn) {
    struct txlog *l = NULL;
    struct err err = ERR_NONE;
    enum err_code code = txlog_open(inner, &quiet, &l, &err);
    if (may_be_torn && code == ERR_CORRUPT) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct txlog_report report = {0};
        struct str torn = txlog_record_name(record_in(&err, &a), &a);
        assert_int_equal(txlog_verify(inner, NULL, &a, &report, &err), ERR_CORRUPT);
        // Taking the torn record away by hand leaves a sound log.
        assert_int_equal(store_delete(inner, torn, &err), ERR_OK);
        code = txlog_open(inner, &quiet, &l, &err);
    }
    assert_int_equal(code, ERR_OK);
    check_model(l, m);
    assert_int_equal(commit(l, "after", 0, "{}", NULL), ERR_OK);
    txlog_close(l);
    if (!may_be_torn) { // a checkpoint may be
        (void)verified(inner);
    }
}

static void try_fault(struct fault_plan plan, bool *ret_fired) {
    DEFER(store_closep) struct store *inner = store_memory_new();
    DEFER(store_closep) struct store *s = store_fault_new(inner, true);
    struct model m = {.opened = false};
    store_fault_plan(s, plan);
    run_model(s, &m);
    *ret_fired = store_fault_fired(s);
    check_after(inner, &m, plan.kind == FAULT_TEAR);
    if (plan.kind == FAULT_NONE || plan.kind == FAULT_FLIP ||
        (plan.kind == FAULT_LOST_REPLY && !plan.from_then_on && plan.on == FAULT_ON_PUT)) {
        for (int i = 0; i < MODEL_COMMITS; i++) {
            assert_int_equal(m.outcomes[i], ERR_OK);
        }
    }
}

static void every_fault_at_every_operation_is_survived(void **state) {
    (void)state;
    const enum fault_kind kinds[] = {FAULT_FAIL, FAULT_LOST_REPLY, FAULT_TEAR, FAULT_CRASH,
                                     FAULT_FLIP};
    const unsigned on[] = {0, FAULT_ON_GET, FAULT_ON_PUT, FAULT_ON_LIST, FAULT_ON_DELETE};
    for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(on) * 2; i++) {
        struct fault_plan plan = {.kind = kinds[i % ARRAY_LEN(kinds)],
                                  .on = on[i / ARRAY_LEN(kinds) % ARRAY_LEN(on)],
                                  .from_then_on = i >= ARRAY_LEN(kinds) * ARRAY_LEN(on)};
        // All later puts fail, each after several tries: a few places will do.
        uint64_t step = plan.from_then_on ? 7 : 1;
        int silent = 0;
        for (plan.at = 1; silent < 8 && plan.at < 200; plan.at += step) {
            bool fired = false;
            if (plan.from_then_on && plan.kind == FAULT_FLIP) {
                break; // a store that never reads right is no store
            }
            try_fault(plan, &fired);
            silent = fired ? 0 : silent + 1;
        }
    }
}

// Faults strike at random while two logs commit; the model knows what each author was told.
static void random_faults_under_load_are_survived(void **state) {
    (void)state;
    unsigned seed = 7;
    for (int round = 0; round < 60; round++) {
        DEFER(store_closep) struct store *inner = store_memory_new();
        struct store *stores[2] = {store_fault_new(inner, true), store_fault_new(inner, true)};
        struct txlog *logs[2] = {open_with(stores[0], &quiet), open_with(stores[1], &quiet)};
        enum err_code outcomes[40];
        for (int i = 0; i < 40; i++) {
            DEFER(arena_release) struct arena a = ARENA(4096);
            int which = rand_r(&seed) % 2;
            enum fault_kind kind = rand_r(&seed) % 2 ? FAULT_FAIL : FAULT_LOST_REPLY;
            store_fault_plan(stores[which],
                             (struct fault_plan){.kind = rand_r(&seed) % 3 ? FAULT_NONE : kind,
                                                 .at = 1 + (unsigned)rand_r(&seed) % 4});
            outcomes[i] =
                commit(logs[which], arena_printf(&a, "e:%d", i).ptr, 0, "{\"n\":1}", NULL);
        }
        for (int i = 0; i < 2; i++) {
            store_fault_plan(stores[i], (struct fault_plan){.kind = FAULT_NONE});
            txlog_close(logs[i]);
            store_close(stores[i]);
        }
        struct txlog *l = open_with(inner, &quiet);
        for (int i = 0; i < 40; i++) {
            DEFER(arena_release) struct arena a = ARENA(4096);
            int64_t n = number(l, arena_printf(&a, "e:%d", i).ptr, NULL);
            assert_true(outcomes[i] != ERR_CONFLICT);
            assert_true(outcomes[i] == ERR_UNKNOWN || (n == 1) == (outcomes[i] == ERR_OK));
        }
        txlog_close(l);
        (void)verified(inner);
    }
}

static void an_unknown_outcome_stops_commits_until_it_is_learnt(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_fault_new(store_memory_new(), false);
    DEFER(txlog_closep) struct txlog *l = open_with(s, &quiet);
    struct err err = ERR_NONE;
    store_fault_plan(s,
                     (struct fault_plan){.kind = FAULT_LOST_REPLY, .at = 1, .from_then_on = true});
    assert_int_equal(commit(l, "a", 0, "{\"n\":1}", NULL), ERR_UNKNOWN);
    assert_int_equal(txlog_health(l, &err), ERR_UNKNOWN);
    assert_int_equal(commit(l, "b", 0, "{}", NULL), ERR_BUSY);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_NONE});
    assert_int_equal(commit(l, "c", 0, "{\"n\":1}", NULL), ERR_OK);
    assert_int_equal(txlog_health(l, &err), ERR_OK);
    assert_int_equal(number(l, "a", NULL), 1);
    assert_int_equal(number(l, "b", NULL), -1);
    assert_int_equal(txlog_seq(l), 2);
}

static int no_flush(int fd) {
    (void)fd;
    return -1;
}

static void nothing_is_acknowledged_after_a_failed_flush(void **state) {
    (void)state;
    char folder[64];
    make_folder(folder, sizeof folder);
    struct store *s = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(store_folder_open(folder, &s, &err), ERR_OK);
    struct txlog *l = open_with(s, &quiet);
    assert_int_equal(commit(l, "a", 0, "{}", NULL), ERR_OK);
    store_folder_set_fsync(s, no_flush);
    assert_int_equal(commit(l, "b", 0, "{}", NULL), ERR_UNKNOWN);
    store_folder_set_fsync(s, NULL);
    assert_int_equal(commit(l, "c", 0, "{}", NULL), ERR_UNKNOWN);
    assert_int_equal(txlog_health(l, &err), ERR_UNKNOWN);
    txlog_close(l);
    store_close(s);
    remove_folder(folder);
}

// A log of ten records with checkpoints after 3, 6 and 10.
static struct store *sample_store(void) {
    struct store *s = store_memory_new();
    struct txlog *l = open_with(s, &quiet);
    struct err err = ERR_NONE;
    for (int i = 1; i <= 10; i++) {
        DEFER(arena_release) struct arena a = ARENA(4096);
        assert_int_equal(commit(l, arena_printf(&a, "e:%d", i % 4).ptr, i > 4 ? (uint64_t)i - 4 : 0,
                                "{\"n\":1,\"deep\":{\"x\":[1,2]}}", NULL),
                         ERR_OK);
        if (i == 3 || i == 6) {
            assert_int_equal(txlog_checkpoint(l, &err), ERR_OK);
        }
    }
    txlog_close(l);
    return s;
}

static struct str bytes_of(struct store *s, struct str name, struct arena *a) {
    struct str bytes = STR_NONE;
    struct err err = ERR_NONE;
    assert_int_equal(store_get(s, name, a, &bytes, &err), ERR_OK);
    return bytes;
}

static void put_bytes(struct store *s, struct str name, struct str bytes) {
    struct err err = ERR_NONE;
    assert_int_equal(store_put(s, name, bytes, &err), ERR_OK);
}

static void assert_found(struct store *s, struct str name) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txlog_report report;
    struct err err = ERR_NONE;
    assert_int_equal(txlog_verify(s, NULL, &a, &report, &err), ERR_CORRUPT);
    assert_true(str_find(str_from(err.msg), name) >= 0);
}

static struct str any_object(unsigned *seed, struct arena *a) {
    const uint64_t checkpoints[] = {3, 6, 10};
    unsigned which = (unsigned)rand_r(seed) % 13;
    return which < 10 ? txlog_record_name(which + 1, a)
                      : txlog_checkpoint_name(checkpoints[which - 10], a);
}

static void every_flipped_bit_and_cut_is_found(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample_store();
    unsigned seed = 1;
    (void)verified(s);
    for (int i = 0; i < 10000; i++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct str name = any_object(&seed, &a);
        struct str bytes = bytes_of(s, name, &a);
        char *damaged = arena_cstr(&a, bytes);
        size_t len = bytes.len;
        if (i % 4 == 0) {
            len = (unsigned)rand_r(&seed) % bytes.len;
        } else {
            size_t at = (unsigned)rand_r(&seed) % bytes.len;
            damaged[at] = (char)((unsigned char)damaged[at] ^ (1U << (rand_r(&seed) % 8)));
        }
        put_bytes(s, name, (struct str){damaged, len});
        assert_found(s, name);
        put_bytes(s, name, bytes);
    }
    (void)verified(s);
}

static void missing_swapped_and_foreign_objects_are_found(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample_store();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    for (uint64_t i = 1; i <= 10; i++) { // the last one too: a checkpoint stands on it
        struct str name = txlog_record_name(i, &a);
        struct str bytes = bytes_of(s, name, &a);
        struct txlog *l = NULL;
        assert_int_equal(store_delete(s, name, &err), ERR_OK);
        assert_found(s, name);
        if (i > 6) {
            assert_int_equal(txlog_open(s, &quiet, &l, &err), i == 10 ? ERR_CORRUPT : ERR_OK);
            txlog_close(l);
        }
        put_bytes(s, name, bytes);
        for (uint64_t j = i + 1; j <= 10; j++) {
            struct str other = txlog_record_name(j, &a);
            struct str other_bytes = bytes_of(s, other, &a);
            put_bytes(s, name, other_bytes);
            put_bytes(s, other, bytes);
            assert_found(s, name);
            put_bytes(s, name, bytes);
            put_bytes(s, other, other_bytes);
        }
    }
    const struct str foreign[] = {STR("_catalog/log/x.json"), STR("_catalog/log/1.json"),
                                  STR("_catalog/log/00000000000000000000.json"),
                                  STR("_catalog/checkpoint/0000000000000000000x.json")};
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        put_bytes(s, foreign[i], STR("{}"));
        assert_found(s, foreign[i]);
        assert_int_equal(store_delete(s, foreign[i], &err), ERR_OK);
    }
    (void)verified(s);
}

// A record that was rewritten with care has its own hash right, but not that of its successor.
static void a_rewritten_record_breaks_the_chain(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample_store();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    struct txlog_record r;
    assert_int_equal(txlog_record_read(s, 5, &a, &r, &err), ERR_OK);
    struct str text = json_text(json_array_get(r.transactions, 0), &a);
    r.time_us++;
    put_bytes(s, txlog_record_name(5, &a), txlog_record_encode(&r, &text, 1, &a));
    assert_found(s, txlog_record_name(6, &a));
}

static void a_damaged_checkpoint_costs_no_data(void **state) {
    (void)state;
    const uint64_t checkpoints[] = {10, 6, 3};
    DEFER(store_closep) struct store *s = sample_store();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(checkpoints); i++) {
        struct str name = txlog_checkpoint_name(checkpoints[i], &a);
        struct str bytes = bytes_of(s, name, &a);
        char *damaged = arena_cstr(&a, bytes);
        damaged[bytes.len / 2] ^= 1;
        put_bytes(s, name, (struct str){damaged, bytes.len});
        struct txlog_options options = quiet;
        options.read_only = true;
        struct txlog *l = open_with(s, &options);
        uint64_t version = 0;
        assert_int_equal(txlog_seq(l), 10);
        assert_int_equal(number(l, "e:2", &version), 1);
        assert_int_equal(version, 10);
        txlog_close(l);
    }
}

struct walked {
    uint64_t first, last;
    int count;
    int stop_after;
};

static bool note_walked(void *ctx, const struct txlog_item *item) {
    struct walked *w = ctx;
    struct str action = STR_NONE;
    assert_true(json_get_str(item->transaction, "action", &action) && str_is(action, "test.set"));
    assert_true(item->time_us > 0);
    assert_true(str_is(item->node, "test"));
    w->first = w->first ? w->first : item->seq;
    w->last = item->seq;
    return ++w->count != w->stop_after;
}

static void gaps_are_found_at_open(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample_store();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    const uint64_t checkpoints[] = {10, 6, 3};
    for (size_t i = 0; i < ARRAY_LEN(checkpoints); i++) {
        assert_int_equal(store_delete(s, txlog_checkpoint_name(checkpoints[i], &a), &err), ERR_OK);
    }
    struct txlog *l = NULL;
    struct str gone = txlog_record_name(4, &a);
    assert_int_equal(store_delete(s, gone, &err), ERR_OK);
    assert_int_equal(txlog_open(s, &quiet, &l, &err), ERR_CORRUPT);
    assert_true(str_find(str_from(err.msg), gone) >= 0);
    struct walked w = {0};
    struct txlog_walker walker = {.fn = note_walked, .ctx = &w};
    assert_int_equal(txlog_walk(s, 1, 0, &walker, &err), ERR_CORRUPT);
    assert_int_equal(txlog_walk_back(s, 10, 1, &walker, &err), ERR_CORRUPT);
    assert_true(str_find(str_from(err.msg), gone) >= 0);
}

static void a_torn_last_record_stops_the_log(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_fault_new(store_memory_new(), false);
    struct txlog *l = open_with(s, &quiet);
    struct err err = ERR_NONE;
    assert_int_equal(commit(l, "a", 0, "{}", NULL), ERR_OK);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_TEAR, .on = FAULT_ON_PUT, .at = 1});
    assert_int_equal(commit(l, "b", 0, "{}", NULL), ERR_CORRUPT);
    assert_int_equal(commit(l, "c", 0, "{}", NULL), ERR_CORRUPT);
    assert_int_equal(txlog_health(l, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "_catalog/log/00000000000000000002.json"));
    txlog_close(l);
    assert_int_equal(txlog_open(s, &quiet, &l, &err), ERR_CORRUPT);
}

static void walks_go_from_record_to_record(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample_store();
    struct err err = ERR_NONE;
    const struct {
        uint64_t from, to;
        int stop_after;
        uint64_t first, last;
    } rows[] = {{0, 0, 0, 1, 10}, {3, 5, 0, 3, 5}, {9, 99, 0, 9, 10}, {2, 0, 3, 2, 4}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct walked w = {.stop_after = rows[i].stop_after};
        struct txlog_walker walker = {.fn = note_walked, .ctx = &w};
        assert_int_equal(txlog_walk(s, rows[i].from, rows[i].to, &walker, &err), ERR_OK);
        assert_int_equal(w.first, rows[i].first);
        assert_int_equal(w.last, rows[i].last);
    }
}

static void the_hash_of_a_record_is_what_the_next_one_names(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample_store();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    struct str sha256 = STR_NONE;
    for (uint64_t seq = 1; seq < 10; seq++) {
        struct txlog_record next;
        assert_int_equal(txlog_record_sha256(s, seq, &a, &sha256, &err), ERR_OK);
        assert_int_equal(txlog_record_read(s, seq + 1, &a, &next, &err), ERR_OK);
        assert_true(str_eq(next.prev_sha256, sha256));
    }
    assert_int_equal(txlog_record_sha256(s, 11, &a, &sha256, &err), ERR_NOT_FOUND);
    assert_int_equal(store_put(s, txlog_record_name(3, &a), STR("{}"), &err), ERR_OK);
    assert_int_equal(txlog_record_sha256(s, 3, &a, &sha256, &err), ERR_CORRUPT);
}

static void walks_back_go_from_the_newest_to_the_oldest(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = sample_store();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct err err = ERR_NONE;
    const struct {
        uint64_t from, to;
        int stop_after;
        uint64_t first, last;
    } rows[] = {{10, 0, 0, 10, 1}, {5, 3, 0, 5, 3}, {9, 1, 3, 9, 7}, {4, 4, 0, 4, 4}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct walked w = {.stop_after = rows[i].stop_after};
        struct txlog_walker walker = {.fn = note_walked, .ctx = &w};
        assert_int_equal(txlog_walk_back(s, rows[i].from, rows[i].to, &walker, &err), ERR_OK);
        assert_int_equal(w.first, rows[i].first);
        assert_int_equal(w.last, rows[i].last);
    }
    struct txlog_record r;
    assert_int_equal(txlog_record_read(s, 5, &a, &r, &err), ERR_OK);
    struct str text = json_text(json_array_get(r.transactions, 0), &a);
    r.time_us++;
    put_bytes(s, txlog_record_name(5, &a), txlog_record_encode(&r, &text, 1, &a));
    struct walked w = {0};
    struct txlog_walker walker = {.fn = note_walked, .ctx = &w};
    assert_int_equal(txlog_walk_back(s, 10, 1, &walker, &err), ERR_CORRUPT);
    assert_int_equal(w.last, 6);
}

static void notes_that_come_together_share_a_record(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog *l = open_with(s, &quiet);
    struct err err = ERR_NONE;
    struct txn notes[100];
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        notes[i] = (struct txn){.actor = STR("tester"),
                                .action = STR("test.set"),
                                .target = STR("test"),
                                .outcome = STR("not_found")};
    }
    assert_int_equal(txlog_note(l, notes, ARRAY_LEN(notes), NULL, &err), ERR_OK);
    assert_int_equal(txlog_seq(l), 1);
    struct walked w = {0};
    struct txlog_walker walker = {.fn = note_walked, .ctx = &w};
    assert_int_equal(txlog_walk(s, 1, 0, &walker, &err), ERR_OK);
    assert_int_equal(w.count, 100);
    txlog_close(l);
    assert_int_equal(verified(s).transactions, 100);
}

static void a_large_checkpoint_loads_fast(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    struct txlog *l = open_with(s, &quiet);
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    char text[1001] = "";
    memset(text, 't', 1000);
    for (int i = 0; i < 10; i++) {
        DEFER(json_decrefp) json_t *changes = json_array();
        for (int j = 0; j < 1000; j++) {
            const char *key = arena_printf(&a, "e:%d", i * 1000 + j).ptr;
            assert_int_equal(
                json_array_append_new(changes, json_pack("{s:s, s:i, s:{s:s}}", "entity", key,
                                                         "expect", 0, "value", "text", text)),
                0);
        }
        struct txn t = {.actor = STR("x"), .changes = changes};
        struct txn_outcome outcome;
        struct err err = ERR_NONE;
        assert_int_equal(txlog_commit(l, &t, &a, &outcome, &err), ERR_OK);
    }
    txlog_close(l);
    int64_t start_us = clock_mono_us();
    l = open_with(s, &quiet);
    int64_t took_us = clock_mono_us() - start_us;
    print_message("10000 entities of 1 KB: %lld ms\n", (long long)(took_us / 1000));
    assert_true(took_us < 5000000); // sanitizers are slow; without them it is a fiftieth
    assert_non_null(strstr(text, "t"));
    json_decref(txlog_get(l, STR("e:9999"), NULL));
    txlog_close(l);
}

static void old_checkpoints_go_records_stay(void **state) {
    (void)state;
    DEFER(store_closep) struct store *s = store_memory_new();
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txlog *l = open_with(s, &quiet);
    struct err err = ERR_NONE;
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(commit(l, "a", i, "{}", NULL), ERR_OK);
        assert_int_equal(txlog_checkpoint(l, &err), ERR_OK);
    }
    txlog_close(l);
    struct store_list list = {0};
    assert_int_equal(
        store_list(s, &(struct store_page){TXLOG_CHECKPOINT_PREFIX, STR(""), 100}, &a, &list, &err),
        ERR_OK);
    assert_int_equal(list.count, 3);
    assert_true(str_eq(list.entries[2].name, txlog_checkpoint_name(8, &a)));
    assert_int_equal(verified(s).records, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_seen_and_survives),
        cmocka_unit_test(a_stale_expectation_is_a_conflict),
        cmocka_unit_test(malformed_transactions_are_refused),
        cmocka_unit_test(processes_lose_and_double_nothing),
        cmocka_unit_test(threads_lose_and_double_nothing),
        cmocka_unit_test(refresh_waits_for_a_record),
        cmocka_unit_test(listeners_are_told_of_every_change),
        cmocka_unit_test(every_fault_at_every_operation_is_survived),
        cmocka_unit_test(random_faults_under_load_are_survived),
        cmocka_unit_test(an_unknown_outcome_stops_commits_until_it_is_learnt),
        cmocka_unit_test(nothing_is_acknowledged_after_a_failed_flush),
        cmocka_unit_test(every_flipped_bit_and_cut_is_found),
        cmocka_unit_test(missing_swapped_and_foreign_objects_are_found),
        cmocka_unit_test(a_rewritten_record_breaks_the_chain),
        cmocka_unit_test(a_damaged_checkpoint_costs_no_data),
        cmocka_unit_test(gaps_are_found_at_open),
        cmocka_unit_test(a_torn_last_record_stops_the_log),
        cmocka_unit_test(walks_go_from_record_to_record),
        cmocka_unit_test(the_hash_of_a_record_is_what_the_next_one_names),
        cmocka_unit_test(walks_back_go_from_the_newest_to_the_oldest),
        cmocka_unit_test(notes_that_come_together_share_a_record),
        cmocka_unit_test(a_large_checkpoint_loads_fast),
        cmocka_unit_test(old_checkpoints_go_records_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
