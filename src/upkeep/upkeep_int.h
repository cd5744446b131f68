// What the files of upkeep/ share.
#pragma once

#include "table/table_commit.h"
#include "upkeep/upkeep.h"
#include "upkeep/upkeep_engine.h"

struct upkeep {
    struct tables *tables;
    struct catalog *catalog;
    char *cache;
    struct upkeep_options options;
};

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
