// Views at work: definitions checked, and the masked files that are all that anybody reads of them.
//
// A masked file is a data file of the base seen through a view: deleted rows and rows that the
// filter does not want are left out, columns are masked, once, and what remains is Parquet under
// <data>/cache/masked. Whoever queries a view reads masked files and nothing else, so that no
// expression of theirs ever meets a hidden row or a true value (security reference, 1.4).
//
// A masked file's name is a hash of all that it depends on: data file and its deleted rows, the
// view's definition, the mask key, and the state of the datasets that the filter asks. It is
// never changed, so that any process may use what another has made; a commit to the base makes only
// the files of its new data files missing. Their bytes have a limit: those used least lately go.
//
// The order is fixed: row filter on true values, then masks, then the client's own conditions on
// what is shown. sha-256-query-local is kept in the file as a hash under a key of the catalog, and
// hashed again under the query's own where it is read (tarn_map).
//
// Threads: any.
#pragma once

#include "catalog/catalog_view.h"
#include "engine/engine.h"
#include "guard/guard.h"
#include "table/table.h"

struct views;

struct views_options {
    struct tables *tables;
    struct engine *engine; // makes the files
    struct engine *parser; // an engine that can open nothing
    struct str cache;      // folder; masked/ is made in it
    int64_t bytes_max;     // of all masked files
    int64_t makers;        // files made at once
};
MUST_CHECK enum err_code views_open(const struct views_options *o, struct views **ret,
                                    struct err *err);
void views_close(struct views *v); // ends what is made now; takes NULL

// What is asked for, before it is checked. Columns go by name; field ids are filled in.
struct view_wish {
    struct str name, base;
    const struct catalog_view_column *columns;
    size_t column_count;
    struct str row_filter;
};
// Checks it against the base as it is now: columns and masks fit, the filter is one condition that
// the guard lets through, that gives the same answer each time, that asks datasets alone, and that
// the engine can bind. ERR_INVALID, ERR_NOT_FOUND, ERR_REFUSED, ERR_SQL say what and where; in
// err->position is a byte of the filter. *ret is for catalog_view_put.
MUST_CHECK enum err_code view_check(struct views *v, const struct view_wish *w, struct arena *a,
                                    struct catalog_view *ret, struct err *err);

// A view at one snapshot of its base, with the filter's other datasets as they are now.
struct view_pin {
    struct catalog_view view;
    struct table_pin *pins; // the base, then what the filter asks
    size_t pin_count;
    const struct guard_statement *filter; // NULL: all rows
};
// at: of the base; its name is not looked at. ERR_CONFLICT: the base was made anew, or lost or
// changed a column that the view needs: the message says which, and it is never half-applied.
MUST_CHECK enum err_code view_pin_at(struct views *v, const struct catalog_view *view,
                                     const struct table_want *at, struct arena *a,
                                     struct view_pin *ret, struct err *err);

// The masked files of a pin, in the order of the base's files; those without a row are left out.
// They stay while the arena does.
struct view_file {
    struct str path; // local
    struct str name; // the last part of it: the same for every process
    int64_t rows, bytes;
};
struct view_files {
    struct view_file *files;
    size_t file_count;
    size_t made; // for this call
};
// How long somebody waits for what is missing; the making goes on without them.
struct view_wait {
    int64_t until_us;           // monotonic clock
    bool (*is_over)(void *ctx); // asked now and then: the query was cancelled; may be NULL
    void *ctx;
};
// ERR_TIMEOUT: not made in time, the message says how far it is. ERR_NO_SPACE. A filter that fails
// on the rows is ERR_UNAVAILABLE-like: ERR_CONFLICT with a message that says nothing of them.
MUST_CHECK enum err_code view_files_get(struct views *v, const struct view_pin *pin,
                                        const struct view_wait *wait, struct arena *a,
                                        struct view_files *ret, struct err *err);
// The view as a complete SELECT over its masked files, which the statement names as they stand in
// paths. local: number of the mapper (engine_map.h) for sha-256-query-local.
struct str view_scan_sql(const struct view_pin *pin, const struct str *paths, size_t path_count,
                         int64_t local, struct arena *a);
bool view_has_local(const struct view_pin *pin); // is a column masked so?

// The same without files, for whoever may see everything (previews): a SELECT over the base's own
// scan. shown_only: with the row filter and the masks; else all live rows, true values of the
// view's columns, and behind them the column tarn_shown: does the filter let the row through?
MUST_CHECK enum err_code view_raw_sql(struct views *v, const struct view_pin *pin, bool shown_only,
                                      struct arena *a, struct str *ret, struct err *err);

// Removes all masked files, also of other processes; those in use go out of sight at once and are
// gone when their reader ends. For an erasure and a new mask key.
MUST_CHECK enum err_code views_forget(struct views *v, struct err *err);
// Removes those of views that are not there any more, or have another definition now.
void views_tidy(struct views *v);

struct views_stats {
    int64_t files, bytes, bytes_max;
    int64_t hits, made, failures, evicted;
    int64_t make_us; // spent in making
};
void views_stats_get(struct views *v, struct views_stats *ret);
