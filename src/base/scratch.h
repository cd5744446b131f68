// Scratch folders: each belongs to one process and goes with it.
//
// Several processes may keep theirs under one parent. The folder is locked for as long as it is
// held, so one whose lock can be had has lost its process: scratch_clean removes those, which a
// killed process left behind. Only files are expected in it.
//
// Threads: a folder belongs to one thread; the rest may run beside everything else.
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

// The prefixes in use, so that whoever sweeps knows them all. In the spool folder: data files
// before their commit, uploads, rows of deltas. In the cache: what an engine spills, masked files
// that are being made, and what a worker may read.
#define SCRATCH_STAGE "stage-"
#define SCRATCH_UPLOAD "upload-"
#define SCRATCH_DELTAS "deltas-"
#define SCRATCH_SPILL "spill-"
#define SCRATCH_MASKING "masking-"
#define SCRATCH_WORKER "worker-"
// A folder of the spool folder that belongs to all processes: files of rejected rows.
#define SCRATCH_REJECTS "rejects"
// The same of the cache: masked files (view/view.h).
#define SCRATCH_MASKED "masked"

struct scratch {
    int fd;     // holds the lock
    char *path; // NULL: none
};

// Makes <parent>/<prefix><random>; the parent must exist.
MUST_CHECK enum err_code scratch_make(struct str parent, struct str prefix, struct scratch *ret,
                                      struct err *err);
void scratch_remove(struct scratch *s); // with what is in it; none is fine
// Removes the folders of that prefix that no process holds any more. Returns the number of files
// that were in them.
size_t scratch_clean(struct str parent, struct str prefix);
// Does another process that lives hold a folder there?
bool scratch_is_shared(struct str parent);
