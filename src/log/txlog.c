// The catalog log as its users see it: open and close, commit, refresh, reads, health.

#define _GNU_SOURCE // a lock that lets the writer through
#include "log/txlog_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"

#include <stdlib.h>

enum { REFRESH_STEP_US = 20 * 1000, TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000 };

// The log that this thread holds with txlog_read_lock. The lock prefers the writer, so a thread
// that took it twice could wait for itself.
static _Thread_local const struct txlog *held;

// What the keeper is to write.
struct duties {
    bool checkpoint, head;
};

// Waits until something is due. False when the log is being closed.
static bool keeper_wait(struct txlog *l, struct duties *ret) {
    LOCKED(&l->lock);
    while (!l->stopping) {
        *ret = (struct duties){.checkpoint = l->checkpoint_due,
                               .head = l->head_due_us != 0 && clock_mono_us() >= l->head_due_us};
        if (ret->checkpoint || ret->head) {
            l->checkpoint_due = false;
            l->head_due_us = ret->head ? 0 : l->head_due_us;
            return true;
        }
        if (l->head_due_us != 0) {
            (void)threads_cond_wait_until(&l->wake_keeper, &l->lock, l->head_due_us);
        } else {
            CHECK(pthread_cond_wait(&l->wake_keeper, &l->lock) == 0);
        }
    }
    return false;
}

static void write_head(struct txlog *l) {
    struct err err = ERR_NONE;
    if (txlog_head_write(l, &err) != ERR_OK) {
        log_debug("head_failed", "why=%s", log_quote(str_from(err.msg)));
    }
}

// Writes checkpoints and the head when they are due, beside the commits.
static void *keeper_run(void *log) {
    struct txlog *l = log;
    struct duties due;
    while (keeper_wait(l, &due)) {
        struct err err = ERR_NONE;
        if (due.head) {
            write_head(l);
        }
        if (due.checkpoint && txlog_checkpoint_write(l, false, &err) != ERR_OK) {
            log_debug("checkpoint_failed", "why=%s", log_quote(str_from(err.msg)));
        }
    }
    return NULL;
}

