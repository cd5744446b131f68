// Hot cache: data files of datasets that are asked often, held in the engine's memory.
//
// What is cached is the rows of a data file, all of them, deleted ones too. Data files never
// change, so a hot copy is right at every snapshot that has the file; deletes stay the scan's own.
// A commit that adds files leaves the copies of the others as they are: only the new files are
// loaded. Copies lie in compressed in-memory databases of the engine, one table each, several files
// in one.
//
// A dataset becomes hot when it is pinned, or by being asked often lately. Loading is done in the
// background (a pin waits for it) and may fail: then the files are read as Parquet. The bytes of
// all copies have a limit; past it the datasets that were asked least lately go, but no pinned
// ones.
//
// Threads: any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/engine.h"
#include "table/table.h"

struct hot;

struct hot_options {
    int64_t bytes_max; // of all copies
    int64_t asks; // that make a dataset hot, an ask counting half after ten minutes; 0: none do
    int64_t interval_ms; // how often hot datasets are looked at for new commits; 0: 1000
};

struct hot *hot_new(struct tables *t, struct engine *e, const struct hot_options *o);
void hot_close(struct hot *h); // ends what is loaded now; nobody uses a copy any more; takes NULL

// Gives the files of a planned scan the copies that there are; they stay while the arena does.
// Takes note that the dataset was asked.
void hot_use(struct hot *h, const struct table_pin *pin, struct table_scan *scan, struct arena *a);

// Makes the dataset hot and keeps it so until it is evicted. Waits for the load; the pin holds even
// if that fails: ERR_TOO_LARGE: there is no room; else what the load says. ERR_NOT_FOUND.
MUST_CHECK enum err_code hot_pin(struct hot *h, struct str dataset, struct err *err);
// Takes the dataset (empty: all) out of memory, pinned or not; queries that use copies keep them to
// their end. It can become hot again. ERR_NOT_FOUND: it is neither hot nor a dataset.
MUST_CHECK enum err_code hot_evict(struct hot *h, struct str dataset, size_t *ret_count,
                                   struct err *err);

// Erasure: when it returns ERR_OK, no row of these data files (object names) is in memory, nor will
// be: they must be out of the dataset's current state before. Waits for queries that use them at
// most that long: ERR_BUSY, and they go as soon as these end.
struct hot_objects {
    struct str bucket;
    const struct str *names;
    size_t count;
};
MUST_CHECK enum err_code hot_forget(struct hot *h, const struct hot_objects *o, int64_t wait_ms,
                                    struct err *err);

// Texts live in the arena.
struct hot_stat {
    struct str dataset;
    bool pinned;
    int64_t bytes, rows, files, tables;
    int64_t hits, misses; // scans that read memory alone; others, while it was hot or not
    int64_t loads, load_failures, evictions;
    int64_t load_us;  // of the last load
    double asks;      // as they count now
    struct str error; // of the last load; empty: it went well
};
struct hot_stats {
    int64_t bytes_max, bytes; // bytes: with what queries still use of what was evicted
    struct hot_stat *items;   // by name
    size_t count;
};
void hot_stats_get(struct hot *h, struct arena *a, struct hot_stats *ret);
