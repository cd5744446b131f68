// Views at work: definitions checked, and the masked files that are all that anybody reads of them.
//
// A masked file is a data file of the base seen through a view: deleted rows and rows that the
// filter does not want are left out, columns are masked, once, and what remains is Parquet under
// <data>/cache/masked. Whoever queries a view reads masked files and nothing else, so that no
// expression of theirs ever meets a hidden row or a true value (security reference, 1.4).
//
// A masked file's name has a hash of all that it depends on: data file and its deleted rows, the
// view's definition, the mask key, and the state of the datasets that the filter asks. It is
// never changed, so that any process may use what another has made; a commit to the base makes only
// the files of its new data files missing. Their bytes have a limit: those used least lately go.
//
//   <cache>/masked/v<view>n<version>k<hash>r<rows>b<bytes>.parquet
//   <cache>/masked/generation     renewed by views_forget: what was begun before it is not kept
//   <cache>/masking-<id>/         files that a process makes now (base/scratch.h)
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

// The catalog's secret (catalog_content.h) that the hashes' keys are derived from.
#define VIEW_SECRET STR("masks")

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
    struct table_pin *pins; // the base, then what the filter's subqueries ask
    size_t pin_count;
    const struct guard_statement *filter; // NULL: all rows
    const size_t *filter_pins;            // of the filter's tables: which of the pins
    const struct ice_field **fields;      // of the base, one for each of the view's columns
    struct str generation;                // of the masked files when it was pinned
};
// at: of the base; its name and raw are not looked at. ERR_CONFLICT: a dataset was made anew, or
// lost or changed a column that the view needs: then it is not read at all. Messages are for
// whoever reads the view: they name it, and columns that it shows, and nothing else.
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
// ERR_TIMEOUT: not made in time, the message says how far it is. ERR_CANCELLED: is_over said so.
// ERR_NO_SPACE: they take more than bytes_max. ERR_DATA: the filter fails on some row; the message
// says nothing of it. ERR_BUSY: too many are to be made, or rows were erased since it was pinned.
MUST_CHECK enum err_code view_files_get(struct views *v, const struct view_pin *pin,
                                        const struct view_wait *wait, struct arena *a,
                                        struct view_files *ret, struct err *err);
// The view as a complete SELECT over its masked files, which the statement names as they stand in
// paths. local: number of the mapper (engine_map.h) for sha-256-query-local.
struct str view_scan_sql(const struct view_pin *pin, const struct str *paths, size_t path_count,
                         int64_t local, struct arena *a);
bool view_has_local(const struct view_pin *pin); // is a column masked so?

// For who may see everything, over the base's own scan. shown_only: what the view shows, without
// masked files; else the true values of the view's columns of all live rows, and behind them
// tarn_shown: does the filter let the row through?
MUST_CHECK enum err_code view_raw_sql(struct views *v, const struct view_pin *pin, bool shown_only,
                                      struct arena *a, struct str *ret, struct err *err);
// All live rows: true values, then what is shown for them (m1, m2, …), then tarn_shown.
MUST_CHECK enum err_code view_compare_sql(struct views *v, const struct view_pin *pin,
                                          struct arena *a, struct str *ret, struct err *err);

// Removes all masked files, also of other processes; those in use go out of sight at once and are
// gone when their reader ends. When it returns ERR_OK, nothing is there, nor will be, that was made
// from a state before it was called. For an erasure and a new mask key. ERR_BUSY: one is still
// made.
MUST_CHECK enum err_code views_forget(struct views *v, struct err *err);
// Removes those of views that are not there any more, or have another definition now; what is in
// use goes later.
void views_tidy(struct views *v);

struct views_stats {
    int64_t files, bytes, bytes_max;
    int64_t hits, made, failures, evicted;
    int64_t make_us; // spent in making
};
void views_stats_get(struct views *v, struct views_stats *ret);
