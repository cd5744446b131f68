// Hiding: tombstones where rows come or come back, by a commit, a rollback or a look at the past.

#include "table/table_tombstone_int.h"

// Rows of the scan that live and have one of the keys, if bounds do not exclude that.
static enum err_code find_visible(struct tables *t, const struct table_key_search *search,
                                  struct arena *a, struct table_key_rows *ret, struct err *err) {
    struct table_key_search some = *search;
    some.keys = table_keys_within(&search->keys, search->pin->schema, search->scan, a);
    *ret = (struct table_key_rows){0};
    return some.keys.count > 0 ? table_keys_find(t, &some, a, ret, err) : ERR_OK;
}

struct table_scan table_scan_hidden(struct tables *t, const struct table_scan *all,
                                    struct arena *a) {
    struct table_file *some = arena_array(a, all->file_count, sizeof(*some));
    size_t count = 0;
    for (size_t i = 0; i < all->file_count; i++) {
        const struct table_deletes *d = all->files[i].deletes;
        if (d == NULL || d->tombstone_count == 0) {
            continue;
        }
        const size_t words = ((size_t)d->rows + 63) / 64;
        struct table_deletes *others = arena_alloc(a, sizeof(*others));
        uint64_t *bits = arena_array(a, words, sizeof(*bits));
        for (size_t k = 0; k < words; k++) {
            bits[k] = ~d->tombstones[k];
        }
        *others = (struct table_deletes){
            .bits = bits, .rows = d->rows, .count = d->rows - d->tombstone_count};
        some[count] = all->files[i];
        some[count++].deletes = others;
    }
    return table_scan_of(t->engine, some, count, a);
}

// Files of the scan that may hold one of the keys.
static struct table_scan narrow(struct tables *t, const struct ice_schema *s,
                                const struct table_scan *all, const struct table_keys *keys,
                                struct arena *a) {
    struct table_file *some = arena_array(a, all->file_count, sizeof(*some));
    size_t count = 0;
    if (keys->count > 0) {
        const struct table_conditions conditions = table_keys_conditions(keys, a);
        for (size_t i = 0; i < all->file_count; i++) {
            if (table_file_may_match(s, all->files[i].file, &conditions, a)) {
                some[count++] = all->files[i];
            }
        }
    }
    return table_scan_of(t->engine, some, count, a);
}

static bool replaces(const struct table_commit *c, const struct table_edit *e) {
    return e->removes_all && c->base.metadata != NULL;
}

// A schema that comes must have the key column.
static enum err_code check_schema(struct table_commit *c, struct table_edit *e, struct err *err) {
    const struct catalog_tombstones *t = &c->base.dataset.tombstones;
    const struct ice_field *old = ice_schema_find_id(c->base.schema, t->field_id);
    const struct ice_field *now = replaces(c, e) ? ice_schema_find(e->schema, t->column)
                                                 : ice_schema_find_id(e->schema, t->field_id);
    if (now == NULL || (old != NULL && !table_key_types_agree(&old->type, &now->type))) {
        return err_set(err, ERR_CONFLICT,
                       "column \"" STR_FMT "\" of dataset \"" STR_FMT "\" must stay as it is: "
                       "%lld tombstones hide rows by it; undo them, or erase what they hide, first",
                       STR_ARG(t->column), STR_ARG(c->dataset), (long long)t->count);
    }
    if (now->id != t->field_id || !str_eq(now->name, t->column)) {
        struct catalog_tombstones *renamed = arena_alloc(c->arena, sizeof(*renamed));
        *renamed = e->tombstones != NULL ? *e->tombstones : *t;
        renamed->column = now->name;
        renamed->field_id = now->id;
        e->tombstones = renamed;
    }
    return ERR_OK;
}

static enum err_code added_files(struct table_commit *c, const struct table_edit *e,
                                 const struct table_pin *pin, struct table_scan *ret,
                                 struct err *err) {
    struct table_file *files = arena_array(c->arena, e->added.count, sizeof(*files));
    for (size_t i = 0; i < e->added.count; i++) {
        struct table_file *f = &files[i];
        *f = (struct table_file){
            .file = &e->added.items[i].file, .entry = &e->added.items[i], .schema = pin->schema};
        TRY(table_object_name(pin->metadata, &pin->dataset, f->file->path, c->arena, &f->object,
                              err));
        TRY(store_local(pin->bucket->store, f->object, c->arena, &f->path, err));
    }
    *ret = (struct table_scan){.files = files, .file_count = e->added.count};
    return ERR_OK;
}

