// Checkpoints: all entities after a record, so that a start need not replay from the first one.
//
//   {"v":1,"seq":40,"record_sha256":"<64>","time":"…","entities":{"key":{"version":7,"value":{}}},
//    "sha256":"<64>"}\n
// on one line. Nothing depends on them: one that is damaged or missing costs time, not data.

#include "log/txlog_int.h"

#include "base/clock.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"

enum err_code txlog_checkpoint_list(struct store *s, struct arena *a, uint64_t **ret,
                                    size_t *ret_count, struct str *ret_odd, struct err *err) {
    uint64_t *seqs = NULL;
    size_t count = 0;
    size_t cap = 0;
    struct str after = STR_NONE;
    struct str odd = STR_NONE;
    do {
        struct store_list list = {0};
        TRY(store_list(s, &(struct store_page){TXLOG_CHECKPOINT_PREFIX, after, TXLOG_LIST_PAGE}, a,
                       &list, err));
        for (size_t i = 0; i < list.count; i++) {
            seqs = arena_grow(a, seqs, &cap, count + 1, sizeof *seqs);
            if (txlog_name_seq(list.entries[i].name, TXLOG_CHECKPOINT_PREFIX, &seqs[count])) {
                count++;
            } else if (odd.len == 0) {
                odd = list.entries[i].name;
            }
        }
        after = list.next;
    } while (after.len > 0);
    *ret = seqs;
    *ret_count = count;
    if (ret_odd) {
        *ret_odd = odd;
    }
    return ERR_OK;
}

// Fills the state from the tree; ERR_INVALID says what is wrong with it.
static enum err_code read_members(const json_t *tree, struct txlog_checkpoint_data *ret,
                                  struct err *err) {
    static const char *const keys[] = {"v",      "seq", "record_sha256", "time", "entities",
                                       "sha256", NULL};
    int64_t seq = 0;
    struct str hash = STR_NONE;
    json_t *entities = NULL;
    TRY(json_only_keys(tree, keys, err));
    TRY(json_need_i64(tree, "seq", &seq, err));
    TRY(json_need_str(tree, "record_sha256", &hash, err));
    TRY(json_need_object(tree, "entities", &entities, err));
    if (hash.len != HEX_SHA256_LEN) {
        return err_set(err, ERR_INVALID, "\"record_sha256\" is not a hash");
    }
    memcpy(ret->record_sha256, hash.ptr, hash.len);
    ret->seq = (uint64_t)seq;
    const char *key;
    json_t *entity;
    json_object_foreach(entities, key, entity) {
        int64_t version = 0;
        json_t *value = json_object_get(entity, "value");
        if (!json_get_i64(entity, "version", &version) || version < 1 || version > seq ||
            !json_is_object(value)) {
            return err_set(err, ERR_INVALID, "\"%s\" is not an entity", key);
        }
        txlog_state_set(ret->state, str_from(key), (uint64_t)version, value);
    }
    return ERR_OK;
}

enum err_code txlog_checkpoint_read(struct store *s, uint64_t seq,
                                    struct txlog_checkpoint_data *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str name = txlog_checkpoint_name(seq, &a);
    struct str bytes = STR_NONE;
    TRY(store_get(s, name, &a, &bytes, err));
    json_t *tree = NULL;
    TRY(txlog_unseal(bytes, name, &a, &tree, err));
    DEFER(txlog_state_freep) struct txlog_state *state = txlog_state_new();
    struct txlog_checkpoint_data data = {.state = state};
    if (read_members(tree, &data, err) != ERR_OK) {
        err->code = ERR_CORRUPT;
        return err_prefix(err, STR_FMT " is not a checkpoint: ", STR_ARG(name));
    }
    if (data.seq != seq) {
        return err_set(err, ERR_CORRUPT, STR_FMT " is the checkpoint of record %llu", STR_ARG(name),
                       (unsigned long long)data.seq);
    }
    *ret = data;
    state = NULL;
    return ERR_OK;
}

static enum err_code encode(const struct txlog_head *head, const struct txlog_entity *entities,
                            size_t count, struct buf *out, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(4096);
    struct jsonw w = JSONW(out);
    jsonw_object(&w);
    jsonw_field_i64(&w, "v", 1);
    jsonw_field_i64(&w, "seq", (int64_t)head->seq);
    jsonw_field_str(&w, "record_sha256", str_from(head->sha256));
    jsonw_field_str(&w, "time", clock_rfc3339(clock_wall_us(), &a));
    jsonw_key(&w, STR("entities"));
    jsonw_object(&w);
    for (size_t i = 0; i < count; i++) {
        jsonw_key(&w, entities[i].key);
        jsonw_object(&w);
        jsonw_field_i64(&w, "version", (int64_t)entities[i].version);
        jsonw_key(&w, STR("value"));
        jsonw_json(&w, entities[i].value);
        jsonw_end_object(&w);
    }
    jsonw_end_object(&w);
    txlog_seal(out);
    if (out->overflow) {
        return err_set(err, ERR_TOO_LARGE, "the catalog is too large for a checkpoint");
    }
    return ERR_OK;
}

static void note_checkpoint(struct txlog *l, uint64_t seq) {
    LOCKED(&l->lock);
    l->checkpoint_seq = MAX(l->checkpoint_seq, seq);
}

// Removes all but the newest ones, ours among them.
static void remove_old(struct store *s, uint64_t ours, const uint64_t *seqs, size_t count) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    size_t kept = 1;
    for (size_t i = count; i > 0; i--) {
        struct err err = ERR_NONE;
        uint64_t seq = seqs[i - 1];
        if (seq == ours || kept < TXLOG_CHECKPOINTS_KEPT) {
            kept += seq != ours;
        } else if (store_delete(s, txlog_checkpoint_name(seq, &a), &err) != ERR_OK) {
            log_debug("checkpoint_kept", "seq=%llu why=%s", (unsigned long long)seq,
                      log_quote(str_from(err.msg)));
        }
    }
}

enum err_code txlog_checkpoint_write(struct txlog *l, bool forced, struct err *err) {
    LOCKED(&l->checkpoint_lock);
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    uint64_t *seqs = NULL;
    size_t seqs_count = 0;
    TRY(txlog_checkpoint_list(l->store, &a, &seqs, &seqs_count, NULL, err));

    CHECK(pthread_rwlock_rdlock(&l->state_lock) == 0);
    struct txlog_head head = l->head;
    size_t count;
    struct txlog_entity *entities = txlog_state_snapshot(l->state, STR(""), &a, &count);
    CHECK(pthread_rwlock_unlock(&l->state_lock) == 0);

    uint64_t newest = seqs_count > 0 ? seqs[seqs_count - 1] : 0;
    uint64_t apart = forced ? 1 : (uint64_t)MAX(l->options.checkpoint_every, 1);
    if (head.seq == 0 || (!forced && newest + apart > head.seq)) {
        note_checkpoint(l, newest);
        return ERR_OK;
    }
    DEFER(buf_release) struct buf text = BUF(TXLOG_CHECKPOINT_BYTES);
    TRY(encode(&head, entities, count, &text, err));
    // Replacing is right: one that is there already says the same, unless it is damaged.
    TRY(store_put(l->store, txlog_checkpoint_name(head.seq, &a), buf_str(&text), err));
    counter_add(COUNTER_log_checkpoints, 1);
    note_checkpoint(l, head.seq);
    remove_old(l->store, head.seq, seqs, seqs_count);
    return ERR_OK;
}
