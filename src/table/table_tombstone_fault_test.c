// Tests of faults: tombstones, their undoing, and rows that come to them, with every fault at the
// n-th operation of the store, are whole or undone.

#include "table/tomb_test.h"

enum change { FIRST, FURTHER, UNDO, LAST_UNDO, APPEND, CHANGES };

// Visible rows, and the list, before and after.
static const struct {
    const char *name, *tombstones, *before, *after;
} changes[] = {
    [FIRST] = {"first", "", "1=10 2=20 3=30 []", "1=10 3=30 [2]"},
    [FURTHER] = {"further", "2", "1=10 3=30 [2]", "1=10 [2 3]"},
    [UNDO] = {"undo", "2 3", "1=10 [2 3]", "1=10 2=20 [3]"},
    [LAST_UNDO] = {"last undo", "2", "1=10 3=30 [2]", "1=10 2=20 3=30 []"},
    [APPEND] = {"append", "2", "1=10 3=30 [2]", "1=10 3=30 4=40 [2]"},
};

static enum err_code make_change(enum change c) {
    struct table_tombstoned done;
    struct table_written w;
    enum err_code code = ERR_OK;
    switch (c) {
    case FIRST:
        code = tomb_try("id", "2", &done);
        break;
    case FURTHER:
        code = tomb_try("id", "3", &done);
        break;
    case UNDO:
    case LAST_UNDO:
        code = tomb_undo_try("id", "2", &done);
        break;
    case APPEND:
        return world_write(&world, TABLE_APPEND, "d", "(VALUES (2, 21), (4, 40)) t(id, v)", &w);
    case CHANGES:
        break;
    }
    return code;
}

static const char *state_now(void) {
    return arena_printf(&world.arena, STR_FMT " [%s]", STR_ARG(tomb_rows_at(0, false)),
                        tomb_listed())
        .ptr;
}

struct fault_case {
    enum change change;
    enum fault_kind kind;
    uint64_t at;
};

static void assert_state(const struct fault_case *c, enum err_code code) {
    const char *state = state_now();
    const bool old = strcmp(state, changes[c->change].before) == 0;
    const bool new = strcmp(state, changes[c->change].after) == 0;
    const bool right = code == ERR_OK ? new : code == ERR_UNKNOWN ? old || new : old;
    if (!right) {
        fail_msg("%s, fault %d at %d: %s, but there is \"%s\"", changes[c->change].name, c->kind,
                 (int)c->at, err_text(code), state);
    }
}

static void begin(const struct fault_case *c) {
    world_make(&world, engine);
    world_start_faulty(&world);
    tomb_write(TABLE_CREATE, "(VALUES (1, 10), (2, 20), (3, 30)) t(id, v)");
    if (changes[c->change].tombstones[0] != '\0') {
        (void)tomb(changes[c->change].tombstones);
    }
    world_stop(&world); // nothing is in a cache
    world_start_faulty(&world);
    store_fault_plan(world.fault, (struct fault_plan){.kind = c->kind, .at = c->at});
}

// Every list but the one that counts is removed, unless the process died or a removal failed.
static void assert_lists(const struct fault_case *c) {
    if (c->kind == FAULT_FAIL || c->kind == FAULT_LOST_REPLY) {
        assert_in_range(world_files(&world, "primary/_catalog/content"),
                        tomb_dataset().tombstones.count > 0 ? 1 : 0, 2);
    }
}

// False: the change has fewer operations than that.
static bool fault_once(const struct fault_case *c) {
    begin(c);
    const enum err_code code = make_change(c->change);
    const bool fired = store_fault_fired(world.fault);
    const bool lives = c->kind != FAULT_CRASH && c->kind != FAULT_POWER;
    if (lives && code != ERR_CORRUPT) {
        store_fault_plan(world.fault, (struct fault_plan){0});
        assert_state(c, code);
        assert_lists(c);
    }
    for (int restarts = 0; restarts < 2; restarts++) {
        world_restart_faulty(c->kind);
        assert_state(c, code);
    }
    if (code != ERR_OK && strcmp(state_now(), changes[c->change].before) == 0) {
        OK(make_change(c->change));
        assert_string_equal(state_now(), changes[c->change].after);
    }
    world_close(&world);
    return fired;
}

static void fault_everywhere(enum fault_kind kind) {
    for (int change = 0; change < CHANGES; change++) {
        struct fault_case c = {.change = (enum change)change, .kind = kind, .at = 1};
        // Operations that this kind cannot spoil are passed over: a few in a row are not the end.
        for (int silent = 0; silent < (kind == FAULT_TEAR ? 8 : 1); c.at++) {
            silent = fault_once(&c) ? 0 : silent + 1;
        }
        assert_true(c.at > 5);
    }
}

static void a_failing_operation_leaves_the_old_state_or_the_new(void **state) {
    (void)state;
    fault_everywhere(FAULT_FAIL);
}

static void a_lost_reply_leaves_the_old_state_or_the_new(void **state) {
    (void)state;
    fault_everywhere(FAULT_LOST_REPLY);
}

static void a_torn_write_leaves_the_old_state_or_the_new(void **state) {
    (void)state;
    fault_everywhere(FAULT_TEAR);
}

static void a_crash_leaves_the_old_state_or_the_new(void **state) {
    (void)state;
    fault_everywhere(FAULT_CRASH);
}

static void a_power_cut_leaves_the_old_state_or_the_new(void **state) {
    (void)state;
    fault_everywhere(FAULT_POWER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_operation_leaves_the_old_state_or_the_new),
        cmocka_unit_test(a_lost_reply_leaves_the_old_state_or_the_new),
        cmocka_unit_test(a_torn_write_leaves_the_old_state_or_the_new),
        cmocka_unit_test(a_crash_leaves_the_old_state_or_the_new),
        cmocka_unit_test(a_power_cut_leaves_the_old_state_or_the_new),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
