// What the files of upkeep/ share.
#pragma once

#include "table/table_commit.h"
#include "table/table_tombstone.h"
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
    int64_t tombstoned; // of those deleted: that only tombstones hide
};
void upkeep_bin_add(struct upkeep_bin *b, const struct table_file *f); // counts it
// Does writing it again change anything?
bool upkeep_bin_is_of_use(const struct upkeep_bin *b);
struct upkeep_plan {
    struct upkeep_bin *bins;
    size_t count;
};
// Packs files; what need not be written again is in no bin.
void upkeep_plan_make(const struct upkeep_compact *request, const struct table_scan *files,
                      int64_t target_bytes, struct arena *a, struct upkeep_plan *ret);

// Takes files out of the scan that must stay as they are: those with rows that tombstones hide
// which may not be dropped yet. Costs nothing when no file has such rows.
MUST_CHECK enum err_code upkeep_tombstones_hold(struct upkeep *u, const struct upkeep_compact *r,
                                                const struct table_pin *pin,
                                                struct table_scan *files, struct arena *a,
                                                struct err *err);
// The tombstones that are done with, when these files are left: they may be applied, and none of
// the files has a row that they hide.
struct upkeep_done_with {
    const struct table_tombstone_list *list;
    bool *gone; // by item
    size_t count;
};
struct upkeep_state {
    const struct table_pin *pin;
    const struct table_scan *left;
};
MUST_CHECK enum err_code upkeep_tombstones_done(struct upkeep *u, const struct upkeep_compact *r,
                                                const struct upkeep_state *s, struct arena *a,
                                                struct upkeep_done_with *ret, struct err *err);
// Takes those off the list, in a commit of its own.
MUST_CHECK enum err_code upkeep_tombstones_apply(struct upkeep *u, const struct upkeep_compact *r,
                                                 int64_t *ret_applied, struct err *err);
