// Data files by themselves, and states that somebody else has pinned: for whoever keeps what files
// hold.
//
// Threads: as table.h.
#pragma once

#include "table/table.h"

// Some files of a scan as a scan of their own, which that engine can run while the arena lives.
struct table_scan table_scan_of(struct engine *e, const struct table_file *files, size_t count,
                                struct arena *a);

// The very state of a pin for another owner, whose arena may outlive the pin's: as long as either
// lives, the objects that it leads to stay. The pin is held meanwhile.
MUST_CHECK enum err_code table_pin_again(struct tables *t, const struct table_pin *pin,
                                         struct arena *a, struct table_pin *ret, struct err *err);
