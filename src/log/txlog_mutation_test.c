// Ten thousand edits of a real log, each of another kind or place: verification finds every one.

#include "log/txlog_int.h"

#include "base/hash.h"
#include "base/poison.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    RECORDS = 200,
    EDITS = POISON_ON ? 1000 : 10000, // AddressSanitizer is slow, and looks for other things
    CONTROL_EVERY = 250,
    TOUCHED_MAX = RECORDS + 8,
    BYTES_MAX = 1 << 16
};

static const uint64_t checkpoints[] = {70, 140, RECORDS};

// The log as it was written, and what an edit has touched of it.
struct lab {
    struct store *store;
    struct arena arena;
    struct str records[RECORDS + 1]; // bytes, by number
    struct str checkpoints[ARRAY_LEN(checkpoints)];
    struct str head;
    unsigned seed;

    struct arena scratch; // of one edit
    struct str touched[TOUCHED_MAX];
    size_t touched_count;
};

static struct str bytes_of(struct lab *b, struct str name) {
    struct str bytes = STR_NONE;
    struct err err = ERR_NONE;
    assert_int_equal(store_get(b->store, name, &b->arena, &bytes, &err), ERR_OK);
    return bytes;
}

static void commit_one(struct txlog *l, int i) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(json_decrefp) json_t *changes = json_array();
    const char *entity = arena_printf(&a, "e:%d", i % 23).ptr;
    uint64_t version = 0;
    json_t *there = txlog_get(l, str_from(entity), &version);
    json_decref(there);
    json_t *value = i % 11 == 10 && version != 0 ? json_null() : json_pack("{s:i}", "n", i);
    json_array_append_new(changes, json_pack("{s:s,s:I,s:o}", "entity", entity, "expect",
                                             (json_int_t)version, "value", value));
    const struct txn t = {.actor = STR("tester"),
                          .action = STR("test.set"),
                          .reason = STR("because"),
                          .target = STR("test"),
                          .changes = changes};
    struct txn_outcome outcome;
    struct err err = ERR_NONE;
    assert_int_equal(txlog_commit(l, &t, &a, &outcome, &err), ERR_OK);
}

static void lab_open(struct lab *b) {
    const struct txlog_options o = {
        .node = STR("test"), .checkpoint_every = 1000000, .head_ms = 3600000};
    struct txlog *l = NULL;
    struct err err = ERR_NONE;
    *b = (struct lab){.store = store_memory_new(), .seed = 4};
    b->arena = ARENA(SIZE_MAX);
    b->scratch = ARENA(SIZE_MAX);
    assert_int_equal(txlog_open(b->store, &o, &l, &err), ERR_OK);
    for (int i = 0; i < RECORDS; i++) {
        commit_one(l, i);
        if ((uint64_t)i + 1 == checkpoints[0] || (uint64_t)i + 1 == checkpoints[1]) {
            assert_int_equal(txlog_checkpoint(l, &err), ERR_OK);
        }
    }
    txlog_close(l);
    for (uint64_t seq = 1; seq <= RECORDS; seq++) {
        b->records[seq] = bytes_of(b, txlog_record_name(seq, &b->arena));
    }
    for (size_t i = 0; i < ARRAY_LEN(checkpoints); i++) {
        b->checkpoints[i] = bytes_of(b, txlog_checkpoint_name(checkpoints[i], &b->arena));
    }
    b->head = bytes_of(b, TXLOG_HEAD_NAME);
}

static void lab_close(struct lab *b) {
    store_close(b->store);
    arena_release(&b->arena);
    arena_release(&b->scratch);
}

static size_t below(struct lab *b, size_t end) {
    return (size_t)rand_r(&b->seed) % end;
}

static uint64_t any_record(struct lab *b) {
    return 1 + below(b, RECORDS);
}

static struct str name_of(struct lab *b, uint64_t seq) {
    return txlog_record_name(seq, &b->scratch);
}

static void touch(struct lab *b, struct str name) {
    assert_true(b->touched_count < TOUCHED_MAX);
    b->touched[b->touched_count++] = name;
}

static void put(struct lab *b, struct str name, struct str bytes) {
    struct err err = ERR_NONE;
    touch(b, name);
    assert_int_equal(store_put(b->store, name, bytes, &err), ERR_OK);
}

static void take(struct lab *b, struct str name) {
    struct err err = ERR_NONE;
    touch(b, name);
    assert_int_equal(store_delete(b->store, name, &err), ERR_OK);
}

// What was written under a name; false: nothing.
static bool original(struct lab *b, struct str name, struct str *ret) {
    uint64_t seq = 0;
    if (str_eq(name, TXLOG_HEAD_NAME)) {
        *ret = b->head;
        return true;
    }
    if (txlog_name_seq(name, TXLOG_RECORD_PREFIX, &seq) && seq <= RECORDS) {
        *ret = b->records[seq];
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(checkpoints); i++) {
        if (txlog_name_seq(name, TXLOG_CHECKPOINT_PREFIX, &seq) && seq == checkpoints[i]) {
            *ret = b->checkpoints[i];
            return true;
        }
    }
    return false;
}

