// Listings: what the server has in pages, as one grid, or as JSON with --json.
//
// Everything lives in the arena of the arguments. One thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/args.h"
#include "cli/grid.h"

// A cell of a grid from a member of an object; what is absent is an empty cell.
void cell_str(struct grid *t, const json_t *j, const char *key);
// The same; list_show leaves the column out when no row has the member.
void cell_str_if_any(struct grid *t, const json_t *j, const char *key);
void cell_number(struct grid *t, const json_t *j, const char *key);
void cell_bytes(struct grid *t, const json_t *j, const char *key);
// Identifiers, versions and keys: a number without commas, or a text.
void cell_id(struct grid *t, const json_t *j, const char *key);
// A time to the second: a text as it came, or a number of milliseconds.
void cell_time(struct grid *t, const json_t *j, const char *key);
void cell_yes(struct grid *t, const json_t *j, const char *key);
// A list of texts, separated by commas.
void cell_list(struct grid *t, const json_t *j, const char *key);

// A column of a listing: its name at the top, the member that fills it, and how.
struct list_column {
    const char *name, *key;
    void (*cell)(struct grid *t, const json_t *j, const char *key);
    bool right;
};
void list_columns(struct grid *t, const struct list_column *columns, size_t count);
void list_rows(struct grid *t, const struct list_column *columns, size_t count, const json_t *rows);

struct listing {
    const char *path;   // GET; with its query, escaped
    const char *member; // the array of the answer
    const struct list_column *columns;
    size_t column_count;
    bool whole; // the answer is never a page: no limit, no cursor
};
// Asks page by page until `limit` rows are there, and shows them.
MUST_CHECK enum err_code list_show(const struct args *a, const struct listing *l, int64_t limit,
                                   struct err *err);

// Is one of that name in the answer of `path`, a listing? A listing is asked since the journal
// tells of names that somebody asked for and that are not there. LISTED_UNKNOWN: it could not be
// asked, or has further pages.
enum listed { LISTED_NO, LISTED_YES, LISTED_UNKNOWN };
enum listed list_has(const struct args *a, const char *path, const char *member, struct str name);
