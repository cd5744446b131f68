// The log read from its bytes, without a server: verification and walks.

#include "log/txlog_int.h"

#include "base/hash.h"

#include <stdio.h>

// Where a verification stands.
struct verifier {
    struct store *store;
    struct arena *arena;
    struct txlog_report *report;
    struct txlog_state *state;
    char sha256[65];
    struct txlog_head seen, kept; // seq 0: none
    uint64_t *checkpoints;        // ascending
    size_t checkpoints_count;
    size_t checkpoints_done;
};

static enum err_code missing(uint64_t seq, struct str newer, struct err *err) {
    return err_set(err, ERR_CORRUPT,
                   "_catalog/log/%020llu.json is missing, but " STR_FMT " is there",
                   (unsigned long long)seq, STR_ARG(newer));
}

static enum err_code foreign(struct str name, struct err *err) {
    return err_set(err, ERR_CORRUPT, STR_FMT " does not belong there", STR_ARG(name));
}

static enum err_code compare_entities(const struct verifier *v,
                                      const struct txlog_checkpoint_data *data, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    size_t count;
    const struct txlog_entity *entities = txlog_state_snapshot(data->state, STR(""), &a, &count);
    if (count != txlog_state_count(v->state)) {
        return err_set(err, ERR_CORRUPT,
                       "_catalog/checkpoint/%020llu.json has %zu entities; "
                       "replay gives %zu",
                       (unsigned long long)data->seq, count, txlog_state_count(v->state));
    }
    for (size_t i = 0; i < count; i++) {
        const struct txlog_entity *ours = txlog_state_find(v->state, entities[i].key);
        if (!ours || ours->version != entities[i].version ||
            !json_equal(ours->value, entities[i].value)) {
            return err_set(err, ERR_CORRUPT,
                           "_catalog/checkpoint/%020llu.json has another \"" STR_FMT
                           "\" than replay gives",
                           (unsigned long long)data->seq, STR_ARG(entities[i].key));
        }
    }
    return ERR_OK;
}

static enum err_code verify_checkpoint(struct verifier *v, uint64_t seq, struct err *err) {
    struct txlog_checkpoint_data data = {0};
    enum err_code code = txlog_checkpoint_read(v->store, seq, &data, err);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK; // a running server has removed it meanwhile
    }
    TRY(code);
    DEFER(txlog_state_freep) struct txlog_state *state = data.state;
    if (!str_is(str_from(data.record_sha256), v->sha256)) {
        return err_set(err, ERR_CORRUPT,
                       "_catalog/checkpoint/%020llu.json names another hash of "
                       "its record than the record has",
                       (unsigned long long)seq);
    }
    TRY(compare_entities(v, &data, err));
    (void)state;
    v->report->checkpoints++;
    return ERR_OK;
}

// Makes the record's changes in the verifier's state, if they could be made.
static enum err_code replay(struct verifier *v, const struct txlog_record *r, struct err *err) {
    DEFER(json_decrefp) json_t *claimed = json_object();
    size_t i;
    const json_t *transaction;
    json_array_foreach(r->transactions, i, transaction) {
        const json_t *changes = json_object_get(transaction, "changes");
        if (txlog_state_check(v->state, changes, claimed, err) != ERR_OK) {
            err->code = ERR_CORRUPT;
            return err_prefix(err, "_catalog/log/%020llu.json makes a change that it could not: ",
                              (unsigned long long)r->seq);
        }
        v->report->transactions++;
        v->report->changes += json_array_size(changes);
    }
    json_array_foreach(r->transactions, i, transaction) {
        size_t j;
        const json_t *change;
        json_array_foreach(json_object_get(transaction, "changes"), j, change) {
            struct str key = STR_NONE;
            json_t *value = json_object_get(change, "value");
            CHECK(json_get_str(change, "entity", &key));
            txlog_state_set(v->state, key, r->seq, json_is_object(value) ? value : NULL);
        }
    }
    return ERR_OK;
}

