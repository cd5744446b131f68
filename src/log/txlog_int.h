// What the source files of the catalog log share; README.md has the formats.
//
// Locks, in the order in which they are taken:
//   checkpoint_lock  one checkpoint at a time
//   tail_lock        held while records are read or written; guards `unread`
//   state_lock       guards state and head; written under tail_lock only
//   lock             guards the queue, the troubles and the flags
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "log/txlog.h"

enum {
    TXLOG_BATCH_MAX = 256,             // transactions in a record
    TXLOG_BATCH_BYTES = 4 << 20,       // bytes of them
    TXLOG_TRANSACTION_BYTES = 4 << 20, // bytes of one
    TXLOG_RECORD_BYTES = 16 << 20,     // limit of the buffers that hold one record
    TXLOG_ENTITY_BYTES = 1024,         // bytes of an entity's key
    TXLOG_CHECKPOINTS_KEPT = 3,
    TXLOG_LIST_PAGE = 1000,
};

#define TXLOG_CHECKPOINT_BYTES ((size_t)STORE_GET_MAX)

// The hash that the first record has as that of its predecessor.
#define TXLOG_NO_SHA256 "0000000000000000000000000000000000000000000000000000000000000000"

// txlog_state.c: the entities. Not thread-safe.
struct txlog_state;

struct txlog_entity {
    struct str key;
    uint64_t version;
    json_t *value;
};

struct txlog_state *txlog_state_new(void);
void txlog_state_free(struct txlog_state *state);
void txlog_state_freep(struct txlog_state **state);
const struct txlog_entity *txlog_state_find(const struct txlog_state *state, struct str key);
size_t txlog_state_count(const struct txlog_state *state);
// Takes a reference of value; NULL removes the entity.
void txlog_state_set(struct txlog_state *state, struct str key, uint64_t version, json_t *value);
// All entities whose key begins so, each with a reference of its own that goes with the arena.
struct txlog_entity *txlog_state_snapshot(const struct txlog_state *state, struct str prefix,
                                          struct arena *a, size_t *ret_count);
// Whether the changes may be made: ERR_CONFLICT names the entity that is not as they expect, or
// that stands in `claimed` already. On success it stands there.
MUST_CHECK enum err_code txlog_state_check(const struct txlog_state *state, const json_t *changes,
                                           json_t *claimed, struct err *err);

// txlog_record.c: bytes of records, and what records and checkpoints have in common.
struct txlog_record {
    uint64_t seq;
    int64_t time_us;
    struct str prev_sha256;
    struct str node;
    const json_t *transactions; // lives as long as the arena
    struct str sha256;          // hash of the record's bytes, hex
};

struct str txlog_record_name(uint64_t seq, struct arena *a);
struct str txlog_checkpoint_name(uint64_t seq, struct arena *a);
#define TXLOG_RECORD_PREFIX STR("_catalog/log/")
#define TXLOG_CHECKPOINT_PREFIX STR("_catalog/checkpoint/")
#define TXLOG_HEAD_NAME STR("_catalog/head.json")
// The number in an object's name; false if the name is not that of a record or checkpoint.
bool txlog_name_seq(struct str name, struct str prefix, uint64_t *ret);

// Ends a JSON object that lacks its closing brace with the hash of its bytes so far.
void txlog_seal(struct buf *out);
// Checks the end of sealed bytes and parses them: an object. The tree goes with the arena.
MUST_CHECK enum err_code txlog_unseal(struct str bytes, struct str name, struct arena *a,
                                      json_t **ret, struct err *err);

// seq, time_us, prev_sha256 and node of `r`, and the texts of the transactions.
struct str txlog_record_encode(const struct txlog_record *r, const struct str *transactions,
                               size_t count, struct arena *a);
// ERR_CORRUPT unless the bytes are record `seq`, whole and well-formed.
MUST_CHECK enum err_code txlog_record_decode(struct str bytes, uint64_t seq, struct arena *a,
                                             struct txlog_record *ret, struct err *err);
// Gets and decodes; a record that looks damaged is read a second time. ERR_NOT_FOUND.
MUST_CHECK enum err_code txlog_record_read(struct store *s, uint64_t seq, struct arena *a,
                                           struct txlog_record *ret, struct err *err);
// ERR_CORRUPT unless r carries the hash of its predecessor.
MUST_CHECK enum err_code txlog_record_follows(const struct txlog_record *r, const char *prev_sha256,
                                              struct err *err);
// The form of one transaction: ERR_INVALID says what is wrong.
MUST_CHECK enum err_code txlog_transaction_check(const json_t *transaction, struct err *err);

