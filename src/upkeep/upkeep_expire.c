// Expiry: snapshots leave the metadata first; then what only they led to is removed.
//
// What is to be removed is found before the commit, in the very state that the commit builds on: if
// another commit comes first, it is found anew. Metadata files that have fallen out of the metadata
// log are removed too; their names begin with a number that only grows.

#include "base/clock.h"
#include "base/hashmap.h"
#include "table/table_tombstone_list.h"
#include "upkeep/upkeep_reach.h"

struct expiry {
    struct upkeep *upkeep;
    const struct upkeep_expire *request;
    struct job *job;
    struct arena *arena;
    int64_t *ids;
    size_t id_count;
    struct str *names; // objects to be removed
    size_t name_count, name_cap;
    struct upkeep_expired done;
    json_t *details; // for the journal
};

static void note(struct expiry *x, struct str name, int64_t bytes) {
    x->names = arena_grow(x->arena, x->names, &x->name_cap, x->name_count + 1, sizeof(*x->names));
    x->names[x->name_count++] = name;
    x->done.bytes_removed += bytes;
}

static struct ice_retention retention_of(const struct expiry *x, const struct ice_metadata *m) {
    const struct upkeep_expire *r = x->request;
    struct ice_retention keep = ice_metadata_retention(m, clock_wall_us() / 1000);
    keep.max_age_ms = r->older_than_ms >= 0 ? r->older_than_ms : keep.max_age_ms;
    keep.min_keep = r->keep_min > 0 ? r->keep_min : keep.min_keep;
    keep.keep_max = r->keep_max > 0 ? r->keep_max : x->upkeep->options.snapshots_max;
    return keep;
}

static enum err_code check_allowed(const struct table_pin *pin, struct err *err) {
    for (size_t i = 0; i < pin->metadata->property_count; i++) {
        const struct ice_pair *p = &pin->metadata->properties[i];
        if (str_is(p->key, "gc.enabled") && str_eq_nocase(p->value, STR("false"))) {
            return err_set(err, ERR_REFUSED,
                           "dataset \"" STR_FMT "\" has the property gc.enabled=false: nothing of "
                           "it may be removed",
                           STR_ARG(pin->dataset.name));
        }
    }
    return ERR_OK;
}