// Is the record that has just been read the one that was seen under this number?
static enum err_code compare_marks(const struct verifier *v, const struct txlog_record *r,
                                   struct err *err) {
    if (v->seen.seq == r->seq && !str_is(r->sha256, v->seen.sha256)) {
        return txlog_head_other(&v->seen, err);
    }
    if (v->kept.seq == r->seq && !str_is(r->sha256, v->kept.sha256)) {
        return err_set(err, ERR_CORRUPT,
                       "_catalog/log/%020llu.json has the hash " STR_FMT
                       ", not the one that was given",
                       (unsigned long long)r->seq, STR_ARG(r->sha256));
    }
    return ERR_OK;
}

static enum err_code verify_record(struct verifier *v, uint64_t seq, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txlog_record r = {0};
    TRY(txlog_record_read(v->store, seq, &a, &r, err));
    TRY(txlog_record_follows(&r, v->sha256, err));
    TRY(replay(v, &r, err));
    TRY(compare_marks(v, &r, err));
    memcpy(v->sha256, r.sha256.ptr, HEX_SHA256_LEN);
    v->report->first_seq = v->report->first_seq ? v->report->first_seq : seq;
    v->report->last_seq = seq;
    v->report->records++;
    while (v->checkpoints_done < v->checkpoints_count &&
           v->checkpoints[v->checkpoints_done] <= seq) {
        TRY(verify_checkpoint(v, v->checkpoints[v->checkpoints_done++], err));
    }
    return ERR_OK;
}

static enum err_code verify_page(struct verifier *v, const struct store_list *page,
                                 struct err *err) {
    for (size_t i = 0; i < page->count; i++) {
        uint64_t seq = 0;
        struct str name = page->entries[i].name;
        if (!txlog_name_seq(name, TXLOG_RECORD_PREFIX, &seq)) {
            return foreign(name, err);
        }
        if (seq != v->report->last_seq + 1) {
            return missing(v->report->last_seq + 1, name, err);
        }
        TRY(verify_record(v, seq, err));
    }
    return ERR_OK;
}

static enum err_code verify_records(struct verifier *v, struct err *err) {
    struct str after = STR_NONE;
    do {
        DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
        struct store_list page = {0};
        TRY(store_list(v->store, &(struct store_page){TXLOG_RECORD_PREFIX, after, TXLOG_LIST_PAGE},
                       &scratch, &page, err));
        TRY(verify_page(v, &page, err));
        after = page.next.len > 0 ? txlog_record_name(v->report->last_seq, v->arena) : STR_NONE;
    } while (after.len > 0);
    if (v->checkpoints_done < v->checkpoints_count) {
        const uint64_t newer = v->checkpoints[v->checkpoints_count - 1];
        return missing(v->report->last_seq + 1, txlog_checkpoint_name(newer, v->arena), err);
    }
    return ERR_OK;
}

// Does the log reach what was seen of it?
static enum err_code verify_end(struct verifier *v, struct err *err) {
    const uint64_t last = v->report->last_seq;
    if (v->seen.seq > last) {
        return txlog_head_short(&v->seen, last, err);
    }
    if (v->kept.seq > last) {
        return err_set(err, ERR_CORRUPT,
                       "the catalog log ends with record %llu, before the record %llu that was "
                       "given: the newest records are missing",
                       (unsigned long long)last, (unsigned long long)v->kept.seq);
    }
    return ERR_OK;
}

// The head and the checkpoints are read first: all records that they stand on are there by then.
static enum err_code read_hints(struct verifier *v, struct err *ret_head, struct err *err) {
    struct str odd = STR_NONE;
    const enum err_code code = txlog_head_read(v->store, &v->seen, ret_head);
    if (code != ERR_OK) {
        v->seen.seq = 0;
    }
    if (code == ERR_NOT_FOUND) {
        *ret_head = ERR_NONE;
        v->report->note = STR("there is no _catalog/head.json: whether the newest records were "
                              "removed cannot be told");
    }
    v->report->seen_seq = v->seen.seq;
    TRY(txlog_checkpoint_list(v->store, v->arena, &v->checkpoints, &v->checkpoints_count, &odd,
                              err));
    return odd.len > 0 ? foreign(odd, err) : ERR_OK;
}

