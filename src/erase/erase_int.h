// What the files of erase/ share.
#pragma once

#include <pthread.h>

#include "erase/erase.h"
#include "table/table_commit.h"

struct erase {
    struct erase_options options;
    char *spool, *cache;
    int64_t started_us;   // wall clock: what is older is no write of this process
    pthread_mutex_t lock; // one erasure at a time
};

// The values that go, as one erasure has them.
struct erase_subjects {
    const struct table_key *keys;
    size_t key_count;
    const struct str *search;
    size_t search_count;
};

// An object that is, or was, removed.
struct erase_object {
    struct str name; // in the bucket; there is one bucket so far
    int64_t bytes;
    struct str sha256; // hex
};

// [{"object", "bytes", "sha256"}], a new reference; and back.
json_t *erase_objects_json(const struct erase_object *objects, size_t count);
void erase_objects_of(const json_t *list, struct arena *a, struct erase_object **ret,
                      size_t *ret_count);

// erase_history.c: one dataset, with all of its snapshots.

// Fills bytes and hash of the object that is named there. False in *ret_there: it has gone.
MUST_CHECK enum err_code erase_object_hash(struct store *s, struct arena *texts,
                                           struct erase_object *ret, bool *ret_there,
                                           struct err *err);
struct erase_history {
    struct str dataset, dataset_id, column; // as they are named now
    int64_t rows;          // that hold a subject, in data files of any snapshot, each once
    int64_t files;         // data files that held one
    int64_t files_written; // of them, those of which something was left
    int64_t snapshots;     // that are there
    int64_t snapshots_changed;
    int64_t bytes_read, bytes_written; // of data files
    int64_t keys_found;                // of the subjects' keys
    int64_t tombstones;                // that went with them
    struct str *handles;               // of these, as the log names their subjects; in the arena
    struct erase_object *removed;      // in the arena; nothing leads to them after the commit
    size_t removed_count;
    bool changed; // a commit was made
    int64_t duration_us;
};
struct erase_history_work {
    const struct erase_target *target;
    const struct erase_subjects *subjects;
    struct catalog_author who; // of rewrite, as what follows
    enum err_code (*extras)(void *ctx, const struct erase_history *h, struct arena *a, json_t **ret,
                            struct err *err);
    void *ctx;
};
// Looks, and changes nothing; removed is left empty. ERR_INVALID: no such column, or of a type that
// is no text, integer or UUID.
MUST_CHECK enum err_code erase_history_look(struct erase *e, const struct erase_history_work *w,
                                            struct job *job, struct arena *a,
                                            struct erase_history *ret, struct err *err);
// Writes the history anew without the subjects, and commits. `extras` gives further changes of the
// commit's transaction, from what it is about to do (removed objects with their hashes too): it may
// be called again if another commit was quicker. A dataset that holds none of them is left as it
// is; then extras is not called. ERR_NOT_FOUND: no such dataset. ERR_UNSUPPORTED: equality deletes.
MUST_CHECK enum err_code erase_history_rewrite(struct erase *e, const struct erase_history_work *w,
                                               struct job *job, struct arena *a,
                                               struct erase_history *ret, struct err *err);

// Removes what the rewriting of a dataset left behind: memory forgets it first, then queries of
// this process that may read it are waited for (options.wait_ms), then the objects go, whoever may
// still read them. Absent already is fine, and so is a dataset that was dropped meanwhile: it can
// be called again until it says ERR_OK.
MUST_CHECK enum err_code erase_history_remove(struct erase *e, struct str dataset,
                                              const struct erase_object *objects, size_t count,
                                              struct job *job, struct err *err);

