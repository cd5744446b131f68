// Receipts: signing, and every check of verification as a sentence.

#include "erase/erase_receipt.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/hash.h"
#include "catalog/catalog_content.h"

#define RECEIPT_VERSION 1
#define ALGORITHM "ed25519"
#define SECRET STR("receipt")
#define ID_BYTES_MAX 64
#define NAMED_MAX 3 // objects that one sentence names

struct str erase_receipt_object(struct str id, struct arena *a) {
    return arena_printf(a, STR_FMT STR_FMT ".json", STR_ARG(ERASE_RECEIPT_PREFIX), STR_ARG(id));
}

enum err_code erase_receipt_key_get(struct catalog *c, struct arena *a,
                                    struct erase_receipt_key *ret, struct err *err) {
    struct catalog_secret secret;
    TRY(catalog_secret_get(c, SECRET, a, &secret, err));
    ret->id = secret.id;
    memcpy(ret->seed, secret.bytes, sizeof(ret->seed));
    sign_public_key(ret->seed, ret->public_key);
    return ERR_OK;
}

struct str erase_receipt_sign(json_t *receipt, const struct erase_receipt_key *key,
                              struct arena *a) {
    uint8_t signature[SIGN_BYTES];
    json_t *named = json_object();
    json_object_set_new(named, "id", json_new_str(key->id));
    json_object_set_new(named, "algorithm", json_string(ALGORITHM));
    json_object_set_new(named, "public",
                        json_new_str(hex_bytes(key->public_key, sizeof(key->public_key), a)));
    json_object_set_new(receipt, "key", named);
    json_object_del(receipt, "signature");
    sign_data(key->seed, json_text_sorted(receipt, a), signature);
    json_object_set_new(receipt, "signature",
                        json_new_str(hex_bytes(signature, sizeof(signature), a)));
    return json_text_sorted(receipt, a);
}

// A receipt that is looked into. The texts live as long as the tree.
struct receipt {
    json_t *tree;
    struct str text; // its bytes, without white space behind
    struct str id, object;
    struct str key_id, public_key, signature; // the latter two in hex
    uint64_t seq;
    struct str seq_sha256;
    const json_t *removed;
};

static enum err_code no_receipt(struct err *err) {
    return err_prefix(err, "that is no receipt of an erasure: ");
}

static bool is_id(struct str id) {
    for (size_t i = 0; i < id.len; i++) {
        const char c = id.ptr[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-') {
            return false;
        }
    }
    return id.len > 0 && id.len <= ID_BYTES_MAX;
}

static enum err_code read_key(struct receipt *r, struct err *err) {
    json_t *key = NULL;
    struct str algorithm = STR_NONE;
    TRY(json_need_object(r->tree, "key", &key, err));
    TRY(json_need_str(key, "id", &r->key_id, err));
    TRY(json_need_str(key, "algorithm", &algorithm, err));
    TRY(json_need_str(key, "public", &r->public_key, err));
    if (!str_is(algorithm, ALGORITHM)) {
        return err_set(err, ERR_INVALID, "it is signed in a way that this program does not know");
    }
    return json_need_str(r->tree, "signature", &r->signature, err);
}

static enum err_code read_members(struct receipt *r, struct arena *a, struct err *err) {
    int64_t version = 0;
    int64_t seq = 0;
    json_t *log = NULL;
    json_t *removed = NULL;
    TRY(json_need_i64(r->tree, "tarn_receipt", &version, err));
    if (version != RECEIPT_VERSION) {
        return err_set(err, ERR_INVALID, "it has version %" PRId64 ", this program knows %d",
                       version, RECEIPT_VERSION);
    }
    TRY(json_need_str(r->tree, "id", &r->id, err));
    if (!is_id(r->id)) {
        return err_set(err, ERR_INVALID, "\"id\" is not the name of an erasure");
    }
    r->object = erase_receipt_object(r->id, a);
    TRY(json_need_object(r->tree, "log", &log, err));
    TRY(json_need_i64(log, "seq", &seq, err));
    TRY(json_need_str(log, "sha256", &r->seq_sha256, err));
    if (seq <= 0) {
        return err_set(err, ERR_INVALID, "\"log\" names no record");
    }
    r->seq = (uint64_t)seq;
    TRY(json_need_array(r->tree, "removed", &removed, err));
    r->removed = removed;
    return read_key(r, err);
}

