// Grids: rows of text in aligned columns, for people who read a terminal.
//
// Everything lives in the arena; cells are borrowed. One thread.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct grid_column {
    struct str name;
    bool right; // numbers
};

struct grid {
    struct arena *arena;
    struct grid_column *columns;
    size_t column_count, column_cap;
    struct str *cells; // row by row; a NULL pointer is NULL
    size_t cell_count, cell_cap;
};

#define GRID(arena_ptr) ((struct grid){.arena = (arena_ptr)})
#define GRID_CELL_WIDTH 50 // a cell's width unless everything is shown

void grid_column(struct grid *t, struct str name, bool right);
// Cells of a row one after the other, as many as there are columns.
void grid_cell(struct grid *t, struct str text);
void grid_cell_null(struct grid *t);
PRINTF_LIKE(2, 3) void grid_cellf(struct grid *t, const char *fmt, ...);

// Columns at most cell_width wide (0: as wide as they are) and, when line_width is not 0, cut so
// that a line fits as well as it can. What is cut ends in "…". Control characters are escaped.
void grid_print(const struct grid *t, size_t cell_width, size_t line_width, struct buf *out);
// The same as a Markdown table, uncut.
void grid_markdown(const struct grid *t, struct buf *out);

// Columns of a terminal that the text takes; bytes that are no character take one.
size_t grid_text_width(struct str text);
// "831 B", "12.3 MB"
struct str grid_bytes(int64_t bytes, struct arena *a);
// "1,470,000"
struct str grid_number(int64_t number, struct arena *a);

// Writes what was laid out to standard output; ERR_IO when it does not take it.
MUST_CHECK enum err_code grid_write(const struct buf *out, struct err *err);
// Columns of the terminal that standard output is; 0: it is none.
size_t grid_terminal_width(void);
