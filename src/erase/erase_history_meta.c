// Metadata without a subject: manifests, manifest lists, summaries; and what nothing leads to then.
//
// Snapshots keep their ids, times, sequence numbers and refs. A manifest that is written anew is
// still the one of the snapshot that added it. Entries of files that went have told all that they
// had to tell, and may hold bounds of a subject's values: they are left out.

#include "erase/erase_history_int.h"

#include "base/hash.h"
#include "upkeep/upkeep_reach.h"

#define HASH_BYTES (4UL << 20) // of an object at a time

static bool tells(const struct ice_data_file *f) {
    return f->lower.count > 0 || f->upper.count > 0 || f->partition_count > 0 ||
           f->value_counts.count > 0 || f->null_counts.count > 0 || f->nan_counts.count > 0;
}

static bool manifest_changes(const struct erase_past *p, const struct ice_manifest *m) {
    bool changes = false;
    for (size_t i = 0; !changes && i < m->entry_count; i++) {
        const struct ice_entry *e = &m->entries[i];
        changes = erase_past_changes(p, &e->file) || (e->status == ICE_DELETED && tells(&e->file));
    }
    return changes;
}

// An entry of an old manifest into the new one: who brought it, and when, stays as it was.
static void carry_entry(const struct erase_past *p, const struct ice_entry *e,
                        struct table_entries *to, struct arena *a) {
    const struct ice_data_file *files = &e->file;
    size_t count = 1;
    (void)erase_past_now(p, &e->file, &files, &count);
    for (size_t i = 0; i < count; i++) {
        struct ice_entry *now = table_entry_add(to, a);
        *now = *e;
        now->inherit = false;
        now->file = files[i];
    }
}

static enum err_code put_manifest(struct erase_past *p, struct table_commit *c,
                                  struct erase_manifest *m, const struct table_entries *entries,
                                  struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    const struct str object = arena_printf(p->arena, STR_FMT "/metadata/" STR_FMT "-m0.avro",
                                           STR_ARG(c->dir), STR_ARG(uuid_new(p->arena)));
    struct ice_manifest made = *m->manifest;
    struct ice_manifest_ref ref = {.path = table_object_uri(c, object),
                                   .added_snapshot_id = m->ref->added_snapshot_id,
                                   .sequence_number = m->ref->sequence_number};
    struct str data;
    made.entries = entries->items;
    made.entry_count = entries->count;
    TRY(ice_manifest_write(&made, &a, &data, &ref, err));
    ref.partitions = arena_str(p->arena, ref.partitions);
    m->now = ref;
    return table_object_put(c, &c->attempt, object, data, err);
}

static enum err_code make_manifest(struct erase_past *p, struct table_commit *c,
                                   struct erase_manifest *m, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct table_entries entries = {0};
    m->changed = manifest_changes(p, m->manifest);
    m->left = true;
    m->now = *m->ref;
    for (size_t i = 0; i < m->manifest->entry_count; i++) {
        if (m->manifest->entries[i].status != ICE_DELETED) {
            carry_entry(p, &m->manifest->entries[i], &entries, &a);
        }
    }
    for (size_t i = 0; i < entries.count; i++) {
        table_tally_add(&m->tally, &entries.items[i].file);
    }
    if (m->changed) {
        m->left = entries.count > 0;
        return m->left ? put_manifest(p, c, m, &entries, err) : ERR_OK;
    }
    return ERR_OK;
}

static void tally_sum(struct table_tally *t, const struct table_tally *more) {
    t->files += more->files;
    t->rows += more->rows;
    t->bytes += more->bytes;
    t->delete_files += more->delete_files;
    t->deleted_rows += more->deleted_rows;
    t->delete_bytes += more->delete_bytes;
}

static enum err_code make_list(struct erase_past *p, struct table_commit *c, size_t at,
                               struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct erase_snapshot *s = &p->snapshots[at];
    struct ice_manifest_list list = *s->list;
    struct str data;
    list.manifests = arena_array(&a, s->list->manifest_count, sizeof(*list.manifests));
    list.manifest_count = 0;
    for (size_t i = 0; i < s->list->manifest_count; i++) {
        const struct erase_manifest *m = erase_past_manifest(p, &s->list->manifests[i]);
        s->changed = s->changed || m->changed;
        tally_sum(&s->tally, &m->tally);
        if (m->changed && m->left) {
            list.manifests[list.manifest_count++] = m->now;
        } else if (!m->changed) {
            list.manifests[list.manifest_count++] = s->list->manifests[i];
        }
    }
    if (!s->changed) {
        return ERR_OK;
    }
    const struct str object =
        arena_printf(p->arena, STR_FMT "/metadata/snap-%lld-1-" STR_FMT ".avro", STR_ARG(c->dir),
                     (long long)p->pin->metadata->snapshots[at].id, STR_ARG(uuid_new(p->arena)));
    TRY(ice_manifest_list_write(&list, &a, &data, err));
    s->manifest_list = table_object_uri(c, object);
    p->done.snapshots_changed++;
    return table_object_put(c, &c->attempt, object, data, err);
}

