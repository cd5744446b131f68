// Copies of data files in the engine's memory, which a scan reads instead of the files.
//
// Whoever has copies gives them to the files of a planned scan, and then puts the scan in order.
// Threads: as table.h.
#pragma once

#include "table/table.h"

// A table of the engine with the rows of data files, file by file, each in its order, and deleted
// rows too. The files are of one written schema; the columns are named f1, f2, … by its field ids.
struct table_copy {
    struct str from; // what stands behind FROM
    int64_t rows;    // of the whole table
};

// After files were given copies (table_file: copy, copy_start), which must stay while the scan is
// used.
void table_scan_copied(struct tables *t, struct table_scan *scan, struct arena *a);
