// Tables: rows of text in aligned columns, for people who read a terminal.
//
// Everything lives in the arena; cells are borrowed. One thread.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct table_column {
    struct str name;
    bool right; // numbers
};

struct table {
    struct arena *arena;
    struct table_column *columns;
    size_t column_count, column_cap;
    struct str *cells; // row by row; a NULL pointer is NULL
    size_t cell_count, cell_cap;
};

#define TABLE(arena_ptr) ((struct table){.arena = (arena_ptr)})
#define TABLE_CELL_WIDTH 50 // a cell's width unless everything is shown

void table_column(struct table *t, struct str name, bool right);
// Cells of a row one after the other, as many as there are columns.
void table_cell(struct table *t, struct str text);
void table_cell_null(struct table *t);
PRINTF_LIKE(2, 3) void table_cellf(struct table *t, const char *fmt, ...);

// Columns at most cell_width wide (0: as wide as they are) and, when line_width is not 0, cut so
// that a line fits as well as it can. What is cut ends in "…". Control characters are escaped.
void table_print(const struct table *t, size_t cell_width, size_t line_width, struct buf *out);
// The same as a Markdown table, uncut.
void table_markdown(const struct table *t, struct buf *out);

// Columns of a terminal that the text takes; bytes that are no character take one.
size_t table_text_width(struct str text);
// "831 B", "12.3 MB"
struct str table_bytes(int64_t bytes, struct arena *a);
// "1,470,000"
struct str table_number(int64_t number, struct arena *a);

// Writes what was laid out to standard output; ERR_IO when it does not take it.
MUST_CHECK enum err_code table_write(const struct buf *out, struct err *err);
// Columns of the terminal that standard output is; 0: it is none.
size_t table_terminal_width(void);
