// Reach: walks snapshots down to their files, each manifest once.

#include "upkeep/upkeep_reach.h"

#define LIST_PAGE 1000

void upkeep_reach_release(struct upkeep_reach *r) {
    HASH_CLEAR(hh, r->all);
}

const struct reached *upkeep_reach_find(const struct upkeep_reach *r, struct str name) {
    const struct reached *found = NULL;
    HASH_FIND(hh, r->all, name.ptr, name.len, found);
    return found;
}

bool upkeep_reach_add(struct upkeep_reach *r, struct str name, int64_t bytes) {
    if (upkeep_reach_find(r, name) != NULL) {
        return false;
    }
    struct reached *one = arena_alloc(r->arena, sizeof(*one));
    one->name = arena_str(r->arena, name);
    one->bytes = bytes;
    HASH_ADD_KEYPTR(hh, r->all, one->name.ptr, one->name.len, one);
    return true;
}

static enum err_code add_uri(struct upkeep_reach *r, const struct table_pin *pin, struct str uri,
                             int64_t bytes, bool *ret_new, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str name;
    TRY(table_object_name(pin->metadata, &pin->dataset, uri, &a, &name, err));
    *ret_new = upkeep_reach_add(r, name, bytes);
    return ERR_OK;
}

static enum err_code add_manifest(struct upkeep_reach *r, const struct table_pin *pin,
                                  const struct ice_manifest_ref *ref, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    const struct ice_manifest *m;
    bool is_new;
    TRY(add_uri(r, pin, ref->path, ref->bytes, &is_new, err));
    if (!is_new) {
        return ERR_OK;
    }
    TRY(table_manifest_load(r->tables, pin, ref, &a, &m, err));
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct ice_entry *e = &m->entries[i];
        if (e->status != ICE_DELETED) {
            TRY(add_uri(r, pin, e->file.path, e->file.file_bytes, &is_new, err));
        }
    }
    return ERR_OK;
}

enum err_code upkeep_reach_snapshot(struct upkeep_reach *r, const struct table_pin *pin,
                                    const struct ice_snapshot *s, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct table_pin at = *pin;
    const struct ice_manifest_list *list;
    bool is_new;
    at.snapshot = s;
    TRY(add_uri(r, pin, s->manifest_list, 0, &is_new, err));
    TRY(table_manifest_list_load(r->tables, &at, &a, &list, err));
    for (size_t i = 0; i < list->manifest_count; i++) {
        TRY(add_manifest(r, &at, &list->manifests[i], err));
    }
    return ERR_OK;
}

enum err_code upkeep_reach_metadata(struct upkeep_reach *r, const struct table_pin *pin,
                                    struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct str *statistics;
    bool is_new;
    (void)upkeep_reach_add(r, pin->dataset.metadata, 0);
    for (size_t i = 0; i < pin->metadata->metadata_log_count; i++) {
        TRY(add_uri(r, pin, pin->metadata->metadata_log[i].metadata, 0, &is_new, err));
    }
    const size_t count = ice_metadata_statistics(pin->metadata, &a, &statistics);
    for (size_t i = 0; i < count; i++) {
        TRY(add_uri(r, pin, statistics[i], 0, &is_new, err));
    }
    return ERR_OK;
}

// The number that a metadata file's name begins with; -1: none.
static int64_t metadata_number(struct str name) {
    struct str last = STR_NONE;
    struct str number;
    int64_t n;
    while (str_cut(&name, '/', &last)) {
    }
    return str_ends(last, STR(".metadata.json")) && str_cut(&last, '-', &number) &&
                   str_to_i64(number, &n)
               ? n
               : -1;
}

enum err_code upkeep_forgotten_metadata(const struct table_pin *pin, struct arena *a,
                                        struct store_entry **ret, size_t *ret_count,
                                        struct err *err) {
    int64_t oldest = metadata_number(pin->dataset.metadata);
    struct store_page page = {.prefix =
                                  arena_printf(a, STR_FMT "/metadata/", STR_ARG(pin->dataset.dir)),
                              .max = LIST_PAGE};
    size_t cap = 0;
    *ret = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < pin->metadata->metadata_log_count; i++) {
        const int64_t n = metadata_number(pin->metadata->metadata_log[i].metadata);
        oldest = n >= 0 ? MIN(oldest, n) : -1;
    }
    do {
        struct store_list list;
        TRY(store_list(pin->bucket->store, &page, a, &list, err));
        for (size_t i = 0; i < list.count; i++) {
            const int64_t n = metadata_number(list.entries[i].name);
            if (n >= 0 && n < oldest) {
                *ret = arena_grow(a, *ret, &cap, *ret_count + 1, sizeof(**ret));
                (*ret)[(*ret_count)++] = list.entries[i];
            }
        }
        page.after = list.next;
    } while (page.after.len > 0);
    return ERR_OK;
}