static void mend(struct lab *b) {
    for (size_t i = 0; i < b->touched_count; i++) {
        struct err err = ERR_NONE;
        struct str bytes = STR_NONE;
        const enum err_code code = original(b, b->touched[i], &bytes)
                                       ? store_put(b->store, b->touched[i], bytes, &err)
                                       : store_delete(b->store, b->touched[i], &err);
        assert_int_equal(code, ERR_OK);
    }
    b->touched_count = 0;
    arena_release(&b->scratch);
    b->scratch = ARENA(SIZE_MAX);
}

// ---- Edits

// Flips, deletes or inserts bytes, or cuts the end off.
static struct str scramble(struct lab *b, struct str bytes) {
    DEFER(buf_release) struct buf out = BUF(BYTES_MAX);
    const size_t at = below(b, bytes.len);
    const size_t len = MIN(1 + below(b, 40), bytes.len - at);
    buf_add_str(&out, str_slice(bytes, 0, at));
    switch (below(b, 4)) {
    case 0: // one bit of one byte
        buf_add_char(&out, (char)((unsigned char)bytes.ptr[at] ^ (1U << below(b, 8))));
        buf_add_str(&out, str_slice(bytes, at + 1, bytes.len));
        break;
    case 1:
        buf_add_str(&out, str_slice(bytes, at + len, bytes.len));
        break;
    case 2:
        for (size_t i = 0; i < len; i++) {
            buf_add_char(&out, (char)below(b, 256));
        }
        buf_add_str(&out, str_slice(bytes, at, bytes.len));
        break;
    default: // the end is missing
        break;
    }
    return arena_str(&b->scratch, buf_str(&out));
}

static void scramble_record(struct lab *b) {
    const uint64_t seq = any_record(b);
    put(b, name_of(b, seq), scramble(b, b->records[seq]));
}

static void scramble_checkpoint(struct lab *b) {
    const size_t i = below(b, ARRAY_LEN(checkpoints));
    put(b, txlog_checkpoint_name(checkpoints[i], &b->scratch), scramble(b, b->checkpoints[i]));
}

static void scramble_head(struct lab *b) {
    put(b, TXLOG_HEAD_NAME, scramble(b, b->head));
}

static void swap_records(struct lab *b) {
    const uint64_t one = any_record(b);
    const uint64_t other = 1 + (one + below(b, RECORDS - 1)) % RECORDS;
    assert_true(one != other);
    put(b, name_of(b, one), b->records[other]);
    put(b, name_of(b, other), b->records[one]);
}

static void remove_record(struct lab *b) {
    take(b, name_of(b, below(b, 4) == 0 ? RECORDS : any_record(b)));
}

// With the checkpoints that stand on them: nothing but the head has seen them.
static void remove_newest(struct lab *b) {
    const uint64_t from = RECORDS - below(b, below(b, 2) ? 5 : RECORDS);
    for (uint64_t seq = from; seq <= RECORDS; seq++) {
        take(b, name_of(b, seq));
    }
    for (size_t i = 0; i < ARRAY_LEN(checkpoints); i++) {
        if (checkpoints[i] >= from) {
            take(b, txlog_checkpoint_name(checkpoints[i], &b->scratch));
        }
    }
}

static void rename_record(struct lab *b) {
    const uint64_t seq = any_record(b);
    const struct str names[] = {
        name_of(b, RECORDS + 1 + below(b, 3)), STR("_catalog/log/x.json"),
        arena_printf(&b->scratch, "_catalog/log/%llu.json", (unsigned long long)seq),
        arena_printf(&b->scratch, "_catalog/log/%020llu.json~", (unsigned long long)seq)};
    take(b, name_of(b, seq));
    put(b, names[below(b, ARRAY_LEN(names))], b->records[seq]);
}

// One is taken out and those behind it close the gap.
static void close_gap(struct lab *b) {
    const uint64_t gone = 1 + below(b, RECORDS - 1);
    for (uint64_t seq = gone; seq < RECORDS; seq++) {
        put(b, name_of(b, seq), b->records[seq + 1]);
    }
    take(b, name_of(b, RECORDS));
}

static void duplicate_record(struct lab *b) {
    const uint64_t one = any_record(b);
    const uint64_t other = 1 + (one + below(b, RECORDS)) % (RECORDS + 1);
    assert_true(one != other);
    put(b, name_of(b, other), b->records[one]);
}

// The record with a word of it changed and its seal made anew.
static struct str forge(struct lab *b, uint64_t seq, const char *prev, bool changed) {
    struct txlog_record r;
    struct err err = ERR_NONE;
    assert_int_equal(txlog_record_decode(b->records[seq], seq, &b->scratch, &r, &err), ERR_OK);
    const char *const members[] = {"actor", "action", "reason", "target"};
    json_t *transaction = json_array_get(r.transactions, 0);
    if (changed) {
        json_object_set_new(transaction, members[below(b, ARRAY_LEN(members))],
                            json_string("mallory"));
    }
    if (prev != NULL) {
        r.prev_sha256 = str_from(prev);
    }
    const struct str text = json_text(transaction, &b->scratch);
    return txlog_record_encode(&r, &text, 1, &b->scratch);
}