static void decref(void *tree) {
    json_decref(tree);
}

static enum err_code read_receipt(struct str text, struct arena *a, struct receipt *ret,
                                  struct err *err) {
    struct receipt r = {.text = text};
    while (r.text.len > 0 && strchr(" \t\r\n", r.text.ptr[r.text.len - 1]) != NULL &&
           r.text.ptr[r.text.len - 1] != '\0') {
        r.text.len--;
    }
    if (json_parse(r.text, &r.tree, err) != ERR_OK) {
        return no_receipt(err);
    }
    arena_defer(a, decref, r.tree);
    if (read_members(&r, a, err) != ERR_OK) {
        return no_receipt(err);
    }
    *ret = r;
    return ERR_OK;
}

// A verification under way.
struct verifier {
    struct catalog *catalog;
    struct store *store;
    struct arena *arena;
    struct receipt receipt;
    struct erase_verdict *verdict;
};

static void say(struct verifier *v, const char *name, bool ok, struct str says) {
    CHECK(v->verdict->count < ERASE_CHECKS_MAX);
    v->verdict->checks[v->verdict->count++] = (struct erase_check){name, ok, says};
    v->verdict->ok = v->verdict->ok && ok;
}

// Only the one way to write these bytes will do: a receipt has one text.
static bool hex_is(struct str hex, void *ret, size_t len, struct arena *a) {
    return hex_decode(hex, ret, len) && str_eq(hex, hex_bytes(ret, len, a));
}

static void check_signature(struct verifier *v) {
    uint8_t key[SIGN_KEY_BYTES];
    uint8_t signature[SIGN_BYTES];
    DEFER(json_decrefp) json_t *bare = json_copy(v->receipt.tree);
    json_object_del(bare, "signature");
    const bool ok = hex_is(v->receipt.public_key, key, sizeof(key), v->arena) &&
                    hex_is(v->receipt.signature, signature, sizeof(signature), v->arena) &&
                    sign_verify(key, json_text_sorted(bare, v->arena), signature);
    say(v, "signature", ok,
        ok ? STR("The signature is right: nothing that the receipt says was changed since it was "
                 "signed.")
           : STR("The signature does not fit: the receipt was changed after it was signed, or was "
                 "never signed with the key that it names."));
}

// The catalog's key is not made for this: whoever has none has signed nothing.
static enum err_code check_key(struct verifier *v, struct err *err) {
    uint64_t version;
    uint8_t theirs[SIGN_KEY_BYTES];
    struct erase_receipt_key ours;
    DEFER(json_decrefp)
    json_t *there = txlog_get(catalog_log(v->catalog), STR("secret:receipt"), &version);
    if (there == NULL) {
        say(v, "key", false,
            STR("This catalog has never signed a receipt: this one is from another catalog."));
        return ERR_OK;
    }
    const enum err_code code = erase_receipt_key_get(v->catalog, v->arena, &ours, err);
    if (code == ERR_NOT_FOUND || code == ERR_CORRUPT) {
        say(v, "key", false,
            arena_printf(v->arena,
                         "The key that this catalog signs with cannot be read, so that nobody can "
                         "tell whether the receipt is its own: %s.",
                         err->msg));
        return ERR_OK;
    }
    TRY(code);
    const bool ok = hex_is(v->receipt.public_key, theirs, sizeof(theirs), v->arena) &&
                    memcmp(theirs, ours.public_key, sizeof(theirs)) == 0 &&
                    str_eq(v->receipt.key_id, ours.id);
    say(v, "key", ok,
        ok ? arena_printf(v->arena, "It was signed with this catalog's own key (" STR_FMT ").",
                          STR_ARG(ours.id))
           : STR("It was signed with another key than this catalog's: it is from another catalog, "
                 "or a forgery."));
    return ERR_OK;
}

// What a walk through the log looks for: the record that sets the erasure to done.
struct search {
    struct str entity;
    struct str sha256, object; // of the receipt
    uint64_t last;             // record that was read
    uint64_t other;            // the last record that names another receipt; 0: none
    uint64_t found;            // the last one that names this one
    int64_t found_us;
};

