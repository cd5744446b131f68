// Tombstones: rows of a key that nobody sees any more, until they are erased or brought back.
//
// A tombstone is a key value of a dataset's one row key column. Its rows are position-deleted, in
// delete files of their own, named tombstones-….parquet: other engines apply them like any, and we
// tell them apart from rows that were corrected. Who, when, why, and the values themselves are
// listed in a content object (catalog_content.h) that the dataset's entity names; list and delete
// files change in one transaction. The log names a subject by a handle, an HMAC of the value under
// a random key of its own that stands in the list and goes with it.
//
// A row that comes later with a tombstoned key is hidden by the commit that brings it: the commit
// loop looks into the data files that it adds (table_tombstones_hide). __raw__ reads show them.
//
// Until a compaction (or an erasure) writes the files again without these rows, a tombstone can be
// undone. A compaction applies the tombstones that it may, and takes them off the list; those whose
// purge_not_before lies ahead are held: files with rows of theirs are left as they are.
//
// A dataset without tombstones pays nothing.
//
// The list's body: {"column", "field_id", "items": [{"value": text, "integer": bool, "key": 64 hex,
// "actor", "on_behalf_of"?, "reason", "time_us", "rows", "purge_not_before_us"?, "purge_by_us"?}]};
// the column's name and id are those of the time when it was written, those of now stand in the
// entity.
//
// Threads: any; a session that is passed in is used by the caller's thread.
#pragma once

#include "table/table.h"

#define TABLE_TOMBSTONES_MAX 100000  // of a dataset
#define TABLE_TOMBSTONE_VALUES 10000 // of one call
#define TABLE_TOMBSTONE_BYTES 1024   // of one value

// A row key as a client gives it.
struct table_key {
    struct str text; // an integer's in decimal
    bool integer;    // it came as a JSON number
};

// What came of one value that could not be done.
enum table_key_why {
    TABLE_KEY_NOT_FOUND, // no visible row has it; one that comes later is not hidden either
    TABLE_KEY_WRONG_TYPE,
    TABLE_KEY_TWICE, // in the request; its first place counts
    TABLE_KEY_ALREADY,
    TABLE_KEY_NOT_TOMBSTONED
};
struct table_key_failure {
    size_t at; // index into the request's keys
    enum table_key_why why;
};

struct table_tombstone {
    struct str dataset;
    struct str column; // text, integer or UUID
    const struct table_key *keys;
    size_t key_count;
    int64_t purge_not_before_us, purge_by_us; // the purge clock; 0: none
    struct catalog_author who;                // its details are made here
    struct str on_behalf_of; // whom the actor says to act for; may be empty; in the details too
    struct session *session;
};
struct table_tombstoned {
    struct catalog_dataset dataset;     // as it is now
    int64_t keys, rows;                 // that were hidden, or brought back
    int64_t snapshot_id;                // 0: nothing had to change
    struct table_key_failure *failures; // in the order of the request
    size_t failure_count;
};
// ERR_CONFLICT: the dataset has tombstones for another column. ERR_INVALID: no such column, or of
// another type; the reason or on_behalf_of names a key; the clock runs backwards. ERR_TOO_LARGE:
// too many.
MUST_CHECK enum err_code table_tombstone(struct tables *t, const struct table_tombstone *r,
                                         struct arena *a, struct table_tombstoned *ret,
                                         struct err *err);
// Brings the rows of these keys back: all of them that are hidden, also such as came later. column
// may be empty. The clock is not looked at.
MUST_CHECK enum err_code table_tombstone_undo(struct tables *t, const struct table_tombstone *r,
                                              struct arena *a, struct table_tombstoned *ret,
                                              struct err *err);

// One that is active.
struct table_tombstone_item {
    struct str value;
    bool integer;
    struct str key; // of its handle, hex
    struct str actor, on_behalf_of, reason;
    int64_t time_us;
    int64_t rows; // that it hid when it was made
    int64_t purge_not_before_us, purge_by_us;
};
// Should it have been purged by now?
static inline bool table_tombstone_overdue(const struct table_tombstone_item *item,
                                           int64_t now_us) {
    return item->purge_by_us != 0 && item->purge_by_us < now_us;
}
// Keys that are not tombstoned any more, since no file of the snapshots from that sequence number
// on holds what they hid.
struct table_tombstones_applied {
    struct str column;
    int32_t field_id;
    int64_t sequence;
    const struct str *values;
    size_t count;
};
// The list of a dataset, parsed once and shared. Lives while the arena does.
struct table_tombstone_list {
    struct str column;
    int32_t field_id;
    const struct table_tombstone_item *items; // oldest first
    size_t count;
    const struct table_tombstone_item *const *by_value; // the same, sorted by str_cmp
    const struct table_tombstones_applied *applied;     // oldest first
    size_t applied_count;
};
// Should a commit have replaced the list since d was read, it is the one of now.
MUST_CHECK enum err_code table_tombstone_list_load(struct tables *t,
                                                   const struct catalog_dataset *d, struct arena *a,
                                                   const struct table_tombstone_list **ret,
                                                   struct err *err);
const struct table_tombstone_item *
table_tombstone_find(const struct table_tombstone_list *list,
                     struct str value); // in canonical form; NULL: it is not there
// The name by which the log knows the subject of an item: 32 hex digits.
struct str table_tombstone_handle(const struct table_tombstone_item *item, struct arena *a);
