// Names: which are lawful, and the sorted list of those that exist.

#include <stdlib.h>

#include "catalog/catalog_int.h"

#define TOKEN_START STR("tarn_")

static bool name_char_ok(unsigned char ch, bool first) {
    bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' || ch >= 0x80;
    return letter || (!first && ((ch >= '0' && ch <= '9') || ch == '-'));
}

enum err_code catalog_check_name(struct str name, struct err *err) {
    if (name.len == 0) {
        return err_set(err, ERR_INVALID, "the name of a dataset or view is empty");
    }
    if (name.len > 128) {
        return err_set(err, ERR_INVALID,
                       "a dataset's or view's name has at most 128 bytes, this one %zu", name.len);
    }
    if (!str_is_utf8(name)) {
        return err_set(err, ERR_INVALID, "the name of a dataset or view is not UTF-8");
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!name_char_ok((unsigned char)name.ptr[i], i == 0)) {
            return err_set(err, ERR_INVALID,
                           "\"" STR_FMT "\" cannot be a dataset's or view's name: letters, digits, "
                           "'_' and '-' may stand in it, the first a letter or '_'",
                           STR_ARG(name));
        }
    }
    if (!str_is_plain(name)) {
        return err_set(
            err, ERR_INVALID,
            "a dataset's or view's name has no characters that cannot be seen, and no blanks");
    }
    bool reserved = str_eq_nocase(name, STR("main")) ||
                    str_eq_nocase(str_slice(name, 0, 6), STR("system")) ||
                    str_eq_nocase(str_slice(name, 0, 7), STR("__raw__"));
    if (reserved) {
        return err_set(err, ERR_INVALID,
                       "\"" STR_FMT "\" is reserved: names that begin with __raw__ or system, and "
                       "the name main, belong to the server",
                       STR_ARG(name));
    }
    return ERR_OK;
}

struct str catalog_folded_key(struct str prefix, struct str name, struct arena *a) {
    char *key = arena_cstr(a, arena_printf(a, STR_FMT STR_FMT, STR_ARG(prefix), STR_ARG(name)));
    for (char *p = key + prefix.len; *p != '\0'; p++) {
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    }
    return str_from(key);
}

static struct str without(struct str name, struct str prefix) {
    return str_starts(name, prefix) ? str_slice(name, prefix.len, name.len) : name;
}

struct str catalog_target(struct str name, struct arena *a) {
    const struct str own = STR("system.");
    const bool is_own = str_starts(name, own);
    const struct str bare = is_own ? without(name, own) : without(name, STR("__raw__"));
    struct err err = ERR_NONE;
    const bool lawful = str_is(name, "*") || catalog_check_name(bare, &err) == ERR_OK;
    const bool told = lawful && str_find(name, TOKEN_START) < 0;
    if (is_own) {
        return told ? arena_str(a, name) : STR("system.?");
    }
    return arena_printf(a, "dataset:" STR_FMT, STR_ARG(told ? name : STR("?")));
}

bool name_list_find(const struct name_list *l, struct str name, size_t *ret) {
    size_t low = 0;
    size_t high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(str_from(l->items[middle]), name);
        if (order == 0) {
            *ret = middle;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret = low;
    return false;
}

void name_list_add(struct name_list *l, struct str name) {
    size_t at;
    if (name_list_find(l, name, &at)) {
        return;
    }
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 64 : l->cap * 2;
        l->items = xrealloc(l->items, l->cap * sizeof(*l->items));
    }
    memmove(l->items + at + 1, l->items + at, (l->count - at) * sizeof(*l->items));
    char *copy = xmalloc(name.len + 1);
    memcpy(copy, name.ptr, name.len);
    copy[name.len] = '\0';
    l->items[at] = copy;
    l->count++;
}

static void name_list_item_free(struct name_list *l, size_t at) {
    free(l->items[at]);
    l->count--;
    memmove(l->items + at, l->items + at + 1, (l->count - at) * sizeof(*l->items));
}

void name_list_remove(struct name_list *l, struct str name) {
    size_t at;
    if (name_list_find(l, name, &at)) {
        name_list_item_free(l, at);
    }
}

void name_list_release(struct name_list *l) {
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i]);
    }
    free(l->items);
    *l = (struct name_list){0};
}
