// The catalog log: one append-only log of transactions, and the entities that it replays into.
//
// Objects in the primary bucket (README.md in this folder gives the formats):
//   _catalog/log/<20-digit seq>.json         one record: a batch of transactions, never changed
//   _catalog/checkpoint/<20-digit seq>.json  all entities after record seq, with their hash
//   _catalog/head.json                       the newest record, a moment ago, and its hash
//
// The state is a map: entity key ("dataset:flights") to a JSON object and a version, which is the
// seq of the record that wrote it. A change is {entity, expect, value}: expect is the version that
// the author saw (0: it must not exist), value null deletes; 0 with null changes nothing, and makes
// the transaction fail if the entity is there. A record is created with put_new under the next
// number: that is the commit. Its bytes carry the SHA-256 of the bytes of the record before it, so
// the records form a chain.
//
// Group commit: transactions that wait together go into one record, written by one thread. Each
// gets its own outcome; one that changes an entity that an earlier one of the batch has changed, or
// whose expectation no longer holds, is ERR_CONFLICT and its author may look again and retry.
//
// Threads: everything here may be called from any thread. Several txlogs, in this or other
// processes, may share a bucket.
//
// Failures: a damaged, torn or missing record is ERR_CORRUPT and names the object; replay stops
// there, nothing is guessed, and the log refuses to write. A commit whose outcome could not be
// learnt even by reading back is ERR_UNKNOWN, and later commits are refused (ERR_BUSY) until the
// log can be read again.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "store/store.h"

struct txlog;

struct txlog_options {
    struct str node;          // name of this server in records
    int64_t checkpoint_every; // records between checkpoints
    int64_t poll_ms;          // how often the tail is looked at for others' records; 0: never
    int64_t head_ms;          // how soon after a record _catalog/head.json names it; 0: never
    bool read_only;           // no threads, no writes: for doctor and tests
    // Told of every entity that a replayed record or checkpoint sets (value NULL: gone), in order,
    // while readers are held off. It must be quick and must not call the log. May be NULL.
    void (*changed)(void *ctx, struct str key, uint64_t version, const json_t *value);
    void *ctx;
};

// A transaction as its author gives it. Everything is borrowed for the length of the call.
struct txn {
    struct str actor;   // principal
    struct str action;  // "dataset.create"
    struct str reason;  // may be empty
    struct str target;  // "dataset:NAME"
    struct str outcome; // empty: done; else the error's code: it was refused, and changes nothing
    const json_t *details; // object of what else is worth telling, no value of a person; NULL: none
    const json_t *changes; // array of {entity, expect, value}, each entity once; NULL: none
};

struct txn_outcome {
    uint64_t seq;    // the record that holds it: the new version of the entities that it set
    struct str id;   // transaction id; lives in the caller's arena
    int64_t time_us; // the record's time
};

// Opens and replays: newest checkpoint whose hash is right, then the tail. The store is borrowed.
MUST_CHECK enum err_code txlog_open(struct store *s, const struct txlog_options *options,
                                    struct txlog **ret, struct err *err);
// Waits for commits under way, writes a checkpoint if there is something new, stops the threads.
void txlog_close(struct txlog *l); // takes NULL
void txlog_closep(struct txlog **l);

// Makes the transaction durable, or fails and leaves no trace (but see ERR_UNKNOWN above). ERR_OK
// also means that this txlog's readers see it. ERR_CONFLICT: look again and retry. ERR_TOO_LARGE:
// past 4 MiB. ERR_BUSY: the log cannot be read at the moment. ERR_DENIED: it is read-only.
MUST_CHECK enum err_code txlog_commit(struct txlog *l, const struct txn *t, struct arena *a,
                                      struct txn_outcome *ret, struct err *err);
// The same for several that do not depend on each other, in as few records as may be. Those that
// can be written are, whatever becomes of the others; a failure is that of the first that could
// not. ret_codes has what became of each; NULL: not wanted.
MUST_CHECK enum err_code txlog_note(struct txlog *l, const struct txn *list, size_t count,
                                    enum err_code *ret_codes, struct err *err);
// Replays what others have written; with seq > 0 waits for that record, at most timeout_ms
// (ERR_TIMEOUT).
MUST_CHECK enum err_code txlog_refresh(struct txlog *l, uint64_t seq, int64_t timeout_ms,
                                       struct err *err);
uint64_t txlog_seq(struct txlog *l); // newest replayed record; 0: none
// The entity's value (a new reference, never to be modified) and version, or NULL and 0.
json_t *txlog_get(struct txlog *l, struct str key, uint64_t *ret_version);
// All entities whose key begins so, by key, as of one moment; they live in the arena and are never
// to be modified.
struct txlog_entry {
    struct str key;
    uint64_t version;
    const json_t *value;
};
void txlog_list(struct txlog *l, struct str prefix, struct arena *a, struct txlog_entry **ret,
                size_t *ret_count);
// Holds replay off for as long as several reads must fit together. Not recursive; a thread holds
// one log at a time, and calls only txlog_get and txlog_seq meanwhile.
void txlog_read_lock(struct txlog *l);
void txlog_read_unlock(struct txlog *l);

// ERR_OK while writing is possible, else why it is not.
MUST_CHECK enum err_code txlog_health(struct txlog *l, struct err *err);
MUST_CHECK enum err_code txlog_checkpoint(struct txlog *l, struct err *err);

// A place in the chain, kept by somebody else than the log.
struct txlog_mark {
    uint64_t seq;
    struct str sha256; // of the record's bytes, hex
};
// Walks every record and checkpoint that is there, from bytes, and looks whether the log reaches
// and agrees with _catalog/head.json and with `kept` (NULL: none). *ret is filled as far as it
// came; err names the first object that is wrong and what is wrong with it: ERR_CORRUPT, or what
// kept it from reading. A head that is damaged is ERR_CORRUPT, when all else is right.
struct txlog_report {
    uint64_t first_seq, last_seq;
    uint64_t records, transactions, changes, checkpoints;
    struct str head_sha256; // of the last good record's bytes, hex
    uint64_t seen_seq;      // of _catalog/head.json; 0: there is none, or it is damaged
    // What is not wrong, but keeps the verdict from being whole; empty: nothing.
    struct str note;
};
MUST_CHECK enum err_code txlog_verify(struct store *s, const struct txlog_mark *kept,
                                      struct arena *a, struct txlog_report *ret, struct err *err);

// Calls fn for each transaction of records from..to (inclusive; to 0: the last), as the JSON object
// of the record; fn returns false to stop. What it is given lives until it returns. The chain is
// checked on the way.
struct txlog_item {
    uint64_t seq;
    size_t index; // of the transaction in its record
    int64_t time_us;
    struct str node;
    const json_t *transaction;
};
struct txlog_walker {
    bool (*fn)(void *ctx, const struct txlog_item *item);
    void *ctx;
};
MUST_CHECK enum err_code txlog_walk(struct store *s, uint64_t from, uint64_t to,
                                    const struct txlog_walker *walker, struct err *err);
// The SHA-256 of the bytes of one record, hex: what the next one names as its predecessor's, and
// what somebody may keep elsewhere to prove later that the log is still the same. ERR_NOT_FOUND;
// ERR_CORRUPT: it is no sound record.
MUST_CHECK enum err_code txlog_record_sha256(struct store *s, uint64_t seq, struct arena *a,
                                             struct str *ret, struct err *err);
// The same from the newest to the oldest: records from..to, from being the newer one, which exists.
MUST_CHECK enum err_code txlog_walk_back(struct store *s, uint64_t from, uint64_t to,
                                         const struct txlog_walker *walker, struct err *err);
