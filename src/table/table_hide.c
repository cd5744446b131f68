// Hiding: tombstones where rows come or come back, by a commit, a rollback or a look at the past.

#include "table/table_tombstone_list.h"

// Rows that have certain keys, by file.
struct hiding {
    struct tables *tables;
    const struct table_pin *pin;
    const struct table_scan *files;
    uint64_t **bits; // by file; NULL: none of it
    bool any;
    struct arena *arena;
};

static size_t words_of(const struct table_file *f) {
    return ((size_t)f->file->record_count + 63) / 64;
}

static struct hiding hiding_of(struct tables *t, const struct table_pin *pin,
                               const struct table_scan *files, struct arena *a) {
    return (struct hiding){.tables = t,
                           .pin = pin,
                           .files = files,
                           .bits = arena_array(a, files->file_count, sizeof(void *)),
                           .arena = a};
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

// Those of the files that may hold one of the keys.
static struct table_scan narrow(const struct hiding *h, const struct table_scan *files,
                                const struct table_keys *keys) {
    const struct table_conditions conditions = table_keys_conditions(keys, h->arena);
    struct table_file *some = arena_array(h->arena, files->file_count, sizeof(*some));
    size_t count = 0;
    for (size_t i = 0; i < files->file_count; i++) {
        if (table_file_may_match(h->pin->schema, files->files[i].file, &conditions, h->arena)) {
            some[count++] = files->files[i];
        }
    }
    return table_scan_of(h->tables->engine, some, count, h->arena);
}

static void add_bits(struct hiding *h, const struct table_file *f, const uint64_t *bits) {
    size_t at = 0;
    while (h->files->files[at].file != f->file) {
        at++;
        CHECK(at < h->files->file_count);
    }
    if (h->bits[at] == NULL) {
        h->bits[at] = arena_array(h->arena, words_of(f), sizeof(*bits));
    }
    for (size_t i = 0; i < words_of(f); i++) {
        h->bits[at][i] |= bits[i];
    }
    h->any = true;
}

// Adds the rows that live in the files (some of h->files, with any deletes) and have one of the
// keys. What bounds exclude is not read.
static enum err_code collect(struct hiding *h, const struct table_scan *files,
                             const struct table_keys *keys, struct err *err) {
    struct table_key_rows found;
    if (keys->count == 0 || files->file_count == 0) {
        return ERR_OK;
    }
    const struct table_scan some = narrow(h, files, keys);
    const struct table_key_search search = {
        .pin = h->pin,
        .scan = &some,
        .keys = table_keys_within(keys, h->pin->schema, &some, h->arena)};
    if (search.keys.count == 0) {
        return ERR_OK;
    }
    TRY(table_keys_find(h->tables, &search, h->arena, &found, err));
    for (size_t i = 0; i < some.file_count; i++) {
        if (found.bits[i] != NULL) {
            add_bits(h, &some.files[i], found.bits[i]);
        }
    }
    return ERR_OK;
}

static enum err_code collect_values(struct hiding *h, const struct table_scan *files,
                                    const struct table_tombstones_applied *values,
                                    struct err *err) {
    const struct ice_field *field =
        table_tombstone_field(values->column, values->field_id, h->pin->schema);
    if (field == NULL) {
        return ERR_OK;
    }
    const struct table_keys keys =
        table_tombstone_keys(values->values, values->count, field, h->arena);
    return collect(h, files, &keys, err);
}

static struct table_tombstones_applied active(const struct table_tombstone_list *list,
                                              struct arena *a) {
    struct str *values = arena_array(a, list->count, sizeof(*values));
    for (size_t i = 0; i < list->count; i++) {
        values[i] = list->items[i].value;
    }
    return (struct table_tombstones_applied){
        .column = list->column, .field_id = list->field_id, .values = values, .count = list->count};
}

// Rows that must not be seen in the pin's snapshot, which may be an older one.
static enum err_code collect_all(struct hiding *h, const struct table_scan *files,
                                 const struct table_tombstone_list *list, struct err *err) {
    const struct table_tombstones_applied now = active(list, h->arena);
    TRY(collect_values(h, files, &now, err));
    for (size_t i = 0; i < list->applied_count; i++) {
        if (h->pin->snapshot->sequence_number < list->applied[i].sequence) {
            TRY(collect_values(h, files, &list->applied[i], err));
        }
    }
    return ERR_OK;
}

// Commits

enum err_code table_hidden_add(struct table_commit *c, const struct table_scan *scan,
                               uint64_t *const *bits, struct table_edit *e, struct err *err) {
    for (size_t i = 0; i < scan->file_count; i++) {
        const struct table_file *f = &scan->files[i];
        const struct table_gone hidden = {f, bits[i]};
        if (hidden.bits == NULL) {
            continue;
        }
        if (f->deletes != NULL && f->deletes->tombstones != NULL) {
            for (size_t k = 0; k < words_of(f); k++) {
                hidden.bits[k] |= f->deletes->tombstones[k];
            }
        }
        TRY(table_hidden_put(c, &hidden, e, err));
    }
    return ERR_OK;
}

// A schema that comes must have the key column.
static enum err_code check_schema(struct table_commit *c, struct table_edit *e, struct err *err) {
    const struct catalog_tombstones *t = &c->base.dataset.tombstones;
    const struct ice_field *old = ice_schema_find_id(c->base.schema, t->field_id);
    const struct ice_field *now = e->removes_all ? ice_schema_find(e->schema, t->column)
                                                 : ice_schema_find_id(e->schema, t->field_id);
    if (now == NULL || (old != NULL && !table_key_types_agree(&old->type, &now->type))) {
        return err_set(err, ERR_CONFLICT,
                       "column \"" STR_FMT "\" of dataset \"" STR_FMT "\" must stay as it is: "
                       "%lld tombstones hide rows by it; undo them, or erase their subjects, first",
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

enum err_code table_tombstones_hide(struct table_commit *c, struct table_edit *e, struct err *err) {
    const struct catalog_tombstones *t = &c->base.dataset.tombstones;
    const struct table_tombstone_list *list;
    struct table_pin pin = c->base;
    struct table_scan added;
    if (t->count == 0 || e->nothing) {
        return ERR_OK;
    }
    if (e->schema != NULL) {
        TRY(check_schema(c, e, err));
        pin.schema = e->schema;
    }
    if (e->added.count == 0) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(c->tables, &c->base.dataset, c->arena, &list, err));
    TRY(added_files(c, e, &pin, &added, err));
    struct hiding h = hiding_of(c->tables, &pin, &added, c->arena);
    struct table_tombstones_applied now = active(list, c->arena);
    t = e->tombstones != NULL ? e->tombstones : t;
    now.column = t->column;
    now.field_id = t->field_id;
    TRY(collect_values(&h, &added, &now, err));
    if (h.any && str_is(e->operation, "append")) {
        e->operation = STR("overwrite");
    }
    return h.any ? table_hidden_add(c, &added, h.bits, e, err) : ERR_OK;
}

// Does the file have other tombstoned rows than these?
static bool differs(const struct table_file *f, const uint64_t *bits) {
    const uint64_t *now = f->deletes != NULL ? f->deletes->tombstones : NULL;
    bool same = true;
    for (size_t i = 0; same && i < words_of(f); i++) {
        same = (bits != NULL ? bits[i] : 0) == (now != NULL ? now[i] : 0);
    }
    return !same;
}

enum err_code table_tombstones_hide_base(struct table_commit *c, struct table_edit *e,
                                         struct err *err) {
    const struct catalog_dataset *d = &c->base.dataset;
    const struct table_tombstone_list *list;
    struct table_pin pin = c->base;
    struct table_scan all;
    if (c->base.snapshot == NULL) {
        return ERR_OK;
    }
    const struct ice_schema *schema =
        ice_metadata_schema_by_id(c->base.metadata, c->base.snapshot->schema_id);
    pin.schema = schema != NULL ? schema : pin.schema;
    TRY(table_tombstone_list_load(c->tables, d, c->arena, &list, err));
    TRY(table_files_load(c->tables, &pin, c->arena, &all, err));
    const struct table_scan hidden = table_scan_hidden(c->tables, &all, c->arena);
    struct hiding h = hiding_of(c->tables, &pin, &all, c->arena);
    TRY(collect_all(&h, &all, list, err));
    TRY(collect_all(&h, &hidden, list, err));
    for (size_t i = 0; i < all.file_count; i++) {
        const struct table_file *f = &all.files[i];
        struct table_gone gone = {f, h.bits[i]};
        if (!differs(f, gone.bits)) {
            continue;
        }
        if (gone.bits == NULL) {
            gone.bits = arena_array(c->arena, words_of(f), sizeof(*gone.bits));
        }
        TRY(table_hidden_put(c, &gone, e, err));
    }
    return ERR_OK;
}

// The past

// A file of the scan with further rows deleted.
static void hide_rows(struct table_file *f, const uint64_t *bits, struct arena *a) {
    uint64_t *all = arena_array(a, words_of(f), sizeof(*all));
    struct table_deletes *d = arena_alloc(a, sizeof(*d));
    *d = (struct table_deletes){.bits = all, .rows = f->file->record_count};
    for (size_t i = 0; i < words_of(f); i++) {
        all[i] = bits[i] | (f->deletes != NULL ? f->deletes->bits[i] : 0);
        d->count += __builtin_popcountll(all[i]);
    }
    f->deletes = d;
}

enum err_code table_tombstones_hide_past(struct tables *t, const struct table_pin *pin,
                                         struct table_scan *scan, struct arena *a,
                                         struct err *err) {
    const struct table_tombstone_list *list;
    const bool past =
        pin->snapshot != NULL && pin->snapshot->id != pin->metadata->current_snapshot_id;
    if (!past || pin->raw || pin->dataset.tombstones.content.object.len == 0) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(t, &pin->dataset, a, &list, err));
    struct hiding h = hiding_of(t, pin, scan, a);
    TRY(collect_all(&h, scan, list, err));
    for (size_t i = 0; i < scan->file_count; i++) {
        if (h.bits[i] != NULL) {
            hide_rows(&scan->files[i], h.bits[i], a);
        }
    }
    return ERR_OK;
}