static struct txlog *txlog_new(struct store *s, const struct txlog_options *options) {
    struct txlog *l = xcalloc(1, sizeof *l);
    l->store = s;
    l->options = *options;
    l->node = xmalloc(options->node.len + 1);
    if (options->node.len > 0) {
        memcpy(l->node, options->node.ptr, options->node.len);
    }
    l->options.node.ptr = l->node;
    l->queue_end = &l->queue;
    l->read_trouble = ERR_NONE;
    l->write_trouble = ERR_NONE;
    l->state = txlog_state_new();
    memcpy(l->head.sha256, TXLOG_NO_SHA256, sizeof l->head.sha256);
    CHECK(pthread_mutex_init(&l->checkpoint_lock, NULL) == 0);
    CHECK(pthread_mutex_init(&l->tail_lock, NULL) == 0);
    CHECK(pthread_mutex_init(&l->lock, NULL) == 0);
    pthread_rwlockattr_t kind;
    CHECK(pthread_rwlockattr_init(&kind) == 0);
    CHECK(pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    CHECK(pthread_rwlock_init(&l->state_lock, &kind) == 0);
    CHECK(pthread_rwlockattr_destroy(&kind) == 0);
    threads_cond_init(&l->wake);
    threads_cond_init(&l->wake_keeper);
    threads_cond_init(&l->advanced);
    return l;
}

static void stop_threads(struct txlog *l) {
    {
        LOCKED(&l->lock);
        l->stopping = true;
        CHECK(pthread_cond_signal(&l->wake) == 0);
        CHECK(pthread_cond_signal(&l->wake_keeper) == 0);
    }
    CHECK(pthread_join(l->writer, NULL) == 0);
    CHECK(pthread_join(l->keeper, NULL) == 0);
    struct err err = ERR_NONE;
    if (l->head.seq > l->checkpoint_seq && txlog_checkpoint_write(l, true, &err) != ERR_OK) {
        log_debug("checkpoint_failed", "why=%s", log_quote(str_from(err.msg)));
    }
    if (l->options.head_ms > 0) {
        write_head(l);
    }
}

void txlog_close(struct txlog *l) {
    if (!l) {
        return;
    }
    if (l->has_threads) {
        stop_threads(l);
    }
    txlog_state_free(l->state);
    free(l->node);
    (void)pthread_cond_destroy(&l->wake);
    (void)pthread_cond_destroy(&l->wake_keeper);
    (void)pthread_cond_destroy(&l->advanced);
    (void)pthread_rwlock_destroy(&l->state_lock);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_mutex_destroy(&l->tail_lock);
    (void)pthread_mutex_destroy(&l->checkpoint_lock);
    free(l);
}

void txlog_closep(struct txlog **l) {
    txlog_close(*l);
}

enum err_code txlog_open(struct store *s, const struct txlog_options *options, struct txlog **ret,
                         struct err *err) {
    DEFER(txlog_closep) struct txlog *l = txlog_new(s, options);
    TRY(txlog_load(l, err));
    if (!options->read_only) {
        l->has_threads = true;
        l->writer = threads_start("log-writer", txlog_writer_run, l);
        l->keeper = threads_start("log-keeper", keeper_run, l);
    }
    *ret = TAKE(l);
    return ERR_OK;
}

static void decref(void *value) {
    json_decref(value);
}

static void write_transaction(const struct txn *t, struct str id, struct buf *out) {
    struct jsonw w = JSONW(out);
    jsonw_object(&w);
    jsonw_field_str(&w, "id", id);
    jsonw_field_str(&w, "actor", t->actor);
    jsonw_field_str(&w, "action", t->action);
    jsonw_field_str(&w, "reason", t->reason);
    jsonw_field_str(&w, "target", t->target);
    if (t->outcome.len > 0) {
        jsonw_field_str(&w, "outcome", t->outcome);
    }
    if (t->details != NULL) {
        jsonw_key(&w, STR("details"));
        jsonw_json(&w, t->details);
    }
    jsonw_key(&w, STR("changes"));
    if (t->changes) {
        jsonw_json(&w, t->changes);
    } else {
        jsonw_array(&w);
        jsonw_end_array(&w);
    }
    jsonw_end_object(&w);
}

// Makes the transaction's text and reads it back: what readers will see is what replay will.
// The brackets around it stand for the record's, so that it is not nested too deep in there.
static enum err_code prepare(const struct txn *t, struct arena *a, struct txlog_waiter *ret,
                             struct err *err) {
    DEFER(buf_release) struct buf out = BUF(TXLOG_TRANSACTION_BYTES);
    ret->id = id_new(a);
    buf_add_cstr(&out, "[[");
    write_transaction(t, ret->id, &out);
    buf_add_cstr(&out, "]]");
    if (out.overflow) {
        return err_set(err, ERR_TOO_LARGE, "the transaction is past %d bytes",
                       TXLOG_TRANSACTION_BYTES);
    }
    struct str text = arena_str(a, buf_str(&out));
    json_t *outer = NULL;
    if (json_parse_stored(text, "the transaction", &outer, err) != ERR_OK) {
        err->code = ERR_INVALID;
        return err->code;
    }
    arena_defer(a, decref, outer);
    ret->text = str_slice(text, 2, text.len - 2);
    ret->tree = json_array_get(json_array_get(outer, 0), 0);
    return txlog_transaction_check(ret->tree, err);
}

// They stand in the queue one behind the other, so that they come into few records; but for those
// that are done already, since they have failed. The failure is that of the first that has.
static enum err_code enqueue_and_wait(struct txlog *l, struct txlog_waiter *w, size_t count,
                                      struct err *err) {
    enum err_code code = ERR_OK;
    LOCKED(&l->lock);
    if (l->stopping) {
        return err_set(err, ERR_BUSY, "the catalog log is being closed");
    }
    for (size_t i = 0; i < count; i++) {
        if (!w[i].is_done) {
            *l->queue_end = &w[i];
            l->queue_end = &w[i].next;
        }
    }
    CHECK(pthread_cond_signal(&l->wake) == 0);
    for (size_t i = 0; i < count; i++) {
        while (!w[i].is_done) {
            CHECK(pthread_cond_wait(&w[i].done, &l->lock) == 0);
        }
        if (code == ERR_OK && w[i].err.code != ERR_OK) {
            *err = w[i].err;
            code = err->code;
        }
    }
    return code;
}

enum err_code txlog_commit(struct txlog *l, const struct txn *t, struct arena *a,
                           struct txn_outcome *ret, struct err *err) {
    CHECK(held == NULL);
    if (!l->has_threads) {
        return err_set(err, ERR_DENIED, "the catalog log was opened for reading only");
    }
    struct txlog_waiter w = {.err = ERR_NONE};
    TRY(prepare(t, a, &w, err));
    threads_cond_init(&w.done);
    enum err_code code = enqueue_and_wait(l, &w, 1, err);
    CHECK(pthread_cond_destroy(&w.done) == 0);
    TRY(code);
    *ret = (struct txn_outcome){.seq = w.seq, .id = w.id, .time_us = w.time_us};
    return ERR_OK;
}

enum err_code txlog_note(struct txlog *l, const struct txn *list, size_t count,
                         enum err_code *ret_codes, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    CHECK(held == NULL);
    if (!l->has_threads) {
        for (size_t i = 0; i < count && ret_codes != NULL; i++) {
            ret_codes[i] = ERR_DENIED;
        }
        return err_set(err, ERR_DENIED, "the catalog log was opened for reading only");
    }
    struct txlog_waiter *w = arena_array(&a, count, sizeof *w);
    for (size_t i = 0; i < count; i++) {
        w[i].err = ERR_NONE;
        w[i].is_done = prepare(&list[i], &a, &w[i], &w[i].err) != ERR_OK;
        threads_cond_init(&w[i].done);
    }
    const enum err_code code = enqueue_and_wait(l, w, count, err);
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_cond_destroy(&w[i].done) == 0);
        if (ret_codes != NULL) {
            ret_codes[i] = w[i].is_done ? w[i].err.code : code;
        }
    }
    return code;
}

