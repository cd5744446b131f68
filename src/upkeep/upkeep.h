// Upkeep: what keeps tables quick and small. Compaction, expiry, rollback, orphans, fsck, and the
// policy that does these things unasked.
//
// Everything here changes a dataset by the same commits as a write does, so it may run beside
// queries, deltas and other servers; nothing is removed while a query of this process may read it.
// Each call runs its statements in an engine of its own, with little memory and a spill folder.
//
// `job` reports progress and takes cancelling; it may be NULL.
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
#include "jobs/jobs.h"
#include "table/table.h"

struct upkeep;

struct upkeep_options {
    struct str cache;      // folder for what its engines spill
    int64_t memory_bytes;  // of such an engine
    int threads;           // 0: all processors
    int64_t target_bytes;  // aimed size of a data file
    int64_t snapshots_max; // of a dataset, however young they are
};
struct upkeep *upkeep_new(struct tables *t, const struct upkeep_options *o);
void upkeep_free(struct upkeep *u); // takes NULL

// Compaction: small files and files with deletes are written again, as files of the aimed size
// without deleted rows, in the current schema. The files are packed into bins; each bin is a commit
// of its own (operation "replace"), so that what is done stays done. Before its commit a bin's new
// file is read back: rows and checksum must be those of the rows that were written. A bin whose
// files get deletes meanwhile is done again with them, and without those files that somebody else
// has replaced; when nothing is left of it, it is left out. The old files stay for time travel
// until their snapshots expire.
//
// Rows that tombstones hide (table_tombstone.h) are left out like any that are deleted, unless one
// of them may not be dropped yet, by its purge_not_before: then the file stays as it is. At the end
// the tombstones that may be applied, and of which no live file has a row any more, leave the list.
struct upkeep_compact {
    struct str dataset;
    bool dry_run;
    const struct str
        *cluster_by; // columns to sort by: then every file is written again, as one bin
    size_t cluster_count;
    int64_t target_bytes;   // 0: as the service is configured
    int64_t deletes_share;  // rows in a thousand that must be deleted in a file; 0: one row will do
    bool tiered;            // leave large files alone unless as much is merged into them
    bool keeps_tombstones;  // apply only those whose purge_not_before has passed
    int64_t bytes_a_second; // pauses between bins keep to this; 0: no limit
    int threads;            // 0: as the service is configured
    struct catalog_author who;
    // For tests: called when a bin's new files are written (their folder), and when they have been
    // checked.
    void (*staged)(void *ctx, const char *folder);
    void (*checked)(void *ctx);
    void *ctx;
};
struct upkeep_compacted {
    struct str dataset;
    int64_t bins;          // that were committed (dry run: planned)
    int64_t bins_left_out; // because another replaced their files
    int64_t again;         // times that a bin was done again
    int64_t files_before, files_after, bytes_before, bytes_after; // of the dataset
    int64_t files_read, files_written;
    int64_t rows;                       // that were written
    int64_t deletes_applied;            // rows that were left out
    int64_t rows_dropped_by_tombstones; // of those: that only tombstones hid
    int64_t tombstones_applied;         // keys that left the list
    int64_t snapshot_id;                // of the last commit; 0: there was nothing to do
    int64_t duration_us;
};
// ERR_INVALID: no such column to cluster by. ERR_CORRUPT: what was read back is not what was
// written; the table is as it was.
MUST_CHECK enum err_code upkeep_compact(struct upkeep *u, const struct upkeep_compact *request,
                                        struct job *job, struct arena *a,
                                        struct upkeep_compacted *ret, struct err *err);

