// The one world of a test program: its engine serves the whole program, its folder one test.
#pragma once

#include "table/world_test.h"

static struct engine *engine;
static struct world world;

static inline int open_engine(void **state) {
    (void)state;
    engine = world_engine_open();
    return 0;
}

static inline int close_engine(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

static inline int world_begin(void **state) {
    (void)state;
    world_open(&world, engine);
    return 0;
}

static inline int world_begin_faulty(void **state) {
    (void)state;
    world_make(&world, engine);
    world_start_faulty(&world);
    return 0;
}

static inline int world_end(void **state) {
    (void)state;
    world_close(&world);
    return 0;
}

// A record that a broken store has torn is named; without it, the log is as it was before it.
static inline void world_take_torn_record(void) {
    struct catalog *c = NULL;
    struct err named = ERR_NONE;
    if (catalog_open(&world.config, &c, &named) == ERR_OK) {
        catalog_close(c);
        return;
    }
    assert_int_equal(named.code, ERR_CORRUPT);
    struct str name = str_from(named.msg);
    assert_true(str_starts(name, STR("_catalog/log/")));
    name = str_slice(name, 0, strlen("_catalog/log/00000000000000000000.json"));
    struct str path = arena_printf(&world.arena, "%s/primary/" STR_FMT, world.root, STR_ARG(name));
    assert_int_equal(unlink(path.ptr), 0);
}

// After a fault of that kind has had its turn.
static inline void world_restart_faulty(enum fault_kind kind) {
    world_stop(&world);
    if (kind == FAULT_TEAR) {
        world_take_torn_record();
    }
    world_start_faulty(&world);
}
