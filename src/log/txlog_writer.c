// Group commit: one thread makes records of the transactions that wait.
//
// It waits for no timer: what was queued while the last record was under way goes into the next.

#include "log/txlog_int.h"

#include "base/clock.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"

#include <unistd.h>

enum { PUT_TRIES = 5 };

struct batch {
    struct txlog_waiter *waiters[TXLOG_BATCH_MAX];
    size_t count;
};

static void finish(struct txlog *l, struct txlog_waiter *w, const struct err *err) {
    LOCKED(&l->lock);
    w->err = *err;
    w->is_done = true;
    CHECK(pthread_cond_signal(&w->done) == 0);
}

static void finish_all(struct txlog *l, struct batch *b, const struct err *err) {
    for (size_t i = 0; i < b->count; i++) {
        finish(l, b->waiters[i], err);
    }
    b->count = 0;
}

// Writing works, and perhaps a checkpoint is due.
static void note_written(struct txlog *l, uint64_t seq) {
    LOCKED(&l->lock);
    l->write_trouble = ERR_NONE;
    if (seq >= l->checkpoint_seq + (uint64_t)MAX(l->options.checkpoint_every, 1)) {
        l->checkpoint_due = true;
        CHECK(pthread_cond_signal(&l->wake_keeper) == 0);
    }
}

static void finish_written(struct txlog *l, struct batch *b, uint64_t seq, int64_t time_us) {
    counter_add(COUNTER_log_records, 1);
    counter_add(COUNTER_log_transactions, (int64_t)b->count);
    note_written(l, seq);
    for (size_t i = 0; i < b->count; i++) {
        b->waiters[i]->seq = seq;
        b->waiters[i]->time_us = time_us;
    }
    finish_all(l, b, &ERR_NONE);
}

// Turns away what the state, or an earlier transaction of the batch, does not allow.
static void admit(struct txlog *l, struct batch *b) {
    DEFER(json_decrefp) json_t *claimed = json_object();
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        struct txlog_waiter *w = b->waiters[i];
        struct err err = ERR_NONE;
        const json_t *changes = json_object_get(w->tree, "changes");
        if (txlog_state_check(l->state, changes, claimed, &err) == ERR_OK) {
            b->waiters[kept++] = w;
        } else {
            counter_add(COUNTER_log_conflicts, 1);
            finish(l, w, &err);
        }
    }
    b->count = kept;
}

enum put_result {
    PUT_WRITTEN,
    PUT_TAKEN,   // a record is there, perhaps even ours
    PUT_REFUSED, // nothing was written
    PUT_UNKNOWN
};

static bool leaves_outcome_open(enum err_code code) {
    return code == ERR_IO || code == ERR_TIMEOUT || code == ERR_BUSY || code == ERR_UNKNOWN;
}

static enum put_result put_record(struct txlog *l, struct str name, struct str bytes,
                                  struct err *err) {
    bool open = false;
    for (int tries = 0; tries < PUT_TRIES; tries++) {
        if (tries > 0) {
            (void)usleep(500U << (2 * tries)); // 2, 8, 32, 128 ms
        }
        enum err_code code = store_put_new(l->store, name, bytes, err);
        if (code == ERR_OK) {
            return PUT_WRITTEN;
        }
        if (code == ERR_EXISTS) {
            return PUT_TAKEN;
        }
        if (!open && !leaves_outcome_open(code)) {
            return PUT_REFUSED;
        }
        open = true;
        // Another's record there settles it. Our own does not, since it may not be durable: putting
        // the same bytes again finds out.
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct err ignored = ERR_NONE;
        struct str there = STR_NONE;
        if (store_get(l->store, name, &a, &there, &ignored) == ERR_OK && !str_eq(there, bytes)) {
            return PUT_TAKEN;
        }
    }
    return PUT_UNKNOWN;
}

static void note_write_trouble(struct txlog *l, const struct err *err) {
    LOCKED(&l->lock);
    l->write_trouble = *err;
}

// The head and all behind it cannot be read.
static void refuse_unread(struct txlog *l, struct batch *b, struct err *err) {
    if (leaves_outcome_open(err->code)) {
        err->code = ERR_BUSY;
        (void)err_prefix(err, "the catalog log cannot be read: ");
    }
    finish_all(l, b, err);
}

static void finish_unknown(struct txlog *l, struct batch *b, uint64_t seq, struct err *err) {
    err->code = ERR_UNKNOWN;
    (void)err_prefix(err,
                     "whether record %llu was written is not known: ", (unsigned long long)seq);
    l->unread = true;
    note_write_trouble(l, err);
    finish_all(l, b, err);
}