enum err_code erase_past_describe(struct erase_past *p, struct table_commit *c, struct err *err) {
    for (struct erase_manifest *m = p->manifests; m != NULL; m = m->hh.next) {
        TRY(upkeep_check(p->job, err));
        TRY(make_manifest(p, c, m, err));
    }
    p->done.snapshots_changed = 0;
    for (size_t i = 0; i < p->pin->metadata->snapshot_count; i++) {
        TRY(upkeep_check(p->job, err));
        TRY(make_list(p, c, i, err));
    }
    return ERR_OK;
}

// What a summary may go on to say: nothing of what once came or went, and of no partition.
static bool summary_stays(struct str key) {
    return !str_starts(key, STR("added-")) && !str_starts(key, STR("deleted-")) &&
           !str_starts(key, STR("removed-")) && !str_starts(key, STR("total-")) &&
           !str_starts(key, STR("partitions."));
}

static void summarise(struct ice_snapshot *s, const struct table_tally *t, struct arena *a) {
    const struct {
        const char *key;
        int64_t value;
    } totals[] = {
        {"total-data-files", t->files},
        {"total-delete-files", t->delete_files},
        {"total-records", t->rows},
        {"total-files-size", t->bytes + t->delete_bytes},
        {"total-position-deletes", t->deleted_rows},
        {"total-equality-deletes", 0},
    };
    struct ice_pair *summary =
        arena_array(a, s->summary_count + ARRAY_LEN(totals), sizeof(*summary));
    size_t count = 0;
    for (size_t i = 0; i < s->summary_count; i++) {
        if (summary_stays(s->summary[i].key)) {
            summary[count++] = s->summary[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(totals); i++) {
        summary[count++] = (struct ice_pair){str_from(totals[i].key),
                                             arena_printf(a, "%lld", (long long)totals[i].value)};
    }
    s->summary = summary;
    s->summary_count = count;
}

void erase_past_amend(const struct erase_past *p, struct ice_metadata *next, struct arena *a) {
    CHECK(next->snapshot_count == p->pin->metadata->snapshot_count);
    for (size_t i = 0; i < next->snapshot_count; i++) {
        const struct erase_snapshot *s = &p->snapshots[i];
        if (s->changed) {
            next->snapshots[i].manifest_list = s->manifest_list;
            summarise(&next->snapshots[i], &s->tally, a);
        }
    }
    ice_metadata_forget_past(next, a);
}

enum err_code erase_object_hash(struct store *s, struct arena *texts, struct erase_object *ret,
                                bool *ret_there, struct err *err) {
    const struct str name = ret->name;
    struct err missing = ERR_NONE;
    uint64_t bytes = 0;
    const enum err_code code = store_size(s, name, &bytes, &missing);
    *ret_there = code == ERR_OK;
    if (code != ERR_OK) {
        *err = code == ERR_NOT_FOUND ? *err : missing;
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    }
    struct sha256_stream *h = sha256_stream_new();
    for (uint64_t at = 0; at < bytes;) {
        DEFER(arena_release) struct arena a = ARENA(2 * HASH_BYTES);
        struct str part;
        if (store_get_range(s, name, (struct store_range){at, HASH_BYTES}, &a, &part, err) !=
            ERR_OK) {
            sha256_stream_free(h);
            return err->code;
        }
        sha256_stream_add(h, part.ptr, part.len);
        at += part.len;
    }
    ret->bytes = (int64_t)bytes;
    ret->sha256 = hex_sha256(sha256_stream_end(h), texts);
    return ERR_OK;
}

// *ret stays as long as the past.
static enum err_code hash_once(struct erase_past *p, struct store *s, struct str object,
                               struct erase_removed **ret, struct err *err) {
    struct erase_removed *r = NULL;
    HASH_FIND(hh, p->hashed, object.ptr, object.len, r);
    if (r == NULL) {
        r = arena_alloc(p->arena, sizeof(*r));
        r->object.name = arena_str(p->texts, object);
        TRY(erase_object_hash(s, p->texts, &r->object, &r->there, err));
        HASH_ADD_KEYPTR(hh, p->hashed, r->object.name.ptr, r->object.name.len, r);
    }
    *ret = r;
    return upkeep_check(p->job, err);
}

static enum err_code hash_uri(struct erase_past *p, struct str uri, struct erase_removed **ret,
                              struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct str object;
    TRY(table_object_name(p->pin->metadata, &p->pin->dataset, uri, &a, &object, err));
    return hash_once(p, p->pin->bucket->store, object, ret, err);
}

// The list of what is removed, as it grows.
struct removing {
    struct erase_past *past;
    size_t cap;
};

static void list_it(struct removing *r, struct erase_removed *one) {
    struct erase_history *h = &r->past->done;
    if (one->there && !one->listed) {
        one->listed = true;
        h->removed = arena_grow(r->past->texts, h->removed, &r->cap, h->removed_count + 1,
                                sizeof(*h->removed));
        h->removed[h->removed_count++] = one->object;
    }
}

static enum err_code remove_object(struct removing *r, struct store *s, struct str object,
                                   struct err *err) {
    struct erase_removed *one;
    TRY(hash_once(r->past, s, object, &one, err));
    list_it(r, one);
    return ERR_OK;
}

static enum err_code remove_uri(struct removing *r, struct str uri, struct err *err) {
    struct erase_removed *one;
    TRY(hash_uri(r->past, uri, &one, err));
    list_it(r, one);
    return ERR_OK;
}

static enum err_code remove_metadata(struct removing *r, struct err *err) {
    const struct table_pin *pin = r->past->pin;
    struct store_entry *forgotten;
    struct str *statistics;
    size_t count;
    TRY(remove_object(r, pin->bucket->store, pin->dataset.metadata, err));
    for (size_t i = 0; i < pin->metadata->metadata_log_count; i++) {
        TRY(remove_uri(r, pin->metadata->metadata_log[i].metadata, err));
    }
    TRY(upkeep_forgotten_metadata(pin, r->past->arena, &forgotten, &count, err));
    for (size_t i = 0; i < count; i++) {
        TRY(remove_object(r, pin->bucket->store, forgotten[i].name, err));
    }
    count = ice_metadata_statistics(pin->metadata, r->past->arena, &statistics);
    for (size_t i = 0; i < count; i++) {
        TRY(remove_uri(r, statistics[i], err));
    }
    return ERR_OK;
}

static enum err_code remove_manifests(struct removing *r, struct err *err) {
    const struct erase_past *p = r->past;
    for (size_t i = 0; i < p->pin->metadata->snapshot_count; i++) {
        if (p->snapshots[i].changed) {
            TRY(remove_uri(r, p->pin->metadata->snapshots[i].manifest_list, err));
        }
    }
    for (const struct erase_manifest *m = p->manifests; m != NULL; m = m->hh.next) {
        if (m->changed) {
            TRY(remove_uri(r, m->path, err));
        }
    }
    return ERR_OK;
}

static enum err_code remove_files(struct removing *r, struct err *err) {
    const struct erase_past *p = r->past;
    for (const struct erase_deletes *d = p->deletes; d != NULL; d = d->hh.next) {
        if (d->live && d->changed) {
            TRY(remove_uri(r, d->path, err));
        }
    }
    for (const struct erase_data *d = p->datas; d != NULL; d = d->hh.next) {
        if (d->live && d->bits != NULL) {
            TRY(remove_uri(r, d->path, err));
        }
    }
    return ERR_OK;
}

// The old list of tombstones, which lies in the primary bucket.
static enum err_code remove_content(struct removing *r, struct err *err) {
    const struct catalog_bucket *primary;
    TRY(catalog_bucket_find(r->past->erase->options.catalog, STR_NONE, &primary, err));
    return remove_object(r, primary->store, r->past->pin->dataset.tombstones.content.object, err);
}

enum err_code erase_past_hash(struct erase_past *p, struct err *err) {
    struct erase_removed *one;
    for (const struct erase_deletes *d = p->deletes; d != NULL; d = d->hh.next) {
        if (d->live && d->changed) {
            TRY(hash_uri(p, d->path, &one, err));
        }
    }
    for (const struct erase_data *d = p->datas; d != NULL; d = d->hh.next) {
        if (d->live && d->bits != NULL) {
            TRY(hash_uri(p, d->path, &one, err));
        }
    }
    return ERR_OK;
}

// Every reference to what changed was changed, so that nothing leads to the old ones: not even a
// manifest that is left out, since all that it led to stays or is here too.
enum err_code erase_past_list_removed(struct erase_past *p, struct err *err) {
    struct removing r = {.past = p};
    TRY(remove_metadata(&r, err));
    TRY(remove_manifests(&r, err));
    TRY(remove_files(&r, err));
    return p->stale_list ? remove_content(&r, err) : ERR_OK;
}
