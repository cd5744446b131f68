// Suppression: rows of erased subjects are kept out of a dataset for good, whatever brings them.
//
// What is kept of a key is its HMAC-SHA-256 under the catalog's secret "suppression". A list is for
// a dataset's name (whatever its case; also before it is made and after it was dropped) and for a
// column of that name: catalog_suppression.h. A row whose value there is a listed key is left out
// by table_write and table_delta before anything of it reaches a bucket, and they say how many
// were. A row whose value is NULL, and a source without the column, are let in.
//
// Values are compared as texts: whole numbers of any type in decimal, UUIDs in lower case.
//
// The lists that hold are those when the write commits: it looks again under the dataset's write
// lock, and a list that comes after that fails its transaction if the list's transaction changes
// the dataset's entity too (`fence`).
//
// Content: {"column", "hmacs": [64 hex, ascending]}
//
// A dataset without lists pays one look into the catalog's entities.
//
// Threads: any.
#pragma once

#include "table/table.h"
#include "table/table_tombstone.h"

struct table_staged;

#define TABLE_SUPPRESS_MAX 1000000 // keys of a list

struct table_suppress {
    struct str dataset, column;
    const struct table_key *keys;
    size_t key_count;
    // Also puts the dataset's entity, if there is one, again as it is, so that no write that has
    // not seen the list commits after it. Not within a transaction that changes the dataset itself.
    bool fence;
};
// Adds to an array of changes what puts the keys on the list: nothing, if all are there. The
// content is written; the transaction makes it hold, and is ERR_CONFLICT when another was quicker.
// Commit it before the subjects' rows are looked for: what comes afterwards is kept out.
// ERR_TOO_LARGE.
MUST_CHECK enum err_code table_suppress_changes(struct tables *t, const struct table_suppress *s,
                                                struct arena *a, json_t *changes, struct err *err);

// One that holds, without its keys.
struct table_suppression {
    struct str dataset, column;
    int64_t count;
};
// By dataset.
void table_suppress_list(struct tables *t, struct arena *a, struct table_suppression **ret,
                         size_t *ret_count);
// Rows of these keys may come again. ERR_NOT_FOUND. *ret_count: of lists that went.
MUST_CHECK enum err_code table_suppress_remove(struct tables *t, struct str dataset,
                                               const struct catalog_author *who, int64_t *ret_count,
                                               struct err *err);

// For table_write and table_delta.

struct table_suppress_keys;
struct table_suppress_lists {
    uint64_t version; // of the entity; 0: there are none
    const struct table_suppress_keys **items;
    size_t count;
    struct str tag; // tells lists apart that keep out other rows
};
uint64_t table_suppress_version(struct tables *t, struct str dataset);
// Parsed once and shared; they live as long as the arena.
MUST_CHECK enum err_code table_suppress_load(struct tables *t, struct str dataset, struct arena *a,
                                             struct table_suppress_lists *ret, struct err *err);
// ERR_EXISTS unless the dataset was made from this file, with what is kept out now.
MUST_CHECK enum err_code table_suppress_same_file(struct tables *t, const struct catalog_dataset *d,
                                                  struct str sha256, struct err *err);

struct table_suppress_work {
    struct tables *tables;
    struct session *session;
    const struct table_suppress_lists *lists;
    const struct ice_schema *schema; // of the rows
    struct arena *arena;
};
// Staged files are staged anew without the rows of the lists, if they hold any. *ret: how many.
MUST_CHECK enum err_code table_suppress_staged(const struct table_suppress_work *w,
                                               struct table_staged *staged, int64_t *ret,
                                               struct err *err);
// The same with the rows of tarn_delta, which are numbered by tarn_order from 1 to `last`.
MUST_CHECK enum err_code table_suppress_delta(const struct table_suppress_work *w, int64_t last,
                                              int64_t *ret, struct err *err);
// What a commit's author tells, and the number of rows that were kept out: lives in the arena.
const json_t *table_suppress_details(const json_t *details, int64_t suppressed, struct arena *a);