// erase_match.c: many values, searched for in one pass over bytes.
//
// A value of at least ERASE_MATCH_MIN bytes is found in any text where it stands as a word of its
// own: no letter or digit before or behind it (bytes of UTF-8 past ASCII count as letters). A
// shorter one (42, "Bo") would be found everywhere; it counts only where a whole cell of the
// subject's key column, or a whole JSON string, equals it. Case counts, but a value in the form of
// a UUID is looked for as it is and in lower case. Values that overlap all count.
#define ERASE_MATCH_MIN 5
struct erase_matcher;
struct erase_matcher *erase_matcher_new(const struct erase_subjects *s);
void erase_matcher_free(struct erase_matcher *m); // takes NULL
void erase_matcher_freep(struct erase_matcher **m);
size_t erase_matcher_longest(const struct erase_matcher *m); // bytes of the longest value
// How many values it has, and how many of them are too short for texts.
void erase_matcher_count(const struct erase_matcher *m, int64_t *ret_values, int64_t *ret_short);
// How many times a long value stands in the text.
int64_t erase_match_text(const struct erase_matcher *m, struct str text);
// A part of something longer: what stands before `from` and from `to` on is looked at, but only
// values that begin between the two count.
struct erase_match_part {
    struct str bytes;
    size_t from, to;
    bool text; // in bytes that are no text decimal digits of keys that are integers do not count
};
int64_t erase_match_part(const struct erase_matcher *m, const struct erase_match_part *part);
// Is the whole cell one of the values (as text), whatever its length?
bool erase_match_cell(const struct erase_matcher *m, struct str cell);
// How many parts of an object's name (between slashes) spell a value: a long one as a text would,
// any one behind a '=', as partitions are named (id=42).
int64_t erase_match_name(const struct erase_matcher *m, struct str name);
// Does the statement quote a value: a long one as a text would, or one of any length as a literal
// or a word? Quotes that are doubled in a literal count as one.
bool erase_match_statement(const struct erase_matcher *m, struct str sql);
// The same, but short words count as literals alone: a filter that says id % 4 = 1 quotes nobody.
bool erase_match_filter(const struct erase_matcher *m, struct str filter);
// Is it one of the keys that are integers?
bool erase_match_integer(const struct erase_matcher *m, int64_t value);

// erase_scan.c: every object that remains, decoded and searched.
struct erase_finding {
    struct str object; // or a local file, as its path below the data folder
    struct str where;  // "column email", "upper bound of candidate_id", "bytes"; no value
    int64_t count;
};
#define ERASE_FINDINGS_MAX 1000
struct erase_scanned {
    int64_t objects, bytes;
    int64_t parquet, avro, json, other; // objects of each kind
    int64_t rows;                       // of Parquet
    int64_t local_files;
    int64_t duration_us;
    struct erase_finding *findings; // the first of them; in the arena
    size_t finding_count;
    int64_t found; // all of them
};
struct erase_scan {
    const struct erase_subjects *subjects;
    const struct str *columns; // names of key columns: short values are looked for in these
    size_t column_count;
    const struct str *leave_out; // objects that are about to be removed
    size_t leave_out_count;
};
// ERR_OK, whatever was found. An object that cannot be decoded is searched as bytes and is itself a
// finding ("cannot be decoded"). One that goes meanwhile (others write on) is passed over.
MUST_CHECK enum err_code erase_scan(struct erase *e, const struct erase_scan *scan, struct job *job,
                                    struct arena *a, struct erase_scanned *ret, struct err *err);

// erase_sweep.c: leftovers that nothing leads to: objects of failed writes in the datasets'
// folders, folders of no dataset, content objects, spool and cache files of dead processes, files
// of rejected rows that hold a subject. Those of writes under way stay: objects are older than an
// hour, or than this process where no other uses the data folder. What cannot be swept is left to
// the next time, and to the scan. Adds what it removed to *ret, in the arena; fails only with
// ERR_CANCELLED.
struct erase_swept {
    struct erase_object *objects;
    size_t count, cap;
    int64_t local_files;
};
MUST_CHECK enum err_code erase_sweep(struct erase *e, const struct erase_matcher *m,
                                     struct job *job, struct arena *a, struct erase_swept *ret,
                                     struct err *err);
// Adds content objects that are gone, which must live as long as the arena.
void erase_swept_add(struct erase_swept *s, const struct catalog_content_swept *contents,
                     struct arena *a);
