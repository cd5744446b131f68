// Erasure: a subject is taken out of everything that this server keeps, and that is proven.
//
// A subject is a key value in a dataset's key column. Its rows leave every data file of every
// snapshot, branch and tag; delete files, manifests, lists and metadata are written anew so that
// nothing leads to the old ones, and those are removed. What is in memory is forgotten, leftovers
// are swept, tombstones of the subject and with them the keys of its handles in the log are
// destroyed. Then every object that remains is decoded and searched, and a receipt is signed.
//
// An erasure is an entity ("erasure:ID") that moves through these steps, each recorded before the
// next begins; the values stand in a content object that its last step removes. What a kill
// interrupts is taken up again by erase_run, and ends in the same place. It cannot be undone,
// and once it has begun it cannot be given up: cancelling its job only pauses it.
//
// History is not lost: snapshots keep their ids and times, and show what they showed but for the
// subject. Other engines that have kept the name of an old metadata file cannot open it any more.
//
// Objects: _catalog/receipts/<id>.json, see erase_receipt.h.
//
// Threads: any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "catalog/catalog_content.h"
#include "hot/hot.h"
#include "jobs/jobs.h"
#include "table/table_tombstone.h"
#include "upkeep/upkeep.h"

struct erase;

// What the floors above are asked to forget.
struct erase_forgetting {
    bool (*quotes)(void *ctx, struct str sql); // does the statement quote a subject?
    void *ctx;
    int64_t texts;                        // out: of statements that did, and are gone
    struct catalog_content_swept objects; // out: that held them; in the arena
};

struct erase_options {
    struct catalog *catalog;
    struct tables *tables;
    struct upkeep *upkeep;
    struct hot *hot;         // NULL: there is none
    struct str spool, cache; // local folders, which are swept and searched too
    int64_t wait_ms;         // for queries that read what is to be removed; then it is removed
    // Drops what the floors above keep of rows and statements, in memory, in local files and in
    // content objects, once nothing in the catalog leads to the subjects any more. A failure is the
    // erasure's: it is done again. May be NULL.
    enum err_code (*forget)(void *ctx, struct erase_forgetting *f, struct arena *a,
                            struct err *err);
    void *ctx;
};
// Made before anything of this process writes, but for the log.
struct erase *erase_new(const struct erase_options *o);
void erase_free(struct erase *e); // takes NULL

// Where the subjects are looked for.
struct erase_target {
    struct str dataset;
    struct str column;
};

#define ERASE_KEYS_MAX 10000
#define ERASE_TARGETS_MAX 1000

struct erase_request {
    const struct erase_target *targets; // at least one; each dataset once
    size_t target_count;
    bool shared; // also in every other dataset with a column of the first target's column name
    const struct table_key *keys;
    size_t key_count;
    const struct str *search; // further values that the scan looks for, as texts
    size_t search_count;
    bool tells_sharing; // erase_look names further datasets with such a column
    bool suppress; // keep HMACs of the keys, so that rows with them are kept out of these datasets
    // Even if a tombstone of a key says that its rows must not be purged yet.
    bool overrides_hold;
    struct catalog_author who;
};

// Nothing is changed: {"datasets": [{"dataset", "column", "rows", "files", "snapshots", …}], …}.
// Names datasets that share the column without being asked for.
MUST_CHECK enum err_code erase_look(struct erase *e, const struct erase_request *r, struct job *job,
                                    struct arena *a, json_t **ret, struct err *err);
// Records the erasure: from here on it will happen. ERR_CONFLICT: a tombstone holds a key, or the
// row filter of a view quotes one of the values. *ret_id lives in the arena.
MUST_CHECK enum err_code erase_begin(struct erase *e, const struct erase_request *r,
                                     struct arena *a, struct str *ret_id, struct err *err);
// Does what is left of it; one thread at a time does an erasure, another waits. *ret is the
// receipt, a new reference. ERR_CANCELLED leaves the rest to the next call. ERR_NOT_FOUND.
MUST_CHECK enum err_code erase_run(struct erase *e, struct str id, struct job *job, struct arena *a,
                                   json_t **ret, struct err *err);

// An erasure as it is recorded, without values of people.
struct erase_view {
    struct str id, state; // "running", "done"
    struct str actor, reason;
    int64_t created_us, finished_us; // 0: not yet
    int64_t subjects, rows;
    bool clean;     // the scan found nothing; of one that is done
    json_t *entity; // borrowed, as long as the arena
};
MUST_CHECK enum err_code erase_get(struct erase *e, struct str id, struct arena *a,
                                   struct erase_view *ret, struct err *err);
// Newest first.
void erase_list(struct erase *e, struct arena *a, struct erase_view **ret, size_t *ret_count);
// The receipt's bytes. ERR_NOT_FOUND; ERR_CONFLICT: it is not done yet.
MUST_CHECK enum err_code erase_receipt(struct erase *e, struct str id, struct arena *a,
                                       struct str *ret, struct err *err);