// Somebody's record has our number. Replays; the batch is done if the record was ours after all.
static void look_who_won(struct txlog *l, struct batch *b) {
    struct err err = ERR_NONE;
    struct txlog_seen seen = {.id = b->waiters[0]->id};
    uint64_t ours = l->head.seq + 1;
    enum err_code code = txlog_replay(l, &seen, &err);
    if (seen.seq != 0) {
        finish_written(l, b, seen.seq, seen.time_us);
        return;
    }
    counter_add(COUNTER_log_races_lost, 1);
    if (code != ERR_OK && l->head.seq < ours && leaves_outcome_open(code)) {
        finish_unknown(l, b, ours, &err);
    } else if (code != ERR_OK) {
        refuse_unread(l, b, &err);
    }
}

static struct str encode_batch(const struct txlog *l, const struct batch *b, struct txlog_record *r,
                               struct arena *a) {
    struct str *texts = arena_array(a, b->count, sizeof *texts);
    for (size_t i = 0; i < b->count; i++) {
        texts[i] = b->waiters[i]->text;
    }
    r->seq = l->head.seq + 1;
    r->prev_sha256 = str_from(l->head.sha256);
    r->time_us = clock_wall_us();
    r->node = l->options.node;
    struct str bytes = txlog_record_encode(r, texts, b->count, a);
    r->sha256 = hex_sha256(sha256(bytes), a);
    return bytes;
}

static void apply_batch(struct txlog *l, const struct batch *b, struct txlog_record *r) {
    DEFER(json_decrefp) json_t *transactions = json_array();
    for (size_t i = 0; i < b->count; i++) {
        CHECK(json_array_append(transactions, b->waiters[i]->tree) == 0);
    }
    r->transactions = transactions;
    struct err err = ERR_NONE;
    CHECK(txlog_apply(l, r, &err) == ERR_OK); // admit has seen that it can be
}

// Tries to make one record of the batch. What is left in it has lost a race and may try again.
static void write_record(struct txlog *l, struct batch *b) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txlog_record r = {0};
    struct err err = ERR_NONE;
    struct str bytes = encode_batch(l, b, &r, &a);
    switch (put_record(l, txlog_record_name(r.seq, &a), bytes, &err)) {
    case PUT_WRITTEN:
        apply_batch(l, b, &r);
        finish_written(l, b, r.seq, r.time_us);
        break;
    case PUT_TAKEN:
        look_who_won(l, b);
        break;
    case PUT_REFUSED:
        note_write_trouble(l, &err);
        finish_all(l, b, &err);
        break;
    case PUT_UNKNOWN:
        finish_unknown(l, b, r.seq, &err);
        break;
    }
}

static void write_batch(struct txlog *l, struct batch *b) {
    LOCKED(&l->tail_lock);
    while (b->count > 0) {
        struct err err = ERR_NONE;
        if (l->unread && txlog_replay(l, NULL, &err) != ERR_OK) {
            refuse_unread(l, b, &err);
            return;
        }
        admit(l, b);
        if (b->count > 0) {
            write_record(l, b);
        }
    }
}

static void poll_tail(struct txlog *l) {
    LOCKED(&l->tail_lock);
    struct err err = ERR_NONE;
    if (txlog_replay(l, NULL, &err) != ERR_OK) {
        log_debug("log_unread", "why=%s", log_quote(str_from(err.msg)));
    }
}

// Waits for transactions, or until it is time to look at the tail (an empty batch). False when the
// log is being closed and nothing waits.
static bool take_batch(struct txlog *l, int64_t poll_at_us, struct batch *ret) {
    LOCKED(&l->lock);
    ret->count = 0;
    while (!l->queue && !l->stopping) {
        if (l->options.poll_ms <= 0) {
            CHECK(pthread_cond_wait(&l->wake, &l->lock) == 0);
        } else if (!threads_cond_wait_until(&l->wake, &l->lock, poll_at_us)) {
            return true;
        }
    }
    size_t bytes = 0;
    while (l->queue && ret->count < TXLOG_BATCH_MAX) {
        struct txlog_waiter *w = l->queue;
        bytes += w->text.len + 1;
        if (ret->count > 0 && bytes > TXLOG_BATCH_BYTES) {
            break;
        }
        l->queue = w->next;
        ret->waiters[ret->count++] = w;
    }
    if (!l->queue) {
        l->queue_end = &l->queue;
    }
    return ret->count > 0;
}

void *txlog_writer_run(void *log) {
    struct txlog *l = log;
    struct batch batch;
    int64_t poll_at_us = clock_mono_us() + l->options.poll_ms * 1000;
    while (take_batch(l, poll_at_us, &batch)) {
        if (batch.count > 0) {
            write_batch(l, &batch);
        } else {
            poll_tail(l);
            poll_at_us = clock_mono_us() + l->options.poll_ms * 1000;
        }
    }
    return NULL;
}