// txlog_checkpoint.c
struct txlog_checkpoint_data {
    uint64_t seq;
    char record_sha256[65];
    struct txlog_state *state;
};

// Numbers of the checkpoints that are there, ascending. A name that is none is passed over, and
// given back in ret_odd (unless NULL): the first one.
MUST_CHECK enum err_code txlog_checkpoint_list(struct store *s, struct arena *a, uint64_t **ret,
                                               size_t *ret_count, struct str *ret_odd,
                                               struct err *err);
// The caller owns ret->state. ERR_CORRUPT or ERR_NOT_FOUND if it cannot be used.
MUST_CHECK enum err_code txlog_checkpoint_read(struct store *s, uint64_t seq,
                                               struct txlog_checkpoint_data *ret, struct err *err);
// Writes one if there is something new; unless forced, only if nobody has written one lately.
MUST_CHECK enum err_code txlog_checkpoint_write(struct txlog *l, bool forced, struct err *err);

// txlog_writer.c: a transaction that waits for its outcome. Lives on its author's stack.
struct txlog_waiter {
    struct str id;
    struct str text;     // the transaction's JSON
    json_t *tree;        // the same, parsed
    pthread_cond_t done; // of lock
    bool is_done;
    uint64_t seq;
    int64_t time_us;
    struct err err;
    struct txlog_waiter *next;
};

// The thread that writes records, and looks for others' every poll_ms. Runs until l->stopping.
void *txlog_writer_run(void *log);

// txlog_replay.c
// The position in the chain: the newest record and the hash of its bytes.
struct txlog_head {
    uint64_t seq;
    char sha256[65];
};

// Makes the record's changes in the state and moves the head. tail_lock is held.
MUST_CHECK enum err_code txlog_apply(struct txlog *l, const struct txlog_record *r,
                                     struct err *err);
// Replays all records behind the head. tail_lock is held. If the transaction `seen->id` comes by,
// its record's number and time are left there. seen may be NULL.
struct txlog_seen {
    struct str id;
    uint64_t seq; // 0: not seen
    int64_t time_us;
};
MUST_CHECK enum err_code txlog_replay(struct txlog *l, struct txlog_seen *seen, struct err *err);
// Loads the newest good checkpoint, replays, and looks for gaps.
MUST_CHECK enum err_code txlog_load(struct txlog *l, struct err *err);

// txlog_head.c: the hint how far the log reaches.
// ERR_NOT_FOUND; ERR_CORRUPT: it is torn or damaged.
MUST_CHECK enum err_code txlog_head_read(struct store *s, struct txlog_head *ret, struct err *err);
// Writes ours, unless one that is as new is there.
MUST_CHECK enum err_code txlog_head_write(struct txlog *l, struct err *err);
// The head has moved: the keeper is to write it in a while.
void txlog_head_due(struct txlog *l);
// After the start: does the log reach a head that was read before (seq 0: none)? ERR_CORRUPT.
MUST_CHECK enum err_code txlog_head_check(struct txlog *l, const struct txlog_head *head,
                                          struct err *err);
// The two things that can be wrong: sets err, ERR_CORRUPT.
MUST_CHECK enum err_code txlog_head_short(const struct txlog_head *head, uint64_t last,
                                          struct err *err);
MUST_CHECK enum err_code txlog_head_other(const struct txlog_head *head, struct err *err);

struct txlog {
    struct store *store;
    struct txlog_options options;
    char *node;

    pthread_mutex_t checkpoint_lock;
    pthread_mutex_t tail_lock;
    bool unread; // records may be there that could not be read: nothing is written before

    pthread_rwlock_t state_lock;
    struct txlog_state *state;
    struct txlog_head head;
    _Atomic uint64_t seq; // head.seq, for those who only want a look

    pthread_mutex_t lock;
    pthread_cond_t wake;        // the writer: something is queued, or stop
    pthread_cond_t wake_keeper; // the keeper: a checkpoint or the head is due, or stop
    pthread_cond_t advanced;    // those who wait for a record
    struct txlog_waiter *queue; // oldest first
    struct txlog_waiter **queue_end;
    struct err read_trouble; // code ERR_OK: none
    struct err write_trouble;
    uint64_t checkpoint_seq; // newest checkpoint that we know of
    bool checkpoint_due;
    int64_t head_due_us; // monotonic clock; 0: it says what there is
    bool stopping;
    bool has_threads;
    pthread_t writer;
    pthread_t keeper;
};