static bool look_at(void *ctx, const struct txlog_item *item) {
    struct search *s = ctx;
    size_t i;
    const json_t *change;
    s->last = item->seq;
    json_array_foreach(json_object_get(item->transaction, "changes"), i, change) {
        const json_t *value = json_object_get(change, "value");
        const json_t *receipt = json_object_get(value, "receipt");
        struct str entity = STR_NONE;
        struct str state = STR_NONE;
        struct str sha256 = STR_NONE;
        struct str object = STR_NONE;
        if (!json_get_str(change, "entity", &entity) || !str_eq(entity, s->entity) ||
            !json_get_str(value, "state", &state) || !str_is(state, "done")) {
            continue;
        }
        if (json_get_str(receipt, "sha256", &sha256) && str_eq(sha256, s->sha256) &&
            json_get_str(receipt, "object", &object) && str_eq(object, s->object)) {
            s->found = item->seq;
            s->found_us = item->time_us;
        } else {
            s->other = item->seq;
        }
    }
    return true;
}

// The last word of the log counts.
static void say_record(struct verifier *v, const struct search *s) {
    if (s->found > s->other) {
        const struct str when = clock_rfc3339(s->found_us, v->arena);
        say(v, "record", true,
            arena_printf(v->arena,
                         "Record %" PRIu64 " of the log, written at " STR_FMT
                         ", names this receipt, byte for byte.",
                         s->found, STR_ARG(when)));
    } else if (s->other > 0) {
        say(v, "record", false,
            arena_printf(v->arena,
                         "Record %" PRIu64 " of the log names a receipt of this erasure with other "
                         "bytes: this one was changed, or only laid out anew. Compare it with the "
                         "one that the server gives.",
                         s->other));
    } else {
        say(v, "record", false,
            STR("No record of the log that could be read says that this erasure was done with this "
                "receipt: records are missing, or the receipt is from another catalog."));
    }
}

// One sentence about the log: what is wrong with it, or that nothing is.
static struct str log_trouble(struct verifier *v, struct search *s, struct err *err) {
    const struct receipt *r = &v->receipt;
    const uint64_t known = txlog_seq(catalog_log(v->catalog));
    const struct txlog_walker walker = {look_at, s};
    struct str sha256 = STR_NONE;
    enum err_code code = txlog_record_sha256(v->store, r->seq, v->arena, &sha256, err);
    struct str says = STR_NONE;
    if (code == ERR_NOT_FOUND) {
        says = arena_printf(v->arena,
                            "Record %" PRIu64 ", which finished the erasure, is not in the log: it "
                            "was removed, or the receipt is from another catalog.",
                            r->seq);
    } else if (code == ERR_OK && !str_eq(sha256, r->seq_sha256)) {
        says = arena_printf(v->arena,
                            "Record %" PRIu64 " of the log is not the one that the receipt was "
                            "signed upon: the log was rewritten, or the receipt is from another "
                            "catalog.",
                            r->seq);
    }
    if (code == ERR_OK || code == ERR_NOT_FOUND) {
        *err = ERR_NONE;
        code = txlog_walk(v->store, r->seq, 0, &walker, err);
    }
    if (says.len > 0) {
        return says;
    }
    if (code != ERR_OK) {
        return arena_printf(v->arena, "The log does not hold: %s.", err->msg);
    }
    return s->last >= known
               ? STR_NONE
               : arena_printf(v->arena,
                              "The log ends with record %" PRIu64
                              ", but there was a record %" PRIu64 ": its end was cut off.",
                              s->last, known);
}

static enum err_code check_log(struct verifier *v, struct err *err) {
    const struct receipt *r = &v->receipt;
    struct search s = {
        .entity = arena_printf(v->arena, "erasure:" STR_FMT, STR_ARG(r->id)),
        .sha256 = hex_sha256(sha256(r->text), v->arena),
        .object = r->object,
    };
    const struct str trouble = log_trouble(v, &s, err);
    if (err->code != ERR_OK && err->code != ERR_CORRUPT && err->code != ERR_NOT_FOUND) {
        return err->code;
    }
    *err = ERR_NONE;
    say(v, "log", trouble.len == 0,
        trouble.len > 0
            ? trouble
            : arena_printf(v->arena,
                           "Record %" PRIu64 " of the log, upon which the receipt was signed, is "
                           "unchanged, and all that was written since (up to record %" PRIu64
                           ") follows from it without a gap.",
                           r->seq, s.last));
    say_record(v, &s);
    return ERR_OK;
}

