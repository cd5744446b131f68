// Orphans: objects in a table's folder that nothing leads to, left by writers that died.
//
// The folder is listed first and the table looked at afterwards: whatever was committed in between
// is seen then. What is younger than the safety window may belong to a write under way.

#include "base/clock.h"
#include "base/hashmap.h"
#include "upkeep/upkeep_reach.h"

#define LIST_PAGE 1000
#define NAMES_MAX 100 // that are told unless more are asked for

struct orphans {
    struct upkeep *upkeep;
    const struct upkeep_orphans *request;
    struct job *job;
    struct arena *arena;
    struct store_entry *old; // objects past the safety window
    size_t old_count, old_cap;
    struct str *names; // of those, the orphans
    size_t name_count;
    struct upkeep_orphaned done;
};

static enum err_code list_old(struct orphans *o, const struct catalog_dataset *d, struct err *err) {
    const int64_t before_us = clock_wall_us() - o->request->older_than_ms * 1000;
    const struct catalog_bucket *bucket;
    struct store_page page = {.prefix = arena_printf(o->arena, STR_FMT "/", STR_ARG(d->dir)),
                              .max = LIST_PAGE};
    TRY(catalog_bucket_find(o->upkeep->catalog, d->bucket, &bucket, err));
    do {
        struct store_list list;
        TRY(upkeep_check(o->job, err));
        TRY(store_list(bucket->store, &page, o->arena, &list, err));
        for (size_t i = 0; i < list.count; i++) {
            o->done.objects_seen++;
            if (list.entries[i].modified_us <= before_us) {
                o->old =
                    arena_grow(o->arena, o->old, &o->old_cap, o->old_count + 1, sizeof(*o->old));
                o->old[o->old_count++] = list.entries[i];
            }
        }
        page.after = list.next;
    } while (page.after.len > 0);
    return ERR_OK;
}

static enum err_code reach_all(struct orphans *o, const struct table_pin *pin,
                               struct upkeep_reach *reach, struct err *err) {
    const struct ice_metadata *m = pin->metadata;
    TRY(upkeep_reach_metadata(reach, pin, err));
    for (size_t i = 0; i < m->snapshot_count; i++) {
        upkeep_progress(o->job, (int64_t)i, (int64_t)m->snapshot_count);
        TRY(upkeep_check(o->job, err));
        TRY(upkeep_reach_snapshot(reach, pin, &m->snapshots[i], err));
    }
    return ERR_OK;
}

static void pick(struct orphans *o, const struct upkeep_reach *reach) {
    o->names = arena_array(o->arena, o->old_count, sizeof(*o->names));
    for (size_t i = 0; i < o->old_count; i++) {
        if (upkeep_reach_find(reach, o->old[i].name) == NULL) {
            o->names[o->name_count++] = o->old[i].name;
            o->done.bytes += (int64_t)o->old[i].bytes;
        }
    }
    o->done.objects = (int64_t)o->name_count;
    o->done.names = o->names;
    o->done.name_count =
        MIN(o->name_count, o->request->names_max > 0 ? o->request->names_max : (size_t)NAMES_MAX);
}

static enum err_code find(struct orphans *o, struct catalog_dataset *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1UL << 32);
    DEFER(upkeep_reach_release)
    struct upkeep_reach reach = {.tables = o->upkeep->tables, .arena = &a};
    const struct table_want want = {.name = o->request->dataset};
    struct table_pin pin;
    TRY(catalog_dataset_get(o->upkeep->catalog, want.name, o->arena, ret, err));
    TRY(list_old(o, ret, err));
    TRY(table_pin_at(o->upkeep->tables, &want, &a, &pin, err));
    if (!str_eq(pin.dataset.dir, ret->dir)) {
        return err_set(err, ERR_CONFLICT,
                       "dataset \"" STR_FMT "\" was made anew meanwhile: try again",
                       STR_ARG(ret->name));
    }
    TRY(reach_all(o, &pin, &reach, err));
    pick(o, &reach);
    return ERR_OK;
}

// The journal is told before they go: what was removed is never unknown.
static enum err_code tell(const struct orphans *o, const struct catalog_dataset *d,
                          struct err *err) {
    DEFER(json_decrefp)
    json_t *details = json_pack("{s:I,s:I,s:I}", "objects_removed", (json_int_t)o->done.objects,
                                "bytes_removed", (json_int_t)o->done.bytes, "older_than_ms",
                                (json_int_t)o->request->older_than_ms);
    struct catalog_author who = o->request->who;
    who.details = details;
    return catalog_note_done(o->upkeep->catalog, &who,
                             arena_printf(o->arena, "dataset:" STR_FMT, STR_ARG(d->name)), err);
}

enum err_code upkeep_orphans(struct upkeep *u, const struct upkeep_orphans *request,
                             struct job *job, struct arena *a, struct upkeep_orphaned *ret,
                             struct err *err) {
    struct orphans o = {.upkeep = u, .request = request, .job = job, .arena = a};
    struct catalog_dataset d;
    TRY(find(&o, &d, err));
    o.done.dataset = d.name;
    if (!request->dry_run && o.name_count > 0) {
        TRY(tell(&o, &d, err));
        table_objects_remove(u->tables, &d, o.names, o.name_count);
    }
    *ret = o.done;
    return ERR_OK;
}
