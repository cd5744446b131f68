// Replay: reading records behind the head and making their changes in the state.

#include "log/txlog_int.h"

#include "base/counters.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"

static void set_entity(struct txlog *l, struct str key, uint64_t version, json_t *value) {
    txlog_state_set(l->state, key, version, value);
    if (l->options.changed) {
        l->options.changed(l->options.ctx, key, version, value);
    }
}

static void apply_changes(struct txlog *l, const json_t *changes, uint64_t seq) {
    size_t i;
    json_t *change;
    json_array_foreach(changes, i, change) {
        struct str key = STR_NONE;
        json_t *value = json_object_get(change, "value");
        CHECK(json_get_str(change, "entity", &key));
        set_entity(l, key, seq, json_is_object(value) ? value : NULL);
    }
}

// A record that breaks its own expectations was not written by a sound program.
static enum err_code check_all(const struct txlog *l, const struct txlog_record *r,
                               struct err *err) {
    DEFER(json_decrefp) json_t *claimed = json_object();
    size_t i;
    const json_t *transaction;
    json_array_foreach(r->transactions, i, transaction) {
        const json_t *changes = json_object_get(transaction, "changes");
        if (txlog_state_check(l->state, changes, claimed, err) != ERR_OK) {
            err->code = ERR_CORRUPT;
            return err_prefix(err, "_catalog/log/%020llu.json makes a change that it could not: ",
                              (unsigned long long)r->seq);
        }
    }
    return ERR_OK;
}

enum err_code txlog_apply(struct txlog *l, const struct txlog_record *r, struct err *err) {
    TRY(check_all(l, r, err)); // only holders of tail_lock change the state, so we may look at it
    CHECK(pthread_rwlock_wrlock(&l->state_lock) == 0);
    size_t i;
    const json_t *transaction;
    json_array_foreach(r->transactions, i, transaction) {
        apply_changes(l, json_object_get(transaction, "changes"), r->seq);
    }
    CHECK(r->sha256.len == HEX_SHA256_LEN);
    memcpy(l->head.sha256, r->sha256.ptr, r->sha256.len);
    l->head.seq = r->seq;
    CHECK(pthread_rwlock_unlock(&l->state_lock) == 0);
    atomic_store(&l->seq, r->seq);
    txlog_head_due(l);
    LOCKED(&l->lock);
    CHECK(pthread_cond_broadcast(&l->advanced) == 0);
    return ERR_OK;
}

static void look_for(struct txlog_seen *seen, const struct txlog_record *r) {
    size_t i;
    const json_t *transaction;
    json_array_foreach(r->transactions, i, transaction) {
        struct str id = STR_NONE;
        if (json_get_str(transaction, "id", &id) && str_eq(id, seen->id)) {
            seen->seq = r->seq;
            seen->time_us = r->time_us;
        }
    }
}

// *ret_found is false when there is no record behind the head.
static enum err_code replay_one(struct txlog *l, struct txlog_seen *seen, bool *ret_found,
                                struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txlog_record r = {0};
    enum err_code code = txlog_record_read(l->store, l->head.seq + 1, &a, &r, err);
    if (code == ERR_NOT_FOUND) {
        *ret_found = false;
        return ERR_OK;
    }
    TRY(code);
    TRY(txlog_record_follows(&r, l->head.sha256, err));
    TRY(txlog_apply(l, &r, err));
    counter_add(COUNTER_log_replayed, 1);
    if (seen) {
        look_for(seen, &r);
    }
    *ret_found = true;
    return ERR_OK;
}

enum err_code txlog_replay(struct txlog *l, struct txlog_seen *seen, struct err *err) {
    enum err_code code = ERR_OK;
    bool found = true;
    while (code == ERR_OK && found) {
        code = replay_one(l, seen, &found, err);
    }
    l->unread = code != ERR_OK;
    LOCKED(&l->lock);
    l->read_trouble = code == ERR_OK ? ERR_NONE : *err;
    return code;
}

// ERR_CORRUPT or ERR_NOT_FOUND if the checkpoint does not go with the record that it names.
static enum err_code check_record(struct txlog *l, const struct txlog_checkpoint_data *data,
                                  struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str bytes = STR_NONE;
    TRY(store_get(l->store, txlog_record_name(data->seq, &a), &a, &bytes, err));
    if (!str_is(hex_sha256(sha256(bytes), &a), data->record_sha256)) {
        return err_set(err, ERR_CORRUPT, "its record has another hash");
    }
    return ERR_OK;
}