enum err_code txlog_verify(struct store *s, const struct txlog_mark *kept, struct arena *a,
                           struct txlog_report *ret, struct err *err) {
    *ret = (struct txlog_report){0};
    DEFER(txlog_state_freep) struct txlog_state *state = txlog_state_new();
    struct verifier v = {
        .store = s, .arena = a, .report = ret, .state = state, .sha256 = TXLOG_NO_SHA256};
    struct err head = ERR_NONE;
    if (kept != NULL) {
        CHECK(kept->sha256.len == HEX_SHA256_LEN);
        v.kept.seq = kept->seq;
        memcpy(v.kept.sha256, kept->sha256.ptr, kept->sha256.len);
    }
    enum err_code code = read_hints(&v, &head, err);
    if (code == ERR_OK) {
        code = verify_records(&v, err);
    }
    if (ret->last_seq > 0) {
        ret->head_sha256 = arena_str(a, str_from(v.sha256));
    }
    TRY(code);
    TRY(verify_end(&v, err));
    if (head.code != ERR_OK) {
        *err = head;
    }
    return head.code;
}

// The log ended before seq: fine, unless there are records behind it.
static enum err_code check_end(struct store *s, uint64_t seq, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct store_list list = {0};
    uint64_t found = 0;
    TRY(store_list(s, &(struct store_page){TXLOG_RECORD_PREFIX, txlog_record_name(seq, &a), 1}, &a,
                   &list, err));
    if (list.count > 0 && txlog_name_seq(list.entries[0].name, TXLOG_RECORD_PREFIX, &found)) {
        return missing(seq, list.entries[0].name, err);
    }
    return ERR_OK;
}

static bool tell(const struct txlog_walker *walker, const struct txlog_record *r, size_t index) {
    const struct txlog_item item = {.seq = r->seq,
                                    .index = index,
                                    .time_us = r->time_us,
                                    .node = r->node,
                                    .transaction = json_array_get(r->transactions, index)};
    return walker->fn(walker->ctx, &item);
}

enum err_code txlog_walk(struct store *s, uint64_t from, uint64_t to,
                         const struct txlog_walker *walker, struct err *err) {
    char prev[65] = "";
    for (uint64_t seq = MAX(from, 1); to == 0 || seq <= to; seq++) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct txlog_record r = {0};
        enum err_code code = txlog_record_read(s, seq, &a, &r, err);
        if (code == ERR_NOT_FOUND) {
            return check_end(s, seq, err);
        }
        TRY(code);
        if (prev[0] != '\0') {
            TRY(txlog_record_follows(&r, prev, err));
        }
        memcpy(prev, r.sha256.ptr, HEX_SHA256_LEN);
        const size_t count = json_array_size(r.transactions);
        for (size_t i = 0; i < count; i++) {
            if (!tell(walker, &r, i)) {
                return ERR_OK;
            }
        }
    }
    return ERR_OK;
}

enum err_code txlog_walk_back(struct store *s, uint64_t from, uint64_t to,
                              const struct txlog_walker *walker, struct err *err) {
    char prev[65] = "";
    for (uint64_t seq = from; seq >= MAX(to, 1); seq--) {
        DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
        struct txlog_record r = {0};
        const enum err_code code = txlog_record_read(s, seq, &a, &r, err);
        if (code == ERR_NOT_FOUND) {
            return missing(seq, txlog_record_name(seq + 1, &a), err);
        }
        TRY(code);
        if (seq < from) {
            const struct txlog_record newer = {.seq = seq + 1, .prev_sha256 = str_from(prev)};
            TRY(txlog_record_follows(&newer, arena_cstr(&a, r.sha256), err));
        }
        for (size_t i = json_array_size(r.transactions); i > 0; i--) {
            if (!tell(walker, &r, i - 1)) {
                return ERR_OK;
            }
        }
        (void)snprintf(prev, sizeof prev, "%.64s", arena_cstr(&a, r.prev_sha256));
    }
    return ERR_OK;
}
