// Tests of jobs: states, progress, cancelling, and what is kept.

#include "jobs/jobs.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct jobs *jobs;
static struct arena arena;

static int setup(void **state) {
    (void)state;
    const struct jobs_options o = {.workers = 1, .queued_max = 3, .kept_max = 2};
    arena = ARENA(1 << 20);
    jobs = jobs_new(&o);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    jobs_close(jobs);
    arena_release(&arena);
    return 0;
}

// Work that does as it is told.
struct work {
    _Atomic bool go; // may end
    bool fails;
    _Atomic int runs, releases, hooks;
};

static void work_hook(void *arg) {
    struct work *w = arg;
    w->hooks++;
    w->go = true;
}

static enum err_code work_run(struct job *job, void *ctx, struct arena *a, json_t **ret,
                              struct err *err) {
    struct work *w = ctx;
    (void)a;
    w->runs++;
    job_on_cancel(job, work_hook, w);
    job_progress(job, 1, 2);
    while (!w->go) {
        if (job_pause(job, 1000, err) != ERR_OK) {
            break;
        }
    }
    TRY(job_check(job, err));
    if (w->fails) {
        return err_set(err, ERR_DATA, "no good");
    }
    *ret = json_pack("{s:i}", "answer", 42);
    return ERR_OK;
}

static void work_release(void *ctx) {
    struct work *w = ctx;
    w->releases++;
}

static struct job_spec spec_of(struct work *w) {
    return (struct job_spec){.kind = "test",
                             .target = STR("t"),
                             .principal = STR("somebody"),
                             .run = work_run,
                             .release = work_release,
                             .ctx = w};
}

static enum err_code start(struct work *w, struct str *ret, struct err *err) {
    const struct job_spec spec = spec_of(w);
    *err = ERR_NONE;
    return jobs_start(jobs, &spec, &arena, ret, err);
}

static struct job_view wait_for(struct str id, enum job_state state) {
    struct job_view v = {0};
    struct err err = ERR_NONE;
    const int64_t end_us = clock_mono_us() + 20000000;
    do {
        const struct job_wait wait = {id, v.change, end_us};
        assert_int_equal(jobs_wait(jobs, &wait, &arena, &v, &err), ERR_OK);
    } while (v.state != state && !job_state_is_end(v.state) && clock_mono_us() < end_us);
    assert_int_equal(v.state, state);
    return v;
}

// A job is running from when a worker has taken it, a little before its work begins: this waits
// until that has set its hook.
static struct job_view wait_for_work(struct str id) {
    struct err err = ERR_NONE;
    struct job_view v = wait_for(id, JOB_RUNNING);
    while (v.done == 0 && v.state == JOB_RUNNING) {
        const struct job_wait wait = {id, v.change, clock_mono_us() + 1000000};
        assert_int_equal(jobs_wait(jobs, &wait, &arena, &v, &err), ERR_OK);
    }
    assert_int_equal(v.done, 1);
    return v;
}

static void a_job_runs_to_its_result(void **state) {
    (void)state;
    struct work w = {0};
    struct str id;
    struct err err;
    assert_int_equal(start(&w, &id, &err), ERR_OK);
    struct job_view v = wait_for_work(id);
    assert_int_equal(v.total, 2);
    assert_true(jobs_active(jobs, "test", STR("t")));
    w.go = true;
    v = wait_for(id, JOB_DONE);
    assert_true(str_is(v.result, "{\"answer\":42}"));
    assert_true(str_is(v.kind, "test") && str_is(v.target, "t"));
    assert_true(v.ended_us >= v.started_us && v.started_us >= v.created_us);
    assert_int_equal(w.releases, 1);
    assert_false(jobs_active(jobs, "test", STR_NONE));
}

static void a_failure_keeps_its_code_and_message(void **state) {
    (void)state;
    struct work w = {.go = true, .fails = true};
    struct str id;
    struct err err;
    assert_int_equal(start(&w, &id, &err), ERR_OK);
    const struct job_view v = wait_for(id, JOB_FAILED);
    assert_int_equal(v.code, ERR_DATA);
    assert_true(str_is(v.message, "no good"));
    assert_int_equal(v.result.len, 0);
    assert_int_equal(w.releases, 1);
}

static void one_that_runs_is_stopped_by_its_hook(void **state) {
    (void)state;
    struct work w = {0};
    struct str id;
    struct err err;
    assert_int_equal(start(&w, &id, &err), ERR_OK);
    (void)wait_for_work(id);
    assert_int_equal(jobs_cancel(jobs, id, &err), ERR_OK);
    (void)wait_for(id, JOB_CANCELLED);
    assert_int_equal(w.hooks, 1);
    assert_int_equal(w.releases, 1);
    assert_int_equal(jobs_cancel(jobs, id, &err), ERR_CONFLICT);
}

