// Masks in their JSON forms, and the keys of their hashes.
#include "mask/mask.h"

#include "base/hash.h"

#include <string.h>

#define NAME_SHOWN_MAX 64

// A kind's first name is the one that it is written as. MASK_KEEP has none: it is an object.
static const struct name {
    const char *text;
    struct mask mask;
} names[] = {
    {"null", {.kind = MASK_NULL}},
    {"replace-with-null", {.kind = MASK_NULL}},
    {"mask-to-default", {.kind = MASK_DEFAULT}},
    {"hash", {.kind = MASK_HASH}},
    {"sha-256-global", {.kind = MASK_HASH}},
    {"sha-256-query-local", {.kind = MASK_HASH_LOCAL}},
    {"show-first-4", {.kind = MASK_KEEP, .keep_prefix = 4}},
    {"show-last-4", {.kind = MASK_KEEP, .keep_suffix = 4}},
    {"mask-alphanum", {.kind = MASK_ALPHANUM}},
    {"truncate-to-year", {.kind = MASK_YEAR}},
    {"truncate-to-month", {.kind = MASK_MONTH}},
};

static enum err_code no_mask(struct str what, struct err *err) {
    DEFER(buf_release) struct buf list = BUF(1024);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        buf_printf(&list, "\"%s\", ", names[i].text);
    }
    return err_set(err, ERR_INVALID,
                   STR_FMT " is no mask; there are %sand {\"mask\": {\"keep_prefix\": 3, "
                           "\"keep_suffix\": 2}}",
                   STR_ARG(what), list.ptr);
}

static enum err_code read_name(struct str text, struct mask *ret, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_is(text, names[i].text)) {
            *ret = names[i].mask;
            return ERR_OK;
        }
    }
    DEFER(buf_release) struct buf quoted = BUF(1024);
    if (text.len > NAME_SHOWN_MAX) {
        return no_mask(STR("a text so long"), err);
    }
    json_quote(&quoted, text);
    return no_mask(buf_str(&quoted), err);
}

static enum err_code read_keep(const json_t *parts, const char *key, int32_t *ret,
                               struct err *err) {
    const json_t *j = json_object_get(parts, key);
    const json_int_t number = json_integer_value(j);
    if (j == NULL) {
        *ret = 0;
        return ERR_OK;
    }
    if (!json_is_integer(j) || number < 0 || number > MASK_KEEP_MOST) {
        return err_set(err, ERR_INVALID,
                       "\"%s\" of a mask is a whole number of characters from 0 to %d", key,
                       MASK_KEEP_MOST);
    }
    *ret = (int32_t)number;
    return ERR_OK;
}

enum err_code mask_read(const json_t *j, struct mask *ret, struct err *err) {
    static const char *const outer[] = {"mask", NULL};
    static const char *const inner[] = {"keep_prefix", "keep_suffix", NULL};
    if (json_is_string(j)) {
        return read_name((struct str){json_string_value(j), json_string_length(j)}, ret, err);
    }
    const json_t *parts = json_object_get(j, "mask");
    struct mask made = {.kind = MASK_KEEP};
    if (json_is_null(j)) {
        return no_mask(STR("null without quotes"), err);
    }
    if (!json_is_object(j) || !json_is_object(parts)) {
        return no_mask(STR("what is neither a text nor {\"mask\": {...}}"), err);
    }
    TRY(json_only_keys(j, outer, err));
    TRY(json_only_keys(parts, inner, err));
    TRY(read_keep(parts, "keep_prefix", &made.keep_prefix, err));
    TRY(read_keep(parts, "keep_suffix", &made.keep_suffix, err));
    *ret = made;
    return ERR_OK;
}

json_t *mask_json(const struct mask *m) {
    if (m->kind == MASK_KEEP) {
        json_t *parts = json_object();
        json_t *j = json_object();
        json_object_set_new(parts, "keep_prefix", json_integer(m->keep_prefix));
        json_object_set_new(parts, "keep_suffix", json_integer(m->keep_suffix));
        json_object_set_new(j, "mask", parts);
        return j;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].mask.kind == m->kind) {
            return json_string(names[i].text);
        }
    }
    return NULL;
}

bool mask_eq(const struct mask *x, const struct mask *y) {
    if (x->kind != y->kind) {
        return false;
    }
    return x->kind != MASK_KEEP ||
           (x->keep_prefix == y->keep_prefix && x->keep_suffix == y->keep_suffix);
}

static void derive(const uint8_t secret[32], struct str purpose, uint8_t ret[32]) {
    const struct sha256 key = hmac_sha256((struct str){(const char *)secret, 32}, purpose);
    memcpy(ret, key.bytes, sizeof(key.bytes));
}

void mask_keys_derive(const uint8_t secret[32], struct mask_keys *ret) {
    derive(secret, STR("tarn mask hash"), ret->global);
    derive(secret, STR("tarn mask sha-256-query-local"), ret->local);
}
