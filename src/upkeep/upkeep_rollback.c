// Rollback: an older snapshot becomes current again, by a commit like any other.

#include "base/clock.h"
#include "upkeep/upkeep_int.h"

struct rollback {
    const struct upkeep_rollback *request;
    struct table_want want;
    int64_t snapshot_id;
    struct upkeep_rolled done;
};

static enum err_code amend(void *ctx, struct ice_metadata *next, struct arena *a, struct err *err) {
    const struct rollback *r = ctx;
    (void)err;
    ice_metadata_set_main(next, r->snapshot_id, clock_wall_us() / 1000, a);
    return ERR_OK;
}

static const struct ice_snapshot *snapshot_find(const struct ice_metadata *m, int64_t version) {
    const struct ice_snapshot *found = ice_metadata_snapshot_by_id(m, version);
    for (size_t i = 0; found == NULL && i < m->snapshot_count; i++) {
        found = m->snapshots[i].sequence_number == version ? &m->snapshots[i] : NULL;
    }
    return found;
}

static enum err_code look_up(struct rollback *r, const struct table_pin *base, struct err *err) {
    const struct ice_snapshot *to = snapshot_find(base->metadata, r->request->version);
    if (to == NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "dataset \"" STR_FMT "\" has no snapshot %lld (GET "
                       "/catalog/datasets/by-name/" STR_FMT "/snapshots lists those there are)",
                       STR_ARG(base->dataset.name), (long long)r->request->version,
                       STR_ARG(base->dataset.name));
    }
    r->snapshot_id = to->id;
    r->done.from_snapshot = base->metadata->current_snapshot_id;
    r->done.to_snapshot = to->id;
    r->done.rows_before = r->done.rows_after = base->dataset.rows;
    const struct ice_totals totals = ice_totals_of(to);
    if (totals.records >= 0 && to->id != r->done.from_snapshot) {
        r->done.rows_after = totals.records - MAX(totals.position_deletes, 0);
    }
    return ERR_OK;
}

// The new snapshot is current already; what the catalog says of sizes is counted anew.
static enum err_code only_count(void *ctx, struct ice_metadata *next, struct arena *a,
                                struct err *err) {
    (void)ctx;
    (void)next;
    (void)a;
    (void)err;
    return ERR_OK;
}

// Where rows must be hidden, a snapshot that does so is made from the older one.
static enum err_code prepare(struct table_commit *c, struct table_edit *e, struct err *err) {
    struct rollback *r = c->ctx;
    const struct ice_snapshot *from = c->base.snapshot;
    TRY(look_up(r, &c->base, err));
    e->amend = amend;
    e->amend_ctx = r;
    c->base.snapshot = ice_metadata_snapshot_by_id(c->base.metadata, r->snapshot_id);
    TRY(table_tombstones_hide_base(c, e, err));
    if (e->deletes.count + e->removed.count > 0) {
        e->operation = e->removed.count > 0 ? STR("overwrite") : STR("delete");
        e->amend = only_count;
    } else {
        c->base.snapshot = from;
    }
    return ERR_OK;
}

static enum err_code commit(struct upkeep *u, struct rollback *r, struct arena *a,
                            const struct catalog_dataset *d, struct err *err) {
    struct table_commit c = {.tables = u->tables,
                             .dataset = d->name,
                             .dataset_id = d->id,
                             .who = r->request->who,
                             .prepare = prepare,
                             .ctx = r,
                             .arena = a};
    LOCKED(table_write_lock(u->tables, d->name));
    TRY(table_commit_run(&c, err));
    r->done.rows_after = c.after.rows;
    return ERR_OK;
}

enum err_code upkeep_rollback(struct upkeep *u, const struct upkeep_rollback *request,
                              struct arena *a, struct upkeep_rolled *ret, struct err *err) {
    DEFER(arena_release) struct arena work = ARENA(1UL << 32);
    struct rollback r = {.request = request};
    const struct table_want want = {.name = request->dataset};
    struct table_pin pin;
    TRY(table_pin_at(u->tables, &want, &work, &pin, err));
    if (request->dry_run) {
        TRY(look_up(&r, &pin, err));
    } else {
        TRY(commit(u, &r, &work, &pin.dataset, err));
    }
    r.done.dataset = arena_str(a, pin.dataset.name);
    *ret = r.done;
    return ERR_OK;
}
