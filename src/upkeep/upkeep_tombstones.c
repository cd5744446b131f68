// Tombstones in a compaction: which files are held for their sake, and which of them are done with.

#include "base/clock.h"
#include "base/threads.h"
#include "table/table_tombstone_list.h"
#include "upkeep/upkeep_int.h"

// May the rows that it hides be dropped?
static bool may_go(const struct upkeep_compact *r, const struct table_tombstone_item *item,
                   int64_t now_us) {
    const int64_t from_us = item->purge_not_before_us;
    return from_us == 0 ? !r->keeps_tombstones : from_us <= now_us;
}

// Some items of a list, and the rows of a state that they hide.
struct some {
    struct str *values;
    size_t *at; // in the list
    size_t count;
};

static struct some some_of(const struct upkeep_compact *r, const struct table_tombstone_list *list,
                           bool that_may_go, struct arena *a) {
    struct some s = {.values = arena_array(a, list->count, sizeof(*s.values)),
                     .at = arena_array(a, list->count, sizeof(*s.at))};
    const int64_t now_us = clock_wall_us();
    for (size_t i = 0; i < list->count; i++) {
        if (may_go(r, &list->items[i], now_us) == that_may_go) {
            s.values[s.count] = list->items[i].value;
            s.at[s.count++] = i;
        }
    }
    return s;
}

// Rows that tombstones hide.
struct rows_of {
    const struct table_pin *pin;
    struct table_scan hidden;
};

static enum err_code find_rows(struct upkeep *u, const struct rows_of *of, const struct some *s,
                               struct arena *a, struct table_key_rows *ret, struct err *err) {
    const struct table_pin *pin = of->pin;
    const struct table_scan *hidden = &of->hidden;
    const struct catalog_tombstones *t = &pin->dataset.tombstones;
    const struct ice_field *field = table_tombstone_field(t->column, t->field_id, pin->schema);
    *ret = (struct table_key_rows){.bits = arena_array(a, hidden->file_count, sizeof(void *)),
                                   .by_key = arena_array(a, s->count, sizeof(int64_t))};
    if (field == NULL || s->count == 0) {
        return ERR_OK;
    }
    const struct table_key_search search = {
        .pin = pin,
        .scan = hidden,
        .keys = {.field = field, .values = s->values, .count = s->count}};
    return table_keys_find(u->tables, &search, a, ret, err);
}

enum err_code upkeep_tombstones_hold(struct upkeep *u, const struct upkeep_compact *r,
                                     const struct table_pin *pin, struct table_scan *files,
                                     struct arena *a, struct err *err) {
    const struct table_tombstone_list *list;
    struct table_key_rows found;
    const struct rows_of rows = {pin, table_scan_hidden(u->tables, files, a)};
    if (rows.hidden.file_count == 0) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(u->tables, &pin->dataset, a, &list, err));
    const struct some held = some_of(r, list, false, a);
    TRY(find_rows(u, &rows, &held, a, &found, err));
    size_t count = 0;
    for (size_t i = 0; i < files->file_count; i++) {
        bool is_held = false;
        for (size_t k = 0; k < rows.hidden.file_count && !is_held; k++) {
            is_held = found.bits[k] != NULL && rows.hidden.files[k].file == files->files[i].file;
        }
        if (!is_held) {
            files->files[count++] = files->files[i];
        }
    }
    files->file_count = count;
    return ERR_OK;
}

enum err_code upkeep_tombstones_done(struct upkeep *u, const struct upkeep_compact *r,
                                     const struct upkeep_state *state, struct arena *a,
                                     struct upkeep_done_with *ret, struct err *err) {
    struct table_key_rows found;
    struct rows_of rows = {.pin = state->pin};
    *ret = (struct upkeep_done_with){0};
    TRY(table_tombstone_list_load(u->tables, &state->pin->dataset, a, &ret->list, err));
    const struct some going = some_of(r, ret->list, true, a);
    rows.hidden = table_scan_hidden(u->tables, state->left, a);
    TRY(find_rows(u, &rows, &going, a, &found, err));
    ret->gone = arena_array(a, ret->list->count, sizeof(*ret->gone));
    for (size_t i = 0; i < going.count; i++) {
        ret->gone[going.at[i]] = found.by_key[i] == 0;
        ret->count += found.by_key[i] == 0 ? 1 : 0;
    }
    return ERR_OK;
}

// The commit that takes them off the list

struct applying {
    struct upkeep *upkeep;
    const struct upkeep_compact *request;
    int64_t count;
    json_t *details;
};

static json_t *details_of(const struct upkeep_done_with *d, struct arena *a) {
    json_t *subjects = json_array();
    json_t *j = json_object();
    for (size_t i = 0; i < d->list->count; i++) {
        if (d->gone[i]) {
            json_array_append_new(subjects,
                                  json_new_str(table_tombstone_handle(&d->list->items[i], a)));
        }
    }
    json_object_set_new(j, "keys", json_integer((json_int_t)d->count));
    json_object_set_new(j, "column", json_new_str(d->list->column));
    json_object_set_new(j, "subjects", subjects);
    return j;
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct applying *x = c->ctx;
    struct table_scan left;
    struct upkeep_done_with d;
    TRY(table_files_load(x->upkeep->tables, &c->base, c->arena, &left, err));
    const struct upkeep_state state = {&c->base, &left};
    TRY(upkeep_tombstones_done(x->upkeep, x->request, &state, c->arena, &d, err));
    x->count = (int64_t)d.count;
    e->nothing = d.count == 0;
    if (e->nothing) {
        return ERR_OK;
    }
    const int64_t sequence = c->base.snapshot != NULL ? c->base.snapshot->sequence_number : 0;
    const struct table_tombstone_list list =
        table_tombstone_list_apply(d.list, d.gone, sequence, c->base.metadata, c->arena);
    json_decref(x->details);
    x->details = details_of(&d, c->arena);
    c->who.details = x->details;
    return table_tombstone_list_put(c, &list, e, err);
}

static enum err_code commit(struct applying *x, struct table_commit *c, struct err *err) {
    LOCKED(table_write_lock(x->upkeep->tables, c->dataset));
    const enum err_code code = table_commit_run(c, err);
    json_decref(x->details);
    return code;
}

enum err_code upkeep_tombstones_apply(struct upkeep *u, const struct upkeep_compact *r,
                                      int64_t *ret_applied, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1UL << 32);
    struct applying x = {.upkeep = u, .request = r};
    struct catalog_dataset d;
    *ret_applied = 0;
    TRY(table_dataset_use(u->tables, r->dataset, &a, &d, err));
    if (d.tombstones.count == 0) {
        return ERR_OK;
    }
    struct table_commit c = {.tables = u->tables,
                             .dataset = d.name,
                             .dataset_id = d.id,
                             .who = r->who,
                             .prepare = prepare,
                             .ctx = &x,
                             .arena = &a};
    c.who.action = STR("dataset.apply_tombstones");
    TRY(commit(&x, &c, err));
    *ret_applied = x.count;
    return ERR_OK;
}