static enum err_code replay_locked(struct txlog *l, struct err *err) {
    LOCKED(&l->tail_lock);
    return txlog_replay(l, NULL, err);
}

static void wait_for_advance(struct txlog *l, uint64_t seq, int64_t until_us) {
    LOCKED(&l->lock);
    if (txlog_seq(l) < seq) {
        (void)threads_cond_wait_until(&l->advanced, &l->lock, until_us);
    }
}

enum err_code txlog_refresh(struct txlog *l, uint64_t seq, int64_t timeout_ms, struct err *err) {
    CHECK(held == NULL);
    timeout_ms = MAX(0, MIN(timeout_ms, TIMEOUT_MS_MAX));
    int64_t deadline_us = clock_mono_us() + timeout_ms * 1000;
    for (;;) {
        if (seq == 0 || txlog_seq(l) < seq) {
            TRY(replay_locked(l, err));
        }
        if (txlog_seq(l) >= seq) {
            return ERR_OK;
        }
        int64_t now_us = clock_mono_us();
        if (now_us >= deadline_us) {
            return err_set(err, ERR_TIMEOUT, "record %llu of the catalog log has not come yet",
                           (unsigned long long)seq);
        }
        wait_for_advance(l, seq, MIN(deadline_us, now_us + REFRESH_STEP_US));
    }
}

uint64_t txlog_seq(struct txlog *l) {
    return atomic_load(&l->seq);
}

static int by_key(const void *x, const void *y) {
    const struct txlog_entry *a = x;
    const struct txlog_entry *b = y;
    return str_cmp(a->key, b->key);
}

void txlog_list(struct txlog *l, struct str prefix, struct arena *a, struct txlog_entry **ret,
                size_t *ret_count) {
    txlog_read_lock(l);
    const struct txlog_entity *found = txlog_state_snapshot(l->state, prefix, a, ret_count);
    txlog_read_unlock(l);
    struct txlog_entry *items = arena_array(a, *ret_count, sizeof(*items));
    for (size_t i = 0; i < *ret_count; i++) {
        items[i] = (struct txlog_entry){found[i].key, found[i].version, found[i].value};
    }
    qsort(items, *ret_count, sizeof(*items), by_key);
    *ret = items;
}

json_t *txlog_get(struct txlog *l, struct str key, uint64_t *ret_version) {
    const bool lock = held != l;
    if (lock) {
        CHECK(pthread_rwlock_rdlock(&l->state_lock) == 0);
    }
    const struct txlog_entity *entity = txlog_state_find(l->state, key);
    json_t *value = entity ? json_incref(entity->value) : NULL;
    uint64_t version = entity ? entity->version : 0;
    if (lock) {
        CHECK(pthread_rwlock_unlock(&l->state_lock) == 0);
    }
    if (ret_version) {
        *ret_version = version;
    }
    return value;
}

void txlog_read_lock(struct txlog *l) {
    CHECK(held == NULL);
    CHECK(pthread_rwlock_rdlock(&l->state_lock) == 0);
    held = l;
}

void txlog_read_unlock(struct txlog *l) {
    CHECK(held == l);
    held = NULL;
    CHECK(pthread_rwlock_unlock(&l->state_lock) == 0);
}

enum err_code txlog_health(struct txlog *l, struct err *err) {
    LOCKED(&l->lock);
    const struct err *trouble = &l->read_trouble;
    if (trouble->code == ERR_OK) {
        trouble = &l->write_trouble;
    }
    if (trouble->code != ERR_OK) {
        *err = *trouble;
    }
    return trouble->code;
}

enum err_code txlog_checkpoint(struct txlog *l, struct err *err) {
    if (!l->has_threads) {
        return err_set(err, ERR_DENIED, "the catalog log was opened for reading only");
    }
    return txlog_checkpoint_write(l, true, err);
}
