// Erasing from one dataset: its history is written anew without the subjects, in one commit.
//
// Files are written before the dataset's write lock is taken, from the state of that moment. Under
// the lock all is looked at again: what was written ahead is found written, and only what came
// meanwhile is left to do. So writers wait for metadata alone, most of the time.

#include "base/clock.h"
#include "base/log.h"
#include "erase/erase_history_int.h"
#include "table/table_tombstone_list.h"

#define HISTORY_ARENA (1UL << 34) // metadata and manifests of all snapshots

struct rewrite {
    struct erase_past past;
    bool changes; // the commit does something
    json_t *extras;
    int64_t start_us;
};

static void rewrite_release(struct rewrite *r) {
    erase_past_close(&r->past);
    json_decref(r->extras);
}

static bool is_key_id(const struct erase_past *p, int32_t id) {
    bool is = false;
    for (size_t i = 0; i < p->key_count; i++) {
        is = is || p->key_ids[i] == id;
    }
    return is;
}

// Those of the items that are no subjects; notes the handles of the others.
static void items_without(struct erase_past *p, const struct table_tombstone_list *list,
                          const struct ice_type *type, struct table_tombstone_list *ret) {
    struct table_tombstone_item *left = arena_array(p->arena, list->count, sizeof(*left));
    size_t handle_cap = 0;
    ret->items = left;
    ret->count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct table_tombstone_item *item = &list->items[i];
        if (erase_past_has(p, type, item->value)) {
            p->done.handles = arena_grow(p->texts, p->done.handles, &handle_cap,
                                         (size_t)p->done.tombstones + 1, sizeof(struct str));
            p->done.handles[p->done.tombstones++] = table_tombstone_handle(item, p->texts);
        } else {
            left[ret->count++] = *item;
        }
    }
}

// Is it one of the subjects, as a key of any type?
static bool is_subject(const struct erase_past *p, struct str value) {
    static const struct ice_type types[] = {
        {.kind = ICE_STRING}, {.kind = ICE_LONG}, {.kind = ICE_UUID}};
    bool is = false;
    for (size_t i = 0; i < ARRAY_LEN(types) && !is; i++) {
        is = erase_past_has(p, &types[i], value);
    }
    return is;
}

// The same with those that were applied, which have no handles any more.
static struct table_tombstones_applied applied_without(struct erase_past *p,
                                                       const struct table_tombstones_applied *all) {
    struct table_tombstones_applied left = *all;
    struct str *values = arena_array(p->arena, all->count, sizeof(*values));
    left.values = values;
    left.count = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (is_subject(p, all->values[i])) {
            p->stale_list = true;
        } else {
            values[left.count++] = all->values[i];
        }
    }
    return left;
}

// Fills done.tombstones, done.handles and stale_list. *ret: those that stay.
static enum err_code look_at_tombstones(struct erase_past *p, struct table_tombstone_list *ret,
                                        struct err *err) {
    const struct catalog_dataset *d = &p->pin->dataset;
    const struct ice_field *field =
        ice_schema_find_id(ice_metadata_schema(p->pin->metadata), d->tombstones.field_id);
    const struct table_tombstone_list *list;
    p->stale_list = false;
    *ret = (struct table_tombstone_list){0};
    if (d->tombstones.content.object.len == 0) {
        return ERR_OK;
    }
    TRY(table_tombstone_list_load(p->tables, d, p->arena, &list, err));
    struct table_tombstones_applied *applied =
        arena_array(p->arena, list->applied_count, sizeof(*applied));
    *ret = *list;
    ret->applied = applied;
    if (field != NULL && is_key_id(p, field->id)) {
        items_without(p, list, &field->type, ret);
    }
    ret->applied_count = 0;
    for (size_t i = 0; i < list->applied_count; i++) {
        struct table_tombstones_applied *one = &applied[ret->applied_count];
        *one = list->applied[i];
        if (is_key_id(p, one->field_id)) {
            *one = applied_without(p, &list->applied[i]);
        }
        ret->applied_count += one->count > 0 ? 1 : 0;
    }
    p->stale_list = p->stale_list || p->done.tombstones > 0;
    return ERR_OK;
}

static enum err_code amend(void *ctx, struct ice_metadata *next, struct arena *a, struct err *err) {
    const struct rewrite *r = ctx;
    (void)err;
    erase_past_amend(&r->past, next, a);
    return ERR_OK;
}

static json_t *extras(struct table_commit *c) {
    const struct rewrite *r = c->ctx;
    return json_incref(r->extras);
}

static enum err_code ask_extras(struct rewrite *r, struct err *err) {
    const struct erase_history_work *w = r->past.work;
    r->past.done.changed = true;
    r->past.done.duration_us = clock_mono_us() - r->start_us;
    json_decref(TAKE(r->extras));
    return w->extras != NULL ? w->extras(w->ctx, &r->past.done, r->past.texts, &r->extras, err)
                             : ERR_OK;
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct rewrite *r = c->ctx;
    struct erase_past *p = &r->past;
    struct table_tombstone_list list;
    TRY(erase_past_find(p, &c->base, err));
    TRY(look_at_tombstones(p, &list, err));
    r->changes = p->done.rows > 0 || p->stale_list || p->stale_bounds;
    if (!r->changes) {
        e->nothing = true;
        return ERR_OK;
    }
    TRY(erase_past_write(p, c, err));
    TRY(erase_past_describe(p, c, err));
    if (p->stale_list) {
        TRY(table_tombstone_list_put(c, &list, e, err));
    }
    TRY(erase_past_list_removed(p, err));
    TRY(ask_extras(r, err));
    e->forgets_source = true;
    e->amend = amend;
    e->amend_ctx = r;
    return ERR_OK;
}