static void one_that_waits_ends_at_once_and_never_runs(void **state) {
    (void)state;
    struct work first = {0};
    struct work second = {0};
    struct str ids[2];
    struct err err;
    assert_int_equal(start(&first, &ids[0], &err), ERR_OK);
    (void)wait_for(ids[0], JOB_RUNNING);
    assert_int_equal(start(&second, &ids[1], &err), ERR_OK);
    assert_int_equal(jobs_cancel(jobs, ids[1], &err), ERR_OK);
    (void)wait_for(ids[1], JOB_CANCELLED);
    assert_int_equal(second.releases, 1);
    first.go = true;
    (void)wait_for(ids[0], JOB_DONE);
    assert_int_equal(second.runs, 0);
}

static void too_many_that_wait_are_refused(void **state) {
    (void)state;
    struct work w[5] = {0};
    struct str id;
    struct err err;
    assert_int_equal(start(&w[0], &id, &err), ERR_OK);
    (void)wait_for_work(id);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(start(&w[i], &id, &err), ERR_OK);
    }
    assert_int_equal(start(&w[4], &id, &err), ERR_BUSY);
    assert_int_equal(w[4].releases, 1);
    jobs_stop(jobs); // one runs, three wait: all end
    assert_int_equal(start(&w[4], &id, &err), ERR_BUSY);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(w[i].runs, 0);
        assert_int_equal(w[i].releases, 1);
    }
    jobs_close(jobs); // waits for the one that ran
    jobs = NULL;
    assert_int_equal(w[0].releases, 1);
}

static void the_newest_are_kept_and_listed_in_pages(void **state) {
    (void)state;
    struct work w = {.go = true};
    struct str ids[5];
    struct err err;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(start(&w, &ids[i], &err), ERR_OK);
        (void)wait_for(ids[i], JOB_DONE);
    }
    // The worker lets go of a job just after it has ended.
    struct job_views list;
    for (int i = 0; i < 2000; i++) {
        jobs_list(jobs, STR_NONE, STR_NONE, 10, &arena, &list);
        if (list.count <= 2) {
            break;
        }
        const struct job_wait wait = {ids[4], UINT64_MAX, clock_mono_us() + 1000};
        (void)jobs_wait(jobs, &wait, &arena, &(struct job_view){0}, &err);
    }
    assert_int_equal(list.count, 2);
    assert_true(str_eq(list.items[0].id, ids[4]));
    assert_true(str_eq(list.items[1].id, ids[3]));
    jobs_list(jobs, STR_NONE, STR_NONE, 1, &arena, &list);
    assert_true(list.more);
    jobs_list(jobs, STR_NONE, list.items[0].id, 1, &arena, &list);
    assert_int_equal(list.count, 1);
    assert_false(list.more);
    assert_true(str_eq(list.items[0].id, ids[3]));
    struct job_view v;
    assert_int_equal(jobs_get(jobs, ids[0], &arena, &v, &err), ERR_NOT_FOUND);
}

static struct job *seen;

static void note(void *ctx, struct job *job) {
    (void)ctx;
    seen = job;
    if (job != NULL) {
        struct job_views list;
        jobs_list(jobs, STR_NONE, STR_NONE, 1, &arena, &list);
        assert_int_equal(list.items[0].state, JOB_RUNNING);
        job_cancel(job);
    }
}

static void work_of_the_caller_is_seen_and_can_be_stopped(void **state) {
    (void)state;
    struct work w = {.go = true};
    const struct job_spec spec = spec_of(&w);
    const struct jobs_watch watch = {note, NULL};
    struct err err = ERR_NONE;
    DEFER(json_decrefp) json_t *result = NULL;
    assert_int_equal(jobs_run(jobs, &spec, NULL, &result, &err), ERR_OK);
    assert_int_equal(json_integer_value(json_object_get(result, "answer")), 42);
    seen = NULL;
    json_t *none = NULL;
    assert_int_equal(jobs_run(jobs, &spec, &watch, &none, &err), ERR_CANCELLED);
    assert_null(none);
    assert_null(seen);
    assert_int_equal(w.releases, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_job_runs_to_its_result),
        TEST(a_failure_keeps_its_code_and_message),
        TEST(one_that_runs_is_stopped_by_its_hook),
        TEST(one_that_waits_ends_at_once_and_never_runs),
        TEST(too_many_that_wait_are_refused),
        TEST(the_newest_are_kept_and_listed_in_pages),
        TEST(work_of_the_caller_is_seen_and_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
