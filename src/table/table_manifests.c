// Manifests of a new snapshot: what a commit adds, what it takes out, what is carried over.
//
// A manifest that loses files is written again: those that stay as EXISTING, those that go as
// DELETED, without metrics, so that no bound of a row that went is kept. Small manifests are folded
// together when there are many of them. A manifest has one schema: the one its files were written
// with, by which a scan maps their columns.

#include "base/hash.h"
#include "base/hashmap.h"
#include "table/table_commit.h"

#define SMALL_BYTES INT64_C(262144) // a manifest that may be folded
#define SMALL_MAX 32                // so many of one kind are left as they are

// A manifest under construction.
struct group {
    bool deletes;
    const struct ice_schema *schema;
    struct table_entries entries;
};

struct gone {
    struct str path;
    UT_hash_handle hh;
};

struct making {
    struct table_commit *commit;
    const struct table_edit *edit;
    struct table_change *change;
    struct gone *gone;
    size_t gone_count; // found so far
    struct group *groups;
    size_t group_count, group_cap;
    bool fold[2]; // small manifests of data, of deletes
    size_t list_cap;
};

static struct group *group_find(struct making *m, bool deletes, const struct ice_schema *schema) {
    for (size_t i = 0; i < m->group_count; i++) {
        struct group *g = &m->groups[i];
        if (g->deletes == deletes && (g->schema == schema || ice_schema_eq(g->schema, schema))) {
            return g;
        }
    }
    m->groups = arena_grow(m->commit->arena, m->groups, &m->group_cap, m->group_count + 1,
                           sizeof(*m->groups));
    m->groups[m->group_count] = (struct group){.deletes = deletes, .schema = schema};
    return &m->groups[m->group_count++];
}

static void list_add(struct making *m, const struct ice_manifest_ref *ref) {
    struct ice_manifest_list *l = &m->change->list;
    l->manifests = arena_grow(m->commit->arena, l->manifests, &m->list_cap, l->manifest_count + 1,
                              sizeof(*l->manifests));
    l->manifests[l->manifest_count++] = *ref;
}

static bool is_gone(struct making *m, const struct ice_entry *e) {
    struct gone *g = NULL;
    if (e->status == ICE_DELETED) {
        return false;
    }
    if (!m->edit->removes_all) {
        HASH_FIND(hh, m->gone, e->file.path.ptr, e->file.path.len, g);
    }
    return m->edit->removes_all || g != NULL;
}

static bool loses_any(struct making *m, const struct ice_manifest *manifest) {
    for (size_t i = 0; i < manifest->entry_count; i++) {
        if (is_gone(m, &manifest->entries[i])) {
            return true;
        }
    }
    return false;
}

// Entries of an old manifest, as they are in the new snapshot. What an earlier snapshot took out is
// of no interest any more.
static void take_apart(struct making *m, const struct ice_manifest *old) {
    struct group *g = group_find(m, old->deletes, old->schema);
    for (size_t i = 0; i < old->entry_count; i++) {
        const struct ice_entry *e = &old->entries[i];
        if (e->status == ICE_DELETED) {
            continue;
        }
        struct ice_entry *now = table_entry_add(&g->entries, m->commit->arena);
        *now = *e;
        now->inherit = false;
        now->status = ICE_EXISTING;
        if (is_gone(m, e)) {
            table_tally_add(&m->change->removed, &e->file);
            m->gone_count++;
            now->status = ICE_DELETED;
            now->snapshot_id = m->change->snapshot->id;
            now->file = (struct ice_data_file){.content = e->file.content,
                                               .path = e->file.path,
                                               .format = e->file.format,
                                               .record_count = e->file.record_count,
                                               .file_bytes = e->file.file_bytes};
        }
    }
}

static enum err_code put_manifest(struct making *m, const struct group *g, struct err *err) {
    struct table_commit *c = m->commit;
    struct str data;
    struct str object = arena_printf(c->arena, STR_FMT "/metadata/" STR_FMT "-m0.avro",
                                     STR_ARG(c->dir), STR_ARG(uuid_new(c->arena)));
    const struct ice_manifest manifest = {.deletes = g->deletes,
                                          .schema_id = g->schema->schema_id,
                                          .schema = g->schema,
                                          .spec_fields = STR("[]"),
                                          .entries = g->entries.items,
                                          .entry_count = g->entries.count};
    struct ice_manifest_ref ref = {.path = table_object_uri(c, object),
                                   .deletes = g->deletes,
                                   .added_snapshot_id = m->change->snapshot->id,
                                   .sequence_number = m->change->snapshot->sequence_number};
    TRY(ice_manifest_write(&manifest, c->arena, &data, &ref, err));
    TRY(table_object_put(c, &c->attempt, object, data, err));
    list_add(m, &ref);
    return ERR_OK;
}