enum err_code table_hidden_add(struct table_commit *c, const struct table_scan *scan,
                               const struct table_key_rows *found, struct table_edit *e,
                               struct err *err) {
    for (size_t i = 0; found->rows > 0 && i < scan->file_count; i++) {
        const struct table_file *f = &scan->files[i];
        const struct table_gone hidden = {f, found->bits[i]};
        if (hidden.bits == NULL) {
            continue;
        }
        if (f->deletes != NULL && f->deletes->tombstones != NULL) {
            for (size_t k = 0; k < ((size_t)f->file->record_count + 63) / 64; k++) {
                hidden.bits[k] |= f->deletes->tombstones[k];
            }
        }
        TRY(table_hidden_put(c, &hidden, e, err));
    }
    return ERR_OK;
}

enum err_code table_tombstones_hide(struct table_commit *c, struct table_edit *e, struct err *err) {
    const struct catalog_tombstones *t = &c->base.dataset.tombstones;
    const struct table_tombstone_list *list;
    struct table_pin pin = c->base;
    struct table_scan added;
    struct table_key_rows found;
    if (t->count == 0 || e->nothing) {
        return ERR_OK;
    }
    if (e->schema != NULL) {
        TRY(check_schema(c, e, err));
        t = e->tombstones != NULL ? e->tombstones : t;
        pin.schema = e->schema;
    }
    const struct ice_field *field = table_tombstone_field(t, pin.schema);
    if (e->added.count == 0 || field == NULL) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(c->tables, &c->base.dataset, c->arena, &list, err));
    const struct table_keys keys = table_tombstone_keys(list, field, c->arena);
    TRY(added_files(c, e, &pin, &added, err));
    const struct table_scan scan = narrow(c->tables, pin.schema, &added, &keys, c->arena);
    const struct table_key_search search = {.pin = &pin, .scan = &scan, .keys = keys};
    TRY(find_visible(c->tables, &search, c->arena, &found, err));
    if (found.rows > 0 && !str_eq(e->operation, STR("replace"))) {
        e->operation = STR("overwrite");
    }
    return table_hidden_add(c, &scan, &found, e, err);
}

enum err_code table_tombstones_hide_base(struct table_commit *c, struct table_edit *e,
                                         struct err *err) {
    const struct catalog_tombstones *t = &c->base.dataset.tombstones;
    const struct table_tombstone_list *list;
    struct table_scan all;
    struct table_key_rows found;
    const struct ice_field *field = table_tombstone_field(t, c->base.schema);
    if (t->count == 0 || c->base.snapshot == NULL || field == NULL) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(c->tables, &c->base.dataset, c->arena, &list, err));
    const struct table_keys keys = table_tombstone_keys(list, field, c->arena);
    TRY(table_files_load(c->tables, &c->base, c->arena, &all, err));
    const struct table_scan scan = narrow(c->tables, c->base.schema, &all, &keys, c->arena);
    const struct table_key_search search = {.pin = &c->base, .scan = &scan, .keys = keys};
    TRY(find_visible(c->tables, &search, c->arena, &found, err));
    return table_hidden_add(c, &scan, &found, e, err);
}

// The past

// A file of the scan with further rows deleted.
static void hide_rows(struct table_file *f, const uint64_t *bits, struct arena *a) {
    const size_t words = ((size_t)f->file->record_count + 63) / 64;
    uint64_t *all = arena_array(a, words, sizeof(*all));
    struct table_deletes *d = arena_alloc(a, sizeof(*d));
    *d = (struct table_deletes){.bits = all, .rows = f->file->record_count};
    for (size_t i = 0; i < words; i++) {
        all[i] = bits[i] | (f->deletes != NULL ? f->deletes->bits[i] : 0);
        d->count += __builtin_popcountll(all[i]);
    }
    f->deletes = d;
}

enum err_code table_tombstones_hide_past(struct tables *t, const struct table_pin *pin,
                                         struct table_scan *scan, struct arena *a,
                                         struct err *err) {
    const struct catalog_tombstones *now = &pin->dataset.tombstones;
    const struct table_tombstone_list *list;
    struct table_key_rows found;
    const bool past =
        pin->snapshot != NULL && pin->snapshot->id != pin->metadata->current_snapshot_id;
    const struct ice_field *field =
        past && now->count > 0 && !pin->raw ? table_tombstone_field(now, pin->schema) : NULL;
    if (field == NULL) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(t, &pin->dataset, a, &list, err));
    const struct table_keys keys = table_tombstone_keys(list, field, a);
    const struct table_scan some = narrow(t, pin->schema, scan, &keys, a);
    const struct table_key_search search = {.pin = pin, .scan = &some, .keys = keys};
    TRY(find_visible(t, &search, a, &found, err));
    for (size_t i = 0; found.rows > 0 && i < some.file_count; i++) {
        for (size_t k = 0; found.bits[i] != NULL && k < scan->file_count; k++) {
            if (scan->files[k].file == some.files[i].file) {
                hide_rows(&scan->files[k], found.bits[i], a);
            }
        }
    }
    return ERR_OK;
}
