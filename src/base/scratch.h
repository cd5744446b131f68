// Scratch folders: each belongs to one process and goes with it.
//
// Several processes may keep theirs under one parent. The folder is locked for as long as it is
// held, so one whose lock can be had has lost its process: scratch_clean removes those, which a
// killed process left behind. Only files are expected in it.
//
// Threads: a folder belongs to one thread; clean may run beside everything else.
#pragma once

#include "base/err.h"
#include "base/str.h"

struct scratch {
    int fd;     // holds the lock
    char *path; // NULL: none
};

// Makes <parent>/<prefix><random>; the parent must exist.
MUST_CHECK enum err_code scratch_make(struct str parent, struct str prefix, struct scratch *ret,
                                      struct err *err);
void scratch_remove(struct scratch *s); // with what is in it; none is fine
// Removes the folders of that prefix that no process holds any more.
void scratch_clean(struct str parent, struct str prefix);