static bool expires(const struct expiry *x, int64_t id) {
    for (size_t i = 0; i < x->id_count; i++) {
        if (x->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static enum err_code find_objects(struct expiry *x, const struct table_pin *pin, struct err *err) {
    const struct ice_metadata *m = pin->metadata;
    DEFER(upkeep_reach_release)
    struct upkeep_reach kept = {.tables = x->upkeep->tables, .arena = x->arena};
    DEFER(upkeep_reach_release)
    struct upkeep_reach gone = {.tables = x->upkeep->tables, .arena = x->arena};
    x->name_count = 0;
    x->done.bytes_removed = 0;
    TRY(upkeep_reach_metadata(&kept, pin, err));
    for (size_t i = 0; i < m->snapshot_count && x->id_count > 0; i++) {
        const bool goes = expires(x, m->snapshots[i].id);
        upkeep_progress(x->job, (int64_t)i, (int64_t)m->snapshot_count);
        TRY(upkeep_check(x->job, err));
        TRY(upkeep_reach_snapshot(goes ? &gone : &kept, pin, &m->snapshots[i], err));
    }
    for (const struct reached *r = gone.all; r != NULL; r = r->hh.next) {
        if (upkeep_reach_find(&kept, r->name) == NULL) {
            note(x, r->name, r->bytes);
        }
    }
    struct store_entry *old;
    size_t old_count;
    TRY(upkeep_forgotten_metadata(pin, x->arena, &old, &old_count, err));
    for (size_t i = 0; i < old_count; i++) {
        note(x, old[i].name, (int64_t)old[i].bytes);
    }
    return ERR_OK;
}

static enum err_code find(struct expiry *x, const struct table_pin *pin, struct err *err) {
    const struct ice_retention keep = retention_of(x, pin->metadata);
    TRY(check_allowed(pin, err));
    x->ids = ice_metadata_expired(pin->metadata, &keep, x->arena, &x->id_count);
    TRY(find_objects(x, pin, err));
    x->done.snapshots_before = (int64_t)pin->metadata->snapshot_count;
    x->done.snapshots_removed = (int64_t)x->id_count;
    x->done.snapshots_after = x->done.snapshots_before - x->done.snapshots_removed;
    x->done.objects_removed = (int64_t)x->name_count;
    return ERR_OK;
}

static enum err_code amend(void *ctx, struct ice_metadata *next, struct arena *a, struct err *err) {
    const struct expiry *x = ctx;
    (void)err;
    ice_metadata_remove_snapshots(next, x->ids, x->id_count, a);
    return ERR_OK;
}

// Tombstones that were applied are remembered for the sake of older snapshots alone.
static enum err_code forget_applied(struct expiry *x, struct table_commit *c, struct table_edit *e,
                                    struct err *err) {
    const struct table_tombstone_list *list;
    if (c->base.dataset.tombstones.content.object.len == 0 || e->nothing) {
        return ERR_OK;
    }
    struct ice_metadata *left = ice_metadata_copy(c->base.metadata, c->arena);
    ice_metadata_remove_snapshots(left, x->ids, x->id_count, c->arena);
    TRY(table_tombstone_list_load(c->tables, &c->base.dataset, c->arena, &list, err));
    if (!table_tombstone_list_forgets(list, left)) {
        return ERR_OK;
    }
    const struct table_tombstone_list after =
        table_tombstone_list_apply(list, NULL, 0, left, c->arena);
    return table_tombstone_list_put(c, &after, e, err);
}

static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct expiry *x = c->ctx;
    TRY(find(x, &c->base, err));
    e->nothing = x->id_count == 0;
    json_decref(x->details);
    x->details = json_pack("{s:I,s:I}", "objects_removed", (json_int_t)x->done.objects_removed,
                           "bytes_removed", (json_int_t)x->done.bytes_removed);
    c->who.details = x->details;
    e->amend = amend;
    e->amend_ctx = x;
    return forget_applied(x, c, e, err);
}

// Commits; *ret is what the dataset was before.
static enum err_code commit(struct expiry *x, struct catalog_dataset *ret, struct err *err) {
    // What is pinned here is free again when the objects are removed.
    DEFER(arena_release) struct arena a = ARENA(1UL << 32);
    struct catalog_dataset d;
    TRY(table_dataset_use(x->upkeep->tables, x->request->dataset, &a, &d, err));
    struct table_commit c = {.tables = x->upkeep->tables,
                             .dataset = d.name,
                             .dataset_id = d.id,
                             .who = x->request->who,
                             .prepare = prepare,
                             .ctx = x,
                             .arena = &a};
    {
        LOCKED(table_write_lock(x->upkeep->tables, d.name));
        TRY(table_commit_run(&c, err));
    }
    *ret = d;
    ret->name = arena_str(x->arena, d.name);
    ret->bucket = arena_str(x->arena, d.bucket);
    ret->dir = arena_str(x->arena, d.dir);
    return ERR_OK;
}

// No snapshot has gone, but metadata files that were forgotten do.
static enum err_code tell_objects(const struct expiry *x, const struct catalog_dataset *d,
                                  struct err *err) {
    struct catalog_author who = x->request->who;
    who.details = x->details;
    return catalog_note_done(x->upkeep->catalog, &who,
                             arena_printf(x->arena, "dataset:" STR_FMT, STR_ARG(d->name)), err);
}

static enum err_code only_look(struct expiry *x, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1UL << 32);
    const struct table_want want = {.name = x->request->dataset};
    struct table_pin pin;
    TRY(table_pin_at(x->upkeep->tables, &want, &a, &pin, err));
    x->done.dataset = arena_str(x->arena, pin.dataset.name);
    return find(x, &pin, err);
}

enum err_code upkeep_expire(struct upkeep *u, const struct upkeep_expire *request, struct job *job,
                            struct arena *a, struct upkeep_expired *ret, struct err *err) {
    struct expiry x = {.upkeep = u, .request = request, .job = job, .arena = a};
    const int64_t start_us = clock_mono_us();
    if (request->dry_run) {
        TRY(only_look(&x, err));
    } else {
        struct catalog_dataset d;
        enum err_code code = commit(&x, &d, err);
        if (code == ERR_OK && x.id_count == 0 && x.name_count > 0) {
            code = tell_objects(&x, &d, err);
        }
        json_decref(x.details);
        TRY(code);
        x.done.dataset = d.name;
        table_objects_remove(u->tables, &d, x.names, x.name_count);
    }
    x.done.duration_us = clock_mono_us() - start_us;
    *ret = x.done;
    return ERR_OK;
}
