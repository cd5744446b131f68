// Tests of the policy: it does what is due, one at a time, and is quiet otherwise.

#include "upkeep/lake_test.h"

#include "base/clock.h"

#include <time.h>

static struct jobs *jobs;
static struct upkeep_policy *policy;

static void begin(int64_t snapshots_max) {
    const struct jobs_options j = {.workers = 1, .queued_max = 10, .kept_max = 100};
    const struct upkeep_policy_options o = {
        .interval_ms = 20, .small_files = 4, .deletes_percent = 20};
    const struct upkeep_options u = {.cache = arena_printf(&world.texts, "%s/spool", world.root),
                                     .memory_bytes = 256 << 20,
                                     .target_bytes = 1 << 20,
                                     .snapshots_max = snapshots_max};
    upkeep_free(upkeep);
    upkeep = upkeep_new(world.tables, &u);
    jobs = jobs_new(&j);
    policy = upkeep_policy_new(upkeep, jobs, &o);
}

static int end(void **state) {
    upkeep_policy_stop(policy);
    jobs_close(TAKE(jobs));
    upkeep_policy_free(TAKE(policy));
    return teardown(state);
}

static void pause_ms(int64_t ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static size_t job_count(void) {
    struct job_views list;
    jobs_list(jobs, STR_NONE, STR_NONE, 50, &world.arena, &list);
    for (size_t i = 0; i < list.count; i++) {
        assert_str(list.items[i].kind, "upkeep");
        assert_str(list.items[i].target, "d");
        assert_int_not_equal(list.items[i].state, JOB_FAILED);
    }
    return list.count;
}

static bool has_files(int64_t n) {
    return lake_dataset().files == n;
}

static bool has_no_deletes(int64_t n) {
    (void)n;
    return str_eq(lake_value_at(0, true, "count(*)"), lake_value_at(0, false, "count(*)"));
}

static int64_t snapshot_count(void) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    const struct table_want want = {.name = STR("d")};
    struct table_pin pin;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    return (int64_t)pin.metadata->snapshot_count;
}

static bool has_snapshots_at_most(int64_t n) {
    return snapshot_count() <= n;
}

static void wait_until(bool (*what)(int64_t n), int64_t n) {
    const int64_t end_us = clock_mono_us() + 30000000;
    while (!what(n) && clock_mono_us() < end_us) {
        pause_ms(10);
    }
    assert_true(what(n));
    while (jobs_active(jobs, "upkeep", STR_NONE)) {
        pause_ms(5);
    }
}

static void append(int i) {
    char source[96];
    (void)snprintf(source, sizeof(source), "(SELECT i AS id, i AS v FROM range(%d, %d) r(i))",
                   i * 100, i * 100 + 100);
    lake_write(i == 0 ? TABLE_CREATE : TABLE_APPEND, source);
}

static void small_files_are_put_together_and_then_it_is_quiet(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        append(i);
    }
    begin(1000);
    pause_ms(200);
    assert_int_equal(job_count(), 0); // two files too many are no reason
    append(3);
    append(4);
    wait_until(has_files, 1);
    assert_str(lake_value_at(0, false, "count(*) || ' ' || sum(id)"), "500 124750");
    const size_t done = job_count();
    const uint64_t version = lake_dataset().version;
    pause_ms(300);
    assert_int_equal(job_count(), done);
    assert_int_equal(lake_dataset().version, version);
}

static void many_deletes_are_applied(void **state) {
    (void)state;
    append(0);
    lake_delta(TABLE_DELTA_DELETE, "(SELECT i AS id FROM range(19) r(i))");
    begin(1000);
    pause_ms(200);
    assert_int_equal(job_count(), 0);
    lake_delta(TABLE_DELTA_DELETE, "(VALUES (50)) t(id)");
    wait_until(has_no_deletes, 0);
    assert_str(lake_value_at(0, false, "count(*)"), "80");
    assert_int_equal(job_count(), 1);
}

static void too_many_snapshots_expire_however_young(void **state) {
    (void)state;
    append(0);
    begin(5);
    for (int i = 0; i < 8; i++) {
        char source[64];
        (void)snprintf(source, sizeof(source), "(VALUES (%d)) t(id)", i);
        lake_delta(TABLE_DELTA_DELETE, source);
    }
    wait_until(has_snapshots_at_most, 6); // one more than are kept is no reason
    assert_str(lake_value_at(0, false, "count(*)"), "92");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_files_are_put_together_and_then_it_is_quiet, setup,
                                        end),
        cmocka_unit_test_setup_teardown(many_deletes_are_applied, setup, end),
        cmocka_unit_test_setup_teardown(too_many_snapshots_expire_however_young, setup, end),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
