// What the files of hot/ share: the datasets, their tables in memory, and the files in these.
#pragma once

#include <pthread.h>

#include "base/hashmap.h"
#include "base/threads.h"
#include "hot/hot.h"
#include "table/table_copy.h"

#define HOT_TABLE_BYTES_MIN (256 << 10) // the engine takes memory in blocks of this size

struct hot_table;
struct hot_set;

// A data file that is in memory.
struct hot_file {
    struct str key; // bucket:object
    struct hot_table *table;
    int64_t start, rows;
    bool current; // the dataset has it still, as far as the last load knows
    UT_hash_handle hh;
};

// One database of the engine with one table.
struct hot_table {
    struct hot *hot;
    struct hot_set *set; // NULL: no longer in use
    struct arena arena;
    struct str database; // its name
    struct table_copy copy;
    const struct ice_schema *schema;
    struct hot_file *files;
    size_t file_count;
    int64_t bytes;
    size_t readers;
    uint64_t use;                  // the last call of hot_use that has counted itself as a reader
    bool going;                    // is being given back
    bool forgotten;                // hot_forget waits for its end
    struct hot_table *prev, *next; // in the set's list, or in the one of those that are to go
};

// A dataset that was asked or pinned.
struct hot_set {
    char *id;
    struct buf name; // what it was called last
    struct hot_table *tables;
    bool pinned;
    bool wanted;  // files are missing that should be in memory
    double score; // asks, as they counted at scored_us
    int64_t scored_us;
    int64_t used_us;
    int64_t retry_us;     // after a failure: not before
    int failures;         // since the last load that went well
    uint64_t version;     // of the dataset when it was last loaded
    uint64_t epoch;       // how often it was emptied
    struct hot_stat stat; // its counts; no texts
    struct err error;
    UT_hash_handle hh;
};

// A table that is being made.
struct hot_build {
    struct hot_table *table;
    struct session *session;
    bool abandoned; // a file of it was forgotten
};

struct hot {
    struct tables *tables;
    struct engine *engine;
    struct hot_options options;
    pthread_mutex_t load_lock; // one load at a time; taken before lock
    pthread_mutex_t lock;      // guards everything below
    pthread_cond_t change;     // work for the thread, or a table has gone
    struct hot_set *sets;      // by id
    struct hot_file *files;    // by key
    struct hot_table *retired; // doubly linked
    struct hot_build *build;   // NULL: none
    int64_t bytes;             // of all tables that the engine holds
    int64_t swept;             // bytes of all that it gave back so far
    size_t forgotten;          // tables that hot_forget waits for
    uint64_t forgets;          // calls of hot_forget so far
    uint64_t names;            // of databases so far
    uint64_t uses;             // calls of hot_use so far
    bool stopping;
    pthread_t thread;
};

struct str hot_key(struct str bucket, struct str object, struct arena *a);
// With the lock held.
double hot_score(const struct hot_set *s, int64_t now_us);
void hot_retire(struct hot *h, struct hot_table *t);
// Takes the set's tables out of use; returns how many there were.
size_t hot_set_empty(struct hot *h, struct hot_set *s);

// Gives back the memory of retired tables that nobody reads. Without the lock.
void hot_sweep(struct hot *h);

// Brings the dataset's tables to its current state: loads what is missing, drops what has gone,
// folds small ones together. With load_lock held, so that the set stays.
MUST_CHECK enum err_code hot_refresh(struct hot *h, struct hot_set *s, struct err *err);

// Rows of one or more data files on their way into one table.
struct hot_source {
    struct hot_set *set;
    const struct ice_schema *schema;
    struct str *selects; // all rows, one statement after the other; the columns are f1, f2, …
    size_t select_count;
    struct hot_file *files; // key and rows; in the order of the rows
    size_t file_count;
    uint64_t forgets, epoch; // when the source was planned
};
// Makes the table and puts it in the place of whatever had the files until now. With load_lock
// held.
MUST_CHECK enum err_code hot_make(struct hot *h, const struct hot_source *src, struct err *err);
