// Reach: the set of a table's objects that some of its snapshots lead to.
#pragma once

#include "base/hashmap.h"
#include "upkeep/upkeep_int.h"

struct reached {
    struct str name; // in the bucket
    int64_t bytes;   // 0: not known
    UT_hash_handle hh;
};
struct upkeep_reach {
    struct tables *tables;
    struct arena *arena; // of the names
    struct reached *all;
};
void upkeep_reach_release(struct upkeep_reach *r); // for DEFER; the names stay with the arena
const struct reached *upkeep_reach_find(const struct upkeep_reach *r, struct str name);
// True when it was not there yet.
bool upkeep_reach_add(struct upkeep_reach *r, struct str name, int64_t bytes);
// Adds what a snapshot of the pin's metadata leads to: list, manifests, and live files.
MUST_CHECK enum err_code upkeep_reach_snapshot(struct upkeep_reach *r, const struct table_pin *pin,
                                               const struct ice_snapshot *s, struct err *err);
// Adds the metadata itself, those in its log, and its statistics.
MUST_CHECK enum err_code upkeep_reach_metadata(struct upkeep_reach *r, const struct table_pin *pin,
                                               struct err *err);
// Metadata files that the metadata's log has forgotten: their names begin with a number, which only
// grows, that is below those of all in the log. With their sizes, in the arena.
MUST_CHECK enum err_code upkeep_forgotten_metadata(const struct table_pin *pin, struct arena *a,
                                                   struct store_entry **ret, size_t *ret_count,
                                                   struct err *err);