static enum err_code check_stored(struct verifier *v, struct err *err) {
    struct str there = STR_NONE;
    const enum err_code code = store_get(v->store, v->receipt.object, v->arena, &there, err);
    if (code == ERR_NOT_FOUND) {
        *err = ERR_NONE;
        say(v, "stored", false, STR("The catalog keeps no copy of this receipt any more."));
        return ERR_OK;
    }
    TRY(code);
    const bool ok = str_eq(there, v->receipt.text);
    say(v, "stored", ok,
        ok ? STR("The copy that the catalog keeps is the same, byte for byte.")
           : STR("The copy that the catalog keeps is another one."));
    return ERR_OK;
}

// *ret: the object is there. A name that no object can bear is one that was not removed.
static enum err_code look_for(struct verifier *v, struct str object, bool *ret, struct err *err) {
    uint64_t bytes;
    const enum err_code code = store_size(v->store, object, &bytes, err);
    *ret = code == ERR_OK || code == ERR_INVALID || code == ERR_DENIED;
    if (code == ERR_NOT_FOUND || *ret) {
        *err = ERR_NONE;
        return ERR_OK;
    }
    return code;
}

static enum err_code check_removed(struct verifier *v, struct err *err) {
    DEFER(buf_release) struct buf named = BUF(1 << 12);
    size_t there = 0;
    size_t i;
    const json_t *item;
    json_array_foreach(v->receipt.removed, i, item) {
        struct str object = STR_NONE;
        bool found = true;
        if (json_get_str(item, "object", &object)) {
            TRY(look_for(v, object, &found, err));
        }
        there += found ? 1 : 0;
        if (found && there <= NAMED_MAX) {
            buf_printf(&named, "%s" STR_FMT, there > 1 ? ", " : "", STR_ARG(object));
        }
    }
    say(v, "removed", there == 0,
        there == 0 ? arena_printf(v->arena, "All %zu objects that were removed are still gone.", i)
                   : arena_printf(
                         v->arena,
                         "Of %zu objects that were removed, %zu are there (again): " STR_FMT "%s.",
                         i, there, STR_ARG(buf_str(&named)), there > NAMED_MAX ? ", …" : ""));
    return ERR_OK;
}

static void check_search(struct verifier *v) {
    const json_t *scan = json_object_get(v->receipt.tree, "scan");
    int64_t objects = 0;
    int64_t found = -1;
    bool clean = false;
    const bool told = json_get_i64(scan, "objects", &objects) &&
                      json_get_i64(scan, "found", &found) && json_get_bool(scan, "clean", &clean);
    if (told && clean && found == 0) {
        say(v, "search", true,
            arena_printf(v->arena,
                         "The search through all %" PRId64
                         " objects that remained found nothing of "
                         "the subjects.",
                         objects));
    } else if (told && found > 0) {
        say(v, "search", false,
            arena_printf(v->arena,
                         "The search through the %" PRId64 " objects that remained still found "
                         "values of the subjects, %" PRId64 " times: the erasure is not complete.",
                         objects, found));
    } else {
        say(v, "search", false,
            STR("The receipt does not say that a search found nothing: the erasure is not proven "
                "complete."));
    }
}

enum err_code erase_receipt_verify(struct catalog *c, struct str receipt, struct arena *a,
                                   struct erase_verdict *ret, struct err *err) {
    const struct catalog_bucket *bucket = NULL;
    struct erase_verdict verdict = {.ok = true};
    struct verifier v = {.catalog = c, .arena = a, .verdict = &verdict};
    TRY(read_receipt(receipt, a, &v.receipt, err));
    TRY(catalog_bucket_find(c, STR(""), &bucket, err));
    v.store = bucket->store;
    check_signature(&v);
    TRY(check_key(&v, err));
    TRY(check_log(&v, err));
    TRY(check_stored(&v, err));
    TRY(check_removed(&v, err));
    check_search(&v);
    *ret = verdict;
    return ERR_OK;
}

json_t *erase_verdict_json(const struct erase_verdict *v) {
    json_t *list = json_array();
    for (size_t i = 0; i < v->count; i++) {
        json_array_append_new(list,
                              json_pack("{s:s,s:b,s:o}", "check", v->checks[i].name, "ok",
                                        v->checks[i].ok, "says", json_new_str(v->checks[i].says)));
    }
    return json_pack("{s:b,s:o}", "ok", v->ok, "checks", list);
}