enum err_code erase_history_look(struct erase *e, const struct erase_history_work *w,
                                 struct job *job, struct arena *a, struct erase_history *ret,
                                 struct err *err) {
    DEFER(arena_release) struct arena own = ARENA(HISTORY_ARENA);
    DEFER(erase_past_close)
    struct erase_past p = {.work = w, .job = job, .arena = &own, .texts = a};
    struct table_tombstone_list list;
    const struct table_want want = {.name = w->target->dataset};
    struct table_pin pin;
    erase_past_open(e, &p);
    TRY(table_pin_at(p.tables, &want, &own, &pin, err));
    TRY(erase_past_find(&p, &pin, err));
    TRY(look_at_tombstones(&p, &list, err));
    *ret = p.done;
    return ERR_OK;
}

// Into the kept objects of a commit that is not run yet.
static enum err_code write_ahead(struct rewrite *r, struct table_commit *c, struct err *err) {
    const struct table_want want = {.name = c->dataset};
    struct erase_past *p = &r->past;
    TRY(table_pin_at(p->tables, &want, c->arena, &c->base, err));
    c->dir = c->base.dataset.dir;
    c->location = c->base.metadata->location;
    enum err_code code = erase_past_find(p, &c->base, err);
    code = code == ERR_OK ? erase_past_write(p, c, err) : code;
    code = code == ERR_OK ? erase_past_hash(p, err) : code;
    if (code != ERR_OK) {
        table_commit_undo(c);
    }
    return code;
}

enum err_code erase_history_rewrite(struct erase *e, const struct erase_history_work *w,
                                    struct job *job, struct arena *a, struct erase_history *ret,
                                    struct err *err) {
    DEFER(arena_release) struct arena own = ARENA(HISTORY_ARENA);
    DEFER(rewrite_release)
    struct rewrite r = {.past = {.work = w, .job = job, .arena = &own, .texts = a}};
    struct catalog_dataset d;
    r.start_us = clock_mono_us();
    erase_past_open(e, &r.past);
    TRY(table_dataset_use(r.past.tables, w->target->dataset, &own, &d, err));
    struct table_commit c = {.tables = r.past.tables,
                             .dataset = d.name,
                             .dataset_id = d.id,
                             .who = w->who,
                             .prepare = prepare,
                             .extras = extras,
                             .ctx = &r,
                             .arena = &own};
    TRY(write_ahead(&r, &c, err));
    {
        LOCKED(table_write_lock(r.past.tables, d.name));
        TRY(table_commit_run(&c, err));
    }
    if (!r.changes) {
        table_commit_undo(&c); // somebody else was quicker with all of it
    }
    *ret = r.past.done;
    return ERR_OK;
}

// Copies in the engine's memory. A query that uses one keeps it to its end.
static enum err_code forget_hot(struct erase *e, struct str bucket,
                                const struct erase_object *objects, size_t count, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct str *names = arena_array(&a, count, sizeof(*names));
    const struct hot_objects hot = {.bucket = bucket, .names = names, .count = count};
    struct err busy = ERR_NONE;
    for (size_t i = 0; i < count; i++) {
        names[i] = objects[i].name;
    }
    if (e->options.hot != NULL && count > 0 &&
        hot_forget(e->options.hot, &hot, e->options.wait_ms, &busy) != ERR_OK) {
        if (busy.code != ERR_BUSY) {
            *err = busy;
            return err->code;
        }
        log_warn("erase.remove", "error=%s", log_quote(str_from(busy.msg)));
    }
    return ERR_OK;
}

enum err_code erase_history_remove(struct erase *e, struct str dataset,
                                   const struct erase_object *objects, size_t count,
                                   struct job *job, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct catalog_bucket *bucket;
    struct catalog_dataset d = {0};
    struct err dropped = ERR_NONE;
    const bool there = catalog_dataset_get(e->options.catalog, dataset, &a, &d, &dropped) == ERR_OK;
    TRY(catalog_bucket_find(e->options.catalog, d.bucket, &bucket, err));
    TRY(forget_hot(e, bucket->name, objects, count, err));
    if (there && !table_uses_wait(e->options.tables, &d, e->options.wait_ms)) {
        log_warn("erase.remove", "dataset=%s error=%s", log_quote(d.name),
                 log_quote(STR("a query still reads what is erased; it goes all the same")));
    }
    for (size_t i = 0; i < count; i++) {
        TRY(upkeep_check(job, err));
        TRY(store_delete(bucket->store, objects[i].name, err));
    }
    // What was read of them; nobody can read them again.
    cache_clear(e->options.tables->cache);
    return ERR_OK;
}
