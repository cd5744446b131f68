// Records of the catalog log: names, bytes and what makes them well-formed.
//
// A record is one line of JSON whose last member is the hash of all bytes before it:
//   {"v":1,"seq":7,"prev_sha256":"<64>","time":"…","node":"…","transactions":[…],"sha256":"<64>"}\n
// README.md describes the members.

#include "log/txlog_int.h"

#include "base/clock.h"
#include "base/hash.h"

enum { FORMAT_VERSION = 1, NAME_DIGITS = 20 };

static const char seal_start[] = ",\"sha256\":\"";
static const char seal_end[] = "\"}\n";

struct str txlog_record_name(uint64_t seq, struct arena *a) {
    return arena_printf(a, "_catalog/log/%020llu.json", (unsigned long long)seq);
}

struct str txlog_checkpoint_name(uint64_t seq, struct arena *a) {
    return arena_printf(a, "_catalog/checkpoint/%020llu.json", (unsigned long long)seq);
}

bool txlog_name_seq(struct str name, struct str prefix, uint64_t *ret) {
    if (name.len != prefix.len + NAME_DIGITS + strlen(".json") || !str_starts(name, prefix) ||
        !str_ends(name, STR(".json"))) {
        return false;
    }
    uint64_t seq = 0;
    for (size_t i = prefix.len; i < prefix.len + NAME_DIGITS; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9') {
            return false;
        }
    }
    if (!str_to_u64(str_slice(name, prefix.len, prefix.len + NAME_DIGITS), &seq) || seq == 0 ||
        seq > INT64_MAX) {
        return false;
    }
    *ret = seq;
    return true;
}

void txlog_seal(struct buf *out) {
    DEFER(arena_release) struct arena a = ARENA(4096);
    struct str hash = hex_sha256(sha256(buf_str(out)), &a);
    buf_add_cstr(out, seal_start);
    buf_add_str(out, hash);
    buf_add_cstr(out, seal_end);
}

static enum err_code check_seal(struct str bytes, struct str name, struct err *err) {
    const size_t start_len = sizeof seal_start - 1;
    const size_t end_len = sizeof seal_end - 1;
    const size_t seal_len = start_len + HEX_SHA256_LEN + end_len;
    if (bytes.len < seal_len ||
        !str_eq(str_slice(bytes, bytes.len - seal_len, bytes.len - seal_len + start_len),
                str_from(seal_start)) ||
        !str_ends(bytes, str_from(seal_end))) {
        return err_set(err, ERR_CORRUPT,
                       STR_FMT " is torn or damaged: it does not end with its hash", STR_ARG(name));
    }
    DEFER(arena_release) struct arena a = ARENA(4096);
    struct str hash = hex_sha256(sha256(str_slice(bytes, 0, bytes.len - seal_len)), &a);
    size_t at = bytes.len - end_len - HEX_SHA256_LEN;
    if (!str_eq(hash, str_slice(bytes, at, at + HEX_SHA256_LEN))) {
        return err_set(err, ERR_CORRUPT, STR_FMT " is damaged: its bytes do not have its hash",
                       STR_ARG(name));
    }
    return ERR_OK;
}

static void decref(void *value) {
    json_decref(value);
}

enum err_code txlog_unseal(struct str bytes, struct str name, struct arena *a, json_t **ret,
                           struct err *err) {
    TRY(check_seal(bytes, name, err));
    json_t *tree = NULL;
    TRY(json_parse_stored(bytes, arena_cstr(a, name), &tree, err));
    arena_defer(a, decref, tree);
    int64_t version = 0;
    if (!json_get_i64(tree, "v", &version)) {
        return err_set(err, ERR_CORRUPT, STR_FMT " has no format version", STR_ARG(name));
    }
    if (version != FORMAT_VERSION) {
        return err_set(err, ERR_UNSUPPORTED,
                       STR_FMT " has format version %lld; this program knows version %d",
                       STR_ARG(name), (long long)version, FORMAT_VERSION);
    }
    *ret = tree;
    return ERR_OK;
}

struct str txlog_record_encode(const struct txlog_record *r, const struct str *transactions,
                               size_t count, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(TXLOG_RECORD_BYTES);
    struct jsonw w = JSONW(&out);
    jsonw_object(&w);
    jsonw_field_i64(&w, "v", FORMAT_VERSION);
    jsonw_field_i64(&w, "seq", (int64_t)r->seq);
    jsonw_field_str(&w, "prev_sha256", r->prev_sha256);
    jsonw_field_str(&w, "time", clock_rfc3339(r->time_us, a));
    jsonw_field_str(&w, "node", r->node);
    jsonw_key(&w, STR("transactions"));
    jsonw_array(&w);
    for (size_t i = 0; i < count; i++) {
        jsonw_raw(&w, transactions[i]);
    }
    jsonw_end_array(&w);
    txlog_seal(&out);
    CHECK(!out.overflow);
    return arena_str(a, buf_str(&out));
}

static enum err_code check_change(const json_t *change, struct err *err) {
    static const char *const keys[] = {"entity", "expect", "value", NULL};
    struct str key = STR_NONE;
    int64_t expect = 0;
    if (!json_is_object(change)) {
        return err_set(err, ERR_INVALID, "a change is not an object");
    }
    TRY(json_only_keys(change, keys, err));
    TRY(json_need_str(change, "entity", &key, err));
    TRY(json_need_i64(change, "expect", &expect, err));
    if (key.len == 0 || key.len > TXLOG_ENTITY_BYTES) {
        return err_set(err, ERR_INVALID, "an entity's key has %zu bytes; 1 to %d are allowed",
                       key.len, TXLOG_ENTITY_BYTES);
    }
    for (size_t i = 0; i < key.len; i++) {
        if ((unsigned char)key.ptr[i] < 0x20) {
            return err_set(err, ERR_INVALID, "an entity's key has a control character");
        }
    }
    if (expect < 0) {
        return err_set(err, ERR_INVALID, "\"" STR_FMT "\" expects a negative version",
                       STR_ARG(key));
    }
    const json_t *value = json_object_get(change, "value");
    if (!json_is_object(value) && !json_is_null(value)) {
        return err_set(err, ERR_INVALID, "the value of \"" STR_FMT "\" is not an object or null",
                       STR_ARG(key));
    }
    return ERR_OK;
}

