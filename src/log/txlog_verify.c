// The log read from its bytes, without a server: verification and walks.

#include "log/txlog_int.h"

#include "base/hash.h"

// Where a verification stands.
struct verifier {
    struct store *store;
    struct arena *arena;
    struct txlog_report *report;
    struct txlog_state *state;
    char sha256[65];
    uint64_t *checkpoints; // ascending
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

static enum err_code verify_record(struct verifier *v, uint64_t seq, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct txlog_record r = {0};
    TRY(txlog_record_read(v->store, seq, &a, &r, err));
    TRY(txlog_record_follows(&r, v->sha256, err));
    TRY(replay(v, &r, err));
    memcpy(v->sha256, r.sha256.ptr, HEX_SHA256_LEN);
    v->report->first_seq = v->report->first_seq ? v->report->first_seq : seq;
    v->report->last_seq = seq;
    v->report->records++;
    v->report->head_sha256 = arena_str(v->arena, r.sha256);
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

enum err_code txlog_verify(struct store *s, struct arena *a, struct txlog_report *ret,
                           struct err *err) {
    *ret = (struct txlog_report){0};
    DEFER(txlog_state_freep) struct txlog_state *state = txlog_state_new();
    struct verifier v = {
        .store = s, .arena = a, .report = ret, .state = state, .sha256 = TXLOG_NO_SHA256};
    struct str odd = STR_NONE;
    // Checkpoints are listed first: all records that they stand on are there by then.
    TRY(txlog_checkpoint_list(s, a, &v.checkpoints, &v.checkpoints_count, &odd, err));
    if (odd.len > 0) {
        return foreign(odd, err);
    }
    struct str after = STR_NONE;
    do {
        DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
        struct store_list page = {0};
        TRY(store_list(s, &(struct store_page){TXLOG_RECORD_PREFIX, after, TXLOG_LIST_PAGE},
                       &scratch, &page, err));
        TRY(verify_page(&v, &page, err));
        after = page.next.len > 0 ? txlog_record_name(ret->last_seq, a) : STR_NONE;
    } while (after.len > 0);
    if (v.checkpoints_done < v.checkpoints_count) {
        uint64_t newer = v.checkpoints[v.checkpoints_count - 1];
        return missing(ret->last_seq + 1, txlog_checkpoint_name(newer, a), err);
    }
    return ERR_OK;
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
        size_t i;
        const json_t *transaction;
        json_array_foreach(r.transactions, i, transaction) {
            if (!walker->fn(walker->ctx, seq, r.time_us, transaction)) {
                return ERR_OK;
            }
        }
    }
    return ERR_OK;
}