static enum err_code put_added(struct making *m, bool deletes, const struct table_entries *added,
                               struct err *err) {
    const struct group g = {.deletes = deletes, .schema = m->change->schema, .entries = *added};
    for (size_t i = 0; i < added->count; i++) {
        table_tally_add(&m->change->added, &added->items[i].file);
    }
    return added->count > 0 ? put_manifest(m, &g, err) : ERR_OK;
}

static bool is_small(const struct ice_manifest_ref *ref) {
    return ref->bytes < SMALL_BYTES;
}

static void decide_folding(struct making *m, const struct ice_manifest_list *old) {
    size_t small[2] = {0, 0};
    for (size_t i = 0; i < old->manifest_count; i++) {
        const struct ice_manifest_ref *ref = &old->manifests[i];
        small[ref->deletes ? 1 : 0] += is_small(ref) ? 1 : 0;
    }
    m->fold[0] = small[0] > SMALL_MAX;
    m->fold[1] = small[1] > SMALL_MAX;
}

static enum err_code carry_over(struct making *m, const struct ice_manifest_ref *ref,
                                struct err *err) {
    const struct ice_manifest *manifest;
    const bool folded = m->fold[ref->deletes ? 1 : 0] && is_small(ref);
    if (ref->added_files == 0 && ref->existing_files == 0) {
        return ERR_OK; // it only tells of what went
    }
    if (!folded && m->gone == NULL && !m->edit->removes_all) {
        list_add(m, ref);
        return ERR_OK;
    }
    TRY(table_manifest_load(m->commit->tables, &m->commit->base, ref, m->commit->arena, &manifest,
                            err));
    if (ref->spec_id != 0 && (folded || loses_any(m, manifest))) {
        return err_set(err, ERR_UNSUPPORTED,
                       "dataset \"" STR_FMT "\" is partitioned by another engine; this server only "
                       "appends to it",
                       STR_ARG(m->commit->dataset));
    }
    if (folded || loses_any(m, manifest)) {
        take_apart(m, manifest);
    } else {
        list_add(m, ref);
    }
    return ERR_OK;
}

static enum err_code make(struct making *m, struct err *err) {
    struct table_commit *c = m->commit;
    const struct ice_manifest_list *old = NULL;
    TRY(put_added(m, false, &m->edit->added, err));
    TRY(put_added(m, true, &m->edit->deletes, err));
    if (c->base.snapshot != NULL) {
        TRY(table_manifest_list_load(c->tables, &c->base, c->arena, &old, err));
        decide_folding(m, old);
    }
    for (size_t i = 0; old != NULL && i < old->manifest_count; i++) {
        TRY(carry_over(m, &old->manifests[i], err));
    }
    for (size_t i = 0; i < m->group_count; i++) {
        if (m->groups[i].entries.count > 0) {
            TRY(put_manifest(m, &m->groups[i], err));
        }
    }
    if (!m->edit->removes_all && m->gone_count != m->edit->removed.count) {
        return err_set(err, ERR_CONFLICT,
                       "%zu of %zu files of dataset \"" STR_FMT "\" were replaced meanwhile",
                       m->edit->removed.count - m->gone_count, m->edit->removed.count,
                       STR_ARG(c->dataset));
    }
    return ERR_OK;
}

enum err_code table_manifests_make(struct table_commit *c, const struct table_edit *e,
                                   struct table_change *change, struct err *err) {
    struct making m = {.commit = c, .edit = e, .change = change};
    for (size_t i = 0; i < e->removed.count; i++) {
        struct gone *g = arena_alloc(c->arena, sizeof(*g));
        g->path = e->removed.items[i];
        HASH_ADD_KEYPTR(hh, m.gone, g->path.ptr, g->path.len, g);
    }
    const enum err_code code = make(&m, err);
    HASH_CLEAR(hh, m.gone);
    return code;
}

void table_tally_add(struct table_tally *t, const struct ice_data_file *f) {
    if (f->content == ICE_DATA) {
        t->files++;
        t->rows += f->record_count;
        t->bytes += f->file_bytes;
    } else {
        t->delete_files++;
        t->deleted_rows += f->record_count;
        t->delete_bytes += f->file_bytes;
    }
}

enum err_code table_tally_of(struct tables *t, const struct table_pin *pin, struct arena *a,
                             struct table_tally *ret, struct err *err) {
    const struct ice_manifest_list *list;
    *ret = (struct table_tally){0};
    if (pin->snapshot == NULL) {
        return ERR_OK;
    }
    TRY(table_manifest_list_load(t, pin, a, &list, err));
    for (size_t i = 0; i < list->manifest_count; i++) {
        const struct ice_manifest *m;
        TRY(table_manifest_load(t, pin, &list->manifests[i], a, &m, err));
        for (size_t j = 0; j < m->entry_count; j++) {
            if (m->entries[j].status != ICE_DELETED) {
                table_tally_add(ret, &m->entries[j].file);
            }
        }
    }
    return ERR_OK;
}
