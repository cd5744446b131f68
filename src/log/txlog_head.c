// The head: how far the log is known to reach, so that a log that was cut short is seen.
//
//   {"v":1,"seq":42,"record_sha256":"<64>","sha256":"<64>"}\n
// in _catalog/head.json, written anew at most `head_ms` after a record, and at close. It is written
// after the record that it names is durable, so it is never ahead of the log; it may be behind. One
// that is torn or missing says nothing.

#include "log/txlog_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"

#define HEAD_BYTES 4096

static enum err_code read_members(const json_t *tree, struct txlog_head *ret, struct err *err) {
    static const char *const keys[] = {"v", "seq", "record_sha256", "sha256", NULL};
    int64_t seq = 0;
    struct str hash = STR_NONE;
    TRY(json_only_keys(tree, keys, err));
    TRY(json_need_i64(tree, "seq", &seq, err));
    TRY(json_need_str(tree, "record_sha256", &hash, err));
    if (seq < 1 || hash.len != HEX_SHA256_LEN) {
        return err_set(err, ERR_INVALID, "it names no record");
    }
    *ret = (struct txlog_head){.seq = (uint64_t)seq};
    memcpy(ret->sha256, hash.ptr, hash.len);
    return ERR_OK;
}

enum err_code txlog_head_read(struct store *s, struct txlog_head *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str bytes = STR_NONE;
    json_t *tree = NULL;
    *ret = (struct txlog_head){0};
    TRY(store_get(s, TXLOG_HEAD_NAME, &a, &bytes, err));
    TRY(txlog_unseal(bytes, TXLOG_HEAD_NAME, &a, &tree, err));
    if (read_members(tree, ret, err) != ERR_OK) {
        err->code = ERR_CORRUPT;
        return err_prefix(err, STR_FMT " is damaged: ", STR_ARG(TXLOG_HEAD_NAME));
    }
    return ERR_OK;
}

enum err_code txlog_head_write(struct txlog *l, struct err *err) {
    DEFER(buf_release) struct buf text = BUF(HEAD_BYTES);
    struct txlog_head there;
    struct err ignored = ERR_NONE;
    CHECK(pthread_rwlock_rdlock(&l->state_lock) == 0);
    const struct txlog_head head = l->head;
    CHECK(pthread_rwlock_unlock(&l->state_lock) == 0);
    if (head.seq == 0 ||
        (txlog_head_read(l->store, &there, &ignored) == ERR_OK && there.seq >= head.seq)) {
        return ERR_OK; // another server has come further
    }
    struct jsonw w = JSONW(&text);
    jsonw_object(&w);
    jsonw_field_i64(&w, "v", 1);
    jsonw_field_i64(&w, "seq", (int64_t)head.seq);
    jsonw_field_str(&w, "record_sha256", str_from(head.sha256));
    txlog_seal(&text);
    CHECK(!text.overflow);
    return store_put(l->store, TXLOG_HEAD_NAME, buf_str(&text), err);
}

void txlog_head_due(struct txlog *l) {
    LOCKED(&l->lock);
    if (l->options.head_ms > 0 && l->head_due_us == 0) {
        l->head_due_us = clock_mono_us() + l->options.head_ms * 1000;
        CHECK(pthread_cond_signal(&l->wake_keeper) == 0);
    }
}

enum err_code txlog_head_short(const struct txlog_head *head, uint64_t last, struct err *err) {
    return err_set(err, ERR_CORRUPT,
                   "the catalog log ends with record %llu, but " STR_FMT
                   " has seen record %llu: the newest records are missing. Put them back from a "
                   "copy of the bucket; or, to go on without them, remove that object",
                   (unsigned long long)last, STR_ARG(TXLOG_HEAD_NAME),
                   (unsigned long long)head->seq);
}

enum err_code txlog_head_other(const struct txlog_head *head, struct err *err) {
    return err_set(err, ERR_CORRUPT,
                   "_catalog/log/%020llu.json is another record than the one that " STR_FMT
                   " has seen",
                   (unsigned long long)head->seq, STR_ARG(TXLOG_HEAD_NAME));
}

// The hash of the bytes of the record that the head names.
static enum err_code record_hash(struct txlog *l, uint64_t seq, char *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str bytes = STR_NONE;
    if (seq == l->head.seq) {
        memcpy(ret, l->head.sha256, sizeof l->head.sha256);
        return ERR_OK;
    }
    const enum err_code code = store_get(l->store, txlog_record_name(seq, &a), &a, &bytes, err);
    if (code == ERR_NOT_FOUND) {
        err->code = ERR_CORRUPT;
        return err_prefix(err, "the catalog log has lost a record: ");
    }
    TRY(code);
    const struct str hash = hex_sha256(sha256(bytes), &a);
    memcpy(ret, hash.ptr, hash.len);
    ret[hash.len] = '\0';
    return ERR_OK;
}

enum err_code txlog_head_check(struct txlog *l, const struct txlog_head *head, struct err *err) {
    char hash[65] = "";
    if (head->seq > l->head.seq) {
        return txlog_head_short(head, l->head.seq, err);
    }
    if (head->seq > 0) {
        TRY(record_hash(l, head->seq, hash, err));
    }
    if (head->seq > 0 && !str_is(str_from(hash), head->sha256)) {
        return txlog_head_other(head, err);
    }
    if (head->seq < l->head.seq) {
        txlog_head_due(l);
    }
    return ERR_OK;
}