static enum err_code check_entities_once(const json_t *changes, struct err *err) {
    DEFER(json_decrefp) json_t *seen = json_object();
    size_t i;
    const json_t *change;
    json_array_foreach(changes, i, change) {
        const char *key = json_string_value(json_object_get(change, "entity"));
        if (json_object_get(seen, key)) {
            return err_set(err, ERR_INVALID, "\"%s\" is changed twice in one transaction", key);
        }
        CHECK(json_object_set_new(seen, key, json_true()) == 0);
    }
    return ERR_OK;
}

enum err_code txlog_transaction_check(const json_t *transaction, struct err *err) {
    static const char *const keys[] = {"id",      "actor",   "action",  "reason", "target",
                                       "outcome", "details", "changes", NULL};
    struct str text = STR_NONE;
    json_t *changes = NULL;
    const json_t *details = NULL;
    if (!json_is_object(transaction)) {
        return err_set(err, ERR_INVALID, "a transaction is not an object");
    }
    TRY(json_only_keys(transaction, keys, err));
    for (size_t i = 0; i < 5; i++) {
        TRY(json_need_str(transaction, keys[i], &text, err));
    }
    TRY(json_need_array(transaction, "changes", &changes, err));
    if (json_object_get(transaction, "outcome") != NULL) {
        TRY(json_need_str(transaction, "outcome", &text, err));
        if (text.len == 0 || json_array_size(changes) > 0) {
            return err_set(err, ERR_INVALID,
                           "\"outcome\" is empty, or what was refused has changes");
        }
    }
    details = json_object_get(transaction, "details");
    if (details != NULL && !json_is_object(details)) {
        return err_set(err, ERR_INVALID, "\"details\" is not an object");
    }
    size_t i;
    const json_t *change;
    json_array_foreach(changes, i, change) {
        TRY(check_change(change, err));
    }
    return check_entities_once(changes, err);
}

// Fills *ret from the tree; ERR_INVALID says what is wrong with it.
static enum err_code read_members(const json_t *tree, struct txlog_record *ret, struct err *err) {
    static const char *const keys[] = {"v",    "seq",          "prev_sha256", "time",
                                       "node", "transactions", "sha256",      NULL};
    int64_t seq = 0;
    struct str time = STR_NONE;
    json_t *transactions = NULL;
    TRY(json_only_keys(tree, keys, err));
    TRY(json_need_i64(tree, "seq", &seq, err));
    TRY(json_need_str(tree, "prev_sha256", &ret->prev_sha256, err));
    TRY(json_need_str(tree, "time", &time, err));
    TRY(json_need_str(tree, "node", &ret->node, err));
    TRY(json_need_array(tree, "transactions", &transactions, err));
    if (!clock_parse(time, &ret->time_us)) {
        return err_set(err, ERR_INVALID, "\"time\" is not a time");
    }
    size_t i;
    const json_t *transaction;
    json_array_foreach(transactions, i, transaction) {
        TRY(txlog_transaction_check(transaction, err));
    }
    ret->seq = (uint64_t)seq;
    ret->transactions = transactions;
    return ERR_OK;
}

enum err_code txlog_record_decode(struct str bytes, uint64_t seq, struct arena *a,
                                  struct txlog_record *ret, struct err *err) {
    struct txlog_record r = {0};
    struct str name = txlog_record_name(seq, a);
    json_t *tree = NULL;
    TRY(txlog_unseal(bytes, name, a, &tree, err));
    if (read_members(tree, &r, err) != ERR_OK) {
        err->code = ERR_CORRUPT;
        return err_prefix(err, STR_FMT " is not a record: ", STR_ARG(name));
    }
    if (r.seq != seq) {
        return err_set(err, ERR_CORRUPT, STR_FMT " holds record %llu", STR_ARG(name),
                       (unsigned long long)r.seq);
    }
    r.sha256 = hex_sha256(sha256(bytes), a);
    *ret = r;
    return ERR_OK;
}

enum err_code txlog_record_read(struct store *s, uint64_t seq, struct arena *a,
                                struct txlog_record *ret, struct err *err) {
    enum err_code code = ERR_OK;
    for (int tries = 0; tries < 2; tries++) {
        struct str bytes = STR_NONE;
        TRY(store_get(s, txlog_record_name(seq, a), a, &bytes, err));
        code = txlog_record_decode(bytes, seq, a, ret, err);
        if (code != ERR_CORRUPT) {
            break;
        }
    }
    return code;
}

enum err_code txlog_record_sha256(struct store *s, uint64_t seq, struct arena *a, struct str *ret,
                                  struct err *err) {
    DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
    struct txlog_record r = {0};
    TRY(txlog_record_read(s, seq, &scratch, &r, err));
    *ret = arena_str(a, r.sha256);
    return ERR_OK;
}

enum err_code txlog_record_follows(const struct txlog_record *r, const char *prev_sha256,
                                   struct err *err) {
    if (!str_is(r->prev_sha256, prev_sha256)) {
        return err_set(err, ERR_CORRUPT,
                       "_catalog/log/%020llu.json does not follow from the record before it, whose "
                       "bytes have the hash %s",
                       (unsigned long long)r->seq, prev_sha256);
    }
    return ERR_OK;
}
