// What the files of erase_history share: one dataset's history, and what becomes of it.
//
// A history is walked down to its files, each manifest once. A data file in which rows of a subject
// are found is changed, and with it every position delete file that is for it, every manifest that
// names one of these, and every manifest list that names one of those.
#pragma once

#include "base/hashmap.h"
#include "erase/erase_int.h"
#include "upkeep/upkeep_engine.h"

// The keys as values of one kind of column: sorted single-value bytes.
enum erase_kind { ERASE_TEXT, ERASE_INTEGER, ERASE_UUID, ERASE_KINDS };
struct erase_values {
    struct str *items;
    size_t count;
};

// A data file that a snapshot has.
struct erase_data {
    struct str path; // its URI
    const struct ice_data_file *file;
    const struct ice_schema *schema; // that it was written with
    bool live;                       // in the state that is looked at now
    bool searched;
    uint64_t *bits; // its rows that go; NULL: none do, and the file stays
    int64_t erased; // how many these are
    int64_t *ranks; // of each word of bits: how many are set before it
    bool done;
    bool left;                // something is left of it:
    struct ice_data_file now; // this
    UT_hash_handle hh;
};

// A position delete file that a snapshot has.
struct erase_deletes {
    struct str path;
    const struct ice_data_file *file;
    bool live, done;
    bool changed;
    struct ice_data_file *now; // what takes its place, when it is changed; may be none
    size_t now_count;
    UT_hash_handle hh;
};

struct erase_manifest {
    struct str path;
    const struct ice_manifest_ref *ref;
    const struct ice_manifest *manifest;
    bool changed;                // else `now` is as it was
    bool left;                   // something is left of it
    struct ice_manifest_ref now; // that takes its place
    struct table_tally tally;    // what is live in it then
    UT_hash_handle hh;
};

// A snapshot of the metadata, in its order.
struct erase_snapshot {
    const struct ice_manifest_list *list;
    bool changed;
    struct str manifest_list; // the new one's URI
    struct table_tally tally;
};

struct erase_removed {
    struct erase_object object;
    bool there;
    bool listed; // it stands in done.removed
    UT_hash_handle hh;
};

struct erase_past {
    struct erase *erase;
    struct tables *tables;
    const struct erase_history_work *work;
    struct job *job;
    int64_t job_done, job_total;
    struct arena *arena; // of what is here; keeps the metadata in the cache
    struct arena *texts; // of the result, the caller's
    struct upkeep_engine engine;
    struct erase_values values[ERASE_KINDS];
    bool *found; // of the keys
    // Data files and delete files stay known from one attempt of the commit to the next, and so
    // does what was written for them.
    struct erase_data *datas;
    struct erase_deletes *deletes;
    struct erase_removed *hashed; // objects to be removed whose hash is known

    // Of the state that is looked at.
    const struct table_pin *pin;
    int32_t *key_ids; // fields that bear the column's name, or did so before they were dropped
    size_t key_count;
    struct erase_manifest *manifests;
    struct erase_snapshot *snapshots;
    bool stale_bounds; // an entry of a file that is gone may still tell of a subject
    bool stale_list;   // the list of tombstones names a subject
    struct erase_history done;
};
// Of one whose work, job and arenas are set.
void erase_past_open(struct erase *e, struct erase_past *p);
void erase_past_close(struct erase_past *p); // for DEFER; an empty one is fine
MUST_CHECK enum err_code erase_past_step(struct erase_past *p, int64_t steps, struct err *err);
// The engine, opened when it is first needed.
MUST_CHECK enum err_code erase_past_engine(struct erase_past *p, struct err *err);
// Is a text, as a value of the type, one of the keys?
bool erase_past_has(const struct erase_past *p, const struct ice_type *t, struct str text);
// Where the engine finds an object of the table.
MUST_CHECK enum err_code erase_past_local(const struct erase_past *p, struct str uri,
                                          struct arena *a, struct str *ret, struct err *err);

// erase_history_find.c: walks the pin's metadata, and finds the rows. Fills datas, deletes (whether
// they are changed is not known yet), manifests, snapshots (lists alone), and the counts of `done`.
MUST_CHECK enum err_code erase_past_find(struct erase_past *p, const struct table_pin *pin,
                                         struct err *err);

// A manifest that was walked.
struct erase_manifest *erase_past_manifest(const struct erase_past *p,
                                           const struct ice_manifest_ref *ref);

// erase_history_files.c: writes data files and delete files anew, and notes them with the commit as
// kept ones.
MUST_CHECK enum err_code erase_past_write(struct erase_past *p, struct table_commit *c,
                                          struct err *err);
// Is the file, which an entry of any status names, one that changes? Then *ret is what takes its
// place, when that is written.
bool erase_past_now(const struct erase_past *p, const struct ice_data_file *f,
                    const struct ice_data_file **ret, size_t *ret_count);
bool erase_past_changes(const struct erase_past *p, const struct ice_data_file *f);

// erase_history_meta.c: manifests and manifest lists, then what is to be removed.
MUST_CHECK enum err_code erase_past_describe(struct erase_past *p, struct table_commit *c,
                                             struct err *err);
// Hashes the data and delete files that are to be removed, which takes long; then the list of all
// such objects finds them hashed.
MUST_CHECK enum err_code erase_past_hash(struct erase_past *p, struct err *err);
// Fills done.removed.
MUST_CHECK enum err_code erase_past_list_removed(struct erase_past *p, struct err *err);
// The new lists and summaries into the metadata.
void erase_past_amend(const struct erase_past *p, struct ice_metadata *next, struct arena *a);