static void take_checkpoint(struct txlog *l, const struct txlog_checkpoint_data *data) {
    txlog_state_free(l->state);
    l->state = data->state;
    memcpy(l->head.sha256, data->record_sha256, sizeof l->head.sha256);
    l->head.seq = data->seq;
    l->checkpoint_seq = data->seq;
    atomic_store(&l->seq, data->seq);
    if (!l->options.changed) {
        return;
    }
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    size_t count;
    struct txlog_entity *entities = txlog_state_snapshot(l->state, STR(""), &a, &count);
    for (size_t i = 0; i < count; i++) {
        l->options.changed(l->options.ctx, entities[i].key, entities[i].version, entities[i].value);
    }
}

// Starts from the newest checkpoint that is good; from nothing if there is none.
static enum err_code load_checkpoint(struct txlog *l, const uint64_t *seqs, size_t count,
                                     struct err *err) {
    for (size_t i = count; i > 0; i--) {
        struct txlog_checkpoint_data data = {0};
        enum err_code code = txlog_checkpoint_read(l->store, seqs[i - 1], &data, err);
        if (code == ERR_OK) {
            code = check_record(l, &data, err);
        }
        if (code == ERR_OK) {
            take_checkpoint(l, &data);
            return ERR_OK;
        }
        txlog_state_free(data.state);
        if (code != ERR_CORRUPT && code != ERR_NOT_FOUND && code != ERR_UNSUPPORTED) {
            return code;
        }
        log_debug("checkpoint_unusable", "seq=%llu why=%s", (unsigned long long)seqs[i - 1],
                  log_quote(str_from(err->msg)));
    }
    return ERR_OK;
}

static enum err_code missing_record(uint64_t seq, struct str newer, struct err *err) {
    return err_set(err, ERR_CORRUPT,
                   "_catalog/log/%020llu.json is missing, but " STR_FMT " is there",
                   (unsigned long long)seq, STR_ARG(newer));
}

// Sees whether the log really ends at the head. *ret_more: somebody has just added a record.
static enum err_code check_end(struct txlog *l, bool *ret_more, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct store_list list = {0};
    uint64_t seq = 0;
    TRY(store_list(l->store,
                   &(struct store_page){TXLOG_RECORD_PREFIX, txlog_record_name(l->head.seq, &a), 1},
                   &a, &list, err));
    *ret_more = false;
    if (list.count == 0 || !txlog_name_seq(list.entries[0].name, TXLOG_RECORD_PREFIX, &seq)) {
        return ERR_OK;
    }
    if (seq == l->head.seq + 1) {
        *ret_more = true;
        return ERR_OK;
    }
    // Records after the missing one may have been written between two of our looks: look again.
    struct err ignored = ERR_NONE;
    uint64_t bytes = 0;
    if (store_size(l->store, txlog_record_name(l->head.seq + 1, &a), &bytes, &ignored) == ERR_OK) {
        *ret_more = true;
        return ERR_OK;
    }
    return missing_record(l->head.seq + 1, list.entries[0].name, err);
}

enum err_code txlog_load(struct txlog *l, struct err *err) {
    LOCKED(&l->tail_lock);
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    uint64_t *checkpoints = NULL;
    size_t count = 0;
    struct txlog_head head;
    // Read before the records, all that it has seen must be among them.
    if (txlog_head_read(l->store, &head, err) != ERR_OK) {
        log_debug("head_unusable", "why=%s", log_quote(str_from(err->msg)));
        head.seq = 0;
    }
    *err = ERR_NONE;
    TRY(txlog_checkpoint_list(l->store, &a, &checkpoints, &count, NULL, err));
    TRY(load_checkpoint(l, checkpoints, count, err));
    for (bool more = true; more;) {
        TRY(txlog_replay(l, NULL, err));
        TRY(check_end(l, &more, err));
    }
    if (count > 0 && checkpoints[count - 1] > l->head.seq) {
        return missing_record(l->head.seq + 1, txlog_checkpoint_name(checkpoints[count - 1], &a),
                              err);
    }
    return txlog_head_check(l, &head, err);
}