// Expiry: snapshots that are older than the limits allow leave the table, and what only they led to
// is removed, as soon as no query of this process can need it. The defaults are those of the
// table's properties history.expire.…, else five days and one snapshot; branches and tags have
// their say. Metadata files that the table's log has forgotten go too.
struct upkeep_expire {
    struct str dataset;
    bool dry_run;
    int64_t older_than_ms; // -1: as the table has it
    int64_t keep_min;      // 0: as the table has it
    int64_t keep_max;      // of a branch, however young; 0: as the service is configured
    struct catalog_author who;
};
struct upkeep_expired {
    struct str dataset;
    int64_t snapshots_before, snapshots_removed, snapshots_after;
    int64_t objects_removed, bytes_removed; // bytes of files and manifests
    int64_t duration_us;
};
// ERR_REFUSED: the table forbids it (gc.enabled=false).
MUST_CHECK enum err_code upkeep_expire(struct upkeep *u, const struct upkeep_expire *request,
                                       struct job *job, struct arena *a, struct upkeep_expired *ret,
                                       struct err *err);

// Rollback: an older snapshot, by its id or sequence number, becomes current. Nothing is lost: the
// snapshots after it stay until they expire. Rows that tombstones hide stay hidden: where the older
// snapshot shows them, a new one is made from it that does not.
struct upkeep_rollback {
    struct str dataset;
    int64_t version;
    bool dry_run;
    struct catalog_author who;
};
struct upkeep_rolled {
    struct str dataset;
    int64_t from_snapshot, to_snapshot;
    int64_t rows_before, rows_after;
};
// ERR_NOT_FOUND: no such snapshot.
MUST_CHECK enum err_code upkeep_rollback(struct upkeep *u, const struct upkeep_rollback *request,
                                         struct arena *a, struct upkeep_rolled *ret,
                                         struct err *err);

// Orphans: objects in the dataset's folder that no snapshot and no metadata leads to, and that are
// older than the safety window, are removed.
struct upkeep_orphans {
    struct str dataset;
    bool dry_run;
    int64_t older_than_ms;
    size_t names_max; // of orphans that are named; 0: a hundred
    struct catalog_author who;
};
struct upkeep_orphaned {
    struct str dataset;
    int64_t objects_seen;
    int64_t objects, bytes; // orphans
    struct str *names;      // the first of them, in the arena
    size_t name_count;
};
MUST_CHECK enum err_code upkeep_orphans(struct upkeep *u, const struct upkeep_orphans *request,
                                        struct job *job, struct arena *a,
                                        struct upkeep_orphaned *ret, struct err *err);

// The policy that does compaction and expiry unasked: a thread that looks at the datasets that have
// changed and gives one at a time a turn, as a job of kind "upkeep" that can be seen and stopped.
struct upkeep_policy;
struct upkeep_policy_options {
    int64_t interval_ms;     // between looks; a look without a change costs nothing
    int64_t small_files;     // more files than are needed, from which on a dataset is compacted
    int64_t deletes_percent; // of its rows that are deleted, from which on it is
    int64_t bytes_a_second;  // that a compaction keeps to; 0: no limit
};
struct upkeep_policy *upkeep_policy_new(struct upkeep *u, struct jobs *jobs,
                                        const struct upkeep_policy_options *o);
void upkeep_policy_stop(struct upkeep_policy *p); // no more turns; takes NULL
void upkeep_policy_free(struct upkeep_policy *p); // after the jobs were closed; takes NULL

// Fsck: walks a bucket from its log down to the rows' files and says what is wrong, where, and how
// to mend it. It changes nothing. Best with the server down: a dataset that changes meanwhile is
// looked at again.
struct upkeep_finding {
    bool damage;           // else it is only worth knowing
    struct str dataset;    // empty: of the bucket
    struct str object;     // its name in the bucket; may be empty
    struct str what, mend; // sentences
};
struct upkeep_fsck {
    struct store *store;
    struct str uri;     // of the store
    struct str scratch; // a folder for what the engine spills
};
struct upkeep_health {
    uint64_t records;                              // of the log
    int64_t datasets, snapshots, manifests, files; // that were looked at
    int64_t rows, bytes;                           // of live files
    int64_t orphans, orphan_bytes;
    struct upkeep_finding *findings;
    size_t count, cap;
    int64_t damages; // among them
};
// ERR_OK, whatever was found. Fails only when it cannot look at all.
MUST_CHECK enum err_code upkeep_fsck(const struct upkeep_fsck *options, struct arena *a,
                                     struct upkeep_health *ret, struct err *err);
