// A store that wraps another and fails on purpose: for tests of everything above it.
//
// Operations are counted from 1 over all kinds that the plan selects; size and local count as
// gets, put_file as a put. Threads: any.
#pragma once

#include "store/store.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_FAIL,       // the operation does nothing and says ERR_IO
    FAULT_LOST_REPLY, // it is done, but the caller gets ERR_IO (a time-out after the fact)
    FAULT_TEAR,       // a write leaves half of the bytes under the name and says ERR_IO
    FAULT_FLIP,       // a read has one bit changed
    FAULT_DELAY,      // it is done delay_ms later
    FAULT_CRASH,      // this operation and all later ones fail: what a killed process leaves
    FAULT_POWER,      // the same, and what was not settled is torn or gone: a power cut
};

enum { FAULT_ON_GET = 1, FAULT_ON_PUT = 2, FAULT_ON_LIST = 4, FAULT_ON_DELETE = 8 };

struct fault_plan {
    enum fault_kind kind;
    unsigned on;       // FAULT_ON_* bits; 0: all
    uint64_t at;       // the n-th such operation
    bool from_then_on; // also every later one
    int delay_ms;
};

// Takes ownership of inner unless borrowed.
struct store *store_fault_new(struct store *inner, bool borrowed);
void store_fault_plan(struct store *s, struct fault_plan plan); // also sets the count to 0
uint64_t store_fault_count(struct store *s);                    // operations since the plan was set
bool store_fault_fired(struct store *s); // it has done its harm at least once

// Operations on this object are not counted and go well, until a crash: for what a thread writes at
// times of its own. The name lives as long as the store.
void store_fault_spare(struct store *s, struct str name);

// Another fsync for a folder store: tests make it fail. NULL puts the real one back.
void store_folder_set_fsync(struct store *s, int (*fn)(int fd));