static void forge_record(struct lab *b) {
    const uint64_t seq = below(b, 4) == 0 ? RECORDS : any_record(b);
    put(b, name_of(b, seq), forge(b, seq, NULL, true));
}

// From one record on, all are made anew, each fitting to the one before it.
static void forge_chain(struct lab *b) {
    const uint64_t from = any_record(b);
    struct str bytes = forge(b, from, NULL, true);
    put(b, name_of(b, from), bytes);
    for (uint64_t seq = from + 1; seq <= RECORDS; seq++) {
        const struct str hash = hex_sha256(sha256(bytes), &b->scratch);
        bytes = forge(b, seq, arena_cstr(&b->scratch, hash), false);
        put(b, name_of(b, seq), bytes);
    }
}

// Bytes without their seal, one part of them replaced, and sealed again.
static struct str reseal(struct lab *b, struct str bytes, struct str part, struct str by) {
    DEFER(buf_release) struct buf out = BUF(BYTES_MAX);
    const struct str body = str_slice(bytes, 0, bytes.len - strlen(",\"sha256\":\"\"}\n") - 64);
    const ptrdiff_t at = str_find(body, part);
    assert_true(at >= 0);
    buf_add_str(&out, str_slice(body, 0, (size_t)at));
    buf_add_str(&out, by);
    buf_add_str(&out, str_slice(body, (size_t)at + part.len, body.len));
    txlog_seal(&out);
    return arena_str(&b->scratch, buf_str(&out));
}

static void forge_checkpoint(struct lab *b) {
    const size_t i = below(b, ARRAY_LEN(checkpoints));
    put(b, txlog_checkpoint_name(checkpoints[i], &b->scratch),
        reseal(b, b->checkpoints[i], STR("\"n\":"),
               arena_printf(&b->scratch, "\"m%zu\":", below(b, 100))));
}

static void forge_head(struct lab *b) {
    const struct str seq = arena_printf(&b->scratch, "\"seq\":%d", RECORDS);
    const struct str other = arena_printf(&b->scratch, "\"seq\":%zu", 1 + RECORDS + below(b, 1000));
    const struct str older = arena_printf(&b->scratch, "\"seq\":%zu", 1 + below(b, RECORDS - 1));
    put(b, TXLOG_HEAD_NAME, reseal(b, b->head, seq, below(b, 2) ? other : older));
}

static void foreign_object(struct lab *b) {
    const struct str names[] = {STR("_catalog/log/readme.txt"), STR("_catalog/log/0.json"),
                                STR("_catalog/checkpoint/latest"),
                                txlog_checkpoint_name(RECORDS + 1 + below(b, 100), &b->scratch)};
    put(b, names[below(b, ARRAY_LEN(names))], b->records[any_record(b)]);
}

static enum err_code verify(struct lab *b, struct txlog_report *ret, struct err *err) {
    *err = ERR_NONE;
    return txlog_verify(b->store, NULL, &b->scratch, ret, err);
}

static void check_control(struct lab *b) {
    struct txlog_report report;
    struct err err;
    assert_int_equal(verify(b, &report, &err), ERR_OK);
    assert_int_equal(report.records, RECORDS);
    assert_int_equal(report.checkpoints, ARRAY_LEN(checkpoints));
    assert_int_equal(report.seen_seq, RECORDS);
    assert_int_equal(report.note.len, 0);
    mend(b);
}

static void every_edit_is_found(void **state) {
    static const struct {
        const char *name;
        void (*edit)(struct lab *b);
    } edits[] = {
        {"scramble_record", scramble_record},
        {"scramble_checkpoint", scramble_checkpoint},
        {"scramble_head", scramble_head},
        {"swap_records", swap_records},
        {"remove_record", remove_record},
        {"remove_newest", remove_newest},
        {"rename_record", rename_record},
        {"close_gap", close_gap},
        {"duplicate_record", duplicate_record},
        {"forge_record", forge_record},
        {"forge_chain", forge_chain},
        {"forge_checkpoint", forge_checkpoint},
        {"forge_head", forge_head},
        {"foreign_object", foreign_object},
    };
    static struct lab b;
    (void)state;
    lab_open(&b);
    for (int i = 0; i < EDITS; i++) {
        // The costly one seldom, byte by byte damage most often.
        size_t which = below(&b, ARRAY_LEN(edits) + 8);
        which = which >= ARRAY_LEN(edits) ? 0 : which;
        which = edits[which].edit == forge_chain && below(&b, 10) != 0 ? 0 : which;
        struct txlog_report report;
        struct err err;
        edits[which].edit(&b);
        const enum err_code code = verify(&b, &report, &err);
        if (code != ERR_CORRUPT && code != ERR_UNSUPPORTED) {
            print_error("edit %d, %s of %s: %s\n", i, edits[which].name,
                        arena_cstr(&b.scratch, b.touched[0]), err.msg);
            fail();
        }
        mend(&b);
        if (i % CONTROL_EVERY == 0) {
            check_control(&b);
        }
    }
    check_control(&b);
    lab_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_edit_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
