// What the files of upkeep/ share.
#pragma once

#include "base/scratch.h"
#include "engine/engine.h"
#include "table/table_commit.h"
#include "upkeep/upkeep.h"

struct upkeep {
    struct tables *tables;
    struct catalog *catalog;
    char *cache;
    struct upkeep_options options;
};

// An engine for one piece of work, with its spill folder.
struct upkeep_engine {
    struct engine *engine;
    struct session *session;
    struct scratch spill;
    struct job *job; // whose cancelling interrupts the session; may be NULL
};
MUST_CHECK enum err_code upkeep_engine_open(struct upkeep *u, int threads, struct job *job,
                                            struct upkeep_engine *ret, struct err *err);
void upkeep_engine_close(struct upkeep_engine *e); // for DEFER; an empty one is fine

// One commit's worth of a compaction.
struct upkeep_bin {
    const struct table_file **files;
    size_t count;
    int64_t bytes; // that its live rows take, about
    int64_t live, deleted;
};
// Does writing it again change anything?
bool upkeep_bin_is_of_use(const struct upkeep_bin *b);
struct upkeep_plan {
    struct upkeep_bin *bins;
    size_t count;
};
// Packs files; what need not be written again is in no bin.
void upkeep_plan_make(const struct upkeep_compact *request, const struct table_scan *files,
                      int64_t target_bytes, struct arena *a, struct upkeep_plan *ret);

// Progress and cancelling of a job that may be NULL.
void upkeep_progress(struct job *job, int64_t done, int64_t total);
MUST_CHECK enum err_code upkeep_check(struct job *job, struct err *err);
